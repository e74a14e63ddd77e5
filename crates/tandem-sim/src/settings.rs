//! Settings of the simulated nodes.

use std::time::Duration;

use tandem_node::{Acknowledge, Fsync, Limits, Settings, Topology, WithoutPeer};
use tandem_types::{NodeId, Pair};

/// One node of a simulated pair.
pub fn settings(node: NodeId, acknowledge: Acknowledge, topology: Topology) -> Settings {
    let both = |a: &str, b: &str| Pair { a: a.to_owned(), b: b.to_owned() };
    Settings {
        node,
        names: both("a", "b"),
        client_addresses: both("10.0.0.1:6379", "10.0.0.2:6379"),
        read_ports: Pair { a: 6380, b: 6380 },
        pair_name: "main".into(),
        topology,
        initial_primary: NodeId::A,
        acknowledge,
        without_peer: WithoutPeer::Serve,
        fsync: Fsync::Always,
        max_staleness: Duration::ZERO,
        forward_writes: false,
        // Nothing is kept for a returning peer: full copies are frequent.
        log_retention_bytes: 0,
        scrub_every: Duration::ZERO,
        snapshot_log_bytes: 32 << 10,
        tail_bytes_max: 16 << 10,
        conflicts: tandem_node::SavePolicy::Keep,
        conflicts_bytes_max: 1 << 30,
        merge_log: tandem_node::MergeLogBounds {
            bytes_max: 1 << 30,
            age_max: Duration::from_hours(7 * 24),
        },
        failure_timeout: Duration::from_secs(1),
        hold: Duration::from_secs(2),
        linger: Duration::from_millis(500),
        switch_by: tandem_node::SwitchBy::Manual,
        automatic: tandem_switch::Automatic::default(),
        channels: Vec::new(),
        virtual_address: false,
        password: None,
        protected_mode: false,
        config_digest: 1,
        configuration: String::new(),
        limits: Limits::default(),
        slowlog_slower_than_us: -1,
        slowlog_entries_max: 0,
        data_dir: "/sim".into(),
        debug_commands: false,
    }
}
