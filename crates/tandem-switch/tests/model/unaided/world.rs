//! The world of the unaided model: two nodes, the link, channels, supervisors, a fence, a person, and what may go
//! wrong, each within a budget.
//!
//! Each node has a clock of its own, which stands still or runs as badly as can be: no right of such a pair rests
//! on a clock. A channel loses and delays what it carries; it is slow rather than reordering.

use std::collections::VecDeque;

use tandem_switch::{
    Acknowledge, Event, Input, OnSilence, Probed, PromoteCause, Request, Seen, ShrinkCause,
    Testimony, Vitals,
};
use tandem_types::{Epoch, ForkId, NodeId, Pair, Role};

use super::node::{Effects, Message, Node, Setup};
use crate::node::{Rec, at};

/// How much of everything may happen.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Budget {
    pub writes: u8,
    /// Of each node's clock.
    pub ticks: Pair<u8>,
    /// A process ends, and its supervisor sees it.
    pub crashes: u8,
    pub disk_losses: u8,
    pub link_breaks: u8,
    /// Death certificates that arrive.
    pub certificates: u8,
    /// Health reports that are sent.
    pub reports: u8,
    /// Times that a fence cuts the power: without a bound, clocks that stand still allow any number.
    pub fences: u8,
    pub fence_failures: u8,
    pub switches: u8,
    pub stops: u8,
    /// A person's `promote`, without force.
    pub promotes: u8,
    /// Looks at the ping targets.
    pub pings: u8,
    /// Attempts to use the primary as a client.
    pub probes: u8,
    /// Largest epoch that is explored.
    pub epochs: u8,
}

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub setup: Setup,
    pub budget: Budget,
    /// What must have happened somewhere.
    pub goals: &'static [Goal],
}

impl Plan {
    /// Silence may make both serve.
    pub fn may_split(&self) -> bool {
        let unaided = self.setup.unaided;
        unaided.on_silence == OnSilence::TakeOver && !unaided.fence
    }
}

/// What shows that a world is not safe by doing nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Goal {
    Acknowledged,
    TookOver,
    TookOverUnproven,
    Returned,
    HandedOver,
    Promoted,
    AloneCertified,
    AloneFenced,
    AloneResigned,
    AloneOnSilence,
    Grown,
    BothServed,
    /// Both served, and both are whole again.
    Healed,
    WritesSaved,
}

/// The fence command of a node.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Shot {
    /// Under way, begun by this boot.
    Flying(u64),
    /// The peer's power is off; the command has not said so.
    Hit(u64),
}

/// A health report on its way.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Frame {
    vitals: Vitals,
    /// The receiver's boot and clock when it sent what this answers.
    boot: u64,
    asked: u8,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct World {
    pub nodes: Pair<Node>,
    pub up: bool,
    /// Towards this node.
    pub wire: Pair<VecDeque<Message>>,
    /// By channel, towards this node.
    pub lines: Vec<Pair<Option<Frame>>>,
    /// Certificates of this node's boots.
    pub died: Pair<Vec<Testimony>>,
    pub shots: Pair<Option<Shot>>,
    pub acked: Vec<u8>,
    pub saved: Vec<u8>,
    pub reigns: Vec<(Epoch, ForkId, NodeId)>,
    pub left: Budget,
    pub writes: u8,
    pub both_served: bool,
    /// The last primary's disk is gone: only a person can say that what is left goes on.
    pub wants_person: bool,
    /// What a node did that it must not.
    pub broken: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    Boot(NodeId),
    Crash(NodeId),
    LoseDisk(NodeId),
    Tick(NodeId),
    Written(NodeId),
    Deliver(NodeId),
    Break,
    Notice(NodeId),
    Connect,
    /// This node says how it is, on that channel.
    Report(NodeId, u8),
    Hear(NodeId, u8),
    Lost(NodeId, u8),
    Certify(NodeId, u8),
    FenceHits(NodeId),
    FenceAnswers(NodeId, bool),
    Ping(NodeId, bool),
    Probe(NodeId),
    Probed(NodeId, bool),
    Write(NodeId),
    Switch(NodeId),
    Promote(NodeId),
    Stop(NodeId),
    Exit(NodeId),
}

