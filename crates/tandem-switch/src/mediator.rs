//! What the switch wants from a mediator, and what it hears from one.
//!
//! A mediator (witness, `ZooKeeper`, etcd) keeps one record per pair, changed by compare-and-set only,
//! and each node's presence. The record says who is *allowed*; presence says who is *alive* and decides
//! nothing by itself. How that travels is the business of `tandem-mediator`.

use tandem_types::{Epoch, ForkId, Incarnation, Monotonic, NodeId, Pair, PairId, Role};

use crate::{Acknowledge, Member, Reign};

/// One boot of one data directory: a restarted process is another one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct BootId {
    /// The data directory's life.
    pub incarnation: Incarnation,
    /// Which start of it ([`crate::next_boot`]).
    pub boot: u64,
}

/// Which state of the record is meant: a compare-and-set names the one it replaces.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Revision {
    /// Names one life of the record at one mediator: another one means that it was emptied, restored
    /// or replaced.
    pub life: u64,
    /// Rises with every change within that life.
    pub version: u64,
}

/// What the mediator keeps for a pair.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Record {
    /// The pair.
    pub pair_id: PairId,
    /// The latest reign's number.
    pub epoch: Epoch,
    /// Its random mark.
    pub fork: ForkId,
    /// Whose it is.
    pub primary: NodeId,
    /// The boot that may serve it; any later boot of that node must begin a new reign.
    pub primary_boot: BootId,
    /// The in-sync set; the primary is always in it.
    pub members: Pair<Option<Incarnation>>,
    /// What membership is worth.
    pub strength: Acknowledge,
}

impl Record {
    /// The reign it speaks of.
    pub const fn reign(&self) -> Reign {
        Reign { epoch: self.epoch, fork: self.fork, primary: self.primary }
    }

    /// Whether this very data directory is in the in-sync set.
    pub fn has(&self, member: Member) -> bool {
        self.members[member.node] == Some(member.incarnation)
    }

    /// Whether both nodes are in the in-sync set.
    pub const fn is_both(&self) -> bool {
        self.members.a.is_some() && self.members.b.is_some()
    }
}

/// A node's sign of life at the mediator, as it last gave it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Presence {
    /// Who exactly is alive.
    pub boot: BootId,
    /// The pair its data belongs to; [`PairId::NONE`] while empty.
    pub pair_id: PairId,
    /// The highest epoch it has heard of.
    pub epoch_seen: Epoch,
    /// What it is, for people.
    pub role: Role,
}

/// The record as a mediator has it.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum RecordState {
    /// There is none: a new pair, or a mediator that lost its data.
    Absent,
    /// This.
    Present {
        /// Which state of it.
        revision: Revision,
        /// The record.
        record: Record,
    },
    /// There is something that is not a record of this version: it is never overwritten.
    Unreadable {
        /// What is wrong with it, for people.
        reason: String,
    },
}

/// Everything a mediator knows of a pair at one moment.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct MediatorView {
    /// This node's clock when the answer was asked for, or before a pushed change can have happened
    /// (`None`: pushed, its age is not known).
    pub asked: Option<Monotonic>,
    /// The record.
    pub record: RecordState,
    /// Who is alive.
    pub present: Pair<Option<Presence>>,
}

/// A compare-and-set.
///
/// Whoever gets no answer sends the *same* change again: at most one of the two takes effect, and the
/// fork id in the record tells whose it was.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Change {
    /// The state it replaces; `None`: only if there is none.
    pub expect: Option<Revision>,
    /// The new record.
    pub record: Record,
    /// Refused while this very boot of that node is present.
    pub unless_present: Option<(NodeId, BootId)>,
}

/// What the switch wants from the mediator.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MediatorRequest {
    /// This node lives: register or renew its presence with this content. Asked for again several times
    /// per session; when the asking stops (a wedged loop, a hung disk), the presence must end within
    /// `session`.
    Vouch(Presence),
    /// End this node's presence now: it is about to stop.
    Leave,
    /// Read record and presence; the answer is a [`MediatorEvent::View`].
    Read,
    /// Compare-and-set; the answer is a [`MediatorEvent::Outcome`] with the same number.
    Change {
        /// Names the answer.
        number: u64,
        /// What.
        change: Change,
    },
}

/// How a [`Change`] ended.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Outcome {
    /// It took effect.
    Won {
        /// The record's new state.
        revision: Revision,
    },
    /// It did not and never will; this is what is there instead.
    Lost(MediatorView),
    /// The mediator did not make it, and this copy of it never takes effect. What it was to replace is still
    /// there: asked for again, it may be made.
    Refused {
        /// Why not, for people.
        reason: String,
    },
    /// No answer, or one that does not tell: it may take effect later, once, or never.
    Unknown {
        /// What went wrong, for people.
        reason: String,
    },
}

/// What the switch hears from the mediator.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum MediatorEvent {
    /// A session is open; a view follows.
    Up {
        /// The endpoint, for people.
        endpoint: String,
    },
    /// The session is gone or does not answer. It is opened again without being asked for.
    Down {
        /// Why, for people.
        reason: String,
    },
    /// The mediator has confirmed a sign of life that was sent at `sent`: this node's presence lasts
    /// at least until `sent` + `session` by the mediator's clock.
    Renewed {
        /// This node's clock when it was *sent*.
        sent: Monotonic,
    },
    /// What it knows: asked for, or pushed because it changed.
    View(MediatorView),
    /// The answer to a change.
    Outcome {
        /// As in the request.
        number: u64,
        /// How it ended.
        outcome: Outcome,
    },
}
