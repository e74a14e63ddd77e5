//! keepalived moves the virtual address, the pair moves the role, and the two go together: with the real
//! keepalived, each node on a machine of its own.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: it may panic, and tells the times it measured"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tandem_e2e::apart::{Apart, ApartOptions};
use tandem_e2e::audit::{assert_linearizable, assert_nothing_lost};
use tandem_e2e::client::Client;
use tandem_e2e::load::{Load, LoadOptions};
use tandem_e2e::machine;
use tandem_e2e::net::{Host, INTERFACE, VIRTUAL_ADDRESS};
use tandem_e2e::node::{Node, Ports, tandem_on};
use tandem_e2e::process::Process;
use tandem_e2e::skip::skipped;
use tandem_e2e::value::Value;
use tandem_e2e::wait;

const PATIENCE: Duration = Duration::from_secs(20);
const KEEPALIVED: &str = "/usr/sbin/keepalived";

/// A pair, and keepalived on both machines.
struct Kept {
    // Before the machines: they go when it is gone.
    keepalived: [Option<Process>; 2],
    pair: Apart,
}

/// Client port at the address that is to be the primary's.
fn virtual_address() -> SocketAddr {
    (VIRTUAL_ADDRESS, Ports::DEFAULT.client).into()
}

impl Kept {
    /// All of it runs, and the address is where the primary is.
    fn start(name: &'static str, switch: &[&str], replication: &[&str]) -> Option<Self> {
        if !Path::new(KEEPALIVED).exists() {
            skipped(name, "keepalived is not installed");
            return None;
        }
        let mut lines = vec!["by = \"mediator\"", "min_interval = \"1s\""];
        lines.extend(switch);
        let mut options = ApartOptions::new(&lines);
        options.replication = replication.iter().map(|&line| line.to_owned()).collect();
        options.more.push_str("[switch.mediator]\nkind = \"keepalived\"\n");
        options.virtual_address = true;
        let pair = Apart::start(name, &options)?;
        let mut kept = Self { keepalived: [None, None], pair };
        // The other way round it would be at b first, and the role would follow it.
        kept.keep(0);
        wait::until("the address is at a", PATIENCE, || kept.address_is_at_primary());
        kept.keep(1);
        kept.pair.b.wait_status("is told of the address", |status| status.is("mediator.connected"));
        Some(kept)
    }

    fn host(&self, index: usize) -> &Host {
        if index == 0 { &self.pair.net.a } else { &self.pair.net.b }
    }

    /// Starts keepalived on a machine, with the configuration that the program makes.
    fn keep(&mut self, index: usize) {
        let host = self.host(index).clone();
        let root = self.pair.folder().to_owned();
        let config = self.pair.config().display().to_string();
        let name = host.name();
        let words = ["keepalived-conf", "--config", &config, "--node", name];
        let made = tandem_on(Some(&host), &words);
        assert_eq!(made.code, 0, "{made:?}");
        let file = |suffix: &str| root.join(format!("keepalived-{name}{suffix}"));
        std::fs::write(file(".conf"), made.out).unwrap();
        let mut words = host.wrapper();
        let first = words.remove(0);
        words.extend([KEEPALIVED, "-n", "-l", "-D", "-P", "-f"].map(str::to_owned));
        words.push(file(".conf").display().to_string());
        for (option, suffix) in [("-p", ".pid"), ("-r", ".vrrp.pid")] {
            words.extend([option.to_owned(), file(suffix).display().to_string()]);
        }
        let title = format!("keepalived {name}");
        let program = machine_path(&first);
        self.keepalived[index] = Some(Process::start(&title, &program, &words, &file(".log")));
    }

    fn holds_address(&self, index: usize) -> bool {
        let [a, b, c, d] = VIRTUAL_ADDRESS;
        let shown = self.host(index).output("ip", &["-4", "-o", "addr", "show", "dev", INTERFACE]);
        shown.contains(&format!("{a}.{b}.{c}.{d}/"))
    }

    fn is_primary(node: &Node) -> bool {
        node.try_status().is_ok_and(|status| status.role() == "primary")
    }

    fn address_is_at_primary(&self) -> Result<(), String> {
        let held = [0, 1].map(|index| self.holds_address(index));
        let primary = [&self.pair.a, &self.pair.b].map(Self::is_primary);
        let one = held[0] != held[1];
        if one && held == primary {
            return Ok(());
        }
        let log = |name: &str| {
            let path = self.pair.folder().join(format!("keepalived-{name}.log"));
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.lines().rev().take(12).collect::<Vec<_>>().join("\n")
        };
        Err(format!("held {held:?}, primary {primary:?}\n{}\n--\n{}", log("a"), log("b")))
    }

    #[track_caller]
    fn wait_together(&self) {
        wait::until("the address is where the role is", PATIENCE, || self.address_is_at_primary());
    }
}

/// Writes at the virtual address until one is acknowledged; how long that took.
fn first_write() -> Duration {
    let begun = Instant::now();
    wait::until("a write is acknowledged at the address", PATIENCE, || {
        let mut client = Client::connect(virtual_address()).map_err(|error| error.to_string())?;
        client.set_reply_timeout(Duration::from_millis(500)).map_err(|it| it.to_string())?;
        let reply = client.command(&["SET", "first", "v"]).map_err(|it| it.to_string())?;
        if matches!(reply, Value::Error(_)) { Err(format!("{reply:?}")) } else { Ok(()) }
    });
    begun.elapsed()
}

