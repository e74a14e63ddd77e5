//! `tandem demo`: a pair on this machine, real processes and real data, under a light load.

mod plan;
mod watch;
mod words;

use std::fs;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::Signal;
use serde_json::{Value, json};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use tandem_admin::{RoleName, StatusView};
use tandem_types::error_chain;

use crate::admin_client::{AdminClient, Outcome};
use crate::child::{self, Child};
use crate::cli::{AdminOptions, DemoOptions};
use crate::demo::plan::{Plan, Switching};
use crate::demo::watch::Watch;
use crate::probe::{Load, Manner};
use crate::{human, out};

/// The pair must be in sync within this, or something is wrong with the machine.
const START_TIME_MAX: Duration = Duration::from_secs(30);
/// Between two lines of figures.
const EVERY: Duration = Duration::from_secs(1);
/// Between two looks at keys and signals.
const PAUSE: Duration = Duration::from_millis(50);

pub(crate) fn run(options: &DemoOptions) -> anyhow::Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("watch for signals")?;
    }
    let folder = Folder::new(options.dir.as_deref())?;
    let plan = Plan::new(options, &folder.path)?;
    fs::write(plan.config_file(), plan.config_text()).context("write the configuration")?;
    let mut demo = Demo::start(plan, options.no_load)?;
    let result = demo.wait_in_sync(&stop).and_then(|()| {
        demo.introduce()?;
        demo.attend(&stop)
    });
    demo.stop();
    result.map(|()| ExitCode::SUCCESS)
}

/// Eight writers, some hundred writes per second in all.
fn manner(plan: &Plan) -> Manner {
    Manner {
        addresses: plan.ports.map(|ports| format!("127.0.0.1:{}", ports.client)),
        key_prefix: "demo:counter:".to_owned(),
        writers: 8,
        pause: Duration::from_millis(10),
        retry_pause: Duration::from_millis(20),
        answer_time_max: Duration::from_secs(5),
        password: None,
        both_sides: plan.switching == Switching::Nobody,
        clean_up: false,
    }
}

/// Where the data lives: removed at the end unless the user chose it.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn new(chosen: Option<&Path>) -> anyhow::Result<Self> {
        let temporary = chosen.is_none();
        let path = chosen.map_or_else(
            || std::env::temp_dir().join(format!("tandem-demo-{}", std::process::id())),
            Path::to_path_buf,
        );
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Self { path: path.canonicalize()?, temporary })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary {
            // A folder in /tmp that cannot be removed harms nobody.
            let _removed = fs::remove_dir_all(&self.path);
        }
    }
}

struct Demo {
    plan: Plan,
    nodes: [Node; 2],
    witness: Option<Child>,
    load: Option<Load>,
    watch: Watch,
}

struct Node {
    name: &'static str,
    child: Child,
    admin: AdminClient,
}

impl Demo {
    fn start(plan: Plan, no_load: bool) -> anyhow::Result<Self> {
        let node = |index: usize| -> anyhow::Result<Node> {
            let ports = plan.ports[index];
            let admin = AdminOptions::of(format!("http://127.0.0.1:{}", ports.admin));
            Ok(Node {
                name: ports.name,
                child: Child::start(&plan.node(ports.name))?,
                admin: AdminClient::new(&admin)?,
            })
        };
        let witness = match plan.switching {
            Switching::Mediator => Some(Child::start(&plan.witness())?),
            Switching::Manual | Switching::Nobody => None,
        };
        let nodes = [node(0)?, node(1)?];
        let load = (!no_load).then(|| Load::start(&manner(&plan)));
        Ok(Self { plan, nodes, witness, load, watch: Watch::default() })
    }

