//! Two servers in this process, each with a temporary directory.

use std::net::SocketAddr;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tandem_admin::{AdminReply, AdminRequest};
use tandem_server::{Addresses, AdminHandle, Exit, RunError, Server, ServerSettings};
use tandem_types::NodeId;

use crate::client::Client;

const CONFIG: &str = r#"
[pair]
name = "main"
topology = "primary-replica"
initial_primary = "a"
[nodes.a]
host = "127.0.0.1"
client_port = 1001
read_port = 1002
link_port = 1003
sentinel_port = 0
admin_port = 0
data_dir = "/nowhere/a"
[nodes.b]
host = "127.0.0.1"
client_port = 2001
read_port = 2002
link_port = 2003
sentinel_port = 0
admin_port = 0
data_dir = "/nowhere/b"
"#;

/// One running server.
pub(crate) struct Node {
    pub(crate) addresses: Addresses,
    pub(crate) admin: AdminHandle,
    thread: JoinHandle<Result<Exit, RunError>>,
}

impl Node {
    pub(crate) fn start(settings: ServerSettings) -> Self {
        let server = Server::open(settings).unwrap();
        let (addresses, admin) = (server.addresses(), server.admin());
        Self { addresses, admin, thread: thread::spawn(move || server.run()) }
    }

    pub(crate) fn client(&self) -> Client {
        Client::to(self.addresses.client)
    }

    pub(crate) fn ask(&self, request: AdminRequest) -> AdminReply {
        self.admin.ask_blocking(request).unwrap()
    }

    pub(crate) fn stop(self) -> Result<Exit, RunError> {
        self.admin.shut_down().unwrap();
        self.wait()
    }

    pub(crate) fn wait(self) -> Result<Exit, RunError> {
        self.thread.join().unwrap()
    }
}

/// Directories, and the settings of both nodes.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    change: Box<dyn Fn(&mut ServerSettings)>,
    link: Option<SocketAddr>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A world whose nodes' settings are changed by `change`.
    pub(crate) fn with(change: impl Fn(&mut ServerSettings) + 'static) -> Self {
        // `TANDEM_LOG=info` shows what the servers say. Set already by another test: fine.
        let filter = tracing_subscriber::EnvFilter::from_env("TANDEM_LOG");
        drop(tracing_subscriber::fmt().with_env_filter(filter).try_init());
        Self { dir: tempfile::tempdir().unwrap(), change: Box::new(change), link: None }
    }

    pub(crate) fn settings(&self, node: NodeId) -> ServerSettings {
        let config = tandem_config::load(CONFIG, []).unwrap();
        let mut settings = ServerSettings::from_config(&config, node).unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        settings.client_address = any;
        settings.read_address = Some(any);
        let own_link = self.link.filter(|_| node == NodeId::A);
        settings.link_address = own_link.unwrap_or(any);
        settings.peer_link_port = self.link.map_or(1, |link| link.port());
        settings.data_dir = self.dir.path().join(format!("{node:?}"));
        settings.segment_bytes = 4 << 20;
        (self.change)(&mut settings);
        settings
    }

    /// Starts node A; later starts take the same link port.
    pub(crate) fn start_a(&mut self) -> Node {
        let node = Node::start(self.settings(NodeId::A));
        self.link = node.addresses.link;
        node
    }

    /// Starts node B, after A.
    pub(crate) fn start_b(&self) -> Node {
        Node::start(self.settings(NodeId::B))
    }

    /// Starts both and waits until they are in sync.
    pub(crate) fn start(&mut self) -> (Node, Node) {
        let (a, b) = (self.start_a(), self.start_b());
        wait_in_sync(&a);
        (a, b)
    }
}

/// Waits until a primary has its peer in sync.
pub(crate) fn wait_in_sync(primary: &Node) {
    let start = Instant::now();
    loop {
        if let AdminReply::Status(status) = primary.ask(AdminRequest::Status)
            && status.in_sync
            && status.peer.connected
        {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "not in sync");
        thread::sleep(Duration::from_millis(5));
    }
}
