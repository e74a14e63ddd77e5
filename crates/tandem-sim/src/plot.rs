//! Plots: a few faults that belong together, timed around one decisive moment.
//!
//! Faults that are drawn one by one rarely meet in the order that a rule exists for. Each plot knows such
//! an order; its times and settings come from the seed all the same.

use std::time::Duration;

use tandem_node::{Acknowledge, Topology};
use tandem_switch::{Automation, WhenLost};

use crate::Random;
use crate::plan::{Clocks, Fault, Kind, MS, Plan, Rewind};

mod unaided;

/// One of them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plot {
    /// The standby's end of the link breaks and the primary's does not; the primary's presence ends. Two
    /// nodes believe to be primary for a while, and only the leases keep the reads apart.
    Rift,
    /// The primary loses the mediator, the standby is told to stop, the primary goes on alone and dies; the
    /// standby comes back first.
    Farewell,
    /// Slow disks, and both machines lose their power at nearly the same time.
    Blackout,
    /// The record is asked to name the peer again, the answer is lost, and the change takes effect long
    /// after the peer is gone again.
    LateGrowth,
    /// The record is asked to leave a peer out that does not answer, that is held back, and the primary dies
    /// before it takes effect.
    LateShrink,
    /// The primary goes on alone, the mediator loses the record, and the node that was left out asks first.
    Emptied,
    /// The primary goes on alone and loses the mediator, which is restored from the time before that.
    Restored,
    /// The standby is preferred, and dies unheard shortly before or while the role is handed to it.
    DeadHeir,
    /// The standby is preferred, and its disk is slow when the role is handed to it.
    SlowHeir,
    /// The primary loses the mediator for longer than its presence lasts, and nothing else.
    Unseen,
    /// The primary's machine goes back to an older copy of its disk, and is back before it counts as gone.
    Reverted,
    /// Without a third party: nothing is heard of the standby, the primary's disk is slow when it goes alone,
    /// and it dies while that is being written.
    Hasty,
    /// Nothing is heard of the standby, the primary goes alone, and dies just before it can be heard again.
    Disinherited,
    /// The standby dies, the primary goes alone by its certificate, and the standby comes back to silence.
    Orphan,
    /// The primary dies and is back at once; its supervisor's word comes late.
    LateWord,
    /// The primary of an asynchronous pair is fenced, or certified dead, and comes back to silence.
    Revenant,
    /// Both serve, and hear of one another on everything but the link.
    Duel,
    /// The standby dies unheard when the primary is about to hand over.
    DeadSuccessor,
    /// Nothing is heard of the peer on either side, and no fence command succeeds.
    Misfire,
    /// The network of the prober fails.
    Blind,
    /// The link is cut, the prober sees the primary go on without this node, and then sees it no more.
    Deserted,
}

/// The change of the record at which a plot goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Moment {
    /// The primary asks for the peer to be taken in again.
    Growth,
    /// The primary asks for the peer to be left out.
    Shrink,
}

/// The two nodes by what they are when the plot begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Roles {
    pub(crate) primary: usize,
    pub(crate) standby: usize,
}

impl Plot {
    /// Those that a pair with a mediator may meet in any run. ([`Self::Reverted`] is a kind of fault of its own
    /// there.)
    pub const ALL: [Self; 10] = [
        Self::Rift,
        Self::Farewell,
        Self::Blackout,
        Self::LateGrowth,
        Self::LateShrink,
        Self::Emptied,
        Self::Restored,
        Self::DeadHeir,
        Self::SlowHeir,
        Self::Unseen,
    ];

    /// The plot of this name.
    pub fn named(name: &str) -> Option<Self> {
        let all = Self::ALL.into_iter().chain(Self::UNAIDED).chain([Self::Reverted]);
        all.into_iter().find(|it| format!("{it:?}") == name)
    }

