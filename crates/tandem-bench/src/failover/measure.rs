//! The three things that are measured, once each per call: the primary is lost, the primary is changed
//! on request, the mediator is lost. All under load, all followed by an audit of every acknowledged write.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use tandem_resp::Value;

use super::ask::ask;
use super::fleet::{Fleet, Manner, Window, key};
use super::process::wait_until;
use super::system::{Fault, System};

/// The clients write undisturbed for so long before anything is done.
const WARM_UP: Duration = Duration::from_secs(1);
/// ... and for so long after writes have come back: whatever else happens to them is seen.
const SETTLE: Duration = Duration::from_millis(1500);
/// Without a new primary after this, the measurement has failed.
const RETURN_TIME_MAX: Duration = Duration::from_secs(30);
/// How long the mediator is gone.
const MEDIATOR_GONE: Duration = Duration::from_secs(5);

/// What is done to a pair.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(super) enum Scenario {
    /// kill -9 of the primary's process; its supervisor, where there is one, lives.
    KillNode,
    /// kill -9 of everything on the primary's machine at once.
    KillMachine,
    /// The primary's machine stands still, then dies.
    Vanish,
    /// A planned change of primary.
    Switch,
    /// The mediator (all Sentinels) is dead for 5 s.
    Mediator,
}

impl Scenario {
    /// The one word that selects it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::KillNode => "kill-node",
            Self::KillMachine => "kill-machine",
            Self::Vanish => "vanish",
            Self::Switch => "switch",
            Self::Mediator => "mediator",
        }
    }

    const fn fault(self) -> Option<Fault> {
        match self {
            Self::KillNode => Some(Fault::KillNode),
            Self::KillMachine => Some(Fault::KillMachine),
            Self::Vanish => Some(Fault::Vanish),
            Self::Switch | Self::Mediator => None,
        }
    }
}

/// What one measurement gave.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) system: String,
    pub(super) scenario: Scenario,
    pub(super) round: u32,
    /// Processes that wanted to run during the last minute, when it began.
    pub(super) load_average: f64,
    /// Longest pause of a client while nothing was done.
    pub(super) usual_pause: Duration,
    /// Acknowledged writes per second while nothing was done.
    pub(super) writes_per_second: f64,
    /// What the clients saw from the fault on.
    pub(super) seen: Window,
    /// Acknowledged writes, in the whole run.
    pub(super) acknowledged: u64,
    /// Acknowledged writes that are gone.
    pub(super) lost: u64,
    /// Until everybody held everything again.
    pub(super) whole_after: Duration,
}

/// Does `scenario` once.
pub(super) fn run(
    system: &mut dyn System,
    scenario: Scenario,
    manner: Manner,
    round: u32,
) -> anyhow::Result<Sample> {
    let before = system.wait_whole()?;
    let load_average = load_average()?;
    let prefix = format!("bench:{}:{round}", scenario.word());
    let fleet = Fleet::start(manner, &system.sentinels(), &prefix)?;
    fleet.wait_for(1, RETURN_TIME_MAX)?;
    fleet.mark();
    thread::sleep(WARM_UP);
    let usual = fleet.window();
    ensure!(usual.errors() == 0, "errors before anything was done: {usual:?}");
    let begun = fleet.mark();
    act(system, scenario, &fleet, before)?;
    let seen = fleet.window();
    let acknowledged = fleet.stop()?;
    system.bring_back()?;
    let primary = system.wait_whole()?;
    let whole_after = begun.elapsed();
    let lost = audit(primary, &prefix, &acknowledged)?;
    Ok(Sample {
        system: system.name(),
        scenario,
        round,
        load_average,
        usual_pause: usual.longest_pause,
        #[expect(clippy::cast_precision_loss, reason = "far fewer writes than 2^52")]
        writes_per_second: usual.acknowledged as f64 / WARM_UP.as_secs_f64(),
        seen,
        acknowledged: acknowledged.iter().map(|numbers| count(numbers.len())).sum(),
        lost,
        whole_after,
    })
}

/// Does it, and waits until the clients have seen all of it.
fn act(
    system: &mut dyn System,
    scenario: Scenario,
    fleet: &Fleet,
    before: SocketAddr,
) -> anyhow::Result<()> {
    if let Some(fault) = scenario.fault() {
        system.strike(fault, &mut || {
            fleet.mark();
        })?;
        wait_until("a new connection has an acknowledged write", RETURN_TIME_MAX, || {
            fleet.window().until_new.with_context(|| format!("{:?}", fleet.window()))
        })?;
        thread::sleep(SETTLE);
        return Ok(());
    }
    if scenario == Scenario::Switch {
        system.switch()?;
        let switched = Instant::now();
        let after = wait_until("the pair has changed sides", RETURN_TIME_MAX, || {
            let now = system.wait_whole()?;
            ensure!(now != before, "{now} is still primary after {:?}", switched.elapsed());
            Ok(())
        });
        thread::sleep(SETTLE);
        return after;
    }
    system.kill_mediator()?;
    thread::sleep(MEDIATOR_GONE);
    system.start_mediator()?;
    thread::sleep(SETTLE);
    Ok(())
}

/// Looks for every acknowledged write at `primary`, then removes them all; returns how many are gone.
fn audit(primary: SocketAddr, prefix: &str, acknowledged: &[Vec<u32>]) -> anyhow::Result<u64> {
    let mut lost = 0;
    for (client, numbers) in acknowledged.iter().enumerate() {
        let key = key(prefix, client);
        let list = ask(primary, &["LRANGE", &key, "0", "-1"])?;
        let list = list.as_list().context("LRANGE gave no list")?;
        let present: BTreeSet<i64> = list.iter().filter_map(Value::as_int).collect();
        let gone = numbers.iter().filter(|&&number| !present.contains(&i64::from(number)));
        lost += count(gone.count());
        ask(primary, &["DEL", &key])?;
    }
    Ok(lost)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn load_average() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").context("read /proc/loadavg")?;
    text.split(' ').next().unwrap_or_default().parse().context("read the load average")
}
