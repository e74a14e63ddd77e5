//! Two redis-servers and three Sentinels, two of which live on the servers' machines.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;
use tandem_resp::Value;

use super::ask::ask;
use super::fleet::directory::MASTER_NAME;
use super::ports;
use super::process::{Process, wait_until};
use super::system::{Fault, System, WHOLE_TIME_MAX};

/// Silence that counts as failure: the same as Tandem's `failure_timeout`.
const DOWN_AFTER_MS: u64 = 1000;
/// Sentinel begins no second switch within twice this, so the pair is left alone for so long.
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(6);

/// A running pair.
pub(super) struct RedisPair {
    servers: [Server; 2],
    sentinels: [Server; 3],
    /// The machine that was struck, and how.
    struck: Option<(usize, Fault)>,
    switched_at: Option<Instant>,
}

struct Server {
    address: SocketAddr,
    process: Process,
}

impl RedisPair {
    /// Starts everything in `folder` and waits until the Sentinels know each other and the replica.
    pub(super) fn start(folder: &Path) -> anyhow::Result<Self> {
        let [first, second, sentinels @ ..] = ports::free::<5>()?;
        let server = |name: &str, address, more: &str| start_server(folder, name, address, more);
        let follows = format!("replicaof {} {}\n", first.ip(), first.port());
        let servers = [server("redis-1", first, "")?, server("redis-2", second, &follows)?];
        let [one, two, three] = sentinels;
        let sentinel = |number: u8, address| start_sentinel(folder, number, address, first);
        let sentinels = [sentinel(1, one)?, sentinel(2, two)?, sentinel(3, three)?];
        let mut pair = Self { servers, sentinels, struck: None, switched_at: None };
        pair.wait_whole()?;
        Ok(pair)
    }

    fn look(&self) -> anyhow::Result<SocketAddr> {
        let mut primary = None;
        for sentinel in &self.sentinels {
            let named = ask(sentinel.address, &["SENTINEL", "MASTER", MASTER_NAME])?;
            let field = |name: &str| named.lookup(name.as_bytes()).and_then(Value::as_str);
            let about = (field("flags"), field("num-slaves"), field("num-other-sentinels"));
            ensure!(about == (Some("master"), Some("1"), Some("2")), "a Sentinel says {about:?}");
            let replicas = ask(sentinel.address, &["SENTINEL", "REPLICAS", MASTER_NAME])?;
            let replica = replicas.as_list().and_then(<[Value]>::first);
            let flags = replica.and_then(|it| it.lookup(b"flags")).and_then(Value::as_str);
            ensure!(flags == Some("slave"), "a Sentinel calls the replica {flags:?}");
            let (host, port) = (field("ip").context("no ip")?, field("port").context("no port")?);
            let told: SocketAddr = format!("{host}:{port}").parse()?;
            ensure!(primary.is_none_or(|known| known == told), "the Sentinels do not agree");
            primary = Some(told);
        }
        let primary = primary.context("there is no primary")?;
        for server in &self.servers {
            let about = replication(server.address)?;
            let field = |name: &str| about.get(name).map(String::as_str);
            if server.address == primary {
                ensure!(field("role") == Some("master"), "the primary is {:?}", field("role"));
                let replica = field("slave0").unwrap_or_default();
                ensure!(replica.contains("state=online"), "the replica is {replica:?}");
            } else {
                let link = (field("role"), field("master_link_status"));
                ensure!(link == (Some("slave"), Some("up")), "the replica says {link:?}");
            }
        }
        Ok(primary)
    }

    /// Server and Sentinel of one machine; with `KillNode` only the server.
    fn of_machine(&mut self, machine: usize, fault: Fault) -> Vec<&mut Process> {
        let with_sentinel = fault != Fault::KillNode;
        let server = self.servers.get_mut(machine).map(|server| &mut server.process);
        let sentinel = self.sentinels.get_mut(machine).map(|server| &mut server.process);
        server.into_iter().chain(sentinel.filter(|_| with_sentinel)).collect()
    }
}

impl System for RedisPair {
    fn name(&self) -> String {
        "redis + 3 sentinels".to_owned()
    }

