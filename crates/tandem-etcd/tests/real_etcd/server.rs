//! etcd servers: started on free ports, one or several members, killed with the test.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A loaded machine takes its time.
const START_TIME_MAX: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) members: usize,
    /// Further arguments.
    pub(crate) more: Vec<String>,
    /// `https` towards clients.
    pub(crate) encrypted: bool,
}

/// One etcd, of one member or several.
pub(crate) struct Server {
    pub(crate) members: Vec<Member>,
    options: Options,
    folder: TempDir,
}

pub(crate) struct Member {
    name: String,
    port: u16,
    peer_port: u16,
    data: PathBuf,
    child: Option<Child>,
}

impl Server {
    pub(crate) fn start(options: Options) -> Self {
        let folder = TempDir::with_prefix("tandem-etcd-").expect("a temporary folder");
        let members = (0..options.members.max(1))
            .map(|number| Member {
                name: format!("m{number}"),
                port: free_port(),
                peer_port: free_port(),
                data: folder.path().join(format!("m{number}")),
                child: None,
            })
            .collect();
        let mut server = Self { members, options, folder };
        server.run();
        server
    }

    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(Member::endpoint).collect()
    }

    /// Starts every member that does not run, and waits until all answer.
    pub(crate) fn run(&mut self) {
        for number in 0..self.members.len() {
            self.spawn(number);
        }
        if !self.options.encrypted {
            for number in 0..self.members.len() {
                self.wait_ready(number);
            }
        }
    }

    pub(crate) fn spawn(&mut self, number: usize) {
        if self.members[number].child.is_some() {
            return;
        }
        let cluster: Vec<String> = self
            .members
            .iter()
            .map(|it| format!("{}=http://127.0.0.1:{}", it.name, it.peer_port))
            .collect();
        let scheme = if self.options.encrypted { "https" } else { "http" };
        let member = &self.members[number];
        let client = format!("{scheme}://127.0.0.1:{}", member.port);
        let peer = format!("http://127.0.0.1:{}", member.peer_port);
        let log = self.folder.path().join(format!("{}.log", member.name));
        let log = File::options().create(true).append(true).open(log).expect("a log file");
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--", "etcd", "--name", &member.name])
            .arg("--data-dir")
            .arg(&member.data)
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &cluster.join(","), "--logger", "zap"])
            .args(&self.options.more)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be doubled"))
            .stderr(log)
            .process_group(0);
        let child = command.spawn().expect("etcd starts: is the package etcd-server installed?");
        self.members[number].child = Some(child);
    }

    pub(crate) fn wait_ready(&mut self, number: usize) {
        let start = Instant::now();
        loop {
            let answer = self.post_to(number, "/v3/kv/range", &serde_json::json!({"key": "AA=="}));
            if answer
                .as_ref()
                .is_some_and(|it| it["header"]["revision"].is_string() || it["code"] == 3)
            {
                return;
            }
            assert!(start.elapsed() < START_TIME_MAX, "{answer:?}\n{}", self.log(number));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn pause(&self) {
        self.members.iter().for_each(|it| it.signal(Signal::STOP));
    }

    pub(crate) fn resume(&self) {
        self.members.iter().for_each(|it| it.signal(Signal::CONT));
    }

    pub(crate) fn kill(&mut self) {
        self.members.iter_mut().for_each(Member::kill);
    }

    /// Loses everything, and begins anew with the same names and ports.
    pub(crate) fn wipe(&mut self) {
        self.kill();
        for member in &self.members {
            fs::remove_dir_all(&member.data).expect("the data can be removed");
        }
        self.run();
    }

    /// Copies the data aside, as a backup is made, while nothing runs.
    pub(crate) fn back_up(&mut self) {
        self.kill();
        let copy = self.folder.path().join("backup");
        copy_folder(&self.members[0].data, &copy);
        self.run();
    }

    /// Brings the copy back.
    pub(crate) fn restore(&mut self) {
        self.kill();
        fs::remove_dir_all(&self.members[0].data).expect("the data can be removed");
        let copy = self.folder.path().join("backup");
        copy_folder(&copy, &self.members[0].data);
        self.run();
    }

    /// Asks the first member that answers.
    pub(crate) fn post(&self, path: &str, question: &Value) -> Value {
        let answer = (0..self.members.len()).find_map(|it| self.post_to(it, path, question));
        answer.unwrap_or_else(|| panic!("no member answers {path}\n{}", self.log(0)))
    }

    /// Asks the first member, as somebody with this token.
    pub(crate) fn post_as(&self, token: &str, path: &str, question: &Value) {
        let answer = self.post_with(0, &format!("Authorization: {token}\r\n"), path, question);
        assert!(answer.as_ref().is_some_and(|it| it["header"].is_object()), "{path}: {answer:?}");
    }

    /// `None`: it does not answer with JSON.
    pub(crate) fn post_to(&self, number: usize, path: &str, question: &Value) -> Option<Value> {
        self.post_with(number, "", path, question)
    }

    fn post_with(&self, number: usize, more: &str, path: &str, question: &Value) -> Option<Value> {
        let body = question.to_string();
        let mut stream = TcpStream::connect(self.members[number].endpoint()).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: etcd\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{more}\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let at = answer.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
        serde_json::from_slice(&answer[at..]).ok()
    }

    pub(crate) fn log(&self, number: usize) -> String {
        let log = self.folder.path().join(format!("m{number}.log"));
        fs::read_to_string(log).unwrap_or_default()
    }

    /// Which member leads.
    pub(crate) fn leader(&self) -> Option<usize> {
        (0..self.members.len()).find(|&number| {
            self.post_to(number, "/v3/maintenance/status", &serde_json::json!({}))
                .is_some_and(|it| it["leader"] == it["header"]["member_id"])
        })
    }
}

impl Member {
    pub(crate) fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let Some(child) = &self.child else { return };
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a child's number");
        kill_process(pid, signal).expect("the child is ours");
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the child is ours");
            child.wait().expect("a child can be waited for");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Below the kernel's own range, so that no outgoing connection sits on it.
fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = u16::try_from(std::process::id() % 400).expect("below 400") * 20;
    loop {
        let port = 12_500 + (offset + NEXT.fetch_add(1, Ordering::Relaxed)) % 18_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(status.success());
}