pub const NODES: [NodeId; 2] = [NodeId::A, NodeId::B];

impl World {
    pub fn new(plan: &Plan, reach: &mut dyn FnMut(Goal)) -> Self {
        let channels = usize::from(plan.setup.unaided.channels);
        let mut world = Self {
            nodes: Pair { a: Node::new(NodeId::A), b: Node::new(NodeId::B) },
            up: false,
            wire: Pair::default(),
            lines: vec![Pair::default(); channels],
            died: Pair::default(),
            shots: Pair::default(),
            acked: Vec::new(),
            saved: Vec::new(),
            reigns: Vec::new(),
            left: Budget::default(),
            writes: 0,
            both_served: false,
            wants_person: false,
            broken: None,
        };
        for node in NODES {
            world.act(plan, Action::Boot(node), reach);
        }
        world.act(plan, Action::Connect, reach);
        world.run_until_in_sync(plan, reach);
        world
    }

    /// The shortest way to a pair in sync: whatever can be delivered is.
    fn run_until_in_sync(&mut self, plan: &Plan, reach: &mut dyn FnMut(Goal)) {
        for _ in 0..200 {
            let mut actions = Vec::new();
            self.actions(plan, &mut actions);
            let next = actions
                .into_iter()
                .find(|action| matches!(action, Action::Deliver(_) | Action::Written(_)));
            let Some(action) = next else { break };
            self.act(plan, action, reach);
        }
        let whole = NODES.iter().all(|&node| {
            self.nodes[node].life.as_ref().is_some_and(|life| life.brain.is_in_sync())
        });
        assert!(whole, "not in sync: {self:#?}");
        self.left = plan.budget;
    }

    fn linked(&self, node: NodeId) -> bool {
        self.nodes[node].life.as_ref().is_some_and(|life| life.linked)
    }

    pub fn alive(&self, node: NodeId) -> bool {
        self.nodes[node].life.is_some()
    }

    pub fn serves(&self, node: NodeId) -> bool {
        self.nodes[node].serves().is_some()
    }

    fn settle(&mut self, plan: &Plan, node: NodeId, effects: Effects, reach: &mut dyn FnMut(Goal)) {
        let peer = node.peer();
        if self.up && self.linked(node) && self.linked(peer) {
            self.wire[peer].extend(effects.sent);
        }
        for write in effects.acked {
            reach(Goal::Acknowledged);
            if !self.acked.contains(&write) {
                self.acked.push(write);
                self.acked.sort_unstable();
            }
        }
        if effects.fence {
            self.shots[node] = Some(Shot::Flying(self.nodes[node].disk.boot));
        }
        for event in &effects.events {
            self.look(plan, node, event, reach);
        }
        if self.serves(NodeId::A) && self.serves(NodeId::B) {
            self.both_served = true;
            reach(Goal::BothServed);
        }
        if effects.closes {
            self.cut();
            if let Some(life) = &mut self.nodes[node].life {
                life.linked = false;
            }
        }
        if let Some(records) = effects.cut {
            self.save(records, reach);
            self.cut();
            self.act(plan, Action::Boot(node), reach);
        }
        self.normalise();
    }

    /// What does not change what happens next is made equal.
    fn normalise(&mut self) {
        for id in NODES {
            let node = &mut self.nodes[id];
            let boot = node.life.as_ref().map(|_| node.disk.boot);
            if let Some(life) = &mut node.life {
                life.brain.normalise();
            }
            if let Some(Shot::Hit(by)) = self.shots[id]
                && boot != Some(by)
            {
                self.shots[id] = None; // Nobody waits for its answer.
            }
            for line in &mut self.lines {
                if line[id].is_some_and(|frame| boot != Some(frame.boot)) {
                    line[id] = None; // It answers a process that is gone.
                }
            }
            if self.left.certificates == 0 {
                self.died[id].clear();
            }
        }
    }

    fn save(&mut self, records: Vec<Rec>, reach: &mut dyn FnMut(Goal)) {
        for record in records {
            if let Rec::Write(write) = record
                && !self.saved.contains(&write)
            {
                reach(Goal::WritesSaved);
                self.saved.push(write);
                self.saved.sort_unstable();
            }
        }
    }

