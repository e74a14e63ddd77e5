//! What a key can hold.

pub(crate) mod codec;
pub(crate) mod dense;
pub(crate) mod hash;
pub(crate) mod list;
pub(crate) mod packed;
pub(crate) mod set;
pub(crate) mod small_bytes;
pub(crate) mod stream;
pub(crate) mod zset;

use hash::Hash;
use list::List;
use set::Set;
use stream::Stream;
use zset::Zset;

/// A value that owns its bytes.
///
/// Short strings do not get one: they live packed with their key (see `entry.rs`).
#[derive(Debug)]
pub(crate) enum Value {
    /// A string; `raw` once it was patched (what `OBJECT ENCODING` then says).
    String {
        bytes: Vec<u8>,
        raw: bool,
    },
    List(List),
    Hash(Hash),
    Set(Set),
    Zset(Zset),
    Stream(Stream),
}

/// A value, borrowed from the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValueRef<'v> {
    /// A string, and whether it was patched.
    String {
        bytes: &'v [u8],
        raw: bool,
    },
    List(&'v List),
    Hash(&'v Hash),
    Set(&'v Set),
    Zset(&'v Zset),
    Stream(&'v Stream),
}

impl Value {
    pub(crate) fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::String { bytes, raw } => ValueRef::String { bytes, raw: *raw },
            Self::List(list) => ValueRef::List(list),
            Self::Hash(hash) => ValueRef::Hash(hash),
            Self::Set(set) => ValueRef::Set(set),
            Self::Zset(zset) => ValueRef::Zset(zset),
            Self::Stream(stream) => ValueRef::Stream(stream),
        }
    }

    /// Heap bytes, as counted by `used_memory`.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::String { bytes, .. } => bytes.capacity(),
            Self::List(list) => list.memory(),
            Self::Hash(hash) => hash.memory(),
            Self::Set(set) => set.memory(),
            Self::Zset(zset) => zset.memory(),
            Self::Stream(stream) => stream.memory(),
        }
    }

    /// Elements of a collection, 1 for a string: what freeing it costs.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::String { .. } => 1,
            Self::List(list) => list.len(),
            Self::Hash(hash) => hash.len(),
            Self::Set(set) => set.len(),
            Self::Zset(zset) => zset.len(),
            Self::Stream(stream) => stream.len(),
        }
    }

    /// True for a collection without elements, which no key may hold; a stream without entries is one.
    pub(crate) fn is_empty_collection(&self) -> bool {
        !matches!(self, Self::String { .. } | Self::Stream(_)) && self.weight() == 0
    }
}

impl ValueRef<'_> {
    /// What `TYPE` says.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::String { .. } => "string",
            Self::List(_) => "list",
            Self::Hash(_) => "hash",
            Self::Set(_) => "set",
            Self::Zset(_) => "zset",
            Self::Stream(_) => "stream",
        }
    }
}
