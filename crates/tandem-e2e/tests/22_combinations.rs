//! Every way the state can travel, every cause of a change, every degree of automation, and what the
//! returning primary becomes: one table, each row with processes of its own.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: it may panic, and tells the times it measured"
)]

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tandem_e2e::family;
use tandem_e2e::load::{Load, LoadOptions};
use tandem_e2e::node::{Node, tandem_program};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::ports::free_port;
use tandem_e2e::process::Process;
use tandem_e2e::proxy::{Manner, Proxy};
use tandem_e2e::skip::skipped;
use tandem_e2e::trouble::Injection;
use tandem_e2e::wait;
use tempfile::TempDir;

/// Rows played at once: nearly all of their time is spent waiting.
const AT_ONCE: usize = 6;
/// Until whatever must happen has happened.
const PATIENCE: Duration = Duration::from_secs(40);
/// How long nothing may happen: twice the longest time-out that a row sets.
const QUIET: Duration = Duration::from_secs(3);

/// How the state travels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum By {
    Mediator,
    Direct,
    Probe,
}

/// Why the role should move.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Cause {
    /// The process ends, its supervisor tells.
    Process,
    /// Process and supervisor are gone at once.
    Machine,
    /// It answers more slowly than `slow_after`.
    Slow,
    /// It was started `max_restarts` times within `restart_window`.
    Restarts,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Automation {
    Auto,
    Confirm,
    Observe,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    by: By,
    cause: Cause,
    automation: Automation,
    /// The first primary takes its role back.
    back: bool,
}

/// All combinations; whether the role comes back matters only where it moved by itself.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for by in [By::Mediator, By::Direct, By::Probe] {
        for cause in [Cause::Process, Cause::Machine, Cause::Slow, Cause::Restarts] {
            for automation in [Automation::Auto, Automation::Confirm, Automation::Observe] {
                rows.push(Row { by, cause, automation, back: false });
            }
            if matches!(cause, Cause::Process | Cause::Machine) {
                rows.push(Row { by, cause, automation: Automation::Auto, back: true });
            }
        }
    }
    rows
}

/// What runs for a row.
struct Stage {
    pair: Pair,
    proxy: Option<Proxy>,
    // Last: the nodes need it.
    _witness: Option<(Process, TempDir)>,
}

fn options(row: Row) -> PairOptions {
    let by = match row.by {
        By::Mediator => "mediator",
        By::Direct => "direct",
        By::Probe => "probe",
    };
    let automation = match row.automation {
        Automation::Auto => "auto",
        Automation::Confirm => "confirm",
        Automation::Observe => "observe",
    };
    let mut options = PairOptions { by, ..PairOptions::new("primary-standby") }
        .switch(&format!("automation = \"{automation}\""))
        .switch("min_interval = \"1s\"");
    if row.by != By::Mediator {
        // What is silent is off: this machine's word for it.
        options = options.switch("fence = \"exit 0\"").switch("solo_after = \"1s\"");
    }
    if row.cause == Cause::Slow {
        options = options.switch("slow_after = \"600ms\"");
    }
    if row.cause == Cause::Restarts {
        options = options.switch("max_restarts = 3");
    } else {
        options = options.switch("max_restarts = 1000");
    }
    if row.back {
        options = options.switch("failback = \"prefer\"").switch("failback_after = \"500ms\"");
    }
    options
}

fn start(row: Row) -> Stage {
    let mut options = options(row);
    let witness = (row.by == By::Mediator).then(|| {
        let port = free_port();
        options.more =
            format!("[switch.mediator]\nkind = \"witness\"\nendpoints = [\"127.0.0.1:{port}\"]\n");
        let folder = TempDir::with_prefix("tandem-e2e-").unwrap();
        let words = [
            "witness".to_owned(),
            "--listen".to_owned(),
            format!("127.0.0.1:{port}"),
            "--data-dir".to_owned(),
            folder.path().join("data").display().to_string(),
        ];
        let log = folder.path().join("log");
        (Process::start("witness", &tandem_program(), &words, &log), folder)
    });
    let (pair, proxy) = if row.by == By::Probe && row.cause == Cause::Slow {
        let (pair, proxy) = Pair::start_with_proxy(&options);
        (pair, Some(proxy))
    } else {
        (Pair::start(&options), None)
    };
    Stage { pair, proxy, _witness: witness }
}

/// Ends the node's process; its supervisor starts it again.
fn kill_child(node: &Node) {
    let before = node.pid();
    family::signal(before, Signal::KILL);
    wait::until("its supervisor starts it again", PATIENCE, || {
        let status = node.try_status().map_err(|error| error.to_string())?;
        if status.number("pid") == u64::from(before) { Err("not yet".to_owned()) } else { Ok(()) }
    });
}

/// What makes it slow, as long as it lives.
struct Slowness {
    _load: Option<Load>,
    _slow: Option<Injection>,
}

