//! Figures against redis-server: the work is `tandem-bench`'s.

use crate::{shell, tools};

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    tools::ensure();
    shell::run(shell::cargo(&[
        "build",
        "--locked",
        "--release",
        "--package",
        "tandem",
        "--package",
        "tandem-bench",
    ]))?;
    let release = shell::target().join("release");
    let mut command = std::process::Command::new(release.join("tandem-bench"));
    command.arg("--tandem").arg(release.join("tandem")).args(arguments).current_dir(shell::root());
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
