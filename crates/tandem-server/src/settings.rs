//! What the server needs, made from the configuration.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tandem_config::{
    Acknowledge, Automation, Channel, Config, ConflictPolicy, Failback, FsyncPolicy, OnSilence,
    Reads, SplitBrain, SwitchBy, Topology, WhenLost, WithoutPeer,
};
use tandem_node::Port;
use tandem_types::{NodeId, Pair};

use crate::net::tls::TlsFiles;

/// Bytes of the newest log kept in memory for a follower that is a little behind.
const TAIL_BYTES_MAX: usize = 64 << 20;
/// Redis' defaults.
const SLOWLOG_SLOWER_THAN_US: i64 = 10_000;
const SLOWLOG_ENTRIES_MAX: usize = 128;

/// Everything one server process is told.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// The node's settings.
    pub node: tandem_node::Settings,
    /// Where clients are served; port 0: any free one.
    pub client_address: SocketAddr,
    /// Where reads are served whatever the role; `None`: nowhere.
    pub read_address: Option<SocketAddr>,
    /// Where the peer is awaited (used by node A).
    pub link_address: SocketAddr,
    /// The peer's host: an address or a name (used by node B).
    pub peer_host: String,
    /// The peer's link port.
    pub peer_link_port: u16,
    /// What both nodes know; `None`: the peer is on this machine or proven by TLS.
    pub peer_secret: Option<Arc<[u8]>>,
    /// The certificate for every port; `None`: no encryption.
    pub tls: Option<TlsFiles>,
    /// The directory of log and snapshots; made if it is not there.
    pub data_dir: PathBuf,
    /// Bytes of one log file.
    pub segment_bytes: u64,
    /// The configuration's path, for people.
    pub config_file: String,
    /// Process id of the supervisor, if there is one.
    pub supervisor_pid: Option<u32>,
    /// Starts of this node within `restart_window`, this one counted; 0: nobody counts.
    pub starts_in_window: u32,
    /// The mediator's kind; empty: none.
    pub mediator_kind: String,
    /// The virtual address with its prefix length; empty: none.
    pub virtual_address: String,
}

/// Why a configuration cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file that it names cannot be read.
    #[error("read {key} {path}: {source}")]
    Secret {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
    /// A file that holds a secret is empty.
    #[error("{key} {path} is empty")]
    Empty {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A file that holds a secret holds what no keyboard makes.
    #[error(
        "{key} {path} begins with a byte order mark or holds a NUL byte, which would be part of the secret; write it \
         again as plain text"
    )]
    NotPlain {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// An address to listen on cannot be used.
    #[error("nodes.{node}.bind \"{host}\": {source}")]
    Bind {
        /// The node.
        node: String,
        /// As configured.
        host: String,
        /// How it failed.
        source: io::Error,
    },
}

impl ServerSettings {
    /// The settings of node `node` of the pair.
    ///
    /// # Errors
    /// A secret cannot be read, or the address to listen on is none.
    pub fn from_config(config: &Config, node: NodeId) -> Result<Self, SettingsError> {
        let (own, peer) = (&config.nodes[node], &config.nodes[node.peer()]);
        let secret = secret("auth.peer_secret_file", config.auth.peer_secret_file.as_deref())?;
        warn_of_short(secret.as_deref());
        let bind = |port: u16| {
            address(&own.bind, port).map_err(|source| SettingsError::Bind {
                node: own.name.clone(),
                host: own.bind.clone(),
                source,
            })
        };
        Ok(Self {
            node: node_settings(config, node)?,
            client_address: bind(own.client_port)?,
            read_address: own.read_port.map(bind).transpose()?,
            link_address: bind(own.link_port)?,
            peer_host: peer.host.clone(),
            peer_link_port: peer.link_port,
            peer_secret: secret.map(Arc::from),
            tls: config.tls.as_ref().map(|tls| TlsFiles {
                cert: tls.cert.clone(),
                key: tls.key.clone(),
                client_ca: tls.client_ca.clone(),
            }),
            data_dir: own.data_dir.clone(),
            segment_bytes: config.storage.segment_size,
            config_file: String::new(),
            supervisor_pid: None,
            starts_in_window: 0,
            mediator_kind: mediator_kind(config),
            virtual_address: config.vip.as_ref().map(|vip| vip.address.clone()).unwrap_or_default(),
        })
    }
}

