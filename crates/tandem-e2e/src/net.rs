//! Machines on one switch, each a network namespace of its own, whose cables can be pulled.
//!
//! ```text
//!   a: eth0 10.88.0.1 ----.
//!   b: eth0 10.88.0.2 ----+---- bridge 10.88.0.9 in c, where the test and its clients are
//!   m: eth0 10.88.0.3 ----'
//! ```
//! Whoever makes a [`Network`] is moved into the clients' namespace, with the threads it starts, until the
//! network goes; nothing of it is seen in the machine's own network, so tests may run side by side.
//! It all goes with the value, also in a panic; what a killed test run left is removed by the next one.

mod host;

use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

pub use self::host::Host;
use crate::machine;

/// Interface of every machine but the clients'.
pub const INTERFACE: &str = "eth0";
/// An address of the network that no machine has.
pub const VIRTUAL_ADDRESS: [u8; 4] = [10, 88, 0, 100];
const PREFIX: &str = "tandem-";
const BRIDGE: &str = "bridge";
/// One table per namespace holds all rules of a test, so that healing is removing it.
const TABLE: &str = "inet tandem_test";

static COUNT: AtomicU32 = AtomicU32::new(0);

/// Three machines and the clients', connected.
#[derive(Debug)]
pub struct Network {
    /// Machine of node a.
    pub a: Host,
    /// Machine of node b.
    pub b: Host,
    /// Machine of the mediator.
    pub m: Host,
    /// Where the clients are.
    pub c: Host,
    /// Where this thread was before.
    before: File,
}

impl Network {
    /// Makes one; the error says what this machine lacks.
    pub fn create() -> Result<Self, String> {
        if !machine::is_root() {
            return Err("needs root for network namespaces".to_owned());
        }
        for program in ["ip", "nft", "bridge", "nsenter"] {
            if !machine::has_program(program) {
                return Err(format!("{program} is not installed"));
            }
        }
        remove_leftovers();
        let before = File::open("/proc/thread-self/ns/net").map_err(|error| error.to_string())?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let host = |name: &'static str, port: &'static str, last: u8| {
            let space = format!("{PREFIX}{}-{number}{name}", std::process::id());
            Host::new([name, port], space, [10, 88, 0, last])
        };
        let (a, b, m, c) = (
            host("a", "port-a", 1),
            host("b", "port-b", 2),
            host("m", "port-m", 3),
            host("c", BRIDGE, 9),
        );
        // From here on `drop` cleans up.
        let network = Self { a, b, m, c, before };
        network.wire()?;
        network.c.move_here().map_err(|error| format!("enter a namespace: {error}"))?;
        Ok(network)
    }

    fn wire(&self) -> Result<(), String> {
        for host in self.hosts() {
            run("ip", &["netns", "add", host.namespace()])?;
        }
        let clients = &self.c;
        let mut script = format!(
            "link set lo up\nlink add {BRIDGE} type bridge\n\
             addr add {}/24 dev {BRIDGE}\nlink set {BRIDGE} up\n",
            clients.ip()
        );
        for host in [&self.a, &self.b, &self.m] {
            let (port, space) = (host.port(), host.namespace());
            writeln!(
                script,
                "link add name {port} type veth peer name {INTERFACE} netns {space}\n\
                 link set {port} master {BRIDGE} up"
            )
            .expect("writing into a String cannot fail");
        }
        clients.ip_batch(&script)?;
        for host in [&self.a, &self.b, &self.m] {
            host.ip_batch(&format!(
                "link set lo up\naddr add {}/24 dev {INTERFACE}\nlink set {INTERFACE} up\n",
                host.ip()
            ))?;
        }
        Ok(())
    }

    fn hosts(&self) -> [&Host; 4] {
        [&self.a, &self.b, &self.m, &self.c]
    }

    /// Pulls the cable of `host`: whoever talks to it hears nothing any more, not even an end.
    #[track_caller]
    pub fn unplug(&self, host: &Host) {
        self.set_port(host, "down");
    }

    /// Puts it back.
    #[track_caller]
    pub fn plug(&self, host: &Host) {
        self.set_port(host, "up");
    }

    #[track_caller]
    fn set_port(&self, host: &Host, state: &str) {
        must("ip", &["-n", self.c.namespace(), "link", "set", host.port(), state]);
    }

    /// The nodes do not reach one another; mediator and clients reach both.
    #[track_caller]
    pub fn cut_pair(&self) {
        self.isolate("on");
    }

    /// They do again.
    #[track_caller]
    pub fn mend_pair(&self) {
        self.isolate("off");
    }

    #[track_caller]
    fn isolate(&self, state: &str) {
        for host in [&self.a, &self.b] {
            let port = host.port();
            let words = ["-n", self.c.namespace(), "link", "set", "dev", port, "isolated", state];
            must("bridge", &words);
        }
    }

    /// What `from` sends to `to` is lost without a sign; the other direction works.
    #[track_caller]
    pub fn drop_one_way(&self, from: &Host, to: &Host) {
        let rule = format!(
            "add table {TABLE}\n\
             add chain {TABLE} out {{ type filter hook output priority 0; policy accept; }}\n\
             add rule {TABLE} out ip daddr {} counter drop\n",
            to.ip()
        );
        from.must("nft", &[&rule]);
    }

    /// Nothing is lost in either direction any more.
    #[track_caller]
    pub fn mend_drops(&self) {
        for host in self.hosts() {
            // Adding it first makes removing it right in every state.
            host.must("nft", &[&format!("add table {TABLE}; delete table {TABLE}")]);
        }
    }

    /// Both directions between `one` and `other` are lost without a sign.
    #[track_caller]
    pub fn drop_between(&self, one: &Host, other: &Host) {
        self.drop_one_way(one, other);
        self.drop_one_way(other, one);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // A thread that cannot go back ends with its test; the names are removed all the same.
        move_into_link_name_space(self.before.as_fd(), Some(LinkNameSpaceType::Network)).ok();
        for host in self.hosts() {
            run("ip", &["netns", "del", host.namespace()]).ok();
        }
    }
}

/// Namespaces of test processes that were killed.
fn remove_leftovers() {
    let Ok(folder) = std::fs::read_dir("/run/netns") else { return };
    for entry in folder.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        let is_left = |pid: &str| !Path::new("/proc").join(pid).exists();
        if pid.is_some_and(is_left) {
            // Another run may have been faster.
            run("ip", &["netns", "del", &name]).ok();
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("{program} {}: {}: {words}", arguments.join(" "), output.status))
}

#[track_caller]
fn must(program: &str, arguments: &[&str]) {
    if let Err(error) = run(program, arguments) {
        panic!("{error}");
    }
}
