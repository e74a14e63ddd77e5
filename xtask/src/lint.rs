//! Formatting, clippy, documentation: all warnings are errors.

use crate::shell;

/// In the profile of the tests, which share what runs at build time with it: macros and build scripts.
pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    shell::run(shell::cargo(&["fmt", "--all", "--check"]))?;
    shell::run(shell::cargo(&[
        "clippy",
        "--locked",
        "--profile",
        "e2e",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

pub(crate) fn doc(_: &[String]) -> anyhow::Result<()> {
    let mut command =
        shell::cargo(&["doc", "--locked", "--profile", "e2e", "--workspace", "--no-deps"]);
    command.arg("--document-private-items");
    command.env("RUSTDOCFLAGS", "-D warnings");
    shell::run(command)
}
