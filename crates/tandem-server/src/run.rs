//! From settings to a running server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mio::Poll;
use tandem_fs::FsDisk;
use tandem_log::LogOptions;
use tandem_node::{Facts, Port};

use crate::TurnClock;
use crate::admin::AdminHandle;
use crate::boot::node::NodeBoot;
use crate::clients::Clients;
use crate::edges::Edges;
use crate::event_loop::{EventLoop, Parts, entrance_token, mail_token};
use crate::inbox::Inbox;
use crate::link::{Link, LinkSettings};
use crate::net::file_limit;
use crate::net::listener::Listener;
use crate::net::tls::{Tls, TlsError};
use crate::{ServerSettings, process_facts, signals};

/// The server ended because it was asked to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Exit {
    /// By whom or why, for people.
    pub reason: String,
}

/// Why a server does not run, or no longer. Each ends the process with a status that is not 0.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// An address is taken or not this machine's.
    #[error("listen for {what} on {address}: {source}")]
    Listen {
        /// Clients, reads or the peer.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// How it failed.
        source: io::Error,
    },
    /// The certificate cannot be used.
    #[error("{0}")]
    Tls(#[from] TlsError),
    /// The data directory cannot be opened, or another process uses it.
    #[error("{0}")]
    DataDir(#[from] tandem_fs::OpenError),
    /// The data cannot be read back. Nothing was changed.
    #[error("{0}")]
    Boot(String),
    /// There is no space for what a start writes. Nothing was changed.
    #[error("{0}: free space; the node starts by itself then")]
    DiskFull(String),
    /// The system gives no random numbers.
    #[error("draw random numbers: {0}")]
    Random(io::Error),
    /// The system gives no thread.
    #[error("start a thread: {0}")]
    Thread(io::Error),
    /// The system cannot watch sockets.
    #[error("wait for events: {0}")]
    Wait(io::Error),
    /// The node gave up its role and ended, as when its disk fails.
    #[error("{reason}")]
    GaveUp {
        /// Exit status of the process.
        status: u8,
        /// Why, for people.
        reason: String,
    },
}

/// Where a server listens; with real port numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// Clients.
    pub client: SocketAddr,
    /// Reads whatever the role.
    pub read: Option<SocketAddr>,
    /// The peer, or its supervisor.
    pub link: Option<SocketAddr>,
}

/// A server whose listeners are open and which is about to run.
pub struct Server {
    event_loop: EventLoop,
    admin: AdminHandle,
    addresses: Addresses,
}

/// Runs one server until it is asked to stop by SIGTERM or SIGINT, or gives up.
///
/// # Errors
/// See [`RunError`].
pub fn run(settings: ServerSettings) -> Result<Exit, RunError> {
    let server = Server::open(settings)?;
    server.watch_signals()?;
    server.run()
}

impl Server {
    /// Opens the listeners. Clients are told `-LOADING` from [`Self::run`] on until the data is read.
    ///
    /// # Errors
    /// An address is taken, or the certificate is unusable.
    pub fn open(settings: ServerSettings) -> Result<Self, RunError> {
        // First of all: a second process on the same data must not get as far as listening.
        let disk = FsDisk::open(&settings.data_dir)?;
        let clients_max = file_limit::raise_for(settings.node.limits.clients_max);
        if clients_max < settings.node.limits.clients_max {
            tracing::warn!("only {clients_max} clients fit into the limit of open files");
        }
        let tls = settings.tls.clone().map(Tls::load).transpose()?;
        let poll = Poll::new().map_err(RunError::Wait)?;
        let registry = || poll.registry().try_clone().map_err(RunError::Wait);
        let (inbox, outbox) = Inbox::new(poll.registry(), mail_token()).map_err(RunError::Wait)?;
        let mut clients = Clients::new(registry()?, clients_max);
        let mut open = |what, address, port, index| {
            let failed = |source| RunError::Listen { what, address, source };
            let listener = Listener::bind(address).map_err(failed)?;
            let address = listener.address();
            clients.listen(listener, port, entrance_token(index)).map_err(failed)?;
            Ok::<_, RunError>(address)
        };
        let client = open("clients", settings.client_address, Port::Client, 0)?;
        let read = settings.read_address.map(|at| open("reads", at, Port::Read, 1)).transpose()?;
        let first = if read.is_some() { 2 } else { 1 };
        for (index, (address, port)) in (first..).zip(settings.virtual_listeners()) {
            let what = "clients of the virtual address";
            let failed = |source| RunError::Listen { what, address, source };
            let listener = Listener::bind_absent(address).map_err(failed)?;
            clients.listen(listener, port, entrance_token(index)).map_err(failed)?;
        }
        let address = settings.link_address;
        let failed = |source| RunError::Listen { what: "the peer", address, source };
        let listener = Some(Listener::bind(address).map_err(failed)?);
        let link = listener.as_ref().map(Listener::address);
        let peer = link_settings(&settings);
        let line =
            Link::new(peer, registry()?, listener, outbox.clone()).map_err(RunError::Wait)?;
        let turns = TurnClock::default();
        let admin = AdminHandle::new(outbox.clone(), turns.clone());
        let password = settings.node.password.clone();
        let boot = Arc::new(NodeBoot {
            disk,
            options: LogOptions { segment_bytes: settings.segment_bytes },
            facts: Facts {
                supervisor_pid: settings.supervisor_pid,
                starts_in_window: settings.starts_in_window,
                mediator_kind: settings.mediator_kind,
                virtual_address: settings.virtual_address,
                ..process_facts::gather(&settings.config_file, client, read)
            },
            settings: settings.node,
        });
        let parts = Parts { poll, inbox, outbox, clients, link: line, tls, boot, turns, password };
        Ok(Self {
            event_loop: EventLoop::new(parts),
            admin,
            addresses: Addresses { client, read, link },
        })
    }

    /// Gives it what it acts on besides sockets and its disk; before [`Self::run`].
    pub fn attach(&mut self, edges: Edges) {
        self.event_loop.attach(edges);
    }

    /// Where it listens.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// The way to ask it things, from any thread.
    pub fn admin(&self) -> AdminHandle {
        self.admin.clone()
    }

    /// Lets SIGTERM and SIGINT end it, and SIGHUP reload the certificates.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn watch_signals(&self) -> Result<(), RunError> {
        signals::watch(self.admin()).map_err(RunError::Thread)
    }

    /// Runs on this thread until it is asked to stop, or gives up.
    ///
    /// # Errors
    /// See [`RunError`].
    pub fn run(self) -> Result<Exit, RunError> {
        self.event_loop.run()
    }
}

fn link_settings(settings: &ServerSettings) -> LinkSettings {
    LinkSettings {
        node: settings.node.node,
        pair_name: settings.node.pair_name.clone(),
        software: concat!("tandem ", env!("CARGO_PKG_VERSION")).to_owned(),
        peer_host: settings.peer_host.clone(),
        peer_port: settings.peer_link_port,
        secret: settings.peer_secret.clone(),
        certificates_prove: settings.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some()),
    }
}
