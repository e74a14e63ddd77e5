//! One leader, one follower, a link that is slow and breaks.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tandem_replication::message::{Follow, Message, SlotPieces, push_slot};
use tandem_replication::{LinkFault, Settings, follower, leader};
use tandem_types::{Epoch, Incarnation, Lsn, Monotonic, NodeId, PairId, SlotId, Stamp};

use crate::log::{Log, RECORD_BYTES, Rec, SLOTS_USED, Space, apply, count, lsn};
use crate::rng::Rng;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Begin {
    Behind,
    Diverged,
    Empty,
    Foreign,
    /// The same tables, other records: no program of ours writes that, a disk may.
    Damaged,
    Any,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) begin: Begin,
    /// The leader's log is trimmed, so that full copies are needed.
    pub(crate) trims: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) resumed: u64,
    pub(crate) cut: u64,
    pub(crate) copies_done: u64,
    pub(crate) refused: u64,
    pub(crate) appended: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, other: Self) {
        self.resumed += other.resumed;
        self.cut += other.cut;
        self.copies_done += other.copies_done;
        self.refused += other.refused;
        self.appended += other.appended;
    }
}

/// What the follower's disk and memory hold of one generation.
#[derive(Clone, Debug)]
struct Generation {
    pair: PairId,
    log: Log,
    durable: usize,
    space: Space,
    applied: usize,
    /// When each slot was loaded (full copy).
    loaded: BTreeMap<SlotId, Lsn>,
}

struct Lead {
    brain: leader::Leader,
    log: Log,
    space: Space,
    oldest: usize,
    commit: usize,
    /// Reads and look-ups under way: answered when their time has come.
    answers: VecDeque<(u64, leader::Output)>,
}

struct Tail {
    brain: follower::Follower,
    now: Generation,
    /// While a full copy runs: what a restart would find.
    old: Option<Generation>,
    incarnation: Incarnation,
    syncing: Option<(u64, usize)>,
    installing: Option<u64>,
    begun: bool,
    damaged: bool,
}

pub(crate) struct World {
    plan: Plan,
    trace: bool,
    rng: Rng,
    ms: u64,
    settings: Settings,
    lead: Lead,
    tail: Tail,
    up: bool,
    healed: bool,
    writes: bool,
    to_lead: VecDeque<(u64, Vec<u8>)>,
    to_tail: VecDeque<(u64, Vec<u8>)>,
    totals: Totals,
}

const PAIR: PairId = PairId::new(77);
const EPOCH: u32 = 4;

impl World {
    pub(crate) fn new(seed: u64, plan: Plan, trace: bool) -> Self {
        let mut rng = Rng::new(seed);
        let settings = Settings {
            heartbeat_max: Duration::MAX,
            failure_timeout: Duration::from_millis(100),
            window_bytes: 1000 + rng.below(3000),
            records_bytes_max: 100 + u32::try_from(rng.below(400)).unwrap(),
            chunk_bytes_max: 8 + u32::try_from(rng.below(60)).unwrap(),
            ack_every: Duration::from_millis(2),
            report_received: rng.chance(300),
            copy_pause: Duration::from_millis(20),
            copy_pause_max: Duration::from_millis(80),
            seed,
        };
        let (log, now) = histories(&mut rng, plan.begin);
        let lead = Lead::new(settings, log, plan, &mut rng);
        let brain = follower::Follower::new(settings, now.position());
        let tail = Tail {
            brain,
            now,
            old: None,
            incarnation: Incarnation::new(rng.next()),
            syncing: None,
            installing: None,
            begun: false,
            damaged: false,
        };
        Self {
            plan,
            trace,
            rng,
            ms: 1,
            settings,
            lead,
            tail,
            up: false,
            healed: true,
            writes: true,
            to_lead: VecDeque::new(),
            to_tail: VecDeque::new(),
            totals: Totals::default(),
        }
    }

