//! Two nodes, a link, clients, a person and bad luck; and what must hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tandem_switch::{
    Acknowledge, By, Event, Gap, Input, NodeState, Output, PromoteCause, Request, Settings,
    ShrinkCause, Ticket, Unaided,
};
use tandem_types::{Epoch, Incarnation, Monotonic, NodeId, Pair};

use crate::link::{Link, Rec};
use crate::node::{Disk, Node, Seen};
use crate::outside::Outside;
use crate::rng::Rng;

/// What a seed may do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) acknowledge: Acknowledge,
    /// Each start finds one of these in its file instead, whatever the other node's says.
    pub(crate) files: &'static [Acknowledge],
    /// A person uses `--force` and `solo`: acknowledged writes may be lost.
    pub(crate) forces: bool,
    /// Disks are lost.
    pub(crate) wipes: bool,
    /// Nobody is there: the two nodes decide.
    pub(crate) unaided: Option<Unaided>,
    /// The link breaks again and again, and the second channel is at its slowest.
    pub(crate) flaps: bool,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            acknowledge: Acknowledge::Durable,
            files: &[],
            forces: false,
            wipes: false,
            unaided: None,
            flaps: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) acked: u64,
    pub(crate) serves: u64,
    pub(crate) in_sync: u64,
    /// Without a person.
    pub(crate) takeovers: u64,
    pub(crate) alone: u64,
    pub(crate) fences: u64,
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.acked += other.acked;
        self.serves += other.serves;
        self.in_sync += other.in_sync;
        self.takeovers += other.takeovers;
        self.alone += other.alone;
        self.fences += other.fences;
    }
}

pub(crate) struct World {
    seed: u64,
    plan: Plan,
    trace: bool,
    rng: Rng,
    now: u64,
    nodes: Pair<Option<Node>>,
    link: Link,
    settings: Settings,
    next_id: u64,
    acked: BTreeSet<u64>,
    /// By pair: after both disks were lost a new pair begins at epoch 1 again.
    served: BTreeMap<(u128, Epoch), NodeId>,
    /// A person accepted a loss: which writes survive is open from here on.
    loss_accepted: bool,
    tickets: u64,
    totals: Totals,
    outside: Outside,
}

const IDS: [NodeId; 2] = [NodeId::A, NodeId::B];
const CHAOS_MS: u64 = 3_000;
const CALM_MS: u64 = 1_500;