impl ServerSettings {
    /// Where clients of the virtual address are served, where the other listeners do not cover it. They
    /// are open all the time, as the address comes and goes with the role.
    pub(crate) fn virtual_listeners(&self) -> Vec<(SocketAddr, Port)> {
        let ip = self.virtual_address.split_once('/').and_then(|(ip, _)| ip.parse().ok());
        let Some(ip): Option<IpAddr> = ip else { return Vec::new() };
        let read = self.read_address.map(|address| (address, Port::Read));
        [Some((self.client_address, Port::Client)), read]
            .into_iter()
            .flatten()
            .filter(|(address, _)| !covers(address.ip(), ip))
            .map(|(address, port)| (SocketAddr::new(ip, address.port()), port))
            .collect()
    }
}

/// Whether who listens on `bound` is reached at `ip` too.
fn covers(bound: IpAddr, ip: IpAddr) -> bool {
    // `::` takes IPv4 too.
    bound == ip || (bound.is_unspecified() && (bound.is_ipv6() || ip.is_ipv4()))
}

fn node_settings(config: &Config, node: NodeId) -> Result<tandem_node::Settings, SettingsError> {
    let password = secret("auth.password_file", config.auth.password_file.as_deref())?;
    let replication = &config.replication;
    let nodes = &config.nodes;
    let read_port = |node: NodeId| nodes[node].read_port.unwrap_or(0);
    Ok(tandem_node::Settings {
        node,
        names: Pair { a: nodes.a.name.clone(), b: nodes.b.name.clone() },
        client_addresses: Pair { a: nodes.a.client_address(), b: nodes.b.client_address() },
        read_ports: Pair { a: read_port(NodeId::A), b: read_port(NodeId::B) },
        pair_name: config.pair.name.clone(),
        topology: match config.pair.topology {
            Topology::PrimaryStandby => tandem_node::Topology::PrimaryStandby,
            Topology::PrimaryPrimary => tandem_node::Topology::PrimaryPrimary,
            Topology::PrimaryReplica => tandem_node::Topology::PrimaryReplica,
        },
        initial_primary: config.pair.initial_primary,
        acknowledge: match replication.acknowledge {
            Acknowledge::Local => tandem_node::Acknowledge::Local,
            Acknowledge::Received => tandem_node::Acknowledge::Received,
            Acknowledge::Durable => tandem_node::Acknowledge::Durable,
        },
        without_peer: match replication.without_peer {
            WithoutPeer::Serve => tandem_node::WithoutPeer::Serve,
            WithoutPeer::Refuse => tandem_node::WithoutPeer::Refuse,
        },
        fsync: match replication.fsync {
            FsyncPolicy::Always => tandem_node::Fsync::Always,
            FsyncPolicy::Interval => tandem_node::Fsync::Interval(replication.fsync_interval),
            FsyncPolicy::Never => tandem_node::Fsync::Never,
        },
        max_staleness: replication.max_staleness.unwrap_or(Duration::ZERO),
        forward_writes: replication.forward_writes,
        log_retention_bytes: replication.log_retention,
        snapshot_log_bytes: config.storage.snapshot_after,
        scrub_every: config.storage.scrub_every.unwrap_or(Duration::ZERO),
        tail_bytes_max: TAIL_BYTES_MAX,
        conflicts: match config.switch.conflicts {
            ConflictPolicy::Keep => tandem_node::SavePolicy::Keep,
            ConflictPolicy::Hold => tandem_node::SavePolicy::Hold,
            ConflictPolicy::Reapply => tandem_node::SavePolicy::Reapply,
            ConflictPolicy::Discard => tandem_node::SavePolicy::Discard,
        },
        conflicts_bytes_max: config.switch.conflicts_max,
        merge_log: tandem_node::MergeLogBounds {
            bytes_max: replication.conflict_log_max,
            age_max: replication.conflict_log_age,
        },
        failure_timeout: config.switch.failure_timeout,
        hold: config.switch.hold,
        linger: config.switch.linger,
        switch_by: match config.switch.by {
            SwitchBy::Mediator if config.switch.is_keepalived() => {
                tandem_node::SwitchBy::Keepalived
            }
            SwitchBy::Mediator => tandem_node::SwitchBy::Mediator,
            SwitchBy::Manual => tandem_node::SwitchBy::Manual,
            SwitchBy::Direct => tandem_node::SwitchBy::Direct,
            SwitchBy::Probe => tandem_node::SwitchBy::Probe,
        },
        automatic: automatic(config),
        channels: channels(config, node),
        // keepalived binds it, not this node.
        virtual_address: config.vip.is_some() && !config.switch.is_keepalived(),
        protected_mode: password.is_none() && !config.auth.insecure,
        password: password.map(tandem_node::Secret::new),
        config_digest: config.digest().get(),
        configuration: config.canonical(),
        limits: limits(config),
        slowlog_slower_than_us: SLOWLOG_SLOWER_THAN_US,
        slowlog_entries_max: SLOWLOG_ENTRIES_MAX,
        data_dir: nodes[node].data_dir.display().to_string(),
        debug_commands: std::env::var_os("TANDEM_DEBUG_COMMANDS").is_some(),
    })
}

