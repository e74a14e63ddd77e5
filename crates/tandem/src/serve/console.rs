//! The console's thread: HTTP beside the data thread, so that neither waits for the other.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use anyhow::Context as _;
use tandem_config::Config;
use tandem_console::ConsoleSettings;
use tandem_server::AdminHandle;
use tandem_types::NodeId;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::serve::cut::Cut;
use crate::serve::node_port::NodePort;
use crate::serve::{addresses, secrets, tls};

/// The running console; nothing if the port is 0.
pub(crate) struct Console {
    running: Option<Running>,
}

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Console {
    /// Opens the port and serves it on a thread of its own.
    pub(crate) fn start(
        config: &Config,
        node: NodeId,
        admin: AdminHandle,
        cut: Cut,
    ) -> anyhow::Result<Self> {
        let own = &config.nodes[node];
        let Some(port) = own.admin_port else { return Ok(Self { running: None }) };
        let address = addresses::listen(&own.admin_bind, port)?;
        let settings = ConsoleSettings {
            token: secrets::admin_token(&config.auth)?,
            hosts: vec![own.host.clone(), own.admin_bind.clone()],
            tls: config.tls.as_ref().map(tls::server_config).transpose()?,
        };
        let runtime =
            Builder::new_current_thread().enable_all().build().context("start the console")?;
        let listener = runtime
            .block_on(TcpListener::bind(address))
            .with_context(|| format!("listen for HTTP on {address}"))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let port = NodePort::new(admin, own.data_dir.clone(), cut);
        let serve = move || {
            runtime.block_on(async {
                let stopped = async {
                    // Dropped or sent: both mean stop.
                    let _stopped = stopped.await;
                };
                tandem_console::serve(listener, port, settings, stopped).await;
            });
        };
        let thread = thread::Builder::new().name("console".to_owned()).spawn(serve)?;
        Ok(Self { running: Some(Running { address, stop, thread }) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.running.as_ref().map(|running| running.address)
    }

    /// Stops it and waits until open requests are answered or out of time.
    pub(crate) fn stop(self) {
        if let Some(Running { stop, thread, .. }) = self.running {
            // Gone already: fine. A panic there is already on the terminal.
            let _sent = stop.send(());
            let _ended = thread.join();
        }
    }
}
