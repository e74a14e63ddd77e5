//! What one seed does to the pair: settings, rates, and a list of faults with their times.
//!
//! Every seed draws its own ranges (swarm testing): a kind of fault that is always on hides what happens
//! without it. The list is made beforehand, each kind from a sequence of its own, so that a failing run
//! can be tried again with one kind less and everything else as it was.

use std::time::Duration;

use tandem_node::{Acknowledge, SwitchBy, Topology};
use tandem_switch::{Automatic, Automation, WhenLost};
use tandem_types::NodeId;

use crate::Random;
use crate::plot::Plot;

mod two_writers;
mod unaided;

pub(crate) use two_writers::Kept;
pub(crate) use unaided::Outside;

/// Nanoseconds of a millisecond.
pub(crate) const MS: u64 = 1_000_000;

/// One kind of fault; a failing run is tried without each.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Kind {
    /// A process is killed; its supervisor says so and starts it again.
    Kill,
    /// The power of a machine goes; what was not synced may be gone.
    Power,
    /// Both processes, or both machines, in either order.
    Both,
    /// A node stands still and its clock goes on.
    Pause,
    /// The link is cut, in one direction or both.
    Link,
    /// A node does not reach the mediator.
    Reach,
    /// A node reaches neither.
    Isolate,
    /// The mediator is away for a while.
    Outage,
    /// The mediator loses the record, or gets an older one back.
    Amnesia,
    /// Syncs are slow, or hang.
    SlowDisk,
    /// A sync fails.
    BadDisk,
    /// The disk is full for a while.
    FullDisk,
    /// A machine comes back with an empty disk.
    Wipe,
    /// SIGTERM.
    Term,
    /// A person asks for something.
    Person,
    /// The wall clock jumps.
    Wall,
    /// The network is slow for a while.
    SlowNet,
    /// A fault just when something decisive began.
    Ambush,
    /// Faults that belong together: see [`Plot`].
    Plot,
    /// A machine comes back with a flipped bit in its log.
    Rot,
    /// Channels besides the link are cut, in one direction or both (without a third party only).
    Lines,
    /// Nothing passes between the nodes on any channel, in one direction or both.
    Silence,
    /// A node reaches no ping target.
    Pings,
    /// The standby does not reach the primary's client port, and clients do.
    Door,
    /// A machine comes back with its disk as it was some time ago (a reverted virtual machine, a restored volume).
    Rewind,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Kill,
        Self::Power,
        Self::Both,
        Self::Pause,
        Self::Link,
        Self::Reach,
        Self::Isolate,
        Self::Outage,
        Self::Amnesia,
        Self::SlowDisk,
        Self::BadDisk,
        Self::FullDisk,
        Self::Wipe,
        Self::Term,
        Self::Person,
        Self::Wall,
        Self::SlowNet,
        Self::Ambush,
        Self::Plot,
        Self::Rot,
        Self::Lines,
        Self::Silence,
        Self::Pings,
        Self::Door,
        Self::Rewind,
    ];

    const fn bit(self) -> u32 {
        1 << (self as u32)
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Kinds(u32);

impl Kinds {
    /// Every kind.
    pub const ALL: Self = Self(u32::MAX);
    /// None.
    pub const NONE: Self = Self(0);

    /// The same without one.
    #[must_use]
    pub const fn without(self, kind: Kind) -> Self {
        Self(self.0 & !kind.bit())
    }

    /// Whether it is in the set.
    pub const fn has(self, kind: Kind) -> bool {
        self.0 & kind.bit() != 0
    }
}

/// What a person asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wish {
    /// `tandem switch`.
    Switch,
    /// `tandem pause`.
    Pause,
    /// `tandem resume`.
    Resume,
    /// `tandem confirm`.
    Confirm,
    /// `tandem reject`.
    Reject,
    /// `tandem promote`, without force.
    Promote,
}

