//! What is measured, and in which order.

use crate::Options;
use crate::measure::{self, Load, Sample};
use crate::redis_benchmark::{self, SCRIPT};
use crate::server::{Durability, Service};

/// One kind of promise that both servers keep while they are measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub(crate) enum Scenario {
    /// No persistence.
    Plain,
    /// Every write on the own disk before its reply.
    Fsync,
    /// Every write on both disks before its reply.
    Replicated,
}

impl Scenario {
    /// For people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Plain => "no persistence (redis: none; tandem: one node, fsync never)",
            Self::Fsync => "fsync before each reply (redis: appendfsync always; tandem: one node)",
            Self::Replicated => {
                "on two disks before each reply (redis: appendfsync always on both, WAIT 1 after \
                 each SET; tandem: acknowledge = durable)"
            }
        }
    }

    /// The loads and how many requests of each take a few seconds.
    fn loads(self) -> Vec<(Load, u32)> {
        let load = |command, clients, pipeline| Load {
            command,
            clients,
            pipeline,
            replicated: self == Self::Replicated,
        };
        match self {
            Self::Plain => vec![
                (load("set", 50, 1), 150_000),
                (load("get", 50, 1), 150_000),
                (load("set", 50, 16), 800_000),
                (load("get", 50, 16), 800_000),
                (load("set", 50, 64), 1_600_000),
                (load("get", 50, 64), 1_600_000),
                (load(SCRIPT, 50, 1), 150_000),
                (load(SCRIPT, 50, 64), 800_000),
            ],
            Self::Fsync => vec![
                (load("set", 50, 1), 60_000),
                (load("set", 50, 16), 400_000),
                (load("set", 50, 64), 800_000),
                (load(SCRIPT, 50, 64), 400_000),
            ],
            Self::Replicated => vec![
                (load("set", 1, 1), 1_000),
                (load("set", 50, 1), 20_000),
                (load("set", 200, 1), 60_000),
            ],
        }
    }
}

/// Measures one scenario: both services up, measured in turn, order reversed every other round.
pub(crate) fn run(scenario: Scenario, options: &Options) -> anyhow::Result<Vec<Sample>> {
    let durability = if scenario == Scenario::Plain { Durability::None } else { Durability::Fsync };
    let replicated = scenario == Scenario::Replicated;
    let mut samples = Vec::new();
    for round in 0..options.rounds {
        let redis = Service::redis(&options.against, &options.dir, durability, replicated)?;
        let other = if options.self_test {
            let mut twin = Service::redis(&options.against, &options.dir, durability, replicated)?;
            twin.name = "twin";
            twin
        } else {
            Service::tandem(&options.tandem, &options.dir, durability, replicated)?
        };
        let mut services = [redis, other];
        if scenario == Scenario::Plain {
            for service in &mut services {
                fill(service, options)?;
            }
        }
        for (load, requests) in scenario.loads() {
            let requests = scaled(requests, options.scale);
            if round % 2 == 1 {
                services.reverse();
            }
            for service in &mut services {
                samples.push(measure::run(service, &load, requests, round)?);
            }
            if round % 2 == 1 {
                services.reverse();
            }
        }
    }
    Ok(samples)
}

fn scaled(requests: u32, scale: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a positive number of requests, rounded down"
    )]
    let scaled = (f64::from(requests) * scale.max(0.0)) as u64;
    scaled.max(1_000)
}

/// Writes keys, so that GET finds some.
fn fill(service: &mut Service, options: &Options) -> anyhow::Result<()> {
    let load = Load { command: "set", clients: 50, pipeline: 64, replicated: false };
    redis_benchmark::run(service.primary.port(), &load, scaled(1_000_000, options.scale))?;
    service.check()
}
