//! Automatic switching through the witness while processes and machines die, freeze and come back: under a
//! load of clients, nothing acknowledged is lost, what they read was linearizable, and never do two nodes
//! acknowledge.

use std::time::{Duration, Instant};

use tandem_e2e::family;
use tandem_e2e::mediated::{MediatedOptions, MediatedPair, RECOVERY};
use tandem_e2e::net::Host;
use tandem_e2e::node::Node;
use tandem_e2e::wait;

use rustix::process::Signal;

/// Longest time without acknowledgements after one crash: `failure_timeout` and two seconds (M6), and what
/// a machine whose two processors are busy with others adds.
const SILENCE_MAX: Duration = Duration::from_secs(5);

fn default(name: &'static str) -> Option<MediatedPair> {
    MediatedPair::start(name, &MediatedOptions::default())
}

fn kill_node_process(node: &Node) {
    family::signal(node.pid(), Signal::KILL);
}

#[test]
fn a_killed_node_process_is_replaced_and_follows_when_its_supervisor_started_it_again() {
    let Some(mut pair) = default("node process killed") else { return };
    let load = pair.load();
    kill_node_process(&pair.a);
    pair.b.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
    pair.wait_in_sync();
    load.wait_for_more(200, RECOVERY);
    let report = pair.judge(load, 1);
    assert!(report.longest_silence < SILENCE_MAX, "{:?}", report.longest_silence);
}

#[test]
fn a_killed_node_and_supervisor_are_replaced_by_silence() {
    let Some(mut pair) = default("node and supervisor killed") else { return };
    let load = pair.load();
    pair.a.kill();
    pair.b.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
    pair.a.start();
    pair.wait_in_sync();
    load.wait_for_more(200, RECOVERY);
    let report = pair.judge(load, 1);
    assert!(report.longest_silence < SILENCE_MAX, "{:?}", report.longest_silence);
}

#[test]
fn a_node_whose_supervisor_is_killed_ends_with_it_and_is_replaced() {
    let Some(mut pair) = default("supervisor killed") else { return };
    let load = pair.load();
    let node = pair.a.pid();
    pair.a.process().signal(Signal::KILL);
    pair.a.wait_exit();
    wait::until_true("the node ends too", RECOVERY, || family::is_gone(node));
    pair.b.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
    pair.a.start();
    pair.wait_in_sync();
    let report = pair.judge(load, 1);
    assert!(report.longest_silence < SILENCE_MAX, "{:?}", report.longest_silence);
}

#[test]
fn a_lost_machine_says_no_goodbye_and_is_replaced() {
    let Some(mut pair) = default("machine lost") else { return };
    let load = pair.load();
    pair.net.unplug(&pair.net.a);
    pair.a.kill();
    pair.b.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
    pair.net.plug(&pair.net.a);
    pair.a.start();
    pair.wait_in_sync();
    let report = pair.judge(load, 1);
    assert!(report.longest_silence < SILENCE_MAX, "{:?}", report.longest_silence);
}

#[test]
fn a_lost_standby_stalls_writes_only_until_the_record_leaves_it_out() {
    let Some(mut pair) = default("standby's machine lost") else { return };
    let load = pair.load();
    pair.net.unplug(&pair.net.b);
    pair.b.kill();
    pair.wait_alone(&pair.a);
    load.wait_for_more(200, RECOVERY);
    pair.net.plug(&pair.net.b);
    pair.b.start();
    pair.wait_in_sync();
    let report = pair.judge(load, 0);
    // M7: solo_after, and a round trip to the mediator.
    assert!(report.longest_silence < SILENCE_MAX, "{:?}", report.longest_silence);
}

