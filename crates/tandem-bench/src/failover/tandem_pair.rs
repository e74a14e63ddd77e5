//! Two Tandem nodes under their supervisors, and a mediator.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::ask::{ask, http_json};
use super::fleet::directory::MASTER_NAME;
use super::mediator::{Kind, Mediator};
use super::ports;
use super::process::{Process, send, wait_until};
use super::system::{Fault, System, WHOLE_TIME_MAX};

/// A running pair.
pub(super) struct TandemPair {
    nodes: [Node; 2],
    mediator: Mediator,
    kind: Kind,
    /// Who was struck, if it must be started again.
    struck: Option<&'static str>,
}

struct Node {
    name: &'static str,
    client: SocketAddr,
    admin: SocketAddr,
    sentinel: SocketAddr,
    /// The supervisor; the node is its child.
    process: Process,
}

impl TandemPair {
    /// Starts everything in `folder` and waits until the pair is in sync.
    pub(super) fn start(tandem: &Path, folder: &Path, kind: Kind) -> anyhow::Result<Self> {
        let mediator = Mediator::start(kind, tandem, folder)?;
        let ports: [SocketAddr; 10] = ports::free()?;
        let (of_a, of_b) = ports.split_at(5);
        let config = folder.join("tandem.toml");
        let mut text = String::from(
            "[pair]\nname = \"bench\"\ntopology = \"primary-standby\"\ninitial_primary = \"a\"\n\
             [replication]\nacknowledge = \"durable\"\n",
        );
        // The rest are defaults: failure_timeout 1 s, solo_after 2 s. These two keep a pair from being
        // struck again and again within minutes, which is what is done here.
        text.push_str("[switch]\nby = \"mediator\"\nmin_interval = \"1s\"\nmax_restarts = 1000\n");
        text.push_str(&mediator.config());
        for (name, ports) in [("a", of_a), ("b", of_b)] {
            text.push_str(&node_config(name, ports, folder)?);
        }
        std::fs::write(&config, text)?;
        let node = |name: &'static str, ports: &[SocketAddr]| -> anyhow::Result<Node> {
            let config = config.display().to_string();
            let arguments = ["serve", "--config", &config, "--node", name].map(str::to_owned);
            let log = folder.join(format!("{name}.log"));
            let process = Process::start(name, tandem, &arguments, &log)?;
            let [client, _, _, sentinel, admin] = *ports else { anyhow::bail!("five ports") };
            Ok(Node { name, client, admin, sentinel, process })
        };
        let nodes = [node("a", of_a)?, node("b", of_b)?];
        let mut pair = Self { nodes, mediator, kind, struck: None };
        pair.wait_whole()?;
        Ok(pair)
    }

    /// The node that serves, and what it says of itself.
    fn primary(&mut self) -> anyhow::Result<(&mut Node, Value)> {
        for node in &mut self.nodes {
            if let Ok(status) = http_json(node.admin, "/api/v1/status")
                && text(&status, "/role") == "primary"
            {
                return Ok((node, status));
            }
        }
        anyhow::bail!("no node says that it is primary")
    }

    fn look(&mut self) -> anyhow::Result<SocketAddr> {
        let mut primary = None;
        for node in &mut self.nodes {
            node.process.check()?;
            let status = http_json(node.admin, "/api/v1/status")
                .with_context(|| format!("ask node {}", node.name))?;
            let role = text(&status, "/role");
            let is = |pointer: &str| status.pointer(pointer) == Some(&Value::Bool(true));
            ensure!(is("/mediator/connected"), "node {} has no mediator", node.name);
            ensure!(is("/peer/connected"), "node {} has no peer", node.name);
            match role {
                "primary" => {
                    ensure!(is("/in_sync"), "the standby is not in sync yet");
                    primary = Some(node.client);
                }
                "standby" => {}
                _ => anyhow::bail!("node {} is {role}", node.name),
            }
        }
        primary.context("there is no primary")
    }
}

impl System for TandemPair {
    fn name(&self) -> String {
        format!("tandem, {}", self.kind)
    }

    fn sentinels(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| node.sentinel).collect()
    }

    fn wait_whole(&mut self) -> anyhow::Result<SocketAddr> {
        wait_until("both nodes are in sync", WHOLE_TIME_MAX, || self.look())
    }

    fn strike(&mut self, fault: Fault, at_last: &mut dyn FnMut()) -> anyhow::Result<()> {
        let (node, status) = self.primary()?;
        let pid = status.get("pid").and_then(Value::as_u64).context("no pid in the status")?;
        let pid = u32::try_from(pid)?;
        let name = node.name;
        at_last();
        match fault {
            Fault::KillNode => return send(pid, Signal::KILL),
            // The supervisor first: it could tell of the other's end.
            Fault::KillMachine => {
                node.process.signal(Signal::KILL)?;
                // It dies with its supervisor: it may be gone already.
                send(pid, Signal::KILL).ok();
            }
            Fault::Vanish => {
                node.process.signal(Signal::STOP)?;
                send(pid, Signal::STOP)?;
            }
        }
        self.struck = Some(name);
        Ok(())
    }

    fn bring_back(&mut self) -> anyhow::Result<()> {
        let Some(name) = self.struck.take() else { return Ok(()) }; // its supervisor has done it
        for node in self.nodes.iter_mut().filter(|node| node.name == name) {
            // The kernel ends the node with its supervisor, also one that stands still.
            node.process.start_again()?;
        }
        Ok(())
    }

    fn switch(&mut self) -> anyhow::Result<()> {
        let (node, _) = self.primary()?;
        ask(node.sentinel, &["SENTINEL", "FAILOVER", MASTER_NAME])?;
        Ok(())
    }

    fn kill_mediator(&mut self) -> anyhow::Result<()> {
        self.mediator.kill();
        Ok(())
    }

    fn start_mediator(&mut self) -> anyhow::Result<()> {
        self.mediator.start_again()
    }
}

fn node_config(name: &str, ports: &[SocketAddr], folder: &Path) -> anyhow::Result<String> {
    let [client, read, link, sentinel, admin] = ports else { anyhow::bail!("five ports") };
    let mut text = format!("[nodes.{name}]\nhost = \"127.0.0.1\"\n");
    for (key, address) in [
        ("client_port", client),
        ("read_port", read),
        ("link_port", link),
        ("sentinel_port", sentinel),
        ("admin_port", admin),
    ] {
        writeln!(text, "{key} = {}", address.port())?;
    }
    writeln!(text, "data_dir = \"{}\"", folder.join(name).display())?;
    Ok(text)
}

fn text<'a>(status: &'a Value, pointer: &str) -> &'a str {
    status.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}
