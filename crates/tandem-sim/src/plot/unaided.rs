//! Plots of pairs without a third party.

use std::time::Duration;

use tandem_node::{Acknowledge, SwitchBy};
use tandem_switch::{Automation, OnSilence, SplitBrain};

use super::{Plot, Roles};
use crate::Random;
use crate::plan::{Clocks, Fault, MS, Plan};

impl Plot {
    /// Those of a pair without a third party.
    pub const UNAIDED: [Self; 10] = [
        Self::Hasty,
        Self::Disinherited,
        Self::Orphan,
        Self::LateWord,
        Self::Revenant,
        Self::Duel,
        Self::DeadSuccessor,
        Self::Misfire,
        Self::Blind,
        Self::Deserted,
    ];

    pub(crate) fn is_unaided(self) -> bool {
        Self::UNAIDED.contains(&self)
    }

    /// Who decides in such a pair.
    pub(crate) fn decided_by(self) -> SwitchBy {
        match self {
            Self::Blind | Self::Deserted => SwitchBy::Probe,
            _ if self.is_unaided() => SwitchBy::Direct,
            _ => SwitchBy::Mediator,
        }
    }

    pub(super) fn suit_unaided(self, plan: &mut Plan, random: &mut Random) {
        let millis =
            |random: &mut Random, low, high| Duration::from_millis(random.between(low, high));
        plan.clocks = Clocks::Good;
        plan.rates = std::array::from_fn(|_| random.signed(9_000));
        plan.trouble = random.between(7_000, 9_000) * MS;
        plan.acknowledge = Acknowledge::Durable;
        plan.failure_timeout = millis(random, 300, 500);
        plan.clients = plan.clients.max(4);
        plan.think = random.between(10, 40) * MS;
        plan.patience = random.between(2_000, 3_000) * MS;
        plan.outside.fence_fails = 0;
        plan.outside.fence_takes = 200 * MS;
        let automatic = &mut plan.automatic;
        automatic.automation = Automation::Auto;
        automatic.max_restarts = 0;
        automatic.failback = None;
        automatic.min_interval = Duration::from_millis(1);
        automatic.solo_after = millis(random, 300, 600);
        let unaided = &mut automatic.unaided;
        unaided.goes_alone = true;
        unaided.pings = false;
        unaided.fence = false;
        unaided.on_silence = OnSilence::Wait;
        unaided.split_brain = SplitBrain::Newest;
        match self {
            Self::Orphan => unaided.fence = true,
            Self::Misfire => {
                unaided.fence = true;
                plan.outside.fence_fails = 1;
            }
            Self::Deserted => {
                unaided.on_silence = OnSilence::TakeOver;
                plan.outside.probe_writes = true;
            }
            Self::Revenant => {
                plan.acknowledge = Acknowledge::Local;
                unaided.fence = random.once_in(2);
            }
            Self::Duel => unaided.on_silence = OnSilence::TakeOver,
            Self::DeadSuccessor => {
                plan.failure_timeout = millis(random, 800, 1_500);
                automatic.failback = Some(plan.initial_primary.peer());
                automatic.failback_after = millis(random, 1_500, 3_000);
                // With writes under way the primary would wait for its peer in any case.
                plan.clients = 2;
                plan.think = random.between(1_500, 4_000) * MS;
            }
            Self::Blind => {
                unaided.pings = true;
                unaided.fence = random.once_in(2);
                unaided.on_silence = OnSilence::TakeOver;
            }
            _ => {}
        }
    }

    pub(super) fn open_unaided(
        self,
        plan: &Plan,
        roles: Roles,
        random: &mut Random,
    ) -> Vec<(u64, Fault)> {
        let Roles { primary, standby } = roles;
        let mut faults = Vec::new();
        let mut add = |at: u64, fault: Fault| faults.push((at * MS, fault));
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(0);
        let patience = millis(plan.automatic.solo_after.max(plan.failure_timeout));
        let long = 8_000 * MS;
        let silence = |lasting: u64, reset| Fault::Silence {
            towards: [true, true],
            reset,
            lasting: lasting * MS,
        };
        let kill =
            |host, certified, restart: u64| Fault::Kill { host, certified, restart: restart * MS };
        match self {
            Self::Hasty => {
                add(0, silence(patience + random.between(200, 500), random.once_in(2)));
                let at = patience - random.between(30, 100);
                let sync = random.between(1_200, 2_000) * MS;
                add(at, Fault::SlowDisk { host: primary, sync, lasting: 3_000 * MS });
                add(patience + random.between(20, 400), kill(primary, true, 6_000));
            }
            Self::Disinherited => {
                let alone = patience + random.between(300, 900);
                add(0, silence(alone + random.between(20, 300), random.once_in(2)));
                add(alone, kill(primary, true, 6_000));
            }
            Self::Orphan => {
                add(0, kill(standby, true, random.between(400, 900)));
                add(random.between(60, 300), silence(6_000, false));
            }
            Self::LateWord => {
                let cut = random.between(100, 900);
                let link = Fault::Link { towards: [true, true], reset: true, lasting: cut * MS };
                add(0, link);
                add(random.below(50), kill(primary, true, random.between(20, 200)));
            }
            Self::Revenant => {
                // Back before its peer's silence has been noticed there, and cut off.
                let restart = random.between(500, 1_500) * MS;
                if plan.automatic.unaided.fence {
                    add(0, silence(6_000, random.once_in(2)));
                } else {
                    add(0, Fault::Kill { host: primary, certified: true, restart });
                    add(random.between(60, 400), silence(5_000, false));
                }
            }
            Self::Duel => {
                let lasting = random.between(800, 1_500);
                add(0, silence(lasting, random.once_in(2)));
                let link = Fault::Link { towards: [true, true], reset: true, lasting: long };
                add(0, link);
            }
            Self::DeadSuccessor => {
                let restart = random.between(2_500, 5_000) * MS;
                add(random.below(2_000), Fault::Power { host: standby, keep: 255, restart });
            }
            Self::Misfire => add(0, silence(random.between(4_000, 6_000), random.once_in(2))),
            Self::Deserted => {
                let link = Fault::Link { towards: [true, true], reset: true, lasting: long };
                add(0, link);
                let at = patience + random.between(800, 2_000);
                add(at, Fault::Door { host: standby, lasting: 5_000 * MS });
            }
            Self::Blind => {
                let towards = [true, true];
                let lasting = random.between(2_000, 5_000) * MS;
                add(0, Fault::Alone { host: standby, towards, lasting });
            }
            _ => {}
        }
        faults
    }
}