/// A write and a read that are under way when the primary freezes, longer than every time-out: what it
/// answers when it wakes is an error or nothing, never success and never the value of before.
fn wakes_as_nobody(pair: &mut MediatedPair, freeze: fn(&mut Node), thaw: fn(&mut Node)) {
    let load = pair.load();
    let key = "read-while-frozen";
    let connect = |host: &Host, node: &Node| {
        let address = node.address();
        host.enter(|| tandem_e2e::client::Client::connect(address)).expect("a connection")
    };
    let mut writer = connect(&pair.net.c, &pair.a);
    let mut reader = connect(&pair.net.a, &pair.a);
    writer.ok(&["SET", key, "old"]);
    freeze(&mut pair.a);
    writer.send(&["SET", key, "too late"]).expect("sent into the socket");
    reader.send(&["GET", key]).expect("sent into the socket");
    pair.b.wait_role("primary");
    pair.b.client().ok(&["SET", key, "new"]);
    load.wait_for_more(100, RECOVERY);
    thaw(&mut pair.a);
    for (client, what) in [(&mut writer, "SET"), (&mut reader, "GET")] {
        client.set_reply_timeout(Duration::from_secs(8)).expect("a socket option");
        match client.reply() {
            Ok(reply) => assert!(reply.error().is_some(), "{what} was answered: {reply:?}"),
            Err(error) => {
                assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "{what} hangs");
            }
        }
    }
    pair.wait_in_sync();
    load.wait_for_more(100, RECOVERY);
    assert_eq!(pair.b.client().ok(&["GET", key]).text().as_deref(), Some("new"));
    pair.judge(load, 1);
}

#[test]
fn a_frozen_node_process_wakes_as_nobody() {
    let Some(mut pair) = default("node process frozen") else { return };
    let pid = pair.a.pid();
    assert_ne!(pid, pair.a.process().pid(), "the node runs under a supervisor");
    wakes_as_nobody(
        &mut pair,
        |node| family::signal(node.pid(), Signal::STOP),
        |node| {
            // It cannot be asked for its number any more: it is the supervisor's only child.
            let all = family::members(node.process().pid());
            family::signal(*all.last().expect("at least itself"), Signal::CONT);
        },
    );
}

#[test]
fn a_frozen_machine_wakes_as_nobody() {
    let Some(mut pair) = default("machine frozen") else { return };
    wakes_as_nobody(&mut pair, Node::freeze, Node::thaw);
}

#[test]
fn a_frozen_machine_that_trusts_no_clock_wakes_as_nobody() {
    let options = MediatedOptions::default().replication("reads = \"barrier\"");
    let Some(mut pair) = MediatedPair::start("machine frozen, barrier reads", &options) else {
        return;
    };
    wakes_as_nobody(&mut pair, Node::freeze, Node::thaw);
}

#[test]
fn a_node_process_that_stays_frozen_is_killed_by_its_supervisor_and_returns() {
    let options = MediatedOptions::default().switch("watchdog = \"1500ms\"");
    let Some(mut pair) = MediatedPair::start("watchdog", &options) else { return };
    let load = pair.load();
    let pid = pair.a.pid();
    family::signal(pid, Signal::STOP);
    pair.b.wait_role("primary");
    load.wait_for_more(100, RECOVERY);
    pair.a.wait_status("runs again", |status| status.number("pid") != u64::from(pid));
    pair.wait_in_sync();
    assert!(pair.a.log().contains("no sign of life"), "{}", pair.a.log());
    pair.judge(load, 1);
}

#[test]
fn a_frozen_standby_is_left_out_and_comes_back() {
    let Some(mut pair) = default("standby frozen") else { return };
    let load = pair.load();
    pair.b.freeze();
    pair.wait_alone(&pair.a);
    load.wait_for_more(200, RECOVERY);
    pair.b.thaw();
    pair.wait_in_sync();
    load.wait_for_more(100, RECOVERY);
    pair.judge(load, 0);
}

#[test]
fn both_lose_power_and_either_may_be_first() {
    // Who gave the role away must not pass on what the next round asks of it: that would count as its answers.
    let options = MediatedOptions::default().switch("linger = \"1ms\"");
    let Some(mut pair) = MediatedPair::start("both killed", &options) else { return };
    for first_is_a in [true, false] {
        let load = pair.load();
        pair.a.kill();
        pair.b.kill();
        let report = load.stop();
        // Both had everything: whoever comes first may begin, alone.
        let (first, second) =
            if first_is_a { (&mut pair.a, &mut pair.b) } else { (&mut pair.b, &mut pair.a) };
        first.start();
        first.wait_role("primary");
        first.wait_status("writes alone", |status| !status.is("stalled"));
        second.start();
        pair.judge_report(&report, 1);
        pair.by_role().0.client().ok(&["FLUSHALL"]);
        // The next round begins as this one: with a.
        pair.wait_in_sync();
        if pair.by_role().0.name() == "b" {
            pair.must(&pair.a, &["switch", "--to", "a"]);
            pair.a.wait_role("primary");
        }
        pair.wait_in_sync();
    }
}

