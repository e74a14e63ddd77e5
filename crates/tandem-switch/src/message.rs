//! What the two switches say to each other (bytes: docs/formats/link.md, "switch").
//!
//! Carried opaquely in the link's `Switch` message, in order, within one connection.

use tandem_types::{Epoch, ForkId, Incarnation, Lsn, PairId, Role};

use crate::wire::{Reader, WireError, Writer};
use crate::{InSyncSet, Reign, Revision};

/// First byte of every message.
const VERSION: u8 = 3;
/// Says neither what is known to be acknowledged nor against which state of the record a membership is given.
/// Still understood.
const VERSION_2: u8 = 2;
/// Nor pauses and troubles in its greeting. Still understood.
const VERSION_1: u8 = 1;

/// How the sender stands. First message of a connection, and again whenever a field changes.
///
/// Only sent while nothing is being written to the sender's disk: it states what a restart would find.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Greeting {
    /// The pair its data belongs to.
    pub pair_id: PairId,
    /// Its data directory's life.
    pub incarnation: Incarnation,
    /// How often that was started.
    pub boot: u64,
    /// `Primary` only once its reign is on its disk.
    pub role: Role,
    /// The highest epoch it has heard of.
    pub epoch_seen: Epoch,
    /// The latest reign it knows.
    pub reign: Option<Reign>,
    /// The in-sync set as it knows it.
    pub in_sync: Option<InSyncSet>,
    /// End of its log.
    pub appended_end: Lsn,
    /// End of what it knows to be acknowledged and the receiver to have had on its disk; none, if it has just
    /// started.
    pub commit_end: Lsn,
    /// How often automatic decisions were suspended and resumed; odd: suspended.
    pub pauses: u64,
    /// Something ails it: it should not be given the role.
    pub unwell: bool,
}

impl Greeting {
    /// Why a person's word that this peer is off cannot be taken, now that it is connected; `empty`: the node
    /// that was asked holds no data. Beginning over data that is right there is refused also with force.
    pub(crate) fn refuses_solo(&self, peer: &str, empty: bool, force: bool) -> Option<String> {
        if empty && self.pair_id != PairId::NONE {
            return Some(format!(
                "node {peer} is connected and holds the pair's data, and this directory is empty: it gets a copy once {peer} is primary (`tandem promote` on {peer}). To begin a new, empty pair here, stop node {peer} first"
            ));
        }
        let text = format!(
            "node {peer} is connected, and `tandem solo` is your word that it is off and stays off: stop it first, or see `tandem why`; `--force` says so all the same"
        );
        (!force).then_some(text)
    }
}

/// One message.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum PeerMessage {
    /// How the sender stands.
    Greeting(Greeting),
    /// The sender was primary of `reign` and wants to begin `epoch`.
    Claim {
        /// The epoch it wants.
        epoch: Epoch,
        /// Its mark.
        fork: ForkId,
        /// The latest reign it knows.
        reign: Option<Reign>,
    },
    /// Agreed: the sender of this has the epoch on disk as seen, and serves nothing below it.
    Grant {
        /// As claimed.
        epoch: Epoch,
        /// As claimed.
        fork: ForkId,
    },
    /// Not agreed; a greeting with the reason (a later epoch or reign) follows or went before.
    Decline {
        /// As claimed.
        epoch: Epoch,
    },
    /// The primary has written this set; the follower has everything before `lsn`.
    InSync {
        /// The primary's reign.
        epoch: Epoch,
        /// The set.
        set: InSyncSet,
        /// What the follower must have to believe it.
        lsn: Lsn,
        /// The state of the mediator's record that the primary knew, if there is a mediator and it knew one:
        /// the follower may not have reached it yet, and an earlier or another one must not fool it.
        recorded: Option<Revision>,
    },
    /// The follower has written the set.
    InSyncAck {
        /// The primary's reign.
        epoch: Epoch,
        /// The set's.
        revision: u64,
    },
    /// The follower has left the set, durably: the primary may go on alone.
    Resign {
        /// The reign it followed.
        epoch: Epoch,
        /// The latest revision it knew.
        revision: u64,
    },
    /// The primary has noted the resignation.
    ResignAck {
        /// As in [`PeerMessage::Resign`].
        revision: u64,
    },
    /// The standby asks for a planned change.
    HandoverRequest {
        /// The reign that should end.
        epoch: Epoch,
    },
    /// Not done; the primary goes on.
    HandoverRefused {
        /// The reign that goes on.
        epoch: Epoch,
        /// Why, for people.
        reason: String,
    },
    /// The primary has given up its reign for this one, durably.
    Handover {
        /// The new reign; its primary is the receiver.
        reign: Reign,
        /// The receiver has everything before this.
        end: Lsn,
        /// The old set's revision: the new one is later.
        revision: u64,
    },
}

mod tag {
    pub(super) const GREETING: u8 = 1;
    pub(super) const CLAIM: u8 = 2;
    pub(super) const GRANT: u8 = 3;
    pub(super) const DECLINE: u8 = 4;
    pub(super) const IN_SYNC: u8 = 5;
    pub(super) const IN_SYNC_ACK: u8 = 6;
    pub(super) const RESIGN: u8 = 7;
    pub(super) const RESIGN_ACK: u8 = 8;
    pub(super) const HANDOVER_REQUEST: u8 = 9;
    pub(super) const HANDOVER_REFUSED: u8 = 10;
    pub(super) const HANDOVER: u8 = 11;
}

