//! What reaches the switch, and what it decides.

use tandem_types::{Epoch, Lsn, Monotonic, NodeId, PairId};

use crate::mediator::{BootId, MediatorEvent, MediatorRequest};
use crate::message::PeerMessage;
use crate::vitals::{AddressHint, Probed, Testimony, Vitals};
use crate::{Gap, NodeState, Reign};

/// Names one request of a person, for its answer.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Ticket(pub u64);

/// What a person (or a signal) asks for.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Request {
    /// Make this node primary.
    Promote {
        /// Writes that may be lost, at most.
        accept_loss: u64,
        /// Whatever is lost.
        force: bool,
    },
    /// Planned change without loss; `None`: to the node that is not primary.
    Switch {
        /// The node that shall be primary.
        to: Option<NodeId>,
    },
    /// Serve alone, by this person's word that the peer neither serves nor will be promoted.
    Solo {
        /// Although the peer is connected, so that it plainly is not off.
        force: bool,
    },
    /// The node is going to stop: a standby resigns, a primary hands over if it can.
    Stop,
    /// Carry out the pending proposal (R12).
    Confirm,
    /// Drop the pending proposal.
    Reject,
    /// No automatic decisions, on either node, until resumed. Safety is never paused.
    Pause,
    /// Decide again.
    Resume,
}

/// What ails this node (R11): reason enough to give the role to a healthy peer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Trouble {
    /// No space left for the log.
    DiskFull,
    /// The oldest unfinished write or sync of the log has been running that long.
    SlowDisk {
        /// So far.
        for_ms: u64,
    },
    /// Commands wait that long before they are executed, and it is not the peer that is slow.
    SlowAnswers {
        /// So far.
        for_ms: u64,
    },
}

impl Trouble {
    /// For a sentence about the node.
    pub(crate) fn words(self) -> String {
        match self {
            Self::DiskFull => "its disk is full".to_owned(),
            Self::SlowDisk { for_ms } => {
                format!("its disk has not finished a write for {for_ms} ms")
            }
            Self::SlowAnswers { for_ms } => format!("commands wait {for_ms} ms"),
        }
    }
}

/// A read lease that this node gives (R6).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Grant {
    /// The reign that this node follows.
    pub epoch: Epoch,
    /// How long, on this node's clock, it will not serve itself.
    pub lease: std::time::Duration,
}

/// Which reads a primary may answer at a moment. Asked when a reply is released, not when the command ran.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ReadRight {
    /// All that are committed: nobody else can become primary without its knowledge.
    Free,
    /// All that are committed, while the clock is before this.
    Until(Monotonic),
    /// Those that were executed at or before this (`reads = "barrier"`).
    ExecutedBy(Monotonic),
    /// None.
    None,
}

/// How far this node's own log and key space are: comes with every input, as of that very moment.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct OwnEnds {
    /// End of the log in memory.
    pub appended_end: Lsn,
    /// End of the log on disk.
    pub durable_end: Lsn,
    /// End of what is in the key space.
    pub applied_end: Lsn,
    /// End of what has been or may be acknowledged.
    pub commit_end: Lsn,
}

/// How far the follower is, by its acknowledgements in this connection and epoch (from the leader brain).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct FollowerEnds {
    /// In its memory.
    pub received_end: Lsn,
    /// On its disk.
    pub durable_end: Lsn,
    /// In its key space.
    pub applied_end: Lsn,
    /// It keeps up: the last round of catching up was short.
    pub caught_up: bool,
}

/// What the peer's heartbeat said.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct PeerStatus {
    /// The reign it leads or follows.
    pub epoch: Epoch,
    /// End of its log.
    pub appended_end: Lsn,
    /// Bytes of that log which are not on this node's disk, at most, as far as the peer knows; `None`: it does
    /// not know.
    pub lacks: Option<u64>,
}