impl World {
    pub(crate) fn new(seed: u64, plan: Plan, trace: bool) -> Self {
        let mut rng = Rng::new(seed);
        let settings = Settings {
            node: NodeId::A,
            names: Pair { a: "a".to_owned(), b: "b".to_owned() },
            initial_primary: if rng.chance(500) { NodeId::A } else { NodeId::B },
            acknowledge: plan.acknowledge,
            failure_timeout: Duration::from_millis(100),
            hold: Duration::from_millis(150),
            automatic: tandem_switch::Automatic {
                solo_after: Duration::from_millis(150),
                min_interval: Duration::from_millis(60),
                unaided: plan.unaided.unwrap_or_default(),
                ..tandem_switch::Automatic::default()
            },
        };
        let node = |id, rng: &mut Rng| {
            let state = NodeState::new(Incarnation::new(rng.next()));
            Some(Node { id, disk: Disk { state, log: Vec::new() }, run: None })
        };
        let nodes = Pair { a: node(NodeId::A, &mut rng), b: node(NodeId::B, &mut rng) };
        Self {
            seed,
            plan,
            trace,
            rng,
            now: 0,
            nodes,
            link: Link { healed: true, ..Link::default() },
            settings,
            next_id: 1,
            acked: BTreeSet::new(),
            served: BTreeMap::new(),
            loss_accepted: plan.acknowledge == Acknowledge::Local,
            tickets: 0,
            totals: Totals::default(),
            outside: Outside::new(plan.flaps),
        }
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id].as_mut().expect("both nodes exist")
    }

    fn say(&self, id: NodeId, what: impl std::fmt::Debug) {
        if self.trace {
            println!("{:>6} {id:?} {what:?}", self.now);
        }
    }

    pub(crate) fn run(mut self) -> Totals {
        if self.trace {
            println!("seed {} {:?} {:?}", self.seed, self.plan, self.settings);
        }
        for id in IDS {
            self.start(id);
        }
        for _ in 0..CHAOS_MS {
            self.misfortune();
            self.step();
        }
        self.heal();
        for _ in 0..CALM_MS {
            self.step();
        }
        self.expect_harmony();
        self.totals
    }

    fn start(&mut self, id: NodeId) {
        let (mut settings, now, seed) = (self.settings.clone(), self.now, self.rng.next());
        if !self.plan.files.is_empty() {
            let one = self.rng.below(self.plan.files.len() as u64);
            settings.acknowledge = self.plan.files[usize::try_from(one).unwrap()];
        }
        self.say(id, ("starts", settings.acknowledge));
        self.outside.heard[id].clear();
        let by = if self.plan.unaided.is_some() { By::Direct } else { By::Manual };
        self.node(id).start(by, settings, now, seed);
    }

    fn kill(&mut self, id: NodeId) {
        self.say(id, "dies");
        let mut rng = self.rng.clone();
        self.node(id).kill(&mut rng);
        self.rng = rng;
        self.cut();
    }

    /// Its process dies, and its supervisor sees it.
    fn kill_supervised(&mut self, id: NodeId) {
        self.kill(id);
        if self.plan.unaided.is_some() {
            let state = self.node(id).disk.state;
            self.outside.testify(id, &state, self.now, &mut self.rng);
        }
    }

    /// Channels besides the link, certificates, fences: what only an unaided pair goes by.
    fn step_outside(&mut self) {
        if self.plan.unaided.is_none() {
            return;
        }
        for (id, input) in self.outside.due(self.now) {
            let asked = match &input {
                Input::ChannelHeard { asked, .. } => asked.as_nanos() / 1_000_000,
                _ => 0,
            };
            if let Some(run) = &mut self.nodes[id].as_mut().expect("both nodes exist").run {
                self.outside.heard[id].push((self.now, asked));
                run.give(input);
            }
        }
        for id in self.outside.shots(self.now) {
            if self.node(id).run.is_some() {
                self.say(id, "is fenced");
                self.kill(id);
            }
        }
        if self.now.is_multiple_of(20) {
            for id in IDS {
                let vitals = self
                    .node(id)
                    .run
                    .as_ref()
                    .and_then(|run| run.brain.vitals(tandem_switch::Load::default()));
                if let Some(vitals) = vitals {
                    self.outside.report(id, vitals, self.now, &mut self.rng);
                }
            }
        }
    }

    fn cut(&mut self) {
        if self.link.up {
            self.say(NodeId::A, "link cut");
            self.link.cut();
            for id in IDS {
                if let Some(run) = &mut self.node(id).run {
                    run.link_down();
                }
            }
        }
    }

    fn misfortune(&mut self) {
        let id = IDS[usize::try_from(self.rng.below(2)).unwrap()];
        let running = self.node(id).run.is_some();
        match self.rng.below(1000) {
            0 if running => self.kill(id),
            1 if running => self.kill_supervised(id),
            40..42 => self.outside.channel_up = false,
            42..50 => self.outside.channel_up = true,
            2..10 if !running => self.start(id),
            10..13 => self.cut(),
            13..15 => {
                self.link.healed = false;
                self.cut();
            }
            15..25 => self.link.healed = true,
            60..70 if self.plan.flaps => self.cut(),
            25..29 if running && self.persons_turn() => {
                self.ask(id, Request::Promote { accept_loss: 0, force: false });
            }
            29..32 if running => self.ask(id, Request::Switch { to: None }),
            32..33 if running => self.ask(id, Request::Stop),
            33..34 if running && self.plan.forces => {
                self.ask(id, Request::Promote { accept_loss: 0, force: true });
            }
            34..35 if running && self.plan.forces => self.ask(id, Request::Solo { force: true }),
            35..36 if self.plan.wipes => self.wipe(id),
            _ => {}
        }
    }

    /// Where nodes decide, people seldom do.
    fn persons_turn(&mut self) -> bool {
        self.plan.unaided.is_none() || self.rng.chance(200)
    }

    fn ask(&mut self, id: NodeId, request: Request) {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.say(id, (&ticket, &request));
        if matches!(request, Request::Solo { .. } | Request::Promote { force: true, .. }) {
            self.loss_accepted = true;
        }
        if let Some(run) = &mut self.node(id).run {
            run.give(Input::Ask { ticket, request });
        }
    }

    /// The disk is lost with everything on it, and a new one put in.
    fn wipe(&mut self, id: NodeId) {
        let kept: BTreeSet<u64> = self.durable_ids(id.peer());
        self.kill(id);
        let incarnation = Incarnation::new(self.rng.next());
        self.node(id).disk = Disk { state: NodeState::new(incarnation), log: Vec::new() };
        self.say(id, "loses its disk");
        // What only this disk held is nobody's fault.
        self.acked.retain(|it| kept.contains(it));
        // Nor that the other node, which may never have heard of its reign, takes the same number.
        self.served.retain(|_, node| *node != id);
        self.start(id);
    }

    fn durable_ids(&mut self, id: NodeId) -> BTreeSet<u64> {
        let disk = &self.node(id).disk;
        disk.log.iter().map(|it| it.id).collect()
    }

    fn step(&mut self) {
        self.now += 1;
        self.connect();
        self.step_outside();
        for id in IDS {
            self.turn(id);
        }
        if self.now.is_multiple_of(50) {
            for id in IDS {
                self.check_promotable(id);
            }
        }
    }

    fn connect(&mut self) {
        let both = IDS.iter().all(|&id| self.nodes[id].as_ref().is_some_and(|it| it.run.is_some()));
        if both && self.link.healed && !self.link.up && self.rng.chance(50) {
            self.say(NodeId::A, "link up");
            self.link.up = true;
            for id in IDS {
                if let Some(run) = &mut self.node(id).run {
                    run.give(Input::PeerUp);
                }
            }
        }
    }

    fn turn(&mut self, id: NodeId) {
        let now = self.now;
        let mut node = self.nodes[id].take().expect("both nodes exist");
        let mut seen = Vec::new();
        let was_up = self.link.up;
        let mut acked_in = None;
        if let Some(run) = &mut node.run {
            run.finish_disk(&mut node.disk, now);
            while let Some(msg) = self.link.receive(id, now) {
                if let Some(event) = run.receive(id, now, msg, &mut self.link) {
                    seen.push(event);
                    break;
                }
            }
        }
        // A node that reboots does nothing else.
        if let Some(run) = node.run.as_mut().filter(|_| seen.is_empty()) {
            run.think(id, now, &mut self.link, &mut self.rng, &mut seen);
            if let Some(reign) = run.serving.filter(|_| !run.holding)
                && self.rng.chance(200)
            {
                run.log.push(Rec { epoch: reign.epoch, fork: reign.fork, id: self.next_id });
                self.next_id += 1;
            }
            run.begin_sync(now, &mut self.rng);
            if now.is_multiple_of(5) {
                run.stream(id, now, &mut self.link, &mut self.rng);
            }
            let newly = run.committed();
            let acked: Vec<u64> =
                run.log[newly].iter().map(|it| it.id).filter(|&it| it != 0).collect();
            let epoch = run.epoch();
            self.acked.extend(&acked);
            self.totals.acked += acked.len() as u64;
            acked_in = epoch.filter(|_| !acked.is_empty());
        }
        self.nodes[id] = Some(node);
        if let Some(epoch) = acked_in {
            self.check_ack(id, epoch);
        }
        if was_up && !self.link.up {
            for id in IDS {
                if let Some(run) = &mut self.node(id).run {
                    run.link_down();
                }
            }
        }
        for event in seen {
            self.look(id, event);
        }
    }

    fn look(&mut self, id: NodeId, seen: Seen) {
        match seen {
            Seen::Serves(reign) => {
                self.totals.serves += 1;
                let pair = self.pair_of(id);
                let before = self.served.insert((pair, reign.epoch), id);
                assert!(
                    before.is_none() || self.loss_accepted,
                    "epoch {} is served by {before:?} and {id:?}",
                    reign.epoch
                );
                self.check_nothing_lost(id, "serves");
            }
            Seen::Reboot => {
                self.say(id, "cuts and reboots");
                self.cut();
                let node = self.node(id);
                let run = node.run.take().expect("it just ran");
                node.disk.log = run.log[..run.durable].to_vec();
                self.start(id);
            }
            Seen::Output(output) => {
                self.say(id, &output);
                self.check_silence(id, &output);
                match output {
                    Output::Event(
                        Event::Promoted {
                            cause:
                                PromoteCause::Forced
                                | PromoteCause::Solo
                                | PromoteCause::TookOverUnproven,
                            ..
                        }
                        | Event::Shrunk { cause: ShrinkCause::Solo, .. },
                    ) => self.loss_accepted = true,
                    Output::Event(Event::Promoted { cause: PromoteCause::TookOver, .. }) => {
                        self.totals.takeovers += 1;
                    }
                    Output::Event(Event::Shrunk {
                        cause: ShrinkCause::Certified | ShrinkCause::Silence | ShrinkCause::Fenced,
                        ..
                    }) => self.totals.alone += 1,
                    Output::Fence => {
                        self.totals.fences += 1;
                        self.outside.fence(id, self.now, &mut self.rng);
                    }
                    Output::Event(Event::Grown { .. }) => self.totals.in_sync += 1,
                    Output::Answer { answer, .. } => self.stop_if_answered(id, answer.is_ok()),
                    _ => {}
                }
            }
        }
    }

    /// A node that was asked to stop stops once it was answered.
    fn stop_if_answered(&mut self, id: NodeId, done: bool) {
        let stopping = self
            .node(id)
            .run
            .as_ref()
            .is_some_and(|run| done && run.brain.why(Monotonic::ZERO).now == "stopping");
        if stopping && self.rng.chance(900) {
            self.kill(id);
        }
    }

    fn pair_of(&mut self, id: NodeId) -> u128 {
        self.node(id).run.as_ref().map_or(0, |run| run.brain.state().pair_id.get())
    }

    fn check_ack(&mut self, id: NodeId, epoch: Epoch) {
        let pair = self.pair_of(id);
        let later = self.served.range((pair, epoch.next())..=(pair, Epoch::new(u64::MAX))).next();
        assert!(
            later.is_none() || self.loss_accepted,
            "{id:?} acknowledges in epoch {epoch} after {later:?} began"
        );
    }

    fn check_nothing_lost(&mut self, id: NodeId, when: &str) {
        if self.loss_accepted {
            return;
        }
        let run = self.nodes[id].as_ref().and_then(|it| it.run.as_ref()).expect("it runs");
        let has: BTreeSet<u64> = run.log.iter().map(|it| it.id).collect();
        let lost: Vec<_> = self.acked.difference(&has).collect();
        assert!(lost.is_empty(), "{id:?} {when} without acknowledged writes {lost:?}");
    }

    /// Whoever acts on silence has heard nothing on any channel for `failure_timeout`.
    fn check_silence(&self, id: NodeId, output: &Output) {
        let acts = matches!(
            output,
            Output::Fence
                | Output::Event(
                    Event::Promoted { cause: PromoteCause::TookOverUnproven, .. }
                        | Event::Shrunk { cause: ShrinkCause::Silence, .. }
                )
        );
        // Between the decision and the event a disk was written.
        let decided = self.now.saturating_sub(60);
        let heard = &self.outside.heard[id];
        let lived = heard.iter().filter(|(at, _)| *at <= decided).map(|(_, asked)| *asked).max();
        let silent = self.now.saturating_sub(lived.unwrap_or(0));
        assert!(
            !acts || silent >= 100,
            "{id:?} acts on silence {silent} ms after it heard the peer"
        );
    }

    /// A node that says "no acknowledged write is missing here" must be right.
    fn check_promotable(&mut self, id: NodeId) {
        let now = Monotonic::from_millis(self.now);
        let gap = self.node(id).run.as_ref().map(|run| run.brain.gap(now));
        let empty = self.node(id).disk.state.is_empty();
        if gap == Some(Gap::Zero) && !empty {
            self.check_nothing_lost(id, "says that it misses nothing,");
        }
    }

    fn heal(&mut self) {
        self.say(NodeId::A, "healed");
        self.link.healed = true;
        self.outside = Outside::new(false);
        for id in IDS {
            // A node that was told to stop has to be started again.
            if self.node(id).run.is_some() {
                self.kill(id);
            }
            self.start(id);
        }
    }

    fn expect_harmony(&mut self) {
        let serving: Vec<_> = IDS
            .into_iter()
            .filter(|&id| {
                self.nodes[id]
                    .as_ref()
                    .is_some_and(|it| it.run.as_ref().is_some_and(|run| run.serving.is_some()))
            })
            .collect();
        if serving.is_empty() && self.plan.wipes {
            return; // The last primary's disk is gone: a person must promote what is left.
        }
        if self.plan.forces && self.pair_of(NodeId::A) != self.pair_of(NodeId::B) {
            return; // `solo` on an empty directory began another pair.
        }
        let why: Vec<_> = IDS
            .into_iter()
            .map(|id| {
                let run = self.nodes[id].as_ref().and_then(|it| it.run.as_ref());
                run.map(|run| run.brain.why(Monotonic::from_millis(self.now)))
            })
            .collect();
        assert_eq!(serving.len(), 1, "serving: {serving:?}; {why:#?}");
        let (primary, standby) = (serving[0], serving[0].peer());
        let (end, file) = {
            let run = self.node(primary).run.as_ref().expect("it serves");
            assert!(run.brain.is_in_sync(), "{primary:?} is not in sync: {why:#?}");
            assert!(run.commit + 200 > run.log.len(), "{primary:?} does not acknowledge: {why:#?}");
            assert_eq!(run.brain.acknowledge(), run.file, "{primary:?} keeps to another file");
            (run.log.clone(), run.file)
        };
        let run = self.node(standby).run.as_ref().expect("it runs");
        assert!(run.brain.is_in_sync(), "{standby:?} is not in sync: {why:#?}");
        let relied_on = run.brain.state().in_sync.map(|set| set.strength);
        assert_eq!(relied_on, Some(file), "{standby:?} relies on something else");
        assert!(end.starts_with(&run.log), "{standby:?} has another history");
        self.check_nothing_lost(primary, "ends");
    }
}
