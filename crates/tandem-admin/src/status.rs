//! What one node says about itself and, as last heard, about its peer.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{RepairView, ScrubView, VerifyView};

/// What a node is, as people and scripts see it.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RoleName {
    /// Serves reads and writes.
    Primary,
    /// Follows, serves nobody.
    Standby,
    /// Follows, serves reads.
    Replica,
    /// Catching up, not yet eligible. Every node starts here.
    #[default]
    Joining,
    /// Was primary and has lost its right to serve.
    Isolated,
}

impl RoleName {
    /// The word of the JSON, of `status` and of the metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::Replica => "replica",
            Self::Joining => "joining",
            Self::Isolated => "isolated",
        }
    }

    /// All roles, for metrics that have one sample per role.
    pub const ALL: [Self; 5] =
        [Self::Primary, Self::Standby, Self::Replica, Self::Joining, Self::Isolated];
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `GET /api/v1/status`: one flat object for this node, the peer as last heard beside it.
///
/// Positions are ends, which is also the number of the last record: the first record is number 1.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct StatusView {
    /// This node's name in the configuration.
    pub node: String,
    /// The pair's name.
    pub pair: String,
    /// `primary-standby`, `primary-replica` or `primary-primary`.
    pub topology: String,
    /// What this node is now.
    pub role: RoleName,
    /// The reign this node follows or holds.
    pub epoch: u64,
    /// Random mark of that reign, 16 hexadecimal digits.
    pub fork_id: String,
    /// Process id of the node.
    pub pid: u32,
    /// Process id of its supervisor; absent when it runs without one.
    pub supervisor_pid: Option<u32>,
    /// Seconds since this process began.
    pub uptime_seconds: u64,
    /// Number of the last record in this node's log (written, perhaps not yet durable).
    pub last_lsn: u64,
    /// Last record that has been fsynced here.
    pub durable_lsn: u64,
    /// Last record that is in this node's memory.
    pub applied_lsn: u64,
    /// Last record that may be acknowledged to clients.
    pub commit_lsn: u64,
    /// Whether the in-sync set holds both nodes.
    pub in_sync: bool,
    /// Names of the nodes that hold every acknowledged write.
    pub in_sync_set: Vec<String>,
    /// A primary that may neither shrink the set nor get acknowledgements.
    pub stalled: bool,
    /// The error that a client's write gets from this primary now; absent while it takes writes.
    pub writes_refused: Option<String>,
    /// What a stalled or joining node waits for, in one sentence.
    pub waiting_for: Option<String>,
    /// How long this primary may still answer reads; absent when it needs no lease.
    pub read_lease_ms: Option<u64>,
    /// The virtual address, if one is configured.
    pub vip: Option<VipView>,
    /// The other node, as last heard.
    pub peer: PeerView,
    /// The third party that keeps the primary record; absent without one.
    pub mediator: Option<MediatorView>,
    /// Every channel to the peer.
    pub channels: Vec<ChannelView>,
    /// What the standby sees as a client of the primary; absent where it is not tried.
    pub probe: Option<ProbeView>,
    /// A switch that waits for a person.
    pub pending: Option<PendingView>,
    /// The last change of primary that this node knows of.
    pub last_switch: Option<SwitchView>,
    /// Saved writes of a returned primary that wait for a decision.
    pub conflicts: u64,
    /// Automatic switching is suspended.
    pub paused: bool,

    // Beyond the contract.
    /// Version of the program.
    pub version: String,
    /// `host:port` of this node's client port.
    pub address: String,
    /// `local`, `received` or `durable`.
    pub acknowledge: String,
    /// `always`, `interval` or `never`.
    pub fsync: String,
    /// Who may move the primary: `manual`, `direct`, `mediator` or `probe`.
    pub switch_by: String,
    /// Connected clients.
    pub clients: u64,
    /// Keys in all databases.
    pub keys: u64,
    /// Bytes of the data set in memory.
    pub used_memory: u64,
    /// Commands answered since the start.
    pub commands_total: u64,
    /// Bytes of log on disk.
    pub log_bytes: u64,
    /// Position of the newest snapshot; absent before the first.
    pub snapshot_lsn: Option<u64>,
    /// Digest of the configuration file, secrets excluded.
    pub config_digest: String,
    /// The peer's configuration differs: the keys that do.
    pub config_differs: Vec<String>,
    /// The last comparison with the peer's data, or the one that runs; absent before the first.
    pub verify: Option<VerifyView>,
    /// The last time everything on this node's disk was read and checked; absent before the first.
    pub scrub: Option<ScrubView>,
    /// This node's data was damaged and is replaced, or waits to be; absent when all is well.
    pub repair: Option<RepairView>,
    /// Damaged files that are kept for people, below the data directory. The node never removes them.
    pub kept_files: Vec<String>,
    /// Things a person should know, one sentence each (`fsync` off, disk nearly full, ...).
    pub warnings: Vec<String>,
}

