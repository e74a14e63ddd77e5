//! One `tandem serve` process with its folder, ports and configuration.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::client::Client;
use crate::machine;
use crate::net::Host;
use crate::ports::free_port;
use crate::process::Process;
use crate::status::{self, Answer, Status};
use crate::wait;

/// Enough for a start with recovery on a loaded machine.
pub const START_DEADLINE: Duration = Duration::from_secs(30);

/// The program under test: `TANDEM_BIN`, else what `cargo xtask e2e` builds.
pub fn tandem_program() -> PathBuf {
    let path = std::env::var_os("TANDEM_BIN")
        .map_or_else(|| machine::target_folder().join("e2e/tandem"), PathBuf::from);
    assert!(
        path.is_file(),
        "{} does not exist: build it with `cargo build --profile e2e -p tandem` (or run \
         `cargo xtask e2e`), or name another one in TANDEM_BIN",
        path.display()
    );
    path
}

/// Ports of one node.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// RESP.
    pub client: u16,
    /// RESP, always a replica's view.
    pub read: u16,
    /// The peer.
    pub link: u16,
    /// Sentinel protocol.
    pub sentinel: u16,
    /// HTTP.
    pub admin: u16,
}

impl Ports {
    /// As the product has them by default: for a machine of its own.
    pub const DEFAULT: Self =
        Self { client: 6379, read: 6380, link: 7379, sentinel: 26_379, admin: 8379 };

    /// Five free ones on 127.0.0.1.
    pub fn draw() -> Self {
        Self {
            client: free_port(),
            read: free_port(),
            link: free_port(),
            sentinel: free_port(),
            admin: free_port(),
        }
    }
}

/// What a command line verb said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Exit status; 255 for a signal.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs `tandem` with `arguments` to its end.
pub fn tandem(arguments: &[&str]) -> Said {
    tandem_on(None, arguments)
}

