//! What it costs that both nodes write: a pair in primary-primary and a pair with one primary, both
//! acknowledging when both disks have a write, on the same machine in the same minute.
//!
//! Both pairs run at the same time and are measured in turn, in reversed order every other round. The
//! figures: operations per second and server CPU per operation with the load on one node and on both
//! ([`load`]), how far the nodes are apart meanwhile ([`lag`]), and memory per key and element ([`memory`]).

mod lag;
mod load;
mod memory;
mod pair;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use self::load::{Kind, Plan};
use self::pair::{Pair, Topology};
use self::report::Sample;

/// Options of `tandem-bench two-writers`.
#[derive(Args, Debug)]
pub(crate) struct TwoWritersOptions {
    /// The Tandem program.
    #[arg(long, default_value = "target/release/tandem")]
    tandem: PathBuf,
    /// Rounds; the order of the pairs is reversed every other round.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Length of one measurement.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Connections; several times for several loads.
    #[arg(long, default_values_t = [1, 50, 200])]
    clients: Vec<u32>,
    /// Writes in flight on each connection.
    #[arg(long, default_value_t = 1)]
    pipeline: u32,
    /// Only these commands.
    #[arg(long, value_enum)]
    command: Vec<Kind>,
    /// Only these parts.
    #[arg(long, value_enum)]
    only: Vec<Part>,
    /// Keys, and elements of each type, that memory is measured with.
    #[arg(long, default_value_t = 1_000_000)]
    keys: u32,
    /// Where the servers keep their data: a folder on the disk to be measured.
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Writes every single measurement as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Part {
    /// Operations per second and CPU per operation.
    Speed,
    /// How far the two nodes are apart under full load on both.
    Lag,
    /// Bytes per key and per element.
    Memory,
}

/// Measures, prints and writes what was asked for.
pub(crate) fn run(options: &TwoWritersOptions, say: fn(&str)) -> anyhow::Result<()> {
    std::fs::create_dir_all(&options.dir)
        .with_context(|| format!("create {}", options.dir.display()))?;
    let wants = |part| options.only.is_empty() || options.only.contains(&part);
    say(&format!("load average {}", report::load_average()));
    let mut json = serde_json::Map::new();
    if wants(Part::Speed) {
        let samples = speed(options)?;
        say(&report::speed(&samples));
        json.insert("speed".to_owned(), report::speed_json(&samples));
    }
    if wants(Part::Lag) {
        let pair = Pair::start(&options.tandem, &options.dir, Topology::PrimaryPrimary)?;
        let clients = options.clients.iter().copied().max().unwrap_or(1);
        let time = Duration::from_secs_f64(options.seconds * f64::from(options.rounds));
        let found = lag::measure(&pair, clients, time)?;
        say(&found.table());
        json.insert("lag".to_owned(), found.to_json());
    }
    if wants(Part::Memory) {
        let mut found = Vec::new();
        for topology in [Topology::OnePrimary, Topology::PrimaryPrimary] {
            let pair = Pair::start(&options.tandem, &options.dir, topology)?;
            found.extend(memory::measure(pair, options.keys)?);
        }
        say(&memory::table(&found));
        json.insert("memory".to_owned(), memory::to_json(&found));
    }
    say(&format!("load average {}", report::load_average()));
    if let Some(path) = &options.json {
        let text = serde_json::Value::Object(json).to_string();
        std::fs::write(path, text).context("write the JSON report")?;
    }
    Ok(())
}

/// What is loaded.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Way {
    /// The one primary there is.
    OnePrimary,
    /// One of two writers.
    OneOfTwo,
    /// Both, half of the clients each.
    Both,
}

fn speed(options: &TwoWritersOptions) -> anyhow::Result<Vec<Sample>> {
    let kinds = if options.command.is_empty() { Kind::value_variants() } else { &options.command };
    let time = Duration::from_secs_f64(options.seconds);
    let mut samples = Vec::new();
    for round in 0..options.rounds {
        // New pairs each round: no measurement meets what many before it have left behind.
        let mut one = Pair::start(&options.tandem, &options.dir, Topology::OnePrimary)?;
        let mut two = Pair::start(&options.tandem, &options.dir, Topology::PrimaryPrimary)?;
        for &kind in kinds {
            for &clients in &options.clients {
                let mut ways = vec![Way::OnePrimary, Way::OneOfTwo];
                if clients > 1 {
                    ways.push(Way::Both);
                }
                if round % 2 == 1 {
                    ways.reverse();
                }
                let plan = Plan { kind, clients, pipeline: options.pipeline, time };
                for way in ways {
                    let pair = if way == Way::OnePrimary { &mut one } else { &mut two };
                    samples.push(sample(pair, way, &plan, round)?);
                }
            }
        }
    }
    Ok(samples)
}

fn sample(pair: &mut Pair, way: Way, plan: &Plan, round: u32) -> anyhow::Result<Sample> {
    pair.check()?;
    let addresses = pair.addresses();
    let loaded = if way == Way::Both { &addresses[..] } else { &addresses[..1] };
    let before = pair.cpu()?;
    let figures = load::run(loaded, plan)?;
    let used = pair.cpu()?.saturating_sub(before);
    pair.check()?;
    pair.wait_settled()?;
    #[expect(clippy::cast_precision_loss, reason = "counts of operations are far below 2^52")]
    let cpu_us = used.as_secs_f64() * 1e6 / figures.operations.max(1) as f64;
    Ok(Sample { way, kind: plan.kind, clients: plan.clients, round, figures, cpu_us })
}
