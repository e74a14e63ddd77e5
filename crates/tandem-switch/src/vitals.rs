//! What a node says of itself on every channel, and what is said of it when it is dead.

use tandem_types::{Epoch, Lsn, Role};

use crate::{BootId, InSyncSet};

/// One health report: small enough for a serial line.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Vitals {
    /// Who exactly says it.
    pub boot: BootId,
    /// What it is.
    pub role: Role,
    /// The highest epoch it has heard of: a later one ends the reign of whoever hears it (R8).
    pub epoch_seen: Epoch,
    /// End of its log.
    pub appended_end: Lsn,
    /// End of its log on disk.
    pub durable_end: Lsn,
    /// It has left the in-sync set of this revision by its own word, on its disk: its resignation, for a
    /// primary whose link is cut.
    pub resigned: Option<u64>,
    /// Something ails it.
    pub unwell: bool,
    /// How busy it is, for people and for the peer's judgement.
    pub load: Load,
}

/// How busy a node is, as of its last look.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Load {
    /// Percent of one processor that its process uses.
    pub cpu_percent: u16,
    /// Percent of the time in which some task of this machine waited for a disk.
    pub io_wait_percent: u8,
    /// The slowest wait of a request lately, in milliseconds.
    pub request_ms: u16,
    /// Requests per second.
    pub requests: u32,
}

/// A death certificate: the supervisor's word on a boot of its node that has ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Testimony {
    /// The boot whose process is gone.
    pub boot: BootId,
    /// The in-sync set that is on its disk; `None`: its disk could not be read.
    pub in_sync: Option<InSyncSet>,
}

impl Testimony {
    /// Appends the set's bytes, for a message.
    pub fn encode_set(&self, out: &mut Vec<u8>) {
        crate::wire::Writer::new(out).option(self.in_sync.as_ref(), crate::wire::Writer::in_sync);
    }

    /// The set that [`Self::encode_set`] wrote; later versions may append to it.
    pub fn decode_set(bytes: &[u8]) -> Option<InSyncSet> {
        let mut reader = crate::wire::Reader::new(bytes);
        reader.option(crate::wire::Reader::in_sync).ok().flatten()
    }
}

/// How one attempt to use the primary as a client ended (`by = "probe"`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Probed {
    /// It serves.
    Answered {
        /// How long the answer took.
        round_trip: std::time::Duration,
        /// It wrote and read back; else it only read.
        wrote: bool,
    },
    /// Nobody takes connections.
    Refused,
    /// It answered an error: it does not serve.
    Error,
    /// What was read is not what was written.
    Wrong,
    /// It is there, and has not done what was asked within `slow_after`.
    Slow,
    /// Not a sign of life in time.
    Silent,
    /// The attempt says nothing of the primary: this node itself is in trouble.
    Unsure(OwnTrouble),
}

impl Probed {
    /// For a sentence about the primary.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Answered { .. } => "answers",
            Self::Refused => "takes no connections",
            Self::Error => "answers with errors",
            Self::Wrong => "does not give back what was written",
            Self::Slow => "answers too slowly",
            Self::Silent => "does not answer",
            Self::Unsure(trouble) => trouble.words(),
        }
    }
}

/// What keepalived on this machine says of the virtual address (its states, RFC 5798 and its own).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AddressHint {
    /// `MASTER`: the address is here, because the other machine's keepalived is not heard.
    Here,
    /// `BACKUP`: the other machine's keepalived is heard.
    Elsewhere,
    /// `FAULT`: this machine's interface is down, or its check fails.
    Fault,
    /// `STOP`: keepalived ends here.
    Stopped,
}

impl AddressHint {
    /// For a sentence about the address.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Here => "MASTER: the address is here",
            Self::Elsewhere => "BACKUP: the other machine is heard",
            Self::Fault => "FAULT: the interface is down, or the check fails",
            Self::Stopped => "STOP: keepalived has ended here",
        }
    }
}

/// What keeps a node from judging another one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum OwnTrouble {
    /// Its own disk does not take a write in time.
    Disk,
    /// Its own network is down, or it is out of sockets.
    Network,
    /// The primary does not accept its password, or shows a certificate that it does not trust.
    Login,
    /// Its own data thread does not answer.
    Loop,
}

impl OwnTrouble {
    /// For a sentence about the primary.
    const fn words(self) -> &'static str {
        match self {
            Self::Disk => "cannot be judged: this node's own disk takes no writes",
            Self::Network => "cannot be judged: this node's own network is down",
            Self::Login => {
                "cannot be judged: it does not accept this node's password or certificate"
            }
            Self::Loop => "cannot be judged: this node itself hangs",
        }
    }
}
