//! `cargo xtask test`: everything that is tested, on a machine that has only Rust and Debian.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};

use crate::count::{self, Count};
use crate::{merge, shell, sim, tools};

/// `test`, `test unit`, `test model`, `test sim`, `test e2e`.
///
/// What only computes (model and simulation) runs beside the end-to-end tests, which mostly wait: it takes the
/// processor time that they leave.
pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let only: Option<&str> = match arguments {
        [] => None,
        [only] if STAGES.contains(&only.as_str()) => Some(only.as_str()),
        _ => bail!("say one of {}, or nothing", STAGES.join(", ")),
    };
    let mut tally = Tally::new();
    match only {
        Some("unit") => tally.unit()?,
        Some("e2e") => tally.e2e(&[], None)?,
        Some(only) => tally.add(compute(searches(only), &Manner::Alone)?),
        None => {
            tally.unit()?;
            let all = ["model", "sim"].into_iter().flat_map(searches).collect();
            // Built first: while cargo builds, no other cargo does anything.
            shell::run(sim::planted_build())?;
            let (computed, waited) = thread::scope(|scope| {
                let computing = scope.spawn(|| compute(all, &Manner::Beside));
                let waited = tally.e2e(&[], None);
                (computing.join(), waited)
            });
            waited?;
            tally.add(computed.map_err(|_| anyhow::anyhow!("the searches broke off"))??);
        }
    }
    tally.finish()
}

const STAGES: [&str; 4] = ["unit", "model", "sim", "e2e"];

/// The stages of `model` or `sim`: every interleaving of small worlds, walks through large ones, each rule taken away;
/// and pairs in a simulated world.
fn searches(stage: &str) -> Vec<(&'static str, Command)> {
    if stage == "model" {
        return vec![
            ("model of the switch", sim::planted("model")),
            ("rules of the unaided pair taken away", sim::planted("unaided_planted")),
            ("rules of the merge taken away", merge::planted_rules()),
        ];
    }
    let pairs = [
        ("simulated pairs with a mediator", sim::mediated(), sim::SEEDS),
        ("simulated pairs without a third party", sim::direct(), sim::SEEDS_DIRECT),
        ("simulated pairs with a prober", sim::probe(), sim::SEEDS_PROBE),
        ("simulated pairs of two writers", sim::two_writers(), sim::SEEDS_TWO_WRITERS),
    ];
    let mut all: Vec<_> = pairs
        .into_iter()
        .map(|(name, mut simulated, seeds)| {
            if std::env::var_os("TANDEM_SEEDS").is_none() {
                simulated.env("TANDEM_SEEDS", seeds);
            }
            (name, simulated)
        })
        .collect();
    let mut planted = sim::planted_rules();
    planted.env_remove("TANDEM_SEEDS");
    all.push(("rules taken away", planted));
    all
}

/// How a stage runs.
enum Manner {
    Alone,
    /// Beside another one, which goes first.
    Beside,
}

