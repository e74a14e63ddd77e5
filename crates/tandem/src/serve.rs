//! `tandem serve`: one node in the foreground.

mod addresses;
mod console;
mod logging;
mod node_port;
mod secrets;
mod tls;

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal};
use tandem_config::Config;
use tandem_server::{RunError, Server, ServerSettings};
use tandem_types::NodeId;

use crate::cli::ServeOptions;
use crate::config_command;

pub(crate) fn run(options: &ServeOptions) -> anyhow::Result<ExitCode> {
    if let Some(parent) = options.with_parent {
        end_with_parent(parent)?;
    }
    logging::start(options.log_format);
    let config = config_command::load(&options.config)?;
    refuse_unsupported(&config, options)?;
    let node = config.find_self(options.node.as_deref(), &addresses::locals(&config))?;
    secrets::warn_of_readable(&config.auth);
    let mut settings = ServerSettings::from_config(&config, node)?;
    settings.config_file = options.config.display().to_string();
    let server = Server::open(settings)?;
    let console = console::Console::start(&config, node, server.admin())?;
    announce(&config, node, &server, &console);
    server.watch_signals()?;
    let ended = server.run();
    console.stop();
    match ended {
        Ok(exit) => {
            tracing::info!("stopped: {}", exit.reason);
            Ok(ExitCode::SUCCESS)
        }
        Err(RunError::GaveUp { status, reason }) => {
            tracing::error!("{reason}");
            Ok(ExitCode::from(status))
        }
        Err(error) => Err(error.into()),
    }
}

fn refuse_unsupported(config: &Config, options: &ServeOptions) -> anyhow::Result<()> {
    if let Err(error) = config.supported() {
        let file = options.config.display();
        let lines: Vec<String> =
            error.problems.iter().map(|problem| format!("{file}: {problem}")).collect();
        bail!("{}", lines.join("\n"));
    }
    for key in config.without_effect() {
        tracing::warn!("`{key}` has no effect in this version");
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
fn end_with_parent(parent: u32) -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .context("ask to end with the parent")?;
    // The parent may have ended before the question was asked.
    let parent = i32::try_from(parent).ok().and_then(Pid::from_raw);
    if rustix::process::getppid() != parent {
        bail!("the process that started this node has ended");
    }
    Ok(())
}
