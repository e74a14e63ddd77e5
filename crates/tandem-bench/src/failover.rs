//! Switching measured: how long nobody accepts writes, what clients notice, what is lost. Tandem with each
//! mediator, and Redis with three Sentinels, under the same clients and the same audit.
//!
//! Everything runs on this machine as real processes. What that cannot show is said where it matters:
//! after kill -9 the kernel lives on and closes sockets (see [`system::Fault`]).

pub(crate) mod ask;
mod figures;
mod fleet;
mod measure;
mod mediator;
mod ports;
mod process;
mod redis_pair;
mod report;
mod system;
mod tandem_pair;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use tempfile::TempDir;

use self::fleet::Manner;
use self::measure::{Sample, Scenario};
use self::mediator::Kind;
use self::redis_pair::RedisPair;
use self::system::System;
use self::tandem_pair::TandemPair;

/// Options of `tandem-bench failover`.
#[derive(Args, Debug)]
pub(crate) struct FailoverOptions {
    /// The Tandem program.
    #[arg(long, default_value = "target/e2e/tandem")]
    tandem: PathBuf,
    /// How often everything is done.
    #[arg(long, default_value_t = 20)]
    times: u32,
    /// Which mediator Tandem uses; may be given several times.
    #[arg(long, value_enum, default_value = "witness")]
    mediator: Vec<Choice>,
    /// What else is measured by the same script.
    #[arg(long, value_enum)]
    peer: Vec<Peer>,
    /// Only the peers.
    #[arg(long)]
    peers_only: bool,
    /// Only these; may be given several times.
    #[arg(long, value_enum)]
    only: Vec<Scenario>,
    /// Connections.
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Writes in flight on each.
    #[arg(long, default_value_t = 8)]
    pipeline: u32,
    /// Rest between two batches of a client, in milliseconds.
    #[arg(long, default_value_t = 20)]
    rest_ms: u64,
    /// Where the servers keep their data; a folder in it is left behind if something fails.
    #[arg(long, default_value = "target/failover")]
    dir: PathBuf,
    /// Leaves the folder with logs and data behind in any case.
    #[arg(long)]
    keep: bool,
    /// Writes every single measurement as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Choice {
    Witness,
    Zookeeper,
    Etcd,
    All,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Peer {
    /// redis-server with a replica, and three redis-sentinel.
    RedisSentinel,
}

/// What is started and measured, one after the other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Subject {
    Tandem(Kind),
    RedisSentinel,
}

/// Measures, prints and writes what was asked for; an error if acknowledged writes of Tandem were lost.
pub(crate) fn run(options: &FailoverOptions, say: fn(&str)) -> anyhow::Result<()> {
    std::fs::create_dir_all(&options.dir)
        .with_context(|| format!("create {}", options.dir.display()))?;
    let dir = options.dir.canonicalize()?;
    let mut samples = Vec::new();
    let mut failed = None;
    for subject in subjects(options) {
        let mut folder = TempDir::new_in(&dir)?;
        folder.disable_cleanup(true);
        let told = measure_all(subject, options, &folder, say, &mut samples);
        match told {
            Ok(()) if !options.keep => std::fs::remove_dir_all(folder.path())?,
            Ok(()) => say(&format!("kept: {}", folder.path().display())),
            Err(error) => {
                let about = format!("{subject:?}, logs in {}", folder.path().display());
                say(&format!("FAILED: {about}: {error:#}"));
                failed = Some(error.context(about));
            }
        }
    }
    say(&report::table(&samples));
    if let Some(path) = &options.json {
        let text = report::to_json(&samples).to_string();
        std::fs::write(path, text).context("write the JSON report")?;
    }
    if let Some(error) = failed {
        return Err(error);
    }
    let lost: u64 = samples
        .iter()
        .filter(|sample| sample.system.starts_with("tandem"))
        .map(|sample| sample.lost)
        .sum();
    if lost > 0 {
        bail!("{lost} acknowledged writes of Tandem are gone");
    }
    Ok(())
}

fn subjects(options: &FailoverOptions) -> Vec<Subject> {
    let all = [Kind::Witness, Kind::Zookeeper, Kind::Etcd];
    let wanted = |kind: Kind| {
        options.mediator.iter().any(|choice| match choice {
            Choice::Witness => kind == Kind::Witness,
            Choice::Zookeeper => kind == Kind::Zookeeper,
            Choice::Etcd => kind == Kind::Etcd,
            Choice::All => true,
        })
    };
    let own = all.into_iter().filter(|&kind| wanted(kind) && !options.peers_only);
    let peers = options.peer.iter().map(|Peer::RedisSentinel| Subject::RedisSentinel);
    own.map(Subject::Tandem).chain(peers).collect()
}

fn measure_all(
    subject: Subject,
    options: &FailoverOptions,
    folder: &TempDir,
    say: fn(&str),
    samples: &mut Vec<Sample>,
) -> anyhow::Result<()> {
    let mut system: Box<dyn System> = match subject {
        Subject::Tandem(kind) => {
            let program = options.tandem.canonicalize().context("find the Tandem program")?;
            Box::new(TandemPair::start(&program, folder.path(), kind)?)
        }
        Subject::RedisSentinel => Box::new(RedisPair::start(folder.path())?),
    };
    let manner = Manner {
        clients: options.clients,
        pipeline: options.pipeline,
        rest: Duration::from_millis(options.rest_ms),
    };
    let scenarios =
        if options.only.is_empty() { Scenario::value_variants() } else { &options.only };
    for &scenario in scenarios {
        for round in 1..=options.times {
            let sample = measure::run(system.as_mut(), scenario, manner, round)?;
            say(&report::progress(&sample));
            samples.push(sample);
        }
    }
    Ok(())
}
