//! Conflict entries: where merging discarded a value, or two clients were told what only one should be.
//!
//! A merge converges without a person. An entry says what it decided, and keeps what it decided against.

use tandem_types::{Lsn, NodeId, Stamp};

use crate::item::{Bytes, Key};
use crate::op::Origin;

/// Bytes of a value that an entry keeps, at most.
pub const VALUE_BYTES_MAX: usize = 64 << 10;

/// What kind of conflict.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// Both assigned; the later stamp won.
    Lww,
    /// One deleted, the other updated; the update stayed.
    DeleteUpdate,
    /// The two sides gave the key different types.
    Type,
    /// An element was handed to clients on both sides.
    DoublePop,
    /// Both sides told a client the same result of an addition.
    DupCounter,
    /// Both sides created what only one may create.
    Nx,
    /// A key expired on one side and was refreshed on the other; it stayed.
    ExpireRefresh,
    /// More was sold than there was.
    Oversold,
    /// A write of a node that was given up could not be applied any more.
    Salvage,
}

impl Kind {
    /// Its name in `TANDEM PP CONFLICTS`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lww => "lww",
            Self::DeleteUpdate => "delete-update",
            Self::Type => "type",
            Self::DoublePop => "double-pop",
            Self::DupCounter => "dup-counter",
            Self::Nx => "nx",
            Self::ExpireRefresh => "expire-refresh",
            Self::Oversold => "oversold",
            Self::Salvage => "salvage",
        }
    }

    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Lww,
        Self::DeleteUpdate,
        Self::Type,
        Self::DoublePop,
        Self::DupCounter,
        Self::Nx,
        Self::ExpireRefresh,
        Self::Oversold,
        Self::Salvage,
    ];

    /// The kind of this name.
    pub fn of_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// Which part of a key.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Item {
    /// All of it.
    Key,
    /// The string.
    String,
    /// A field of the hash.
    Field(Bytes),
    /// A member of the set.
    Member(Bytes),
    /// A member of the sorted set.
    Score(Bytes),
    /// The list.
    List,
    /// The deadline.
    Deadline,
}

/// One of the writes that met.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Party {
    /// Who wrote it.
    pub side: NodeId,
    /// Its position among that side's records.
    pub lsn: Lsn,
    /// Its stamp.
    pub stamp: Stamp,
    /// What it wrote, if it was a value and is known here; cut at [`VALUE_BYTES_MAX`].
    pub value: Option<Bytes>,
}

impl Party {
    /// A write and its value.
    pub fn new(origin: &Origin, value: Option<&[u8]>) -> Self {
        Self {
            side: origin.side,
            lsn: origin.lsn,
            stamp: origin.stamp,
            value: value.map(|value| value.get(..VALUE_BYTES_MAX).unwrap_or(value).into()),
        }
    }
}

/// One conflict, decided.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conflict {
    /// What kind.
    pub kind: Kind,
    /// The key.
    pub key: Key,
    /// Which part of it.
    pub item: Item,
    /// Whose write stayed.
    pub winner: Party,
    /// Whose did not, or was told the same.
    pub loser: Party,
}
