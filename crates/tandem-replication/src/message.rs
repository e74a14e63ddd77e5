//! Messages over the link, as values and as bytes (drawn in docs/formats/link.md).
//!
//! One message is one frame; frames and their protection belong to `tandem-link`. Every message of a
//! reign carries its epoch: a node that knows a later one refuses it (design.md R8).

mod decode;
mod encode;
mod heartbeat;
mod hello;
mod notice;
mod stream;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

pub use decode::DecodeError;
pub use heartbeat::{Beat, Echo, Grant, Heartbeat, Status};
pub use hello::{Follow, Formats, Hello};
pub use notice::{Notice, NoticeCode};
pub use stream::{Ack, CopyStart, Keep, Records, SlotPieces, SnapshotChunk, push_slot};
use tandem_types::{Chain, DbIndex, Epoch, EpochHistory, Lsn};

/// First byte of every message; raised when an old node could misread a new one.
pub const VERSION: u8 = 3;
/// The oldest one that is still understood: its status does not say how much the receiver lacks.
pub(crate) const VERSION_1: u8 = 1;
/// Its Hello has the digest of the configuration and not the text, and no starts.
pub(crate) const VERSION_2: u8 = 2;
/// On the wire: how many bytes the receiver lacks is not known.
pub(crate) const LACKS_UNKNOWN: u64 = u64::MAX;
/// Entries of an epoch table in one message, at most.
pub const HISTORY_ENTRIES_MAX: usize = 65_536;
/// Bytes of a text in one message, at most.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// Bytes of a configuration in a [`Hello`]: every key with a long value is far below.
pub const CONFIGURATION_BYTES_MAX: usize = 65_536;

/// Starts of a directory in a [`Hello`].
pub const STARTS_MAX: usize = 255;

/// One message. Bulk bytes are borrowed from the frame they came in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message<'a> {
    /// First message of each end: who speaks.
    Hello(Hello),
    /// The follower obeys this epoch durably and asks for the stream.
    Follow(Follow),
    /// The stream continues at `from`, where the follower's log ends.
    Resume {
        /// The leader's reign.
        epoch: Epoch,
        /// First record that will be sent.
        from: Lsn,
        /// Running checksum at `from`: must be the follower's own.
        chain: Chain,
    },
    /// The follower's log has left the common history: save what is past `to`, cut, come back.
    CutBack {
        /// The leader's reign.
        epoch: Epoch,
        /// Up to where both logs agree.
        to: Lsn,
        /// The leader's running checksum at `to`.
        chain: Chain,
        /// The leader's table.
        history: EpochHistory,
    },
    /// A full copy begins.
    SnapshotBegin(CopyStart),
    /// Some slots of the full copy.
    SnapshotChunk(SnapshotChunk<'a>),
    /// All slots were sent; the copy is whole once records before `end` are durable and committed.
    SnapshotEnd {
        /// The leader's reign.
        epoch: Epoch,
        /// The latest LSN at which a chunk was taken.
        end: Lsn,
    },
    /// Records of the log as they are on disk.
    Records(Records<'a>),
    /// Records before `end` are acknowledged and may be applied.
    Commit {
        /// The leader's reign.
        epoch: Epoch,
        /// Exclusive.
        end: Lsn,
    },
    /// How far the follower is.
    Ack(Ack),
    /// Sign of life, both ways.
    Heartbeat(Heartbeat),
    /// A message of `tandem-switch`, opaque here.
    Switch(Cow<'a, [u8]>),
    /// A message of the exchange between two writers, opaque here.
    Exchange(Cow<'a, [u8]>),
    /// Saved writes of a returned primary, as the nodes speak of them; opaque here.
    Conflict(Cow<'a, [u8]>),
    /// A published message: best effort, never logged.
    Publish {
        /// The channel.
        channel: Cow<'a, [u8]>,
        /// The payload.
        payload: Cow<'a, [u8]>,
    },
    /// The text of a script that clients of the other node run: best effort, never logged.
    Script(Cow<'a, [u8]>),
    /// A command that a replica or an old primary passes on to the primary.
    Forward {
        /// Names the answer.
        token: u64,
        /// The database of the client's connection.
        db: DbIndex,
        /// 2 or 3: the protocol the reply must speak.
        proto: u8,
        /// The command as a RESP array.
        command: Cow<'a, [u8]>,
    },
    /// The answer to [`Message::Forward`].
    ForwardReply {
        /// The token of the request.
        token: u64,
        /// The reply in the protocol that was asked for.
        reply: Cow<'a, [u8]>,
    },
    /// What the two nodes tell one another to compare their data, opaque here. Never part of a reign's stream, but
    /// in its order.
    Compare(Cow<'a, [u8]>),
    /// The sender closes the link in good order.
    Bye(Notice),
    /// The sender will not work with this peer, and why; it closes the link.
    Reject(Notice),
}

impl Message<'_> {
    /// A word for logs and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Hello(_) => "hello",
            Self::Follow(_) => "follow",
            Self::Resume { .. } => "resume",
            Self::CutBack { .. } => "cut-back",
            Self::SnapshotBegin(_) => "snapshot-begin",
            Self::SnapshotChunk(_) => "snapshot-chunk",
            Self::SnapshotEnd { .. } => "snapshot-end",
            Self::Records(_) => "records",
            Self::Commit { .. } => "commit",
            Self::Ack(_) => "ack",
            Self::Heartbeat(_) => "heartbeat",
            Self::Switch(_) => "switch",
            Self::Exchange(_) => "exchange",
            Self::Conflict(_) => "conflict",
            Self::Publish { .. } => "publish",
            Self::Script(_) => "script",
            Self::Forward { .. } => "forward",
            Self::ForwardReply { .. } => "forward-reply",
            Self::Compare(_) => "compare",
            Self::Bye(_) => "bye",
            Self::Reject(_) => "reject",
        }
    }

    /// The reign it belongs to; `None` for messages outside any reign.
    pub const fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::Follow(follow) => Some(follow.epoch),
            Self::Resume { epoch, .. }
            | Self::CutBack { epoch, .. }
            | Self::SnapshotEnd { epoch, .. }
            | Self::Commit { epoch, .. } => Some(*epoch),
            Self::SnapshotBegin(start) => Some(start.epoch),
            Self::SnapshotChunk(chunk) => Some(chunk.epoch),
            Self::Records(records) => Some(records.epoch),
            Self::Ack(ack) => Some(ack.epoch),
            Self::Heartbeat(_)
            | Self::Hello(_)
            | Self::Switch(_)
            | Self::Exchange(_)
            | Self::Conflict(_)
            | Self::Publish { .. }
            | Self::Script(_)
            | Self::Forward { .. }
            | Self::ForwardReply { .. }
            | Self::Compare(_)
            | Self::Bye(_)
            | Self::Reject(_) => None,
        }
    }
}
