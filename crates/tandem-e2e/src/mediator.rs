//! The third party of a pair, as a process that can be hurt.

use std::fmt::Debug;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use crate::net::Host;
use crate::node::tandem_program;
use crate::process::Process;
use crate::{status, wait, zookeeper};

/// Kinds that the tests can put on the third machine.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum MediatorKind {
    /// The built-in one.
    #[default]
    Witness,
    /// etcd, one member.
    Etcd,
    /// `ZooKeeper`, one server.
    ZooKeeper,
}

impl MediatorKind {
    /// `TANDEM_E2E_MEDIATOR`; the witness if unset. So every row can be played with every kind.
    pub fn from_environment() -> Self {
        match std::env::var("TANDEM_E2E_MEDIATOR").as_deref() {
            Err(_) | Ok("witness") => Self::Witness,
            Ok("etcd") => Self::Etcd,
            Ok("zookeeper") => Self::ZooKeeper,
            Ok(other) => panic!("TANDEM_E2E_MEDIATOR: there is no mediator called {other}"),
        }
    }

    /// One on `host`, not started yet, with everything in `folder`; nodes prove `secret` to it.
    pub fn prepare(self, host: &Host, folder: &Path, secret: &Path) -> Box<dyn Mediator> {
        let (port, program, config) = match self {
            Self::Witness => witness(host, folder, secret),
            Self::Etcd => etcd(host, folder),
            Self::ZooKeeper => zookeeper(host, folder),
        };
        Box::new(Server {
            kind: self,
            host: host.clone(),
            port,
            program,
            config,
            data: data_folder(folder),
            log: folder.join("mediator.log"),
            process: None,
        })
    }
}

/// What a fault does to a mediator, whatever kind it is.
pub trait Mediator: Debug + Send {
    /// Lines of `[switch.mediator]`.
    fn config(&self) -> String;
    /// Starts it, and waits until it can be reached.
    fn start(&mut self);
    /// `kill -9`.
    fn kill(&mut self);
    /// It stands still, and goes on with [`Self::thaw`].
    fn freeze(&mut self);
    /// It goes on.
    fn thaw(&mut self);
    /// All that it has on disk is gone. Only while it does not run.
    fn wipe(&mut self);
}

fn data_folder(folder: &Path) -> PathBuf {
    folder.join("mediator")
}

/// Port, command and what `[switch.mediator]` says besides kind and endpoints.
type Setting = (u16, Vec<String>, &'static str);

fn witness(host: &Host, folder: &Path, secret: &Path) -> Setting {
    const PORT: u16 = 7390;
    let config = folder.join("witness.toml");
    let text = format!("[auth]\npeer_secret_file = \"{}\"\n", secret.display());
    std::fs::write(&config, text).expect("the folder is writable");
    let mut words = vec![tandem_program().display().to_string()];
    words.extend(["witness", "--listen"].map(str::to_owned));
    words.push(host.at(PORT).to_string());
    words.extend(["--data-dir".to_owned(), data_folder(folder).display().to_string()]);
    words.extend(["--config".to_owned(), config.display().to_string()]);
    (PORT, words, "")
}

/// With the shortest election timeout that leases of one second go with.
fn etcd(host: &Host, folder: &Path) -> Setting {
    const PORT: u16 = 2379;
    let clients = format!("http://{}", host.at(PORT));
    let peers = format!("http://{}", host.at(PORT + 1));
    let mut words = vec!["etcd".to_owned(), "--name=m".to_owned()];
    words.push(format!("--data-dir={}", data_folder(folder).display()));
    words.push(format!("--listen-client-urls={clients}"));
    words.push(format!("--advertise-client-urls={clients}"));
    words.push(format!("--listen-peer-urls={peers}"));
    words.push(format!("--initial-advertise-peer-urls={peers}"));
    words.push(format!("--initial-cluster=m={peers}"));
    words.extend(["--heartbeat-interval=50", "--election-timeout=500"].map(str::to_owned));
    (PORT, words, "session = \"1s\"\n")
}

fn zookeeper(host: &Host, folder: &Path) -> Setting {
    const PORT: u16 = 2181;
    let config = folder.join("zoo.cfg");
    let address = host.at(PORT);
    let data = data_folder(folder);
    zookeeper::write_config(&config, address, &data, zookeeper::SHORT_TICK);
    (PORT, zookeeper::command(&config), "session = \"1s\"\n")
}

/// A process in its machine's namespace.
#[derive(Debug)]
struct Server {
    kind: MediatorKind,
    host: Host,
    port: u16,
    program: Vec<String>,
    config: &'static str,
    data: PathBuf,
    log: PathBuf,
    process: Option<Process>,
}

impl Server {
    #[track_caller]
    fn running(&mut self) -> &mut Process {
        self.process.as_mut().expect("the mediator runs")
    }

    fn address(&self) -> SocketAddr {
        self.host.at(self.port)
    }

    /// Whether it answers as one that serves.
    fn serves(&self) -> Result<(), String> {
        let address = self.address();
        match self.kind {
            MediatorKind::Witness => {
                TcpStream::connect(address).map(drop).map_err(|error| error.to_string())
            }
            MediatorKind::Etcd => match status::request(address, "GET", "/health", None, "") {
                Ok(answer) if answer.status == 200 => Ok(()),
                Ok(answer) => Err(answer.body),
                Err(error) => Err(error.to_string()),
            },
            MediatorKind::ZooKeeper => zookeeper::serves(address),
        }
    }
}

impl Mediator for Server {
    fn config(&self) -> String {
        let kind = match self.kind {
            MediatorKind::Witness => "witness",
            MediatorKind::Etcd => "etcd",
            MediatorKind::ZooKeeper => "zookeeper",
        };
        format!("kind = \"{kind}\"\nendpoints = [\"{}\"]\n{}", self.address(), self.config)
    }

    #[track_caller]
    fn start(&mut self) {
        assert!(self.process.is_none(), "the mediator runs already");
        let mut words = self.host.wrapper();
        words.extend(self.program.iter().cloned());
        let program = PathBuf::from(words.remove(0));
        self.process = Some(Process::start("mediator", &program, &words, &self.log));
        wait::until("the mediator serves", zookeeper::START_TIME_MAX, || {
            self.host.enter(|| self.serves())
        });
    }

    fn kill(&mut self) {
        self.running().kill();
        self.process = None;
    }

    fn freeze(&mut self) {
        self.running().freeze();
    }

    fn thaw(&mut self) {
        self.running().thaw();
    }

    fn wipe(&mut self) {
        assert!(self.process.is_none(), "wiped under a running mediator");
        std::fs::remove_dir_all(&self.data).expect("the mediator has a data folder");
    }
}
