//! The world of the model: two nodes, the link, the mediator, and what may go wrong, each within a budget.

use std::collections::VecDeque;

use stateright::{Model, Property};
use tandem_switch::{
    Acknowledge, BootId, Change, Input, MediatorEvent, MediatorView, Outcome, Presence, Record,
    RecordState, Request, Revision,
};
use tandem_types::{Epoch, ForkId, NodeId, Pair, PairId, Role};

use crate::node::{Effects, Message, Node, Rec};

/// How much of everything may happen.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Budget {
    pub writes: u8,
    pub ticks: u8,
    pub crashes: u8,
    pub disk_losses: u8,
    pub link_breaks: u8,
    pub mediator_cuts: u8,
    pub presence_lapses: u8,
    pub unknowns: u8,
    pub certificates: u8,
    pub switches: u8,
    pub stops: u8,
    pub empties: u8,
    /// The record is replaced by the one before it, as from a backup.
    pub restores: u8,
    pub beats: u8,
    /// Largest epoch that is explored.
    pub epochs: u8,
    /// It is small enough to come to something.
    pub goals: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub acknowledge: Acknowledge,
    pub budget: Budget,
    /// Begin with a pair that is in sync and serves.
    pub warm: bool,
}

/// A request on its way to the mediator.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Asked {
    node: NodeId,
    boot: u64,
    number: u64,
    change: Change,
    /// The node has been told that nobody knows.
    answered: bool,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct World {
    pub nodes: Pair<Node>,
    pub now: u8,
    pub ticked: Pair<u8>,
    pub up: bool,
    /// Towards this node.
    pub wire: Pair<VecDeque<Message>>,
    pub life: u64,
    pub record: Option<(Revision, Record)>,
    /// The record before it, where that may come back.
    pub past: Option<Record>,
    pub keeps_past: bool,
    pub present: Pair<Option<BootId>>,
    pub session: Pair<bool>,
    pub asked: Vec<Asked>,
    pub answers: Pair<VecDeque<MediatorEvent>>,
    pub shown: Pair<Option<Shown>>,
    pub acked: Vec<u8>,
    pub reigns: Vec<(Epoch, ForkId, NodeId)>,
    pub left: Budget,
    pub writes: u8,
    pub died: Pair<Option<BootId>>,
    pub took_over: bool,
    pub shrunk: bool,
    pub grown: bool,
    pub handed: bool,
    pub rewritten: bool,
    pub twice: bool,
}

/// What a node was last shown.
pub type Shown = (Option<Revision>, Pair<Option<BootId>>);

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    Boot(NodeId),
    Crash(NodeId),
    LoseDisk(NodeId),
    Tick(NodeId),
    Time,
    Deliver(NodeId),
    Break,
    Notice(NodeId),
    Connect,
    Session(NodeId),
    CutMediator(NodeId),
    Show(NodeId),
    Apply(u8),
    Lose(u8),
    Unknown(u8),
    Answer(NodeId),
    Lapse(NodeId),
    Return(NodeId),
    Empty,
    Restore,
    Certify(NodeId),
    Write(NodeId),
    Beat(NodeId),
    Switch(NodeId),
    Stop(NodeId),
}

const NODES: [NodeId; 2] = [NodeId::A, NodeId::B];

impl World {
    fn new(plan: &Plan) -> Self {
        let nodes = Pair { a: Node::new(NodeId::A), b: Node::new(NodeId::B) };
        let mut world = Self {
            nodes,
            now: 0,
            ticked: Pair { a: 0, b: 0 },
            up: false,
            wire: Pair::default(),
            life: 1,
            record: None,
            past: None,
            keeps_past: plan.budget.restores > 0,
            present: Pair::default(),
            session: Pair { a: false, b: false },
            asked: Vec::new(),
            answers: Pair::default(),
            shown: Pair::default(),
            acked: Vec::new(),
            reigns: Vec::new(),
            left: plan.budget,
            writes: 0,
            died: Pair::default(),
            took_over: false,
            shrunk: false,
            grown: false,
            handed: false,
            rewritten: false,
            twice: false,
        };
        for node in NODES {
            world.act(plan, Action::Boot(node));
            world.act(plan, Action::Session(node));
        }
        world.act(plan, Action::Connect);
        if plan.warm {
            world.run_until_in_sync(plan);
        }
        world
    }