fn machine_path(program: &str) -> std::path::PathBuf {
    ["/usr/bin", "/bin"]
        .into_iter()
        .map(|folder| Path::new(folder).join(program))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{program} is installed: {}", machine::has_program(program)))
}

#[test]
fn a_dead_process_and_an_orderly_stop_take_the_address_along() {
    let Some(mut kept) = Kept::start("keepalived: process", &[], &[]) else { return };
    Client::connect(virtual_address()).unwrap().ok(&["SET", "k", "v"]);
    // The node's process dies; its supervisor testifies.
    let pid = Pid::from_raw(i32::try_from(kept.pair.a.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    kept.pair.b.wait_role("primary");
    println!("process killed: writes at the address after {:?}", first_write());
    kept.pair.wait_in_sync();
    kept.wait_together();
    assert!(kept.holds_address(1));
    // An orderly stop hands over first: nothing is lost, and the address goes back.
    let before = Client::connect(virtual_address()).unwrap().ok(&["DBSIZE"]).int();
    assert_eq!(kept.pair.b.terminate(), Some(0));
    println!("stopped: writes at the address after {:?}", first_write());
    kept.wait_together();
    assert!(kept.holds_address(0));
    let mut client = Client::connect(virtual_address()).unwrap();
    assert_eq!(client.ok(&["DBSIZE"]).int(), before);
    kept.pair.b.start();
    kept.pair.wait_in_sync();
    kept.wait_together();
}

#[test]
fn a_machine_that_is_gone_is_fenced_and_then_replaced() {
    let switch = ["fence = \"[ $TANDEM_PEER = a ]\"", "solo_after = \"1s\""];
    let Some(mut kept) = Kept::start("keepalived: machine", &switch, &[]) else { return };
    Client::connect(virtual_address()).unwrap().ok(&["SET", "k", "v"]);
    let begun = Instant::now();
    kept.pair.net.unplug(&kept.pair.net.a);
    kept.pair.a.kill();
    kept.keepalived[0].take().unwrap().kill();
    first_write();
    println!("machine gone: writes at the address after {:?}", begun.elapsed());
    assert!(kept.pair.b.log().contains("keepalived has moved the address here"));
    assert!(kept.pair.b.log().contains("off for certain"), "{}", kept.pair.b.log());
    kept.pair.b.wait_role("primary");
    assert!(kept.holds_address(1));
    let mut client = Client::connect(virtual_address()).unwrap();
    assert_eq!(client.ok(&["GET", "k"]).text().as_deref(), Some("v"));
}

#[test]
fn without_a_right_to_the_role_the_address_goes_back() {
    let Some(kept) = Kept::start("keepalived: refused", &[], &[]) else { return };
    kept.pair.net.unplug(&kept.pair.net.a);
    kept.pair.b.wait_status("is told that the address is here", |status| {
        status.text("mediator.record").starts_with("MASTER")
    });
    wait::until_true("the address leaves b again", PATIENCE, || !kept.holds_address(1));
    let said = kept.pair.b.verb(&["why"]);
    assert!(said.out.contains("silence proves nothing"), "{said:?}");
    assert!(!kept.pair.b.log().contains("primary of epoch"), "{}", kept.pair.b.log());
    kept.pair.net.plug(&kept.pair.net.a);
    kept.pair.wait_in_sync();
    assert_eq!(kept.pair.a.status().role(), "primary");
    kept.wait_together();
    assert!(kept.holds_address(0));
    println!("plugged in again: {:?}", first_write());
}

#[test]
fn a_pulled_cable_never_makes_two_that_acknowledge() {
    let switch = ["on_silence = \"take-over\""];
    let refuse = ["without_peer = \"refuse\""];
    let Some(kept) = Kept::start("keepalived: cable", &switch, &refuse) else { return };
    let options = LoadOptions {
        clients: 8,
        keys_per_client: 4,
        counters: 2,
        registers: 8,
        reply_timeout: Duration::from_secs(1),
        pause: Duration::from_millis(4),
        ..LoadOptions::default()
    };
    let load = Load::start(&options, &[kept.pair.a.address(), kept.pair.b.address()]);
    load.wait_for_more(200, PATIENCE);
    kept.pair.net.unplug(&kept.pair.net.a);
    let begun = Instant::now();
    kept.pair.b.wait_role("primary");
    println!("cable pulled: b is primary after {:?}", begun.elapsed());
    wait::until_true("the address is at b", PATIENCE, || kept.holds_address(1));
    // Alone it acknowledges nothing, and so does the one behind the pulled cable.
    kept.pair
        .a
        .wait_status("serves nobody", |status| status.role() != "primary" || status.is("stalled"));
    kept.pair.net.plug(&kept.pair.net.a);
    kept.pair.wait_in_sync();
    load.wait_for_more(200, PATIENCE);
    let report = load.stop();
    let chain = report.acknowledgers();
    assert!(chain.len() <= 2, "acknowledged by turns: {chain:?}");
    assert_nothing_lost(&report, &mut kept.pair.b.client());
    assert_linearizable(&report);
    kept.wait_together();
    assert!(kept.holds_address(1));
    println!("{:?}: silence {:?}", report.errors, report.longest_silence);
}
