//! One node of the model: a brain, its disk, an abstract log and its end of the stream.

use tandem_switch::{
    Acknowledge, Automatic, BootFacts, BootId, FollowerEnds, Input, Mediated, MediatorEvent,
    MediatorRequest, NodeState, Output, OwnEnds, PeerMessage, ReadRight, Request, Settings, Ticket,
};
use tandem_types::{Epoch, Incarnation, Lsn, Monotonic, NodeId, Pair};

/// One unit of the model's clock.
pub const TICK_MS: u64 = 1000;

/// Inputs that may follow from one within the node; a sound brain needs a handful.
const STEPS_MAX: u32 = 1000;

pub fn at(ticks: u8) -> Monotonic {
    Monotonic::from_millis(u64::from(ticks) * TICK_MS)
}

/// What is in a log.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Rec {
    Start(Epoch),
    Write(u8),
}

/// What travels on the link.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Message {
    Switch(PeerMessage),
    Follow { epoch: Epoch, log: Vec<Rec> },
    Records { epoch: Epoch, from: u8, recs: Vec<Rec> },
    Ack { epoch: Epoch, end: u8 },
    Beat { epoch: Epoch, asked: u8 },
    Answer { epoch: Epoch, asked: u8, lease_ms: u64 },
}

/// A running process.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Life {
    pub brain: Mediated,
    pub following: Option<Epoch>,
    /// The follower whose stream runs in this connection, and what it has said that it has.
    pub streaming: bool,
    pub peer_end: u8,
    pub commit: u8,
    pub beat_at: Option<u8>,
    pub held: bool,
    /// It has seen that the link is up.
    pub linked: bool,
    pub stopping: bool,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Node {
    pub id: NodeId,
    pub life: Option<Life>,
    pub disk: NodeState,
    pub log: Vec<Rec>,
}

/// What a step leads to outside the node.
#[derive(Default)]
pub struct Effects {
    pub sent: Vec<Message>,
    pub changes: Vec<(u64, tandem_switch::Change)>,
    pub acked: Vec<u8>,
    pub shrunk: bool,
    pub grown: bool,
    pub rewritten: bool,
}

pub fn settings(node: NodeId, acknowledge: Acknowledge) -> Settings {
    let tick = std::time::Duration::from_millis(TICK_MS);
    Settings {
        node,
        names: Pair::default(),
        initial_primary: NodeId::A,
        acknowledge,
        failure_timeout: tick,
        hold: tick,
        automatic: Automatic {
            solo_after: tick,
            min_interval: std::time::Duration::ZERO,
            session: tick,
            read_lease: tick,
            max_restarts: 0,
            ..Automatic::default()
        },
    }
}

impl Node {
    pub fn new(id: NodeId) -> Self {
        let incarnation = Incarnation::new(if id == NodeId::A { 1 } else { 2 });
        Self { id, life: None, disk: NodeState::new(incarnation), log: Vec::new() }
    }

    pub fn boot_id(&self) -> BootId {
        BootId { incarnation: self.disk.incarnation, boot: self.disk.boot }
    }

    pub fn boot(&mut self, acknowledge: Acknowledge, now: u8) -> Effects {
        self.disk.boot += 1;
        let seed = self.disk.incarnation.get() * 1000 + self.disk.boot;
        let facts = BootFacts::default();
        let brain = Mediated::new(settings(self.id, acknowledge), self.disk, facts, seed, at(now));
        self.life = Some(Life {
            brain,
            following: None,
            streaming: false,
            peer_end: 0,
            commit: 0,
            beat_at: None,
            held: false,
            linked: false,
            stopping: false,
        });
        self.give(now, Input::Tick)
    }

    /// The disk is replaced by an empty one.
    pub fn lose_disk(&mut self) {
        let incarnation = Incarnation::new(self.disk.incarnation.get() + 10);
        let boot = self.disk.boot;
        self.disk = NodeState { boot, ..NodeState::new(incarnation) };
        self.log.clear();
    }

    fn end(&self) -> u8 {
        u8::try_from(self.log.len()).unwrap()
    }

