//! Two machines whose nodes both accept writes, and the line between them that can be cut.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::apart::{Apart, ApartOptions};
use crate::client::Client;
use crate::net::Network;
use crate::node::Node;
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
    /// What connects them.
    pub net: Network,
    // Last: removed after the processes are gone.
    _folder: TempDir,
}

impl Machines {
    /// Starts both and waits until they are in sync; `None`: this machine has no network namespaces, and
    /// `test` was noted as skipped.
    #[track_caller]
    pub fn start(test: &str) -> Option<Self> {
        Self::start_with(test, ApartOptions::default())
    }

    /// The same, with more in the configuration.
    #[track_caller]
    pub fn start_with(test: &str, options: ApartOptions) -> Option<Self> {
        let pair = vec!["topology = \"primary-primary\"".to_owned()];
        let options = ApartOptions { pair, ..options };
        let Apart { mut a, mut b, net, folder, .. } = Apart::prepare(test, &options)?;
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
        serves_alone(&self.a);
        serves_alone(&self.b);
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
        in_sync(&self.a, &self.b);
    }

    /// Nothing is on its way any more, and every slot is the same on both.
    #[track_caller]
    pub fn wait_equal(&self) {
        wait_equal(&self.a, &self.b);
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

/// Nothing is on its way any more, and every slot is the same on both.
#[track_caller]
pub fn wait_equal(a: &Node, b: &Node) {
    wait::until("both hold the same", PATIENCE, || {
        let vectors = [a, b].map(|node| run(&mut node.client(), "TANDEM PP VECTOR"));
        if vectors[0] != vectors[1] {
            return Err(format!("{vectors:?}"));
        }
        let told = run(&mut a.client(), "TANDEM PP VERIFY");
        let text = told.text().unwrap_or_default();
        if text.starts_with("OK") { Ok(()) } else { Err(format!("{told:?}")) }
    });
}

/// Waits until both serve and hold all that the other acknowledged.
#[track_caller]
pub fn in_sync(a: &Node, b: &Node) {
    for node in [a, b] {
        node.wait_status("serves, in sync", |status| {
            status.role() == "primary" && status.is("in_sync")
        });
    }
}

/// Waits until it serves and knows that it is alone.
#[track_caller]
pub fn serves_alone(node: &Node) {
    node.wait_status("serves without its peer", |status| {
        status.role() == "primary" && !status.is("peer.connected")
    });
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