/// How the exchange between two nodes that both serve stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Exchange {
    /// Everything that the peer had when it was met is here: the copy is whole, or there was none to take.
    Whole,
    /// The peer is there and has on its disk what this node acknowledged, or is not and has not.
    InSync(bool),
    /// The peer has another partner in this node's place.
    GivenUp,
}

/// Something the switch must know.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Input {
    /// A connection to the peer is up; replaces the one before.
    PeerUp,
    /// It is gone, or silent for `failure_timeout`.
    PeerDown {
        /// How long nothing has been heard from it.
        silent: std::time::Duration,
    },
    /// The peer's switch says something.
    PeerSaid(PeerMessage),
    /// The peer's heartbeat.
    PeerStatus(PeerStatus),
    /// The follower's acknowledgements.
    Follower(FollowerEnds),
    /// The peer has acknowledged nothing for so long that it does not keep up. No word from it.
    FellBehind,
    /// A full copy into this node begins (`true`) or ended, whole or not (`false`). The node that ends a
    /// copy boots anew or goes on; while it runs there is nothing here that could be promoted.
    Copying(bool),
    /// The data of this node was damaged and is set aside (`true`): until a full copy is whole (`false`) it
    /// follows, and takes no role, from nobody. Said first, and durable: every boot says it again.
    Lacking(bool),
    /// [`Output::Persist`] of this version (and all before) is on disk.
    Persisted {
        /// Its version.
        version: u64,
    },
    /// [`Output::BeginReign`] is done: the record is on disk.
    ReignBegun {
        /// Its epoch.
        epoch: Epoch,
        /// The position after the record.
        end: Lsn,
    },
    /// A person asks for something.
    Ask {
        /// Names the answer.
        ticket: Ticket,
        /// What.
        request: Request,
    },
    /// The log or the state file cannot be written (R9): the node is about to exit.
    LogFailed,
    /// A message of a later epoch came by another way (the replication brains).
    HigherEpoch(Epoch),
    /// The mediator answers or tells something.
    Mediator(MediatorEvent),
    /// The peer's supervisor says that this boot of it has ended: a death certificate.
    PeerDied(BootId),
    /// As [`Self::PeerDied`], with what was on its disk then.
    Testified(Testimony),
    /// The peer was heard on a channel besides the link, in answer to what was sent at `asked`: it lived
    /// then, whatever its own clock says, and whoever may have recorded and repeated it.
    ChannelHeard {
        /// Which one, counted from 0 in the order of the configuration.
        channel: u8,
        /// This node's clock when it sent what was answered.
        asked: Monotonic,
        /// How long the answer took on the way, both ways.
        round_trip: std::time::Duration,
        /// What the peer says of itself.
        vitals: Vitals,
    },
    /// The fence command that [`Output::Fence`] asked for has ended: with certainty that the peer is off, or
    /// not.
    Fenced(Result<(), String>),
    /// Whether any of the ping targets can be reached.
    Pinged {
        /// This node's clock when it began to look.
        asked: Monotonic,
        /// One of them answers.
        reached: bool,
    },
    /// The standby tried the primary as a client.
    Probed {
        /// This node's clock when it began.
        asked: Monotonic,
        /// How it ended.
        probed: Probed,
    },
    /// keepalived on this machine has moved the virtual address, or says why not.
    Address(AddressHint),
    /// The peer answered a heartbeat that was sent at `asked`: it follows `epoch` and will not serve
    /// itself for `lease`, counted on its clock from its answer.
    Confirmed {
        /// The reign it follows.
        epoch: Epoch,
        /// This node's clock when it asked.
        asked: Monotonic,
        /// What the peer granted; zero: nothing, but it follows.
        lease: std::time::Duration,
    },
    /// What became of the exchange with the other of two writers.
    Exchange(Exchange),
    /// What ails this node, whenever that changes.
    Trouble(Option<Trouble>),
    /// Time passed; at least as often as `deadline` asks.
    Tick,
}

