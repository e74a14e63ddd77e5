//! Two sides in one process: logs that a crash shortens, streams that break, clocks that differ.

use std::collections::{BTreeMap, VecDeque};

use tandem_merge::{
    Admission, Bytes, Chunk, Clock, Conflict, Key, Op, Origin, Record, Site, Space,
};
use tandem_types::{Lsn, NodeId, Pair, Stamp, WallMillis};

use crate::generate::{self, Done, Fresh, Theme};
use crate::keyspace::{Keyspace, shown};
use crate::oracle::{self, Known};
use crate::rng::Rng;
use crate::snapshot::{Replaying, Snapshot};

/// A rule of the surroundings that a test may take away.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Careless {
    /// Own writes are forgotten when they are sent, not when the peer has them.
    ForgetOnSend,
    /// Records are sent before they are on disk.
    SendUnsynced,
    /// What is not on disk is said to be seen.
    SeenUnsynced,
    /// After a crash, what was to be said again is not.
    ForgetAgain,
    /// After a crash, a record gets another stamp.
    Restamp,
}

pub const CARELESS: [Careless; 5] = [
    Careless::ForgetOnSend,
    Careless::SendUnsynced,
    Careless::SeenUnsynced,
    Careless::ForgetAgain,
    Careless::Restamp,
];

/// What a history may contain.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub theme: Theme,
    pub steps: u64,
    pub crashes: bool,
    pub disk_losses: bool,
    pub compaction: bool,
    pub hard: bool,
    /// Snapshots are taken in pieces, and replays begin with them.
    pub snapshots: bool,
    /// Many elements of lists read the same: the oracle, which goes by names, is not asked.
    pub alike: bool,
    pub careless: Option<Careless>,
}

#[derive(Clone, Debug)]
enum Message {
    Chunk(Box<Chunk>),
    /// The sender has applied, durably, the receiver's records before this.
    Seen {
        seen: Lsn,
        said_at: Lsn,
    },
}

#[derive(Clone, Debug)]
enum Logged {
    Own(Record),
    Theirs(Chunk),
}

impl Logged {
    fn own(&self) -> Option<&Record> {
        match self {
            Self::Own(record) => Some(record),
            Self::Theirs(_) => None,
        }
    }

    fn theirs(&self) -> Option<&Chunk> {
        match self {
            Self::Theirs(chunk) => Some(chunk),
            Self::Own(_) => None,
        }
    }
}

#[derive(Clone, Debug)]
struct Saved {
    at: usize,
    site: Site,
    space: Keyspace,
    /// Some of it is ahead of the log there.
    snapshot: Option<Snapshot>,
}

#[derive(Clone, Debug)]
struct Half {
    site: Site,
    space: Keyspace,
    log: Vec<Logged>,
    durable: usize,
    saved: Saved,
    /// A snapshot that is being taken.
    taking: Option<Snapshot>,
    wall: u64,
    /// Towards the peer.
    queue: VecDeque<Message>,
    sent_end: Lsn,
    conflicts: Vec<Conflict>,
}

/// What happened in a history.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub histories: u64,
    pub ops: u64,
    pub again: u64,
    pub crashes: u64,
    pub losses: u64,
    pub cuts: u64,
    pub conflicts: u64,
    pub compacted: u64,
    pub repeated: u64,
    pub snapshots: u64,
    /// Of these, while writes went on.
    pub moving: u64,
    /// Crashes after which a side lacks what the other was told it has: never, if the rules hold.
    pub forgotten: u64,
}

impl Tally {
    pub const fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.ops += other.ops;
        self.again += other.again;
        self.crashes += other.crashes;
        self.losses += other.losses;
        self.cuts += other.cuts;
        self.conflicts += other.conflicts;
        self.compacted += other.compacted;
        self.repeated += other.repeated;
        self.snapshots += other.snapshots;
        self.moving += other.moving;
        self.forgotten += other.forgotten;
    }
}

pub struct World {
    rng: Rng,
    plan: Plan,
    halves: Pair<Half>,
    up: bool,
    fresh: Fresh,
    known: Known,
    pub tally: Tally,
    trace: Option<Vec<String>>,
}

const SIDES: [NodeId; 2] = [NodeId::A, NodeId::B];

fn half(side: NodeId) -> Half {
    let site = Site::new(side, 500);
    let saved = Saved { at: 0, site: site.clone(), space: Keyspace::default(), snapshot: None };
    Half {
        site,
        space: Keyspace::default(),
        log: Vec::new(),
        durable: 0,
        saved,
        taking: None,
        wall: 1_000,
        queue: VecDeque::new(),
        sent_end: Lsn::ZERO,
        conflicts: Vec::new(),
    }
}

