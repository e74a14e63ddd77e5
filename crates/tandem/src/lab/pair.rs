//! One pair of the lab: its processes, and what can be done to them and asked of them.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use serde_json::{Value, json};
use tandem_admin::{RoleName, StatusView};
use tokio::runtime::Handle;

use crate::admin_client::{AdminClient, Outcome};
use crate::child::{self, Child};
use crate::cli::AdminOptions;
use crate::lab::architecture::Architecture;
use crate::lab::line::Line;
use crate::lab::place::{NAMES, Place};
use crate::probe::{Connection, Reply};

/// A node that hangs is asked for its status in vain for so long.
const STATUS_TIME_MAX: Duration = Duration::from_millis(500);
/// What changes something may take this long: a planned switch holds writes for up to 2 s.
const CHANGE_TIME_MAX: Duration = Duration::from_secs(8);
/// Between two looks.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

/// A node's processes and the ways to it.
struct Node {
    child: Child,
    quick: AdminClient,
    patient: AdminClient,
    /// The node's own process, as last heard.
    pid: u32,
}

/// Two nodes, perhaps a witness, and the line between them. Everything ends with this value.
pub(crate) struct Pair {
    /// What it is.
    pub(crate) row: &'static Architecture,
    /// Where it lives.
    pub(crate) place: Place,
    /// The line between the nodes.
    pub(crate) line: Line,
    nodes: [Node; 2],
    witness: Option<Child>,
}

impl Pair {
    /// Starts all of it.
    pub(crate) fn start(
        row: &'static Architecture,
        place: Place,
        runtime: &Handle,
    ) -> anyhow::Result<Self> {
        fs::create_dir_all(&place.folder)
            .with_context(|| format!("make {}", place.folder.display()))?;
        fs::write(place.config_file(), place.config_text(row))
            .context("write the configuration")?;
        let line = Line::lay(runtime, &place.ways())?;
        let witness =
            if row.has_witness() { Some(Child::start(&place.witness_order())?) } else { None };
        let [first, second] = place.admins();
        let nodes = [Node::start(&place, NAMES[0], first)?, Node::start(&place, NAMES[1], second)?];
        Ok(Self { row, place, line, nodes, witness })
    }

    /// What a node says of itself; `None`: it does not answer.
    pub(crate) fn status(&mut self, node: usize) -> Option<StatusView> {
        let node = self.nodes.get_mut(node)?;
        let status: StatusView =
            serde_json::from_value(node.quick.get("/api/v1/status").ok()?).ok()?;
        node.pid = status.pid;
        Some(status)
    }

    /// The statuses of both, if both answer and the pair is as it should be: who serves serves, both hold every
    /// acknowledged write, and whoever helps to decide is there.
    pub(crate) fn whole(&mut self) -> Option<[StatusView; 2]> {
        let statuses = [self.status(0)?, self.status(1)?];
        let primaries = statuses.iter().filter(|it| it.role == RoleName::Primary).count();
        let wanted = if self.row.two_writers() { 2 } else { 1 };
        let at_rest = |status: &StatusView| {
            let role = match status.role {
                RoleName::Primary => status.in_sync && !status.stalled,
                RoleName::Standby | RoleName::Replica => true,
                RoleName::Joining | RoleName::Isolated => false,
            };
            role && status.peer.connected
                && status.mediator.as_ref().is_none_or(|it| it.connected && it.trouble.is_none())
                && status.probe.as_ref().is_none_or(|it| it.up)
        };
        (primaries == wanted && statuses.iter().all(at_rest)).then_some(statuses)
    }

