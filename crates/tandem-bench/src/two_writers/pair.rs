//! A pair under test: two real nodes that acknowledge when both disks have a write.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tandem_resp::Value;
use tempfile::TempDir;

use crate::failover::ask::ask;
use crate::server::{Server, free_port, node_config};

/// Longest time for the two to hold the same once nobody writes any more.
const SETTLE_TIME_MAX: Duration = Duration::from_mins(1);

/// Who writes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Topology {
    /// Node a; node b follows.
    OnePrimary,
    /// Both.
    PrimaryPrimary,
}

impl Topology {
    /// As in `pair.topology`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::OnePrimary => "primary-standby",
            Self::PrimaryPrimary => "primary-primary",
        }
    }
}

/// Two nodes; they end with the value.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) topology: Topology,
    pub(super) nodes: Vec<Server>,
    // Last, so that it is removed after the processes are gone.
    _folder: TempDir,
}

impl Pair {
    /// Starts both and waits until they are in sync.
    pub(super) fn start(tandem: &Path, dir: &Path, topology: Topology) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(dir)?;
        let config = folder.path().join("tandem.toml");
        let ports = [free_port()?, free_port()?];
        let text = format!(
            "[pair]\nname = \"bench\"\ntopology = \"{}\"\n{}{}{}\
             [replication]\nacknowledge = \"durable\"\nfsync = \"always\"\n[switch]\nby = \"manual\"\n",
            topology.name(),
            // Two writers need nobody to begin.
            if topology == Topology::OnePrimary { "initial_primary = \"a\"\n" } else { "" },
            node_config(folder.path(), "a", ports[0])?,
            node_config(folder.path(), "b", ports[1])?,
        );
        std::fs::write(&config, text)?;
        let config = config.display().to_string();
        let start = |node: &str, port: u16| {
            let arguments = ["serve", "--config", &config, "--node", node].map(ToOwned::to_owned);
            let log = folder.path().join(format!("{node}.log"));
            Server::start(&format!("{}-{node}", topology.name()), tandem, &arguments, port, &log)
        };
        let nodes = vec![start("a", ports[0])?, start("b", ports[1])?];
        let pair = Self { topology, nodes, _folder: folder };
        for node in pair.writers() {
            node.wait_for("INFO tandem", "tandem_in_sync:1")?;
        }
        Ok(pair)
    }

    /// Those that accept writes.
    fn writers(&self) -> &[Server] {
        match self.topology {
            Topology::OnePrimary => self.nodes.get(..1).unwrap_or_default(),
            Topology::PrimaryPrimary => &self.nodes,
        }
    }

    /// Where they listen, a first.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Server::address).collect()
    }

    /// Fails unless both run and own their ports.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.nodes.iter_mut().try_for_each(Server::check)
    }

    /// Processor time used by both so far.
    pub(super) fn cpu(&self) -> anyhow::Result<Duration> {
        self.nodes.iter().map(Server::cpu).sum()
    }

    /// Waits until everything that was written is on both disks.
    pub(super) fn wait_settled(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let mut ahead = 0;
            for node in self.writers() {
                ahead += records_ahead(node.address())?;
            }
            if ahead == 0 {
                return Ok(());
            }
            if begun.elapsed() > SETTLE_TIME_MAX {
                bail!("{ahead} records are not on both disks after {SETTLE_TIME_MAX:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Records of the node at `address` that are not known to be on its peer's disk.
pub(super) fn records_ahead(address: SocketAddr) -> anyhow::Result<i64> {
    let status = ask(address, &["TANDEM", "STATUS"])?;
    let number = |name: &str| status.lookup(name.as_bytes()).and_then(Value::as_int);
    let (last, acked) = (number("last_lsn"), number("acked_lsn"));
    Ok(last.context("no last_lsn")? - acked.context("no acked_lsn")?)
}
