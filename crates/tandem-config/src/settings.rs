//! The typed configuration.

use std::path::PathBuf;
use std::time::Duration;

use tandem_types::{NodeId, Pair};

use crate::choice::{
    Acknowledge, Automation, ConflictPolicy, Failback, FsyncPolicy, MediatorKind, OnSilence, Reads,
    SplitBrain, SwitchBy, Topology, WhenLost, WithoutPeer,
};
use crate::layers::Values;
use crate::{Channel, ConfigError, Entry, Value, check};

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[pair]`
    pub pair: PairConfig,
    /// `[nodes.*]`; node A is the first in name order.
    pub nodes: Pair<NodeConfig>,
    /// `[replication]`
    pub replication: ReplicationConfig,
    /// `[switch]`
    pub switch: SwitchConfig,
    /// `[storage]`
    pub storage: StorageConfig,
    /// `[limits]`
    pub limits: LimitsConfig,
    /// `[vip]`, if an address is given.
    pub vip: Option<VipConfig>,
    /// `[tls]`, if a certificate is given.
    pub tls: Option<TlsConfig>,
    /// `[auth]`
    pub auth: AuthConfig,
    pub(crate) values: Values,
}

impl Config {
    /// Every effective value and where it came from, in the order of the reference.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.values.entries()
    }
}

/// `[pair]`
#[derive(Clone, Debug)]
pub struct PairConfig {
    /// The pair's name.
    pub name: String,
    /// What the second node is for.
    pub topology: Topology,
    /// Which node becomes primary when both data directories are empty.
    pub initial_primary: NodeId,
}

/// `[nodes.NAME]`
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// Its name.
    pub name: String,
    /// Where the peer and clients reach it.
    pub host: String,
    /// RESP.
    pub client_port: u16,
    /// Reads from whoever is left.
    pub read_port: Option<u16>,
    /// The peer.
    pub link_port: u16,
    /// Sentinel protocol.
    pub sentinel_port: Option<u16>,
    /// HTTP.
    pub admin_port: Option<u16>,
    /// Address to listen on for clients and the peer.
    pub bind: String,
    /// Address to listen on for HTTP.
    pub admin_bind: String,
    /// Where log and snapshots live.
    pub data_dir: PathBuf,
}

impl NodeConfig {
    /// `host:client_port`, as clients are told.
    pub fn client_address(&self) -> String {
        join_host_port(&self.host, self.client_port)
    }
}

/// `host:port`, with brackets around an IPv6 address.
pub(crate) fn join_host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// `[replication]`
#[derive(Clone, Debug)]
pub struct ReplicationConfig {
    /// When a write is answered.
    pub acknowledge: Acknowledge,
    /// What a primary without an in-sync peer does.
    pub without_peer: WithoutPeer,
    /// When the log is fsynced.
    pub fsync: FsyncPolicy,
    /// For [`FsyncPolicy::Interval`].
    pub fsync_interval: Duration,
    /// A replica older than this refuses reads; `None` = no bound.
    pub max_staleness: Option<Duration>,
    /// A replica passes writes on.
    pub forward_writes: bool,
    /// How a primary knows that its reads are current.
    pub reads: Reads,
    /// Bytes of log kept for a returning peer.
    pub log_retention: u64,
    /// Bytes kept of what merging decided.
    pub conflict_log_max: u64,
    /// How long it is kept.
    pub conflict_log_age: Duration,
}

/// `[switch]`
#[derive(Clone, Debug)]
pub struct SwitchConfig {
    /// Who moves the role.
    pub by: SwitchBy,
    /// How far automation goes.
    pub automation: Automation,
    /// A proposal that nobody confirms is dropped after this.
    pub confirm_timeout: Duration,
    /// Silence that counts as failure.
    pub failure_timeout: Duration,
    /// The primary tries to go on without a silent peer after this.
    pub solo_after: Duration,
    /// Answers slower than this count as failure; `None` = off.
    pub slow_after: Option<Duration>,
    /// This many starts within `restart_window` count as failure.
    pub max_restarts: u32,
    /// The time `max_restarts` looks back.
    pub restart_window: Duration,
    /// No second automatic switch sooner.
    pub min_interval: Duration,
    /// Whether the role returns by itself.
    pub failback: Failback,
    /// For [`Failback::Prefer`].
    pub failback_after: Duration,
    /// Bytes of missing log at which a switch is still allowed under [`Acknowledge::Local`].
    pub max_lag: u64,
    /// Longest pause of writes in a planned switch.
    pub hold: Duration,
    /// How long the old primary forwards.
    pub linger: Duration,
    /// What becomes of a returning primary's extra writes.
    pub conflicts: ConflictPolicy,
    /// Bytes of saved writes that one node keeps.
    pub conflicts_max: u64,
    /// Command that makes sure the old primary is off.
    pub fence: Option<String>,
    /// A silent peer and no fence.
    pub on_silence: OnSilence,
    /// The supervisor kills a node that gives no sign of life for this long; `None` = never.
    pub watchdog: Option<Duration>,
    /// `[switch.direct]`
    pub direct: DirectConfig,
    /// `[switch.mediator]`
    pub mediator: MediatorConfig,
    /// `[switch.probe]`
    pub probe: ProbeConfig,
}

impl SwitchConfig {
    /// The mediator moves the virtual address and keeps no record, so the pair is one without a third party.
    pub fn is_keepalived(&self) -> bool {
        self.by == SwitchBy::Mediator && self.mediator.kind == MediatorKind::Keepalived
    }

    /// The two nodes have nobody but one another to decide.
    pub fn is_unaided(&self) -> bool {
        matches!(self.by, SwitchBy::Direct | SwitchBy::Probe) || self.is_keepalived()
    }

    /// How often the nodes show a sign of life: five chances before silence counts.
    pub fn heartbeat(&self) -> Duration {
        heartbeat_of(self.failure_timeout)
    }

    /// How long a standby's promise not to serve lasts: half of the silence that counts as failure, so
    /// that waiting for its end never makes a take-over noticeably longer, and always less than a session.
    pub fn read_lease(&self) -> Duration {
        (self.failure_timeout / 2).min(self.mediator.session * 3 / 4)
    }
}

/// The heartbeat that goes with a `failure_timeout`.
pub(crate) fn heartbeat_of(failure_timeout: Duration) -> Duration {
    failure_timeout / 5
}

/// `[switch.direct]`
#[derive(Clone, Debug)]
pub struct DirectConfig {
    /// Every path on which the nodes hear one another.
    pub channels: Vec<Channel>,
    /// Which history wins when both served.
    pub split_brain: SplitBrain,
    /// Addresses that a node must reach to trust its own network.
    pub ping_targets: Vec<String>,
}

/// `[switch.mediator]`
#[derive(Clone, Debug)]
pub struct MediatorConfig {
    /// The third party.
    pub kind: MediatorKind,
    /// Where it is.
    pub endpoints: Vec<String>,
    /// Presence ends this long after the last sign of life.
    pub session: Duration,
    /// What the pair does when it is gone.
    pub when_lost: WhenLost,
    /// `ZooKeeper`, etcd: name to log in with.
    pub user: Option<String>,
    /// ... and its password.
    pub password_file: Option<PathBuf>,
    /// Authority that signed their certificates; `None`: no TLS.
    pub ca: Option<PathBuf>,
    /// Certificate to show.
    pub cert: Option<PathBuf>,
    /// Its private key.
    pub key: Option<PathBuf>,
}

/// `[switch.probe]`
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// How often the standby tries.
    pub every: Duration,
    /// This many failures in a row decide.
    pub failures: u32,
    /// Writes and reads back instead of only reading.
    pub write: bool,
}

/// `[storage]`
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// Bytes of one log file.
    pub segment_size: u64,
    /// A new snapshot once this much log follows the last one.
    pub snapshot_after: u64,
    /// How often what lies on disk is read and checked; `None` = never.
    pub scrub_every: Option<Duration>,
}

/// `[limits]`
#[derive(Clone, Debug)]
pub struct LimitsConfig {
    /// Client connections.
    pub max_clients: u32,
    /// Bytes of the data set; `None` = no bound.
    pub max_memory: Option<u64>,
    /// Silent clients are closed after this; `None` = never.
    pub idle_timeout: Option<Duration>,
    /// Bytes of an unfinished request.
    pub input_buffer: u64,
    /// Bytes of unread answers; `None` = no bound.
    pub output_buffer: Option<u64>,
    /// Bytes of unread messages of a subscriber; `None` = no bound.
    pub pubsub_buffer: Option<u64>,
    /// Time of one run of a script.
    pub script_time: Duration,
    /// Bytes of the interpreter.
    pub script_memory: u64,
}

/// `[vip]`
#[derive(Clone, Debug)]
pub struct VipConfig {
    /// Address with prefix length.
    pub address: String,
    /// The interface it is added to.
    pub interface: String,
}

/// `[tls]`
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Certificate chain, PEM.
    pub cert: PathBuf,
    /// Private key, PEM.
    pub key: PathBuf,
    /// Authority whose certificates clients and the peer must show.
    pub client_ca: Option<PathBuf>,
}

/// `[auth]`
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// Clients.
    pub password_file: Option<PathBuf>,
    /// Link and witness.
    pub peer_secret_file: Option<PathBuf>,
    /// HTTP requests that change something.
    pub admin_token_file: Option<PathBuf>,
    /// Listen beyond loopback without them.
    pub insecure: bool,
}

/// Builds the typed settings and checks the rules that span several keys.
pub(crate) fn build(mut values: Values) -> Result<Config, ConfigError> {
    let names = values.node_names();
    for name in &names {
        if values.text(&format!("nodes.{name}.bind")).is_empty() {
            values.derive(&format!("nodes.{name}.bind"), &format!("nodes.{name}.host"));
        }
    }
    if values.duration("switch.mediator.session").is_zero() {
        values.derive("switch.mediator.session", "switch.failure_timeout");
    }
    check::values(&values)?;
    // `read_values` refused any other number of nodes.
    let [first, second] = names.as_slice() else { unreachable!("{} nodes", names.len()) };
    let config =
        Config {
            pair: pair(&values, second),
            nodes: Pair { a: node(&values, first), b: node(&values, second) },
            replication: replication(&values),
            switch: switch(&values),
            storage: StorageConfig {
                segment_size: values.size("storage.segment_size"),
                snapshot_after: values.size("storage.snapshot_after"),
                scrub_every: some_time(values.duration("storage.scrub_every")),
            },
            limits: limits(&values),
            vip: values.optional("vip.address").map(|address| VipConfig {
                address,
                interface: values.text("vip.interface").to_owned(),
            }),
            tls: path(&values, "tls.cert").zip(path(&values, "tls.key")).map(|(cert, key)| {
                TlsConfig { cert, key, client_ca: path(&values, "tls.client_ca") }
            }),
            auth: AuthConfig {
                password_file: path(&values, "auth.password_file"),
                peer_secret_file: path(&values, "auth.peer_secret_file"),
                admin_token_file: path(&values, "auth.admin_token_file"),
                insecure: values.flag("auth.insecure"),
            },
            values,
        };
    Ok(config)
}

fn path(values: &Values, key: &str) -> Option<PathBuf> {
    values.optional(key).map(PathBuf::from)
}

fn pair(values: &Values, second: &str) -> PairConfig {
    let initial = values.text("pair.initial_primary");
    PairConfig {
        name: values.text("pair.name").to_owned(),
        topology: values.choice("pair.topology", Topology::from_word),
        initial_primary: if initial == second { NodeId::B } else { NodeId::A },
    }
}

fn node(values: &Values, name: &str) -> NodeConfig {
    let key = |leaf: &str| format!("nodes.{name}.{leaf}");
    let optional_port = |leaf: &str| Some(values.whole(&key(leaf))).filter(|&port: &u16| port != 0);
    NodeConfig {
        name: name.to_owned(),
        host: values.text(&key("host")).to_owned(),
        client_port: values.whole(&key("client_port")),
        read_port: optional_port("read_port"),
        link_port: values.whole(&key("link_port")),
        sentinel_port: optional_port("sentinel_port"),
        admin_port: optional_port("admin_port"),
        bind: values.text(&key("bind")).to_owned(),
        admin_bind: values.text(&key("admin_bind")).to_owned(),
        data_dir: PathBuf::from(values.text(&key("data_dir"))),
    }
}

fn some_time(duration: Duration) -> Option<Duration> {
    Some(duration).filter(|duration| !duration.is_zero())
}

fn some_bytes(bytes: u64) -> Option<u64> {
    Some(bytes).filter(|&bytes| bytes > 0)
}

fn replication(values: &Values) -> ReplicationConfig {
    ReplicationConfig {
        acknowledge: values.choice("replication.acknowledge", Acknowledge::from_word),
        without_peer: values.choice("replication.without_peer", WithoutPeer::from_word),
        fsync: values.choice("replication.fsync", FsyncPolicy::from_word),
        fsync_interval: values.duration("replication.fsync_interval"),
        max_staleness: some_time(values.duration("replication.max_staleness")),
        forward_writes: values.flag("replication.forward_writes"),
        reads: values.choice("replication.reads", Reads::from_word),
        log_retention: values.size("replication.log_retention"),
        conflict_log_max: values.size("replication.conflict_log_max"),
        conflict_log_age: values.duration("replication.conflict_log_age"),
    }
}

fn switch(values: &Values) -> SwitchConfig {
    SwitchConfig {
        by: values.choice("switch.by", SwitchBy::from_word),
        automation: values.choice("switch.automation", Automation::from_word),
        confirm_timeout: values.duration("switch.confirm_timeout"),
        failure_timeout: values.duration("switch.failure_timeout"),
        solo_after: values.duration("switch.solo_after"),
        slow_after: some_time(values.duration("switch.slow_after")),
        max_restarts: values.whole("switch.max_restarts"),
        restart_window: values.duration("switch.restart_window"),
        min_interval: values.duration("switch.min_interval"),
        failback: values.choice("switch.failback", Failback::from_word),
        failback_after: values.duration("switch.failback_after"),
        max_lag: values.size("switch.max_lag"),
        hold: values.duration("switch.hold"),
        linger: values.duration("switch.linger"),
        conflicts: values.choice("switch.conflicts", ConflictPolicy::from_word),
        conflicts_max: values.size("switch.conflicts_max"),
        fence: values.optional("switch.fence"),
        on_silence: values.choice("switch.on_silence", OnSilence::from_word),
        watchdog: some_time(values.duration("switch.watchdog")),
        direct: DirectConfig {
            channels: match &values.entry("switch.direct.channels").value {
                Value::Channels(channels) => channels.clone(),
                other => unreachable!("channels hold {other}"),
            },
            split_brain: values.choice("switch.direct.split_brain", SplitBrain::from_word),
            ping_targets: match &values.entry("switch.direct.ping_targets").value {
                Value::Texts(targets) => targets.clone(),
                other => unreachable!("ping targets hold {other}"),
            },
        },
        mediator: MediatorConfig {
            kind: values.choice("switch.mediator.kind", MediatorKind::from_word),
            endpoints: match &values.entry("switch.mediator.endpoints").value {
                Value::Texts(endpoints) => endpoints.clone(),
                other => unreachable!("endpoints hold {other}"),
            },
            session: values.duration("switch.mediator.session"),
            when_lost: values.choice("switch.mediator.when_lost", WhenLost::from_word),
            user: values.optional("switch.mediator.user"),
            password_file: path(values, "switch.mediator.password_file"),
            ca: path(values, "switch.mediator.ca"),
            cert: path(values, "switch.mediator.cert"),
            key: path(values, "switch.mediator.key"),
        },
        probe: ProbeConfig {
            every: values.duration("switch.probe.every"),
            failures: values.whole("switch.probe.failures"),
            write: values.flag("switch.probe.write"),
        },
    }
}

fn limits(values: &Values) -> LimitsConfig {
    LimitsConfig {
        max_clients: values.whole("limits.max_clients"),
        max_memory: some_bytes(values.size("limits.max_memory")),
        idle_timeout: some_time(values.duration("limits.idle_timeout")),
        input_buffer: values.size("limits.input_buffer"),
        output_buffer: some_bytes(values.size("limits.output_buffer")),
        pubsub_buffer: some_bytes(values.size("limits.pubsub_buffer")),
        script_time: values.duration("limits.script_time"),
        script_memory: values.size("limits.script_memory"),
    }
}
