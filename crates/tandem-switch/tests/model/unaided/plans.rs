//! Which worlds of the unaided pair are looked at.

use tandem_switch::{Acknowledge, OnSilence, Rule, Seen, SplitBrain, Unaided};

use tandem_types::Pair;

use super::node::Setup;
use super::world::{Budget, Goal, Plan};

pub struct Named {
    pub name: &'static str,
    pub plan: Plan,
}

const WAITS: Unaided = Unaided {
    seen: Seen::Directly,
    channels: 0,
    fence: false,
    on_silence: OnSilence::Wait,
    goes_alone: true,
    pings: false,
    probe_failures: 1,
    split_brain: SplitBrain::Newest,
};

const FENCED: Unaided = Unaided { fence: true, ..WAITS };

const TAKES: Unaided = Unaided { on_silence: OnSilence::TakeOver, ..WAITS };

const NONE: Budget = Budget {
    writes: 1,
    ticks: Pair { a: 1, b: 1 },
    crashes: 0,
    disk_losses: 0,
    link_breaks: 0,
    certificates: 0,
    reports: 0,
    fences: 2,
    fence_failures: 0,
    switches: 0,
    stops: 0,
    promotes: 0,
    pings: 0,
    probes: 0,
    epochs: 4,
};

const fn named(
    name: &'static str,
    unaided: Unaided,
    budget: Budget,
    goals: &'static [Goal],
) -> Named {
    let setup = Setup { unaided, acknowledge: Acknowledge::Durable, slow_disk: false };
    Named { name, plan: Plan { setup, budget, goals } }
}

const NO_TIME: Pair<u8> = Pair { a: 0, b: 0 };
const A_ONLY: Pair<u8> = Pair { a: 1, b: 0 };

