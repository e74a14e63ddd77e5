//! Fuzzing: every target for a while, on the stable toolchain.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::shell;

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let (seconds, only) = options(arguments)?;
    if !shell::has("cargo-fuzz") {
        println!("fuzz: installing cargo-fuzz");
        shell::run(shell::cargo(&["install", "--locked", "cargo-fuzz"]))?;
    }
    let targets = targets()?;
    if let Some(name) = &only {
        ensure!(
            targets.contains(name),
            "there is no target {name}; there are: {}",
            targets.join(", ")
        );
    }
    for target in targets.iter().filter(|target| only.as_ref().is_none_or(|name| name == *target)) {
        let mut command = Command::new("cargo");
        command.args(["fuzz", "run", target, "--", &format!("-max_total_time={seconds}")]);
        // libFuzzer's instrumentation is behind unstable flags, which this lets a stable compiler take.
        command.env("RUSTC_BOOTSTRAP", "1").current_dir(shell::root());
        shell::run(command)?;
    }
    Ok(())
}

fn options(arguments: &[String]) -> anyhow::Result<(u64, Option<String>)> {
    let mut seconds = 60;
    let mut only = None;
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        if word == "--for" {
            let text = rest.next().context("--for wants a time, such as 60s")?;
            seconds =
                text.trim_end_matches('s').parse().context("--for wants seconds, such as 60s")?;
        } else if word.starts_with('-') {
            bail!("unknown option {word}");
        } else {
            only = Some(word.clone());
        }
    }
    Ok((seconds, only))
}

fn targets() -> anyhow::Result<Vec<String>> {
    let folder = shell::root().join("fuzz/fuzz_targets");
    let mut names: Vec<String> = fs::read_dir(&folder)
        .with_context(|| format!("read {}", folder.display()))?
        .filter_map(|entry| entry.ok()?.path().file_stem()?.to_str().map(ToOwned::to_owned))
        .collect();
    names.sort();
    Ok(names)
}
