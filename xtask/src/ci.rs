//! All that CI checks, cheapest first, so that a slip is told early.

use std::time::Instant;

use crate::{deny, generate, layers, lint, test, tidy};

/// Name and function of one step.
type Step = (&'static str, fn(&[String]) -> anyhow::Result<()>);

const STEPS: &[Step] = &[
    ("layers", layers::run),
    ("tidy", tidy::run),
    ("deny", deny::run),
    ("lint", lint::run),
    ("doc", lint::doc),
    ("gen --check", |_| generate::run(&["--check".to_owned()])),
    ("test", test::run),
];

pub(crate) fn run(_: &[String]) -> anyhow::Result<()> {
    let mut failed = Vec::new();
    for (name, step) in STEPS {
        println!("\n== {name}");
        let begun = Instant::now();
        // Every step runs, so that one push tells all that is wrong.
        if let Err(error) = step(&[]) {
            println!("{name}: FAILED: {error:#}");
            failed.push(*name);
        }
        println!("== {name}: {} s", begun.elapsed().as_secs());
    }
    anyhow::ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    println!("\nci: all of it passed");
    Ok(())
}