    pub(crate) fn run(mut self) -> Totals {
        for _ in 0..800 {
            if self.rng.chance(4) {
                self.cut_link();
            }
            if self.rng.chance(2) {
                self.restart_tail();
            }
            if self.plan.trims && self.rng.chance(3) {
                self.trim();
            }
            self.step();
        }
        if matches!(self.plan.begin, Begin::Foreign) {
            return self.totals;
        }
        // Healthy, but under full load: it must get there all the same.
        let mut live = false;
        for _ in 0..1500 {
            self.step();
            live |= self.tail.brain.is_live();
        }
        assert!(live, "no stream under load; {:?}", self.lead.brain.progress());
        self.writes = false;
        self.commit();
        for _ in 0..20_000 {
            self.step();
            let end = self.lead.log.end();
            if self.tail.now.durable == end && self.tail.now.applied == end {
                break;
            }
        }
        self.expect_equal();
        self.totals
    }

    fn say(&self, who: &str, what: impl std::fmt::Debug) {
        if self.trace {
            println!("{:>6} {who} {what:?}", self.ms);
        }
    }

    fn now(&self) -> Monotonic {
        Monotonic::from_millis(self.ms)
    }

    fn step(&mut self) {
        self.ms += 1;
        if !self.up && self.healed && self.rng.chance(100) {
            self.up = true;
            self.tail.begun = false;
            self.say("net", "up");
        }
        self.begin_to_follow();
        self.disk();
        if self.writes {
            for _ in 0..self.rng.below(4) {
                self.write();
            }
        }
        while let Some(bytes) = due(&mut self.to_lead, self.ms) {
            self.lead_hears(&bytes);
        }
        while let Some(bytes) = due(&mut self.to_tail, self.ms) {
            self.tail_hears(&bytes);
        }
        while self.lead.answers.front().is_some_and(|&(at, _)| at <= self.ms) {
            let (_, question) = self.lead.answers.pop_front().unwrap();
            self.answer(&question);
        }
        self.lead_step(leader::Input::Tick);
        self.tail_step(follower::Input::Tick);
        let progress = self.lead.brain.progress();
        if self.tail.old.is_some() {
            let durable = progress.durable_end;
            assert_eq!(durable, Lsn::ZERO, "a copy that is not installed counts as durable");
        }
        let in_flight = progress.in_flight_bytes;
        let one_more =
            u64::from(self.settings.records_bytes_max.max(self.settings.chunk_bytes_max));
        assert!(in_flight <= self.settings.window_bytes + one_more + 64, "{in_flight} in flight");
    }

    fn write(&mut self) {
        let record = Rec::draw(&mut self.rng, EPOCH);
        self.lead.log.push(record);
        apply(&mut self.lead.space, record);
        let (end, chain) = (lsn(self.lead.log.end()), self.lead.log.chain());
        let log_bytes = end.get() * 20;
        self.lead_step(leader::Input::Appended { end, chain, stamp: Stamp::ZERO, log_bytes });
        if self.rng.chance(700) {
            self.commit();
        }
    }

    fn commit(&mut self) {
        self.lead.commit = self.lead.log.end();
        self.lead_step(leader::Input::Committed { end: lsn(self.lead.commit) });
    }

    fn trim(&mut self) {
        let span = (self.lead.log.end() - self.lead.oldest) as u64;
        self.lead.oldest += usize::try_from(self.rng.below(span + 1)).unwrap();
        self.lead_step(leader::Input::Trimmed { oldest: lsn(self.lead.oldest) });
    }

    fn cut_link(&mut self) {
        if !self.up {
            return;
        }
        self.say("net", "cut");
        self.up = false;
        self.to_lead.clear();
        self.to_tail.clear();
        self.lead_step(leader::Input::LinkDown);
        self.tail_step(follower::Input::LinkDown);
    }

    /// The follower's process dies and comes back from its disk.
    fn restart_tail(&mut self) {
        self.say("tail", "restarts");
        self.cut_link();
        self.reboot();
    }

