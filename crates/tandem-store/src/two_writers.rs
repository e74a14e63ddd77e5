//! What a store of a pair with two writers keeps beside keys: policies, counters, sequences, conflicts.
//!
//! Counters and sequences live in the ledger; under their key stands what they come to, as a string that
//! only [`Store::show`] writes. So `GET`, `SCAN`, snapshots and digests need to know nothing of them, and
//! whatever a merge or a flush does to the string is put right at once.
//!
//! What the node does (docs/adr/2026-11-28-ledger-in-the-store.md): [`Store::begin_two_writers`] once,
//! [`Store::set_link`] when the link comes or goes, [`Store::peer_has`] when the peer's disk has more,
//! [`Store::tend`] now and then (the expiry cycle does it).
//!
//! **Not here:** the rules (`tandem-merge`), the commands (`commands/`).

mod conflict_filter;
mod conflict_log;
mod tend;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tandem_merge::escrow::{Forget, Generation, Input, Rebalance};
use tandem_merge::policy::Policy;
use tandem_merge::sequence::{Mode, Progress};
use tandem_merge::{Conflict, Key, Ledger, LedgerOp, Op, Origin};
use tandem_resp::Args;
use tandem_types::{DbIndex, Lsn, Monotonic, NodeId, Pair, Stamp, WallMillis};

pub(crate) use self::conflict_filter::NO_ID;
pub use self::conflict_filter::{ConflictFilter, show_conflicts};
pub(crate) use self::conflict_log::ConflictLog;
pub use self::conflict_log::{ConflictEntry, ConflictId, Numbering};
pub(crate) use self::tend::first_after;
use crate::command::Command;
use crate::entry::Entry;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::merge::{Course, MergeRefusal, Purpose, Rules, course};
use crate::store::Store;
use crate::value::ValueRef;

/// Who the two writers are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WriterFacts {
    /// Which of them this is.
    pub side: NodeId,
    /// What people call them.
    pub names: Pair<String>,
    /// Where their clients reach them, `host:port`.
    pub addresses: Pair<String>,
}

/// What `INFO` says of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TwoWritersCounts {
    /// As the store was told last.
    pub link_up: bool,
    /// Prefixes that something was said of.
    pub policies: usize,
    /// Bounded counters.
    pub counters: usize,
    /// Sequences of unique ids.
    pub sequences: usize,
    /// Conflicts that can be listed.
    pub conflicts_kept: usize,
    /// Those of them that no person has decided.
    pub conflicts_undecided: usize,
    /// Conflicts that left memory before they were on disk.
    pub conflicts_lost: u64,
    /// Conflicts since the first, by kind.
    pub conflicts: Vec<(&'static str, u64)>,
}

/// What stands beside the keys.
#[derive(Debug)]
pub(crate) struct TwoWriters {
    pub(crate) facts: WriterFacts,
    pub(crate) ledger: Ledger,
    pub(crate) conflicts: ConflictLog,
    rebalance: Rebalance,
    /// Blocks of ids that the peer does not have yet, with the end of the record that says so.
    burning: VecDeque<(Lsn, Key, Progress)>,
    /// Sequences of which a block has to be burnt or said again: the peer began one, or this node was restarted.
    unconfirmed: BTreeSet<Key>,
    /// Keys whose policy has just become `seq`: the number that stands there is where ids begin.
    to_begin: BTreeSet<Key>,
    /// Rights on their way to the peer.
    moving: VecDeque<(Lsn, Key, u64)>,
    /// Keys that were written as only one caller can, and the peer does not know yet.
    exclusive: BTreeMap<Key, Lsn>,
    /// Of those, what the peer also wrote so, in the chunk that is being merged.
    won_twice: BTreeSet<Key>,
    /// A full copy is coming in: what stands under the keys comes with their slots.
    copying: bool,
    /// The command that runs was stopped: its result is too large for one operation.
    too_big: bool,
}

/// Bytes of a value that goes to the peer as one operation, at most.
const OPERATION_BYTES_MAX: usize = 64 << 20;