    /// Settings under which it comes to something.
    pub(crate) fn suit(self, plan: &mut Plan, random: &mut Random) {
        if self.is_unaided() {
            return self.suit_unaided(plan, random);
        }
        let millis =
            |random: &mut Random, low, high| Duration::from_millis(random.between(low, high));
        plan.clocks = Clocks::Good;
        let off = plan.clocks.rates_off(plan.seed);
        plan.rates = std::array::from_fn(|_| random.signed(off));
        plan.trouble = random.between(7_000, 9_000) * MS;
        if plan.acknowledge == Acknowledge::Local {
            plan.acknowledge = Acknowledge::Durable;
        }
        plan.automatic.automation = Automation::Auto;
        plan.automatic.when_lost = WhenLost::Partner;
        plan.automatic.max_restarts = 0;
        plan.automatic.failback = None;
        plan.automatic.min_interval = Duration::from_millis(1);
        plan.automatic.solo_after = millis(random, 300, 600);
        plan.clients = plan.clients.max(4);
        plan.think = random.between(10, 40) * MS;
        match self {
            Self::Rift => {
                plan.failure_timeout = millis(random, 1_800, 3_000);
                plan.automatic.session = millis(random, 400, 600);
                plan.automatic.read_lease = millis(random, 300, 1_500);
                plan.automatic.solo_after = millis(random, 2_000, 3_000);
                plan.automatic.barrier_reads = random.once_in(4);
                plan.patience = random.between(500, 1_000) * MS;
                plan.sync = random.between(1, 20) * MS / 10;
                plan.delay = random.between(1, 5) * MS;
            }
            Self::Blackout => {
                plan.topology = Topology::PrimaryReplica;
                plan.delay = random.between(1, 5) * MS;
            }
            Self::DeadHeir => {
                plan.failure_timeout = millis(random, 800, 1_500);
                plan.automatic.failback = Some(plan.initial_primary.peer());
                plan.automatic.failback_after = millis(random, 1_500, 3_000);
                // With writes under way the primary would wait for the heir in any case.
                plan.clients = 2;
                plan.think = random.between(1_500, 4_000) * MS;
            }
            Self::SlowHeir => {
                plan.automatic.failback = Some(plan.initial_primary.peer());
                plan.automatic.failback_after = millis(random, 1_500, 2_500);
            }
            Self::Farewell
            | Self::LateGrowth
            | Self::LateShrink
            | Self::Emptied
            | Self::Restored
            | Self::Reverted
            | Self::Unseen => {
                plan.failure_timeout = millis(random, 300, 600);
                plan.automatic.session = millis(random, 600, 900);
            }
            // See `suit_unaided`.
            _ => {}
        }
        if self == Self::Reverted {
            // What the other disk has is what was promised.
            plan.acknowledge = Acknowledge::Durable;
        }
        if matches!(self, Self::Emptied | Self::Restored) {
            // One loss at a time: a disk or another record would be a second one.
            plan.faults.retain(|(_, kind, _)| {
                !matches!(kind, Kind::Amnesia | Kind::Wipe | Kind::Rot | Kind::Rewind)
            });
        }
    }