/// One fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// See [`Kind::Kill`].
    Kill { host: usize, certified: bool, restart: u64 },
    /// See [`Kind::Power`]; `keep`: the chance in 256 that an unsynced unit survives.
    Power { host: usize, keep: u8, restart: u64 },
    /// See [`Kind::Pause`].
    Pause { host: usize, lasting: u64 },
    /// See [`Kind::Link`]: which directions (towards node 0, towards node 1) are silent.
    Link { towards: [bool; 2], reset: bool, lasting: u64 },
    /// See [`Kind::Reach`].
    Reach { host: usize, lasting: u64 },
    /// See [`Kind::Isolate`].
    Isolate { host: usize, towards: [bool; 2], lasting: u64 },
    /// See [`Kind::Outage`]; `forgets`: presence is gone afterwards.
    Outage { lasting: u64, forgets: bool },
    /// See [`Kind::Amnesia`]; `versions`: how far back the copy is, 0: empty.
    Amnesia { versions: u64 },
    /// See [`Kind::SlowDisk`].
    SlowDisk { host: usize, sync: u64, lasting: u64 },
    /// See [`Kind::BadDisk`].
    BadDisk { host: usize },
    /// See [`Kind::FullDisk`].
    FullDisk { host: usize, lasting: u64 },
    /// See [`Kind::Wipe`].
    Wipe { host: usize, restart: u64 },
    /// See [`Kind::Rot`].
    Rot { host: usize, restart: u64 },
    /// See [`Kind::Term`].
    Term { host: usize, restart: u64 },
    /// See [`Kind::Person`].
    Person { host: usize, wish: Wish },
    /// See [`Kind::Wall`]; milliseconds.
    Wall { host: usize, by: i64 },
    /// See [`Kind::SlowNet`]; the longest delay.
    SlowNet { delay: u64, lasting: u64 },
    /// The connection of the link ends for this node; the other one is not told.
    Reset { host: usize },
    /// The mediator loses the record, whatever is going on.
    Emptied,
    /// The mediator gets the record before this one back, whatever is going on.
    Restored,
    /// See [`Kind::Lines`]; `which`: one bit for each channel besides the link.
    Lines { which: u8, towards: [bool; 2], lasting: u64 },
    /// See [`Kind::Silence`].
    Silence { towards: [bool; 2], reset: bool, lasting: u64 },
    /// [`Kind::Isolate`] of a node that has no third party: no channel, no ping target, no client port.
    Alone { host: usize, towards: [bool; 2], lasting: u64 },
    /// See [`Kind::Pings`].
    Pings { host: usize, lasting: u64 },
    /// See [`Kind::Door`]; `host`: whose prober finds it closed.
    Door { host: usize, lasting: u64 },
    /// A copy of the machine's disk is made, as it is at this moment.
    Image { host: usize },
    /// See [`Kind::Rewind`].
    Rewind(Rewind),
}

/// A disk that goes back to the last copy that was made of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rewind {
    pub(crate) host: usize,
    /// The chance in 256 that a unit is in the copy that was not synced when it was made.
    pub(crate) keep: u8,
    /// How the process ends before: it is killed, and its supervisor says so or not; `None`: the power goes.
    pub(crate) killed: Option<bool>,
    /// When the machine starts again.
    pub(crate) restart: u64,
    /// How often its moment is waited for: see `is_spare`.
    pub(crate) tries: u8,
    /// How long it is cut off afterwards, where the peer's disk remembers.
    pub(crate) alone: u64,
}

/// Whether the clocks keep to what the leases assume.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Clocks {
    /// Their rates differ by less than the leases allow for.
    Good,
    /// They do not, and pauses may go unseen: only the durability of writes is checked.
    Bad,
}

