//! One node of the unaided model: a brain, a clock of its own, its disk, an abstract log, its end of the stream.

use std::collections::VecDeque;
use std::time::Duration;

use tandem_switch::{
    Acknowledge, Automatic, BootFacts, BootId, Direct, Event, FollowerEnds, Input, Load, NodeState,
    Output, OwnEnds, PeerMessage, Request, Settings, Testimony, Ticket, Unaided, Vitals,
};
use tandem_types::{Epoch, Incarnation, Lsn, NodeId, Pair};

use crate::node::{Rec, TICK_MS, at};

/// Inputs that may follow from one within the node; a sound brain needs a handful.
const STEPS_MAX: u32 = 1000;

/// What travels on the link.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Message {
    Switch(PeerMessage),
    Follow {
        epoch: Epoch,
        log: Vec<Rec>,
    },
    Records {
        epoch: Epoch,
        from: u8,
        recs: Vec<Rec>,
    },
    Ack {
        epoch: Epoch,
        end: u8,
    },
    /// A sign of life is wanted, and given.
    Beat {
        epoch: Epoch,
        asked: u8,
    },
    Answer {
        epoch: Epoch,
        asked: u8,
    },
}

/// A running process.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Life {
    pub brain: Direct,
    /// Writes of the state that the disk has not finished.
    pub writes: VecDeque<(u64, NodeState)>,
    pub following: Option<Epoch>,
    /// The follower whose stream runs in this connection, and what it has said that it has.
    pub streaming: bool,
    pub peer_end: u8,
    pub commit: u8,
    pub held: bool,
    /// It has seen that the link is up.
    pub linked: bool,
    pub stopping: bool,
    /// As of when, on its own clock, it knows that the peer lived: by whatever way.
    pub lived: u8,
    /// A channel has said that the peer serves a later reign than its own; they have not met since.
    pub outreigned: bool,
    /// The attempt to use the primary as a client: when it began, and whether the link was down then.
    pub attempt: Option<(u8, bool)>,
    /// It has seen the primary acknowledge a write that it cannot have; they have not met since.
    pub left_behind: bool,
    /// The last look at the ping targets reached one.
    pub network: bool,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Node {
    pub id: NodeId,
    /// In ticks: nobody else's.
    pub clock: u8,
    pub life: Option<Life>,
    pub disk: NodeState,
    pub log: Vec<Rec>,
}

/// What a step leads to outside the node.
#[derive(Default)]
pub struct Effects {
    pub sent: Vec<Message>,
    pub acked: Vec<u8>,
    pub fence: bool,
    pub closes: bool,
    pub events: Vec<Event>,
    /// Records that were saved before they were cut: the node begins anew.
    pub cut: Option<Vec<Rec>>,
}

impl Effects {
    fn join(&mut self, other: Self) {
        self.sent.extend(other.sent);
        self.acked.extend(other.acked);
        self.events.extend(other.events);
        self.fence |= other.fence;
        self.closes |= other.closes;
        self.cut = self.cut.take().or(other.cut);
    }
}

/// How the two nodes of a world are set up.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub unaided: Unaided,
    pub acknowledge: Acknowledge,
    /// Writes of the state take time.
    pub slow_disk: bool,
}

impl Setup {
    fn settings(&self, node: NodeId) -> Settings {
        let tick = Duration::from_millis(TICK_MS);
        Settings {
            node,
            names: Pair::default(),
            initial_primary: NodeId::A,
            acknowledge: self.acknowledge,
            failure_timeout: tick,
            hold: tick,
            automatic: Automatic {
                solo_after: tick,
                min_interval: Duration::ZERO,
                max_restarts: 0,
                unaided: self.unaided,
                ..Automatic::default()
            },
        }
    }
}

impl Node {
    pub fn new(id: NodeId) -> Self {
        let incarnation = Incarnation::new(if id == NodeId::A { 1 } else { 2 });
        Self { id, clock: 0, life: None, disk: NodeState::new(incarnation), log: Vec::new() }
    }

    pub fn boot_id(&self) -> BootId {
        BootId { incarnation: self.disk.incarnation, boot: self.disk.boot }
    }

    /// What its supervisor says once the process is gone.
    pub fn testimony(&self) -> Testimony {
        Testimony { boot: self.boot_id(), in_sync: self.disk.in_sync }
    }