impl TwoWriters {
    fn new(facts: WriterFacts) -> Self {
        Self {
            rebalance: Rebalance::new(facts.side),
            facts,
            ledger: Ledger::new(),
            conflicts: ConflictLog::default(),
            burning: VecDeque::new(),
            unconfirmed: BTreeSet::new(),
            to_begin: BTreeSet::new(),
            moving: VecDeque::new(),
            exclusive: BTreeMap::new(),
            won_twice: BTreeSet::new(),
            copying: false,
            too_big: false,
        }
    }

    pub(crate) const fn side(&self) -> NodeId {
        self.facts.side
    }

    pub(crate) const fn link_up(&self) -> bool {
        self.rebalance.link_up()
    }

    /// `up` or `down`, for people.
    pub(crate) const fn link_word(&self) -> &'static str {
        if self.link_up() { "up" } else { "down" }
    }

    /// The node of this name.
    pub(crate) fn node(&self, name: &str) -> Option<NodeId> {
        let names = &self.facts.names;
        [NodeId::A, NodeId::B].into_iter().find(|node| names[*node].eq_ignore_ascii_case(name))
    }

    /// Marks a creation or a policy of now: later than all that are known.
    pub(crate) fn generation(&self, now: WallMillis) -> Generation {
        Generation { stamp: self.ledger.newest().max(Stamp::new(1)).tick(now), by: self.side() }
    }

    /// What a decision about a write looks at.
    pub(crate) const fn rules(&self, db: DbIndex) -> Rules<'_> {
        Rules { ledger: &self.ledger, side: self.facts.side, db }
    }

    /// A refusal as clients read it.
    pub(crate) fn refusal_text(&self, refusal: &MergeRefusal) -> String {
        match refusal {
            MergeRefusal::Owner(owner) => format!("PPOWNER {}", self.facts.addresses[*owner]),
            refusal => refusal.to_string(),
        }
    }

    /// What stands under the key of a counter or sequence.
    fn shown(&self, key: &Key) -> Option<String> {
        if self.copying {
            return None;
        }
        if let Some(counter) = self.ledger.counter(key) {
            return Some(counter.value().to_string());
        }
        self.ledger.sequence(key).map(|sequence| sequence.shown().to_string())
    }

    /// Rights of a counter that the peer was given and is not known to have.
    pub(crate) fn in_flight(&self, key: &Key) -> u64 {
        self.moving.iter().filter(|(_, moving, _)| moving == key).map(|(_, _, count)| count).sum()
    }

    /// So many rights of a counter leave in the record that ends there.
    pub(crate) fn rights_left(&mut self, lsn_end: Lsn, key: &Key, count: u64) {
        self.moving.push_back((lsn_end, key.clone(), count));
    }

    /// A block is burnt in the record that ends there.
    pub(crate) fn burnt(&mut self, lsn_end: Lsn, key: &Key, progress: Progress) {
        self.burning.push_back((lsn_end, key.clone(), progress));
    }

    /// A key was written, in the record that ends there, as only one caller can.
    pub(crate) fn exclusive(&mut self, lsn_end: Lsn, key: &Key) {
        self.exclusive.insert(key.clone(), lsn_end);
    }

    /// So many of a counter were taken here.
    pub(crate) fn used(&mut self, now: WallMillis, key: &Key, count: u64) {
        self.rebalance_step(now, Input::Used(key, count));
    }

    /// A client wants more of a counter than there is, and waits for so long.
    pub(crate) fn short(&mut self, now: WallMillis, key: &Key, want: u64, wait_ms: u64) {
        let until = WallMillis::new(now.get().saturating_add(wait_ms));
        self.rebalance_step(now, Input::Short(key, want, clock(until)));
    }

    fn rebalance_step(&mut self, now: WallMillis, input: Input<'_>) {
        let ledger = &self.ledger;
        let counter = |key: &Key| ledger.counter(key).copied();
        // Only time makes outputs.
        self.rebalance.step(clock(now), input, &counter, &mut Vec::new());
    }

    /// A statement of the peer, or an own one that is replayed; gives the key whose value it is about.
    /// The record ends at `lsn_end` of the own log.
    fn enter<'o>(&mut self, origin: &Origin, op: &'o LedgerOp, lsn_end: Lsn) -> Option<&'o Key> {
        let own = origin.side == self.side();
        self.ledger.enter(self.side(), op);
        match op {
            LedgerOp::Counter(key, _) | LedgerOp::Escrow(key, _) => return Some(key),
            LedgerOp::Sequence { key, progress, .. } => {
                let sequence = self.ledger.sequence(key);
                let has_block = sequence.is_some_and(|own| own.progress().usable_end > 0);
                if progress.side == self.side() || !has_block {
                    self.unconfirmed.insert(key.clone());
                }
                return Some(key);
            }
            LedgerOp::Ask(asked) if !own => {
                self.rebalance_step(WallMillis::new(0), Input::Asked(asked));
            }
            // The peer may be told of it only after the restart that this is replayed in.
            LedgerOp::Exclusive(key) if own => self.exclusive(lsn_end, key),
            LedgerOp::Exclusive(key) => {
                if self.exclusive.contains_key(key) {
                    self.won_twice.insert(key.clone());
                }
            }
            LedgerOp::Resolved(key, item) => self.conflicts.resolve(key, item),
            LedgerOp::Policy { prefix, policy, .. } => self.policy_said(prefix, *policy),
            LedgerOp::Ask(_) => {}
        }
        None
    }

    /// A policy was set. If it is `seq` and names a key, both nodes burn their first blocks at once, not only when
    /// the first id is wanted, perhaps in a cut.
    pub(crate) fn policy_said(&mut self, prefix: &[u8], policy: Option<Policy>) {
        if matches!(policy, Some(Policy::Seq(Mode::Leased { .. }))) {
            let key = |db| Key { db, name: prefix.into() };
            self.to_begin.extend(DbIndex::all().map(key));
        }
    }

    fn told(&mut self, lsn_end: Lsn, conflicts: &[Conflict]) {
        for conflict in conflicts {
            let twice = self.won_twice.contains(&conflict.key);
            self.conflicts.push(lsn_end, conflict.clone(), twice);
        }
        self.won_twice.clear();
    }
}

