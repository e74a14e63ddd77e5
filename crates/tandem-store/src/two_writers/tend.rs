//! What is done without a client: asking for rights, granting them, saying burnt blocks again.

use tandem_merge::escrow::{Input, Output};
use tandem_merge::policy::Policy;
use tandem_merge::sequence::Sequence;
use tandem_merge::{Key, LedgerOp, Space};
use tandem_types::{Lsn, WallMillis};

use super::{TwoWriters, clock};
use crate::EffectBuf;
use crate::store::Store;

impl Store {
    /// The link to the peer came up, or went.
    pub fn set_link(&mut self, up: bool) {
        let Some(two) = self.two_writers.as_deref_mut() else { return };
        if two.link_up() == up {
            return;
        }
        two.rebalance_step(WallMillis::new(0), Input::Link(up));
        if up {
            two.burn_again();
        }
    }

    /// The peer has on its disk all own records that end at `end` of the own log, or before; and what it wrote
    /// before it had them was merged here (`Site::stable_end` says both).
    pub fn peer_has(&mut self, end: Lsn) {
        let Some(two) = self.two_writers.as_deref_mut() else { return };
        two.moving.retain(|(at, ..)| *at > end);
        two.exclusive.retain(|_, at| *at > end);
        while two.burning.front().is_some_and(|(at, ..)| *at <= end) {
            let Some((_, key, progress)) = two.burning.pop_front() else { return };
            if let Some(sequence) = two.ledger.sequence_mut(&key) {
                sequence.peer_has(&progress);
            }
            // Somebody may wait for ids.
            self.interest.touch(key.db, &key.name, true);
        }
    }

    /// Whether [`Self::tend`] has something to do.
    pub fn wants_tending(&self) -> bool {
        self.two_writers.as_deref().is_some_and(TwoWriters::is_busy)
    }

    /// Asks the peer for rights, grants it some, says burnt blocks again. What that comes to goes to
    /// `effects`, as a command's work does; the record ends at `lsn_end`.
    pub fn tend(&mut self, now: WallMillis, lsn_end: Lsn, effects: &mut EffectBuf) {
        self.begin_sequences(lsn_end);
        let Some(two) = self.two_writers.as_deref_mut().filter(|two| two.is_busy()) else { return };
        for key in std::mem::take(&mut two.unconfirmed) {
            two.say_progress(&key, lsn_end, effects);
        }
        let mut outputs = Vec::new();
        let ledger = &two.ledger;
        let counter = |key: &Key| ledger.counter(key).copied();
        two.rebalance.step(clock(now), Input::Tick, &counter, &mut outputs);
        let mut given = Vec::new();
        for output in outputs {
            match output {
                Output::Ask(asked) => effects.push_statement(LedgerOp::Ask(asked)),
                Output::Give(key, count) => {
                    let side = two.side();
                    let Some(counter) = two.ledger.counter_mut(&key) else { continue };
                    // What is granted was counted a moment ago: it is there.
                    let Ok(statement) = counter.give(side, side.peer(), count) else { continue };
                    effects.push_statement(LedgerOp::Escrow(key.clone(), statement));
                    two.rights_left(lsn_end, &key, count);
                    given.push(key);
                }
            }
        }
        for key in given {
            self.show(&key, lsn_end);
        }
    }
}

impl Store {
    /// Ids of keys whose policy has just become `seq` begin after the number that stands there.
    fn begin_sequences(&mut self, lsn_end: Lsn) {
        let Some(two) = self.two_writers.as_deref_mut().filter(|two| two.is_busy()) else { return };
        for key in std::mem::take(&mut two.to_begin) {
            let space = self.merge_space(lsn_end);
            let last = space.string(&key).and_then(|text| tandem_resp::parse_i64(&text));
            let Some(two) = self.two_writers.as_deref_mut() else { return };
            if let (Some(last), Policy::Seq(mode), None) =
                (last, two.ledger.policies().of(&key.name), two.ledger.sequence(&key))
            {
                let sequence = Sequence::new(two.side(), mode, first_after(last));
                two.ledger.put_sequence(key.clone(), sequence);
                two.unconfirmed.insert(key.clone());
                self.show(&key, lsn_end);
            }
        }
    }
}

/// The first id of a sequence whose key held this number.
pub(crate) fn first_after(last: i64) -> u64 {
    last.saturating_add(1).max(1).unsigned_abs()
}

impl TwoWriters {
    fn is_busy(&self) -> bool {
        let ids = !(self.unconfirmed.is_empty() && self.to_begin.is_empty());
        self.rebalance.is_busy() || (self.link_up() && ids)
    }

    /// The link is back, perhaps after a restart: what the peer may not have is said again.
    fn burn_again(&mut self) {
        let waiting = self.burning.iter().map(|(_, key, _)| key);
        let waiting: std::collections::BTreeSet<&Key> = waiting.collect();
        self.unconfirmed.retain(|key| !waiting.contains(key));
    }

    fn say_progress(&mut self, key: &Key, lsn_end: Lsn, effects: &mut EffectBuf) {
        let Some(sequence) = self.ledger.sequence_mut(key) else { return };
        while sequence.burn() {}
        if !sequence.is_burning() {
            return;
        }
        let (mode, first) = (sequence.mode(), sequence.first());
        let progress = sequence.progress();
        effects.push_statement(LedgerOp::Sequence { key: key.clone(), mode, first, progress });
        self.burnt(lsn_end, key, progress);
    }
}
