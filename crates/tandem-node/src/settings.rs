//! What a node was told by its configuration.

use std::time::Duration;

pub use tandem_switch::Acknowledge;
use tandem_types::{NodeId, Pair};

/// When the log is synced.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Fsync {
    /// Before a write counts as durable.
    #[default]
    Always,
    /// Every so often; a power cut loses at most that much.
    Interval(Duration),
    /// When the system likes.
    Never,
}

impl Fsync {
    /// The word in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::Interval(_) => "interval",
            Self::Never => "never",
        }
    }
}

/// What a primary does that is alone in the in-sync set.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WithoutPeer {
    /// Goes on.
    #[default]
    Serve,
    /// Answers writes with `-NOREPLICAS`.
    Refuse,
}

/// Who decides on a change of primary.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SwitchBy {
    /// A person.
    #[default]
    Manual,
    /// The rules, with a record at a third party.
    Mediator,
    /// The rules, with what the nodes see of one another on every channel.
    Direct,
    /// The rules, with what the standby sees as a client of the primary.
    Probe,
    /// The rules, with a mediator that moves the address and keeps no record.
    Keepalived,
}

impl SwitchBy {
    /// The word in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Mediator | Self::Keepalived => "mediator",
            Self::Direct => "direct",
            Self::Probe => "probe",
        }
    }
}

/// What the follower is for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Topology {
    /// It keeps a copy, and serves nobody.
    #[default]
    PrimaryStandby,
    /// It serves reads too.
    PrimaryReplica,
    /// Both nodes accept writes.
    PrimaryPrimary,
}

impl Topology {
    /// The word in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::PrimaryStandby => "primary-standby",
            Self::PrimaryReplica => "primary-replica",
            Self::PrimaryPrimary => "primary-primary",
        }
    }
}

/// What becomes of a returning primary's extra writes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SavePolicy {
    /// Saved and listed; a person decides.
    #[default]
    Keep,
    /// The node stays out until a person has decided.
    Hold,
    /// Untouched and mergeable keys are written again, the rest is kept.
    Reapply,
    /// Saved, and given up at once.
    Discard,
}

impl SavePolicy {
    /// The word in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Hold => "hold",
            Self::Reapply => "reapply",
            Self::Discard => "discard",
        }
    }
}

/// Bounds on what clients can make the node hold.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Connections at once.
    pub clients_max: usize,
    /// An idle client is closed after this; zero: never.
    pub idle_timeout: Duration,
    /// Bytes of one client's unfinished request.
    pub query_buffer_bytes_max: usize,
    /// Bytes of replies that wait for one normal client.
    pub output_normal_bytes_max: usize,
    /// Bytes of messages that wait for one subscriber.
    pub output_pubsub_bytes_max: usize,
    /// Bytes appended to the log and not yet acknowledged, beyond which clients are not read.
    pub unacknowledged_bytes_max: usize,
    /// Bytes of the data set; zero: no bound.
    pub maxmemory: u64,
    /// Time of one run of a script.
    pub script_time: Duration,
    /// Bytes of the interpreter of scripts.
    pub script_memory_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients_max: 10_000,
            idle_timeout: Duration::ZERO,
            query_buffer_bytes_max: 1 << 30,
            output_normal_bytes_max: 1 << 30,
            output_pubsub_bytes_max: 32 << 20,
            unacknowledged_bytes_max: 256 << 20,
            maxmemory: 0,
            script_time: Duration::from_millis(200),
            script_memory_bytes_max: 64 << 20,
        }
    }
}

/// One node's settings. Those that `CONFIG SET` can change are changed here.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which node this is.
    pub node: NodeId,
    /// The nodes' names.
    pub names: Pair<String>,
    /// `host:port` where clients reach each node.
    pub client_addresses: Pair<String>,
    /// The read ports; 0: off.
    pub read_ports: Pair<u16>,
    /// The pair's name.
    pub pair_name: String,
    /// What the follower is for.
    pub topology: Topology,
    /// The node that begins, when both are empty.
    pub initial_primary: NodeId,
    /// When a write is answered.
    pub acknowledge: Acknowledge,
    /// What a primary does alone.
    pub without_peer: WithoutPeer,
    /// When the log is synced.
    pub fsync: Fsync,
    /// A replica older than this refuses reads; zero: no bound.
    pub max_staleness: Duration,
    /// A replica passes writes on to the primary.
    pub forward_writes: bool,
    /// Bytes of log kept for a returning peer.
    pub log_retention_bytes: u64,
    /// Bytes of log after which a new snapshot is taken.
    pub snapshot_log_bytes: u64,
    /// How often what lies on disk is read and checked; zero: never.
    pub scrub_every: Duration,
    /// Bytes of the newest log kept in memory for a live follower.
    pub tail_bytes_max: usize,
    /// What becomes of a returning primary's extra writes.
    pub conflicts: SavePolicy,
    /// Bytes that all files of saved writes may take.
    pub conflicts_bytes_max: u64,
    /// How much is kept of what merging decided.
    pub merge_log: crate::MergeLogBounds,
    /// Silence that counts as failure.
    pub failure_timeout: Duration,
    /// Longest pause of writes in a planned change of primary.
    pub hold: Duration,
    /// How long a former primary passes commands on before it closes its clients' connections.
    pub linger: Duration,
    /// Who decides on a change of primary.
    pub switch_by: SwitchBy,
    /// What an automatic switch needs to know.
    pub automatic: tandem_switch::Automatic,
    /// Kind and address of each channel besides the link, for people.
    pub channels: Vec<(String, String)>,
    /// A virtual address follows the primary.
    pub virtual_address: bool,
    /// What clients must say to `AUTH`; `None`: nothing.
    pub password: Option<Secret>,
    /// Refuse clients that are not on this machine (no password is set and nobody said otherwise).
    pub protected_mode: bool,
    /// Digest of the configuration file, compared with the peer's.
    pub config_digest: u64,
    /// What that digest was made of, one `key = value` a line: a difference is told by key.
    pub configuration: String,
    /// Bounds.
    pub limits: Limits,
    /// Log commands slower than this many microseconds; negative: none.
    pub slowlog_slower_than_us: i64,
    /// Entries the slow log keeps.
    pub slowlog_entries_max: usize,
    /// Directory of the data, for people.
    pub data_dir: String,
    /// Allows `DEBUG SLEEP` and its like (tests only).
    pub debug_commands: bool,
}

impl Settings {
    /// This node's name.
    pub fn name(&self) -> &str {
        &self.names[self.node]
    }

    /// The peer's name.
    pub fn peer_name(&self) -> &str {
        &self.names[self.node.peer()]
    }
}

/// A password: never shown, not even by `Debug`.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps a secret.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Whether `guess` is the secret; takes the same time wherever the first difference is.
    pub fn matches(&self, guess: &[u8]) -> bool {
        let mut difference = usize::from(self.0.len() != guess.len());
        for (index, &byte) in guess.iter().enumerate() {
            let own = self.0.get(index % self.0.len().max(1)).copied().unwrap_or(0);
            difference |= usize::from(own ^ byte);
        }
        difference == 0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_only_itself() {
        let secret = Secret::new(b"abc".to_vec());
        assert!(secret.matches(b"abc"));
        for wrong in [&b""[..], b"ab", b"abcabc", b"abd", b"abcd"] {
            assert!(!secret.matches(wrong), "{wrong:?}");
        }
        assert!(Secret::new(Vec::new()).matches(b""));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