/// All rules hold.
pub fn all() -> Vec<Named> {
    let channel = Unaided { channels: 1, ..WAITS };
    let two = Unaided { channels: 2, ..WAITS };
    let refuses = Unaided { goes_alone: false, ..WAITS };
    let splits = Unaided { channels: 1, ..TAKES };
    let mut slow = named(
        "slow disk",
        WAITS,
        Budget { crashes: 1, certificates: 1, link_breaks: 1, ticks: A_ONLY, ..NONE },
        &[Goal::TookOver, Goal::AloneOnSilence],
    );
    slow.plan.setup.slow_disk = true;
    let mut local = named(
        "local",
        FENCED,
        Budget { link_breaks: 1, ticks: Pair { a: 1, b: 2 }, fences: 1, epochs: 3, ..NONE },
        &[Goal::TookOver],
    );
    local.plan.setup.acknowledge = Acknowledge::Local;
    vec![
        named(
            "certificates",
            WAITS,
            Budget { crashes: 1, certificates: 1, link_breaks: 1, ..NONE },
            &[Goal::Acknowledged, Goal::TookOver, Goal::AloneCertified, Goal::Grown],
        ),
        named(
            "deaths",
            WAITS,
            Budget { crashes: 2, certificates: 2, ticks: NO_TIME, ..NONE },
            &[Goal::TookOver, Goal::AloneCertified, Goal::Returned, Goal::Grown],
        ),
        slow,
        local,
        named(
            "link",
            WAITS,
            Budget { link_breaks: 2, writes: 2, ..NONE },
            &[Goal::AloneOnSilence, Goal::Grown],
        ),
        named(
            "channel",
            channel,
            Budget { link_breaks: 2, reports: 2, ticks: Pair { a: 0, b: 1 }, ..NONE },
            &[Goal::AloneResigned, Goal::Grown],
        ),
        named(
            "two channels",
            two,
            Budget { link_breaks: 1, reports: 2, writes: 0, ..NONE },
            &[Goal::AloneResigned, Goal::AloneOnSilence],
        ),
        named(
            "fence",
            FENCED,
            Budget { link_breaks: 1, ticks: Pair { a: 1, b: 2 }, epochs: 3, ..NONE },
            &[Goal::TookOver, Goal::AloneFenced, Goal::Grown],
        ),
        named(
            "fence fails",
            FENCED,
            Budget {
                link_breaks: 1,
                ticks: Pair { a: 1, b: 2 },
                fences: 1,
                fence_failures: 2,
                epochs: 3,
                ..NONE
            },
            &[Goal::TookOver, Goal::AloneFenced],
        ),
        named(
            "switch",
            WAITS,
            Budget { switches: 1, link_breaks: 1, ..NONE },
            &[Goal::HandedOver, Goal::AloneOnSilence, Goal::Grown],
        ),
        named(
            "switch, death",
            WAITS,
            Budget { switches: 1, crashes: 1, certificates: 1, ticks: NO_TIME, ..NONE },
            &[Goal::HandedOver, Goal::TookOver, Goal::Grown],
        ),
        named(
            "stop",
            WAITS,
            Budget { stops: 1, crashes: 1, certificates: 1, ticks: NO_TIME, ..NONE },
            &[Goal::HandedOver, Goal::AloneResigned],
        ),
        named(
            "person",
            refuses,
            Budget {
                promotes: 1,
                link_breaks: 1,
                crashes: 1,
                certificates: 1,
                ticks: NO_TIME,
                ..NONE
            },
            &[Goal::Promoted, Goal::TookOver],
        ),
        named(
            "disk",
            WAITS,
            Budget { crashes: 1, disk_losses: 1, certificates: 1, ..NONE },
            &[Goal::TookOver, Goal::Grown],
        ),
        named(
            "take-over",
            TAKES,
            Budget { link_breaks: 1, writes: 2, crashes: 1, epochs: 3, ..NONE },
            &[Goal::TookOverUnproven, Goal::BothServed, Goal::Healed, Goal::WritesSaved],
        ),
        named(
            "probe",
            Unaided { seen: Seen::AsClient, pings: true, ..TAKES },
            Budget { link_breaks: 1, probes: 2, pings: 1, writes: 0, ticks: A_ONLY, ..NONE },
            &[Goal::TookOverUnproven, Goal::HandedOver, Goal::AloneOnSilence, Goal::Healed],
        ),
        named(
            "probe, fence",
            Unaided { seen: Seen::AsClient, ..FENCED },
            Budget {
                link_breaks: 1,
                probes: 1,
                fences: 1,
                ticks: Pair { a: 1, b: 2 },
                epochs: 3,
                ..NONE
            },
            &[Goal::TookOver, Goal::AloneFenced],
        ),
        named(
            "take-over, channel",
            splits,
            Budget { link_breaks: 1, reports: 2, ..NONE },
            &[Goal::TookOverUnproven, Goal::BothServed, Goal::Healed],
        ),
    ]
}

/// The same with more of everything (`TANDEM_MODEL=deep`): too much to be explored whole.
pub fn deeper(mut plan: Plan) -> Plan {
    let budget = &mut plan.budget;
    budget.writes += 1;
    budget.crashes += 1;
    budget.link_breaks += 1;
    budget.ticks.a += 1;
    budget.ticks.b += 1;
    budget.epochs += 1;
    plan
}

/// Where a rule is missed when it is taken away.
pub fn home(rule: Rule) -> Option<Named> {
    let home = match rule {
        Rule::CertificateShowsSet | Rule::CertificateOfThisBoot => "certificates",
        Rule::ReturnsAlone => "local",
        Rule::UnbrokenContact => "deaths",
        Rule::AloneOnDisk => "slow disk",
        Rule::AllChannels => "two channels",
        Rule::ResignByRevision => "channel",
        Rule::FenceCertain => "fence fails",
        Rule::OneReturns => "take-over, channel",
        Rule::OwnNetwork | Rule::LeftBehind => "probe",
        _ => return None,
    };
    all().into_iter().find(|named| named.name == home)
}
