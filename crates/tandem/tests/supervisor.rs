//! `tandem serve`: the supervisor and the node's process, as real processes.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// A supervisor with node a of a pair whose other node does not run.
struct Supervisor {
    process: Child,
    folder: TempDir,
    base: u16,
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // Ended already, unless the test failed.
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

fn wait_until<T>(what: &str, mut wanted: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(it) = wanted() {
            return it;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Ports below the range from which the system hands out others; each test has its own.
fn free_base(test: u16) -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let first = u16::try_from(std::process::id() % 50).unwrap();
    (0..50)
        .map(|step| 20_000 + test * 1_000 + (first + step) % 50 * 20)
        .find(|base| (*base..*base + 20).all(is_free))
        .unwrap()
}

fn serve(folder: &Path, notify: Option<&Path>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tandem"));
    command
        .args(["serve", "--node", "a", "--config"])
        .arg(folder.join("tandem.toml"))
        .stdin(Stdio::null())
        .stderr(fs::File::options().create(true).append(true).open(folder.join("log")).unwrap());
    if let Some(path) = notify {
        command.env("NOTIFY_SOCKET", path);
    }
    command.spawn().unwrap()
}

fn alive(pid: u64) -> bool {
    // A zombie is not: it has no command line.
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| !words.is_empty())
}

fn signal(pid: u64, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

impl Supervisor {
    fn start(test: u16, watchdog: &str) -> Self {
        Self::start_with(test, watchdog, None)
    }

    fn start_with(test: u16, watchdog: &str, notify: Option<&str>) -> Self {
        let folder = TempDir::new().unwrap();
        let base = free_base(test);
        let node = |name: &str, base: u16| {
            format!(
                "[nodes.{name}]\nhost = \"127.0.0.1\"\nclient_port = {base}\nread_port = {}\n\
                 link_port = {}\nsentinel_port = 0\nadmin_port = {}\ndata_dir = \"{}\"\n",
                base + 1,
                base + 2,
                base + 4,
                folder.path().join(name).display(),
            )
        };
        let text = format!(
            "{}{}[switch]\nwatchdog = \"{watchdog}\"\n",
            node("a", base),
            node("b", base + 10)
        );
        fs::write(folder.path().join("tandem.toml"), text).unwrap();
        let process = serve(folder.path(), notify.map(|name| folder.path().join(name)).as_deref());
        Self { process, folder, base }
    }

    /// The status of a node process that is not `not`.
    fn status(&self, not: u64) -> Value {
        wait_until(&format!("a node answers:\n{}", self.log()), || {
            let output = Command::new(env!("CARGO_BIN_EXE_tandem"))
                .args(["status", "--json", "--admin"])
                .arg(format!("http://127.0.0.1:{}", self.base + 4))
                .output()
                .unwrap();
            let status: Value = serde_json::from_slice(&output.stdout).ok()?;
            let status = status.get(0).unwrap_or(&status).clone();
            status["pid"].as_u64().filter(|&pid| pid != not).map(|_| status)
        })
    }

    fn pid(&self) -> u64 {
        self.status(0)["pid"].as_u64().unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn wait(&mut self) -> ExitStatus {
        let process = &mut self.process;
        wait_until("the supervisor ends", || process.try_wait().unwrap())
    }
}

#[test]
fn a_killed_node_is_started_again_and_the_start_counted() {
    let mut supervisor = Supervisor::start(0, "5s");
    let first = supervisor.status(0);
    let pid = first["pid"].as_u64().unwrap();
    assert_eq!(first["supervisor_pid"].as_u64(), Some(u64::from(supervisor.process.id())));
    assert_ne!(pid, u64::from(supervisor.process.id()));
    signal(pid, Signal::KILL);
    let second = supervisor.status(pid);
    assert_eq!(second["supervisor_pid"], first["supervisor_pid"]);
    assert!(!alive(pid));
    let starts = fs::read_to_string(supervisor.folder.path().join("a/starts")).unwrap();
    assert_eq!(starts.lines().count(), 2, "{starts}");
    assert!(supervisor.log().contains("ended: signal 9; it is started again"));
    signal(u64::from(supervisor.process.id()), Signal::TERM);
    assert!(supervisor.wait().success());
}

#[test]
fn the_supervisor_is_asked_to_stop_and_both_end() {
    let mut supervisor = Supervisor::start(1, "5s");
    let pid = supervisor.pid();
    signal(u64::from(supervisor.process.id()), Signal::INT);
    assert_eq!(supervisor.wait().code(), Some(0));
    assert!(!alive(pid));
    assert!(supervisor.log().contains("stopped: asked to stop"), "{}", supervisor.log());
}

#[test]
fn a_killed_supervisor_takes_the_node_with_it_and_the_next_one_starts_at_once() {
    let mut supervisor = Supervisor::start(2, "5s");
    let pid = supervisor.pid();
    signal(u64::from(supervisor.process.id()), Signal::KILL);
    assert_eq!(supervisor.wait().signal(), Some(9));
    // What the dying node still holds does not stop the next one.
    supervisor.process = serve(supervisor.folder.path(), None);
    supervisor.status(pid);
    wait_until("the node is gone", || (!alive(pid)).then_some(()));
}

#[test]
fn a_frozen_node_is_killed_and_started_again() {
    let supervisor = Supervisor::start(3, "600ms");
    let pid = supervisor.pid();
    signal(pid, Signal::STOP);
    supervisor.status(pid);
    assert!(!alive(pid));
    assert!(supervisor.log().contains("it was frozen"), "{}", supervisor.log());
}

#[test]
fn a_hopeless_start_is_tried_once_and_its_status_passed_on() {
    let supervisor = Supervisor::start(4, "5s");
    let pid = supervisor.pid();
    let second = serve(supervisor.folder.path(), None).wait_with_output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let log = supervisor.log();
    assert!(log.contains("is in use by another process"), "{log}");
    assert!(!log.contains("is started again"), "{log}");
    assert!(alive(pid), "the first one is not disturbed");
}

#[test]
fn the_service_manager_hears_of_the_node_through_its_supervisor() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let supervisor = Supervisor::start_with(5, "5s", path.to_str());
    let hear = |wanted: &str| {
        let mut bytes = [0; 200];
        loop {
            let length = manager.recv(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
            if text.starts_with(wanted) {
                return;
            }
            assert!(!text.starts_with("STOPPING"), "{text}");
        }
    };
    hear("READY=1");
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    signal(u64::from(supervisor.process.id()), Signal::TERM);
    hear("STOPPING=1");
}
