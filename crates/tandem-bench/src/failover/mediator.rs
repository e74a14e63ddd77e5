//! The third party that a Tandem pair asks: the built-in witness, etcd or `ZooKeeper`, one server of it.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use clap::ValueEnum;

use super::process::{Process, wait_until};
use super::{ask, ports};

/// Where Debian has `ZooKeeper`.
const ZOOKEEPER_JAR: &str = "/usr/share/java/zookeeper.jar";
/// A Java machine on a busy computer is slow to start.
const START_TIME_MAX: Duration = Duration::from_mins(1);

/// Which one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Kind {
    /// `tandem witness`.
    Witness,
    /// `ZooKeeper`, of the package `zookeeper`.
    Zookeeper,
    /// etcd, of the package `etcd-server`.
    Etcd,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Witness => "witness",
            Self::Zookeeper => "zookeeper",
            Self::Etcd => "etcd",
        })
    }
}

/// A running mediator.
#[derive(Debug)]
pub(super) struct Mediator {
    kind: Kind,
    address: SocketAddr,
    process: Process,
}

impl Mediator {
    /// Starts one in `folder` and waits until it serves.
    pub(super) fn start(kind: Kind, tandem: &Path, folder: &Path) -> anyhow::Result<Self> {
        let [address, peer] = ports::free()?;
        let data = folder.join("mediator");
        std::fs::create_dir(&data)?;
        let (program, arguments) = match kind {
            Kind::Witness => (tandem.to_owned(), witness_arguments(address, &data)),
            Kind::Etcd => ("etcd".into(), etcd_arguments(address, peer, &data)),
            Kind::Zookeeper => zookeeper(address, &data)?,
        };
        let log = folder.join("mediator.log");
        let process = Process::start(&kind.to_string(), &program, &arguments, &log)?;
        let mut mediator = Self { kind, address, process };
        mediator.wait()?;
        Ok(mediator)
    }

    /// `[switch.mediator]` of the pair's configuration.
    pub(super) fn config(&self) -> String {
        let session = match self.kind {
            Kind::Witness | Kind::Zookeeper => "1s",
            Kind::Etcd => "2s", // the shortest that it can be relied on for
        };
        format!(
            "[switch.mediator]\nkind = \"{}\"\nendpoints = [\"{}\"]\nsession = \"{session}\"\n",
            self.kind, self.address
        )
    }

    pub(super) fn kill(&mut self) {
        self.process.end();
    }

    pub(super) fn start_again(&mut self) -> anyhow::Result<()> {
        self.process.start_again()?;
        self.wait()
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        wait_until("the mediator serves", START_TIME_MAX, || {
            self.process.check()?;
            self.serves()
        })
    }

    fn serves(&self) -> anyhow::Result<()> {
        match self.kind {
            Kind::Witness => drop(TcpStream::connect(self.address)?),
            Kind::Etcd => {
                let health = ask::http_json(self.address, "/health")?;
                let is_well = health.get("health").and_then(|it| it.as_str()) == Some("true");
                ensure!(is_well, "etcd is not well: {health}");
            }
            Kind::Zookeeper => {
                let mut stream = TcpStream::connect(self.address)?;
                stream.set_read_timeout(Some(Duration::from_secs(1)))?;
                stream.write_all(b"srvr")?;
                let mut text = String::new();
                stream.read_to_string(&mut text)?;
                // `ruok` answers before it serves; this line comes only then.
                ensure!(text.contains("Mode:"), "ZooKeeper does not serve yet: {text}");
            }
        }
        Ok(())
    }
}

fn witness_arguments(address: SocketAddr, data: &Path) -> Vec<String> {
    let mut arguments = vec!["witness".to_owned()];
    arguments.extend(["--listen".to_owned(), address.to_string()]);
    arguments.extend(["--data-dir".to_owned(), data.display().to_string()]);
    arguments
}

fn etcd_arguments(address: SocketAddr, peer: SocketAddr, data: &Path) -> Vec<String> {
    [
        "--name=bench".to_owned(),
        format!("--data-dir={}", data.display()),
        format!("--listen-client-urls=http://{address}"),
        format!("--advertise-client-urls=http://{address}"),
        format!("--listen-peer-urls=http://{peer}"),
        format!("--initial-advertise-peer-urls=http://{peer}"),
        format!("--initial-cluster=bench=http://{peer}"),
        // A lease lasts 1.5 election timeouts at least, rounded up to seconds: this gives leases of 1 s.
        "--heartbeat-interval=100".to_owned(),
        "--election-timeout=500".to_owned(),
    ]
    .to_vec()
}

fn zookeeper(address: SocketAddr, data: &Path) -> anyhow::Result<(PathBuf, Vec<String>)> {
    let config = data.join("zoo.cfg");
    // Sessions last 2 to 20 ticks: from 1 s on.
    let text = format!(
        "dataDir={}\nclientPort={}\nclientPortAddress={}\ntickTime=500\n\
         admin.enableServer=false\n4lw.commands.whitelist=*\n",
        data.display(),
        address.port(),
        address.ip()
    );
    std::fs::write(&config, text)?;
    let mut arguments = vec!["-Xmx128m".to_owned(), "-cp".to_owned()];
    arguments.push(format!("{}:{ZOOKEEPER_JAR}", data.display()));
    arguments.push("org.apache.zookeeper.server.quorum.QuorumPeerMain".to_owned());
    arguments.push(config.display().to_string());
    Ok(("java".into(), arguments))
}