/// The rebalancing's clock: only differences count.
pub(crate) const fn clock(now: WallMillis) -> Monotonic {
    Monotonic::from_millis(now.get())
}

impl Store {
    /// From now on this is the store of a pair whose nodes both write.
    pub fn begin_two_writers(&mut self, facts: WriterFacts) {
        self.two_writers = Some(Box::new(TwoWriters::new(facts)));
    }

    /// Counters, sequences and policies; `None` with one writer.
    pub fn ledger(&self) -> Option<&Ledger> {
        self.two_writers.as_deref().map(|two| &two.ledger)
    }

    /// What was written here as only one caller can, and the peer does not know yet, as statements for a
    /// snapshot.
    pub fn exclusive_writes(&self) -> Vec<Op> {
        let keys = self.two_writers.as_deref().into_iter().flat_map(|two| two.exclusive.keys());
        keys.map(|key| Op::Ledger(LedgerOp::Exclusive(key.clone()))).collect()
    }

    /// What `INFO` says of policies, counters, sequences and conflicts; `None` with one writer.
    pub fn two_writers_counts(&self) -> Option<TwoWritersCounts> {
        let two = self.two_writers.as_deref()?;
        Some(TwoWritersCounts {
            link_up: two.link_up(),
            policies: two.ledger.policies().iter().count(),
            counters: two.ledger.counters().count(),
            sequences: two.ledger.sequences().count(),
            conflicts_kept: two.conflicts.len(),
            conflicts_undecided: two.conflicts.open(),
            conflicts_lost: two.conflicts.lost(),
            conflicts: two.conflicts.counts().map(|(kind, count)| (kind.name(), count)).collect(),
        })
    }

