//! Where a pair of the lab lives: loopback addresses, ports, files, configuration.
//!
//! All of 127.0.0.0/8 is this machine's, so every pair has addresses of its own and the same ports, and no
//! two of them, nor two labs, ever meet:
//!
//! ```text
//! 127.LAB.PAIR.1, .2    where the nodes are reached: the line (`line`)
//! 127.LAB.PAIR.11, .12  where they listen
//! 127.LAB.PAIR.3        the witness
//! 127.LAB.0.1           taken by this lab as long as it runs
//! ```

use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::child::Order;
use crate::cli::LabMediator;
use crate::human;
use crate::lab::architecture::Architecture;
use crate::lab::line::Way;

/// The nodes' names, in the order of their places.
pub(crate) const NAMES: [&str; 2] = ["a", "b"];

const CLIENT: u16 = 0;
const READ: u16 = 1;
const LINK: u16 = 2;
const WITNESS: u16 = 3;
const ADMIN: u16 = 4;
const SENTINEL: u16 = 5;
/// Held by the lab itself.
const OWN: u16 = 6;
const PORTS: u16 = 7;

/// Below the ports that systems give to connections; where the search begins, its step and its end.
const BASE_PORT: u16 = 17_100;
const BASE_STEP: u16 = 100;
const BASE_TRIES: u16 = 50;
/// Second numbers of addresses that a lab may have; the first is what everybody uses.
const OCTETS: std::ops::Range<u8> = 32..224;

/// The part of loopback that is this lab's.
#[derive(Debug)]
pub(crate) struct Net {
    octet: u8,
    base: u16,
    _taken: TcpListener,
}

impl Net {
    /// Takes a free part. Ports that somebody else has on every address are avoided.
    pub(crate) fn take() -> anyhow::Result<Self> {
        let begin = std::process::id() % u32::from(OCTETS.end - OCTETS.start);
        let begin = OCTETS.start + u8::try_from(begin).unwrap_or(0);
        for octet in (begin..OCTETS.end).chain(OCTETS.start..begin) {
            let free = |base: &u16| {
                (0..OWN).all(|port| {
                    TcpListener::bind((Ipv4Addr::new(127, octet, 0, 1), base + port)).is_ok()
                })
            };
            let Some(base) =
                (0..BASE_TRIES).map(|attempt| BASE_PORT + attempt * BASE_STEP).find(free)
            else {
                continue;
            };
            if let Ok(taken) = TcpListener::bind((Ipv4Addr::new(127, octet, 0, 1), base + OWN)) {
                return Ok(Self { octet, base, _taken: taken });
            }
        }
        anyhow::bail!(
            "no free addresses and ports on loopback ({PORTS} ports from {BASE_PORT} on, in steps of {BASE_STEP}); \
             is the interface lo up?"
        )
    }
}

/// Everything about one pair that is fixed before a process starts.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its directory.
    pub(crate) folder: PathBuf,
    program: PathBuf,
    octets: [u8; 2],
    base: u16,
    /// Third parties that run already.
    mediators: Vec<LabMediator>,
}

