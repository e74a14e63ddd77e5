//! Rules of the merge that a test may take away, one at a time, to see that something notices.
//!
//! Without the feature `planted` every rule always holds and nothing of this is compiled in.

/// One rule of the merge.
#[cfg_attr(not(feature = "planted"), expect(unreachable_pub, reason = "public with the feature"))]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Rule {
    /// The winner of a patch or an expiry says its whole value again.
    Reassert,
    /// Only writes that did not see one another compete by stamp.
    SeenFirst,
    /// On equal stamps side A ranks above side B.
    SideBreaksTies,
    /// Own additions that an assignment did not see survive it.
    AddsSurvive,
    /// The own value in a race is what was written, without the peer's additions that the peer has wiped.
    OwnValueOnly,
    /// An update beats a deletion that did not see it.
    UpdateBeatsDelete,
    /// Of two deadlines the longest wins.
    LongestDeadline,
    /// A key that is gone keeps its deadline while own writes on it are unacknowledged.
    GhostDeadline,
    /// The peer's list edits are carried over the own ones.
    TransformTheirs,
    /// The own list edits are carried over the peer's.
    TransformOwn,
    /// A flush takes only what it saw.
    FlushIsObserved,
    /// Sums of scores are kept per side.
    TotalsPerSide,
    /// Compaction never drops the only record of something.
    CompactOnlyDead,
    /// A record is applied once.
    ApplyOnce,
    /// What a snapshot has of a record is not done again when the log is replayed.
    DoneOnce,
    /// An acknowledgement counts once everything was applied that was written before it.
    AckInOrder,
    /// A bounded counter spends its own rights, not the whole value.
    SpendOwnRights,
    /// Rights are not transferred to oneself.
    NoSelfTransfer,
    /// A block of ids is durable at the peer before it is used.
    BurnFirst,
    /// A new incarnation goes on where no earlier one can have been.
    JumpAfterLoss,
    /// Sides use blocks of ids of their own parity.
    OwnParity,
}

#[cfg(feature = "planted")]
impl Rule {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Reassert,
        Self::SeenFirst,
        Self::SideBreaksTies,
        Self::AddsSurvive,
        Self::OwnValueOnly,
        Self::UpdateBeatsDelete,
        Self::LongestDeadline,
        Self::GhostDeadline,
        Self::TransformTheirs,
        Self::TransformOwn,
        Self::FlushIsObserved,
        Self::TotalsPerSide,
        Self::CompactOnlyDead,
        Self::ApplyOnce,
        Self::DoneOnce,
        Self::AckInOrder,
        Self::SpendOwnRights,
        Self::NoSelfTransfer,
        Self::BurnFirst,
        Self::JumpAfterLoss,
        Self::OwnParity,
    ];
}

#[cfg(feature = "planted")]
mod removed {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Rule;

    static REMOVED: AtomicU64 = AtomicU64::new(0);

    /// Takes this rule (and no other) away in this process; `None`: all hold again.
    pub fn remove(rule: Option<Rule>) {
        let bits = rule.map_or(0, |rule| 1 << (rule as u8));
        REMOVED.store(bits, Ordering::SeqCst);
    }

    pub(crate) fn is_removed(rule: Rule) -> bool {
        REMOVED.load(Ordering::Relaxed) & (1 << (rule as u8)) != 0
    }
}

#[cfg(feature = "planted")]
pub use removed::remove;

/// Whether the rule holds.
#[cfg(feature = "planted")]
pub(crate) fn holds(rule: Rule) -> bool {
    !removed::is_removed(rule)
}

/// Whether the rule holds: always.
#[cfg(not(feature = "planted"))]
pub(crate) const fn holds(_: Rule) -> bool {
    true
}