fn mediator_kind(config: &Config) -> String {
    match config.switch.by {
        SwitchBy::Mediator => config.switch.mediator.kind.to_string(),
        SwitchBy::Manual | SwitchBy::Direct | SwitchBy::Probe => String::new(),
    }
}

/// What an automatic switch is told.
fn automatic(config: &Config) -> tandem_switch::Automatic {
    let switch = &config.switch;
    tandem_switch::Automatic {
        automation: match switch.automation {
            Automation::Auto => tandem_switch::Automation::Auto,
            Automation::Confirm => tandem_switch::Automation::Confirm,
            Automation::Observe => tandem_switch::Automation::Observe,
        },
        confirm_timeout: switch.confirm_timeout,
        solo_after: switch.solo_after,
        slow_after: switch.slow_after.unwrap_or(Duration::ZERO),
        max_restarts: switch.max_restarts,
        restart_window: switch.restart_window,
        min_interval: switch.min_interval,
        failback: match switch.failback {
            Failback::Stay => None,
            Failback::Prefer => Some(config.pair.initial_primary),
        },
        failback_after: switch.failback_after,
        max_lag_bytes: switch.max_lag,
        session: switch.mediator.session,
        when_lost: match switch.mediator.when_lost {
            WhenLost::Partner => tandem_switch::WhenLost::Partner,
            WhenLost::StepDown => tandem_switch::WhenLost::StepDown,
        },
        read_lease: switch.read_lease(),
        barrier_reads: config.replication.reads == Reads::Barrier,
        unaided: unaided(config),
    }
}

/// What a pair without a third party is told.
fn unaided(config: &Config) -> tandem_switch::Unaided {
    let switch = &config.switch;
    let others = switch.direct.channels.iter().filter(|it| matches!(it, Channel::Endpoints(_)));
    tandem_switch::Unaided {
        seen: match switch.by {
            SwitchBy::Probe => tandem_switch::Seen::AsClient,
            SwitchBy::Mediator if switch.is_keepalived() => tandem_switch::Seen::ByAddress,
            SwitchBy::Manual | SwitchBy::Direct | SwitchBy::Mediator => {
                tandem_switch::Seen::Directly
            }
        },
        channels: u8::try_from(others.count()).unwrap_or(u8::MAX),
        fence: switch.fence.is_some(),
        on_silence: match switch.on_silence {
            OnSilence::Wait => tandem_switch::OnSilence::Wait,
            OnSilence::TakeOver => tandem_switch::OnSilence::TakeOver,
        },
        goes_alone: config.replication.without_peer == WithoutPeer::Serve,
        pings: !switch.direct.ping_targets.is_empty(),
        probe_failures: switch.probe.failures,
        split_brain: match switch.direct.split_brain {
            SplitBrain::Newest => tandem_switch::SplitBrain::Newest,
            SplitBrain::MostWrites => tandem_switch::SplitBrain::MostWrites,
            SplitBrain::Prefer => tandem_switch::SplitBrain::Prefer,
            SplitBrain::Manual => tandem_switch::SplitBrain::Manual,
        },
    }
}

