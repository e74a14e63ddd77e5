//! The address moves between two machines (network namespaces), and a third one notices.
//!
//! Needs root and `ip`; says so and passes where either is missing.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tandem_vip::{Address, Interface, Keeper};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(20);

fn ip(arguments: &str) -> (bool, String) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

fn must(arguments: &str) -> String {
    let (good, text) = ip(arguments);
    assert!(good, "ip {arguments}: {text}");
    text
}

/// Two machines and a client on one bridge.
struct Network {
    names: [String; 3],
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&format!("netns del {name}"));
        }
    }
}

impl Network {
    /// `None`: this machine does not allow it.
    fn new(test: &str) -> Option<Self> {
        let names = ["a", "b", "c"].map(|name| format!("vip-{}-{test}{name}", std::process::id()));
        let network = Self { names };
        let [a, b, c] = &network.names;
        if !ip(&format!("netns add {a}")).0 {
            return None;
        }
        must(&format!("netns add {b}"));
        must(&format!("netns add {c}"));
        must(&format!("-n {c} link add bridge type bridge"));
        must(&format!("-n {c} addr add 10.99.0.1/24 dev bridge"));
        must(&format!("-n {c} addr add fd99::1/64 dev bridge nodad"));
        must(&format!("-n {c} link set bridge up"));
        for (node, number) in [(a, 2), (b, 3)] {
            must(&format!("-n {c} link add port{number} type veth peer name eth0 netns {node}"));
            must(&format!("-n {c} link set port{number} master bridge up"));
            must(&format!("-n {node} addr add 10.99.0.{number}/24 dev eth0"));
            must(&format!("-n {node} addr add fd99::{number}/64 dev eth0 nodad"));
            must(&format!("-n {node} link set eth0 up"));
        }
        Some(network)
    }

    fn mac(&self, node: usize) -> String {
        let text = must(&format!("-n {} link show eth0", self.names[node]));
        text.split_whitespace().skip_while(|word| *word != "link/ether").nth(1).unwrap().to_owned()
    }

    fn has(&self, node: usize, address: &str) -> bool {
        must(&format!("-n {} addr show eth0", self.names[node])).contains(&format!("{address}/"))
    }

    /// What the client believes.
    fn neighbour(&self, address: &str) -> String {
        let text = must(&format!("-n {} neigh show {address}", self.names[2]));
        text.split_whitespace().skip_while(|word| *word != "lladdr").nth(1).unwrap_or("").to_owned()
    }

    /// The client remembers somebody who is not there.
    fn mislead(&self, address: &str) {
        let c = &self.names[2];
        must(&format!(
            "-n {c} neigh replace {address} lladdr 02:99:99:99:99:99 dev bridge nud stale"
        ));
    }

    fn keeper(&self, node: usize, address: &str) -> KeeperProcess {
        let mut process = Command::new("ip")
            .args(["netns", "exec", &self.names[node]])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "keeper_process"])
            .env("VIP", address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let wishes = process.stdin.take().unwrap();
        let (sender, lines) = std::sync::mpsc::channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(said) = line.strip_prefix("said ") {
                    let _heard = sender.send(said.to_owned());
                }
            }
        });
        let keeper = KeeperProcess { process, wishes, lines };
        keeper.wait("held=false");
        keeper
    }
}

/// A keeper in another process: `ip netns exec` replaces itself by it, so its number is the keeper's.
struct KeeperProcess {
    process: Child,
    wishes: ChildStdin,
    lines: std::sync::mpsc::Receiver<String>,
}

impl Drop for KeeperProcess {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

impl KeeperProcess {
    fn wish(&mut self, wanted: bool) {
        writeln!(self.wishes, "{wanted}").unwrap();
    }

    fn wait(&self, part: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap();
            if line.contains(part) {
                return;
            }
        }
    }
}

fn wait_until(what: &str, wanted: impl Fn() -> bool) {
    let begun = Instant::now();
    while !wanted() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Not a test: the process that [`Network::keeper`] starts in a namespace.
#[test]
#[ignore = "the other process of the tests in this file"]
#[expect(clippy::print_stdout, reason = "it is read by the test that started it")]
fn keeper_process() {
    let Ok(text) = std::env::var("VIP") else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (sender, wishes) = mpsc::unbounded_channel();
    thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let _sent = sender.send(line.trim() == "true");
        }
    });
    runtime.block_on(async {
        let address = Address::parse(&text, "eth0").unwrap();
        let (interface, removed) = Interface::open(address).await.unwrap();
        println!("said removed={removed}");
        let tell = |held, trouble| println!("said held={held} {trouble:?}");
        Keeper::new(interface, wishes, tell).run().await;
    });
}

fn moves(test: &str, address: &str, prefix: u8) {
    let Some(network) = Network::new(test) else {
        return;
    };
    let text = format!("{address}/{prefix}");
    let mut a = network.keeper(0, &text);
    let mut b = network.keeper(1, &text);
    network.mislead(address);
    a.wish(true);
    a.wait("held=true None");
    assert!(network.has(0, address));
    wait_until("the client learns of a", || network.neighbour(address) == network.mac(0));

    // Handed over.
    a.wish(false);
    a.wait("held=false None");
    assert!(!network.has(0, address));
    b.wish(true);
    b.wait("held=true None");
    wait_until("the client learns of b", || network.neighbour(address) == network.mac(1));

    // Somebody removes it: it is taken again.
    must(&format!("-n {} addr del {text} dev eth0", network.names[1]));
    wait_until("b takes it again", || network.has(1, address));

    // b dies suddenly and leaves it behind; a takes over; the next b cleans up at its start.
    b.process.kill().unwrap();
    b.process.wait().unwrap();
    assert!(network.has(1, address));
    a.wish(true);
    a.wait("held=true None");
    wait_until("the client learns of a again", || network.neighbour(address) == network.mac(0));
    let next = network.keeper(1, &text);
    assert!(!network.has(1, address), "removed at the start");
    drop(next);

    // An orderly end gives it up.
    let KeeperProcess { wishes, .. } = &mut a;
    let taken = std::mem::replace(
        wishes,
        Command::new("cat").stdin(Stdio::piped()).spawn().unwrap().stdin.take().unwrap(),
    );
    drop(taken);
    wait_until("a gives it up at its end", || !network.has(0, address));
}

#[test]
fn an_ipv4_address_moves_and_the_neighbours_learn_it() {
    moves("4", "10.99.0.100", 24);
}

#[test]
fn an_ipv6_address_moves_and_the_neighbours_learn_it() {
    moves("6", "fd99::100", 64);
}

#[test]
fn a_missing_interface_is_named() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let address = Address::parse("10.99.0.100/24", "nosuch0").unwrap();
    let error = runtime.block_on(Interface::open(address)).unwrap_err().to_string();
    assert!(error.contains("nosuch0"), "{error}");
}
