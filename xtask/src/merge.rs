//! Histories of two writers, merged: many, one, every small one, or with rules taken away.

use std::process::Command;

use anyhow::{Context as _, bail};

use crate::{shell, sim};

/// Histories without `--schedules`.
const SCHEDULES: &str = "1000000";

/// `merge [--schedules N] [--from S] [--seed ONE] [--exhaustive] [--planted]`.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let mut environment = vec![("TANDEM_SCHEDULES", SCHEDULES.to_owned())];
    let mut which = "histories";
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let name = match word.as_str() {
            "--planted" => return shell::run(planted_rules()),
            "--exhaustive" => {
                which = "exhaustive";
                environment.push(("TANDEM_EXHAUSTIVE", "1".to_owned()));
                continue;
            }
            "--schedules" => "TANDEM_SCHEDULES",
            "--from" => "TANDEM_FROM",
            "--seed" => "TANDEM_SEED",
            _ => bail!("say --schedules N, --from S, --seed ONE, --exhaustive or --planted"),
        };
        let value = rest.next().with_context(|| format!("{word} wants a number"))?;
        value.parse::<u64>().with_context(|| format!("{word} wants a number"))?;
        environment.push((name, value.clone()));
    }
    let mut command = shell::cargo(&[
        "test",
        "--locked",
        "--profile",
        "e2e",
        "--package",
        "tandem-merge",
        "--test",
        "merge",
        "--",
        "--nocapture",
        which,
    ]);
    command.envs(environment);
    shell::run(command)
}

/// Every rule taken away once.
pub(crate) fn planted_rules() -> Command {
    let mut command = sim::planted("merge_planted");
    // A rule is missing for the whole process, so no other test may run beside this one.
    command.args(["--exact", "every_rule_is_missed"]);
    command
}