    fn own(&self) -> OwnEnds {
        let end = Lsn::new(u64::from(self.end()));
        let commit = self.life.as_ref().map_or(0, |life| life.commit);
        let commit_end = Lsn::new(u64::from(commit));
        OwnEnds { appended_end: end, durable_end: end, applied_end: end, commit_end }
    }

    /// The epoch that this node serves.
    pub fn serves(&self) -> Option<Epoch> {
        let brain = &self.life.as_ref()?.brain;
        if brain.is_serving() { brain.reign().map(|reign| reign.epoch) } else { None }
    }

    pub fn may_read(&self, now: u8) -> bool {
        self.life.as_ref().is_some_and(|life| match life.brain.read_right(at(now)) {
            ReadRight::Free | ReadRight::ExecutedBy(_) => true,
            ReadRight::Until(until) => at(now) < until,
            ReadRight::None => false,
        })
    }

    /// One input, and everything that follows from it within the node. The disk is fast.
    pub fn give(&mut self, now: u8, input: Input) -> Effects {
        let mut effects = Effects::default();
        let mut inputs = std::collections::VecDeque::from([input]);
        let mut steps = 0;
        while let Some(input) = inputs.pop_front() {
            steps += 1;
            assert!(steps < STEPS_MAX, "the brain never comes to rest: {input:?}");
            let own = self.own();
            let Some(life) = &mut self.life else { break };
            let mut out = Vec::new();
            life.brain.step(at(now), own, input, &mut out);
            for output in out {
                self.carry_out(now, output, &mut inputs, &mut effects);
            }
            self.commit(&mut effects);
        }
        effects
    }

    fn carry_out(
        &mut self,
        now: u8,
        output: Output,
        inputs: &mut std::collections::VecDeque<Input>,
        effects: &mut Effects,
    ) {
        let Some(life) = &mut self.life else { return };
        match output {
            Output::Persist { version, state } => {
                self.disk = state;
                inputs.push_back(Input::Persisted { version });
            }
            Output::Send(message) => effects.sent.push(Message::Switch(message)),
            Output::BeginReign { reign, .. } => {
                life.commit = 0;
                self.log.push(Rec::Start(reign.epoch));
                let end = Lsn::new(u64::from(self.end()));
                inputs.push_back(Input::ReignBegun { epoch: reign.epoch, end });
            }
            Output::Serve { .. } => {
                life.following = None;
                life.streaming = false;
                life.peer_end = 0;
                life.commit = 0;
                life.held = false;
            }
            Output::Demote { .. } => {
                life.streaming = false;
                life.peer_end = 0;
                life.held = false;
            }
            Output::Follow { reign, .. } => {
                life.following = Some(reign.epoch);
                let log = self.log.clone();
                effects.sent.push(Message::Follow { epoch: reign.epoch, log });
            }
            Output::Unfollow => life.following = None,
            Output::HoldWrites => {
                life.held = true;
                if let Some(reign) = life.brain.reign() {
                    effects.sent.push(Message::Beat { epoch: reign.epoch, asked: now });
                }
            }
            Output::ReleaseWrites => life.held = false,
            Output::Mediator(MediatorRequest::Change { number, change }) => {
                effects.changes.push((number, change));
            }
            Output::Event(tandem_switch::Event::Shrunk { .. }) => effects.shrunk = true,
            Output::Event(tandem_switch::Event::Grown { .. }) => effects.grown = true,
            Output::Event(tandem_switch::Event::RecordWritten) => effects.rewritten = true,
            Output::RecordsLost { .. } => unreachable!("no disk here goes back"),
            Output::Mediator(_)
            | Output::Fence
            | Output::CloseLink { .. }
            | Output::Answer { .. }
            | Output::Event(_) => {}
        }
    }