/// Kind and this node's end of each channel besides the link.
fn channels(config: &Config, node: NodeId) -> Vec<(String, String)> {
    let name = &config.nodes[node].name;
    let ends = config.switch.direct.channels.iter().filter_map(|channel| match channel {
        Channel::Link => None,
        Channel::Endpoints(ends) => ends.get(name),
    });
    let kind = |end: &String| if end.starts_with("serial://") { "serial" } else { "tcp" };
    ends.map(|end| (kind(end).to_owned(), end.clone())).collect()
}

fn limits(config: &Config) -> tandem_node::Limits {
    let limits = &config.limits;
    let bytes = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    tandem_node::Limits {
        clients_max: usize::try_from(limits.max_clients).unwrap_or(usize::MAX),
        idle_timeout: limits.idle_timeout.unwrap_or(Duration::ZERO),
        query_buffer_bytes_max: bytes(limits.input_buffer),
        output_normal_bytes_max: limits.output_buffer.map_or(usize::MAX, bytes),
        output_pubsub_bytes_max: limits.pubsub_buffer.map_or(usize::MAX, bytes),
        maxmemory: limits.max_memory.unwrap_or(0),
        script_time: limits.script_time,
        script_memory_bytes_max: bytes(limits.script_memory),
        ..tandem_node::Limits::default()
    }
}

/// The content of a file with a secret, without the line end that editors add.
fn secret(key: &'static str, path: Option<&Path>) -> Result<Option<Vec<u8>>, SettingsError> {
    let Some(path) = path else { return Ok(None) };
    let mut bytes = std::fs::read(path).map_err(|source| SettingsError::Secret {
        key,
        path: path.to_owned(),
        source,
    })?;
    while bytes.last().is_some_and(|&byte| byte == b'\n' || byte == b'\r') {
        bytes.pop();
    }
    if bytes.is_empty() {
        return Err(SettingsError::Empty { key, path: path.to_owned() });
    }
    if bytes.starts_with(b"\xef\xbb\xbf") || bytes.contains(&0) {
        return Err(SettingsError::NotPlain { key, path: path.to_owned() });
    }
    Ok(Some(bytes))
}

/// Who can guess it can be the peer, so it must not be a word.
const PEER_SECRET_BYTES_MIN: usize = 16;

fn warn_of_short(secret: Option<&[u8]>) {
    if let Some(secret) = secret
        && secret.len() < PEER_SECRET_BYTES_MIN
    {
        tracing::warn!(
            "the secret of auth.peer_secret_file has {} bytes, and whoever guesses it can take the peer's place; make \
             one with: head -c 32 /dev/urandom | base64",
            secret.len()
        );
    }
}

fn address(host: &str, port: u16) -> io::Result<SocketAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| io::Error::new(io::ErrorKind::AddrNotAvailable, "no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_numbers_or_names_of_either_family() {
        assert_eq!(address("127.0.0.1", 1).unwrap(), "127.0.0.1:1".parse().unwrap());
        assert_eq!(address("::1", 1).unwrap(), "[::1]:1".parse().unwrap());
        assert_eq!(address("[::]", 1).unwrap(), "[::]:1".parse().unwrap());
        assert!(address("no such host.", 1).is_err());
    }

    #[test]
    fn an_address_is_covered_by_itself_and_by_every_address_of_its_family() {
        let cases = [
            ("10.0.0.1", "10.0.0.100", false),
            ("10.0.0.100", "10.0.0.100", true),
            ("0.0.0.0", "10.0.0.100", true),
            ("::", "10.0.0.100", true),
            ("::", "fd00::100", true),
            ("0.0.0.0", "fd00::100", false),
            ("fd00::1", "fd00::100", false),
        ];
        for (bound, ip, want) in cases {
            assert_eq!(covers(bound.parse().unwrap(), ip.parse().unwrap()), want, "{bound} {ip}");
        }
    }

    #[test]
    fn a_secret_loses_its_line_end_and_an_empty_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "s3cret word\r\n").unwrap();
        assert_eq!(secret("k", Some(&path)).unwrap().unwrap(), b"s3cret word");
        std::fs::write(&path, "\n").unwrap();
        assert!(matches!(secret("k", Some(&path)), Err(SettingsError::Empty { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(secret("k", Some(&path)), Err(SettingsError::Secret { .. })));
        assert_eq!(secret("k", None).unwrap(), None);
    }
}
