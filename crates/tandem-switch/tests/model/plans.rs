//! Which worlds are looked at.

use tandem_switch::{Acknowledge, Rule};

use crate::world::{Budget, Plan};

pub struct Named {
    pub name: &'static str,
    pub plan: Plan,
    /// As many states at most.
    pub states: usize,
}

const fn named(name: &'static str, states: usize, budget: Budget) -> Named {
    let plan = Plan { acknowledge: Acknowledge::Durable, budget, warm: true };
    Named { name, plan, states }
}

const NONE: Budget = Budget {
    writes: 1,
    ticks: 0,
    crashes: 0,
    disk_losses: 0,
    link_breaks: 0,
    mediator_cuts: 0,
    presence_lapses: 0,
    unknowns: 0,
    certificates: 0,
    switches: 0,
    stops: 0,
    empties: 0,
    restores: 0,
    beats: 1,
    epochs: 3,
    goals: true,
};

/// All rules hold.
pub fn sound() -> Vec<Named> {
    let begin = Plan { acknowledge: Acknowledge::Durable, budget: Budget { ..NONE }, warm: false };
    vec![
        Named { name: "begin", plan: begin, states: 400_000 },
        named("crash", 500_000, Budget { crashes: 1, writes: 2, ticks: 2, ..NONE }),
        named("certified", 300_000, Budget { crashes: 1, certificates: 1, ticks: 1, ..NONE }),
        named("link", 500_000, Budget { link_breaks: 1, writes: 2, ticks: 3, ..NONE }),
        named("lapse", 500_000, Budget { link_breaks: 1, presence_lapses: 1, ticks: 3, ..NONE }),
        named("switch", 400_000, Budget { switches: 1, unknowns: 1, ticks: 1, ..NONE }),
        named("unknown", 500_000, Budget { crashes: 1, unknowns: 1, ticks: 2, ..NONE }),
        named(
            "disk",
            400_000,
            Budget { goals: false, crashes: 1, disk_losses: 1, ticks: 1, ..NONE },
        ),
        named(
            "emptied",
            300_000,
            Budget { goals: false, empties: 1, crashes: 1, ticks: 1, ..NONE },
        ),
        named(
            "restored",
            300_000,
            Budget { goals: false, restores: 1, link_breaks: 1, writes: 2, ticks: 2, ..NONE },
        ),
        named("outage", 500_000, Budget { mediator_cuts: 2, link_breaks: 1, ticks: 2, ..NONE }),
        named("stop", 300_000, Budget { stops: 1, crashes: 1, ticks: 1, ..NONE }),
    ]
}

/// Deep ones, for random walks.
pub fn deep() -> Vec<Named> {
    let rich = Budget { writes: 3, ticks: 6, beats: 6, epochs: 9, goals: false, ..NONE };
    let faults = Budget { crashes: 2, link_breaks: 2, unknowns: 2, ..rich };
    let mut plans = vec![
        named("deep crashes", 0, Budget { certificates: 1, ..faults }),
        named("deep lapses", 0, Budget { presence_lapses: 2, mediator_cuts: 2, ..faults }),
        named("deep switches", 0, Budget { switches: 2, ..faults }),
        named("deep stops", 0, Budget { stops: 2, crashes: 3, ..faults }),
        named("deep disks", 0, Budget { disk_losses: 1, crashes: 3, ..faults }),
        named("deep outages", 0, Budget { mediator_cuts: 3, empties: 1, ..faults }),
        named(
            "deep frozen",
            0,
            Budget { presence_lapses: 2, link_breaks: 3, beats: 9, ticks: 9, ..rich },
        ),
    ];
    let cuts = Budget { link_breaks: 2, mediator_cuts: 2, crashes: 1, ..rich };
    plans.push(named("deep restored", 0, Budget { restores: 1, ..cuts }));
    let leaving = Budget { stops: 1, crashes: 3, mediator_cuts: 2, writes: 2, ..rich };
    plans.push(named("deep leaving", 0, leaving));
    let budget = Budget { stops: 1, crashes: 3, ..faults };
    let plan = Plan { acknowledge: Acknowledge::Received, budget, warm: true };
    plans.push(Named { name: "deep received", plan, states: 0 });
    plans
}

/// Why nothing here misses the rule (docs/adr/2026-11-23-redundant-switch-rules.md).
pub const fn redundant(rule: Rule) -> Option<&'static str> {
    Some(match rule {
        Rule::RefuseFirst => {
            "no stream while the primary's link is down, and a reign waits for leases"
        }
        Rule::RefuseDurably => {
            "what was acknowledged meanwhile is in the log that begins the reign"
        }
        Rule::FenceByEpoch => "an old primary has no acknowledgement, lease or record left",
        Rule::Isolation => "it only stalls: clients are cut so that they look elsewhere",
        Rule::UnlessPresent | Rule::LiveLink => "needless take-overs, not lost writes",
        Rule::HandoverWaits => "only unacknowledged writes would end as unknown",
        Rule::HeirAnswers => "a peer that died after all serves later, or a person decides",
        Rule::StopBeforeGiving => "leases still run out before the next reign serves",
        Rule::ReceivedEndsWithBoot => "left to the simulator: the model's log is always on disk",
        _ => return None,
    })
}