/// Something the surroundings must do, in order.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Output {
    /// Replace the state on disk, durably; then [`Input::Persisted`]. In order; later ones may swallow
    /// earlier ones.
    Persist {
        /// Names the answer.
        version: u64,
        /// The whole state.
        state: NodeState,
    },
    /// Send to the peer, in order.
    Send(PeerMessage),
    /// Append the record that begins the reign after everything in the log, sync it, apply all of the
    /// log; then [`Input::ReignBegun`]. Nothing is served yet.
    BeginReign {
        /// The reign; its primary is this node.
        reign: Reign,
        /// The pair: for the header of a log that is still empty.
        pair_id: PairId,
    },
    /// Serve clients as primary of this epoch. Lead: make a leader brain.
    Serve {
        /// The epoch.
        epoch: Epoch,
    },
    /// Stop serving *now*, before any other output is acted on: what waits ends as unknown.
    Demote {
        /// The reign that ends here.
        epoch: Epoch,
        /// Why.
        cause: DemoteCause,
    },
    /// Follow the peer, which leads this reign: make a follower brain and ask for the stream.
    Follow {
        /// The reign.
        reign: Reign,
        /// The pair; to be adopted if this node is empty.
        pair_id: PairId,
    },
    /// Drop the stream: nothing of it may be appended any more.
    Unfollow,
    /// Hold new writes back (planned change); at most [`crate::Settings::hold`]. Ask the peer for a sign of
    /// life at once: the answer is an [`Input::Confirmed`].
    HoldWrites,
    /// The change was called off: let them go on.
    ReleaseWrites,
    /// Close the connection; it may be made again.
    CloseLink {
        /// Why, for both nodes' people.
        reason: String,
    },
    /// Something for the mediator, in order.
    Mediator(MediatorRequest),
    /// This disk has lost acknowledged records that the peer holds: set the data aside, and begin anew from
    /// the peer with a new incarnation, as nobody's member.
    RecordsLost {
        /// Where the own log ends.
        end: Lsn,
        /// The end of what was acknowledged.
        acknowledged: Lsn,
    },
    /// Run the command that makes sure that the peer is off; then [`Input::Fenced`].
    Fence,
    /// The answer to a person.
    Answer {
        /// As asked.
        ticket: Ticket,
        /// Done, with a sentence; or not.
        answer: Result<String, Refusal>,
    },
    /// For people, metrics and traces.
    Event(Event),
}

/// Why a primary stops being one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum DemoteCause {
    /// A later reign exists (R8).
    HigherEpoch,
    /// Both nodes took the same epoch by force; the configured preference decided.
    SameEpoch,
    /// Handed over: keep the held writes and pass them on when the new primary serves.
    HandedOver,
    /// The disk failed (R9).
    LogFailed,
    /// It sees neither the peer nor the mediator: somebody else may be primary soon.
    Isolated,
    /// It lost the mediator, and that is enough (`when_lost = "step-down"`, `acknowledge = "local"`).
    MediatorLost,
    /// Both nodes served, and `split_brain` decided for the other one, or for nobody.
    SplitBrain,
    /// This reign was begun by force, and the mediator's record is of another pair.
    OtherPair,
}

/// Why a person's request was not carried out. `text` says what, why, and what to do.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Refusal {
    /// What scripts act on.
    pub kind: RefusalKind,
    /// One line for people.
    pub text: String,
}

/// See [`Refusal`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RefusalKind {
    /// This node is primary already.
    AlreadyPrimary,
    /// Acknowledged writes could be lost, or the data fork.
    Unsafe(Gap),
    /// The peer is needed and not there.
    NoPeer,
    /// Another change is under way.
    Busy,
    /// This node's data is not whole, or it has none.
    NoData,
    /// It took too long; everything is as before.
    TimedOut,
    /// This request makes no sense in this role.
    WrongRole,
    /// The peer refused or could not.
    PeerRefused,
}

