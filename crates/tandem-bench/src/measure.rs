//! One measurement: a load, a service, what came out.

use anyhow::ensure;

use crate::server::Service;
use crate::{redis_benchmark, replicated_load};

/// A load that both services get.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Load {
    /// redis-benchmark's word: `set`, `get`.
    pub(crate) command: &'static str,
    /// Connections.
    pub(crate) clients: u32,
    /// Requests in flight per connection.
    pub(crate) pipeline: u32,
    /// Replies mean "on two machines": Redis gets a `WAIT 1` after each write.
    pub(crate) replicated: bool,
}

/// What a load generator saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Operations per second.
    pub(crate) per_second: f64,
    /// Median time to the reply.
    pub(crate) p50_ms: f64,
    /// 99th percentile of it.
    pub(crate) p99_ms: f64,
}

/// One measurement of one service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// The load.
    pub(crate) load: Load,
    /// Which service.
    pub(crate) server: &'static str,
    /// In which round.
    pub(crate) round: u32,
    /// What its clients saw.
    pub(crate) figures: Figures,
    /// Processor time of all its processes per operation, in microseconds.
    pub(crate) cpu_us: f64,
    /// Resident memory of the primary afterwards, in KiB.
    pub(crate) resident_kib: u64,
}

/// Loads `service` with `requests` operations.
pub(crate) fn run(
    service: &mut Service,
    load: &Load,
    requests: u64,
    round: u32,
) -> anyhow::Result<Sample> {
    service.check()?;
    let before = service.cpu()?;
    let figures = if load.replicated {
        let address = service.primary.address();
        replicated_load::run(address, load.clients, requests, service.needs_wait)?
    } else {
        redis_benchmark::run(service.primary.port(), load, requests)?
    };
    let used = service.cpu()?.saturating_sub(before);
    service.check()?;
    ensure!(figures.per_second > 0.0, "{} answered nothing", service.name);
    #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
    let cpu_us = used.as_secs_f64() * 1e6 / requests as f64;
    let resident_kib = service.primary.resident_kib()?;
    Ok(Sample { load: *load, server: service.name, round, figures, cpu_us, resident_kib })
}