    fn reboot(&mut self) {
        if let Some(old) = self.tail.old.take() {
            self.tail.now = old;
        }
        let now = &mut self.tail.now;
        now.log.cut(now.durable);
        now.applied = now.applied.min(now.log.end());
        now.space = Space::new();
        // Recovery replays what is committed for sure: here, all of a log that begins at zero.
        if now.log.base == 0 {
            for &record in now.log.range(0, now.applied) {
                apply(&mut now.space, record);
            }
        } else {
            // A copied generation recovers from its chunks; the toy recomputes them from the leader.
            for &record in self.lead.log.range(0, now.applied) {
                apply(&mut now.space, record);
            }
        }
        now.loaded.clear();
        self.tail.brain = follower::Follower::new(self.settings, self.tail.now.position());
        self.tail.syncing = None;
        self.tail.installing = None;
        self.tail.begun = false;
    }

    fn begin_to_follow(&mut self) {
        if !self.up || self.tail.begun || self.tail.brain.is_copying() {
            return;
        }
        self.tail.begun = true;
        let now = &mut self.tail.now;
        if now.pair == PairId::NONE {
            now.pair = PAIR; // As the switch does before it lets the node follow.
        }
        let follow = Follow {
            epoch: Epoch::new(u64::from(EPOCH)),
            node: NodeId::B,
            pair_id: now.pair,
            incarnation: self.tail.incarnation,
            history: now.log.history.clone(),
            oldest: lsn(now.log.base),
            end: lsn(now.log.end()),
            chain: now.log.chain(),
            damaged: self.tail.damaged,
        };
        self.tail_step(follower::Input::Begin(follow));
    }

    fn disk(&mut self) {
        match self.tail.syncing {
            Some((at, end)) if at <= self.ms => {
                self.tail.syncing = None;
                self.tail.now.durable = end;
                self.tail_step(follower::Input::Durable { end: lsn(end) });
            }
            None if self.tail.now.durable < self.tail.now.log.end() => {
                let end = self.tail.now.log.end();
                self.tail.syncing = Some((self.ms + 1 + self.rng.below(5), end));
            }
            _ => {}
        }
        if self.tail.installing.is_some_and(|at| at <= self.ms) {
            self.tail.installing = None;
            self.tail.old = None;
            self.tail.damaged = false;
            self.totals.copies_done += 1;
            self.tail_step(follower::Input::CopyInstalled);
            if !self.tail.brain.is_live() {
                self.tail.begun = false;
            }
        }
    }

    fn lead_step(&mut self, input: leader::Input) {
        let mut out = Vec::new();
        self.lead.brain.step(self.now(), input, &mut out);
        for output in out {
            self.say("lead", brief(&output));
            match output {
                leader::Output::Send(message) => {
                    let at = self.ms + 1 + self.rng.below(4);
                    send(&mut self.to_tail, self.up, at, &message);
                }
                // Within the same turn.
                leader::Output::TakeChunk { first, bytes_max } => self.take_chunk(first, bytes_max),
                question @ (leader::Output::LookUpChain { .. }
                | leader::Output::ReadRecords { .. }) => {
                    let at = self.ms + self.rng.below(4);
                    self.lead.answers.push_back((at, question));
                }
                leader::Output::Close(fault) => {
                    self.closed_by_lead(&fault);
                }
                leader::Output::HigherEpoch(epoch) => panic!("heard of {epoch}"),
                leader::Output::Event(_) => {}
            }
        }
    }

    fn closed_by_lead(&mut self, fault: &LinkFault) {
        match (fault, self.plan.begin) {
            (LinkFault::ForeignPair { .. }, Begin::Foreign) => {
                self.totals.refused += 1;
                self.healed = false;
            }
            (LinkFault::TooFarBehind { .. }, _) => {}
            _ => panic!("{fault}"),
        }
        self.cut_link();
    }