    /// Faults that come first, from the moment on at which both are in sync.
    pub(crate) fn opening(
        self,
        plan: &Plan,
        roles: Roles,
        random: &mut Random,
    ) -> Vec<(u64, Fault)> {
        if self.is_unaided() {
            return self.open_unaided(plan, roles, random);
        }
        let Roles { primary, standby } = roles;
        let mut faults = Vec::new();
        let mut add = |at: u64, fault: Fault| faults.push((at * MS, fault));
        let long = 8_000 * MS;
        match self {
            Self::Rift => {
                let mut towards = [false; 2];
                towards[primary] = true;
                // Answers of the standby wait on the silent way, and arrive late.
                let gap = random.between(50, 600);
                let silent = (gap + random.between(100, 900)) * MS;
                add(0, Fault::Link { towards, reset: false, lasting: silent });
                add(random.below(60), Fault::Reach { host: primary, lasting: long });
                add(gap, Fault::Reset { host: standby });
                // Nobody dials it anew for a while.
                let mut back = [false; 2];
                back[standby] = true;
                let again = if random.once_in(3) { 1_500 * MS } else { long };
                add(gap, Fault::Link { towards: back, reset: false, lasting: again });
            }
            Self::Farewell => {
                add(0, Fault::Reach { host: primary, lasting: long });
                add(random.below(100), Fault::Term { host: standby, restart: 0 });
                let at = random.between(400, 2_500);
                add(at, Fault::Kill { host: primary, certified: false, restart: long });
            }
            Self::Blackout => {
                // Either both lose what they had not synced, or only the one that comes back first.
                let one = random.once_in(2);
                let sync = random.between(100, 500) * MS;
                for host in if one { [standby, standby] } else { [primary, standby] } {
                    add(0, Fault::SlowDisk { host, sync, lasting: 2_000 * MS });
                }
                let at = random.between(300, 1_500);
                for host in [primary, standby] {
                    let late = if one && host == primary { 6_000 } else { 0 };
                    let restart = (random.between(100, 1_500) + late) * MS;
                    add(at + random.below(30), Fault::Power { host, keep: 0, restart });
                }
            }
            Self::LateGrowth => {
                let restart = random.between(700, 1_200) * MS;
                add(0, Fault::Kill { host: standby, certified: true, restart });
            }
            Self::LateShrink => {
                let link = Fault::Link { towards: [true, true], reset: true, lasting: long };
                add(0, link);
            }
            Self::SlowHeir => {
                let sync = random.between(50, 300) * MS;
                add(0, Fault::SlowDisk { host: standby, sync, lasting: 4_000 * MS });
            }
            Self::DeadHeir => {
                let restart = random.between(2_500, 5_000) * MS;
                let at = random.below(2_000);
                add(at, Fault::Power { host: standby, keep: 255, restart });
            }
            Self::Unseen => {
                let lasting = random.between(1_000, 4_000) * MS;
                add(0, Fault::Reach { host: primary, lasting });
            }
            Self::Emptied => {
                add(0, Fault::Link { towards: [true, true], reset: true, lasting: long });
                let restart = random.between(200, 600) * MS;
                add(1, Fault::Kill { host: standby, certified: false, restart });
                let at = random.between(1_500, 2_500);
                let lasting = random.between(50, 400) * MS;
                add(at, Fault::Reach { host: primary, lasting });
                add(at, Fault::Emptied);
            }
            Self::Reverted => return Self::open_reverted(primary, random),
            Self::Restored => {
                add(0, Fault::Link { towards: [true, true], reset: true, lasting: long });
                let at = random.between(1_500, 2_500);
                add(at, Fault::Reach { host: primary, lasting: long });
                add(at, Fault::Restored);
            }
            // See `open_unaided`.
            _ => {}
        }
        faults
    }

    /// The primary's disk goes back to what it was when both were in sync.
    fn open_reverted(primary: usize, random: &mut Random) -> Vec<(u64, Fault)> {
        let mut faults = vec![(0, Fault::Image { host: primary })];
        let later = random.between(200, 1_500);
        if random.once_in(2) {
            let restart = random.between(20, 150) * MS;
            let kill = Fault::Kill { host: primary, certified: false, restart };
            faults.push((later * MS, kill));
        }
        let rewind = Rewind {
            host: primary,
            keep: 255,
            killed: Some(false),
            restart: random.between(20, 150) * MS,
            tries: 30,
            alone: 0,
        };
        let at = later + random.between(300, 1_500);
        faults.push((at * MS, Fault::Rewind(rewind)));
        faults
    }

    /// What it waits for after that, if anything.
    pub(crate) const fn awaits(self) -> Option<Moment> {
        match self {
            Self::LateGrowth => Some(Moment::Growth),
            Self::LateShrink => Some(Moment::Shrink),
            _ => None,
        }
    }

    /// Faults from that moment on, and how long the change that was just asked is held back.
    pub(crate) fn climax(
        moment: Moment,
        roles: Roles,
        random: &mut Random,
    ) -> (u64, Vec<(u64, Fault)>) {
        let Roles { primary, .. } = roles;
        let long = 8_000 * MS;
        let held = random.between(1_100, 2_500) * MS;
        let link = Fault::Link { towards: [true, true], reset: true, lasting: long };
        let reach = Fault::Reach { host: primary, lasting: long };
        let kill = Fault::Kill { host: primary, certified: false, restart: long };
        if moment == Moment::Shrink {
            let (soon, later) = (random.below(100), random.between(200, 700));
            return (held + 1_500 * MS, vec![(soon * MS, reach), (later * MS, kill)]);
        }
        let faults = vec![
            (random.below(20) * MS, link),
            (random.between(540, 700) * MS, reach),
            (random.between(800, 1_500) * MS, kill),
        ];
        (held, faults)
    }
}
