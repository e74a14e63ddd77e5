//! Settings for tests.

use std::time::Duration;

use tandem_types::{NodeId, Pair};

use crate::{Acknowledge, Fsync, Limits, Settings, Topology, WithoutPeer};

/// Node `a` of a pair, with everything as it is by default.
pub(crate) fn settings() -> Settings {
    let pair = |a: &str, b: &str| Pair { a: a.to_owned(), b: b.to_owned() };
    Settings {
        node: NodeId::A,
        names: pair("a", "b"),
        client_addresses: pair("127.0.0.1:6379", "127.0.0.2:6379"),
        read_ports: Pair { a: 6380, b: 6380 },
        pair_name: "main".to_owned(),
        topology: Topology::PrimaryStandby,
        initial_primary: NodeId::A,
        acknowledge: Acknowledge::Durable,
        without_peer: WithoutPeer::Serve,
        fsync: Fsync::Always,
        max_staleness: Duration::ZERO,
        forward_writes: false,
        log_retention_bytes: 1 << 30,
        snapshot_log_bytes: 1 << 30,
        scrub_every: Duration::ZERO,
        tail_bytes_max: 1 << 20,
        conflicts: crate::SavePolicy::Keep,
        conflicts_bytes_max: 1 << 30,
        merge_log: crate::MergeLogBounds {
            bytes_max: 1 << 30,
            age_max: Duration::from_hours(7 * 24),
        },
        failure_timeout: Duration::from_secs(1),
        hold: Duration::from_secs(2),
        linger: Duration::from_millis(500),
        switch_by: crate::SwitchBy::Manual,
        automatic: tandem_switch::Automatic::default(),
        channels: Vec::new(),
        virtual_address: false,
        password: None,
        protected_mode: false,
        config_digest: 0,
        configuration: String::new(),
        limits: Limits::default(),
        slowlog_slower_than_us: 10_000,
        slowlog_entries_max: 128,
        data_dir: "/data".to_owned(),
        debug_commands: false,
    }
}
