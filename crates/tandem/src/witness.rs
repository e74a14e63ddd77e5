//! `tandem witness`: the built-in mediator in the foreground.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use tandem_config::WitnessConfig;
use tandem_witness::{Secret, Server, ServerSettings};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::WitnessOptions;
use crate::serve::{end_with_parent, logging, secrets, tls};

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
    };
    // A few pairs need no more than one thread, and a few MiB.
    let runtime =
        Builder::new_current_thread().enable_all().build().context("start the witness")?;
    runtime.block_on(async {
        let server = Server::open(settings).await?;
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