    /// What a node has done, and by what right.
    fn look(&mut self, plan: &Plan, node: NodeId, event: &Event, reach: &mut dyn FnMut(Goal)) {
        let unaided = plan.setup.unaided;
        let probes = unaided.seen == Seen::AsClient;
        let takes_over = matches!(
            event,
            Event::Promoted { cause: PromoteCause::TookOver | PromoteCause::TookOverUnproven, .. }
        );
        let on_silence = match event {
            Event::FenceBegun { purpose } => !probes || *purpose == "going on alone",
            // With a slow disk the event comes long after the decision.
            Event::Promoted { cause: PromoteCause::TookOverUnproven, .. } => {
                !plan.setup.slow_disk && !probes
            }
            Event::Shrunk { cause: ShrinkCause::Silence, .. } => !plan.setup.slow_disk,
            _ => false,
        };
        let Node { clock, life, .. } = &self.nodes[node];
        let Some(life) = life else { return };
        if on_silence && (life.linked || *clock < life.lived + 1) {
            self.broken = Some("a node acts on silence, and has heard its peer");
        }
        if takes_over && life.left_behind {
            self.broken = Some("a node takes over that was left behind");
        }
        if takes_over && probes && unaided.pings && !life.network {
            self.broken = Some("a node judges its primary, and sees no network");
        }
        match event {
            Event::Promoted { reign, cause } => {
                if *cause == PromoteCause::Returned && life.outreigned && !life.linked {
                    self.broken = Some("a node returns, and has heard that its peer reigns later");
                }
                let reign = (reign.epoch, reign.fork, reign.primary);
                if !self.reigns.contains(&reign) {
                    let twice = self.reigns.iter().any(|it| it.0 == reign.0);
                    if twice && !plan.may_split() {
                        self.broken = Some("an epoch begins twice");
                    }
                    self.reigns.push(reign);
                }
                match cause {
                    PromoteCause::TookOver => reach(Goal::TookOver),
                    PromoteCause::TookOverUnproven => reach(Goal::TookOverUnproven),
                    PromoteCause::Returned => reach(Goal::Returned),
                    PromoteCause::Handover => reach(Goal::HandedOver),
                    PromoteCause::Promoted => reach(Goal::Promoted),
                    PromoteCause::Created
                    | PromoteCause::Forced
                    | PromoteCause::Solo
                    | PromoteCause::WonSplit => {}
                }
            }
            Event::Shrunk { cause, .. } => match cause {
                ShrinkCause::Certified => reach(Goal::AloneCertified),
                ShrinkCause::Fenced => reach(Goal::AloneFenced),
                ShrinkCause::Resigned => {
                    reach(Goal::AloneResigned);
                    let Node { disk, .. } = &self.nodes[node.peer()];
                    let member = disk.in_sync.is_some_and(|set| set.has(disk.member(node.peer())));
                    if member && !disk.resigned {
                        self.broken = Some("a node goes alone by an old resignation");
                    }
                }
                ShrinkCause::Silence => reach(Goal::AloneOnSilence),
                _ => {}
            },
            Event::Grown { .. } => reach(Goal::Grown),
            _ => {}
        }
    }

    pub fn actions(&self, plan: &Plan, out: &mut Vec<Action>) {
        for node in NODES {
            if self.alive(node) {
                self.actions_of(plan, node, out);
            } else {
                out.push(Action::Boot(node));
                if self.left.disk_losses > 0 && !self.nodes[node].disk.is_empty() {
                    out.push(Action::LoseDisk(node));
                }
            }
            match self.shots[node] {
                Some(Shot::Flying(_)) => {
                    if self.left.fences > 0 {
                        out.push(Action::FenceHits(node));
                    }
                    if self.left.fence_failures > 0 {
                        out.push(Action::FenceAnswers(node, false));
                    }
                }
                Some(Shot::Hit(_)) => {
                    out.push(Action::FenceAnswers(node, true));
                    if self.left.fence_failures > 0 {
                        out.push(Action::FenceAnswers(node, false));
                    }
                }
                None => {}
            }
        }
        if self.up && self.left.link_breaks > 0 {
            out.push(Action::Break);
        }
        let free = NODES.iter().all(|&node| self.alive(node) && !self.linked(node));
        if !self.up && free {
            out.push(Action::Connect);
        }
    }