    pub fn boot(&mut self, setup: &Setup) -> Effects {
        self.disk.boot += 1;
        let seed = self.disk.incarnation.get() * 1000 + self.disk.boot;
        let (settings, now) = (setup.settings(self.id), at(self.clock));
        let brain = Direct::new(settings, self.disk, BootFacts::default(), seed, now);
        self.life = Some(Life {
            brain,
            writes: VecDeque::new(),
            following: None,
            streaming: false,
            peer_end: 0,
            commit: 0,
            held: false,
            linked: false,
            stopping: false,
            lived: self.clock,
            outreigned: false,
            attempt: None,
            left_behind: false,
            network: false,
        });
        self.give(setup, Input::Tick)
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

    /// What it says on a channel. Positions and load are for people only.
    pub fn vitals(&self) -> Option<Vitals> {
        let vitals = self.life.as_ref()?.brain.vitals(Load::default());
        Some(Vitals { appended_end: Lsn::ZERO, durable_end: Lsn::ZERO, ..vitals })
    }

    /// One input, and everything that follows from it within the node.
    pub fn give(&mut self, setup: &Setup, input: Input) -> Effects {
        let mut effects = Effects::default();
        let mut inputs = VecDeque::from([input]);
        let mut steps = 0;
        while let Some(input) = inputs.pop_front() {
            steps += 1;
            assert!(steps < STEPS_MAX, "the brain never comes to rest: {input:?}");
            let own = self.own();
            let Some(life) = &mut self.life else { break };
            let mut out = Vec::new();
            life.brain.step(at(self.clock), own, input, &mut out);
            for output in out {
                self.carry_out(setup, output, &mut inputs, &mut effects);
            }
            self.commit(setup, &mut effects);
        }
        effects
    }

    fn carry_out(
        &mut self,
        setup: &Setup,
        output: Output,
        inputs: &mut VecDeque<Input>,
        effects: &mut Effects,
    ) {
        let Some(life) = &mut self.life else { return };
        match output {
            Output::Persist { version, state } if setup.slow_disk => {
                life.writes.push_back((version, state));
            }
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
                    let asked = self.clock;
                    effects.sent.push(Message::Beat { epoch: reign.epoch, asked });
                }
            }
            Output::ReleaseWrites => life.held = false,
            Output::Fence => effects.fence = true,
            Output::CloseLink { .. } => effects.closes = true,
            Output::RecordsLost { .. } => unreachable!("no disk here goes back"),
            Output::Event(event) => effects.events.push(event),
            Output::Mediator(_) | Output::Answer { .. } => {}
        }
    }

    /// The node's rule: what is acknowledged.
    fn commit(&mut self, setup: &Setup, effects: &mut Effects) {
        let end = self.end();
        let Some(life) = &mut self.life else { return };
        if !life.brain.is_serving() {
            return;
        }
        let waits = setup.acknowledge != Acknowledge::Local && life.brain.needs_peer();
        let to = if waits { end.min(life.peer_end) } else { end };
        while life.commit < to {
            if let Rec::Write(write) = self.log[usize::from(life.commit)] {
                effects.acked.push(write);
            }
            life.commit += 1;
        }
    }

    /// The disk finishes the oldest write of the state.
    pub fn written(&mut self, setup: &Setup) -> Effects {
        let write = self.life.as_mut().and_then(|life| life.writes.pop_front());
        let Some((version, state)) = write else { return Effects::default() };
        self.disk = state;
        self.give(setup, Input::Persisted { version })
    }

    pub fn write(&mut self, setup: &Setup, id: u8) -> Effects {
        let epoch = self.serves().unwrap();
        let from = self.end();
        self.log.push(Rec::Write(id));
        let mut effects = Effects::default();
        if self.life.as_ref().is_some_and(|life| life.streaming && life.peer_end == from) {
            effects.sent.push(Message::Records { epoch, from, recs: vec![Rec::Write(id)] });
        }
        self.commit(setup, &mut effects);
        effects
    }

    pub fn hear(&mut self, setup: &Setup, message: Message) -> Effects {
        let serves = self.serves();
        let Some(life) = &mut self.life else { return Effects::default() };
        let mut effects = Effects::default();
        match message {
            Message::Switch(said) => {
                life.lived = self.clock;
                let met = matches!(said, PeerMessage::Greeting(_));
                life.outreigned &= !met;
                life.left_behind &= !met;
                return self.give(setup, Input::PeerSaid(said));
            }
            Message::Follow { epoch, log } if serves == Some(epoch) => {
                let same = self.log.iter().zip(&log).take_while(|(a, b)| a == b).count();
                life.streaming = true;
                life.peer_end = 0;
                let (from, recs) = (u8::try_from(same).unwrap(), self.log[same..].to_vec());
                effects.sent.push(Message::Records { epoch, from, recs });
            }
            Message::Records { epoch, from, recs } if life.following == Some(epoch) => {
                return self.append(setup, epoch, from, recs);
            }
            Message::Ack { epoch, end } if serves == Some(epoch) && life.streaming => {
                life.lived = self.clock;
                life.peer_end = end;
                self.commit(setup, &mut effects);
                let rest = self.log[usize::from(end)..].to_vec();
                if !rest.is_empty() {
                    effects.sent.push(Message::Records { epoch, from: end, recs: rest });
                }
                let end = Lsn::new(u64::from(end));
                // The worst that a leader may call so.
                let caught_up = true;
                let (received_end, durable_end, applied_end) = (end, end, end);
                let ends = FollowerEnds { received_end, durable_end, applied_end, caught_up };
                effects.join(self.give(setup, Input::Follower(ends)));
            }
            Message::Beat { epoch, asked } if life.following == Some(epoch) => {
                effects.sent.push(Message::Answer { epoch, asked });
            }
            Message::Answer { epoch, asked } => {
                let (asked, lease) = (at(asked), Duration::ZERO);
                return self.give(setup, Input::Confirmed { epoch, asked, lease });
            }
            Message::Follow { .. }
            | Message::Records { .. }
            | Message::Ack { .. }
            | Message::Beat { .. } => {} // Of a reign that is over.
        }
        effects
    }

    fn append(&mut self, setup: &Setup, epoch: Epoch, from: u8, recs: Vec<Rec>) -> Effects {
        let mut effects = Effects::default();
        if from < self.end() {
            effects.cut = Some(self.log.split_off(usize::from(from)));
            return effects;
        }
        if from == self.end() {
            self.log.extend(recs);
            effects.sent.push(Message::Ack { epoch, end: self.end() });
            effects.join(self.give(setup, Input::Tick));
        }
        effects
    }

    pub fn ask(&mut self, setup: &Setup, request: Request) -> Effects {
        self.give(setup, Input::Ask { ticket: Ticket(1), request })
    }
}