impl Clocks {
    /// By how many millionths a rate may be off. One seed in four has clocks nearly as far apart as leases allow
    /// (A1: 25 % between two of them), the others what bad oscillators are.
    pub(crate) const fn rates_off(self, seed: u64) -> u64 {
        match self {
            Self::Good if seed.is_multiple_of(4) => 120_000,
            Self::Good => 9_000,
            Self::Bad => 400_000,
        }
    }
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where it all comes from.
    pub(crate) seed: u64,
    /// Who decides on a change of primary.
    pub(crate) switch_by: SwitchBy,
    /// When a write is answered.
    pub(crate) acknowledge: Acknowledge,
    /// What the follower is for.
    pub(crate) topology: Topology,
    /// A replica passes writes on.
    pub(crate) forward_writes: bool,
    /// The node that begins.
    pub(crate) initial_primary: NodeId,
    /// Silence that counts as failure.
    pub(crate) failure_timeout: Duration,
    /// Longest pause of writes in a planned change.
    pub(crate) hold: Duration,
    /// Settings of automatic switching.
    pub(crate) automatic: Automatic,
    /// Clients.
    pub(crate) clients: usize,
    /// Longest rest of a client between two calls, in nanoseconds.
    pub(crate) think: u64,
    /// A client waits that long for an answer.
    pub(crate) patience: u64,
    /// Longest delay of a message, in nanoseconds.
    pub(crate) delay: u64,
    /// An answer of the mediator is lost once in so many; 0: never.
    pub(crate) lost_answers: u64,
    /// A change reaches the mediator late once in so many; 0: never.
    pub(crate) late_changes: u64,
    /// Time of one sync, in nanoseconds.
    pub(crate) sync: u64,
    /// Rates of both clocks and the mediator's, in millionths off.
    pub(crate) rates: [i64; 3],
    /// What the clocks are worth.
    pub(crate) clocks: Clocks,
    /// One of so many decisive moments is met by a fault; 0: none.
    pub(crate) ambush: u64,
    /// Faults that belong together.
    pub(crate) plot: Option<Plot>,
    /// How long there are faults.
    pub(crate) trouble: u64,
    /// Faults with their times, in order.
    pub(crate) faults: Vec<(u64, Kind, Fault)>,
    /// What surrounds a pair without a third party.
    pub(crate) outside: Outside,
    /// What two writers keep for one another.
    pub(crate) kept: Kept,
}

const fn millis(random: &mut Random, low: u64, high: u64) -> Duration {
    Duration::from_millis(random.between(low, high))
}

impl Plan {
    /// The run of this seed, with automatic switching.
    pub(crate) fn mediated(seed: u64, kinds: Kinds) -> Self {
        let mut random = Random::new(seed ^ 0x7461_6e64_656d);
        let acknowledge = match random.below(16) {
            0 => Acknowledge::Local,
            1..=4 => Acknowledge::Received,
            _ => Acknowledge::Durable,
        };
        let replica = random.once_in(3);
        let failure_timeout = millis(&mut random, 300, 1_500);
        let clocks = if random.once_in(12) { Clocks::Bad } else { Clocks::Good };
        let off = clocks.rates_off(seed);
        let rates = std::array::from_fn(|_| random.signed(off));
        let trouble = random.between(4_000, 12_000) * MS;
        let mut plan = Self {
            seed,
            switch_by: SwitchBy::Mediator,
            acknowledge,
            topology: if replica { Topology::PrimaryReplica } else { Topology::PrimaryStandby },
            forward_writes: random.once_in(3),
            initial_primary: if random.once_in(2) { NodeId::A } else { NodeId::B },
            failure_timeout,
            hold: millis(&mut random, 300, 2_000),
            automatic: automatic(&mut random),
            clients: usize::try_from(random.between(2, 6)).unwrap_or(2),
            think: random.between(10, 120) * MS,
            patience: random.between(400, 3_000) * MS,
            delay: random.between(1, 15) * MS,
            lost_answers: if random.once_in(2) { random.between(4, 40) } else { 0 },
            late_changes: if random.once_in(3) { random.between(3, 20) } else { 0 },
            sync: random.between(1, 40) * MS / 10,
            rates,
            clocks,
            ambush: 0,
            plot: None,
            trouble,
            faults: Vec::new(),
            outside: Outside::default(),
            kept: Kept::default(),
        };
        plan.draw_faults(&mut random, kinds, Self::draw);
        let mut own = Random::new(seed ^ 0x706c_6f74);
        if own.once_in(4) && kinds.has(Kind::Plot) {
            let plot = Plot::ALL[own.index(Plot::ALL.len())];
            plan.plot = Some(plot);
            plot.suit(&mut plan, &mut own);
        }
        plan
    }