    fn wait_in_sync(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        out::line(match self.plan.switching {
            Switching::Mediator => "starting two nodes and a witness ...",
            Switching::Manual | Switching::Nobody => "starting two nodes ...",
        })?;
        let begun = Instant::now();
        while !stop.load(Ordering::Relaxed) {
            if let Some(primary) = self.primary()
                && primary.in_sync
            {
                out::line(format_args!("in sync after {} ms", begun.elapsed().as_millis()))?;
                return Ok(());
            }
            for node in &mut self.nodes {
                if let Some(status) = node.child.ended() {
                    bail!("node {} ended with {status}:\n{}", node.name, node.child.log_tail());
                }
            }
            if begun.elapsed() > START_TIME_MAX {
                let tails: Vec<String> =
                    self.nodes.iter().map(|node| node.child.log_tail()).collect();
                bail!(
                    "the pair is not in sync after {} s:\n{}",
                    START_TIME_MAX.as_secs(),
                    tails.join("\n")
                );
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// The status of the node that says it is primary.
    fn primary(&self) -> Option<StatusView> {
        self.nodes
            .iter()
            .filter_map(Node::status)
            .filter(|status| status.role == RoleName::Primary)
            .max_by_key(|status| status.epoch)
    }

    fn introduce(&self) -> anyhow::Result<()> {
        let pid = self.primary().map(|status| status.pid);
        Ok(out::line(words::introduction(&self.plan, pid))?)
    }

    /// Until `q`, Ctrl-C or SIGTERM.
    fn attend(&mut self, stop: &AtomicBool) -> anyhow::Result<()> {
        let keys = keys();
        let mut shown = Instant::now();
        let mut acknowledged = 0;
        while !stop.load(Ordering::Relaxed) {
            match keys.try_recv().as_deref().map(str::trim) {
                Ok("q") => return Ok(()),
                Ok("k") => self.kill_process()?,
                Ok("m") => self.kill_machine()?,
                Ok("c") => self.change_primary()?,
                Ok("w") => self.kill_witness()?,
                Ok("p") => self.promote(false)?,
                Ok("f") => self.promote(true)?,
                Ok("r") => self.restart()?,
                Ok("s") => self.show_status()?,
                Ok("") | Err(_) => {}
                Ok(_) => out::line(words::keys(self.plan.switching))?,
            }
            let primary = self.primary();
            if let Some(told) = self.watch.look(primary.as_ref(), self.load.as_ref()) {
                out::line(format_args!("\n{told}"))?;
            }
            if shown.elapsed() >= EVERY {
                let now = self.load.as_ref().map_or(0, Load::acknowledged);
                self.show_figures(now - acknowledged, shown.elapsed())?;
                acknowledged = now;
                shown = Instant::now();
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// One line: on a terminal it stays in place.
    fn show_figures(&mut self, writes: u64, span: Duration) -> anyhow::Result<()> {
        let mut parts: Vec<String> = self.nodes.iter_mut().map(Node::figures).collect();
        if let Some(load) = &self.load {
            let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
            let rate = writes.saturating_mul(1000) / millis;
            parts.push(format!(
                "{rate} acknowledged writes/s, {} in all, {} lost, {} errors",
                load.acknowledged(),
                load.lost(),
                load.errors()
            ));
        }
        let line = parts.join("   ");
        let mut output = std::io::stdout().lock();
        if output.is_terminal() {
            write!(output, "\r{line}\x1b[K")?;
        } else {
            writeln!(output, "{line}")?;
        }
        Ok(output.flush()?)
    }

    fn show_status(&self) -> anyhow::Result<()> {
        for node in &self.nodes {
            match node.status() {
                Some(status) => {
                    return Ok(out::line(format_args!(
                        "\n{}",
                        crate::status_table::render(&status)
                    ))?);
                }
                None => out::line(format_args!("\nnode {} does not answer", node.name))?,
            }
        }
        Ok(())
    }

    /// The node's process only: its supervisor starts it again.
    fn kill_process(&self) -> anyhow::Result<()> {
        let Some(primary) = self.primary() else {
            return Ok(out::line("\nthere is no primary to kill")?);
        };
        let killed = child::send(primary.pid, Signal::KILL);
        let what = if killed { "killed" } else { "could not kill" };
        Ok(out::line(format_args!(
            "\n{what} {}'s process {} (-9); its supervisor starts it again",
            primary.node, primary.pid
        ))?)
    }

    /// Process and supervisor: what a dead machine looks like from outside.
    fn kill_machine(&mut self) -> anyhow::Result<()> {
        let primary = self.primary().map(|status| status.node);
        let Some(node) = self.nodes.iter_mut().find(|node| Some(node.name) == primary.as_deref())
        else {
            return Ok(out::line("\nthere is no primary to kill")?);
        };
        node.child.kill();
        let next = match self.plan.switching {
            Switching::Mediator => "the other takes over; r restarts it",
            Switching::Manual => "now: p promotes the other, r restarts it",
            Switching::Nobody => "the other goes on; r restarts it",
        };
        Ok(out::line(format_args!("\nkilled {} (-9), supervisor and all; {next}", node.name))?)
    }

    fn kill_witness(&mut self) -> anyhow::Result<()> {
        let Some(witness) = &mut self.witness else {
            return Ok(out::line("\nthere is no witness: switching is manual")?);
        };
        witness.kill();
        Ok(out::line("\nkilled the witness (-9); the pair goes on without it; r restarts it")?)
    }

    fn change_primary(&self) -> anyhow::Result<()> {
        let primary =
            |node: &&Node| node.status().is_some_and(|status| status.role == RoleName::Primary);
        match self.nodes.iter().find(primary) {
            Some(node) => Self::ask(node, "/api/v1/switch", &json!({})),
            None => Ok(out::line("\nthere is no primary")?),
        }
    }

    fn promote(&mut self, force: bool) -> anyhow::Result<()> {
        let other =
            |node: &&Node| node.status().is_some_and(|status| status.role != RoleName::Primary);
        let Some(node) = self.nodes.iter().find(other) else {
            return Ok(out::line("\nthere is no other node to promote; r restarts what is down")?);
        };
        Self::ask(node, "/api/v1/promote", &json!({ "force": force }))
    }

    fn ask(node: &Node, path: &str, body: &Value) -> anyhow::Result<()> {
        let begun = Instant::now();
        match node.admin.change(path, body) {
            Ok(Outcome::Done(done)) => {
                let millis = begun.elapsed().as_millis();
                out::line(format_args!("\n{} ({millis} ms)", done.message))?;
            }
            Ok(Outcome::Refused(refused)) => out::line(format_args!("\n{}", refused.line()))?,
            Err(error) => out::line(format_args!("\n{}", error_chain(&*error)))?,
        }
        Ok(())
    }

    fn restart(&mut self) -> anyhow::Result<()> {
        if let Some(witness) = &mut self.witness
            && witness.ended().is_some()
        {
            *witness = Child::start(&self.plan.witness())?;
            out::line("\nstarted the witness")?;
        }
        for node in &mut self.nodes {
            if node.child.ended().is_some() {
                node.child = Child::start(&self.plan.node(node.name))?;
                out::line(format_args!("\nstarted {}", node.name))?;
            }
        }
        Ok(())
    }

    /// The follower first, so that the primary ends with everything in sync.
    fn stop(&mut self) {
        if let Some(load) = self.load.take() {
            let receipt = load.stop();
            let unverified = match receipt.unverified {
                0 => String::new(),
                count => format!("; {count} of 8 writers found nobody to ask"),
            };
            // Nobody may be reading any more.
            let _closed = out::line(format_args!(
                "\n{} acknowledged writes, {} lost{unverified}",
                receipt.acknowledged, receipt.lost
            ));
        }
        let primary = self.primary().map(|status| status.node);
        self.nodes.sort_by_key(|node| Some(node.name) == primary.as_deref());
        for node in &mut self.nodes {
            node.child.stop();
        }
        if let Some(witness) = &mut self.witness {
            witness.stop();
        }
        // The terminal's line with figures is complete. Nobody may be reading any more.
        let _closed = out::line("\nstopped; no process is left");
    }
}

impl Node {
    fn status(&self) -> Option<StatusView> {
        serde_json::from_value(self.admin.get("/api/v1/status").ok()?).ok()
    }

    fn figures(&mut self) -> String {
        if self.child.ended().is_some() {
            return format!("{} DOWN", self.name);
        }
        let Some(status) = self.status() else { return format!("{} no answer", self.name) };
        match status.role {
            RoleName::Primary if status.stalled => format!("{} PRIMARY (stalled)", self.name),
            RoleName::Primary => format!("{} PRIMARY epoch {}", self.name, status.epoch),
            role => format!(
                "{} {role} lag {} records, {}, {} ms",
                self.name,
                status.peer.lag_records,
                human::bytes(status.peer.lag_bytes),
                status.peer.lag_ms
            ),
        }
    }
}

/// Lines typed by the user; none if there is no terminal.
fn keys() -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    // Ends with the process: a read of the terminal cannot be cut short.
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