/// As [`tandem`], on a machine of its own.
pub fn tandem_on(host: Option<&Host>, arguments: &[&str]) -> Said {
    let mut words = host.map_or_else(Vec::new, Host::wrapper);
    words.push(tandem_program().display().to_string());
    let output = Command::new(&words[0])
        .args(&words[1..])
        .args(arguments)
        .env_remove("TANDEM_ADMIN")
        .env_remove("TANDEM_TOKEN")
        .output()
        .expect("tandem starts");
    Said {
        code: output.status.code().unwrap_or(255),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A node of a pair.
#[derive(Debug)]
pub struct Node {
    name: &'static str,
    ports: Ports,
    config: PathBuf,
    data: PathBuf,
    log: PathBuf,
    /// The machine it runs on, if it has one of its own.
    host: Option<Host>,
    /// Program and arguments put in front, such as `strace ...`.
    wrapper: Vec<String>,
    process: Option<Process>,
}

/// Token that every test configuration sets for the admin port.
pub const ADMIN_TOKEN: &str = "e2e-admin-token";

impl Node {
    /// A node that is not started yet.
    pub fn new(name: &'static str, ports: Ports, config: &Path, data: &Path, log: &Path) -> Self {
        Self {
            name,
            ports,
            config: config.to_owned(),
            data: data.to_owned(),
            log: log.to_owned(),
            host: None,
            wrapper: Vec::new(),
            process: None,
        }
    }

    /// The same on a machine of its own.
    #[must_use]
    pub fn on(self, host: &Host) -> Self {
        Self { host: Some(host.clone()), ..self }
    }

    /// Its machine.
    #[track_caller]
    pub fn host(&self) -> &Host {
        self.host.as_ref().expect("this node has a machine of its own")
    }

    /// Does `work` on its machine.
    fn here<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.host {
            Some(host) => host.enter(work),
            None => work(),
        }
    }

    /// `a` or `b`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its ports.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Its data folder.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Puts a program such as `strace -f ...` in front of the next start; empty for none.
    pub fn set_wrapper(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
    }

    /// Starts the process without waiting for anything.
    pub fn spawn(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.name);
        let program = tandem_program();
        let mut words = self.host.as_ref().map_or_else(Vec::new, Host::wrapper);
        words.extend(self.wrapper.clone());
        words.push(program.display().to_string());
        words.extend(["serve".to_owned(), "--config".to_owned()]);
        words.push(self.config.display().to_string());
        words.extend(["--node".to_owned(), self.name.to_owned()]);
        let first = PathBuf::from(words.remove(0));
        self.process =
            Some(Process::start(&format!("node {}", self.name), &first, &words, &self.log));
    }

    /// Starts the process and waits until its data is loaded and it tells its status.
    #[track_caller]
    pub fn start(&mut self) {
        self.spawn();
        wait::until(&format!("{} is up", self.name), START_DEADLINE, || {
            self.process().assert_running();
            self.try_status()
        });
    }

    /// The process; it must have been started.
    #[track_caller]
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap_or_else(|| panic!("{} is not started", self.name))
    }

    /// True while a process of it is held, alive or not.
    pub fn is_started(&self) -> bool {
        self.process.is_some()
    }

    /// `kill -9` of the supervisor and the node at once: nobody is left to tell of it.
    pub fn kill(&mut self) {
        self.process().kill();
        self.process = None;
    }

    /// SIGTERM, and waits for a clean exit; returns the exit code.
    #[track_caller]
    pub fn terminate(&mut self) -> Option<i32> {
        self.process().signal(Signal::TERM);
        self.wait_exit()
    }

    /// Waits until it has ended by itself; returns the exit code.
    #[track_caller]
    pub fn wait_exit(&mut self) -> Option<i32> {
        let code = self.process().wait_exit(START_DEADLINE).code();
        self.process = None;
        code
    }

    /// Freezes it (all threads, the node and its supervisor), as a machine freezes.
    pub fn freeze(&mut self) {
        self.process().freeze();
    }

    /// Lets it go on.
    pub fn thaw(&mut self) {
        self.process().thaw();
    }

    /// Its log so far, of all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn ip(&self) -> IpAddr {
        self.host.as_ref().map_or(Ipv4Addr::LOCALHOST.into(), Host::ip)
    }

    /// Client port.
    pub fn address(&self) -> SocketAddr {
        (self.ip(), self.ports.client).into()
    }

    /// Read port.
    pub fn read_address(&self) -> SocketAddr {
        (self.ip(), self.ports.read).into()
    }

    /// Admin port; only its own machine reaches it.
    pub fn admin_address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.ports.admin).into()
    }

    /// A new RESP2 connection, from its own machine.
    #[track_caller]
    pub fn client(&self) -> Client {
        let what = format!("{} accepts a client", self.name);
        let connect = || self.here(|| Client::connect(self.address()));
        wait::until(&what, Duration::from_secs(5), connect)
    }

    /// Its status; an error while it does not answer.
    pub fn try_status(&self) -> io::Result<Status> {
        self.here(|| status::status(self.admin_address()))
    }

    /// Its status.
    #[track_caller]
    pub fn status(&self) -> Status {
        let what = format!("{} tells its status", self.name);
        wait::until(&what, Duration::from_secs(10), || self.try_status())
    }

    /// Process number of who serves, as its status says.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        let pid = self.status().number("pid");
        assert_ne!(pid, 0, "status tells no pid");
        u32::try_from(pid).expect("process numbers fit")
    }

    /// Waits until its status satisfies `wanted`, and returns that status.
    #[track_caller]
    pub fn wait_status(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let what = format!("{}: {what}", self.name);
        wait::until(&what, START_DEADLINE, || {
            let status = self.try_status().map_err(|error| error.to_string())?;
            if wanted(&status) { Ok(status) } else { Err(status.json.to_string()) }
        })
    }

    /// Waits until it has `role`.
    #[track_caller]
    pub fn wait_role(&self, role: &str) -> Status {
        self.wait_status(&format!("has the role {role}"), |status| status.role() == role)
    }

    /// A verb of the command line, sent to this node.
    pub fn verb(&self, words: &[&str]) -> Said {
        let url = format!("http://{}", self.admin_address());
        let mut arguments = words.to_vec();
        arguments.extend(["--admin", &url, "--token", ADMIN_TOKEN]);
        tandem_on(self.host.as_ref(), &arguments)
    }

    /// A sample of `GET /metrics`, named with its labels as it is printed; 0 while absent.
    #[track_caller]
    pub fn metric(&self, sample: &str) -> f64 {
        let what = format!("{} tells its metrics", self.name);
        let answer =
            wait::until(&what, Duration::from_secs(10), || self.http("GET", "/metrics", ""));
        let rest =
            answer.body.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        rest.map_or(0.0, |number| number.trim().parse().expect("a metric is a number"))
    }

    /// One HTTP request with the token.
    pub fn http(&self, method: &str, path: &str, body: &str) -> io::Result<Answer> {
        self.here(|| status::request(self.admin_address(), method, path, Some(ADMIN_TOKEN), body))
    }
}