    fn sentinels(&self) -> Vec<SocketAddr> {
        self.sentinels.iter().map(|sentinel| sentinel.address).collect()
    }

    fn wait_whole(&mut self) -> anyhow::Result<SocketAddr> {
        if let Some(switched_at) = self.switched_at {
            let rested = FAILOVER_TIMEOUT * 2 + Duration::from_secs(1);
            std::thread::sleep(rested.saturating_sub(switched_at.elapsed()));
        }
        wait_until("the Sentinels see a whole pair", WHOLE_TIME_MAX, || self.look())
    }

    fn strike(&mut self, fault: Fault, at_last: &mut dyn FnMut()) -> anyhow::Result<()> {
        let primary = self.look()?;
        let machine = self.servers.iter().position(|server| server.address == primary);
        let machine = machine.context("the Sentinels name a server that is not ours")?;
        self.struck = Some((machine, fault));
        self.switched_at = Some(Instant::now());
        let signal = if fault == Fault::Vanish { Signal::STOP } else { Signal::KILL };
        at_last();
        for process in self.of_machine(machine, fault) {
            process.signal(signal)?;
        }
        Ok(())
    }

    fn bring_back(&mut self) -> anyhow::Result<()> {
        let Some((machine, fault)) = self.struck.take() else { return Ok(()) };
        for process in self.of_machine(machine, fault) {
            process.start_again()?;
        }
        Ok(())
    }

    fn switch(&mut self) -> anyhow::Result<()> {
        self.switched_at = Some(Instant::now());
        let [.., third] = &self.sentinels;
        ask(third.address, &["SENTINEL", "FAILOVER", MASTER_NAME])?;
        Ok(())
    }

    fn kill_mediator(&mut self) -> anyhow::Result<()> {
        for sentinel in &mut self.sentinels {
            sentinel.process.end();
        }
        Ok(())
    }

    fn start_mediator(&mut self) -> anyhow::Result<()> {
        for sentinel in &mut self.sentinels {
            sentinel.process.start_again()?;
        }
        Ok(())
    }
}

/// Sentinel rewrites this file when it changes the server's role, as on a real machine.
fn start_server(
    folder: &Path,
    name: &str,
    address: SocketAddr,
    more: &str,
) -> anyhow::Result<Server> {
    let data = folder.join(name);
    std::fs::create_dir(&data)?;
    let config = data.join("redis.conf");
    let text = format!(
        "bind {}\nport {}\ndir {}\nsave \"\"\nappendonly yes\nappendfsync everysec\n{more}",
        address.ip(),
        address.port(),
        data.display()
    );
    std::fs::write(&config, text)?;
    let arguments = [config.display().to_string()];
    let log = folder.join(format!("{name}.log"));
    let process = Process::start(name, Path::new("redis-server"), &arguments, &log)?;
    Ok(Server { address, process })
}

fn start_sentinel(
    folder: &Path,
    number: u8,
    address: SocketAddr,
    primary: SocketAddr,
) -> anyhow::Result<Server> {
    let name = format!("sentinel-{number}");
    let data = folder.join(&name);
    std::fs::create_dir(&data)?;
    let config = data.join("sentinel.conf");
    let text = format!(
        "bind {}\nport {}\ndir {}\nsentinel monitor {MASTER_NAME} {} {} 2\n\
         sentinel down-after-milliseconds {MASTER_NAME} {DOWN_AFTER_MS}\n\
         sentinel failover-timeout {MASTER_NAME} {}\n",
        address.ip(),
        address.port(),
        data.display(),
        primary.ip(),
        primary.port(),
        FAILOVER_TIMEOUT.as_millis()
    );
    std::fs::write(&config, text)?;
    let arguments = [config.display().to_string()];
    let log = folder.join(format!("{name}.log"));
    let process = Process::start(&name, Path::new("redis-sentinel"), &arguments, &log)?;
    Ok(Server { address, process })
}

fn replication(address: SocketAddr) -> anyhow::Result<BTreeMap<String, String>> {
    let info = ask(address, &["INFO", "replication"])?;
    let text = info.as_str().context("INFO is no text")?;
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    Ok(fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
}