#[test]
fn who_lacks_writes_waits_for_the_one_that_has_them() {
    let Some(mut pair) = default("standby that lacks writes comes first") else { return };
    let load = pair.load();
    pair.b.kill();
    pair.wait_alone(&pair.a);
    load.wait_for_more(200, RECOVERY);
    pair.a.kill();
    let report = load.stop();
    pair.b.start();
    wait::stays_true("b does not serve old data", Duration::from_secs(3), || {
        pair.b.try_status().is_ok_and(|status| status.role() != "primary")
    });
    let why = pair.b.verb(&["why"]);
    assert!(why.out.contains("lacks acknowledged writes"), "{why:?}");
    let said = pair.b.verb(&["promote"]);
    assert_eq!(said.code, 1, "{said:?}");
    pair.a.start();
    pair.judge_report(&report, 0);
}

#[test]
fn a_primary_that_is_killed_again_and_again_loses_nothing() {
    let Some(mut pair) = default("repeated kills") else { return };
    let load = pair.load();
    for _ in 0..4 {
        kill_node_process(pair.by_role().0);
        load.wait_for_more(100, RECOVERY);
        pair.wait_in_sync();
    }
    pair.judge(load, 4);
}

#[test]
fn sigterm_of_the_primary_hands_over_and_ends_well() {
    let Some(mut pair) = default("SIGTERM of the primary") else { return };
    let load = pair.load();
    assert_eq!(pair.a.terminate(), Some(0), "{}", pair.a.log());
    pair.b.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
    pair.a.start();
    pair.wait_in_sync();
    let report = pair.judge(load, usize::MAX);
    assert!(report.longest_silence < Duration::from_secs(2), "{:?}", report.longest_silence);
}

#[test]
fn an_old_primary_with_an_extra_tail_keeps_it_aside_and_follows() {
    let Some(mut pair) = default("old primary with an extra tail") else { return };
    let load = pair.load();
    let mut beside = pair.a.client();
    pair.net.unplug(&pair.net.a);
    for number in 0..20 {
        beside.send(&["SET", &format!("extra{number}"), "never acknowledged"]).expect("sent");
    }
    pair.b.wait_role("primary");
    beside.set_reply_timeout(Duration::from_secs(5)).expect("a socket option");
    while let Ok(reply) = beside.reply() {
        assert!(reply.error().is_some(), "an isolated primary acknowledged: {reply:?}");
    }
    load.wait_for_more(200, RECOVERY);
    assert_ne!(pair.a.status().role(), "primary");
    pair.net.plug(&pair.net.a);
    pair.wait_in_sync();
    let status = pair.a.status();
    assert!(status.number("conflicts") > 0, "{}", status.json);
    assert_eq!(pair.b.client().ok(&["EXISTS", "extra0"]).int(), Some(0));
    pair.judge(load, 1);
}

#[test]
fn a_command_that_takes_longer_than_a_session_is_no_dead_node() {
    // Nor a process that its supervisor should kill.
    let options = MediatedOptions::default().switch("watchdog = \"1s\"");
    let Some(mut pair) = MediatedPair::start("a long command", &options) else { return };
    let pid = pair.a.pid();
    let mut client = pair.a.client();
    client.set_reply_timeout(RECOVERY).expect("a socket takes a timeout");
    client.ok(&["SETBIT", "bits", "4294967295", "1"]);
    let mut took = Duration::ZERO;
    let mut times = 1_u32;
    // As often in one transaction as it takes to be busy for longer than a session (1 s), but less long than
    // `slow_after` (3 s).
    while took < Duration::from_millis(1_500) {
        let begun = Instant::now();
        client.ok(&["MULTI"]);
        for _ in 0..times {
            client.ok(&["BITCOUNT", "bits"]);
        }
        let counts = client.ok(&["EXEC"]);
        took = begun.elapsed();
        assert!(counts.items().iter().all(|count| count.int() == Some(1)), "{counts:?}");
        let once = (took / times).max(Duration::from_millis(1));
        times = times.max(u32::try_from(2_000 / once.as_millis()).unwrap_or(1)).min(times * 8);
    }
    assert_eq!(pair.a.status().number("epoch"), 1, "b took over after {took:?}");
    pair.wait_in_sync();
    assert_eq!(pair.a.status().number("epoch"), 1, "b took over after {took:?}");
    assert_eq!(pair.a.status().role(), "primary");
    assert_eq!(pair.a.pid(), pid, "killed by its supervisor: {}", pair.a.log());
}
