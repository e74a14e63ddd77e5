//! What sessions ask of the node because they cannot do it themselves.

use tandem_merge::escrow::Forget;
use tandem_resp::Proto;
use tandem_types::{DbIndex, NodeId};

use crate::{ConnId, Severity};

/// A person's wish, whichever way it came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wish {
    /// Make this node primary.
    Promote {
        /// Acknowledged records that may be lost, at most.
        accept_loss: u64,
        /// Whatever is lost.
        force: bool,
    },
    /// Go on alone, by this person's word.
    Solo {
        /// Although the peer is connected.
        force: bool,
    },
    /// Planned change without loss; `None`: to the node that is not primary.
    Switch {
        /// The node that shall be primary.
        to: Option<NodeId>,
    },
    /// Carry out what is pending.
    Confirm,
    /// Drop what is pending.
    Reject,
    /// No automatic decisions.
    Pause,
    /// Decide again.
    Resume,
}

/// One request of a session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operation {
    /// A person's wish; the answer comes back by `Clients::answer`.
    Wish {
        /// Who waits for the answer.
        conn: ConnId,
        /// What.
        wish: Wish,
    },
    /// A line for the log.
    Say {
        /// How much it matters.
        severity: Severity,
        /// The line.
        text: String,
    },
    /// Compare the data of the two nodes; the result comes back by `Clients::answer`.
    Verify {
        /// Who waits for the result.
        conn: ConnId,
        /// If the data differs, the follower takes a full copy.
        repair: bool,
    },
    /// A question about saved writes, or a decision; answered by `Clients::answer_lines`.
    Conflicts {
        /// Who waits for the answer.
        conn: ConnId,
        /// What.
        request: tandem_admin::ConflictRequest,
    },
    /// Pass a write on to the primary; the reply comes back by `Clients::forwarded`.
    Forward {
        /// Who waits for the reply.
        conn: ConnId,
        /// Its database.
        db: DbIndex,
        /// The protocol the reply must speak.
        proto: Proto,
        /// The command as a RESP array.
        command: Vec<u8>,
    },
    /// Compare the data of two writers; the answer comes back by `Clients::answer`.
    VerifyWriters {
        /// Who waits for it.
        conn: ConnId,
    },
    /// Give the peer of two writers up for good; the answer comes back by `Clients::answer`.
    Forget {
        /// Who waits for it.
        conn: ConnId,
        /// The incarnation, as it was written.
        incarnation: String,
        /// What becomes of its rights, if that was said.
        rights: Option<Forget>,
    },
    /// What a peer that was given up wrote and nobody has: list it, or write again what can be.
    Salvage {
        /// Who waits for the lines.
        conn: ConnId,
        /// Do it.
        apply: bool,
    },
    /// Show conflicts of which some are only on disk; answered by `Clients::answer_conflicts`.
    ReadConflicts {
        /// Who waits for the answer.
        conn: ConnId,
        /// Which.
        filter: tandem_store::ConflictFilter,
    },
    /// Look for a conflict that is to be decided and only on disk; then `Clients::go_on` runs the command.
    RecallConflict {
        /// Whose command waits in its input.
        conn: ConnId,
        /// Which.
        id: tandem_store::ConflictId,
    },
    /// Tell the peer's subscribers, best effort.
    Publish {
        /// The channel.
        channel: Vec<u8>,
        /// The message.
        payload: Vec<u8>,
    },
}
