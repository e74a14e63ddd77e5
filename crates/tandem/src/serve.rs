//! `tandem serve`: one node in the foreground, under its supervisor.
//!
//! The command starts the supervisor ([`crate::supervise`]), which starts this program again with
//! `--supervised-by`: that process is the node.

pub(crate) mod addresses;
mod busy;
mod console;
mod cut;
mod drill;
mod lifeline;
pub(crate) mod logging;
mod mediator;
mod node_port;
mod prober;
pub(crate) mod secrets;
mod sentinel;
mod starts;
mod still_here;
mod surroundings;
pub(crate) mod tls;
mod unaided;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal};
use tandem_config::Config;
use tandem_fs::OpenError;
use tandem_server::{Edges, RunError, Server, ServerSettings, Supervised};
use tandem_switch::{Testimony, boot_count};
use tandem_types::NodeId;

use crate::cli::ServeOptions;
use crate::config_command;
use crate::serve::busy::Beats;
use crate::serve::cut::Cut;
use crate::serve::lifeline::Lifeline;
use crate::serve::starts::Starts;
use crate::serve::surroundings::Surroundings;
use crate::supervise;

/// A process that ends gives its lock and ports back a moment after it is seen to have ended.
const LEFTOVERS_TIME_MAX: Duration = Duration::from_secs(1);
/// A peer that cannot be told now will have noticed by itself before long.
const CERTIFICATE_TRIES: u32 = 5;
const CERTIFICATE_PAUSE: Duration = Duration::from_millis(200);
const LEFTOVERS_PAUSE: Duration = Duration::from_millis(20);

pub(crate) fn run(options: &ServeOptions) -> anyhow::Result<ExitCode> {
    let lifeline = match (options.supervised_by, options.with_parent) {
        (Some(supervisor), _) => {
            end_with_parent(supervisor)?;
            Some(Lifeline::from_standard_input()?)
        }
        (None, Some(parent)) => {
            end_with_parent(parent)?;
            None
        }
        (None, None) => None,
    };
    logging::start(options.log_format);
    let Some(lifeline) = lifeline else { return supervised(options) };
    match start(options, &lifeline) {
        Ok(started) => started.run(&lifeline),
        Err(error) => {
            lifeline.hopeless();
            Err(error)
        }
    }
}

/// The supervisor's side: a wrong configuration ends it before any node is started.
fn supervised(options: &ServeOptions) -> anyhow::Result<ExitCode> {
    let config = config_command::load(&options.config)?;
    refuse_unsupported(&config, options)?;
    let node = config.find_self(options.node.as_deref(), &addresses::locals(&config))?;
    let mut arguments: Vec<OsString> = vec!["serve".into(), "--config".into()];
    arguments.push(options.config.clone().into());
    arguments.extend(["--node".into(), config.nodes[node].name.clone().into()]);
    arguments.extend(["--log-format".into(), options.log_format.word().into()]);
    supervise::run(&supervise::Plan {
        arguments,
        watchdog: config.switch.watchdog,
        on_death: on_death(&config, node)?,
    })
}

/// What the supervisor does when the node's process has ended.
fn on_death(config: &Config, node: NodeId) -> anyhow::Result<supervise::OnDeath> {
    // What keepalived has bound is its own.
    let bound = config.vip.as_ref().filter(|_| !config.switch.is_keepalived());
    let address = bound.map(surroundings::address).transpose()?;
    let supervised = Arc::new(Supervised::new(ServerSettings::from_config(config, node)?));
    Ok(Box::new(move |boot| {
        let certifying = boot.and_then(|boot| certify(&supervised, supervised.testimony(boot)));
        if let Some(address) = &address {
            match tandem_vip::remove_now(address) {
                Ok(true) => tracing::warn!("{address} was left bound and is removed"),
                Ok(false) => {}
                Err(error) => tracing::error!("the virtual address: {error}"),
            }
        }
        certifying
    }))
}

/// Tells the peer, beside the restart: neither waits for the other.
fn certify(supervised: &Arc<Supervised>, testimony: Testimony) -> Option<JoinHandle<()>> {
    let supervised = Arc::clone(supervised);
    let boot = boot_count(testimony.boot.boot);
    let tell = move || {
        for _ in 0..CERTIFICATE_TRIES {
            match supervised.certify(testimony) {
                Ok(()) => return tracing::info!("the peer knows that boot {boot} is over"),
                Err(error) => tracing::debug!("the peer was not told that a boot is over: {error}"),
            }
            thread::sleep(CERTIFICATE_PAUSE);
        }
    };
    // Without a thread the peer waits for silence, as it would without a supervisor.
    thread::Builder::new().name("certificate".to_owned()).spawn(tell).ok()
}

