//! What is merged: keys, their content, their deadlines.

use std::collections::{BTreeMap, BTreeSet};

use tandem_types::{DbIndex, NodeId, SlotId, WallMillis};

use crate::conflict::Conflict;
use crate::ledger::LedgerOp;
use crate::op::Origin;
use crate::score::Score;

/// A string, field, member or element.
pub type Bytes = Box<[u8]>;

/// A key and its database.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Key {
    /// The database.
    pub db: DbIndex,
    /// The name.
    pub name: Bytes,
}

impl Key {
    /// Where it lives.
    pub fn slot(&self) -> SlotId {
        SlotId::of(self.db, &self.name)
    }
}

/// When a key goes, as a write says it. Ordered: the greatest wins.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Deadline {
    /// The key went, or came anew: nobody said anything.
    Wiped,
    /// Then.
    At(WallMillis),
    /// Never: said so (`PERSIST`, `SET` without a time).
    Never,
}

impl Deadline {
    /// What an assignment of a whole key says.
    pub const fn of(deadline: Option<WallMillis>) -> Self {
        match deadline {
            Some(at) => Self::At(at),
            None => Self::Never,
        }
    }

    /// What is kept with the key.
    pub const fn shown(self) -> Option<WallMillis> {
        match self {
            Self::At(at) => Some(at),
            Self::Wiped | Self::Never => None,
        }
    }
}

/// Which kinds of value a key holds. More than one only after two sides gave it different types.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Kinds(u8);

impl Kinds {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A string.
    pub const STRING: Self = Self(1);
    /// A list.
    pub const LIST: Self = Self(2);
    /// A hash.
    pub const HASH: Self = Self(4);
    /// A sorted set.
    pub const ZSET: Self = Self(8);
    /// A set.
    pub const SET: Self = Self(16);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without these.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// No kind at all: there is no such key.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// All of `other` are in it.
    pub const fn holds(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The one that clients see: set, sorted set, hash, list, string, in this order.
    #[must_use]
    pub const fn shown(self) -> Self {
        if self.0 == 0 { self } else { Self(1 << self.0.ilog2()) }
    }
}

/// Everything under one key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// The string.
    pub string: Option<Bytes>,
    /// The list, front to back.
    pub list: Vec<Bytes>,
    /// The hash.
    pub hash: BTreeMap<Bytes, Bytes>,
    /// The sorted set.
    pub zset: BTreeMap<Bytes, Score>,
    /// The set.
    pub set: BTreeSet<Bytes>,
}

impl Content {
    /// Only a string.
    pub fn of_string(value: Bytes) -> Self {
        Self { string: Some(value), ..Self::default() }
    }

    /// The kinds of value in it.
    pub fn kinds(&self) -> Kinds {
        let mut kinds = Kinds::NONE;
        for (there, kind) in [
            (self.string.is_some(), Kinds::STRING),
            (!self.list.is_empty(), Kinds::LIST),
            (!self.hash.is_empty(), Kinds::HASH),
            (!self.zset.is_empty(), Kinds::ZSET),
            (!self.set.is_empty(), Kinds::SET),
        ] {
            if there {
                kinds = kinds.and(kind);
            }
        }
        kinds
    }

    /// With the totals of every score settled into its base, as an assignment of the whole key does it.
    #[must_use]
    pub fn settled(mut self) -> Self {
        for score in self.zset.values_mut() {
            *score = Score::new(score.shown());
        }
        self
    }
}

/// One change to make to the key space.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// The key holds this and nothing else, with this deadline; gone if it is empty.
    Replace(Content, Option<WallMillis>),
    /// The string.
    String(Option<Bytes>),
    /// A field of the hash.
    Field(Bytes, Option<Bytes>),
    /// A member of the set is in, or out.
    Member(Bytes, bool),
    /// A member of the sorted set.
    Score(Bytes, Option<Score>),
    /// Edits of the list.
    List(crate::Spans),
    /// The deadline. Only for keys that are there.
    Deadline(Option<WallMillis>),
}

/// The key space, as far as a merge needs it. A key without content is not there and has no deadline.
pub trait Space {
    /// The kinds of value under a key.
    fn kinds(&self, key: &Key) -> Kinds;
    /// Its deadline.
    fn deadline(&self, key: &Key) -> Option<WallMillis>;
    /// The string.
    fn string(&self, key: &Key) -> Option<Bytes>;
    /// A field of the hash.
    fn field(&self, key: &Key, field: &[u8]) -> Option<Bytes>;
    /// A member's score in the sorted set, with its totals.
    fn score(&self, key: &Key, member: &[u8]) -> Option<Score>;
    /// Everything: read only in conflicts that concern the whole key.
    fn content(&self, key: &Key) -> Content;
    /// Makes one change. What becomes empty is gone.
    fn change(&mut self, key: &Key, change: Change);
    /// Empties a database.
    fn flush(&mut self, db: DbIndex);
    /// Keeps a statement of either side about a counter, a sequence or a policy. An own one that a command
    /// makes is entered by that command; here come the peer's, and own ones that are replayed.
    fn enter(&mut self, origin: &Origin, op: &LedgerOp);
    /// What merging one chunk has decided, for people.
    fn told(&mut self, conflicts: &[Conflict]);
    /// A log is being replayed, and this key came from a snapshot that was taken after the record: all that
    /// the record did to it is there, and also what is noted of it.
    fn is_ahead(&self, _key: &Key) -> bool {
        false
    }
}

/// How strongly a write claims to be the last: by time, then side A above side B.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Rank {
    /// When it was written, as its writer's clock said.
    pub stamp: tandem_types::Stamp,
    /// Who wrote it.
    pub side: NodeId,
}

impl Rank {
    /// Whether this write wins against one that did not see it.
    pub fn beats(self, other: Self) -> bool {
        use crate::planted::{Rule, holds};
        match self.stamp.cmp(&other.stamp) {
            std::cmp::Ordering::Greater => true,
            std::cmp::Ordering::Less => false,
            std::cmp::Ordering::Equal => self.side == NodeId::A || !holds(Rule::SideBreaksTies),
        }
    }
}