    /// A full copy begins to come in; [`Self::new_incarnation`] is its end. Or a snapshot is loaded, up to
    /// [`Self::end_load`].
    pub fn begin_copy(&mut self) {
        if let Some(two) = self.two_writers.as_deref_mut() {
            two.copying = true;
        }
    }

    /// The rights of a node that is given up for good: says how many there were.
    pub fn forget_rights(&mut self, lost: NodeId, how: Forget, lsn_end: Lsn) -> u64 {
        let Some(two) = self.two_writers.as_deref_mut() else { return 0 };
        let keys: Vec<Key> = two.ledger.counters().map(|(key, _)| key.clone()).collect();
        let mut rights = 0u64;
        for key in keys {
            let Some(two) = self.two_writers.as_deref_mut() else { return rights };
            let counter = two.ledger.counter_mut(&key);
            let count = counter.map_or(0, |counter| counter.forget(lost, how));
            rights = rights.saturating_add(count);
            self.show(&key, lsn_end);
            // Somebody may wait for them.
            self.interest.touch(key.db, &key.name, true);
        }
        rights
    }

    /// What was loaded is whole: it is this node's own.
    pub fn end_load(&mut self) {
        if let Some(two) = self.two_writers.as_deref_mut() {
            two.copying = false;
        }
    }

    /// This node has copied all from its peer, perhaps because it lost its disk: it goes on with ids that
    /// nobody gave.
    pub fn new_incarnation(&mut self, lsn_end: Lsn) {
        let Some(two) = self.two_writers.as_deref_mut() else { return };
        two.copying = false;
        two.ledger.new_incarnation();
        self.sequences_changed(lsn_end);
    }

    fn sequences_changed(&mut self, lsn_end: Lsn) {
        let Some(two) = self.two_writers.as_deref_mut() else { return };
        two.unconfirmed.extend(two.ledger.sequences().map(|(key, _)| key.clone()));
        for db in DbIndex::all() {
            self.show_all(db, lsn_end);
        }
    }

    /// This is what a backup holds: ids go on at `from` or above.
    pub fn restored(&mut self, from: u64, lsn_end: Lsn) {
        if let Some(two) = self.two_writers.as_deref_mut() {
            two.ledger.restored(from);
        }
        self.sequences_changed(lsn_end);
    }

    /// A statement of either side about a counter, a sequence, a policy.
    pub(crate) fn enter(&mut self, origin: &Origin, op: &LedgerOp, lsn_end: Lsn) {
        // A store that was not told that there are two writers keeps none.
        let Some(two) = self.two_writers.as_deref_mut() else { return };
        if let Some(key) = two.enter(origin, op, lsn_end) {
            self.show(key, lsn_end);
        }
    }

    /// What a merge decided.
    pub(crate) fn told(&mut self, lsn_end: Lsn, conflicts: &[Conflict]) {
        if let Some(two) = self.two_writers.as_deref_mut() {
            two.told(lsn_end, conflicts);
        }
    }

    /// Puts under the key of a counter or sequence what it comes to; other keys stay as they are.
    pub(crate) fn show(&mut self, key: &Key, lsn_end: Lsn) {
        let Some(text) = self.two_writers.as_deref().and_then(|two| two.shown(key)) else { return };
        self.shadow.forget(key);
        let mut keys = Keys::for_replay(self, key.db, lsn_end);
        let found = keys.key(&key.name);
        keys.set_string(found, text.as_bytes(), None);
    }

    /// Counters and sequences outlive a flush of their database.
    pub(crate) fn show_all(&mut self, db: DbIndex, lsn_end: Lsn) {
        let Some(two) = self.two_writers.as_deref() else { return };
        let counters = two.ledger.counters().map(|(key, _)| key);
        let keys = counters.chain(two.ledger.sequences().map(|(key, _)| key));
        let keys: Vec<Key> = keys.filter(|key| key.db == db).cloned().collect();
        for key in keys {
            self.show(&key, lsn_end);
        }
    }
}