/// The other node, as last heard over any channel.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct PeerView {
    /// Its name in the configuration.
    pub node: String,
    /// What it last said it was; absent if never heard.
    pub role: Option<RoleName>,
    /// The reign it last spoke of.
    pub epoch: u64,
    /// The link is up.
    pub connected: bool,
    /// Last record it has in memory or on disk.
    pub received_lsn: u64,
    /// Last record it has fsynced.
    pub durable_lsn: u64,
    /// Last record in its key space.
    pub applied_lsn: u64,
    /// Records that one side has and the other has not applied (follower's distance).
    pub lag_records: u64,
    /// The same distance in bytes of log.
    pub lag_bytes: u64,
    /// With two primaries: records of the peer that this node has not merged, as far as it has heard.
    pub behind_records: u64,
    /// Age of the newest applied record against the primary's newest, in milliseconds.
    pub lag_ms: u64,
    /// Milliseconds since the last sign of life; absent if never heard.
    pub last_heard_ms: Option<u64>,
    /// Why there is no link: what became of the last one, or of the last attempt; absent while it is up.
    pub no_link_because: Option<String>,
    /// `host:port` of its client port.
    pub address: String,
    /// A full copy is under way: bytes sent so far.
    pub full_copy_bytes: Option<u64>,
    /// How busy it is, as it last said on a channel besides the link.
    pub load: Option<LoadView>,
}

/// The third party of the pair.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct MediatorView {
    /// `witness`, `zookeeper`, `etcd` or `keepalived`.
    pub kind: String,
    /// A session is up.
    pub connected: bool,
    /// The endpoint in use.
    pub endpoint: Option<String>,
    /// The primary record as last read, in words.
    pub record: Option<String>,
    /// Why it is of no use now: it is not reached, its record is not this pair's, or it keeps no other.
    pub trouble: Option<String>,
}

/// One channel to the peer.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ChannelView {
    /// `link`, `tcp` or `serial`.
    pub kind: String,
    /// The address or device.
    pub endpoint: String,
    /// It carries heartbeats now.
    pub up: bool,
    /// Round trip in microseconds, once measured.
    pub rtt_us: Option<u64>,
    /// Milliseconds since the last frame; absent if never.
    pub last_heard_ms: Option<u64>,
}

/// What a standby sees as a client of the primary.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ProbeView {
    /// `host:port` that is tried.
    pub endpoint: String,
    /// The last attempt in words; absent before the first.
    pub last: Option<String>,
    /// The primary answered the last attempt as it should.
    pub up: bool,
    /// How long its last answer took, in microseconds.
    pub rtt_us: Option<u64>,
    /// Failures in a row.
    pub failures: u64,
    /// So many in a row decide.
    pub failures_max: u64,
    /// Milliseconds since the last attempt that has ended was begun.
    pub last_ms: Option<u64>,
}

/// How busy a node is, as it said on a channel.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct LoadView {
    /// Percent of one processor that its process uses.
    pub cpu_percent: u64,
    /// Percent of the last seconds in which some task of its machine waited for a disk.
    pub io_wait_percent: u64,
    /// The longest that a request had to wait for its turn lately, in milliseconds.
    pub request_ms: u64,
    /// Requests per second.
    pub requests_per_second: u64,
}

/// A switch that waits for `tandem confirm` or `tandem reject`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct PendingView {
    /// What would be done and why.
    pub proposal: String,
    /// Who would become primary.
    pub to: String,
    /// Acknowledged records that would be lost, if known.
    pub records_lost: Option<u64>,
    /// Milliseconds until it is dropped.
    pub expires_ms: u64,
}

/// One past change of primary.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct SwitchView {
    /// Milliseconds since 1970 (UTC) at which it was done.
    pub at_ms: u64,
    /// The primary before; absent if there was none.
    pub from: Option<String>,
    /// The primary after.
    pub to: String,
    /// The new reign.
    pub epoch: u64,
    /// Why, in words.
    pub cause: String,
    /// Milliseconds without a primary that accepts writes, if known.
    pub duration_ms: Option<u64>,
    /// Records given up, if known.
    pub records_lost: Option<u64>,
}

/// The virtual address.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct VipView {
    /// The address with its prefix length.
    pub address: String,
    /// This node holds it now.
    pub held: bool,
    /// keepalived: whether it may be here now (`tandem keepalived-check`).
    pub may_hold: Option<bool>,
}

/// One word for the state of the pair, and the exit status of `tandem status`.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// A primary serves and the pair is as redundant as configured.
    Healthy,
    /// A primary serves, but something needs attention.
    Degraded,
    /// Nobody accepts writes, as far as this node knows.
    NoPrimary,
}

