//! `tandem witness`: the built-in mediator in the foreground.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use tandem_config::WitnessConfig;
use tandem_sentinel::SentinelSettings;
use tandem_witness::{Secret, Server, ServerSettings};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::WitnessOptions;
use crate::serve::{end_with_parent, logging, secrets, tls};

mod sentinel;

pub(crate) fn run(options: &WitnessOptions) -> anyhow::Result<ExitCode> {
    if let Some(parent) = options.with_parent {
        end_with_parent(parent)?;
    }
    logging::start(options.log_format);
    let config = load(options)?;
    let listen = address(&options.listen)?;
    let settings = ServerSettings {
        listen,
        data_dir: options.data_dir.clone(),
        secret: secret(&config, listen)?,
        tls: config.tls.as_ref().map(tls::server_config).transpose()?,
        sentinel_port: None,
    };
    let sentinel = options.sentinel_listen.as_deref();
    let sentinel = sentinel.map(|text| clients(&config, address(text)?)).transpose()?;
    // A few pairs need no more than one thread, and a few MiB.
    let runtime =
        Builder::new_current_thread().enable_all().build().context("start the witness")?;
    runtime.block_on(async {
        let port = match &sentinel {
            Some((at, _)) => Some(sentinel::bind(*at).await?),
            None => None,
        };
        let sentinel_port = port.as_ref().map(TcpListener::local_addr).transpose()?;
        let settings =
            ServerSettings { sentinel_port: sentinel_port.map(|at| at.port()), ..settings };
        let server = Server::open(settings).await?;
        if let (Some(port), Some((_, guard))) = (port, sentinel) {
            tracing::info!("Sentinel clients are answered on {}", port.local_addr()?);
            sentinel::start(port, server.seen(), guard)?;
        }
        tracing::info!(
            nodes = %server.address()?,
            "tandem {} starts as a witness, records in {}",
            env!("CARGO_PKG_VERSION"),
            options.data_dir.display()
        );
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::select! {
            () = server.run() => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // Every record is on disk since it was answered: there is nothing to finish.
        tracing::info!("stopped: asked to stop");
        Ok(ExitCode::SUCCESS)
    })
}

fn load(options: &WitnessOptions) -> anyhow::Result<WitnessConfig> {
    let text = match &options.config {
        None => String::new(),
        Some(path) => {
            std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?
        }
    };
    match tandem_config::load_witness(&text, std::env::vars()) {
        Ok(config) => Ok(config),
        Err(error) => {
            let place = options
                .config
                .as_ref()
                .map_or_else(|| "environment".to_owned(), |path| path.display().to_string());
            let lines: Vec<String> =
                error.problems.iter().map(|problem| format!("{place}: {problem}")).collect();
            bail!("{}", lines.join("\n"))
        }
    }
}

fn address(text: &str) -> anyhow::Result<SocketAddr> {
    text.to_socket_addrs().ok().and_then(|mut addresses| addresses.next()).with_context(|| {
        format!("{text} is no address to listen on; write for example 0.0.0.0:7390")
    })
}

/// Where Sentinel clients are answered, and how that port is guarded.
fn clients(
    config: &WitnessConfig,
    listen: SocketAddr,
) -> anyhow::Result<(SocketAddr, SentinelSettings)> {
    let password = config.password_file.as_deref().map(secrets::read).transpose();
    let password = password.context("read the secret of `auth.password_file`")?;
    if password.is_none() && !config.insecure && !listen.ip().is_loopback() {
        bail!(
            "the witness would answer Sentinel clients on {listen} without `auth.password_file`: anyone who \
             reaches it could see where the pairs are; give --config a file with it, or `auth.insecure = true` \
             if the network is closed"
        );
    }
    let guard = SentinelSettings {
        password: password.map(Arc::from),
        tls: config.tls.as_ref().map(tls::server_config).transpose()?,
        failover: Arc::new(|name| Box::pin(async move { Err(sentinel::no_failover(&name)) })),
    };
    Ok((listen, guard))
}

/// As Redis' protected mode: nothing listens beyond loopback without a secret.
fn secret(config: &WitnessConfig, listen: SocketAddr) -> anyhow::Result<Secret> {
    match &config.peer_secret_file {
        Some(path) => {
            secrets::warn_of_readable_file(path);
            let bytes =
                secrets::read(path).context("read the secret of `auth.peer_secret_file`")?;
            Ok(Secret::new(bytes))
        }
        None if config.insecure || listen.ip().is_loopback() => Ok(Secret::default()),
        None => bail!(
            "the witness would listen on {listen} without `auth.peer_secret_file`: anyone who reaches it could \
             decide who is primary; give --config a file with the pair's secret, or `auth.insecure = true` if the \
             network is closed"
        ),
    }
}
