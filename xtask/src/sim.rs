//! Simulated pairs: many seeds, one seed, or rules taken away.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::shell;

/// Seeds that `cargo xtask test` runs; `TANDEM_SEEDS` says otherwise.
pub(crate) const SEEDS: &str = "20000";
/// The same of pairs without a third party: both together take a bit more than a minute on two cores.
pub(crate) const SEEDS_DIRECT: &str = "4000";
/// See [`SEEDS_DIRECT`].
pub(crate) const SEEDS_PROBE: &str = "2500";

/// The same of pairs whose nodes both write: about 40 s on one core.
pub(crate) const SEEDS_TWO_WRITERS: &str = "400";

/// `sim [--direct | --probe | --two-writers] [--seeds N] [--from S] [--minutes M] [--seed ONE]`, or `sim --planted`.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let mut which = "mediated";
    let mut environment = Vec::new();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let name = match word.as_str() {
            "--planted" | "--direct" | "--probe" | "--two-writers" => {
                which = word.trim_start_matches("--");
                continue;
            }
            "--seeds" => "TANDEM_SEEDS",
            "--from" => "TANDEM_FROM",
            "--minutes" => "TANDEM_MINUTES",
            "--seed" => "TANDEM_SEED",
            _ => bail!(
                "say --direct, --probe or --two-writers, --seeds N, --from S, --minutes M, --seed ONE, or --planted"
            ),
        };
        let value = rest.next().with_context(|| format!("{word} wants a number"))?;
        value.parse::<u64>().with_context(|| format!("{word} wants a number"))?;
        environment.push((name, value.clone()));
    }
    let minutes_only = environment.iter().any(|(name, _)| *name == "TANDEM_MINUTES")
        && environment.iter().all(|(name, _)| *name != "TANDEM_SEEDS");
    if minutes_only {
        environment.push(("TANDEM_SEEDS", u64::from(u32::MAX).to_string()));
    }
    let mut command = match which {
        "planted" => planted_rules(),
        "direct" => direct(),
        "probe" => probe(),
        "two-writers" => two_writers(),
        _ => mediated(),
    };
    command.envs(environment);
    shell::run(command)
}

/// The pairs with automatic switching.
pub(crate) fn mediated() -> Command {
    unplanted("mediated")
}

/// The pairs without a third party that watch one another on several channels.
pub(crate) fn direct() -> Command {
    unplanted("direct")
}

/// The pairs whose standby is a client of the primary.
pub(crate) fn probe() -> Command {
    unplanted("probe")
}

/// The pairs whose nodes both write.
pub(crate) fn two_writers() -> Command {
    unplanted("two_writers")
}

/// Every rule taken away once.
pub(crate) fn planted_rules() -> Command {
    planted("planted")
}

/// The test `name` of those that take rules away. Chosen from the whole workspace with the same features, whichever
/// runs: cargo unites the features of what is built together, so that all share what they are built from.
pub(crate) fn planted(name: &str) -> Command {
    test(&PLANTED, name)
}

/// Builds all of those.
pub(crate) fn planted_build() -> Command {
    let names = ["model", "unaided_planted", "merge_planted", "planted"];
    let mut words = vec!["test", "--locked", "--profile", "e2e", "--no-run"];
    words.extend(PLANTED);
    words.extend(names.iter().flat_map(|name| ["--test", name]));
    shell::cargo(&words)
}

/// Rules can be taken away.
const PLANTED: [&str; 3] =
    ["--workspace", "--features", "tandem-switch/planted,tandem-merge/planted,tandem-sim/planted"];

/// A test with every rule: chosen from the whole workspace, as the unit tests are, so that both share what they
/// are built from.
fn unplanted(name: &str) -> Command {
    test(&["--workspace"], name)
}

fn test(packages: &[&str], name: &str) -> Command {
    let mut words = vec!["test", "--locked", "--profile", "e2e"];
    words.extend(packages);
    words.extend(["--test", name, "--", "--nocapture"]);
    shell::cargo(&words)
}
