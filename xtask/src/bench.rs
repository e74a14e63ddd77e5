//! Figures against redis-server, and what two writers cost: the work is `tandem-bench`'s.

use crate::{shell, tools};

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    tools::ensure();
    // A program that is named need not be built: then the tool's own speed matters more than its build time.
    let named = arguments.iter().any(|word| word == "--tandem" || word.starts_with("--tandem="));
    let profile = if named { "e2e" } else { "release" };
    let mut build = vec!["build", "--locked", "--profile", profile, "--package", "tandem-bench"];
    if !named {
        build.extend(["--package", "tandem"]);
    }
    shell::run(shell::cargo(&build))?;
    let built = shell::target().join(profile);
    let mut command = std::process::Command::new(built.join("tandem-bench"));
    // What is measured instead of the comparison with Redis has options of its own.
    let (word, rest) = match arguments.split_first() {
        Some((word, rest)) if !word.starts_with('-') => (Some(word), rest),
        _ => (None, arguments),
    };
    command.args(word);
    if !named {
        command.arg("--tandem").arg(built.join("tandem"));
    }
    command.args(rest).current_dir(shell::root());
    shell::run(command)
}

/// Switching, measured by `tandem-bench failover` with the build that the tests use.
pub(crate) fn failover(arguments: &[String]) -> anyhow::Result<()> {
    tools::ensure();
    let profile = ["build", "--locked", "--profile", "e2e"];
    let packages = ["--package", "tandem", "--package", "tandem-bench"];
    shell::run(shell::cargo(&[profile, packages].concat()))?;
    let built = shell::target().join("e2e");
    let mut command = std::process::Command::new(built.join("tandem-bench"));
    command.arg("failover").arg("--tandem").arg(built.join("tandem")).args(arguments);
    command.current_dir(shell::root());
    shell::run(command)
}
