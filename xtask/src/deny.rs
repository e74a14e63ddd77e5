//! Licences, sources and duplicates of what we build on.

use crate::shell;

/// Advisories need a clone of the advisory database, which CI machines may not have: the other checks
/// work without it.
pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    if !shell::has("cargo-deny") {
        println!(
            "deny: cargo-deny is not installed (cargo install --locked cargo-deny): not checked"
        );
        return Ok(());
    }
    shell::run(shell::cargo(&[
        "deny",
        "--offline",
        "--locked",
        "check",
        "licenses",
        "bans",
        "sources",
    ]))
}
