//! Takes one rule away at a time: the simulation must notice, within a fixed number of seeds.
//!
//! `cargo xtask sim --planted`, or
//! `cargo test --profile e2e -p tandem-sim --features planted --test planted -- --nocapture`. One rule only:
//! `TANDEM_RULE=Name`; with `TANDEM_SEED=n` the story of one run without that rule.

use std::time::Duration;

use tandem_node::NodeRule;
use tandem_sim::{Campaign, Failure, Kinds, Plot, SwitchBy, Tally, run_plot, run_seed};
use tandem_switch::Rule;

/// A rule, and the seeds among which its absence is looked for.
struct Hunt {
    rule: Taken,
    /// Who decides on a change of primary.
    by: SwitchBy,
    /// What the runs are about; `None`: everything that a seed may bring.
    plot: Option<Plot>,
}

impl Hunt {
    fn play(&self, seed: u64, told: bool) -> (Result<(), Failure>, Tally, Vec<String>) {
        match self.plot {
            Some(plot) => run_plot(seed, plot, told),
            None => run_seed(self.by, seed, Kinds::ALL, told),
        }
    }
}

/// The rule that is taken away.
#[derive(Clone, Copy, Debug)]
enum Taken {
    Node(NodeRule),
    Switch(Rule),
    Merge(tandem_merge::Rule),
}

impl Taken {
    fn name(self) -> String {
        match self {
            Self::Node(rule) => format!("{rule:?}"),
            Self::Switch(rule) => format!("{rule:?}"),
            Self::Merge(rule) => format!("{rule:?}"),
        }
    }

    fn take_away(self) {
        match self {
            Self::Node(rule) => tandem_node::remove_rule(Some(rule)),
            Self::Switch(rule) => tandem_switch::remove(Some(rule)),
            Self::Merge(rule) => tandem_merge::remove(Some(rule)),
        }
    }
}

/// Every rule holds.
fn put_back() {
    tandem_node::remove_rule(None);
    tandem_switch::remove(None);
    tandem_merge::remove(None);
}

/// The runs in which a rule matters most.
const fn plot_of(rule: Taken) -> Option<Plot> {
    match rule {
        Taken::Node(NodeRule::RightFirst | NodeRule::LeaseFromAsking)
        | Taken::Switch(Rule::LeaseForReads | Rule::LeaseWait | Rule::FenceByEpoch) => {
            Some(Plot::Rift)
        }
        Taken::Node(
            NodeRule::SyncFirst | NodeRule::FollowerSyncFirst | NodeRule::ApplyCommitted,
        ) => Some(Plot::Blackout),
        Taken::Switch(Rule::ResignDurably | Rule::ResignedIsOut) => Some(Plot::Farewell),
        Taken::Switch(Rule::SettleByRevision | Rule::GrowWaits) => Some(Plot::LateGrowth),
        Taken::Switch(Rule::ShrinkFirst) => Some(Plot::LateShrink),
        Taken::Switch(Rule::RefuseDurably) => Some(Plot::Rift),
        Taken::Switch(Rule::HeirAnswers) => Some(Plot::DeadHeir),
        Taken::Switch(Rule::HandoverWaits) => Some(Plot::SlowHeir),
        Taken::Switch(Rule::LiveLink) => Some(Plot::Unseen),
        Taken::Switch(Rule::RewriteByPrimary) => Some(Plot::Emptied),
        Taken::Switch(Rule::SameLife) => Some(Plot::Restored),
        Taken::Switch(Rule::LostRecords | Rule::BootsOnce) => Some(Plot::Reverted),
        _ => None,
    }
}

/// So many runs must be enough.
const SEEDS: u64 = 600;
/// Where no plot leads to the moment in which a rule matters.
const SEEDS_UNAIDED: u64 = 3_000;

/// The same for a pair without a third party.
const fn plot_without_third_party(rule: Rule) -> Option<Plot> {
    match rule {
        Rule::CertificateShowsSet => Some(Plot::Disinherited),
        Rule::AloneOnDisk => Some(Plot::Hasty),
        Rule::UnbrokenContact => Some(Plot::Orphan),
        Rule::ReturnsAlone => Some(Plot::Revenant),
        Rule::OneReturns => Some(Plot::Duel),
        Rule::HeirAnswers => Some(Plot::DeadSuccessor),
        Rule::FenceCertain => Some(Plot::Misfire),
        Rule::OwnNetwork => Some(Plot::Blind),
        Rule::LeftBehind => Some(Plot::Deserted),
        _ => None,
    }
}

