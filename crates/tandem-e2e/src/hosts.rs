//! A pair on two addresses of this machine with the same ports, and its witness on a third.
//!
//! Ports are as on three machines: libraries that take only the host out of a `MOVING` message (redis-py)
//! find the same port there.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;
use crate::node::{ADMIN_TOKEN, START_DEADLINE, Said, tandem, tandem_program};
use crate::ports::free_port;
use crate::process::Process;
use crate::status::{self, Status};
use crate::value::Value;
use crate::wait;

/// The pair's name, and so the Sentinel service's.
pub const PAIR: &str = "main";

/// Looks at the role of a node that is to become primary: the error of [`Rig::opening_of`].
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// One node.
#[derive(Debug)]
pub struct Node {
    name: &'static str,
    host: Ipv4Addr,
    client: u16,
    admin: u16,
    log: PathBuf,
    process: Option<Process>,
}

/// The pair and its witness.
#[derive(Debug)]
pub struct Rig {
    /// `a`, which begins as primary, and `b`.
    pub nodes: [Node; 2],
    sentinel: u16,
    config: PathBuf,
    _witness: Process,
    folder: TempDir,
}

impl Node {
    /// Client port.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.host), self.client)
    }

    fn admin(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.admin)
    }

    fn start(&mut self, config: &Path) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let words = ["serve", "--config", &config.display().to_string(), "--node", self.name];
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        let title = format!("node {}", self.name);
        self.process = Some(Process::start(&title, &tandem_program(), &words, &self.log));
    }

    /// Its status; an error while it does not answer.
    ///
    /// # Errors
    /// What went wrong, for people.
    pub fn status(&self) -> Result<Status, String> {
        status::status(self.admin()).map_err(|error| error.to_string())
    }

    /// A verb of the command line, sent to this node.
    pub fn verb(&self, words: &[&str]) -> Said {
        let url = format!("http://{}", self.admin());
        tandem(&[words, &["--admin", &url, "--token", ADMIN_TOKEN]].concat())
    }

    /// `kill -9` of the node and its supervisor: as far as one machine allows, the end of a machine.
    pub fn kill_machine(&mut self) {
        let mut process = self.process.take().expect("it was started");
        process.kill();
    }

    /// `kill -9` of the node alone.
    pub fn kill_node(&self) {
        let pid = self.status().expect("it answers").number("pid");
        let pid = Pid::from_raw(i32::try_from(pid).expect("process numbers fit"));
        kill_process(pid.expect("a process has a number"), Signal::KILL).expect("it is ours");
    }

    /// Asks the supervisor to end, as an upgrade of the package does.
    pub fn terminate(&mut self) -> Option<i32> {
        let mut process = self.process.take().expect("it was started");
        process.signal(Signal::TERM);
        process.wait_exit(START_DEADLINE).code()
    }
}

impl Rig {
    /// Starts all and waits until the pair is in sync.
    pub fn start() -> Self {
        let folder = TempDir::with_prefix("tandem-e2e-").expect("a temporary folder");
        let root = folder.path();
        let (client, read, link, sentinel) = (free_port(), free_port(), free_port(), free_port());
        let witness = free_port();
        let node = |name: &'static str, last| Node {
            name,
            host: Ipv4Addr::new(127, 0, 0, last),
            client,
            admin: free_port(),
            log: root.join(format!("{name}.log")),
            process: None,
        };
        let nodes = [node("a", 1), node("b", 2)];
        std::fs::write(root.join("token"), ADMIN_TOKEN).expect("the folder is writable");
        let mut text = format!(
            "[pair]\nname = \"{PAIR}\"\ntopology = \"primary-replica\"\ninitial_primary = \"a\"\n\n\
             [switch]\nby = \"mediator\"\nmin_interval = \"1s\"\n\n\
             [switch.mediator]\nkind = \"witness\"\nendpoints = [\"127.0.0.3:{witness}\"]\n\n\
             [auth]\nadmin_token_file = \"{}\"\n\n",
            root.join("token").display()
        );
        for Node { name, host, admin, .. } in &nodes {
            let data = root.join(name);
            write!(
                text,
                "[nodes.{name}]\nhost = \"{host}\"\nclient_port = {client}\nread_port = {read}\n\
                 link_port = {link}\nsentinel_port = {sentinel}\nadmin_port = {admin}\n\
                 data_dir = \"{}\"\n\n",
                data.display()
            )
            .expect("writing into a String cannot fail");
        }
        let config = root.join("tandem.toml");
        std::fs::write(&config, text).expect("the folder is writable");
        let words = [
            "witness".to_owned(),
            "--listen".to_owned(),
            format!("127.0.0.3:{witness}"),
            "--sentinel-listen".to_owned(),
            format!("127.0.0.3:{sentinel}"),
            "--data-dir".to_owned(),
            root.join("witness").display().to_string(),
        ];
        let log = root.join("witness.log");
        let witness = Process::start("witness", &tandem_program(), &words, &log);
        let mut rig = Self { nodes, sentinel, config, _witness: witness, folder };
        rig.nodes[0].start(&rig.config);
        rig.nodes[1].start(&rig.config);
        rig.wait_in_sync();
        rig
    }

    /// Where everything is.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The Sentinel ports of the two nodes.
    pub fn sentinels(&self) -> String {
        self.nodes.each_ref().map(|node| format!("{}:{}", node.host, self.sentinel)).join(",")
    }

    /// The witness' Sentinel port.
    pub fn witness_sentinel(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 3], self.sentinel))
    }

    /// The Sentinel port of a node.
    pub fn sentinel_of(&self, node: usize) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.nodes[node].host), self.sentinel)
    }

    /// Starts a node whose machine was killed.
    pub fn start_again(&mut self, node: usize) {
        self.nodes[node].start(&self.config);
    }

    /// Which one is primary, once the pair is in sync.
    #[track_caller]
    pub fn wait_in_sync(&self) -> usize {
        wait::until("the pair is in sync", START_DEADLINE, || {
            let (a, b) = (self.nodes[0].status()?, self.nodes[1].status()?);
            let primary = usize::from(a.role() != "primary");
            let (first, second) = if primary == 0 { (&a, &b) } else { (&b, &a) };
            if first.role() == "primary" && second.role() == "replica" && first.is("in_sync") {
                return Ok(primary);
            }
            Err(format!("a: {}\nb: {}", a.json, b.json))
        })
    }

    /// Which one is primary, whether the other lives or not.
    #[track_caller]
    pub fn primary_alone(&self) -> usize {
        wait::until("there is a primary", START_DEADLINE, || {
            let is = |node: &Node| node.status().is_ok_and(|status| status.role() == "primary");
            self.nodes.iter().position(is).ok_or("neither is primary")
        })
    }

    /// A thread that sees when that node begins to serve as primary (by `ROLE` on its client port).
    pub fn opening_of(&self, node: usize) -> std::thread::JoinHandle<Duration> {
        let address = self.nodes[node].address();
        std::thread::spawn(move || {
            let mut client = Client::connect(address).expect("it accepts clients");
            let begun = Instant::now();
            loop {
                let role = client.ok(&["ROLE"]).items().first().and_then(Value::text);
                if role.as_deref() == Some("master") {
                    return since_1970();
                }
                assert!(begun.elapsed() < START_DEADLINE, "{address} never became primary");
                std::thread::sleep(LOOK_EVERY);
            }
        })
    }
}

/// The clock that the client programs use too.
pub fn since_1970() -> Duration {
    std::time::UNIX_EPOCH.elapsed().expect("the clock is past 1970")
}
