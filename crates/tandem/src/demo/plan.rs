//! Ports, files and configuration of the demonstration.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::child::Order;
use crate::cli::{DemoOptions, DemoSwitch};

/// Where the search for free ports begins, and the distance between two tries.
const BASE_PORT: u16 = 7000;
const BASE_STEP: u16 = 100;
const BASE_TRIES: u16 = 20;
/// Ports of the second node begin this much higher.
const NODE_STEP: u16 = 10;
/// The witness' port, after those of the first node.
const WITNESS_STEP: u16 = 6;

/// One node's ports, all on 127.0.0.1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) name: &'static str,
    pub(crate) client: u16,
    pub(crate) read: u16,
    pub(crate) link: u16,
    pub(crate) sentinel: u16,
    pub(crate) admin: u16,
}

impl Ports {
    const fn from(name: &'static str, first: u16) -> Self {
        Self {
            name,
            client: first,
            read: first + 1,
            link: first + 2,
            admin: first + 4,
            sentinel: first + 5,
        }
    }

    fn are_free(self) -> bool {
        [self.client, self.read, self.link, self.admin, self.sentinel].into_iter().all(is_free)
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

/// Who moves the primary.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Switching {
    /// A person.
    Manual,
    /// The rules, with a witness.
    Mediator,
    /// Nobody: both nodes are primary.
    Nobody,
}

/// Everything that is fixed before a process starts.
pub(crate) struct Plan {
    pub(crate) folder: PathBuf,
    pub(crate) program: PathBuf,
    pub(crate) topology: String,
    pub(crate) switching: Switching,
    pub(crate) ports: [Ports; 2],
    pub(crate) witness: u16,
}

impl Plan {
    pub(crate) fn new(options: &DemoOptions, folder: &Path) -> anyhow::Result<Self> {
        let both = options.topology == "primary-primary";
        if both && options.switch == Some(DemoSwitch::Mediator) {
            bail!(
                "with --topology primary-primary both nodes are primary and nobody switches; leave --switch out"
            );
        }
        let ports = ports(options.base_port)?;
        let [Ports { client: base, .. }, _] = ports;
        Ok(Self {
            folder: folder.to_path_buf(),
            program: std::env::current_exe().context("find this program")?,
            topology: options.topology.clone(),
            switching: match options.switch {
                _ if both => Switching::Nobody,
                Some(DemoSwitch::Manual) => Switching::Manual,
                Some(DemoSwitch::Mediator) | None => Switching::Mediator,
            },
            ports,
            witness: base + WITNESS_STEP,
        })
    }

    /// How a node is started.
    pub(crate) fn node(&self, name: &str) -> Order {
        let mut arguments: Vec<OsString> = vec!["serve".into(), "--node".into(), name.into()];
        arguments.extend(["--config".into(), self.config_file().into()]);
        Order { program: self.program.clone(), arguments, log: self.log_file(name) }
    }

    /// How the witness is started.
    pub(crate) fn witness(&self) -> Order {
        let mut arguments: Vec<OsString> = vec!["witness".into()];
        arguments.extend(["--listen".into(), format!("127.0.0.1:{}", self.witness).into()]);
        arguments.extend(["--data-dir".into(), self.folder.join("witness").into()]);
        Order { program: self.program.clone(), arguments, log: self.log_file("witness") }
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.join("tandem.toml")
    }

    pub(crate) fn log_file(&self, node: &str) -> PathBuf {
        self.folder.join(format!("{node}.log"))
    }

    pub(crate) fn config_text(&self) -> String {
        let mut text = format!(
            "# Written by `tandem demo`.\n[pair]\nname = \"demo\"\ntopology = \"{}\"\n",
            self.topology
        );
        if self.switching != Switching::Nobody {
            text.push_str("initial_primary = \"a\"\n");
        }
        for ports in self.ports {
            let Ports { name, client, read, link, admin, sentinel } = ports;
            let data = toml_text(&self.folder.join(name));
            let section = format!(
                "\n[nodes.{name}]\nhost = \"127.0.0.1\"\nclient_port = {client}\nread_port = {read}\n\
                 link_port = {link}\nsentinel_port = {sentinel}\nadmin_port = {admin}\ndata_dir = {data}\n"
            );
            text.push_str(&section);
        }
        text.push_str("\n[replication]\nacknowledge = \"durable\"\n");
        if self.switching == Switching::Mediator {
            // Whoever tries things does not want to wait half a minute between two of them.
            text.push_str("\n[switch]\nby = \"mediator\"\nmin_interval = \"3s\"\n");
            let section = format!(
                "\n[switch.mediator]\nkind = \"witness\"\nendpoints = [\"127.0.0.1:{}\"]\n",
                self.witness
            );
            text.push_str(&section);
        }
        text
    }
}

/// A path as a TOML basic string.
fn toml_text(path: &Path) -> String {
    let escaped = path.display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// The wanted ports, or the first free ones.
fn ports(wanted: Option<u16>) -> anyhow::Result<[Ports; 2]> {
    let pair = |base: u16| [Ports::from("a", base), Ports::from("b", base + NODE_STEP)];
    let highest = u16::MAX - 2 * NODE_STEP;
    if let Some(base) = wanted {
        if base == 0 || base > highest {
            bail!("--base-port {base} leaves no room for the ports; give 1 to {highest}");
        }
        let pair = pair(base);
        if !all_free(&pair) {
            bail!(
                "a port between {base} and {} is taken; give another --base-port",
                base + 2 * NODE_STEP
            );
        }
        return Ok(pair);
    }
    (0..BASE_TRIES)
        .map(|attempt| pair(BASE_PORT + attempt * BASE_STEP))
        .find(all_free)
        .context("no free ports from 7000 on; give --base-port")
}

fn all_free(pair: &[Ports; 2]) -> bool {
    let witness = pair[0].client + WITNESS_STEP;
    pair.iter().all(|ports| ports.are_free()) && is_free(witness)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_it_writes_is_valid() {
        let manners = [
            ("primary-standby", Switching::Manual),
            ("primary-replica", Switching::Manual),
            ("primary-replica", Switching::Mediator),
            ("primary-primary", Switching::Nobody),
        ];
        for (topology, switching) in manners {
            let plan = Plan {
                switching,
                witness: 7006,
                folder: PathBuf::from("/tmp/a \"quoted\" folder"),
                program: PathBuf::from("tandem"),
                topology: topology.to_owned(),
                ports: [Ports::from("a", 7000), Ports::from("b", 7010)],
            };
            let config = tandem_config::load(&plan.config_text(), []).unwrap();
            config.supported().unwrap();
            assert_eq!(config.nodes.b.client_port, 7010);
        }
    }
}