    /// A run of this seed that is all about one plot.
    pub(crate) fn plotted(seed: u64, plot: Plot) -> Self {
        let mut plan = if plot.is_unaided() {
            Self::unaided(plot.decided_by(), seed, Kinds::NONE)
        } else {
            Self::mediated(seed, Kinds::NONE)
        };
        plan.plot = Some(plot);
        plot.suit(&mut plan, &mut Random::new(seed ^ 0x706c_6f74));
        plan
    }

    /// Each kind from a sequence of its own, by what `draw` makes of it in this sort of pair.
    fn draw_faults(
        &mut self,
        random: &mut Random,
        kinds: Kinds,
        draw: fn(&mut Self, Kind, &mut Random),
    ) {
        if random.once_in(2) && kinds.has(Kind::Ambush) {
            self.ambush = random.between(2, 8);
        }
        // About half of the kinds, each seed others.
        let of = random.between(2, 5);
        for kind in Kind::ALL {
            let mut own = Random::new(random.next());
            if !own.once_in(of) || !kinds.has(kind) {
                continue;
            }
            let times = match kind {
                Kind::Wipe | Kind::Amnesia | Kind::BadDisk | Kind::Rot => own.between(1, 2),
                Kind::Rewind => own.between(1, 3),
                Kind::Person => own.between(1, 6),
                _ => own.between(1, 4),
            };
            for _ in 0..times {
                draw(self, kind, &mut own);
            }
        }
        self.faults.sort_by_key(|(at, kind, _)| (*at, *kind));
    }

    /// What may happen at the worst moment.
    pub(crate) fn draw_ambush(own: &mut Random) -> Fault {
        let host = usize::from(own.once_in(2));
        let lasting = own.between(100, 4_000) * MS;
        let towards = [[true, true], [true, false], [false, true]][own.index(3)];
        match own.below(8) {
            0 => Fault::Kill { host, certified: own.once_in(2), restart: restart(own) },
            1 | 2 => Fault::Power { host, keep: keep(own), restart: restart(own) },
            3 => Fault::Pause { host, lasting },
            4 => Fault::Link { towards, reset: own.once_in(2), lasting },
            5 => Fault::Reach { host, lasting },
            6 => Fault::Isolate { host, towards, lasting },
            _ => Fault::Outage { lasting, forgets: own.once_in(2) },
        }
    }

    fn draw(&mut self, kind: Kind, own: &mut Random) {
        let at = own.below(self.trouble);
        let host = usize::from(own.once_in(2));
        let restart = restart(own);
        let mut lasting = own.between(50, 600) * MS;
        if own.once_in(2) {
            lasting = own.between(500, 5_000) * MS;
        }
        let fault = match kind {
            Kind::Kill => Fault::Kill { host, certified: !own.once_in(3), restart },
            Kind::Power => Fault::Power { host, keep: keep(own), restart },
            Kind::Both => return self.draw_both(at, own),
            Kind::Pause => Fault::Pause { host, lasting },
            Kind::Link => {
                let towards = [[true, true], [true, false], [false, true]][own.index(3)];
                Fault::Link { towards, reset: own.once_in(2), lasting }
            }
            Kind::Reach => Fault::Reach { host, lasting },
            Kind::Isolate => {
                let towards = [[true, true], [true, false], [false, true]][own.index(3)];
                let lasting = lasting + own.below(2_000) * MS;
                if own.once_in(2) {
                    Fault::Isolate { host, towards, lasting }
                } else {
                    // First the mediator, and the link once it counts as gone there.
                    let gap = own.between(300, 3_000) * MS;
                    let link = Fault::Link { towards, reset: own.once_in(3), lasting };
                    self.faults.push((at + gap, kind, link));
                    Fault::Reach { host, lasting: lasting + gap }
                }
            }
            Kind::Rewind => return self.draw_rewind(at, own),
            Kind::Ambush | Kind::Plot | Kind::Lines | Kind::Silence | Kind::Pings | Kind::Door => {
                return;
            }
            Kind::Outage => Fault::Outage { lasting, forgets: own.once_in(2) },
            Kind::Amnesia => Fault::Amnesia { versions: own.below(4) },
            Kind::SlowDisk => {
                let sync = if own.once_in(2) { lasting } else { own.between(20, 400) * MS };
                Fault::SlowDisk { host, sync, lasting }
            }
            Kind::BadDisk => Fault::BadDisk { host },
            Kind::FullDisk => Fault::FullDisk { host, lasting },
            Kind::Wipe => Fault::Wipe { host, restart },
            Kind::Rot => Fault::Rot { host, restart },
            Kind::Term => Fault::Term { host, restart },
            Kind::Person => Fault::Person { host, wish: wish(own, self.automatic.automation) },
            Kind::Wall => Fault::Wall { host, by: own.signed(60_000) },
            Kind::SlowNet => Fault::SlowNet { delay: own.between(30, 600) * MS, lasting },
        };
        self.faults.push((at, kind, fault));
    }