    fn actions_of(&self, plan: &Plan, node: NodeId, out: &mut Vec<Action>) {
        let Some(life) = &self.nodes[node].life else { return };
        let (left, peer) = (self.left, node.peer());
        if !self.wire[node].is_empty() && life.linked {
            out.push(Action::Deliver(node));
        }
        if !life.writes.is_empty() {
            out.push(Action::Written(node));
        }
        if life.linked && !self.up {
            out.push(Action::Notice(node));
        }
        if left.ticks[node] > 0 {
            out.push(Action::Tick(node));
        }
        for (channel, line) in self.lines.iter().enumerate() {
            let channel = u8::try_from(channel).unwrap();
            if left.reports > 0 && line[peer].is_none() && self.alive(peer) {
                out.push(Action::Report(node, channel));
            }
            if line[node].is_some() {
                out.push(Action::Hear(node, channel));
                out.push(Action::Lost(node, channel));
            }
        }
        if left.certificates > 0 {
            for index in 0..self.died[peer].len() {
                out.push(Action::Certify(node, u8::try_from(index).unwrap()));
            }
        }
        if left.crashes > 0 {
            out.push(Action::Crash(node));
        }
        if life.stopping {
            out.push(Action::Exit(node));
        } else if left.stops > 0 {
            out.push(Action::Stop(node));
        }
        if life.attempt.is_some() {
            out.push(Action::Probed(node, false));
            if self.able(plan, peer) {
                out.push(Action::Probed(node, true));
            }
        } else if left.probes > 0 && !self.serves(node) {
            out.push(Action::Probe(node));
        }
        if left.pings > 0 && plan.setup.unaided.pings {
            out.push(Action::Ping(node, true));
            out.push(Action::Ping(node, false));
        }
        if self.serves(node) {
            if left.writes > 0 && !life.held {
                out.push(Action::Write(node));
            }
            if left.switches > 0 && !life.held {
                out.push(Action::Switch(node));
            }
        } else if left.promotes > 0 {
            out.push(Action::Promote(node));
        }
    }

    pub fn act(&mut self, plan: &Plan, action: Action, reach: &mut dyn FnMut(Goal)) {
        let setup = &plan.setup;
        let (node, effects) = match action {
            Action::Boot(node) => (node, self.nodes[node].boot(setup)),
            Action::Crash(node) => {
                self.left.crashes -= 1;
                self.die(node);
                return self.normalise();
            }
            Action::Exit(node) => {
                self.die(node);
                return self.normalise();
            }
            Action::LoseDisk(node) => {
                self.left.disk_losses -= 1;
                return self.lose_disk(node);
            }
            Action::Break => {
                self.left.link_breaks -= 1;
                return self.cut();
            }
            Action::Lost(node, channel) => {
                self.lines[usize::from(channel)][node] = None;
                return;
            }
            Action::Report(node, channel) => return self.report(node, channel),
            Action::FenceHits(node) => {
                self.fence_hits(node);
                return self.normalise();
            }
            Action::Connect => return self.connect(plan, reach),
            Action::Tick(node) => {
                self.left.ticks[node] -= 1;
                self.nodes[node].clock += 1;
                (node, self.nodes[node].give(setup, Input::Tick))
            }
            Action::Written(node) => (node, self.nodes[node].written(setup)),
            Action::Deliver(node) => {
                let Some(message) = self.wire[node].pop_front() else { return };
                (node, self.nodes[node].hear(setup, message))
            }
            Action::Notice(node) => (node, self.notice(plan, node)),
            Action::Hear(node, channel) => (node, self.hear(plan, node, channel)),
            Action::Certify(node, index) => {
                self.left.certificates -= 1;
                let testimony = self.died[node.peer()][usize::from(index)];
                (node, self.nodes[node].give(setup, Input::Testified(testimony)))
            }
            Action::FenceAnswers(node, sure) => (node, self.fence_answers(plan, node, sure)),
            Action::Probe(node) => {
                self.left.probes -= 1;
                let Node { clock, life, .. } = &mut self.nodes[node];
                if let Some(life) = life {
                    life.attempt = Some((*clock, !life.linked));
                }
                return;
            }
            Action::Probed(node, answered) => (node, self.probed(plan, node, answered)),
            Action::Ping(node, reached) => {
                self.left.pings -= 1;
                if let Some(life) = &mut self.nodes[node].life {
                    life.network = reached;
                }
                let asked = at(self.nodes[node].clock);
                (node, self.nodes[node].give(setup, Input::Pinged { asked, reached }))
            }
            Action::Write(node) => {
                self.left.writes -= 1;
                self.writes += 1;
                (node, self.nodes[node].write(setup, self.writes))
            }
            Action::Switch(node) => {
                self.left.switches -= 1;
                (node, self.nodes[node].ask(setup, Request::Switch { to: None }))
            }
            Action::Promote(node) => {
                self.left.promotes -= 1;
                let request = Request::Promote { accept_loss: 0, force: false };
                (node, self.nodes[node].ask(setup, request))
            }
            Action::Stop(node) => {
                self.left.stops -= 1;
                if let Some(life) = &mut self.nodes[node].life {
                    life.stopping = true;
                }
                (node, self.nodes[node].ask(setup, Request::Stop))
            }
        };
        self.settle(plan, node, effects, reach);
        if self.both_served && self.is_settled() {
            reach(Goal::Healed);
        }
    }