impl Place {
    /// The pair of this number, from 1 on.
    pub(crate) fn new(
        net: &Net,
        number: u8,
        folder: PathBuf,
        mediators: &[LabMediator],
    ) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find this program")?;
        let (octets, mediators) = ([net.octet, number], mediators.to_vec());
        Ok(Self { folder, program, octets, base: net.base, mediators })
    }

    fn ip(&self, last: u8) -> IpAddr {
        let [lab, pair] = self.octets;
        Ipv4Addr::new(127, lab, pair, last).into()
    }

    /// Where the node of this place is reached by the other one.
    fn host(&self, node: u8) -> IpAddr {
        self.ip(1 + node)
    }

    /// Where it listens.
    fn bind(&self, node: u8) -> IpAddr {
        self.ip(11 + node)
    }

    fn witness(&self) -> SocketAddr {
        SocketAddr::new(self.ip(3), self.base + WITNESS)
    }

    /// Both client addresses.
    pub(crate) fn clients(&self) -> [String; 2] {
        [0, 1].map(|node| SocketAddr::new(self.bind(node), self.base + CLIENT).to_string())
    }

    /// Both admin ports.
    pub(crate) fn admins(&self) -> [String; 2] {
        [0, 1].map(|node| format!("http://{}", SocketAddr::new(self.bind(node), self.base + ADMIN)))
    }

    /// What passes on the line between the nodes.
    pub(crate) fn ways(&self) -> Vec<Way> {
        let way = |node: u8, port: u16| Way {
            from: SocketAddr::new(self.host(node), self.base + port),
            to: SocketAddr::new(self.bind(node), self.base + port),
        };
        [0, 1].into_iter().flat_map(|node| [way(node, LINK), way(node, CLIENT)]).collect()
    }

    /// How a node is started.
    pub(crate) fn node(&self, name: &str) -> Order {
        let mut arguments: Vec<OsString> = vec!["serve".into(), "--node".into(), name.into()];
        arguments.extend(["--config".into(), self.config_file().into()]);
        self.order(arguments, name)
    }

    /// How the witness is started.
    pub(crate) fn witness_order(&self) -> Order {
        let mut arguments: Vec<OsString> = vec!["witness".into()];
        arguments.extend(["--listen".into(), self.witness().to_string().into()]);
        arguments.extend(["--data-dir".into(), self.folder.join("witness").into()]);
        self.order(arguments, "witness")
    }

    fn order(&self, arguments: Vec<OsString>, name: &str) -> Order {
        let log = self.folder.join(format!("{name}.log"));
        Order { program: self.program.clone(), arguments, log }
    }

    /// The pair's configuration.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.join("tandem.toml")
    }

    /// Holds the process id of a node's supervisor while it runs: what a power switch knows of a machine.
    pub(crate) fn power_file(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.power"))
    }

    /// What the nodes read. All that is not here is as it is by default.
    pub(crate) fn config_text(&self, row: &Architecture) -> String {
        let mut text = format!(
            "# Written by `tandem lab`: {}.\n[pair]\nname = \"lab-{}-{}\"\ntopology = \"{}\"\n",
            row.says,
            human::now_millis(),
            self.octets[1],
            row.topology
        );
        if !row.two_writers() {
            text.push_str("initial_primary = \"a\"\n");
        }
        for (node, name) in (0..).zip(NAMES) {
            let (host, bind) = (self.host(node), self.bind(node));
            let port = |port: u16| self.base + port;
            // Writing into a String cannot fail.
            let _written = write!(
                text,
                "\n[nodes.{name}]\nhost = \"{host}\"\nbind = \"{bind}\"\nadmin_bind = \"{bind}\"\n\
                 client_port = {}\nread_port = {}\nlink_port = {}\nsentinel_port = {}\nadmin_port = {}\n\
                 data_dir = {}\n",
                port(CLIENT),
                port(READ),
                port(LINK),
                port(SENTINEL),
                port(ADMIN),
                toml_text(&self.folder.join(name).display().to_string())
            );
        }
        if !row.two_writers() {
            let _written = write!(text, "\n[switch]\nby = \"{}\"\n", row.by);
        }
        if row.may_split {
            text.push_str("on_silence = \"take-over\"\n");
        }
        if row.fence {
            let _written = writeln!(text, "fence = {}", toml_text(&self.fence()));
        }
        if !row.mediator.is_empty() {
            let _written = write!(
                text,
                "\n[switch.mediator]\nkind = \"{}\"\nendpoints = [{}]\nsession = \"{}\"\n",
                row.mediator,
                self.endpoints(row),
                row.session
            );
        }
        text
    }

    /// Where the third party is, as a list in TOML.
    fn endpoints(&self, row: &Architecture) -> String {
        if row.has_witness() {
            return toml_text(&self.witness().to_string());
        }
        let given = self.mediators.iter().filter(|it| it.kind == row.mediator);
        given.map(|it| toml_text(&it.endpoint)).collect::<Vec<String>>().join(", ")
    }

    /// A power switch: what runs on the other machine ends, and that is certain. Nothing there is certain too.
    fn fence(&self) -> String {
        let folder = shell_text(&self.folder);
        format!("p=$(cat {folder}/$TANDEM_PEER.power); [ -z \"$p\" ] || kill -9 $p; exit 0")
    }
}

/// A TOML basic string.
fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A path as one word of the shell.
fn shell_text(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::architecture::ARCHITECTURES;

    #[test]
    fn the_configurations_it_writes_are_valid_and_what_the_table_says() {
        for row in &ARCHITECTURES {
            let place = Place {
                folder: PathBuf::from("/tmp/a \"quoted\" folder's"),
                program: PathBuf::from("tandem"),
                octets: [40, 2],
                base: 17_100,
                mediators: vec![
                    "etcd=127.0.0.1:2379".parse().unwrap(),
                    "zookeeper=127.0.0.1:2181".parse().unwrap(),
                ],
            };
            let config = tandem_config::load(&place.config_text(row), []).unwrap();
            config.supported().unwrap();
            assert_eq!(config.pair.topology.as_str(), row.topology);
            assert_eq!(config.nodes.b.host, "127.40.2.2");
            assert_eq!(config.nodes.b.bind, "127.40.2.12");
            assert_eq!(config.switch.fence.is_some(), row.fence);
            assert_eq!(config.switch.on_silence.as_str() == "take-over", row.may_split);
            assert_eq!(config.without_effect(), Vec::<String>::new(), "{row:?}");
        }
    }

    #[test]
    fn two_labs_have_different_addresses() {
        let (one, other) = (Net::take().unwrap(), Net::take().unwrap());
        assert_ne!(one.octet, other.octet);
    }
}
