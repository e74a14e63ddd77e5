//! `tandem demo`: it works, and leaves nothing behind, however it ends.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_mins(1);

struct Demo {
    process: Child,
    output: BufReader<ChildStdout>,
    base: u16,
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

impl Demo {
    /// Starts it and waits until it has said what to try.
    fn start(folder: &Path, switch: &str) -> Self {
        let base = free_base();
        let mut process = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(["demo", "--switch", switch, "--base-port", &base.to_string(), "--dir"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut demo = Self { process, output, base };
        demo.wait_line("keys, then Enter");
        demo
    }

    fn wait_line(&mut self, part: &str) -> String {
        let begun = Instant::now();
        let mut seen = String::new();
        loop {
            let start = seen.len();
            let count = self.output.read_line(&mut seen).unwrap();
            assert!(count > 0 && begun.elapsed() < PATIENCE, "no {part:?} in\n{seen}");
            if seen[start..].contains(part) {
                return seen[start..].to_owned();
            }
        }
    }

    fn press(&mut self, key: &str) {
        writeln!(self.process.stdin.as_mut().unwrap(), "{key}").unwrap();
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    fn admin(&self, node: u16) -> String {
        format!("http://127.0.0.1:{}", self.base + 10 * node + 4)
    }

    fn ask(&self, node: u16, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
            .args(arguments)
            .args(["--admin", &self.admin(node)])
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }
}

/// First of twenty free ports in a row, below the range from which the system hands out others.
fn free_base() -> u16 {
    // Tests run beside one another: each looks in a stretch of its own.
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let taken = TAKEN.fetch_add(100, Ordering::Relaxed);
    let first = u16::try_from(std::process::id() % 100).unwrap() + taken;
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    (0..100)
        .map(|step| 10_000 + (first + step) % 1_000 * 20)
        .find(|base| (*base..*base + 20).all(is_free))
        .unwrap()
}

/// Nodes of the demonstration in `folder` that run.
fn nodes_left(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap();
    let mut left = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let words = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        if words.contains(" serve ") && words.contains(folder.to_str().unwrap()) {
            left.push(words);
        }
    }
    left
}

fn wait_until(what: &str, wanted: impl Fn() -> bool) {
    let begun = Instant::now();
    while !wanted() {
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_primary_is_killed_the_other_promoted_and_nothing_is_lost() {
    let folder = TempDir::new().unwrap();
    let mut demo = Demo::start(folder.path(), "manual");
    let (code, table) = demo.ask(0, &["status"]);
    assert_eq!(code, Some(0), "{table}");
    assert!(table.contains("PRIMARY") && table.contains("replica"), "{table}");
    demo.press("m");
    demo.wait_line("killed a");
    assert_eq!(demo.ask(0, &["status"]).0, Some(3));
    wait_until("b notices", || demo.ask(1, &["status"]).0 == Some(2));
    demo.press("p");
    demo.wait_line("no acknowledged write was lost");
    assert_eq!(demo.ask(1, &["status"]).0, Some(1), "alone is degraded");
    demo.press("r");
    wait_until("a is back in sync", || demo.ask(1, &["status"]).0 == Some(0));
    let figures = demo.wait_line("acknowledged writes/s");
    assert!(figures.contains(" 0 lost"), "{figures}");
    demo.press("q");
    demo.wait_line("no process is left");
    assert!(demo.process.wait().unwrap().success());
    assert_eq!(nodes_left(folder.path()), Vec::<String>::new());
}

#[test]
fn the_primary_moves_by_itself_when_its_process_or_its_machine_dies_and_nothing_is_lost() {
    let folder = TempDir::new().unwrap();
    let mut demo = Demo::start(folder.path(), "mediator");
    assert_eq!(nodes_left(folder.path()).len(), 4);
    demo.press("c");
    let moved = demo.wait_line("the primary moved a -> b");
    assert!(moved.contains(" 0 acknowledged writes lost"), "{moved}");
    wait_until("both are in sync again", || demo.ask(1, &["status"]).0 == Some(0));
    // No second automatic switch within min_interval.
    thread::sleep(Duration::from_secs(3));
    demo.press("k");
    let moved = demo.wait_line("the primary moved b -> a");
    assert!(moved.contains(" 0 acknowledged writes lost"), "{moved}");
    wait_until("both are in sync again", || demo.ask(0, &["status"]).0 == Some(0));
    thread::sleep(Duration::from_secs(3));
    demo.press("m");
    let moved = demo.wait_line("the primary moved a -> b");
    assert!(moved.contains(" 0 acknowledged writes lost"), "{moved}");
    demo.press("r");
    wait_until("a is back in sync", || demo.ask(1, &["status"]).0 == Some(0));
    let (code, status) = demo.ask(1, &["status", "--json"]);
    assert_eq!(code, Some(0));
    assert!(
        status.contains("\"kind\": \"witness\"") || status.contains("\"kind\":\"witness\""),
        "{status}"
    );
    // The witness may go and come back.
    demo.press("w");
    wait_until("its end is noticed", || demo.ask(1, &["status"]).0 == Some(1));
    demo.press("r");
    wait_until("it is back", || demo.ask(1, &["status"]).0 == Some(0));
    demo.press("q");
    demo.wait_line(" 0 lost");
    demo.wait_line("no process is left");
    assert_eq!(nodes_left(folder.path()), Vec::<String>::new());
}

#[test]
fn a_drill_on_the_running_pair_prints_a_receipt_without_loss() {
    let folder = TempDir::new().unwrap();
    let mut demo = Demo::start(folder.path(), "mediator");
    let (code, said) = demo.ask(1, &["drill", "kill"]);
    assert_eq!(code, Some(1), "it is about the primary: {said}");
    let (code, said) = demo.ask(0, &["drill", "switch", "--json"]);
    assert_eq!(code, Some(0), "{said}");
    let receipt: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(receipt["primary_after"], "b", "{said}");
    assert_eq!(receipt["writes_lost"], 0, "{said}");
    thread::sleep(Duration::from_secs(3));
    let (code, said) = demo.ask(1, &["drill", "kill"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("drill kill: passed") && said.contains("b -> a"), "{said}");
    thread::sleep(Duration::from_secs(3));
    let (code, said) = demo.ask(0, &["drill", "isolate", "--seconds", "3"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("a -> b") && said.contains("writes lost             0"), "{said}");
    demo.press("q");
    demo.wait_line("no process is left");
}

#[test]
fn a_backup_of_the_running_pair_is_restored_checked_and_served() {
    let folder = TempDir::new().unwrap();
    let mut demo = Demo::start(folder.path(), "manual");
    let mut client = TcpStream::connect(("127.0.0.1", demo.base)).unwrap();
    client.write_all(b"SET greeting hello\r\n").unwrap();
    let mut line = String::new();
    BufReader::new(&client).read_line(&mut line).unwrap();
    assert_eq!(line, "+OK\r\n");
    let backup = folder.path().join("main.backup");
    let (code, said) = demo.ask(1, &["backup", backup.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    let (code, _) = demo.ask(1, &["backup", backup.to_str().unwrap()]);
    assert_eq!(code, Some(1), "an existing file is not overwritten");
    demo.signal(Signal::TERM);
    demo.wait_line("no process is left");

    let data = folder.path().join("restored");
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tandem")).args(arguments).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let restore = ["restore", backup.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    let (code, said) = run(&restore);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(run(&restore).0, Some(1), "a directory that is not empty is left alone");
    let (code, said) = run(&["check", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("good: every checksum holds"), "{said}");
    damage(&data.join("gen-0"));
    let (code, said) = run(&["check", "--data-dir", data.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("DAMAGED"), "{said}");
}

/// Flips a byte in the middle of the snapshot.
fn damage(folder: &Path) {
    let snapshot = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "snap"))
        .unwrap();
    let mut bytes = std::fs::read(&snapshot).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    File::create(&snapshot).unwrap().write_all(&bytes).unwrap();
}

#[test]
fn no_node_outlives_a_demonstration_that_is_interrupted_or_killed() {
    let folder = TempDir::new().unwrap();
    let mut demo = Demo::start(folder.path(), "manual");
    assert_eq!(nodes_left(folder.path()).len(), 4, "two supervisors, two nodes");
    demo.signal(Signal::INT);
    demo.wait_line("no process is left");
    assert_eq!(nodes_left(folder.path()), Vec::<String>::new());
    drop(demo);

    let demo = Demo::start(folder.path(), "manual");
    assert_eq!(nodes_left(folder.path()).len(), 4, "two supervisors, two nodes");
    demo.signal(Signal::KILL);
    wait_until("the kernel has ended the nodes", || nodes_left(folder.path()).is_empty());
}