impl Store {
    /// How a command is run; the error says why it is not.
    pub(crate) fn course(
        &self,
        command: &Command,
        args: &Args<'_>,
        db: DbIndex,
    ) -> Result<Course, String> {
        let Some(two) = self.two_writers.as_deref() else { return Ok(Course::Merge) };
        let found = course(command, args, two.rules(db));
        let found = found.map_err(|refusal| two.refusal_text(&refusal))?;
        // A value that is moved is taken out before it is put elsewhere.
        if matches!(command.name, "rename" | "renamenx" | "move") {
            let key = self.hasher.key(args.get(1));
            let entry = self.databases[db.index()].as_deref().and_then(|database| {
                database.slot(key.slot).table.find(key.hash, |entry| entry.key() == key.bytes)
            });
            if entry.is_some_and(is_large_collection) {
                return Err(too_big_text(command));
            }
        }
        Ok(found)
    }

    /// Whether the command that has just run was stopped because of its size; says why.
    pub(crate) fn take_too_big(&mut self, command: &Command) -> Option<String> {
        let two = self.two_writers.as_deref_mut()?;
        std::mem::take(&mut two.too_big).then(|| too_big_text(command))
    }

    /// Why a transaction that watched these keys is not carried out: the other node's writes do not touch
    /// them before they arrive. It is where nobody else writes them, or a policy takes the risk.
    pub fn refuses_watch<'k>(
        &self,
        watched: impl IntoIterator<Item = (DbIndex, &'k [u8])>,
    ) -> Option<String> {
        let two = self.two_writers.as_deref()?;
        watched.into_iter().find_map(|(db, key)| {
            let refusal = two.rules(db).of_key(Purpose::Exclusive, key).err()?;
            Some(two.refusal_text(&match refusal {
                MergeRefusal::Exclusive(_) => MergeRefusal::watched(),
                refusal => refusal,
            }))
        })
    }

    /// The record says, for the peer, that this command wrote as only one caller can.
    pub(crate) fn say_exclusive(
        &mut self,
        command: &Command,
        args: &Args<'_>,
        call: &mut crate::call::Call<'_>,
    ) {
        let Some(two) = self.two_writers.as_deref_mut() else { return };
        let mut positions = Vec::new();
        if command.key_positions(args, &mut positions).is_err() {
            return;
        }
        for position in positions {
            let key = Key { db: call.db, name: args.get(position).into() };
            two.exclusive(call.lsn_end, &key);
            call.effects.push_statement(LedgerOp::Exclusive(key));
        }
    }
}

fn too_big_text(command: &Command) -> String {
    MergeRefusal::TooBig(command.name.to_uppercase()).to_string()
}

fn is_large_collection(entry: &Entry) -> bool {
    let is_string = matches!(entry.value(), ValueRef::String { .. });
    !is_string && entry.memory() > OPERATION_BYTES_MAX
}

impl Keys<'_> {
    /// With two writers: whether a value is too large for one operation; the command then fails as a whole,
    /// because storing a value is the last thing it does.
    pub(crate) fn is_too_big(&mut self, serialised: Option<&[u8]>) -> bool {
        let Some(two) = self.store.two_writers.as_deref_mut() else { return false };
        let too_big = serialised.is_some_and(|bytes| bytes.len() > OPERATION_BYTES_MAX);
        two.too_big |= too_big;
        too_big
    }

    /// What stands beside the keys; refused with one writer.
    pub(crate) fn two_writers(&mut self) -> Result<&mut TwoWriters, Failure> {
        self.store.two_writers.as_deref_mut().ok_or(Failure::Text(
            "PPUNSUPPORTED this pair has one writer: it needs pair.topology = \"primary-primary\"",
        ))
    }

    /// Puts under its key what a counter or sequence comes to.
    pub(crate) fn show(&mut self, key: &Key) {
        let lsn_end = self.lsn_end();
        self.store.show(key, lsn_end);
    }
}