impl Health {
    /// The exit status of `tandem status`.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Healthy => 0,
            Self::Degraded => 1,
            Self::NoPrimary => 2,
        }
    }
}

impl StatusView {
    /// Both nodes accept writes.
    pub fn has_two_primaries(&self) -> bool {
        self.topology == "primary-primary"
    }

    /// The pair's health as seen from this node.
    ///
    /// No primary: neither this node nor a peer heard over a living link says it is one, or this
    /// primary is stalled or refuses writes and is the only one. Degraded: not both in sync, link down, something waited for, the mediator of no use,
    /// configuration differs, conflicts
    /// or a pending switch wait for a person.
    pub fn health(&self) -> Health {
        let here = self.role == RoleName::Primary;
        let there = self.peer.connected && self.peer.role == Some(RoleName::Primary);
        let refused = self.writes_refused.is_some();
        let taken = (here && !refused) || there;
        if !taken || (here && self.stalled) {
            return Health::NoPrimary;
        }
        let attention = !self.in_sync
            || refused
            || !self.peer.connected
            || !self.config_differs.is_empty()
            || self.conflicts > 0
            || self.repair.is_some()
            || self.waiting_for.is_some()
            || self.verify.as_ref().is_some_and(|verify| verify.result == "differs")
            || self.pending.is_some()
            || self.mediator.as_ref().is_some_and(|it| !it.connected || it.trouble.is_some());
        if attention { Health::Degraded } else { Health::Healthy }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn healthy() -> StatusView {
        StatusView {
            role: RoleName::Primary,
            in_sync: true,
            peer: PeerView {
                role: Some(RoleName::Standby),
                connected: true,
                ..PeerView::default()
            },
            ..StatusView::default()
        }
    }

    #[test]
    fn health_names_the_worst_that_is_known() {
        type Change = fn(&mut StatusView);
        let cases: [(&str, Change, Health); 10] = [
            ("as it should be", |_| {}, Health::Healthy),
            ("peer out of the set", |s| s.in_sync = false, Health::Degraded),
            ("link down", |s| s.peer.connected = false, Health::Degraded),
            (
                "the mediator's record is damaged",
                |s| {
                    let trouble = Some("damaged".to_owned());
                    s.mediator =
                        Some(MediatorView { connected: true, trouble, ..MediatorView::default() });
                },
                Health::Degraded,
            ),
            ("conflicts wait", |s| s.conflicts = 1, Health::Degraded),
            ("stalled", |s| s.stalled = true, Health::NoPrimary),
            (
                "the only primary refuses writes",
                |s| s.writes_refused = Some("MISCONF".to_owned()),
                Health::NoPrimary,
            ),
            (
                "one of two refuses writes",
                |s| {
                    s.writes_refused = Some("MISCONF".to_owned());
                    s.peer.role = Some(RoleName::Primary);
                },
                Health::Degraded,
            ),
            ("both follow", |s| s.role = RoleName::Standby, Health::NoPrimary),
            (
                "the primary is silent",
                |s| {
                    s.role = RoleName::Replica;
                    s.peer.role = Some(RoleName::Primary);
                    s.peer.connected = false;
                },
                Health::NoPrimary,
            ),
        ];
        for (name, change, want) in cases {
            let mut status = healthy();
            change(&mut status);
            assert_eq!(status.health(), want, "{name}");
        }
    }

    #[test]
    fn every_name_of_the_contract_is_in_the_json() {
        let json = serde_json::to_value(StatusView {
            mediator: Some(MediatorView::default()),
            ..StatusView::default()
        })
        .unwrap();
        let names = "node pair topology role epoch fork_id pid supervisor_pid uptime_seconds last_lsn \
             durable_lsn applied_lsn commit_lsn in_sync in_sync_set stalled waiting_for read_lease_ms \
             vip peer mediator channels pending last_switch conflicts paused";
        for name in names.split_whitespace() {
            assert!(json.get(name).is_some(), "{name}");
        }
        let peer = "node role epoch connected received_lsn durable_lsn applied_lsn lag_records \
             lag_bytes lag_ms last_heard_ms";
        for name in peer.split_whitespace() {
            assert!(json["peer"].get(name).is_some(), "peer.{name}");
        }
        for name in ["kind", "connected", "endpoint", "record", "trouble"] {
            assert!(json["mediator"].get(name).is_some(), "mediator.{name}");
        }
    }

    #[test]
    fn a_view_from_another_version_is_read_as_far_as_it_goes() {
        let view: StatusView =
            serde_json::from_str(r#"{"node":"a","role":"replica","novelty":[1]}"#).unwrap();
        assert_eq!((view.node.as_str(), view.role), ("a", RoleName::Replica));
    }
}