    /// A copy of a disk, and some time later the machine that comes back with it.
    fn draw_rewind(&mut self, at: u64, own: &mut Random) {
        let host = usize::from(own.once_in(2));
        let age = if own.once_in(3) { own.between(20, 400) } else { own.between(200, 6_000) };
        let rewind = Rewind {
            host,
            keep: keep(own),
            killed: own.once_in(2).then(|| own.once_in(2)),
            restart: restart(own),
            tries: 30,
            alone: if own.once_in(2) { own.between(800, 4_000) * MS } else { 0 },
        };
        self.faults.push((at, Kind::Rewind, Fault::Image { host }));
        if own.once_in(2) {
            // The copy is of an earlier process than the one whose disk goes back.
            let certified = own.once_in(2);
            let restart = own.between(20, 300) * MS;
            let kill = Fault::Kill { host, certified, restart };
            self.faults.push((at + own.below(age) * MS, Kind::Rewind, kill));
        }
        self.faults.push((at + age * MS, Kind::Rewind, Fault::Rewind(rewind)));
    }

    /// Both go down within a short time, and come back in either order.
    fn draw_both(&mut self, at: u64, own: &mut Random) {
        let power = own.once_in(2);
        let first = usize::from(own.once_in(2));
        let gap = own.below(1_500) * MS;
        for (host, at) in [(first, at), (1 - first, at + gap)] {
            let restart = restart(own) + own.below(3_000) * MS;
            let fault = if power {
                Fault::Power { host, keep: keep(own), restart }
            } else {
                Fault::Kill { host, certified: own.once_in(2), restart }
            };
            self.faults.push((at, Kind::Both, fault));
        }
    }
}

const fn restart(own: &mut Random) -> u64 {
    let long = if own.once_in(3) { 4_000 } else { 600 };
    own.between(20, long) * MS
}

fn keep(own: &mut Random) -> u8 {
    [0, 60, 128, 255][own.index(4)]
}

fn wish(own: &mut Random, automation: Automation) -> Wish {
    let asks = automation != Automation::Auto;
    match own.below(8) {
        0..=2 => Wish::Switch,
        3 => Wish::Pause,
        4 | 5 if asks => Wish::Confirm,
        6 if asks => Wish::Reject,
        6 => Wish::Promote,
        _ => Wish::Resume,
    }
}

fn automatic(random: &mut Random) -> Automatic {
    let automation = match random.below(10) {
        0 => Automation::Confirm,
        1 => Automation::Observe,
        _ => Automation::Auto,
    };
    Automatic {
        automation,
        confirm_timeout: millis(random, 1_000, 8_000),
        solo_after: millis(random, 300, 2_000),
        slow_after: if random.once_in(3) { Duration::ZERO } else { millis(random, 300, 3_000) },
        max_restarts: if random.once_in(2) { 3 } else { 0 },
        restart_window: Duration::from_secs(10),
        min_interval: millis(random, 1, 4_000),
        failback: match random.below(6) {
            0 => Some(NodeId::A),
            1 => Some(NodeId::B),
            _ => None,
        },
        failback_after: millis(random, 500, 3_000),
        max_lag_bytes: if random.once_in(2) { 4_096 } else { 0 },
        session: millis(random, 500, 2_000),
        when_lost: if random.once_in(4) { WhenLost::StepDown } else { WhenLost::Partner },
        read_lease: millis(random, 200, 1_000),
        barrier_reads: random.once_in(3),
        unaided: tandem_switch::Unaided::default(),
    }
}