impl PeerMessage {
    /// The message's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut w = Writer::new(&mut out);
        w.u8(VERSION);
        match self {
            Self::Greeting(it) => greeting(it, &mut w),
            Self::Claim { epoch, fork, reign } => {
                w.u8(tag::CLAIM);
                w.u64(epoch.get());
                w.u64(fork.get());
                w.option(reign.as_ref(), Writer::reign);
            }
            Self::Grant { epoch, fork } => {
                w.u8(tag::GRANT);
                w.u64(epoch.get());
                w.u64(fork.get());
            }
            Self::Decline { epoch } => {
                w.u8(tag::DECLINE);
                w.u64(epoch.get());
            }
            Self::InSync { epoch, set, lsn, recorded } => {
                w.u8(tag::IN_SYNC);
                w.u64(epoch.get());
                w.in_sync(set);
                w.u64(lsn.get());
                w.option(recorded.as_ref(), Writer::record_revision);
            }
            Self::InSyncAck { epoch, revision } => {
                w.u8(tag::IN_SYNC_ACK);
                w.u64(epoch.get());
                w.u64(*revision);
            }
            Self::Resign { epoch, revision } => {
                w.u8(tag::RESIGN);
                w.u64(epoch.get());
                w.u64(*revision);
            }
            Self::ResignAck { revision } => {
                w.u8(tag::RESIGN_ACK);
                w.u64(*revision);
            }
            Self::HandoverRequest { epoch } => {
                w.u8(tag::HANDOVER_REQUEST);
                w.u64(epoch.get());
            }
            Self::HandoverRefused { epoch, reason } => {
                w.u8(tag::HANDOVER_REFUSED);
                w.u64(epoch.get());
                w.text(reason);
            }
            Self::Handover { reign, end, revision } => {
                w.u8(tag::HANDOVER);
                w.reign(reign);
                w.u64(end.get());
                w.u64(*revision);
            }
        }
        out
    }

    /// Reads one whole message. Never panics, whatever the bytes.
    ///
    /// # Errors
    /// The bytes are not exactly one message of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let version = r.u8()?;
        if !(VERSION_1..=VERSION).contains(&version) {
            return Err(WireError::Version { found: version });
        }
        let message = match r.u8()? {
            tag::GREETING => Self::Greeting(read_greeting(version, &mut r)?),
            tag::CLAIM => Self::Claim {
                epoch: r.epoch()?,
                fork: ForkId::new(r.u64()?),
                reign: r.option(Reader::reign)?,
            },
            tag::GRANT => Self::Grant { epoch: r.epoch()?, fork: ForkId::new(r.u64()?) },
            tag::DECLINE => Self::Decline { epoch: r.epoch()? },
            tag::IN_SYNC => Self::InSync {
                epoch: r.epoch()?,
                set: r.in_sync()?,
                lsn: r.lsn()?,
                recorded: if version > VERSION_2 {
                    r.option(Reader::record_revision)?
                } else {
                    None
                },
            },
            tag::IN_SYNC_ACK => Self::InSyncAck { epoch: r.epoch()?, revision: r.revision()? },
            tag::RESIGN => Self::Resign { epoch: r.epoch()?, revision: r.revision()? },
            tag::RESIGN_ACK => Self::ResignAck { revision: r.revision()? },
            tag::HANDOVER_REQUEST => Self::HandoverRequest { epoch: r.epoch()? },
            tag::HANDOVER_REFUSED => Self::HandoverRefused { epoch: r.epoch()?, reason: r.text()? },
            tag::HANDOVER => {
                Self::Handover { reign: r.reign()?, end: r.lsn()?, revision: r.revision()? }
            }
            _ => return Err(WireError::Value { field: "tag" }),
        };
        r.finish()?;
        Ok(message)
    }
}

fn greeting(it: &Greeting, w: &mut Writer<'_>) {
    w.u8(tag::GREETING);
    w.u128(it.pair_id.get());
    w.u64(it.incarnation.get());
    w.u64(it.boot);
    w.u8(it.role.as_byte());
    w.u64(it.epoch_seen.get());
    w.option(it.reign.as_ref(), Writer::reign);
    w.option(it.in_sync.as_ref(), Writer::in_sync);
    w.u64(it.appended_end.get());
    w.u64(it.pauses);
    w.flag(it.unwell);
    w.u64(it.commit_end.get());
}

fn read_greeting(version: u8, r: &mut Reader<'_>) -> Result<Greeting, WireError> {
    let mut greeting = Greeting {
        pair_id: PairId::new(r.u128()?),
        incarnation: Incarnation::new(r.u64()?),
        boot: r.u64()?,
        role: r.role()?,
        epoch_seen: r.epoch()?,
        reign: r.option(Reader::reign)?,
        in_sync: r.option(Reader::in_sync)?,
        appended_end: r.lsn()?,
        commit_end: Lsn::ZERO,
        pauses: 0,
        unwell: false,
    };
    if version >= VERSION_2 {
        greeting.pauses = r.revision()?;
        greeting.unwell = r.flag()?;
    }
    if version >= VERSION {
        greeting.commit_end = r.lsn()?;
    }
    Ok(greeting)
}