    fn cut(&mut self) {
        self.up = false;
        self.wire = Pair::default();
    }

    fn die(&mut self, node: NodeId) {
        if self.left.certificates > 0 {
            self.died[node].push(self.nodes[node].testimony());
        }
        self.nodes[node].life = None;
        self.cut();
    }

    fn lose_disk(&mut self, node: NodeId) {
        let reign = self.nodes[node].disk.reign;
        self.wants_person |= reign.is_some_and(|reign| reign.primary == node);
        let kept = &self.nodes[node.peer()].log;
        // What only this disk held is nobody's fault.
        self.acked.retain(|&write| kept.contains(&Rec::Write(write)));
        self.nodes[node].lose_disk();
    }

    fn connect(&mut self, plan: &Plan, reach: &mut dyn FnMut(Goal)) {
        self.up = true;
        for node in NODES {
            if let Some(life) = &mut self.nodes[node].life {
                life.linked = true;
                life.streaming = false;
                life.following = None;
            }
        }
        for node in NODES {
            let effects = self.nodes[node].give(&plan.setup, Input::PeerUp);
            self.settle(plan, node, effects, reach);
        }
    }

    fn notice(&mut self, plan: &Plan, node: NodeId) -> Effects {
        if let Some(life) = &mut self.nodes[node].life {
            life.linked = false;
            life.streaming = false;
            life.peer_end = 0;
            life.following = None;
        }
        let silent = std::time::Duration::ZERO;
        self.nodes[node].give(&plan.setup, Input::PeerDown { silent })
    }

    fn report(&mut self, node: NodeId, channel: u8) {
        let Some(vitals) = self.nodes[node].vitals() else { return };
        self.left.reports -= 1;
        let receiver = &self.nodes[node.peer()];
        let frame = Frame { vitals, boot: receiver.disk.boot, asked: receiver.clock };
        self.lines[usize::from(channel)][node.peer()] = Some(frame);
    }

    fn hear(&mut self, plan: &Plan, node: NodeId, channel: u8) -> Effects {
        let frame = self.lines[usize::from(channel)][node].take();
        let own = &mut self.nodes[node];
        let Some(Frame { vitals, asked, .. }) = frame.filter(|it| it.boot == own.disk.boot) else {
            return Effects::default(); // It answers a process that is gone.
        };
        let Some(life) = &mut own.life else { return Effects::default() };
        life.lived = life.lived.max(asked);
        let reign = life.brain.reign().map_or(Epoch::ZERO, |reign| reign.epoch);
        let current = self.nodes[node.peer()].boot_id() == vitals.boot;
        let own = &mut self.nodes[node];
        if let Some(life) = &mut own.life {
            let later = vitals.role == Role::Primary && vitals.epoch_seen > reign;
            life.outreigned |= later && current && !life.linked;
        }
        let round_trip = std::time::Duration::ZERO;
        let asked = at(asked);
        own.give(&plan.setup, Input::ChannelHeard { channel, asked, round_trip, vitals })
    }