    /// The shortest way to a pair in sync: whatever can be delivered is.
    fn run_until_in_sync(&mut self, plan: &Plan) {
        self.left = Budget { beats: 9, ..Budget::default() };
        for _ in 0..200 {
            let mut actions = Vec::new();
            self.actions(&mut actions);
            let next = actions.iter().copied().find(|action| {
                matches!(
                    action,
                    Action::Deliver(_)
                        | Action::Apply(_)
                        | Action::Answer(_)
                        | Action::Show(_)
                        | Action::Beat(_)
                )
            });
            let Some(action) = next else { break };
            self.act(plan, action);
        }
        assert!(self.record.is_some_and(|(_, it)| it.is_both()), "not in sync: {self:#?}");
        self.left = plan.budget;
        self.grown = false;
    }

    fn quiet(&self, node: NodeId) -> bool {
        self.answers[node].is_empty() && !self.asked.iter().any(|it| it.node == node)
    }

    fn settle(&mut self, node: NodeId, effects: Effects) {
        let peer = node.peer();
        let boot = self.nodes[node].disk.boot;
        if self.up && self.linked(node) && self.linked(peer) {
            self.wire[peer].extend(effects.sent);
        }
        for (number, change) in effects.changes {
            if self.session[node] {
                self.asked.push(Asked { node, boot, number, change, answered: false });
            }
        }
        for write in effects.acked {
            if !self.acked.contains(&write) {
                self.acked.push(write);
                self.acked.sort_unstable();
            }
        }
        self.shrunk |= effects.shrunk;
        self.grown |= effects.grown;
        self.rewritten |= effects.rewritten;
        for id in NODES {
            let quiet = self.quiet(id);
            if let Some(life) = &mut self.nodes[id].life {
                life.brain.normalise(quiet);
            }
        }
    }

    fn linked(&self, node: NodeId) -> bool {
        self.nodes[node].life.as_ref().is_some_and(|life| life.linked)
    }

    fn alive(&self, node: NodeId) -> bool {
        self.nodes[node].life.is_some()
    }

    fn view(&self) -> MediatorView {
        let record = match self.record {
            None => RecordState::Absent,
            Some((revision, record)) => RecordState::Present { revision, record },
        };
        let mut present = Pair::default();
        for node in NODES {
            present[node] = self.present[node].map(|boot| {
                let pair_id = if self.nodes[node].disk.incarnation == boot.incarnation {
                    self.nodes[node].disk.pair_id
                } else {
                    PairId::NONE
                };
                Presence { boot, pair_id, epoch_seen: Epoch::ZERO, role: Role::Joining }
            });
        }
        MediatorView { asked: None, record, present }
    }

    fn shows(&self) -> Shown {
        (self.record.map(|(revision, _)| revision), self.present)
    }

    fn actions(&self, out: &mut Vec<Action>) {
        for node in NODES {
            if self.alive(node) {
                self.actions_of(node, out);
            } else {
                out.push(Action::Boot(node));
                if self.left.disk_losses > 0 && !self.nodes[node].disk.is_empty() {
                    out.push(Action::LoseDisk(node));
                }
            }
            if self.present[node].is_some() && !(self.alive(node) && self.session[node]) {
                out.push(Action::Lapse(node));
            }
        }
        if self.left.ticks > 0 {
            out.push(Action::Time);
        }
        if self.up && self.left.link_breaks > 0 {
            out.push(Action::Break);
        }
        let free = NODES.iter().all(|&node| self.alive(node) && !self.linked(node));
        if !self.up && free {
            out.push(Action::Connect);
        }
        if self.left.empties > 0 && self.record.is_some() {
            out.push(Action::Empty);
        }
        if self.left.restores > 0 && self.past.is_some() {
            out.push(Action::Restore);
        }
        for (index, asked) in self.asked.iter().enumerate() {
            let index = u8::try_from(index).unwrap();
            out.push(Action::Apply(index));
            if asked.answered {
                out.push(Action::Lose(index));
            } else if self.left.unknowns > 0 {
                out.push(Action::Unknown(index));
            }
        }
    }

