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
    /// How it is decided, for people.
    pub const fn rule(self) -> &'static str {
        match self {
            Self::Lww => "the later stamp stays; on equal stamps side A",
            Self::DeleteUpdate => "an update stays against a deletion that did not see it",
            Self::Type => "set before sorted set before hash before list before string is shown",
            Self::DoublePop => "the element is gone once; it was handed out on both sides",
            Self::DupCounter => "both additions count; both clients were told this result",
            Self::Nx => "both clients were told that only they succeeded; the later stamp stays",
            Self::ExpireRefresh => "the refreshed key stays",
            Self::Oversold => "more was sold than there was; the counter went below its bound",
            Self::Salvage => "a write of a node that was given up could not be applied",
        }
    }

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

    /// Its number in a snapshot: never used for another.
    pub fn as_byte(self) -> u8 {
        let place = Self::ALL.iter().position(|kind| *kind == self).unwrap_or_default();
        // There are nine.
        u8::try_from(place).unwrap_or_default()
    }

    /// The kind of this number.
    pub fn of_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }

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

impl Item {
    /// Whether a decision about this decides about `other` of the same key. The two nodes may report one
    /// conflict as one of the whole key and of its string.
    pub fn decides(&self, other: &Self) -> bool {
        let is_part =
            |item: &Self| matches!(item, Self::Field(_) | Self::Member(_) | Self::Score(_));
        self == other || !(is_part(self) || is_part(other))
    }
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
