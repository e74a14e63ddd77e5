//! The reference pages, written from the tables in the code.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, bail};

use crate::shell;

/// Page, and the word by which the program prints it.
const PAGES: &[(&str, &str)] = &[
    ("docs/reference/commands.md", "commands"),
    ("docs/reference/config.md", "config"),
    ("docs/reference/metrics.md", "metrics"),
];

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let check = match arguments {
        [] => false,
        [only] if only == "--check" => true,
        _ => bail!("say `--check` or nothing"),
    };
    let mut stale = Vec::new();
    let program = shell::program()?;
    for (path, word) in PAGES {
        let mut print = Command::new(&program);
        print.args(["reference", word]);
        let text = shell::output(print)?;
        let file = shell::root().join(path);
        let old = fs::read_to_string(&file).unwrap_or_default();
        if old == text {
            println!("gen: {path} is up to date");
        } else if check {
            stale.push(*path);
        } else {
            fs::write(&file, text).with_context(|| format!("write {path}"))?;
            println!("gen: {path} written");
        }
    }
    if !stale.is_empty() {
        bail!("out of date: {}; run `cargo xtask gen`", stale.join(", "));
    }
    Ok(())
}