/// A node that is about to run.
struct Started {
    server: Server,
    console: console::Console,
    surroundings: Surroundings,
    starts: Starts,
    data_dir: PathBuf,
}

fn start(options: &ServeOptions, lifeline: &Lifeline) -> anyhow::Result<Started> {
    let config = config_command::load(&options.config)?;
    let node = config.find_self(options.node.as_deref(), &addresses::locals(&config))?;
    for key in config.without_effect() {
        tracing::warn!("`{key}` has no effect with this configuration");
    }
    secrets::warn_of_readable(&config.auth);
    let starts = Starts::read(&config.nodes[node].data_dir);
    let mut settings = ServerSettings::from_config(&config, node)?;
    settings.config_file = options.config.display().to_string();
    settings.supervisor_pid = options.supervised_by;
    settings.starts_in_window = starts.within(config.switch.restart_window);
    let mut server = open(&settings)?;
    if let Err(error) = starts.write(&config.nodes[node].data_dir) {
        tracing::warn!("this start is not counted: {error}");
    }
    let cut = Cut::default();
    let (surroundings, edges) = Surroundings::start(&config, node, &server.admin(), &cut)?;
    let beats = Beats::start(lifeline.duplicate()?, server.admin().turns());
    let beats = beats.context("start the thread that beats while a command takes long")?;
    server.attach(Edges { beat: Some(Box::new(move |boot| beats.beat(boot))), ..edges });
    let console = console::Console::start(&config, node, server.admin(), cut)?;
    announce(&config, node, &server, &console);
    server.watch_signals()?;
    let data_dir = config.nodes[node].data_dir.clone();
    Ok(Started { server, console, surroundings, starts, data_dir })
}

/// Opens the server; what a process that is just ending still holds is waited for.
fn open(settings: &ServerSettings) -> Result<Server, RunError> {
    let begun = Instant::now();
    loop {
        let error = match Server::open(settings.clone()) {
            Ok(server) => return Ok(server),
            Err(error) => error,
        };
        let held = match &error {
            RunError::DataDir(OpenError::InUse { .. }) => true,
            RunError::Listen { source, .. } => source.kind() == io::ErrorKind::AddrInUse,
            _ => false,
        };
        if !held || begun.elapsed() > LEFTOVERS_TIME_MAX {
            return Err(error);
        }
        thread::sleep(LEFTOVERS_PAUSE);
    }
}

impl Started {
    fn run(self, lifeline: &Lifeline) -> anyhow::Result<ExitCode> {
        let ended = self.server.run();
        self.surroundings.stop();
        self.console.stop();
        match ended {
            Ok(exit) => {
                tracing::info!("stopped: {}", exit.reason);
                if let Err(error) = self.starts.ended_in_order(&self.data_dir) {
                    tracing::warn!("this start still counts as one of a failing node: {error}");
                }
                Ok(ExitCode::SUCCESS)
            }
            Err(RunError::GaveUp { status, reason }) => {
                tracing::error!("{reason}");
                Ok(ExitCode::from(status))
            }
            Err(error) => {
                if matches!(error, RunError::Boot(_)) {
                    // The data will not get better by reading it again.
                    lifeline.hopeless();
                }
                Err(error.into())
            }
        }
    }
}

fn refuse_unsupported(config: &Config, options: &ServeOptions) -> anyhow::Result<()> {
    if let Err(error) = config.supported() {
        let file = options.config.display();
        let lines: Vec<String> =
            error.problems.iter().map(|problem| format!("{file}: {problem}")).collect();
        bail!("{}", lines.join("\n"));
    }
    Ok(())
}

fn announce(config: &Config, node: NodeId, server: &Server, console: &console::Console) {
    let addresses = server.addresses();
    let show = |address: Option<std::net::SocketAddr>| {
        address.map_or("off".to_owned(), |at| at.to_string())
    };
    tracing::info!(
        clients = %addresses.client,
        reads = %show(addresses.read),
        link = %show(addresses.link),
        admin = %show(console.address()),
        config = %config.digest(),
        "tandem {} starts as node {} of pair {}, {}",
        env!("CARGO_PKG_VERSION"),
        config.nodes[node].name,
        config.pair.name,
        config.pair.topology
    );
    if config.auth.insecure {
        tracing::warn!("`auth.insecure` is set: anyone who reaches the ports owns the data");
    }
}

/// The kernel ends this process when its parent ends, however that happens.
pub(crate) fn end_with_parent(parent: u32) -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .context("ask to end with the parent")?;
    // The parent may have ended before the question was asked.
    let parent = i32::try_from(parent).ok().and_then(Pid::from_raw);
    if rustix::process::getppid() != parent {
        bail!("the process that started this node has ended");
    }
    Ok(())
}
