//! A pair without a third party (`by = "direct"`): what proof moves, and what silence does not.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: it may panic, and tells the times it measured"
)]

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process as kill_process_id};
use tandem_e2e::node::Node;
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::ports::free_port;
use tandem_e2e::process::Process;
use tandem_e2e::wait;

const PATIENCE: Duration = Duration::from_secs(20);

fn direct() -> PairOptions {
    PairOptions { by: "direct", ..PairOptions::new("primary-standby") }
}

/// A signal to the node's process alone; its supervisor lives.
fn signal_process(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process_id(pid, signal).unwrap();
}

/// Ends the node's process; its supervisor lives.
fn kill_process(node: &Node) {
    signal_process(node.pid(), Signal::KILL);
}

/// Writes until one is acknowledged; how long that took.
fn first_write(node: &Node) -> Duration {
    let begun = Instant::now();
    wait::until("a write is acknowledged", PATIENCE, || {
        let mut client = tandem_e2e::client::Client::connect(node.address())
            .map_err(|error| error.to_string())?;
        client.set_reply_timeout(Duration::from_millis(500)).map_err(|error| error.to_string())?;
        let reply = client.command(&["SET", "first", "v"]).map_err(|error| error.to_string())?;
        if matches!(reply, tandem_e2e::value::Value::Error(_)) {
            return Err(format!("{reply:?}"));
        }
        Ok(())
    });
    begun.elapsed()
}

#[test]
fn a_dead_process_is_replaced_by_its_supervisors_word_and_nothing_is_lost() {
    let pair = Pair::start(&direct());
    let mut client = pair.a.client();
    for number in 0..500 {
        client.ok(&["SET", &format!("k{number}"), "v"]);
    }
    kill_process(&pair.a);
    let took = first_write(&pair.b);
    println!("writes again after {} ms", took.as_millis());
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(pair.b.client().ok(&["DBSIZE"]).int(), Some(501));
    assert!(pair.b.log().contains("says its supervisor"), "{}", pair.b.log());
    // The old one comes back as what it is now.
    pair.a.wait_role("standby");
    pair.wait_in_sync();
}

