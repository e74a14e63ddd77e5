//! Tandem and a Redis server measured side by side: same machine, same load, same minute.
//!
//! Throughput on a shared machine swings by a factor of two from minute to minute, so three things
//! are done about it: both servers run at the same time and are measured in turn; the order is reversed
//! every other round; and the figure to trust is **server CPU per operation** (user and system time of
//! all threads, from `/proc`), not throughput. Before and after each measurement the server must be
//! alive and own its port: a benchmark of whoever else listens there is worse than none.
//!
//! Scenarios: `plain` (no persistence: GET and SET at pipeline 1, 16, 64), `fsync` (each write synced
//! before its reply), `replicated` (on two disks before the reply: Redis by `WAIT 1` after each SET).
//!
//! `tandem-bench failover` measures switching instead (see [`failover`]), `tandem-bench two-writers` what
//! it costs that both nodes write (see [`two_writers`]).
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a table on standard output is what this program is for")]

mod cpu;
mod failover;
mod measure;
mod redis_benchmark;
mod replicated_load;
mod report;
mod scenario;
mod server;
mod two_writers;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use crate::failover::FailoverOptions;
use crate::scenario::Scenario;
use crate::two_writers::TwoWritersOptions;

/// Compares Tandem with a Redis server by the same load.
#[derive(Debug, Parser)]
#[command(name = "tandem-bench", args_conflicts_with_subcommands = true)]
struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    /// The Tandem program, built in release mode.
    #[arg(long, default_value = "target/release/tandem")]
    tandem: PathBuf,
    /// What to compare with: any program that takes redis-server's options.
    #[arg(long, default_value = "redis-server")]
    against: PathBuf,
    /// Rounds; the order of the servers is reversed every other round.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Multiplies the number of requests of each measurement.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Only these scenarios.
    #[arg(long, value_enum)]
    only: Vec<Scenario>,
    /// Where the servers keep their data: a folder on the disk to be measured.
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
    /// Writes every single measurement as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Measures the other server against itself: shows the noise of this machine.
    #[arg(long)]
    self_test: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures switching instead of speed.
    Failover(FailoverOptions),
    /// Measures what it costs that both nodes write.
    TwoWriters(TwoWritersOptions),
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    match &options.command {
        Some(Command::Failover(options)) => {
            return failover::run(options, |line| println!("{line}"));
        }
        Some(Command::TwoWriters(options)) => {
            return two_writers::run(options, |line| println!("{line}"));
        }
        None => {}
    }
    std::fs::create_dir_all(&options.dir)
        .with_context(|| format!("create {}", options.dir.display()))?;
    let scenarios = if options.only.is_empty() {
        vec![Scenario::Plain, Scenario::Fsync, Scenario::Replicated]
    } else {
        options.only.clone()
    };
    let mut all = Vec::new();
    for scenario in scenarios {
        let samples = scenario::run(scenario, &options)?;
        println!("{}", report::table(scenario, &samples));
        all.extend(samples);
    }
    if let Some(path) = &options.json {
        std::fs::write(path, report::to_json(&all).to_string()).context("write the JSON report")?;
    }
    Ok(())
}
