//! Who is meant: nodes, incarnations, pairs.

use std::fmt;
use std::ops::{Index, IndexMut};

/// One of the two nodes. `A` is the first in the configuration's name order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum NodeId {
    /// The first node.
    A,
    /// The second node.
    B,
}

impl NodeId {
    /// The other node of the pair.
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// 0 for A, 1 for B: how it is written to disk and to the peer.
    pub const fn as_byte(self) -> u8 {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    /// The node that [`Self::as_byte`] wrote; `None` for any other byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::A),
            1 => Some(Self::B),
            _ => None,
        }
    }
}

/// One value for each of the two nodes.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Pair<T> {
    /// Node A's.
    pub a: T,
    /// Node B's.
    pub b: T,
}

impl<T> Index<NodeId> for Pair<T> {
    type Output = T;
    fn index(&self, node: NodeId) -> &T {
        match node {
            NodeId::A => &self.a,
            NodeId::B => &self.b,
        }
    }
}

impl<T> IndexMut<NodeId> for Pair<T> {
    fn index_mut(&mut self, node: NodeId) -> &mut T {
        match node {
            NodeId::A => &mut self.a,
            NodeId::B => &mut self.b,
        }
    }
}

/// Random id of one data directory's life; a wiped, restored or re-imaged directory gets a new one.
///
/// Members of the in-sync set are incarnations, not host names: a node that lost its disk is nobody.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Incarnation(u64);

impl Incarnation {
    /// An id read back, or drawn at random by the caller.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The plain value.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Random id of a pair's data, drawn when its first primary begins; 0 is "none yet".
///
/// Data of one pair is never mixed with another's, whatever the configuration says.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct PairId(u128);

impl PairId {
    /// A directory that belongs to no pair yet.
    pub const NONE: Self = Self(0);

    /// An id read back, or drawn at random by the caller.
    pub const fn new(value: u128) -> Self {
        Self(value)
    }

    /// The plain value.
    pub const fn get(self) -> u128 {
        self.0
    }
}

impl fmt::Display for PairId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