/// What happened, in the switch's own words.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Event {
    /// The pair came to be.
    PairCreated(PairId),
    /// This node belongs to a pair from now on.
    PairAdopted(PairId),
    /// This node serves.
    Promoted {
        /// Its reign.
        reign: Reign,
        /// How it came to it.
        cause: PromoteCause,
    },
    /// This node stopped serving.
    Demoted {
        /// The reign that ended here.
        epoch: Epoch,
        /// Why.
        cause: DemoteCause,
    },
    /// This node follows.
    Following(Reign),
    /// The peer is in the in-sync set again.
    Grown {
        /// The set's revision.
        revision: u64,
    },
    /// The standby relies on no more than this now, so writes are answered by it.
    AnswersBy(crate::Acknowledge),
    /// This node is alone in the in-sync set.
    Shrunk {
        /// The set's revision.
        revision: u64,
        /// By what right.
        cause: ShrinkCause,
    },
    /// This standby is a member of the in-sync set, on its own disk.
    MemberHere {
        /// The set's revision.
        revision: u64,
    },
    /// This standby has left the set.
    Resigned,
    /// A planned change began.
    HandoverBegun,
    /// It was called off; nothing changed.
    HandoverFailed {
        /// Why.
        reason: String,
    },
    /// A change of the role is decided, and why; what comes of it is said later.
    Decided {
        /// What.
        what: crate::Proposed,
        /// The fact it rests on.
        cause: String,
        /// How long that fact has held.
        after: std::time::Duration,
    },
    /// A person is asked, or would be: nothing is done (R12).
    Proposed {
        /// What.
        what: crate::Proposed,
        /// The fact it rests on.
        cause: String,
    },
    /// A proposal came to nothing.
    ProposalDropped {
        /// What.
        what: crate::Proposed,
        /// Why.
        reason: String,
    },
    /// Automatic decisions are suspended (`true`) or taken again.
    Paused(bool),
    /// A change of the mediator's record came to nothing, or is not known to have taken effect.
    ChangeFailed {
        /// What it was for.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// The mediator had lost the record, or had an old one: this node wrote it again.
    RecordWritten,
    /// The mediator can be reached (`true`) or not.
    MediatorHeard {
        /// Now.
        reachable: bool,
        /// With whom, or why not.
        detail: String,
    },
    /// The fence command was started: the peer shall be off for certain.
    FenceBegun {
        /// What waits for it.
        purpose: &'static str,
    },
    /// The fence command has ended.
    FenceEnded {
        /// Why it is not certain that the peer is off; `None`: it is.
        trouble: Option<String>,
    },
    /// Both nodes served: two histories.
    SplitBrain {
        /// How it is settled.
        outcome: String,
    },
    /// The peer's data belongs to another pair; neither is touched.
    ForeignPeer {
        /// Its pair.
        theirs: PairId,
    },
}

/// How a node became primary.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PromoteCause {
    /// First primary of a new pair.
    Created,
    /// It was primary before its restart.
    Returned,
    /// Planned change.
    Handover,
    /// A person promoted it; acknowledged writes cannot have been lost.
    Promoted,
    /// A person promoted it and accepted the loss.
    Forced,
    /// A person let it go alone.
    Solo,
    /// The primary was gone, and this node held every acknowledged write.
    TookOver,
    /// The primary was silent, and nobody proved that it is gone (`on_silence = "take-over"`): it may serve
    /// still, and writes that are not here are lost if they existed.
    TookOverUnproven,
    /// Both nodes served, and `split_brain` decided for this one.
    WonSplit,
}

/// By what right a primary went on alone.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ShrinkCause {
    /// The peer resigned.
    Resigned,
    /// The peer's own disk says that it is not a member.
    PeerNotMember,
    /// The peer's data directory is a new one.
    PeerReplaced,
    /// A person's word.
    Solo,
    /// `acknowledge = "local"` waits for nobody.
    Local,
    /// The peer was silent, and the mediator's record says that it is out.
    Recorded,
    /// The peer's supervisor says that its process has ended.
    Certified,
    /// The fence command has made sure that the peer is off.
    Fenced,
    /// The peer was silent on every channel: it does not take over by itself, but a person must not promote
    /// it any more.
    Silence,
}