/// Runs one history; what differs at its end is the error.
pub fn run(seed: u64, plan: Plan, trace: bool) -> Result<Tally, String> {
    play(seed, plan, trace).map(|world| world.tally)
}

/// The lists that one history comes to.
pub fn lists(seed: u64, plan: Plan) -> Result<BTreeMap<Key, Vec<Bytes>>, String> {
    let world = play(seed, plan, false)?;
    let keys = world.halves.a.space.keys.into_iter();
    Ok(keys.map(|(key, (content, _))| (key, content.list)).collect())
}

fn play(seed: u64, plan: Plan, trace: bool) -> Result<World, String> {
    let mut world = World {
        rng: Rng::new(seed),
        plan,
        halves: Pair { a: half(NodeId::A), b: half(NodeId::B) },
        up: true,
        fresh: Fresh::new(plan.alike),
        known: Known::default(),
        tally: Tally { histories: 1, ..Tally::default() },
        trace: trace.then(Vec::new),
    };
    for _ in 0..plan.steps {
        world.step();
    }
    world.settle()?;
    let checked = world.check();
    if let (Err(error), Some(trace)) = (&checked, &world.trace) {
        return Err(format!("{error}\n{}", trace.join("\n")));
    }
    checked.map(|()| world)
}

impl World {
    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }

    fn step(&mut self) {
        let side = *self.rng.pick(&SIDES);
        let advance = self.rng.below(4) * self.rng.below(3);
        self.halves[side].wall += advance;
        if self.plan.snapshots && self.rng.chance(20) {
            return self.snapshot(side);
        }
        if self.plan.hard {
            return self.hard_step(side);
        }
        match self.rng.below(100) {
            0..30 => self.command(side),
            30..42 => self.sync(side),
            42..57 => self.send(side),
            57..63 => self.heartbeat(side),
            63..86 => self.deliver(side),
            86..90 => self.cut_or_join(),
            90..92 => {
                let wall = &mut self.halves[side].wall;
                *wall = if self.rng.chance(50) { *wall + 400 } else { wall.saturating_sub(300) };
            }
            92..95 if self.plan.crashes => self.crash(side),
            95..96 if self.plan.disk_losses => self.lose_disk(side),
            96..98 => self.save(side),
            _ => {}
        }
    }

    /// Few writes, little on disk, many crashes.
    fn hard_step(&mut self, side: NodeId) {
        match self.rng.below(100) {
            0..18 => self.command(side),
            18..24 => self.sync(side),
            24..43 => self.send(side),
            43..58 => self.heartbeat(side),
            58..84 => self.deliver(side),
            84..88 => self.cut_or_join(),
            88..97 if self.plan.crashes => self.crash(side),
            97.. if self.plan.crashes => self.forgetful_crash(side),
            _ => {}
        }
    }

    /// At rest, `side` hears of a write, says so, crashes before it is on its disk, and writes on its own
    /// before it hears of it again.
    fn forgetful_crash(&mut self, side: NodeId) {
        if !self.up {
            self.cut_or_join();
        }
        let all = |world: &mut Self, of: NodeId| {
            world.sync(of);
            world.send(of);
            world.heartbeat(of);
            while !world.halves[of].queue.is_empty() {
                world.deliver(of);
            }
        };
        all(self, side);
        all(self, side.peer());
        all(self, side);
        self.command(side.peer());
        self.sync(side.peer());
        self.send(side.peer());
        while !self.halves[side.peer()].queue.is_empty() {
            self.deliver(side.peer());
        }
        self.heartbeat(side);
        while !self.halves[side].queue.is_empty() {
            self.deliver(side);
        }
        self.crash(side);
        self.command(side);
        self.cut_or_join();
        all(self, side);
    }

    fn command(&mut self, side: NodeId) {
        let half = &mut self.halves[side];
        let done = generate::command(
            &mut self.rng,
            self.plan.theme,
            side,
            &mut half.space,
            &mut self.fresh,
        );
        self.append(side, done);
    }

    fn append(&mut self, side: NodeId, done: Vec<Done>) {
        if done.is_empty() {
            return;
        }
        let half = &mut self.halves[side];
        let origin = half.site.begin(WallMillis::new(half.wall));
        let mut ops = Vec::new();
        for (number, done) in done.into_iter().enumerate() {
            let place = Known::place(&origin, number);
            self.known.patched.remove(&place);
            self.known.removed.remove(&place);
            if let Some(whole) = done.patched {
                self.known.patched.insert(place, whole);
            }
            if !done.removed.is_empty() {
                self.known.removed.insert(place, done.removed);
            }
            ops.push(done.op);
        }
        self.tally.ops += u64::try_from(ops.len()).unwrap();
        let record = Record { origin, ops };
        half.site.note(&record);
        half.log.push(Logged::Own(record.clone()));
        self.note(|| format!("{side:?} writes {record:?}"));
    }

    fn sync(&mut self, side: NodeId) {
        let half = &mut self.halves[side];
        half.durable = half.log.len();
    }

    fn send(&mut self, side: NodeId) {
        if !self.up {
            return;
        }
        let unsynced = self.plan.careless == Some(Careless::SendUnsynced);
        #[cfg(feature = "planted")]
        let forget = self.plan.careless == Some(Careless::ForgetOnSend);
        let compacting = self.plan.compaction && self.rng.chance(50);
        let half = &mut self.halves[side];
        let until = if unsynced { half.log.len() } else { half.durable };
        let own = half.log[..until].iter().filter_map(Logged::own);
        let sent_end = half.sent_end;
        let mut records: Vec<Record> =
            own.filter(|it| it.origin.lsn >= sent_end).cloned().collect();
        let Some(end) = records.last().map(|record| record.origin.lsn.next()) else { return };
        if compacting && self.rng.chance(50) {
            // A stretch of what is to be sent.
            records.truncate(1 + self.rng.index(records.len()));
        }
        half.sent_end = records.last().unwrap().origin.lsn.next();
        let chunks: Vec<Chunk> = if compacting {
            let ops = |records: &[Record]| records.iter().map(|it| it.ops.len()).sum::<usize>();
            let before = ops(&records);
            let chunks = half.site.compact(sent_end, records, 1 + self.rng.index(12), end);
            let after: usize = chunks.iter().map(|chunk| ops(&chunk.records)).sum();
            self.tally.compacted += u64::try_from(before - after).unwrap();
            chunks
        } else {
            records.into_iter().map(Chunk::of).collect()
        };
        let half = &mut self.halves[side];
        half.queue.extend(chunks.into_iter().map(|chunk| Message::Chunk(Box::new(chunk))));
        #[cfg(feature = "planted")]
        if forget {
            half.site.forget_sent(half.sent_end);
        }
    }

    /// In the stream, after the records that were sent before it.
    fn heartbeat(&mut self, side: NodeId) {
        if !self.up {
            return;
        }
        let careless = self.plan.careless;
        let half = &mut self.halves[side];
        let seen = if careless == Some(Careless::SeenUnsynced) {
            half.site.seen_end()
        } else {
            let since_saved = half.log.get(half.saved.at..half.durable).unwrap_or_default();
            let last = since_saved.iter().rev().find_map(Logged::theirs);
            last.map_or(half.saved.site.seen_end(), Chunk::end)
        };
        let said_at = half.site.own_end();
        if self.rng.chance(30) {
            // By another channel, which is faster.
            self.halves[side.peer()].site.heard(seen, said_at);
        } else {
            half.queue.push_back(Message::Seen { seen, said_at });
        }
    }

    /// The peer of `side` gets one message.
    fn deliver(&mut self, side: NodeId) {
        let Some(message) = self.halves[side].queue.pop_front() else { return };
        let receiver = side.peer();
        match message {
            Message::Seen { seen, said_at } => self.halves[receiver].site.heard(seen, said_at),
            Message::Chunk(chunk) => {
                let half = &mut self.halves[receiver];
                match half.site.admit(&chunk) {
                    Admission::Known => self.tally.repeated += 1,
                    Admission::Elsewhere { .. } => {
                        self.cut_or_join();
                        self.cut_or_join();
                    }
                    Admission::Next => self.merge(receiver, &chunk),
                }
            }
        }
    }

    fn merge(&mut self, receiver: NodeId, chunk: &Chunk) {
        let half = &mut self.halves[receiver];
        let wall = WallMillis::new(half.wall);
        let merged = half.site.merge(chunk, wall, &mut half.space);
        half.log.push(Logged::Theirs(chunk.clone()));
        let mut again = half.site.again(&merged, wall, &mut half.space);
        if let Some(again) = &mut again {
            self.fresh.renew(again, &mut half.space);
        }
        self.tally.conflicts += u64::try_from(merged.conflicts.len()).unwrap();
        half.conflicts.extend(merged.conflicts);
        if let Some(again) = &again {
            self.known_again(again);
            self.halves[receiver].log.push(Logged::Own(again.clone()));
            self.tally.again += 1;
        }
        self.note(|| format!("{receiver:?} merges {chunk:?}, again {again:?}"));
    }

    fn known_again(&mut self, again: &Record) {
        for number in 0..again.ops.len() {
            let place = Known::place(&again.origin, number);
            self.known.patched.remove(&place);
            self.known.removed.remove(&place);
        }
    }

    fn cut_or_join(&mut self) {
        if self.up {
            self.tally.cuts += 1;
            self.up = false;
            self.halves.a.queue.clear();
            self.halves.b.queue.clear();
            self.note(|| "cut".into());
        } else {
            self.up = true;
            for side in SIDES {
                let known = self.halves[side.peer()].site.seen_end();
                // Sometimes from earlier: what is known must be dropped.
                let earlier = self.rng.below(3);
                self.halves[side].sent_end = Lsn::new(known.get().saturating_sub(earlier));
            }
            self.note(|| "join".into());
        }
    }

    fn save(&mut self, side: NodeId) {
        let half = &mut self.halves[side];
        half.durable = half.log.len();
        let (site, space) = (half.site.clone(), half.space.clone());
        half.saved = Saved { at: half.log.len(), site, space, snapshot: None };
    }

    /// Begins a snapshot, or takes its next piece; with the last one it counts.
    fn snapshot(&mut self, side: NodeId) {
        let half = &mut self.halves[side];
        let at = half.log.len();
        let Some(taking) = &mut half.taking else {
            half.taking = Some(Snapshot::begin(&half.site, at));
            return;
        };
        let names = [0, 1, 2, 3].map(generate::key);
        if taking.advance(&half.site, &half.space, &names, at)
            && let Some(snapshot) = half.taking.take()
        {
            half.durable = at;
            let (site, space) = snapshot.load();
            self.tally.snapshots += 1;
            self.tally.moving += u64::from(snapshot.start < at);
            half.saved = Saved { at: snapshot.start, site, space, snapshot: Some(snapshot) };
        }
        self.note(|| format!("{side:?} takes a piece of a snapshot"));
    }

    fn crash(&mut self, side: NodeId) {
        self.tally.crashes += 1;
        if self.up {
            self.cut_or_join();
        }
        let careless = self.plan.careless;
        let half = &mut self.halves[side];
        // Some of what was not synced may be there all the same.
        if half.log.len() > half.durable {
            half.durable += self.rng.index(half.log.len() - half.durable + 1);
        }
        let all = (half.durable == half.log.len()).then(|| half.space.clone());
        half.log.truncate(half.durable);
        half.site = half.saved.site.clone();
        half.space = half.saved.space.clone();
        half.taking = None;
        let mut last = None;
        for (at, logged) in half.log.iter().enumerate().skip(half.saved.at) {
            let snapshot = half.saved.snapshot.as_ref();
            let mut replaying =
                snapshot.map(|snapshot| Replaying { space: &mut half.space, snapshot, at });
            let ahead = |it: &&mut Replaying<'_>| it.at < it.snapshot.end();
            let space: &mut dyn Space = match replaying.as_mut().filter(ahead) {
                Some(replaying) => replaying,
                None => &mut half.space,
            };
            match logged {
                Logged::Own(record) => {
                    let mut record = record.clone();
                    if careless == Some(Careless::Restamp) {
                        record.origin.stamp = Stamp::new(record.origin.stamp.get() + (200 << 16));
                    }
                    half.site.replay(&record, space);
                    last = None;
                }
                Logged::Theirs(chunk) => {
                    let wall = chunk.records[0].origin.stamp.wall();
                    last = Some(half.site.merge(chunk, wall, space));
                }
            }
        }
        half.site.loaded();
        if self.halves[side.peer()].site.stable_end() > self.halves[side].site.seen_end() {
            self.tally.forgotten += 1;
        }
        let half = &mut self.halves[side];
        let wall = WallMillis::new(half.wall);
        let mut again = last
            .filter(|_| careless != Some(Careless::ForgetAgain))
            .and_then(|merged| half.site.again(&merged, wall, &mut half.space));
        if let Some(again) = &mut again {
            self.fresh.renew(again, &mut half.space);
        }
        if let (Some(all), None) = (all, careless) {
            assert_eq!(all, half.space, "replaying the log gives what was there");
        }
        self.note(|| format!("{side:?} crashed, again {again:?}"));
        if let Some(again) = again {
            self.known_again(&again);
            self.halves[side].log.push(Logged::Own(again));
        }
    }

    /// The machine is replaced by an empty one, which gets everything from its peer.
    fn lose_disk(&mut self, side: NodeId) {
        self.tally.losses += 1;
        if self.up {
            self.cut_or_join();
        }
        self.sync(side.peer());
        let survivor = &self.halves[side.peer()];
        let (space, end, stamp) =
            (survivor.space.clone(), survivor.site.own_end(), survivor.site.last_stamp());
        let wall = self.halves[side].wall;
        let mut new = half(side);
        new.wall = wall;
        new.space = space;
        new.site = Site::at(side, Lsn::ZERO, end, Clock::new(stamp, 500));
        let (site, space) = (new.site.clone(), new.space.clone());
        new.saved = Saved { at: 0, site, space, snapshot: None };
        self.halves[side] = new;
        let survivor = &mut self.halves[side.peer()];
        survivor.site = Site::at(side.peer(), end, Lsn::ZERO, Clock::new(stamp, 500));
        survivor.sent_end = end;
        survivor.saved = Saved {
            at: survivor.log.len(),
            site: survivor.site.clone(),
            space: survivor.space.clone(),
            snapshot: None,
        };
        // One that spans the change would hold both lives.
        survivor.taking = None;
        self.note(|| format!("{side:?} lost its disk"));
    }

    /// Everything arrives everywhere.
    fn settle(&mut self) -> Result<(), String> {
        if !self.up {
            self.cut_or_join();
        }
        for _ in 0..200 {
            for side in SIDES {
                self.sync(side);
                self.send(side);
                self.heartbeat(side);
                while !self.halves[side].queue.is_empty() {
                    self.deliver(side);
                }
            }
            let at_rest = SIDES.iter().all(|side| {
                let (own, peer) = (&self.halves[*side], &self.halves[side.peer()]);
                own.site.own_end() == peer.site.seen_end() && own.durable == own.log.len()
            });
            if at_rest {
                // The last acknowledgements.
                for side in SIDES {
                    self.heartbeat(side);
                    while !self.halves[side].queue.is_empty() {
                        self.deliver(side);
                    }
                }
                return Ok(());
            }
        }
        Err("the two sides never come to rest".into())
    }

    fn check(&self) -> Result<(), String> {
        let (a, b) = (&self.halves.a, &self.halves.b);
        if a.space != b.space {
            return Err(difference("A has", &a.space.keys, "B has", &b.space.keys));
        }
        for half in [a, b] {
            if self.plan.careless.is_none() && !half.site.index().is_empty() {
                return Err(format!("unacknowledged at rest: {:#?}", half.site.index()));
            }
        }
        if self.tally.losses > 0 || self.plan.alike {
            return Ok(());
        }
        let mut history: Vec<Record> = Vec::new();
        for side in SIDES {
            history.extend(self.halves[side].log.iter().filter_map(Logged::own).cloned());
        }
        let want = oracle::outcome(&history, &self.known);
        let mut found = shown(&a.space);
        for (content, _) in found.values_mut() {
            content.list.sort();
        }
        if want != found {
            return Err(difference("the rule wants", &want, "both have", &found));
        }
        Ok(())
    }
}

/// The keys in which two key spaces differ.
fn difference<V: PartialEq + std::fmt::Debug>(
    left_name: &str,
    left: &BTreeMap<Key, V>,
    right_name: &str,
    right: &BTreeMap<Key, V>,
) -> String {
    let mut text = String::new();
    for key in left.keys().chain(right.keys().filter(|key| !left.contains_key(*key))) {
        let (left, right) = (left.get(key), right.get(key));
        if left != right {
            text += &format!("{key:?}: {left_name}\n  {left:?}\n{right_name}\n  {right:?}\n");
        }
    }
    text
}

/// Something to put into a history by hand.
pub fn origin(side: NodeId, lsn: u64, seen: u64, stamp: u64) -> Origin {
    Origin { side, lsn: Lsn::new(lsn), seen: Lsn::new(seen), stamp: Stamp::new(stamp) }
}

pub fn record(side: NodeId, lsn: u64, seen: u64, stamp: u64, ops: Vec<Op>) -> Record {
    Record { origin: origin(side, lsn, seen, stamp), ops }
}