    /// A node or witness that has ended although nobody ended it, with the end of its log.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let nodes = NAMES.into_iter().zip(&mut self.nodes).map(|(name, it)| (name, &mut it.child));
        let witness = self.witness.iter_mut().map(|child| ("witness", child));
        nodes.chain(witness).find_map(|(name, child)| {
            let status = child.ended()?;
            Some(format!("{name} ended with {status}:\n{}", child.log_tail()))
        })
    }

    /// Waits until `done`; an error if it takes longer than `limit`, or somebody wants everything to stop.
    pub(crate) fn wait<T>(
        &mut self,
        what: &str,
        limit: Duration,
        stop: &AtomicBool,
        mut done: impl FnMut(&mut Self) -> Option<T>,
    ) -> anyhow::Result<T> {
        let begun = Instant::now();
        loop {
            if let Some(value) = done(self) {
                return Ok(value);
            }
            if stop.load(Ordering::Relaxed) {
                bail!("stopped");
            }
            if begun.elapsed() > limit {
                bail!("{what} took longer than {} s", limit.as_secs());
            }
            thread::sleep(PAUSE);
        }
    }

    /// The place of the primary, which may need a moment for its answer.
    pub(crate) fn wait_primary(
        &mut self,
        stop: &AtomicBool,
        limit: Duration,
    ) -> anyhow::Result<usize> {
        self.wait("a primary", limit, stop, Self::primary)
    }

    /// The place of the node that says it is primary.
    fn primary(&mut self) -> Option<usize> {
        let epochs = [0, 1].map(|node| {
            let status = self.status(node)?;
            (status.role == RoleName::Primary).then_some(status.epoch)
        });
        match epochs {
            [Some(a), Some(b)] if b > a => Some(1),
            [Some(_), _] => Some(0),
            [None, Some(_)] => Some(1),
            [None, None] => None,
        }
    }

    /// Asks a node for a change; `Err`: refused, or nobody there, in words.
    pub(crate) fn ask(&self, node: usize, path: &str, body: &Value) -> Result<String, String> {
        let node = self.nodes.get(node).ok_or("there is no such node")?;
        match node.patient.change(path, body) {
            Ok(Outcome::Done(done)) => Ok(done.message),
            Ok(Outcome::Refused(refused)) => Err(refused.line()),
            Err(error) => Err(tandem_types::error_chain(&*error)),
        }
    }

    /// A planned change of primary, away from the node of this place.
    pub(crate) fn switch(&self, from: usize) -> anyhow::Result<()> {
        match self.ask(from, "/api/v1/switch", &json!({})) {
            Ok(_) => Ok(()),
            Err(why) => bail!("the planned switch was refused: {why}"),
        }
    }

    /// A signal to the node's own process.
    pub(crate) fn signal_process(&mut self, node: usize, signal: Signal) {
        if let Some(node) = self.nodes.get_mut(node)
            && node.child.ended().is_none()
            && node.pid != 0
        {
            child::send(node.pid, signal);
        }
    }

    /// A signal to the node's supervisor.
    pub(crate) fn signal_supervisor(&mut self, node: usize, signal: Signal) {
        if let Some(node) = self.nodes.get_mut(node) {
            node.child.signal(signal);
        }
    }

    /// Supervisor and node end at one instant, and the peer hears nothing of it, not even the end of a
    /// connection.
    pub(crate) fn lose_machine(&mut self, node: usize) {
        self.line.cut();
        self.signal_supervisor(node, Signal::STOP);
        self.signal_process(node, Signal::KILL);
        self.power_off(node);
        if let Some(node) = self.nodes.get_mut(node) {
            node.child.kill();
        }
    }

    /// `kill -9` of the third party.
    pub(crate) fn kill_witness(&mut self) {
        if let Some(witness) = &mut self.witness {
            witness.kill();
        }
    }

    /// Starts again what has ended; `stopping` is a node that was asked to end and is waited for.
    pub(crate) fn start_what_is_down(&mut self, stopping: Option<usize>) -> anyhow::Result<()> {
        if let Some(witness) = &mut self.witness
            && witness.ended().is_some()
        {
            *witness = Child::start(&self.place.witness_order())?;
        }
        for (index, name) in NAMES.into_iter().enumerate() {
            let Some(node) = self.nodes.get_mut(index) else { continue };
            if Some(index) == stopping {
                // It was asked to end; a handover may need a moment.
                node.child.stop();
            }
            if node.child.ended().is_some() {
                node.child = Child::start(&self.place.node(name))?;
                node.pid = 0;
                power_on(&self.place, name, &node.child)?;
            }
        }
        Ok(())
    }

    /// A power switch that is asked from now on finds nothing running.
    fn power_off(&self, node: usize) {
        if let Some(name) = NAMES.get(node) {
            // Only the fence command of this pair reads it.
            let _written = fs::write(self.place.power_file(name), "");
        }
    }

    /// Has the nodes compare their data, as `tandem verify` does; `Err`: they differ, or could not be compared.
    pub(crate) fn verify(&mut self, stop: &AtomicBool, limit: Duration) -> anyhow::Result<()> {
        if self.row.two_writers() {
            return self.verify_two_writers(stop, limit);
        }
        let primary = self.wait_primary(stop, limit)?;
        let mut last = String::new();
        let equal = self.wait("the comparison of the two nodes", limit, stop, |pair| {
            if let Err(why) = pair.ask(primary, "/api/v1/verify", &json!({ "repair": false })) {
                last = why;
                return None;
            }
            loop {
                let view = pair.status(primary)?.verify?;
                match (view.running, view.result.as_str()) {
                    (true, _) => thread::sleep(PAUSE),
                    (false, "equal") => return Some(Ok(())),
                    (false, "differs") => return Some(Err(view.keys.join(", "))),
                    (false, _) => {
                        last = view.why.unwrap_or_default();
                        return None;
                    }
                }
            }
        });
        match equal {
            Ok(Ok(())) => Ok(()),
            Ok(Err(keys)) => bail!("the two nodes differ: {keys}"),
            Err(error) => Err(error.context(last)),
        }
    }

    fn verify_two_writers(&mut self, stop: &AtomicBool, limit: Duration) -> anyhow::Result<()> {
        let [first, _] = self.place.clients();
        let mut last = String::new();
        let equal = self.wait("the comparison of the two nodes", limit, stop, |_| {
            let mut connection = Connection::open(&first, CHANGE_TIME_MAX, None).ok()?;
            match connection.ask(&["TANDEM", "PP", "VERIFY"]).ok()? {
                Reply::Text(text) if text.starts_with("OK") => Some(()),
                Reply::Text(text) | Reply::Error(text) => {
                    last = text;
                    None
                }
                Reply::Nil => None,
            }
        });
        equal.with_context(|| format!("TANDEM PP VERIFY says: {last}"))
    }
}

impl Node {
    fn start(place: &Place, name: &str, admin: String) -> anyhow::Result<Self> {
        let admin = AdminOptions::of(admin);
        let quick = AdminClient::with_patience(&admin, STATUS_TIME_MAX)?;
        let patient = AdminClient::with_patience(&admin, CHANGE_TIME_MAX)?;
        let child = Child::start(&place.node(name))?;
        power_on(place, name, &child)?;
        Ok(Self { child, quick, patient, pid: 0 })
    }
}

fn power_on(place: &Place, name: &str, child: &Child) -> anyhow::Result<()> {
    fs::write(place.power_file(name), child.pid().to_string()).context("write the process id")
}
