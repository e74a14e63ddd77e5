//! The reference pages, written from the tables in the code.

use std::fs;

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
    for (path, word) in PAGES {
        let text = shell::output(shell::cargo(&[
            "run",
            "--locked",
            "--quiet",
            // The end-to-end tests build this very program.
            "--profile",
            "e2e",
            "--package",
            "tandem",
            "--",
            "reference",
            word,
        ]))?;
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
