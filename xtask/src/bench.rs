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