    fn answer(&mut self, question: &leader::Output) {
        let lead = &self.lead;
        let input = match *question {
            leader::Output::LookUpChain { lsn: at } => {
                let known = count(at) >= lead.oldest;
                let chain = known.then(|| lead.log.chain_at(count(at)));
                leader::Input::ChainAt { lsn: at, chain }
            }
            leader::Output::ReadRecords { from, until, .. } if count(from) < lead.oldest => {
                let _ = until;
                leader::Input::RecordsGone { from }
            }
            leader::Output::ReadRecords { from, until, bytes_max } => {
                let max = (bytes_max as usize / RECORD_BYTES).max(1);
                let end = count(until).min(count(from) + max);
                let records = lead.log.range(count(from), end);
                let bytes = records.iter().flat_map(|it| it.bytes()).collect();
                let chain = lead.log.chain_at(end);
                leader::Input::RecordsRead { from, end: lsn(end), chain, bytes }
            }
            _ => unreachable!("only questions are kept"),
        };
        self.lead_step(input);
    }

    fn take_chunk(&mut self, first: SlotId, bytes_max: u32) {
        let mut bytes = Vec::new();
        let mut last = SlotId { db: tandem_types::DbIndex::new(15).unwrap(), slot: 4095 };
        for (&slot, value) in self.lead.space.range(first..) {
            push_slot(&mut bytes, slot, &value.to_le_bytes());
            if bytes.len() >= bytes_max as usize {
                last = slot;
                break;
            }
        }
        let end = lsn(self.lead.log.end());
        self.lead_step(leader::Input::ChunkTaken { lsn: end, first, last, bytes });
    }

    fn lead_hears(&mut self, bytes: &[u8]) {
        match Message::decode(bytes).unwrap() {
            Message::Follow(follow) => self.lead_step(leader::Input::Follow(follow)),
            Message::Ack(ack) => self.lead_step(leader::Input::Ack(ack)),
            other => panic!("the leader got {}", other.name()),
        }
    }

    fn tail_hears(&mut self, bytes: &[u8]) {
        if self.up {
            let message = Message::decode(bytes).unwrap();
            self.tail_step(follower::Input::Message(message));
        }
    }

    fn tail_step(&mut self, input: follower::Input<'_>) {
        let mut out = Vec::new();
        self.tail.brain.step(self.now(), input, &mut out);
        for output in out {
            match output {
                follower::Output::Send(message) => {
                    self.say("tail", message.name());
                    let at = self.ms + 1 + self.rng.below(4);
                    send(&mut self.to_lead, self.up, at, &message);
                }
                follower::Output::AppendRecords { from, end, bytes } => {
                    self.append(count(from), count(end), &bytes);
                }
                follower::Output::ApplyTo { end } => self.apply_to(count(end)),
                follower::Output::SaveAndCut { to, chain, .. } => {
                    self.say("tail", ("cuts", to));
                    self.save_and_cut(count(to), chain);
                    return;
                }
                follower::Output::StartGeneration(start) => {
                    self.say("tail", ("copy from", start.start, start.keep));
                    let log = Log::from(count(start.start), start.chain, start.history);
                    let fresh = Generation {
                        pair: start.pair_id,
                        durable: log.end(),
                        applied: log.end(),
                        log,
                        space: Space::new(),
                        loaded: BTreeMap::new(),
                    };
                    self.tail.syncing = None;
                    self.tail.old = Some(std::mem::replace(&mut self.tail.now, fresh));
                }
                follower::Output::LoadChunk { lsn, first, last, bytes } => {
                    self.load_chunk(lsn, (first, last), &bytes);
                }
                follower::Output::CopyComplete { end } => {
                    self.say("tail", ("copy is whole at", end));
                    self.tail.installing = Some(self.ms + self.rng.below(10));
                }
                follower::Output::DropGeneration => {
                    self.say("tail", "drops the copy");
                    self.cut_link();
                    self.reboot();
                    return;
                }
                follower::Output::Close(fault) => panic!("{fault}"),
                follower::Output::HigherEpoch(epoch) => panic!("heard of {epoch}"),
                follower::Output::Event(event) => {
                    self.say("tail", event);
                    if let follower::Event::Resumed { .. } = event {
                        self.totals.resumed += 1;
                    }
                }
            }
        }
    }

