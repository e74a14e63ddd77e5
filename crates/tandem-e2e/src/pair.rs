//! Two nodes with one configuration file, as they are run on two machines.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::node::{ADMIN_TOKEN, Node, Ports, Said};
use crate::proxy::Proxy;

/// What a test wants its pair to be. Everything else is as the product has it by default.
#[derive(Clone, Debug)]
pub struct PairOptions {
    /// `primary-standby` or `primary-replica`.
    pub topology: &'static str,
    /// Lines of `[replication]`, such as `acknowledge = "durable"`.
    pub replication: Vec<String>,
    /// `switch.by`.
    pub by: &'static str,
    /// Lines of `[switch]` besides that.
    pub switch: Vec<String>,
    /// Whole further sections.
    pub more: String,
    /// Where the data of a and b goes, if not into the test's temporary folder.
    pub data: [Option<PathBuf>; 2],
}

impl Default for PairOptions {
    fn default() -> Self {
        Self {
            topology: "primary-replica",
            replication: Vec::new(),
            by: "manual",
            switch: Vec::new(),
            more: String::new(),
            data: [None, None],
        }
    }
}

impl PairOptions {
    /// A pair with `topology`.
    pub fn new(topology: &'static str) -> Self {
        Self { topology, ..Self::default() }
    }

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
}

/// Two nodes, `a` (the first primary) and `b`.
#[derive(Debug)]
pub struct Pair {
    /// The first primary.
    pub a: Node,
    /// The other one.
    pub b: Node,
    config: PathBuf,
    // Last: removed after the processes are gone.
    folder: Option<TempDir>,
}

impl Pair {
    /// Writes the configuration; starts nothing.
    pub fn prepare(options: &PairOptions) -> Self {
        let folder = TempDir::with_prefix("tandem-e2e-").expect("a temporary folder");
        let root = folder.path();
        let config = root.join("tandem.toml");
        let names = ["a", "b"];
        let ports = [Ports::draw(), Ports::draw()];
        let data: Vec<PathBuf> = options
            .data
            .iter()
            .zip(names)
            .map(|(own, name)| own.clone().unwrap_or_else(|| root.join(name)))
            .collect();
        std::fs::write(root.join("token"), ADMIN_TOKEN).expect("the folder is writable");
        let text = config_text(options, root, ports, [&data[0], &data[1]]);
        std::fs::write(&config, text).expect("the folder is writable");
        let node = |index: usize| {
            let log = root.join(format!("{}.log", names[index]));
            Node::new(names[index], ports[index], &config, &data[index], &log)
        };
        let (a, b) = (node(0), node(1));
        let keep = std::env::var_os("TANDEM_E2E_KEEP").is_some();
        let folder = if keep {
            drop(folder.keep());
            None
        } else {
            Some(folder)
        };
        Self { a, b, config, folder }
    }

    /// Starts both and waits until they are in sync.
    #[track_caller]
    pub fn start(options: &PairOptions) -> Self {
        let mut pair = Self::prepare(options);
        pair.a.start();
        pair.b.start();
        pair.wait_in_sync();
        pair
    }

    /// The same, but b reaches the client port of a by way of a proxy.
    #[track_caller]
    pub fn start_with_proxy(options: &PairOptions) -> (Self, Proxy) {
        let mut pair = Self::prepare(options);
        let proxy = Proxy::start(pair.a.address());
        let text = std::fs::read_to_string(&pair.config).expect("it was written");
        let text = text.replacen(
            &format!("client_port = {}", pair.a.ports().client),
            &format!("client_port = {}", proxy.address().port()),
            1,
        );
        let folder = pair.config.with_file_name("");
        let config = folder.join("b.toml");
        std::fs::write(&config, text).expect("the folder is writable");
        // Two new nodes begin a pair only with the same configuration.
        pair.a.start();
        pair.b.start();
        pair.wait_in_sync();
        assert_eq!(pair.b.terminate(), Some(0), "{}", pair.b.log());
        let data = pair.b.data().to_owned();
        pair.b = Node::new("b", pair.b.ports(), &config, &data, &folder.join("b.log"));
        pair.b.start();
        pair.wait_in_sync();
        (pair, proxy)
    }

    /// Starts only `a`, which by a person's word (`tandem solo`) begins without its peer.
    #[track_caller]
    pub fn start_alone(options: &PairOptions) -> Self {
        let mut pair = Self::prepare(options);
        pair.a.start();
        let said = pair.a.verb(&["solo"]);
        assert_eq!(said.code, 0, "solo: {said:?}");
        pair.a.wait_role("primary");
        pair
    }

    /// Waits until one node is primary, the other follows, and the in-sync set holds both.
    #[track_caller]
    pub fn wait_in_sync(&self) {
        let follows = |role: &str| role == "standby" || role == "replica";
        crate::wait::until("the pair is in sync", crate::node::START_DEADLINE, || {
            let a = self.a.try_status().map_err(|error| error.to_string())?;
            let b = self.b.try_status().map_err(|error| error.to_string())?;
            let (first, second) = if a.role() == "primary" { (&a, &b) } else { (&b, &a) };
            if first.role() == "primary" && follows(second.role()) && first.is("in_sync") {
                return Ok(());
            }
            Err(format!("a: {}\nb: {}", a.json, b.json))
        });
    }

    /// Both client addresses, `a` first.
    pub fn addresses(&self) -> [SocketAddr; 2] {
        [self.a.address(), self.b.address()]
    }

    /// The configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The folder of everything that is not data given from outside.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(TempDir::path)
    }

    /// `tandem promote` on `b` that must succeed; `a` must be gone.
    #[track_caller]
    pub fn promote_b(&self, words: &[&str]) -> Said {
        let mut arguments = vec!["promote"];
        arguments.extend(words);
        let said = self.b.verb(&arguments);
        assert_eq!(said.code, 0, "promote: {said:?}\n{:?}", self.b.try_status());
        self.b.wait_role("primary");
        said
    }
}

fn config_text(options: &PairOptions, root: &Path, ports: [Ports; 2], data: [&Path; 2]) -> String {
    let mut text = format!(
        "[pair]\nname = \"main\"\ntopology = \"{}\"\ninitial_primary = \"a\"\n\n",
        options.topology
    );
    for (index, name) in ["a", "b"].iter().enumerate() {
        let Ports { client, read, link, sentinel, admin } = ports[index];
        write!(
            text,
            "[nodes.{name}]\nhost = \"127.0.0.1\"\nclient_port = {client}\nread_port = {read}\n\
             link_port = {link}\nsentinel_port = {sentinel}\nadmin_port = {admin}\n\
             data_dir = \"{}\"\n\n",
            data[index].display()
        )
        .expect("writing into a String cannot fail");
    }
    let lines = |lines: &[String]| lines.iter().fold(String::new(), |all, line| all + line + "\n");
    write!(
        text,
        "[replication]\n{}\n[switch]\nby = \"{}\"\n{}\n[auth]\nadmin_token_file = \"{}\"\n\n{}\n",
        lines(&options.replication),
        options.by,
        lines(&options.switch),
        root.join("token").display(),
        options.more
    )
    .expect("writing into a String cannot fail");
    text
}