    fn actions_of(&self, node: NodeId, out: &mut Vec<Action>) {
        let Some(life) = &self.nodes[node].life else { return };
        if !self.wire[node].is_empty() && life.linked {
            out.push(Action::Deliver(node));
        }
        if life.linked && !self.up {
            out.push(Action::Notice(node));
        }
        if self.ticked[node] != self.now {
            out.push(Action::Tick(node));
        }
        if self.session[node] {
            if !self.answers[node].is_empty() {
                out.push(Action::Answer(node));
            } else if self.shown[node].as_ref() != Some(&self.shows()) {
                out.push(Action::Show(node));
            }
            if self.left.mediator_cuts > 0 {
                out.push(Action::CutMediator(node));
            }
            if self.present[node] != Some(self.nodes[node].boot_id()) {
                out.push(Action::Return(node));
            } else if self.left.presence_lapses > 0 {
                out.push(Action::Lapse(node));
            }
        } else {
            out.push(Action::Session(node));
        }
        let peer = node.peer();
        if self.left.certificates > 0
            && let Some(boot) = self.died[peer]
            && (!self.alive(peer) || self.nodes[peer].boot_id() != boot)
        {
            out.push(Action::Certify(node));
        }
        if self.left.crashes > 0 {
            out.push(Action::Crash(node));
        }
        if self.left.stops > 0 && !life.stopping {
            out.push(Action::Stop(node));
        }
        if self.nodes[node].serves().is_some() {
            if self.left.writes > 0 && !life.held {
                out.push(Action::Write(node));
            }
            if life.linked && self.up && self.left.beats > 0 && life.beat_at != Some(self.now) {
                out.push(Action::Beat(node));
            }
            if self.left.switches > 0 && !life.held {
                out.push(Action::Switch(node));
            }
        }
    }

    pub fn act(&mut self, plan: &Plan, action: Action) {
        let now = self.now;
        match action {
            Action::Boot(node) => {
                let effects = self.nodes[node].boot(plan.acknowledge, now);
                self.session[node] = false;
                self.shown[node] = None;
                self.ticked[node] = now;
                self.settle(node, effects);
            }
            Action::Crash(node) => {
                self.left.crashes -= 1;
                self.died[node] = Some(self.nodes[node].boot_id());
                self.stop_process(node);
            }
            Action::LoseDisk(node) => {
                self.left.disk_losses -= 1;
                self.nodes[node].lose_disk();
            }
            Action::Time => {
                self.left.ticks -= 1;
                self.now += 1;
            }
            Action::Tick(node) => {
                self.ticked[node] = now;
                let effects = self.nodes[node].give(now, Input::Tick);
                self.settle(node, effects);
            }
            Action::Deliver(node) => {
                let Some(message) = self.wire[node].pop_front() else { return };
                let effects = self.nodes[node].hear(now, message);
                self.settle(node, effects);
            }
            Action::Break => {
                self.left.link_breaks -= 1;
                self.up = false;
                self.wire = Pair::default();
            }
            Action::Notice(node) => self.unlink(node),
            Action::Connect => {
                self.up = true;
                for node in NODES {
                    if let Some(life) = &mut self.nodes[node].life {
                        life.linked = true;
                        life.streaming = false;
                        life.following = None;
                    }
                }
                for node in NODES {
                    let effects = self.nodes[node].give(now, Input::PeerUp);
                    self.settle(node, effects);
                }
            }
            Action::Session(_)
            | Action::CutMediator(_)
            | Action::Show(_)
            | Action::Apply(_)
            | Action::Lose(_)
            | Action::Unknown(_)
            | Action::Answer(_)
            | Action::Lapse(_)
            | Action::Return(_)
            | Action::Empty
            | Action::Restore => self.act_at_mediator(action),
            Action::Certify(node) => {
                self.left.certificates -= 1;
                let Some(boot) = self.died[node.peer()] else { return };
                let effects = self.nodes[node].give(now, Input::PeerDied(boot));
                self.settle(node, effects);
            }
            Action::Write(node) => {
                self.left.writes -= 1;
                self.writes += 1;
                let effects = self.nodes[node].write(now, self.writes);
                self.settle(node, effects);
            }
            Action::Beat(node) => {
                self.left.beats -= 1;
                let effects = self.nodes[node].beat(now);
                self.settle(node, effects);
            }
            Action::Switch(node) => {
                self.left.switches -= 1;
                let effects = self.nodes[node].ask(now, Request::Switch { to: None });
                self.settle(node, effects);
            }
            Action::Stop(node) => {
                self.left.stops -= 1;
                if let Some(life) = &mut self.nodes[node].life {
                    life.stopping = true;
                }
                let effects = self.nodes[node].ask(now, Request::Stop);
                self.settle(node, effects);
            }
        }
    }