#[test]
fn a_silent_machine_proves_nothing_and_a_person_decides() {
    let mut pair = Pair::start(&direct());
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.a.kill();
    pair.b.wait_status("misses its peer", |status| !status.is("peer.connected"));
    let said = pair.b.verb(&["why"]);
    assert!(said.out.contains("silence proves nothing"), "{said:?}");
    // The primary may have gone on alone meanwhile: nothing is promised.
    let said = pair.b.verb(&["promote"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert_ne!(pair.b.status().role(), "primary");
    let said = pair.b.verb(&["promote", "--force"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(pair.b.client().ok(&["GET", "k"]).text().as_deref(), Some("v"));
}

#[test]
fn who_says_so_takes_over_on_silence() {
    let mut pair = Pair::start(&direct().switch("on_silence = \"take-over\""));
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.a.kill();
    let took = first_write(&pair.b);
    println!("writes again after {} ms", took.as_millis());
    let status = pair.b.status();
    assert!(status.json.to_string().contains("tookoverunproven"), "{}", status.json);
    pair.a.start();
    pair.wait_in_sync();
    assert_eq!(pair.b.status().role(), "primary");
}

#[test]
fn the_fence_command_makes_certain_and_only_exit_0_counts() {
    for (exit, moves) in [(0, true), (1, false)] {
        let fence = format!("fence = \"[ $TANDEM_PEER = a ] && exit {exit}; exit 9\"");
        let mut pair = Pair::prepare(&direct().switch(&fence).switch("solo_after = \"1s\""));
        pair.a.start();
        pair.b.start();
        pair.wait_in_sync();
        pair.a.kill();
        if moves {
            let took = first_write(&pair.b);
            println!("writes again after {} ms", took.as_millis());
            assert!(pair.b.log().contains("off for certain"), "{}", pair.b.log());
        } else {
            pair.b.wait_status("says why", |status| {
                status.json.to_string().contains("the fence command to succeed")
            });
            assert_eq!(pair.b.status().role(), "standby");
        }
    }
}

#[test]
fn a_stale_standby_is_never_promoted_by_a_certificate() {
    let mut pair = Pair::start(&direct());
    let frozen = pair.b.pid();
    pair.b.freeze();
    signal_process(frozen, Signal::STOP);
    pair.a.wait_status("goes on alone", |status| !status.is("in_sync"));
    pair.a.client().ok(&["SET", "alone", "v"]);
    kill_process(&pair.a);
    pair.a.wait_role("primary");
    signal_process(frozen, Signal::CONT);
    pair.b.thaw();
    pair.wait_in_sync();
    assert_eq!(pair.a.status().role(), "primary");
    assert!(!pair.b.log().contains("primary of epoch"), "{}", pair.b.log());
    assert_eq!(pair.a.client().ok(&["GET", "alone"]).text().as_deref(), Some("v"));
}

#[test]
fn a_primary_whose_standby_is_gone_goes_on_alone() {
    let mut pair = Pair::start(&direct());
    kill_process(&pair.b);
    let took = first_write(&pair.a);
    println!("the standby's process died: {} ms without writes", took.as_millis());
    pair.wait_in_sync();
    pair.b.kill();
    let took = first_write(&pair.a);
    println!("the standby's machine died: {} ms without writes", took.as_millis());
    assert!(!pair.a.status().is("in_sync"));
}

#[test]
fn a_person_confirms_and_a_pause_stops_decisions() {
    let pair = Pair::start(&direct().switch("automation = \"confirm\""));
    kill_process(&pair.a);
    // The supervisor starts the process again at once: hold the data so that it cannot.
    let pending = wait::until("something is proposed or the old primary is back", PATIENCE, || {
        let status = pair.b.try_status().map_err(|error| error.to_string())?;
        let back = pair.a.try_status().is_ok_and(|it| it.role() == "primary");
        match (back, status.json.to_string().contains("take over from a")) {
            (_, true) => Ok(true),
            (true, false) => Ok(false),
            (false, false) => Err(status.json.to_string()),
        }
    });
    println!("proposed: {pending}");
    assert_ne!(pair.b.status().role(), "primary", "nobody confirmed");
}

/// A pair of connected terminals, as two serial ports with a cable.
fn cable(folder: &Path) -> (Process, [String; 2]) {
    let ends = ["tty-a", "tty-b"].map(|name| folder.join(name).display().to_string());
    let arguments: Vec<String> =
        ends.iter().map(|end| format!("pty,raw,echo=0,link={end}")).collect();
    let socat =
        Process::start("socat", Path::new("/usr/bin/socat"), &arguments, &folder.join("socat.log"));
    wait::until("the serial line is there", PATIENCE, || {
        let both = ends.iter().all(|end| Path::new(end).exists());
        if both { Ok(()) } else { Err("not yet") }
    });
    (socat, ends)
}

#[test]
fn one_slow_serial_line_is_enough_to_know_that_the_peer_lives() {
    let folder = tempfile::TempDir::with_prefix("tandem-serial-").unwrap();
    let (_socat, [tty_a, tty_b]) = cable(folder.path());
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    let (port_a, port_b) = (free_port(), free_port());
    let mut options = direct().switch("on_silence = \"take-over\"");
    options.more = format!(
        "peer_secret_file = \"{}\"\n[switch.direct]\nchannels = [\"link\", \
         {{ a = \"127.0.0.1:{port_a}\", b = \"127.0.0.1:{port_b}\" }}, \
         {{ a = \"serial://{tty_a}?baud=9600\", b = \"serial://{tty_b}?baud=9600\" }}]\n",
        secret.display()
    );
    let pair = Pair::start(&options);
    for node in [&pair.a, &pair.b] {
        let status = node.wait_status("hears every channel", |status| {
            let channels = status.json["channels"].as_array().cloned().unwrap_or_default();
            channels.len() == 3 && channels.iter().all(|it| it["up"] == true)
        });
        println!("{}", status.json["channels"]);
    }
    // The link is cut, the other two speak: nobody takes over, and the primary does not wait for ever.
    let mut client = pair.a.client();
    client.ok(&["SET", "k", "v"]);
    let body = "{\"drill\": \"isolate\", \"millis\": 8000}";
    let said = pair.a.http("POST", "/api/v1/drill", body).unwrap();
    assert_eq!(said.status, 200, "{said:?}");
    pair.a.wait_status("is cut off the link", |status| !status.is("peer.connected"));
    let took = first_write(&pair.a);
    println!("link cut: {} ms without writes", took.as_millis());
    assert!(pair.a.log().contains("Resigned"), "{}", pair.a.log());
    assert_ne!(pair.b.status().role(), "primary");
    pair.wait_in_sync();
    assert_eq!(pair.a.status().role(), "primary");
}
