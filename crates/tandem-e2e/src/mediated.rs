//! A pair whose primary is chosen through a mediator, each part on a machine of its own.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use crate::apart::machines;
use crate::audit::{self, Audited};
use crate::load::{Load, LoadOptions, Report};
use crate::mediator::{Mediator, MediatorKind};
use crate::net::{INTERFACE, Network, VIRTUAL_ADDRESS};
use crate::node::{Node, Ports, START_DEADLINE, Said};
use crate::rng::Rng;
use crate::wait;

/// Until writes are acknowledged again after a fault: the longest time-outs of the pair and a busy machine.
pub const RECOVERY: Duration = Duration::from_secs(20);

/// What a test wants; everything else is as the product has it by default.
#[derive(Clone, Debug, Default)]
pub struct MediatedOptions {
    /// The third party; `None`: as the environment says.
    pub kind: Option<MediatorKind>,
    /// Lines of `[replication]`.
    pub replication: Vec<String>,
    /// Lines of `[switch]` besides `by`.
    pub switch: Vec<String>,
    /// Lines of `[switch.mediator]` besides kind and endpoints.
    pub mediator: Vec<String>,
    /// Whole further sections.
    pub more: String,
    /// The primary holds [`VIRTUAL_ADDRESS`].
    pub virtual_address: bool,
    /// Where the data of a and b goes, if not into the test's temporary folder.
    pub data: [Option<PathBuf>; 2],
    /// Put in front of a and b.
    pub wrapper: [Vec<String>; 2],
}

impl MediatedOptions {
    /// Adds a line to `[replication]`.
    #[must_use]
    pub fn replication(mut self, line: &str) -> Self {
        self.replication.push(line.to_owned());
        self
    }

    /// Adds a line to `[switch]`.
    #[must_use]
    pub fn switch(mut self, line: &str) -> Self {
        self.switch.push(line.to_owned());
        self
    }

    /// Adds a line to `[switch.mediator]`.
    #[must_use]
    pub fn mediator(mut self, line: &str) -> Self {
        self.mediator.push(line.to_owned());
        self
    }
}

/// Two nodes, a mediator and clients.
#[derive(Debug)]
pub struct MediatedPair {
    /// The first primary.
    pub a: Node,
    /// The other one.
    pub b: Node,
    /// The third party.
    pub mediator: Box<dyn Mediator>,
    /// What connects them. After the processes: it goes when they are gone.
    pub net: Network,
    name: &'static str,
    folder: TempDir,
}

impl MediatedPair {
    /// All of it running and in sync; `None` where this machine has no namespaces (said in the test's name).
    #[track_caller]
    pub fn start(name: &'static str, options: &MediatedOptions) -> Option<Self> {
        let mut pair = Self::prepare(name, options)?;
        pair.mediator.start();
        pair.a.spawn();
        pair.b.spawn();
        pair.wait_in_sync();
        Some(pair)
    }