/// Runs these one after the other.
fn compute(
    stages: Vec<(&'static str, Command)>,
    manner: &Manner,
) -> anyhow::Result<Vec<(&'static str, Count, bool)>> {
    let run = |(name, command): (&'static str, Command)| {
        let (count, passed) = match manner {
            Manner::Alone => count::run(command, "")?,
            Manner::Beside => count::run(shell::nice(&command), &format!("[{name}] "))?,
        };
        println!("{name}: {count}");
        Ok((name, count, passed))
    };
    stages.into_iter().map(run).collect()
}

/// `e2e [ARGUMENTS]`: some or all end-to-end tests.
pub(crate) fn e2e(arguments: &[String]) -> anyhow::Result<()> {
    let mut tally = Tally::new();
    tally.e2e(arguments, None)?;
    tally.finish()
}

/// `soak [TIMES]`: the random tests for much longer.
pub(crate) fn soak(arguments: &[String]) -> anyhow::Result<()> {
    let times = arguments.first().map_or("20", String::as_str);
    times.parse::<u32>().context("soak wants a whole number of times")?;
    let mut tally = Tally::new();
    tally.e2e(&[], Some(times))?;
    tally.finish()
}

/// What has run so far.
struct Tally {
    begun: Instant,
    total: Count,
    failed: Vec<&'static str>,
    skipped: usize,
}

impl Tally {
    fn new() -> Self {
        Self { begun: Instant::now(), total: Count::default(), failed: Vec::new(), skipped: 0 }
    }

    fn stage(&mut self, name: &'static str, command: Command) -> anyhow::Result<()> {
        self.add(compute(vec![(name, command)], &Manner::Alone)?);
        Ok(())
    }

    fn add(&mut self, stages: Vec<(&'static str, Count, bool)>) {
        for (name, count, passed) in stages {
            self.total.add(count);
            if !passed {
                self.failed.push(name);
            }
        }
    }

    fn unit(&mut self) -> anyhow::Result<()> {
        // Some test a part against the real thing, such as etcd.
        tools::ensure();
        self.stage("unit tests", runner(Which::Unit))?;
        let doc = shell::cargo(&["test", "--locked", "--profile", "e2e", "--workspace", "--doc"]);
        self.stage("documentation tests", doc)
    }

    /// Tools, the program in a profile that is quick to build and fast enough under load, the tests.
    fn e2e(&mut self, arguments: &[String], budget: Option<&str>) -> anyhow::Result<()> {
        let clients = tools::ensure();
        let program = shell::program()?;
        let list = shell::target().join("e2e-skipped.txt");
        // The tests append to it; a list of an earlier run would be counted again.
        fs::write(&list, "")?;
        let mut command = e2e_command(&program, &clients, &list, arguments);
        command.envs(budget.map(|times| ("TANDEM_E2E_BUDGET", times)));
        self.stage("end-to-end tests", command)?;
        let text = fs::read_to_string(&list)?;
        self.skipped += text.lines().count();
        print!("{text}");
        Ok(())
    }

    fn finish(self) -> anyhow::Result<()> {
        let Self { begun, total, failed, skipped } = self;
        let seconds = begun.elapsed().as_secs();
        println!("tests: {total}, {skipped} skipped for want of tools, in {seconds} s");
        ensure!(failed.is_empty(), "failures in: {}", failed.join(", "));
        Ok(())
    }
}

/// The tests of some packages: nextest where it is installed (a process per test), else cargo's runner.
///
/// nextest builds the whole workspace and then chooses, so that both stages share one build: cargo unites
/// the features of what is built together, and another choice of packages would build dependencies anew.
fn runner(which: Which) -> Command {
    let words: &[&str] = match (shell::has("cargo-nextest"), which) {
        (true, Which::Unit) => &["-E", UNIT],
        (true, Which::EndToEnd) => &["-E", "package(tandem-e2e)", "--test-threads", "3"],
        (false, Which::Unit) => &["--exclude", "tandem-e2e"],
        (false, Which::EndToEnd) => &["--package", "tandem-e2e"],
    };
    let start: &[&str] = match (shell::has("cargo-nextest"), which) {
        (true, _) => &["nextest", "run", "--cargo-profile", "e2e", "--workspace"],
        (false, Which::Unit) => {
            &["test", "--profile", "e2e", "--workspace", "--lib", "--bins", "--tests"]
        }
        (false, Which::EndToEnd) => &["test", "--profile", "e2e", "--lib", "--tests"],
    };
    shell::cargo(&[start, &["--locked", "--no-fail-fast"], words].concat())
}

/// All but what starts processes under load, and the searches of the simulator: those have a stage of their own,
/// with the same seeds and more.
const UNIT: &str = "not package(tandem-e2e) and not (package(tandem-sim) \
    and binary(/^(mediated|direct|probe|two_writers)$/))";

/// Stages of the tests.
#[derive(Clone, Copy)]
enum Which {
    /// All but what starts processes under load.
    Unit,
    /// These load processors and measure time, so there is a bound on how many run beside each other;
    /// `.config/nextest.toml` names those that run alone.
    EndToEnd,
}

fn e2e_command(
    program: &Path,
    clients: &tools::Clients,
    skipped: &Path,
    arguments: &[String],
) -> Command {
    let mut command = runner(Which::EndToEnd);
    command.args(arguments);
    if !shell::has("cargo-nextest") {
        command.args(["--", "--test-threads", "1"]);
    }
    command.env("TANDEM_BIN", program);
    command.env("TANDEM_E2E_SKIPPED", skipped);
    if let Some(python) = &clients.python {
        command.env("TANDEM_E2E_PYTHON", python);
    }
    if let Some(modules) = &clients.node_modules {
        command.env("NODE_PATH", modules);
    }
    if let Some(rust) = &clients.rust {
        command.env("TANDEM_E2E_RUST_CLIENTS", rust);
    }
    command
}