    fn stop_process(&mut self, node: NodeId) {
        self.nodes[node].life = None;
        self.session[node] = false;
        self.answers[node].clear();
        self.shown[node] = None;
        self.up = false;
        self.wire = Pair::default();
    }

    fn unlink(&mut self, node: NodeId) {
        if let Some(life) = &mut self.nodes[node].life {
            life.linked = false;
            life.streaming = false;
            life.peer_end = 0;
            life.following = None;
        }
        let effects =
            self.nodes[node].give(self.now, Input::PeerDown { silent: std::time::Duration::ZERO });
        self.settle(node, effects);
    }

    fn act_at_mediator(&mut self, action: Action) {
        let now = self.now;
        match action {
            Action::Session(node) => {
                self.session[node] = true;
                self.shown[node] = None;
                self.present[node] = Some(self.nodes[node].boot_id());
                let up = MediatorEvent::Up { endpoint: String::new() };
                let effects = self.nodes[node].mediator(now, up);
                self.settle(node, effects);
            }
            Action::CutMediator(node) => {
                self.left.mediator_cuts -= 1;
                self.session[node] = false;
                self.answers[node].clear();
                for asked in &mut self.asked {
                    asked.answered |= asked.node == node;
                }
                let down = MediatorEvent::Down { reason: String::new() };
                let effects = self.nodes[node].mediator(now, down);
                self.settle(node, effects);
            }
            Action::Show(node) => {
                self.shown[node] = Some(self.shows());
                let view = MediatorEvent::View(self.view());
                let effects = self.nodes[node].mediator(now, view);
                self.settle(node, effects);
            }
            Action::Answer(node) => {
                let Some(answer) = self.answers[node].pop_front() else { return };
                let effects = self.nodes[node].mediator(now, answer);
                self.settle(node, effects);
            }
            Action::Lapse(node) => {
                if self.alive(node) && self.session[node] {
                    self.left.presence_lapses -= 1;
                }
                self.present[node] = None;
            }
            Action::Return(node) => self.present[node] = Some(self.nodes[node].boot_id()),
            Action::Empty => {
                self.left.empties -= 1;
                self.life += 1;
                self.record = None;
                // What the record said before, nobody knows any more.
                self.reigns.clear();
            }
            Action::Restore => {
                self.left.restores -= 1;
                self.life += 1;
                let revision = Revision { life: self.life, version: 1 };
                self.record = self.past.take().map(|record| (revision, record));
                self.reigns.clear();
            }
            Action::Apply(index) => {
                let asked = self.asked.remove(usize::from(index));
                let outcome = self.compare_and_set(&asked.change);
                let same = self.nodes[asked.node].disk.boot == asked.boot;
                if !asked.answered && same && self.session[asked.node] && self.alive(asked.node) {
                    let event = MediatorEvent::Outcome { number: asked.number, outcome };
                    self.answers[asked.node].push_back(event);
                }
            }
            Action::Lose(index) => {
                self.asked.remove(usize::from(index));
            }
            Action::Unknown(index) => {
                self.left.unknowns -= 1;
                let asked = &mut self.asked[usize::from(index)];
                asked.answered = true;
                let (node, number) = (asked.node, asked.number);
                let outcome = Outcome::Unknown { reason: String::new() };
                if self.session[node] {
                    self.answers[node].push_back(MediatorEvent::Outcome { number, outcome });
                }
            }
            _ => {}
        }
    }

