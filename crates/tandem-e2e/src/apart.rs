//! A pair without a mediator process, each node on a machine of its own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::net::{INTERFACE, Network, VIRTUAL_ADDRESS};
use crate::node::{ADMIN_TOKEN, Node, Ports, START_DEADLINE};
use crate::skip::skipped;
use crate::wait;

/// What a test wants; everything else is as the product has it by default.
#[derive(Clone, Debug, Default)]
pub struct ApartOptions {
    /// Lines of `[pair]` besides name and first primary.
    pub pair: Vec<String>,
    /// Lines of `[switch]`, `by` included.
    pub switch: Vec<String>,
    /// Lines of `[replication]`.
    pub replication: Vec<String>,
    /// Whole further sections.
    pub more: String,
    /// `[vip]` names [`VIRTUAL_ADDRESS`].
    pub virtual_address: bool,
}

impl ApartOptions {
    /// With these lines of `[switch]`.
    pub fn new(switch: &[&str]) -> Self {
        let switch = switch.iter().map(|&line| line.to_owned()).collect();
        Self { switch, ..Self::default() }
    }
}

/// Two nodes and their cables.
#[derive(Debug)]
pub struct Apart {
    /// The first primary.
    pub a: Node,
    /// The other one.
    pub b: Node,
    /// What connects them. After the processes: it goes when they are gone.
    pub net: Network,
    config: PathBuf,
    pub(crate) folder: TempDir,
}

/// Machines, and a folder with the nodes' secrets; `None` where this machine has no namespaces, and `test`
/// was noted as skipped.
pub(crate) fn machines(test: &str) -> Option<(Network, TempDir)> {
    let net = match Network::create() {
        Ok(net) => net,
        Err(reason) => {
            skipped(test, &reason);
            return None;
        }
    };
    let folder = TempDir::with_prefix("tandem-e2e-").expect("a temporary folder");
    for (file, text) in [("token", ADMIN_TOKEN), ("secret", "e2e-peer-secret")] {
        let path = folder.path().join(file);
        std::fs::write(&path, text).expect("the folder is writable");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("the file is ours");
    }
    Some((net, folder))
}

impl Apart {
    /// Machines and configuration; nothing runs. `None` where this machine has no namespaces.
    pub fn prepare(name: &str, options: &ApartOptions) -> Option<Self> {
        let (net, folder) = machines(name)?;
        let root = folder.path();
        let config = root.join("tandem.toml");
        std::fs::write(&config, config_text(options, root, &net)).expect("the folder is writable");
        let node = |name: &'static str| {
            let log = root.join(format!("{name}.log"));
            Node::new(name, Ports::DEFAULT, &config, &root.join(name), &log)
        };
        let (a, b) = (node("a").on(&net.a), node("b").on(&net.b));
        Some(Self { a, b, net, config, folder })
    }

    /// Both nodes run and are in sync.
    #[track_caller]
    pub fn start(name: &'static str, options: &ApartOptions) -> Option<Self> {
        let mut pair = Self::prepare(name, options)?;
        pair.a.spawn();
        pair.b.spawn();
        pair.wait_in_sync();
        Some(pair)
    }

    /// The configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The folder of everything.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Waits until one node is primary, the other follows, and the in-sync set holds both.
    #[track_caller]
    pub fn wait_in_sync(&self) {
        wait::until("the pair is in sync", START_DEADLINE, || {
            let (a, b) = (self.a.try_status(), self.b.try_status());
            let (Ok(a), Ok(b)) = (a, b) else { return Err("a node gives no status".to_owned()) };
            let (first, second) = if a.role() == "primary" { (&a, &b) } else { (&b, &a) };
            let whole = first.role() == "primary" && first.is("in_sync");
            if whole && second.role() == "standby" {
                return Ok(());
            }
            Err(format!("a: {}\nb: {}", a.json, b.json))
        });
    }
}

fn config_text(options: &ApartOptions, root: &Path, net: &Network) -> String {
    let lines = |lines: &[String]| lines.iter().fold(String::new(), |all, line| all + line + "\n");
    let nodes: String = [&net.a, &net.b]
        .map(|host| {
            let (name, ip, data) = (host.name(), host.ip(), root.join(host.name()));
            format!("[nodes.{name}]\nhost = \"{ip}\"\ndata_dir = \"{}\"\n", data.display())
        })
        .concat();
    let [a, b, c, d] = VIRTUAL_ADDRESS;
    let vip = if options.virtual_address {
        format!("[vip]\naddress = \"{a}.{b}.{c}.{d}/24\"\ninterface = \"{INTERFACE}\"\n")
    } else {
        String::new()
    };
    format!(
        "[pair]\nname = \"main\"\ninitial_primary = \"a\"\n{}{nodes}{vip}[replication]\n{}[switch]\n{}\
         [auth]\ninsecure = true\nadmin_token_file = \"{}\"\npeer_secret_file = \"{}\"\n{}\n",
        lines(&options.pair),
        lines(&options.replication),
        lines(&options.switch),
        root.join("token").display(),
        root.join("secret").display(),
        options.more,
    )
}
