//! Starting the servers that are compared, each in its own process group and folder.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::cpu;

/// How writes are made safe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Durability {
    /// Nothing is synced (Redis: nothing is even written).
    None,
    /// Every write is synced before its reply.
    Fsync,
}

/// One server under test; ends with the value.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    child: Child,
    port: u16,
}

/// A server and, where writes are replicated, the one that follows it.
#[derive(Debug)]
pub(crate) struct Service {
    /// `tandem` or `redis`.
    pub(crate) name: &'static str,
    /// A write is on both machines only after `WAIT 1`; else its reply says so.
    pub(crate) needs_wait: bool,
    /// What is loaded.
    pub(crate) primary: Server,
    /// What follows it.
    pub(crate) follower: Option<Server>,
    // Last, so that it is removed after the processes are gone.
    _folder: TempDir,
}

impl Service {
    /// Redis by its own options.
    pub(crate) fn redis(
        program: &Path,
        dir: &Path,
        durability: Durability,
        replicated: bool,
    ) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(dir)?;
        let start = |name: &str, extra: &[String]| -> anyhow::Result<Server> {
            let port = free_port()?;
            let data = folder.path().join(name);
            std::fs::create_dir(&data)?;
            let mut arguments: Vec<String> = vec!["--port".into(), port.to_string()];
            arguments.extend(["--bind".into(), "127.0.0.1".into(), "--save".into(), String::new()]);
            arguments.extend(["--dir".into(), data.display().to_string()]);
            if durability == Durability::Fsync {
                arguments
                    .extend(["--appendonly", "yes", "--appendfsync", "always"].map(Into::into));
                // No rewrite in the middle of a measurement.
                arguments.extend(["--auto-aof-rewrite-percentage", "0"].map(Into::into));
            }
            arguments.extend_from_slice(extra);
            Server::start(name, program, &arguments, port, &data.join("log"))
        };
        let primary = start("redis-primary", &[])?;
        primary.wait_for("PING", "+PONG")?;
        let follower = if replicated {
            let of = ["--replicaof".into(), "127.0.0.1".into(), primary.port.to_string()];
            let follower = start("redis-replica", &of)?;
            follower.wait_for("INFO replication", "master_link_status:up")?;
            Some(follower)
        } else {
            None
        };
        Ok(Self { name: "redis", needs_wait: true, primary, follower, _folder: folder })
    }

    /// Tandem: one node that goes on alone, or a pair in which a reply means "on both disks".
    pub(crate) fn tandem(
        program: &Path,
        dir: &Path,
        durability: Durability,
        replicated: bool,
    ) -> anyhow::Result<Self> {
        let folder = TempDir::new_in(dir)?;
        let config = folder.path().join("tandem.toml");
        let ports = [free_port()?, free_port()?];
        std::fs::write(&config, tandem_config(folder.path(), ports, durability, replicated)?)?;
        let start = |node: &str, port: u16| {
            let arguments = ["serve", "--config", &config.display().to_string(), "--node", node]
                .map(ToOwned::to_owned);
            let log = folder.path().join(format!("{node}.log"));
            Server::start(&format!("tandem-{node}"), program, &arguments, port, &log)
        };
        let primary = start("a", ports[0])?;
        let follower = if replicated { Some(start("b", ports[1])?) } else { None };
        if !replicated {
            // A new pair begins without its other node only on a person's word.
            primary.wait_for("TANDEM SOLO", "+this node is ")?;
        }
        primary.wait_for("SET bench:ready 1", "+OK")?;
        if replicated {
            primary.wait_for("INFO replication", "state=online")?;
        }
        Ok(Self { name: "tandem", needs_wait: false, primary, follower, _folder: folder })
    }

    /// Processor time used so far, by all processes that serve.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let mut total = self.primary.cpu()?;
        if let Some(follower) = &self.follower {
            total += follower.cpu()?;
        }
        Ok(total)
    }

    /// Fails unless every process is alive and the primary is who listens on its port.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.primary.check()?;
        if let Some(follower) = &mut self.follower {
            follower.check()?;
        }
        Ok(())
    }
}

fn tandem_config(
    folder: &Path,
    ports: [u16; 2],
    durability: Durability,
    replicated: bool,
) -> anyhow::Result<String> {
    let acknowledge = if replicated { "durable" } else { "local" };
    let fsync = if durability == Durability::Fsync { "always" } else { "never" };
    Ok(format!(
        "[pair]\nname = \"bench\"\ntopology = \"primary-replica\"\ninitial_primary = \"a\"\n\
         {}{}[replication]\nacknowledge = \"{acknowledge}\"\nfsync = \"{fsync}\"\n\
         [switch]\nby = \"manual\"\n",
        node_config(folder, "a", ports[0])?,
        node_config(folder, "b", ports[1])?
    ))
}

/// A node's part of the configuration, on this machine.
pub(crate) fn node_config(folder: &Path, name: &str, client_port: u16) -> anyhow::Result<String> {
    let [read, link, sentinel, admin] = [free_port()?, free_port()?, free_port()?, free_port()?];
    let data = folder.join(name);
    Ok(format!(
        "[nodes.{name}]\nhost = \"127.0.0.1\"\nclient_port = {client_port}\n\
         read_port = {read}\nlink_port = {link}\nsentinel_port = {sentinel}\n\
         admin_port = {admin}\ndata_dir = \"{}\"\n",
        data.display()
    ))
}

/// A port of this machine that nobody uses.
pub(crate) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Server {
    /// Starts it; what it prints goes to `log`.
    pub(crate) fn start(
        name: &str,
        program: &Path,
        arguments: &[String],
        port: u16,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let output = File::create(log)?;
        // setpriv: the kernel ends the server if this program is killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self { name: name.to_owned(), child, port })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The port alone.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Processor time used so far, by all its processes.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        cpu::time_of_group(self.child.id())
    }

    /// Resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        cpu::resident_kib_of_group(self.child.id())
    }

    /// Fails unless it runs and is who listens on its port.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} has ended: {status}", self.name);
        }
        let owner = cpu::owns_port(self.child.id(), self.port)?;
        ensure!(owner, "{} does not own port {}: somebody else is measured", self.name, self.port);
        Ok(())
    }

    /// Asks by an inline command until the answer contains `wanted`.
    pub(crate) fn wait_for(&self, command: &str, wanted: &str) -> anyhow::Result<()> {
        let start = Instant::now();
        let mut last = String::from("no answer");
        while start.elapsed() < Duration::from_secs(20) {
            match self.ask(command) {
                Ok(answer) if answer.contains(wanted) => return Ok(()),
                Ok(answer) => last = answer,
                Err(error) => last = error.to_string(),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("{}: waited for {wanted:?} from {command:?}, last: {last}", self.name)
    }

    fn ask(&self, command: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.address())?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        stream.write_all(format!("{command}\r\n").as_bytes())?;
        // One read holds the whole of such a short answer on loopback; if not, the caller asks again.
        let mut bytes = vec![0; 64 << 10];
        let got = stream.read(&mut bytes)?;
        Ok(String::from_utf8_lossy(bytes.get(..got).unwrap_or_default()).into_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let raw = i32::try_from(self.child.id()).unwrap_or(0);
        if let Some(group) = Pid::from_raw(raw) {
            // It may have ended by itself: then there is nobody to kill.
            kill_process_group(group, Signal::KILL).ok();
        }
        self.child.wait().ok();
    }
}