    fn compare_and_set(&mut self, change: &Change) -> Outcome {
        let seen = self.record.map(|(revision, _)| revision);
        let barred =
            change.unless_present.is_some_and(|(node, boot)| self.present[node] == Some(boot));
        if seen != change.expect || barred {
            return Outcome::Lost(self.view());
        }
        let version = seen.map_or(1, |revision| revision.version + 1);
        let revision = Revision { life: self.life, version };
        let record = change.record;
        let before = self.record.map(|(_, record)| record);
        if let Some(before) = before
            && before.primary != record.primary
        {
            self.took_over |= record.primary_boot.boot > 0;
        }
        let reign = (record.epoch, record.fork, record.primary);
        if !self.reigns.contains(&reign) {
            self.twice |=
                self.reigns.iter().any(|it| it.0 == record.epoch && it.2 != record.primary);
            self.reigns.push(reign);
        }
        self.past = before.filter(|_| self.keeps_past);
        self.record = Some((revision, record));
        Outcome::Won { revision }
    }

    /// The node may acknowledge a new write.
    fn able(&self, node: NodeId) -> bool {
        let Some(epoch) = self.nodes[node].serves() else { return false };
        let Some(life) = &self.nodes[node].life else { return false };
        if !life.brain.needs_peer() {
            return true;
        }
        let follows =
            self.nodes[node.peer()].life.as_ref().is_some_and(|peer| peer.following == Some(epoch));
        follows && self.up
    }

    /// Somebody serves, and may acknowledge.
    pub fn is_served(&self) -> bool {
        NODES.into_iter().any(|node| self.able(node))
    }

    fn holds_all(&self, node: NodeId) -> bool {
        self.acked.iter().all(|&write| self.nodes[node].log.contains(&Rec::Write(write)))
    }
}

/// What is checked.
#[derive(Clone)]
pub struct Checked {
    pub plan: Plan,
    pub goals: bool,
}

impl Model for Checked {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.plan)]
    }

    fn actions(&self, state: &World, out: &mut Vec<Action>) {
        state.actions(out);
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut next = last.clone();
        next.act(&self.plan, action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always("no acknowledged write is lost", |_, world| {
                NODES.into_iter().all(|node| !world.able(node) || world.holds_all(node))
            }),
            Property::<Self>::always("one acknowledges", |_, world| {
                !(world.able(NodeId::A) && world.able(NodeId::B))
            }),
            Property::<Self>::always("no stale read", |_, world| {
                NODES
                    .into_iter()
                    .all(|node| !world.nodes[node].may_read(world.now) || world.holds_all(node))
            }),
            Property::<Self>::always("no epoch twice", |_, world| !world.twice),
            Property::<Self>::always("one serves reads", |_, world| {
                let reads = |node: NodeId| world.nodes[node].may_read(world.now);
                !(reads(NodeId::A) && reads(NodeId::B))
            }),
        ];
        if self.goals {
            let budget = self.plan.budget;
            properties
                .push(Property::<Self>::sometimes("acknowledged", |_, w| !w.acked.is_empty()));
            if (budget.crashes > 0 || budget.switches > 0) && budget.goals {
                properties.push(Property::<Self>::sometimes("the role moves", |_, w| {
                    w.took_over && NODES.into_iter().any(|n| w.nodes[n].serves().is_some())
                }));
            }
            if budget.crashes > 0 || budget.link_breaks > 0 {
                properties.push(Property::<Self>::sometimes("shrunk", |_, w| w.shrunk));
            }
            if !self.plan.warm {
                properties.push(Property::<Self>::sometimes("grown", |_, w| w.grown));
            }
            if budget.empties > 0 {
                properties.push(Property::<Self>::sometimes("written again", |_, w| w.rewritten));
            }
        }
        properties
    }

    fn within_boundary(&self, world: &World) -> bool {
        let epochs = u64::from(self.plan.budget.epochs);
        world.record.is_none_or(|(_, record)| record.epoch.get() <= epochs)
            && world.wire.a.len() <= 5
            && world.wire.b.len() <= 5
            && world.asked.len() <= 3
    }
}
