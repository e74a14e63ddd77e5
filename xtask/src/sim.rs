//! Simulated pairs: many seeds, one seed, or rules taken away.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::shell;

/// Seeds that `cargo xtask test` runs; `TANDEM_SEEDS` says otherwise.
pub(crate) const SEEDS: &str = "20000";

/// `sim [--seeds N] [--from S] [--minutes M] [--seed ONE] [--planted]`.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let mut planted = false;
    let mut environment = Vec::new();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let name = match word.as_str() {
            "--planted" => {
                planted = true;
                continue;
            }
            "--seeds" => "TANDEM_SEEDS",
            "--from" => "TANDEM_FROM",
            "--minutes" => "TANDEM_MINUTES",
            "--seed" => "TANDEM_SEED",
            _ => bail!("say --seeds N, --from S, --minutes M, --seed ONE or --planted"),
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
    let mut command = if planted { planted_rules() } else { mediated() };
    command.envs(environment);
    shell::run(command)
}

/// The pairs with automatic switching.
pub(crate) fn mediated() -> Command {
    test("mediated", &[])
}

/// Every rule taken away once.
pub(crate) fn planted_rules() -> Command {
    test("planted", &["--features", "planted"])
}

fn test(name: &str, more: &[&str]) -> Command {
    let mut words = vec!["test", "--locked", "--profile", "e2e", "--package", "tandem-sim"];
    words.extend(["--test", name]);
    words.extend(more);
    words.extend(["--", "--nocapture"]);
    shell::cargo(&words)
}