    fn append(&mut self, from: usize, end: usize, bytes: &[u8]) {
        let log = &mut self.tail.now.log;
        assert_eq!(from, log.end());
        for bytes in bytes.chunks(RECORD_BYTES) {
            log.push(Rec::read(bytes));
        }
        assert_eq!(end, log.end());
        self.totals.appended += (end - from) as u64;
        let chain = log.chain();
        // The one promise of replication: nothing but the leader's history.
        assert_eq!(log.range(from, end), self.lead.log.range(from, end));
        assert_eq!(chain, self.lead.log.chain_at(end));
        self.tail_step(follower::Input::Appended { end: lsn(end), chain });
    }

    fn apply_to(&mut self, end: usize) {
        assert!(end <= self.lead.commit, "applies {end}, committed {}", self.lead.commit);
        let now = &mut self.tail.now;
        for at in now.applied..end {
            let record = now.log.range(at, at + 1)[0];
            let from = now.loaded.get(&record.slot_id()).copied().unwrap_or(Lsn::ZERO);
            if lsn(at) >= from {
                apply(&mut now.space, record);
            }
        }
        now.applied = end;
        if self.tail.brain.is_live() && self.rng.chance(20) {
            assert_eq!(self.tail.now.space, self.space_at(end), "key space at {end}");
        }
        self.tail_step(follower::Input::Applied { end: lsn(end) });
    }

    fn space_at(&self, end: usize) -> Space {
        let mut space = Space::new();
        for &record in self.lead.log.range(0, end) {
            apply(&mut space, record);
        }
        space
    }

    fn load_chunk(&mut self, lsn: Lsn, slots: (SlotId, SlotId), bytes: &[u8]) {
        let now = &mut self.tail.now;
        assert!(self.tail.old.is_some(), "a chunk outside a copy");
        let inside: Vec<_> = now.space.range(slots.0..=slots.1).map(|(&slot, _)| slot).collect();
        for slot in inside {
            now.space.remove(&slot);
        }
        // The toy notes only the slots that are ever used.
        for slot in SLOTS_USED {
            let record = Rec { epoch: 0, slot, value: 0, salt: 0 };
            if (slots.0..=slots.1).contains(&record.slot_id()) {
                now.loaded.insert(record.slot_id(), lsn);
            }
        }
        for piece in SlotPieces::new(bytes) {
            let (slot, value) = piece.unwrap();
            assert!((slots.0..=slots.1).contains(&slot));
            now.space.insert(slot, u64::from_le_bytes(value.try_into().unwrap()));
        }
    }

    fn save_and_cut(&mut self, to: usize, chain: tandem_types::Chain) {
        let log = &mut self.tail.now.log;
        if log.chain_at(to) != chain {
            self.tail.damaged = true;
            self.cut_link();
            self.reboot();
            return;
        }
        let lost = log.end() - to;
        assert!(lost > 0, "cuts nothing");
        log.cut(to);
        assert_eq!(log.records, self.lead.log.range(log.base, to), "cut at the wrong place");
        self.tail.now.durable = self.tail.now.durable.min(to);
        self.totals.cut += 1;
        self.cut_link();
        self.reboot();
    }

    fn expect_equal(&mut self) {
        for _ in 0..100 {
            self.step();
        }
        let end = self.lead.log.end();
        let now = &self.tail.now;
        assert_eq!(now.log.end(), end, "the log is not whole");
        assert_eq!((now.durable, now.applied), (end, end), "durable, applied");
        assert_eq!(now.space, self.lead.space);
        let progress = self.lead.brain.progress();
        assert_eq!(progress.durable_end, lsn(end));
        assert_eq!(progress.applied_end, lsn(end));
        assert!(progress.caught_up && progress.in_flight_bytes == 0, "{progress:?}");
        assert_eq!(self.lead.brain.lag(self.now()).unwrap().records, 0);
    }
}

impl Generation {
    fn position(&self) -> follower::Position {
        follower::Position {
            end: lsn(self.log.end()),
            durable_end: lsn(self.durable),
            applied_end: lsn(self.applied),
        }
    }
}

