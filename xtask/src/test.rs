//! `cargo xtask test`: everything that is tested, on a machine that has only Rust and Debian.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::bail;

use crate::count::{self, Count};
use crate::{shell, tools};

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let begun = Instant::now();
    let (unit, e2e) = match arguments {
        [] => (true, true),
        [only] if only == "unit" => (true, false),
        [only] if only == "e2e" => (false, true),
        _ => bail!("say `unit`, `e2e` or nothing"),
    };
    let mut total = Count::default();
    let mut failed = Vec::new();
    let mut stage = |name: &'static str, command: Command| -> anyhow::Result<()> {
        let (count, passed) = count::run(command)?;
        println!("{name}: {count}");
        total.add(count);
        if !passed {
            failed.push(name);
        }
        Ok(())
    };
    if unit {
        stage("unit tests", runner(&["--workspace", "--exclude", "tandem-e2e"]))?;
        stage("documentation tests", shell::cargo(&["test", "--locked", "--workspace", "--doc"]))?;
    }
    let mut skipped = 0;
    if e2e {
        let clients = tools::ensure();
        shell::run(shell::cargo(&[
            "build",
            "--locked",
            "--profile",
            "e2e",
            "--package",
            "tandem",
        ]))?;
        let list = shell::target().join("e2e-skipped.txt");
        // The tests append to it; a list of an earlier run would be counted again.
        fs::write(&list, "")?;
        stage("end-to-end tests", e2e_command(&clients, &list))?;
        let text = fs::read_to_string(&list)?;
        skipped = text.lines().count();
        print!("{text}");
    }
    let seconds = begun.elapsed().as_secs();
    println!("tests: {total}, {skipped} skipped for want of tools, in {seconds} s");
    if !failed.is_empty() {
        bail!("failures in: {}", failed.join(", "));
    }
    Ok(())
}

/// nextest where it is installed (it runs each test in a process of its own), else cargo's own runner.
fn runner(arguments: &[&str]) -> Command {
    let mut words = if shell::has("cargo-nextest") {
        vec!["nextest", "run", "--locked", "--no-fail-fast", "--no-tests=pass"]
    } else {
        vec!["test", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"]
    };
    words.extend(arguments);
    shell::cargo(&words)
}

/// These start processes, load two processors and measure time, so they run one after the other.
fn e2e_command(clients: &tools::Clients, skipped: &std::path::Path) -> Command {
    let mut command = runner(&["--package", "tandem-e2e"]);
    if shell::has("cargo-nextest") {
        command.args(["--test-threads", "1"]);
    } else {
        command.args(["--", "--test-threads", "1"]);
    }
    command.env("TANDEM_BIN", shell::target().join("e2e/tandem"));
    command.env("TANDEM_E2E_SKIPPED", skipped);
    if let Some(python) = &clients.python {
        command.env("TANDEM_E2E_PYTHON", python);
    }
    if let Some(modules) = &clients.node_modules {
        command.env("NODE_PATH", modules);
    }
    command
}
