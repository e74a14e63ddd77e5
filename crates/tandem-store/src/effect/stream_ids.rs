//! Ids of stream entries, packed: many entries are given and acknowledged at once.

use super::DecodeError;
use super::varint::Reader;
use crate::value::stream::codec::{put_id, read_id};
use crate::value::stream::id::StreamId;

/// Ids one after the other, each as two integers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StreamIds<'e> {
    packed: &'e [u8],
}

impl<'e> StreamIds<'e> {
    /// Takes bytes from the log: ids to the end.
    pub(super) fn parse(packed: &'e [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(packed);
        while !reader.is_empty() {
            read_id(&mut reader)?;
        }
        Ok(Self { packed })
    }

    /// What [`pack_ids`] has written.
    pub(crate) const fn packed_here(packed: &'e [u8]) -> Self {
        Self { packed }
    }

    pub(super) const fn packed(self) -> &'e [u8] {
        self.packed
    }

    /// The ids.
    pub fn iter(self) -> impl Iterator<Item = StreamId> + 'e {
        let mut reader = Reader::new(self.packed);
        std::iter::from_fn(move || if reader.is_empty() { None } else { read_id(&mut reader).ok() })
    }
}

/// Packs ids.
pub(crate) fn pack_ids(ids: impl IntoIterator<Item = StreamId>) -> Vec<u8> {
    let mut packed = Vec::new();
    for id in ids {
        put_id(&mut packed, id);
    }
    packed
}