impl Lead {
    fn new(settings: Settings, log: Log, plan: Plan, rng: &mut Rng) -> Self {
        let mut space = Space::new();
        for &record in log.range(0, log.end()) {
            apply(&mut space, record);
        }
        let end = log.end();
        let trims = plan.trims && rng.chance(500);
        let oldest = if trims { usize::try_from(rng.below(end as u64 + 1)).unwrap() } else { 0 };
        let reign = leader::Reign {
            epoch: Epoch::new(u64::from(EPOCH)),
            node: NodeId::A,
            pair_id: PAIR,
            history: log.history.clone(),
            oldest: lsn(oldest),
            end: lsn(end),
            chain: log.chain(),
            stamp: Stamp::ZERO,
            commit_end: lsn(end),
        };
        let brain = leader::Leader::new(settings, reign, 20 * end as u64);
        Self { brain, log, space, oldest, commit: end, answers: VecDeque::new() }
    }
}

/// The leader's log of four reigns, and what the follower has of it.
fn histories(rng: &mut Rng, begin: Begin) -> (Log, Generation) {
    let mut log = Log::new();
    for epoch in 1..=EPOCH {
        for _ in 0..=rng.below(60) {
            log.push(Rec::draw(rng, epoch));
        }
    }
    let mut copy = log.clone();
    let kind = match begin {
        Begin::Any => [Begin::Behind, Begin::Diverged, Begin::Empty, Begin::Damaged]
            [usize::try_from(rng.below(4)).unwrap()],
        other => other,
    };
    let last_reign = count(log.history.last().unwrap().first);
    let to = match kind {
        Begin::Empty => 0,
        Begin::Diverged => 1 + usize::try_from(rng.below(last_reign as u64)).unwrap(),
        _ => 1 + usize::try_from(rng.below(log.end() as u64)).unwrap(),
    };
    copy.cut(to);
    let shared = copy.end();
    if matches!(kind, Begin::Diverged) {
        let last = u32::try_from(copy.history.last_epoch().get()).unwrap();
        let next = log.history.starts().iter().find(|it| it.first > lsn(to - 1)).unwrap();
        // More of the reign that the leader's log left just there, or a reign of its own.
        let same = next.first == lsn(to);
        let epoch = if same && rng.chance(500) { last } else { last + 1 };
        for _ in 0..=rng.below(30) {
            copy.push(Rec::draw(rng, epoch));
        }
    }
    if matches!(kind, Begin::Damaged) {
        for _ in 0..=rng.below(30) {
            let last = u32::try_from(copy.history.last_epoch().get()).unwrap();
            copy.push(Rec::draw(rng, last));
        }
    }
    let pair = match kind {
        Begin::Empty => PairId::NONE,
        Begin::Foreign => PairId::new(78),
        _ => PAIR,
    };
    let durable = copy.end();
    let applied = shared.min(copy.end());
    let mut space = Space::new();
    for &record in copy.range(0, applied) {
        apply(&mut space, record);
    }
    let generation =
        Generation { pair, log: copy, durable, space, applied, loaded: BTreeMap::new() };
    (log, generation)
}

fn due(queue: &mut VecDeque<(u64, Vec<u8>)>, ms: u64) -> Option<Vec<u8>> {
    if queue.front().is_some_and(|&(at, _)| at <= ms) {
        queue.pop_front().map(|(_, bytes)| bytes)
    } else {
        None
    }
}

fn send(queue: &mut VecDeque<(u64, Vec<u8>)>, up: bool, at: u64, message: &Message<'_>) {
    let bytes = message.to_bytes();
    assert_eq!(Message::decode(&bytes).as_ref(), Ok(message));
    if up {
        let at = queue.back().map_or(at, |&(last, _)| at.max(last));
        queue.push_back((at, bytes));
    }
}

fn brief(output: &leader::Output) -> String {
    match output {
        leader::Output::Send(Message::Records(it)) => format!("records {}..{}", it.from, it.end),
        leader::Output::Send(message) => message.name().to_owned(),
        other => format!("{other:?}"),
    }
}