    /// The node's rule: what is acknowledged.
    fn commit(&mut self, effects: &mut Effects) {
        let end = self.end();
        let Some(life) = &mut self.life else { return };
        if !life.brain.is_serving() {
            return;
        }
        let to = if life.brain.needs_peer() { end.min(life.peer_end) } else { end };
        while life.commit < to {
            if let Rec::Write(write) = self.log[usize::from(life.commit)] {
                effects.acked.push(write);
            }
            life.commit += 1;
        }
    }

    pub fn write(&mut self, now: u8, id: u8) -> Effects {
        let epoch = self.serves().unwrap();
        let from = self.end();
        self.log.push(Rec::Write(id));
        let mut effects = Effects::default();
        if self.life.as_ref().is_some_and(|life| life.streaming && life.peer_end == from) {
            effects.sent.push(Message::Records { epoch, from, recs: vec![Rec::Write(id)] });
        }
        self.commit(&mut effects);
        let _ = now;
        effects
    }

    pub fn beat(&mut self, now: u8) -> Effects {
        let epoch = self.serves().unwrap();
        let mut effects = Effects::default();
        if let Some(life) = &mut self.life {
            life.beat_at = Some(now);
            effects.sent.push(Message::Beat { epoch, asked: now });
        }
        effects
    }

    pub fn hear(&mut self, now: u8, message: Message) -> Effects {
        let own_end = self.end();
        let serves = self.serves();
        let Some(life) = &mut self.life else { return Effects::default() };
        let mut effects = Effects::default();
        match message {
            Message::Switch(said) => return self.give(now, Input::PeerSaid(said)),
            Message::Follow { epoch, log } => {
                if serves == Some(epoch) {
                    let same = self.log.iter().zip(&log).take_while(|(a, b)| a == b).count();
                    life.streaming = true;
                    life.peer_end = 0;
                    // One record at a time: the next when this one is acknowledged.
                    let recs = self.log[same..].iter().copied().take(1).collect();
                    let from = u8::try_from(same).unwrap();
                    effects.sent.push(Message::Records { epoch, from, recs });
                }
            }
            Message::Records { epoch, from, recs } => {
                if life.following == Some(epoch) && from <= own_end {
                    self.log.truncate(usize::from(from));
                    self.log.extend(recs);
                    let end = self.end();
                    effects.sent.push(Message::Ack { epoch, end });
                    let more = self.give(now, Input::Tick);
                    effects.sent.extend(more.sent);
                    effects.changes.extend(more.changes);
                }
            }
            Message::Ack { epoch, end } => {
                if serves == Some(epoch) && life.streaming {
                    life.peer_end = end;
                    self.commit(&mut effects);
                    if let Some(&next) = self.log.get(usize::from(end)) {
                        let recs = vec![next];
                        effects.sent.push(Message::Records { epoch, from: end, recs });
                    }
                    let end_lsn = Lsn::new(u64::from(end));
                    // The worst that a leader may call so.
                    let caught_up = true;
                    let ends = FollowerEnds {
                        received_end: end_lsn,
                        durable_end: end_lsn,
                        applied_end: end_lsn,
                        caught_up,
                    };
                    let mut more = self.give(now, Input::Follower(ends));
                    more.acked.extend(effects.acked);
                    effects.sent.append(&mut more.sent);
                    more.sent = effects.sent;
                    return more;
                }
            }
            Message::Beat { epoch, asked } => {
                if life.following == Some(epoch) {
                    let lease_ms = life
                        .brain
                        .grant_lease(at(now))
                        .map_or(0, |grant| u64::try_from(grant.lease.as_millis()).unwrap());
                    effects.sent.push(Message::Answer { epoch, asked, lease_ms });
                }
            }
            Message::Answer { epoch, asked, lease_ms } => {
                let lease = std::time::Duration::from_millis(lease_ms);
                return self.give(now, Input::Confirmed { epoch, asked: at(asked), lease });
            }
        }
        effects
    }

    pub fn ask(&mut self, now: u8, request: Request) -> Effects {
        self.give(now, Input::Ask { ticket: Ticket(1), request })
    }

    pub fn mediator(&mut self, now: u8, event: MediatorEvent) -> Effects {
        self.give(now, Input::Mediator(event))
    }
}