    /// An attempt ends: with a write that the primary acknowledges now, or not in time.
    fn probed(&mut self, plan: &Plan, node: NodeId, answered: bool) -> Effects {
        let alone =
            self.nodes[node.peer()].life.as_ref().is_some_and(|peer| !peer.brain.needs_peer());
        let own = &mut self.nodes[node];
        let Some(life) = &mut own.life else { return Effects::default() };
        let Some((asked, unlinked)) = life.attempt.take() else { return Effects::default() };
        life.left_behind |= answered && unlinked && alone && !life.linked;
        let round_trip = std::time::Duration::ZERO;
        let probed =
            if answered { Probed::Answered { round_trip, wrote: true } } else { Probed::Silent };
        own.give(&plan.setup, Input::Probed { asked: at(asked), probed })
    }

    /// The peer's power goes off, and with it its supervisor.
    fn fence_hits(&mut self, node: NodeId) {
        let Some(Shot::Flying(boot)) = self.shots[node] else { return };
        self.left.fences -= 1;
        self.shots[node] = Some(Shot::Hit(boot));
        if self.alive(node.peer()) {
            self.nodes[node.peer()].life = None;
            self.cut();
        }
    }

    fn fence_answers(&mut self, plan: &Plan, node: NodeId, sure: bool) -> Effects {
        let Some(Shot::Flying(boot) | Shot::Hit(boot)) = self.shots[node].take() else {
            return Effects::default();
        };
        self.left.fence_failures -= u8::from(!sure);
        if !self.alive(node) || self.nodes[node].disk.boot != boot {
            return Effects::default();
        }
        let ended = if sure { Ok(()) } else { Err(String::new()) };
        self.nodes[node].give(&plan.setup, Input::Fenced(ended))
    }

    /// The node may acknowledge a new write.
    pub fn able(&self, plan: &Plan, node: NodeId) -> bool {
        let Some(epoch) = self.nodes[node].serves() else { return false };
        let Some(life) = &self.nodes[node].life else { return false };
        if !life.brain.needs_peer() || plan.setup.acknowledge == Acknowledge::Local {
            return true;
        }
        let follows =
            self.nodes[node.peer()].life.as_ref().is_some_and(|peer| peer.following == Some(epoch));
        follows && self.up
    }

    pub fn holds_all(&self, node: NodeId) -> bool {
        self.acked.iter().all(|&write| self.nodes[node].log.contains(&Rec::Write(write)))
    }

    /// Every acknowledged write is in a log or in a conflict file.
    pub fn keeps_all(&self) -> bool {
        self.acked.iter().all(|write| {
            self.saved.contains(write)
                || NODES.iter().any(|&node| self.nodes[node].log.contains(&Rec::Write(*write)))
        })
    }

    /// Both are connected, and nothing is under way.
    pub fn is_settled(&self) -> bool {
        let quiet = |node: NodeId| {
            self.nodes[node].life.as_ref().is_some_and(|life| {
                life.linked && !life.stopping && !life.held && life.writes.is_empty()
            }) && self.wire[node].is_empty()
                && self.shots[node].is_none()
        };
        self.up && !self.wants_person && NODES.into_iter().all(quiet)
    }

    /// One serves, the other follows, both hold the same, and everything acknowledged is there or saved.
    pub fn is_whole(&self) -> bool {
        let serving: Vec<_> = NODES.into_iter().filter(|&node| self.serves(node)).collect();
        let in_sync = |node: NodeId| {
            self.nodes[node].life.as_ref().is_some_and(|life| life.brain.is_in_sync())
        };
        let acknowledged = self.acked.iter().all(|write| {
            self.saved.contains(write) || self.nodes.a.log.contains(&Rec::Write(*write))
        });
        serving.len() == 1
            && NODES.into_iter().all(in_sync)
            && self.nodes.a.log == self.nodes.b.log
            && acknowledged
    }
}