/// Every rule, and what its absence is looked for in.
fn hunts() -> Vec<Hunt> {
    let nodes = NodeRule::ALL.into_iter().map(Taken::Node);
    // A follower that is taken in while it lacks what was acknowledged without it is hardly ever greeted just then:
    // `VouchedFor` is held by a test of the brain (`a_primary_says_what_this_follower_has_vouched_for`).
    let back = Rule::GONE_BACK.into_iter().filter(|rule| *rule != Rule::VouchedFor);
    let switch = Rule::ALL.into_iter().chain(back);
    let mediated = nodes.chain(switch.map(Taken::Switch));
    let mediated = mediated.map(|rule| Hunt { rule, by: SwitchBy::Mediator, plot: plot_of(rule) });
    // An old resignation is told again only by a channel that is late by a whole membership: held by a test of
    // the brain (`one_channel_that_speaks_is_enough_and_the_standby_lets_the_primary_go`).
    let unaided = Rule::UNAIDED.into_iter().filter(|rule| *rule != Rule::ResignByRevision);
    let unaided = [Rule::HeirAnswers, Rule::LostRecords].into_iter().chain(unaided).map(|rule| {
        let probes = matches!(rule, Rule::OwnNetwork | Rule::LeftBehind);
        let by = if probes { SwitchBy::Probe } else { SwitchBy::Direct };
        Hunt { rule: Taken::Switch(rule), by, plot: plot_without_third_party(rule) }
    });
    mediated.chain(unaided).chain(two_writers()).collect()
}

/// What two writers rest on. The other rules of the merge are held by its own histories
/// (`cargo xtask merge --planted`).
fn two_writers() -> impl Iterator<Item = Hunt> {
    use tandem_merge::Rule as Merge;
    let node =
        [NodeRule::SyncFirst, NodeRule::CommitFirst].into_iter().chain(NodeRule::TWO_WRITERS);
    // Positions alone tell a copy as long as it has not written past them: the end-to-end test of older copies
    // holds this one.
    let node = node.filter(|rule| *rule != NodeRule::LaterBoots);
    let merge = [
        Merge::SeenFirst,
        Merge::UpdateBeatsDelete,
        Merge::TransformOwn,
        Merge::AckInOrder,
        Merge::SpendOwnRights,
        Merge::OwnParity,
    ];
    let rules = node.map(Taken::Node).chain(merge.into_iter().map(Taken::Merge));
    rules.map(|rule| Hunt { rule, by: SwitchBy::Manual, plot: None })
}

/// The test demands seeds, not seconds: this only ends a run on a machine that hangs.
const SAFETY_NET: Duration = Duration::from_mins(20);

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

const FROM: u64 = 1_000_000;

fn hunt(hunt: &Hunt, seeds: u64) -> Option<(u64, String)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let Hunt { by, plot, .. } = *hunt;
    let most = Some(SAFETY_NET);
    let all = Campaign { by, from: FROM, seeds, most, failures_max: 1, plot };
    let outcome = all.run(threads);
    if let Some((seed, _)) = outcome.failures.first() {
        // It must be the rule that is missed, and nothing else.
        put_back();
        let (result, _, _) = hunt.play(*seed, false);
        assert!(result.is_ok(), "seed {seed} fails with every rule in place: {result:?}");
    }
    let line = |text: &str| text.lines().next().unwrap_or_default().chars().take(110).collect();
    outcome.failures.first().map(|(seed, failure)| (seed - FROM + 1, line(&failure.what)))
}

#[expect(clippy::print_stdout, reason = "people want to read what happened")]
fn tell(hunt: &Hunt, seed: u64) {
    let (result, _, story) = hunt.play(seed, true);
    println!("{}", story.join("\n"));
    if let Err(Failure { what }) = result {
        println!("{}: {what}", hunt.rule.name());
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "the table is what people want to see")]
fn every_rule_that_is_taken_away_is_missed() {
    // A panic is one way to notice; its text is in the table.
    std::panic::set_hook(Box::new(|_| {}));
    let only = std::env::var("TANDEM_RULE").ok();
    let mut unnoticed = Vec::new();
    println!("{:<22} {:<11} {:>6}  how", "rule", "runs", "seeds");
    for one in hunts() {
        let rule = one.rule;
        if only.as_ref().is_some_and(|only| *only != rule.name()) {
            continue;
        }
        put_back();
        rule.take_away();
        if let Some(seed) = number("TANDEM_SEED") {
            tell(&one, seed);
            continue;
        }
        let enough = match one.by {
            SwitchBy::Mediator | SwitchBy::Manual => SEEDS,
            SwitchBy::Direct | SwitchBy::Probe | SwitchBy::Keepalived => SEEDS_UNAIDED,
        };
        let seeds = number("TANDEM_SEEDS").unwrap_or(enough);
        let found = hunt(&one, seeds);
        let plot = match (one.by, one.plot) {
            (SwitchBy::Mediator, None) => "any".to_owned(),
            (_, Some(plot)) => format!("{plot:?}"),
            (SwitchBy::Manual, None) => "two writers".to_owned(),
            (by, None) => by.word().to_owned(),
        };
        let (after, how) = match &found {
            Some((after, how)) => (after.to_string(), how.clone()),
            None => (format!("({seeds})"), "NOT MISSED".to_owned()),
        };
        println!("{:<22} {plot:<11} {after:>6}  {how}", rule.name());
        if found.is_none() {
            unnoticed.push(rule.name());
        }
    }
    put_back();
    let _hook = std::panic::take_hook();
    assert!(unnoticed.is_empty(), "nobody missed {unnoticed:?}");
}
