//! The in-sync set: who holds every acknowledged write.

use tandem_types::{Epoch, Incarnation, NodeId, Pair};

use crate::Acknowledge;

/// The set as one node has it on disk.
///
/// Only the primary changes it, and raises `revision` each time; the other node's record is a copy, and
/// proves membership only while it equals the primary's in every field but `epoch`, or is the later one that
/// the same primary has told it ahead (`strength` becomes less there first).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct InSyncSet {
    /// The reign it was written in.
    pub epoch: Epoch,
    /// Rises with every change over the whole life of the pair.
    pub revision: u64,
    /// The members: data directories, not host names. `None`: that node is not in it.
    pub members: Pair<Option<Incarnation>>,
    /// What membership is worth: a copy is never worth more than what its primary answers by.
    pub strength: Acknowledge,
}

impl InSyncSet {
    /// Only `node` holds everything.
    pub fn alone(node: Member, epoch: Epoch, revision: u64, strength: Acknowledge) -> Self {
        let mut members = Pair::default();
        members[node.node] = Some(node.incarnation);
        Self { epoch, revision, members, strength }
    }

    /// Whether this very data directory is in it.
    pub fn has(&self, member: Member) -> bool {
        self.members[member.node] == Some(member.incarnation)
    }

    /// Whether it holds this node with another data directory than this one.
    pub(crate) fn names_another(&self, member: Member) -> bool {
        self.members[member.node].is_some_and(|known| known != member.incarnation)
    }

    /// Whether both nodes are in it.
    pub const fn is_both(&self) -> bool {
        self.members.a.is_some() && self.members.b.is_some()
    }

    /// Whether the other node's record is a copy of this one.
    pub fn agrees_with(&self, other: &Self) -> bool {
        self.revision == other.revision
            && self.members == other.members
            && self.strength == other.strength
    }

    /// Whether this copy is of what the primary, which still has `other`, is about to write: it tells its member
    /// first where it shall be worth less.
    pub(crate) fn was_told_ahead_of(&self, other: &Self) -> bool {
        self.revision > other.revision
            && self.members == other.members
            && self.strength < other.strength
    }
}

/// One node's data directory.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Member {
    /// Which node.
    pub node: NodeId,
    /// Its data directory's life.
    pub incarnation: Incarnation,
}
