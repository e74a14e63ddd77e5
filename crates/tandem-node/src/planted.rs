//! Rules of the node that a test may take away, one at a time, to see that something notices.
//!
//! Without the feature `planted` every rule always holds and nothing of this is compiled in.

/// One rule of the node.
#[cfg_attr(not(feature = "planted"), expect(unreachable_pub, reason = "public with the feature"))]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum NodeRule {
    /// A write is acknowledged only when it is on this node's disk.
    SyncFirst,
    /// A follower reports a record as durable only when it is on its disk.
    FollowerSyncFirst,
    /// A reply leaves only when everything it tells of is committed.
    CommitFirst,
    /// A reply leaves only while this node has the right to tell.
    RightFirst,
    /// A lease counts from when it was asked for.
    LeaseFromAsking,
    /// What a follower acknowledged in an earlier reign counts for nothing.
    AcksEndWithReign,
    /// A write is passed on once.
    ForwardOnce,
    /// A follower applies only what is committed.
    ApplyCommitted,
    /// A reign serves only once its first record is on disk.
    ReignOnDisk,
    /// Of two writers: an own record is sent only once it is on this node's disk.
    SendFromDisk,
    /// Of two writers: what is said to be seen is on this node's disk.
    SeenFromDisk,
    /// Of two writers: after a restart stamps go on behind those in the log, whatever the clock shows.
    #[cfg_attr(not(feature = "planted"), expect(dead_code, reason = "looked at in tests only"))]
    ClockFromLog,
    /// Of two writers: a process that was not started after the last one that was met is of an older copy.
    LaterBoots,
}

#[cfg(feature = "planted")]
impl NodeRule {
    /// Those of any pair.
    pub const ALL: [Self; 9] = [
        Self::SyncFirst,
        Self::FollowerSyncFirst,
        Self::CommitFirst,
        Self::RightFirst,
        Self::LeaseFromAsking,
        Self::AcksEndWithReign,
        Self::ForwardOnce,
        Self::ApplyCommitted,
        Self::ReignOnDisk,
    ];

    /// Those that only two writers have.
    pub const TWO_WRITERS: [Self; 4] =
        [Self::SendFromDisk, Self::SeenFromDisk, Self::ClockFromLog, Self::LaterBoots];
}

#[cfg(all(feature = "planted", not(debug_assertions)))]
compile_error!("rules may be taken away in tests only");

#[cfg(feature = "planted")]
mod removed {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::NodeRule;

    static REMOVED: AtomicU64 = AtomicU64::new(0);

    /// Takes this rule (and no other) away from every node of this process; `None`: all hold again.
    pub fn remove_rule(rule: Option<NodeRule>) {
        REMOVED.store(rule.map_or(0, |rule| 1 << (rule as u8)), Ordering::SeqCst);
    }

    pub(crate) fn is_removed(rule: NodeRule) -> bool {
        REMOVED.load(Ordering::Relaxed) & (1 << (rule as u8)) != 0
    }
}

#[cfg(feature = "planted")]
pub use removed::remove_rule;

/// Whether the rule holds.
#[cfg(feature = "planted")]
pub(crate) fn holds(rule: NodeRule) -> bool {
    !removed::is_removed(rule)
}

/// Whether the rule holds: always.
#[cfg(not(feature = "planted"))]
pub(crate) const fn holds(_: NodeRule) -> bool {
    true
}
