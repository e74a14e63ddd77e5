//! Two machines whose nodes both accept writes, and the line between them that can be cut.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::client::Client;
use crate::net::Network;
use crate::node::{ADMIN_TOKEN, Node, Ports};
use crate::skip::skipped;
use crate::value::Value;
use crate::wait;

const PATIENCE: Duration = Duration::from_secs(30);

/// Both machines.
#[derive(Debug)]
pub struct Machines {
    /// Node a.
    pub a: Node,
    /// Node b.
    pub b: Node,
    net: Network,
    // Last: removed after the processes are gone.
    _folder: TempDir,
}

impl Machines {
    /// Starts both and waits until they are in sync; `None`: this machine has no network namespaces, and
    /// `test` was noted as skipped.
    #[track_caller]
    pub fn start(test: &str) -> Option<Self> {
        let net = match Network::create() {
            Ok(net) => net,
            Err(reason) => {
                skipped(test, &reason);
                return None;
            }
        };
        let folder = TempDir::with_prefix("tandem-e2e-").expect("a temporary folder");
        let root = folder.path();
        for (file, text) in [("token", ADMIN_TOKEN), ("secret", "e2e-peer-secret")] {
            let path = root.join(file);
            fs::write(&path, text).expect("the folder is writable");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
        }
        let mut text = "[pair]\nname = \"main\"\ntopology = \"primary-primary\"\n\n".to_owned();
        for host in [&net.a, &net.b] {
            let (name, ip, data) = (host.name(), host.ip(), root.join(host.name()));
            let data = data.display();
            writeln!(text, "[nodes.{name}]\nhost = \"{ip}\"\ndata_dir = \"{data}\"\n")
                .expect("writing into a String cannot fail");
        }
        writeln!(
            text,
            "[auth]\ninsecure = true\nadmin_token_file = \"{0}/token\"\npeer_secret_file = \"{0}/secret\"",
            root.display()
        )
        .expect("writing into a String cannot fail");
        let config = root.join("tandem.toml");
        fs::write(&config, text).expect("the folder is writable");
        let node = |name: &'static str| {
            let log = root.join(format!("{name}.log"));
            Node::new(name, Ports::DEFAULT, &config, &root.join(name), &log)
        };
        let (mut a, mut b) = (node("a").on(&net.a), node("b").on(&net.b));
        a.start();
        b.start();
        let machines = Self { a, b, net, _folder: folder };
        machines.wait_in_sync();
        Some(machines)
    }

    /// The nodes do not reach one another; their clients reach both.
    #[track_caller]
    pub fn cut(&self) {
        self.net.cut_pair();
        for node in [&self.a, &self.b] {
            node.wait_status("serves without its peer", |status| {
                status.role() == "primary" && !status.is("peer.connected")
            });
        }
    }

    /// They do again.
    #[track_caller]
    pub fn mend_line(&self) {
        self.net.mend_pair();
    }

    /// They do again, and all has arrived, and is the same.
    #[track_caller]
    pub fn mend(&self) {
        self.mend_line();
        self.wait_in_sync();
        self.wait_equal();
    }

    /// Both serve and hold all that the other acknowledged.
    #[track_caller]
    pub fn wait_in_sync(&self) {
        for node in [&self.a, &self.b] {
            node.wait_status("serves, in sync", |status| {
                status.role() == "primary" && status.is("in_sync")
            });
        }
    }

    /// Nothing is on its way any more, and every slot is the same on both.
    #[track_caller]
    pub fn wait_equal(&self) {
        wait::until("both hold the same", PATIENCE, || {
            let vectors = self.ask_both("TANDEM PP VECTOR");
            if vectors[0] != vectors[1] {
                return Err(format!("{vectors:?}"));
            }
            let told = run(&mut self.a.client(), "TANDEM PP VERIFY");
            let text = told.text().unwrap_or_default();
            if text.starts_with("OK") { Ok(()) } else { Err(format!("{told:?}")) }
        });
    }

    /// The same words to both.
    #[track_caller]
    pub fn ask_both(&self, line: &str) -> [Value; 2] {
        [run(&mut self.a.client(), line), run(&mut self.b.client(), line)]
    }

    /// Ends a node's process; its supervisor starts it again.
    #[track_caller]
    pub fn kill_process(&self, node: &Node) {
        let before = node.pid();
        let pid = i32::try_from(before).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::KILL).expect("it is ours");
        node.wait_status("has started again", |status| {
            status.role() == "primary" && status.number("pid") != u64::from(before)
        });
    }
}

/// Sends words without spaces; an error comes back as a value.
#[track_caller]
pub fn run(client: &mut Client, line: &str) -> Value {
    match client.command(&line.split(' ').collect::<Vec<_>>()) {
        Ok(value) => value,
        Err(error) => panic!("{line}: {error}"),
    }
}

/// Sends the same words `count` times at once; the replies in order.
#[track_caller]
pub fn run_many(client: &mut Client, line: &str, count: usize) -> Vec<Value> {
    let words: Vec<&str> = line.split(' ').collect();
    for _ in 0..count {
        client.send(&words).expect("the node takes requests");
    }
    (0..count).map(|_| client.reply().expect("every request is answered")).collect()
}