/// Lets the cause begin.
fn begin(stage: &mut Stage, row: Row) -> Option<Slowness> {
    let pair = &mut stage.pair;
    match row.cause {
        Cause::Process => kill_child(&pair.a),
        Cause::Machine => pair.a.kill(),
        Cause::Slow => {
            if let Some(proxy) = &stage.proxy {
                proxy.set(Manner::Slow);
                return None;
            }
            let options =
                LoadOptions { clients: 60, pause: Duration::ZERO, ..LoadOptions::default() };
            let load = Load::start(&options, &pair.addresses());
            // Who waits behind 59 others, each 20 ms, waits for 1.2 s.
            let slow = Injection::start(pair.a.pid(), "recvfrom", "delay_enter=20000").unwrap();
            return Some(Slowness { _load: Some(load), _slow: Some(slow) });
        }
        Cause::Restarts => {
            // Nobody may take over meanwhile: it is the starts that count, not the ends.
            pair.b.kill();
            pair.a.wait_status("goes on alone", |status| !status.is("in_sync"));
            for _ in 0..3 {
                kill_child(&pair.a);
            }
            pair.b.start();
        }
    }
    None
}

/// The node that waits for a person's word.
fn wait_proposal(pair: &Pair) -> &Node {
    wait::until("a change is proposed", PATIENCE, || {
        let mut said = String::new();
        for node in [&pair.a, &pair.b] {
            let Ok(status) = node.try_status() else { continue };
            if status.at("pending").is_object() {
                assert_eq!(status.text("pending.to"), "b", "{}", status.json);
                return Ok(node);
            }
            writeln!(said, "{}: {}", node.name(), status.json).unwrap();
        }
        Err(said)
    })
}

fn stays_out(node: &Node) {
    wait::stays_true("b stands by", QUIET, || node.status().role() != "primary");
}

/// Says yes to what is proposed. A proposal is dropped while its reason is gone for a moment.
fn confirm(pair: &Pair) {
    wait::until("the proposal is confirmed", PATIENCE, || {
        let said = wait_proposal(pair).verb(&["confirm"]);
        if said.code == 0 { Ok(()) } else { Err(said) }
    });
}

/// What happens between the cause and its end; whether the role moved to b.
fn decide(pair: &Pair, row: Row) -> bool {
    match row.automation {
        // Supervisor and peer hear of it at the same time: one of them is quicker.
        Automation::Auto if row.cause == Cause::Process => {
            return wait::until("somebody serves", PATIENCE, || {
                let serves = [&pair.a, &pair.b]
                    .map(|it| it.try_status().is_ok_and(|status| status.role() == "primary"));
                if serves == [true, true] || serves == [false, false] {
                    Err(serves)
                } else {
                    Ok(serves[1])
                }
            });
        }
        Automation::Auto => pair.b.wait_role("primary"),
        // Whoever is back before anybody decides goes on.
        Automation::Confirm | Automation::Observe if row.cause == Cause::Process => {
            stays_out(&pair.b);
            pair.a.wait_role("primary");
            return false;
        }
        Automation::Confirm => {
            wait_proposal(pair);
            stays_out(&pair.b);
            confirm(pair);
            pair.b.wait_role("primary")
        }
        Automation::Observe => {
            wait_proposal(pair);
            stays_out(&pair.b);
            return false;
        }
    };
    true
}

fn play(row: Row) {
    let mut stage = start(row);
    stage.pair.a.client().ok(&["SET", "k", "v"]);
    let begun = Instant::now();
    let slowness = begin(&mut stage, row);
    let moved = decide(&stage.pair, row);
    println!("{row:?}: decided after {} ms", begun.elapsed().as_millis());
    drop(slowness);
    if let Some(proxy) = &stage.proxy {
        proxy.set(Manner::Passes);
    }
    let pair = &mut stage.pair;
    if row.cause == Cause::Machine {
        pair.a.start();
    }
    let last = if moved && !row.back { &pair.b } else { &pair.a };
    last.wait_role("primary");
    pair.wait_in_sync();
    assert_eq!(last.status().role(), "primary", "{}", last.status().json);
    assert_eq!(last.client().ok(&["GET", "k"]).text().as_deref(), Some("v"));
}

#[test]
fn every_cause_moves_the_role_as_far_as_the_automation_says_however_the_state_travels() {
    if let Err(reason) = Injection::possible() {
        return skipped("combinations of cause, way and automation", &reason);
    }
    let only = std::env::var("TANDEM_E2E_ROW").unwrap_or_default();
    let rows = rows().into_iter().filter(|row| format!("{row:?}").contains(&only));
    let rows: Mutex<Vec<Row>> = Mutex::new(rows.collect());
    let failed: Mutex<Vec<Row>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(row) = rows.lock().unwrap().pop() else { return };
                    // The panic has told what is wrong; the other rows are played all the same.
                    if catch_unwind(AssertUnwindSafe(|| play(row))).is_err() {
                        println!("{row:?}: FAILED");
                        failed.lock().unwrap().push(row);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "replay one with TANDEM_E2E_ROW=\"...\": {failed:#?}");
}
