//! Formatting, clippy, documentation: all warnings are errors.

use crate::shell;

pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    shell::run(shell::cargo(&["fmt", "--all", "--check"]))?;
    shell::run(shell::cargo(&[
        "clippy",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

pub(crate) fn doc(_: &[String]) -> anyhow::Result<()> {
    let mut command =
        shell::cargo(&["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    shell::run(command)
}
