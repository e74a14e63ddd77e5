//! Rules that a test may take away, one at a time, to see that something notices.
//!
//! Without the feature `planted` every rule always holds and nothing of this is compiled in.

/// One rule of the switch.
#[cfg_attr(not(feature = "planted"), expect(unreachable_pub, reason = "public with the feature"))]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Rule {
    /// Only a member of the in-sync set takes over (R5).
    OnlyMembers,
    /// The stream is dropped and the epoch refused before the take-over is sent (R5).
    RefuseFirst,
    /// That refusal is on disk before the take-over is sent (R5).
    RefuseDurably,
    /// The record is shrunk before the primary acknowledges alone (R3).
    ShrinkFirst,
    /// The set grows only after the peer has acknowledged all that was acknowledged alone (R4).
    GrowAfterAcks,
    /// While the set grows, writes wait for the peer already (R4).
    GrowWaits,
    /// Whoever has seen a later epoch serves and obeys no earlier one (R8).
    FenceByEpoch,
    /// Members are data directories, not host names.
    Incarnation,
    /// A change of unknown outcome is settled only by another revision (R5).
    SettleByRevision,
    /// A node that took over serves only after the last read lease it gave (R5).
    LeaseWait,
    /// A primary answers reads only under a lease (R6).
    LeaseForReads,
    /// A primary that sees nobody demotes itself (R9).
    Isolation,
    /// A take-over is refused while the primary's boot is present.
    UnlessPresent,
    /// Nobody takes over from a primary that it still hears.
    LiveLink,
    /// A resignation is on disk before it is said (R3).
    ResignDurably,
    /// A node that has resigned is no candidate (R5).
    ResignedIsOut,
    /// A planned change waits until the peer has everything on its disk (R10).
    HandoverWaits,
    /// A primary stops before it gives its role away (R10).
    StopBeforeGiving,
    /// A primary gives its role only to a peer that has answered since the planned change began (R10).
    HeirAnswers,
    /// Only its primary writes a lost record again.
    RewriteByPrimary,
    /// A primary that restarts begins a new reign.
    NewReignPerBoot,
    /// With `acknowledge = "received"` a membership ends with the process.
    ReceivedEndsWithBoot,
    /// A record of another life than the one that a set of both was held against is an old copy.
    SameLife,
    /// A death certificate makes an heir only of a standby that the set on the dead node's disk names.
    CertificateShowsSet,
    /// A proof counts only about a boot that this process itself has met, and after which it met no other.
    UnbrokenContact,
    /// The peer is silent only if every channel is.
    AllChannels,
    /// A primary acknowledges alone only once {self} is on its disk.
    AloneOnDisk,
    /// A resignation told on another channel counts only for the set that it names.
    ResignByRevision,
    /// Whoever hears of a later reign of its peer begins none by itself until they have met.
    OneReturns,
    /// A primary that was restarted returns by itself only if it was alone.
    ReturnsAlone,
    /// A fence command that failed has made nothing sure.
    FenceCertain,
    /// A death certificate of an earlier boot says nothing about a later one.
    CertificateOfThisBoot,
    /// A node that does not see its own network judges nobody.
    OwnNetwork,
    /// A standby that saw the primary serve clients without it lacks what those wrote.
    LeftBehind,
    /// A node whose disk has lost records that its peer knows to be acknowledged takes no role.
    LostRecords,
    /// A primary tells its follower up to where that one has vouched, not what is acknowledged without it.
    VouchedFor,
    /// No number of a boot comes twice, also when a directory goes back to an older copy.
    BootsOnce,
}

#[cfg(feature = "planted")]
impl Rule {
    /// Those of a pair without a third party.
    pub const UNAIDED: [Self; 11] = [
        Self::CertificateShowsSet,
        Self::UnbrokenContact,
        Self::AllChannels,
        Self::AloneOnDisk,
        Self::ResignByRevision,
        Self::OneReturns,
        Self::ReturnsAlone,
        Self::FenceCertain,
        Self::CertificateOfThisBoot,
        Self::OwnNetwork,
        Self::LeftBehind,
    ];

    /// Those about directories that go back, of any pair.
    pub const GONE_BACK: [Self; 3] = [Self::LostRecords, Self::VouchedFor, Self::BootsOnce];

    /// Those of a pair with a mediator.
    pub const ALL: [Self; 23] = [
        Self::OnlyMembers,
        Self::RefuseFirst,
        Self::RefuseDurably,
        Self::ShrinkFirst,
        Self::GrowAfterAcks,
        Self::GrowWaits,
        Self::FenceByEpoch,
        Self::Incarnation,
        Self::SettleByRevision,
        Self::LeaseWait,
        Self::LeaseForReads,
        Self::Isolation,
        Self::UnlessPresent,
        Self::LiveLink,
        Self::ResignDurably,
        Self::ResignedIsOut,
        Self::HandoverWaits,
        Self::StopBeforeGiving,
        Self::HeirAnswers,
        Self::RewriteByPrimary,
        Self::NewReignPerBoot,
        Self::ReceivedEndsWithBoot,
        Self::SameLife,
    ];
}

#[cfg(feature = "planted")]
mod removed {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Rule;

    static REMOVED: AtomicU64 = AtomicU64::new(0);

    /// Takes this rule (and no other) away from every brain of this process; `None`: all hold again.
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