    /// Machines and configuration; nothing runs.
    pub fn prepare(name: &'static str, options: &MediatedOptions) -> Option<Self> {
        let (net, folder) = machines(name)?;
        let root = folder.path();
        let kind = options.kind.unwrap_or_else(MediatorKind::from_environment);
        let mediator = kind.prepare(&net.m, root, &root.join("secret"));
        let data = |index: usize, name: &str| {
            options.data[index].clone().unwrap_or_else(|| root.join(name))
        };
        let data = [data(0, "a"), data(1, "b")];
        let config = root.join("tandem.toml");
        let text = config_text(options, root, &net, mediator.as_ref(), &data);
        std::fs::write(&config, text).expect("the folder is writable");
        let node = |index: usize, name: &'static str| {
            let log = root.join(format!("{name}.log"));
            let mut node = Node::new(name, Ports::DEFAULT, &config, &data[index], &log);
            let words: Vec<&str> = options.wrapper[index].iter().map(String::as_str).collect();
            node.set_wrapper(&words);
            node
        };
        let (a, b) = (node(0, "a").on(&net.a), node(1, "b").on(&net.b));
        Some(Self { a, b, mediator, net, name, folder })
    }

    /// The folder of everything that is not data given from outside.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Both client addresses, `a` first.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        [self.a.address(), self.b.address()]
    }

    /// Waits until one node is primary, the other follows, and the in-sync set holds both.
    #[track_caller]
    pub fn wait_in_sync(&mut self) {
        wait::until("the pair is in sync", START_DEADLINE, || {
            for node in [&mut self.a, &mut self.b] {
                node.process().assert_running();
            }
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

    /// Waits until `node` is primary and goes on without the other one.
    #[track_caller]
    pub fn wait_alone(&self, node: &Node) {
        node.wait_status("goes on alone", |status| {
            status.role() == "primary" && !status.is("in_sync") && !status.is("stalled")
        });
    }

    /// The primary and the other one.
    #[track_caller]
    pub fn by_role(&self) -> (&Node, &Node) {
        wait::until("a node is primary", START_DEADLINE, || {
            [(&self.a, &self.b), (&self.b, &self.a)]
                .into_iter()
                .find(|(node, _)| node.try_status().is_ok_and(|it| it.role() == "primary"))
                .ok_or("none")
        })
    }

    /// Clients that write and read all the time. Few of them, with short rests: the search that judges
    /// their histories takes exponential time in those that overlap.
    pub fn load(&self) -> Load {
        self.load_with(&self.addresses(), |_| {})
    }

    /// The same with addresses of their own choice and other options.
    pub fn load_with(
        &self,
        addresses: &[SocketAddr],
        adjust: impl FnOnce(&mut LoadOptions),
    ) -> Load {
        let mut options = load_options(self.name);
        adjust(&mut options);
        let load = Load::start(&options, addresses);
        load.wait_for_more(100, RECOVERY);
        load
    }

    /// A verb of the command line, sent to `node`, that must succeed.
    #[track_caller]
    pub fn must(&self, node: &Node, words: &[&str]) -> Said {
        let said = node.verb(words);
        assert_eq!(said.code, 0, "{words:?} on {}: {said:?}", node.name());
        said
    }

    /// Ends `load` and judges it: nothing acknowledged is lost, nothing refused is there, all of it was
    /// linearizable, and the role to acknowledge moved at most `changes` times. Both nodes must be up: the
    /// data of each is looked at, by way of a planned change of primary.
    #[track_caller]
    pub fn judge(&mut self, load: Load, changes: usize) -> Report {
        let report = load.stop();
        self.judge_report(&report, changes);
        report
    }

    /// As [`Self::judge`], of a load that has ended.
    #[track_caller]
    pub fn judge_report(&mut self, report: &Report, changes: usize) {
        let chain = report.acknowledgers();
        let seen = chain.len().saturating_sub(1);
        assert!(seen <= changes, "acknowledged by turns: {chain:?}");
        self.wait_in_sync();
        let (primary, other) = self.by_role();
        let audited = self.look(report, primary);
        self.must(primary, &["switch"]);
        other.wait_role("primary");
        self.look(report, other);
        let (name, silence) = (self.name, report.longest_silence);
        say(&format!("{name}: {audited:?}, silence {silence:?}, errors {:?}", report.errors));
    }

    /// What `node` has against what the clients of `report` know.
    #[track_caller]
    pub fn look(&self, report: &Report, node: &Node) -> Audited {
        let mut client = node.client();
        wait::until("the primary answers", RECOVERY, || {
            let reply = client.command(&["PING"]).map_err(|error| error.to_string())?;
            reply.error().map_or(Ok(()), |error| Err(error.to_owned()))
        });
        let audited = audit::assert_nothing_lost(report, &mut client);
        audit::assert_linearizable(report);
        audited
    }

    /// Address that is always the primary's.
    pub fn virtual_address(&self) -> SocketAddr {
        (VIRTUAL_ADDRESS, Ports::DEFAULT.client).into()
    }
}

fn load_options(name: &str) -> LoadOptions {
    let seed = Rng::seed_from_environment();
    say(&format!("{name}: TANDEM_E2E_SEED={seed}"));
    LoadOptions {
        clients: 8,
        seed,
        keys_per_client: 4,
        counters: 2,
        registers: 8,
        value_bytes: 0,
        reply_timeout: Duration::from_secs(1),
        pause: Duration::from_millis(4),
    }
}

fn say(line: &str) {
    use std::io::Write as _;
    // Nothing can be done about a closed standard error.
    writeln!(std::io::stderr(), "{line}").ok();
}

fn config_text(
    options: &MediatedOptions,
    root: &Path,
    net: &Network,
    mediator: &dyn Mediator,
    data: &[PathBuf; 2],
) -> String {
    let lines = |lines: &[String]| lines.iter().fold(String::new(), |all, line| all + line + "\n");
    let mut text = "[pair]\nname = \"main\"\ninitial_primary = \"a\"\n\n".to_owned();
    for (host, data) in [&net.a, &net.b].into_iter().zip(data) {
        let (name, ip, data) = (host.name(), host.ip(), data.display());
        write!(text, "[nodes.{name}]\nhost = \"{ip}\"\ndata_dir = \"{data}\"\n\n")
            .expect("writing into a String cannot fail");
    }
    if options.virtual_address {
        let [a, b, c, d] = VIRTUAL_ADDRESS;
        write!(text, "[vip]\naddress = \"{a}.{b}.{c}.{d}/24\"\ninterface = \"{INTERFACE}\"\n\n")
            .expect("writing into a String cannot fail");
    }
    write!(
        text,
        "[replication]\n{}\n[switch]\nby = \"mediator\"\n{}\n[switch.mediator]\n{}{}\n\
         [auth]\ninsecure = true\nadmin_token_file = \"{}\"\npeer_secret_file = \"{}\"\n{}\n",
        lines(&options.replication),
        lines(&options.switch),
        mediator.config(),
        lines(&options.mediator),
        root.join("token").display(),
        root.join("secret").display(),
        options.more,
    )
    .expect("writing into a String cannot fail");
    text
}
