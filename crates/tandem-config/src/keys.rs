//! Every key of the configuration: one table.

use std::time::Duration;

use crate::choice::{
    Acknowledge, Automation, ConflictPolicy, Failback, FsyncPolicy, MediatorKind, OnSilence, Reads,
    SplitBrain, SwitchBy, Topology, WhenLost, WithoutPeer,
};
use crate::key::{KeyInfo, Kind};

const PORT: Kind = Kind::Whole { min: 1, max: 65_535 };
/// A port that may be switched off by 0.
const OPTIONAL_PORT: Kind = Kind::Whole { min: 0, max: 65_535 };

const fn key(
    path: &'static str,
    kind: Kind,
    default: &'static str,
    about: &'static str,
) -> KeyInfo {
    KeyInfo { path, kind, default: Some(default), about }
}

const fn required(path: &'static str, kind: Kind, about: &'static str) -> KeyInfo {
    KeyInfo { path, kind, default: None, about }
}

const fn millis(min: u64, max: u64) -> Kind {
    Kind::Duration { min: Duration::from_millis(min), max: Duration::from_millis(max) }
}

const HOUR: u64 = 3_600_000;
const DAY: u64 = 24 * HOUR;

const fn size(min: u64, max: u64) -> Kind {
    Kind::Size { min, max }
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// Every key, in the order of the reference.
pub const KEYS: &[KeyInfo] = &[
    // [pair]
    key(
        "pair.name",
        Kind::Name,
        r#""main""#,
        "Name of the pair, also the Sentinel service name (`mymaster` always answers too)",
    ),
    key(
        "pair.topology",
        Kind::Choice(Topology::WORDS),
        r#""primary-standby""#,
        "What the second node is for: `primary-standby` (serves nobody), `primary-replica` (serves reads), `primary-primary` (both accept writes)",
    ),
    key(
        "pair.initial_primary",
        Kind::Text,
        r#""""#,
        "Name of the node that becomes primary when both data directories are empty; empty: the first in name order",
    ),
    // [nodes.NAME]
    required(
        "nodes.*.host",
        Kind::Text,
        "Address or host name where the peer and clients reach this node",
    ),
    key("nodes.*.client_port", PORT, "6379", "RESP2 and RESP3"),
    key(
        "nodes.*.read_port",
        OPTIONAL_PORT,
        "6380",
        "Reads from whoever is left; always calls itself a replica; 0 = off",
    ),
    key("nodes.*.link_port", PORT, "7379", "The peer: replication and heartbeats"),
    key(
        "nodes.*.sentinel_port",
        OPTIONAL_PORT,
        "26379",
        "Sentinel protocol, a port of its own; 0 = off",
    ),
    key(
        "nodes.*.admin_port",
        OPTIONAL_PORT,
        "8379",
        "HTTP: console, API, `/metrics`, `/health`; 0 = off",
    ),
    key(
        "nodes.*.bind",
        Kind::Text,
        r#""""#,
        "Address to listen on for clients and the peer; empty: `host`",
    ),
    key("nodes.*.admin_bind", Kind::Text, r#""127.0.0.1""#, "Address to listen on for HTTP"),
    key("nodes.*.data_dir", Kind::Text, r#""/var/lib/tandem""#, "Where log and snapshots live"),
    // [replication]
    key(
        "replication.acknowledge",
        Kind::Choice(Acknowledge::WORDS),
        r#""durable""#,
        "When a write is answered: `local` (own disk), `received` (and in the peer's memory), `durable` (both disks). The primary's file counts; one that says less than before counts once the standby has that on its disk",
    ),
    key(
        "replication.without_peer",
        Kind::Choice(WithoutPeer::WORDS),
        r#""serve""#,
        "Once the peer is out of the in-sync set: `serve` alone, or `refuse` writes with `-NOREPLICAS`",
    ),
    key(
        "replication.fsync",
        Kind::Choice(FsyncPolicy::WORDS),
        r#""always""#,
        "`always` before a write is answered, every `fsync_interval`, or `never`",
    ),
    key(
        "replication.fsync_interval",
        millis(10, HOUR),
        r#""1s""#,
        "For `fsync = \"interval\"`: how much may be lost in a power cut",
    ),
    key(
        "replication.max_staleness",
        millis(0, DAY),
        r#""0s""#,
        "A replica older than this refuses reads with `-STALE`; `0s` = no bound",
    ),
    key(
        "replication.forward_writes",
        Kind::Flag,
        "false",
        "A replica passes writes on to the primary instead of refusing them",
    ),
    key(
        "replication.reads",
        Kind::Choice(Reads::WORDS),
        r#""lease""#,
        "How a primary knows that its reads are current: `lease` (its clock is at most a quarter slower than the standby's), or `barrier` (no trust in clocks, one round trip)",
    ),
    key(
        "replication.log_retention",
        size(MIB, 1 << 50),
        r#""1GiB""#,
        "Log kept for a returning peer; a peer that missed more gets a full copy",
    ),
    key(
        "replication.conflict_log_max",
        size(16 * MIB, TIB),
        r#""1GiB""#,
        "`primary-primary`: bytes of what merging decided that one node keeps on disk",
    ),
    key(
        "replication.conflict_log_age",
        millis(3_600_000, 3_660 * DAY),
        r#""7d""#,
        "`primary-primary`: how long that is kept",
    ),
    // [switch]
    key("switch.by", Kind::Choice(SwitchBy::WORDS), r#""manual""#, "Who moves the role of primary"),
    key(
        "switch.automation",
        Kind::Choice(Automation::WORDS),
        r#""auto""#,
        "`auto`, `confirm` (a person confirms within `confirm_timeout`), `observe` (only says what it would do)",
    ),
    key(
        "switch.confirm_timeout",
        millis(1_000, DAY),
        r#""10m""#,
        "A proposed switch that nobody confirms is dropped after this",
    ),
    key(
        "switch.failure_timeout",
        millis(100, HOUR),
        r#""1s""#,
        "Silence that counts as failure; signs of life are sent five times as often",
    ),
    key(
        "switch.solo_after",
        millis(100, DAY),
        r#""2s""#,
        "The primary tries to go on without a silent peer after this",
    ),
    key(
        "switch.slow_after",
        millis(0, HOUR),
        r#""3s""#,
        "Answers slower than this count as failure; `0s` = off",
    ),
    key(
        "switch.max_restarts",
        Kind::Whole { min: 1, max: 1_000 },
        "3",
        "This many starts of the primary within `restart_window` count as failure",
    ),
    key(
        "switch.restart_window",
        millis(1_000, DAY),
        r#""3m""#,
        "The time that `max_restarts` looks back",
    ),
    key(
        "switch.min_interval",
        millis(0, 30 * DAY),
        r#""30s""#,
        "No second automatic switch sooner",
    ),
    key(
        "switch.failback",
        Kind::Choice(Failback::WORDS),
        r#""stay""#,
        "`stay`, or `prefer`: return to `initial_primary` once it is in sync for `failback_after`",
    ),
    key("switch.failback_after", millis(0, 30 * DAY), r#""60s""#, "For `failback = \"prefer\"`"),
    key(
        "switch.max_lag",
        size(0, TIB),
        r#""0""#,
        "For `acknowledge = \"local\"`: bytes of missing log at which a switch is still allowed",
    ),
    key("switch.hold", millis(0, 60_000), r#""2s""#, "Longest pause of writes in a planned switch"),
    key(
        "switch.linger",
        millis(0, 60_000),
        r#""500ms""#,
        "How long the old primary forwards before it closes its connections",
    ),
    key(
        "switch.conflicts",
        Kind::Choice(ConflictPolicy::WORDS),
        r#""keep""#,
        "A returning primary's extra writes: `keep` (saved, listed), `hold` (node stays out), `reapply`, `discard`",
    ),
    key(
        "switch.conflicts_max",
        size(64 << 10, TIB),
        r#""1GiB""#,
        "Bytes of saved writes that one node keeps; undecided ones are never removed: a node whose writes find no room stays out",
    ),
    key(
        "switch.fence",
        Kind::Text,
        r#""""#,
        "`direct`/`probe`: command that makes sure the old primary is off; exit 0 = certain",
    ),
    key(
        "switch.on_silence",
        Kind::Choice(OnSilence::WORDS),
        r#""wait""#,
        "`direct`/`probe` without a fence, peer silent: `wait`, or `take-over` (available, may split)",
    ),
    key(
        "switch.watchdog",
        millis(0, HOUR),
        r#""5s""#,
        "The supervisor kills a node whose data loop hangs for this long, and starts it again; one that works on a long command does not hang; `0s` = off",
    ),
    key(
        "switch.direct.channels",
        Kind::Channels,
        r#"["link"]"#,
        "Every path on which the nodes hear one another",
    ),
    key(
        "switch.direct.split_brain",
        Kind::Choice(SplitBrain::WORDS),
        r#""newest""#,
        "Which history wins when both served",
    ),
    key(
        "switch.direct.ping_targets",
        Kind::Texts,
        "[]",
        "`direct`/`probe`: addresses outside the pair; a node that reaches none of them does not take over, and a primary that sees nobody steps down",
    ),
    key(
        "switch.mediator.kind",
        Kind::Choice(MediatorKind::WORDS),
        r#""witness""#,
        "The third party",
    ),
    key("switch.mediator.endpoints", Kind::Texts, "[]", "Where it is, `host:port` each"),
    key(
        "switch.mediator.session",
        millis(0, HOUR),
        r#""0s""#,
        "Presence ends this long after the last sign of life; `0s` = `failure_timeout`",
    ),
    key(
        "switch.mediator.when_lost",
        Kind::Choice(WhenLost::WORDS),
        r#""partner""#,
        "`partner`: an in-sync, connected pair goes on; `step-down`: a node without the mediator demotes itself",
    ),
    key(
        "switch.mediator.user",
        Kind::Text,
        r#""""#,
        "ZooKeeper, etcd: name to log in with; empty: none",
    ),
    key("switch.mediator.password_file", Kind::Secret, r#""""#, "ZooKeeper, etcd: its password"),
    key(
        "switch.mediator.ca",
        Kind::Secret,
        r#""""#,
        "ZooKeeper, etcd: authority that signed their certificates, PEM; empty: no TLS",
    ),
    key("switch.mediator.cert", Kind::Secret, r#""""#, "ZooKeeper, etcd: certificate to show, PEM"),
    key("switch.mediator.key", Kind::Secret, r#""""#, "Its private key, PEM"),
    key("switch.probe.every", millis(10, HOUR), r#""200ms""#, "How often the standby tries"),
    key(
        "switch.probe.failures",
        Kind::Whole { min: 1, max: 1_000 },
        "3",
        "This many failures in a row decide",
    ),
    key(
        "switch.probe.write",
        Kind::Flag,
        "true",
        "Writes and reads back a reserved key instead of only reading",
    ),
    // [storage]
    key(
        "storage.segment_size",
        size(64 * KIB, 4 * GIB),
        r#""64MiB""#,
        "Size of one log file; a snapshot frees whole files",
    ),
    key(
        "storage.snapshot_after",
        size(MIB, TIB),
        r#""1GiB""#,
        "A new snapshot once this much log follows the last one; bounds the time of a restart",
    ),
    key(
        "storage.scrub_every",
        millis(0, 365 * DAY),
        r#""24h""#,
        "How often closed log files and snapshots are read and checked, slowly; what is damaged is kept aside and replaced from the peer; `0` = never",
    ),
    // [limits]
    key(
        "limits.max_clients",
        Kind::Whole { min: 1, max: 1_000_000 },
        "10000",
        "Client connections; more are refused as Redis does",
    ),
    key(
        "limits.max_memory",
        size(0, 1 << 50),
        r#""0""#,
        "Data set beyond this: writes that add get `-OOM`; `0` = no bound",
    ),
    key(
        "limits.idle_timeout",
        millis(0, 30 * DAY),
        r#""0s""#,
        "Clients silent for longer are closed; `0s` = never",
    ),
    key(
        "limits.input_buffer",
        size(MIB, 16 * GIB),
        r#""1GiB""#,
        "A client whose unfinished request grows beyond this is closed",
    ),
    key(
        "limits.output_buffer",
        size(0, 64 * GIB),
        r#""1GiB""#,
        "A client that does not read its answers is closed beyond this; `0` = no bound",
    ),
    key("limits.pubsub_buffer", size(0, 64 * GIB), r#""32MiB""#, "The same for subscribers"),
    key(
        "limits.script_time",
        millis(1, 60_000),
        r#""200ms""#,
        "A script that runs for longer is stopped with an error; nobody else is served meanwhile, so it should stay below a third of `switch.failure_timeout`",
    ),
    key(
        "limits.script_memory",
        size(MIB, 16 * GIB),
        r#""64MiB""#,
        "Memory of the interpreter of scripts; a script that needs more ends with an error",
    ),
    // [vip]
    key(
        "vip.address",
        Kind::Text,
        r#""""#,
        "Virtual address with prefix length that the primary holds; clients are served there too, at the same ports",
    ),
    key("vip.interface", Kind::Text, r#""""#, "The interface it is added to"),
    // [tls]
    key(
        "tls.cert",
        Kind::Secret,
        r#""""#,
        "Certificate chain, PEM; client port, link, admin and witness",
    ),
    key("tls.key", Kind::Secret, r#""""#, "Its private key, PEM"),
    key(
        "tls.client_ca",
        Kind::Secret,
        r#""""#,
        "If set, clients and the peer must show a certificate of this authority",
    ),
    // [auth]
    key("auth.password_file", Kind::Secret, r#""""#, "Clients: `AUTH`, `HELLO`"),
    key("auth.peer_secret_file", Kind::Secret, r#""""#, "Link and witness"),
    key("auth.admin_token_file", Kind::Secret, r#""""#, "HTTP requests that change something"),
    key(
        "auth.insecure",
        Kind::Flag,
        "false",
        "Listen beyond loopback without password or token; anyone who reaches the port owns the data. Two machines still need `peer_secret_file` or `tls.client_ca`",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_fits_its_key() {
        for key in KEYS {
            let Some(default) = key.default else { continue };
            let text = format!("x = {default}");
            let table = toml::de::DeTable::parse(&text).unwrap();
            let (_, value) = table.get_ref().iter().next().unwrap();
            let raw = crate::value::Raw::from_toml(value.get_ref());
            crate::value::read(&key.kind, &raw)
                .unwrap_or_else(|error| panic!("{} {error}", key.path));
        }
    }

    #[test]
    fn paths_are_unique() {
        for (place, key) in KEYS.iter().enumerate() {
            assert!(
                KEYS.iter().skip(place + 1).all(|other| other.path != key.path),
                "{}",
                key.path
            );
        }
    }
}
