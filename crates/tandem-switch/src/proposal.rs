//! What a node would do, and the facts it goes by: for a person to confirm (R12).

use tandem_types::{Monotonic, NodeId};

use crate::Gap;

/// A decision that waits for a person.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Proposal {
    /// What would be done.
    pub what: Proposed,
    /// What failed, in one sentence.
    pub cause: String,
    /// Since when.
    pub since: Monotonic,
    /// Dropped then (`automation = "confirm"`); `None`: nobody is asked (`"observe"`).
    pub expires: Option<Monotonic>,
    /// Acknowledged writes that carrying it out could lose.
    pub lost: Gap,
}

/// What would be done.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Proposed {
    /// This node takes the role from a primary that is gone.
    TakeOver {
        /// The old primary.
        from: NodeId,
    },
    /// The primary gives its role to the peer.
    HandOver {
        /// The new primary.
        to: NodeId,
    },
}

/// How the mediator is, for people.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct MediatorStatus {
    /// A session is open.
    pub connected: bool,
    /// With whom; the last one if none is open.
    pub endpoint: Option<String>,
    /// Why there is none, or what is wrong with the record.
    pub trouble: Option<String>,
    /// When the record was last known to be as it was seen.
    pub seen: Option<Monotonic>,
    /// Presence is confirmed until then.
    pub present_until: Option<Monotonic>,
    /// A change was sent whose outcome is not known.
    pub unsettled: bool,
}
