//! The fields of one entry, packed as they stand in the log and in memory.

use crate::effect::varint::{Reader, put_bytes, put_len};

/// Fields and values in turn, at least one of each: their number (LEB128), then each with its length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Fields<'f> {
    packed: &'f [u8],
}

impl<'f> Fields<'f> {
    /// Takes bytes that come from elsewhere; `None` if they are no fields.
    pub(crate) fn parse(packed: &'f [u8]) -> Option<Self> {
        let mut reader = Reader::new(packed);
        let count = reader.len().ok()?;
        for _ in 0..count {
            reader.bytes().ok()?;
        }
        let whole = count > 0 && count.is_multiple_of(2) && reader.is_empty();
        // An entry's place in its block is kept in 32 bits.
        (whole && u32::try_from(packed.len()).is_ok()).then_some(Self { packed })
    }

    /// What [`pack`] has made of pairs; `None` if it is too long.
    pub(crate) fn of_packed(packed: &'f [u8]) -> Option<Self> {
        u32::try_from(packed.len()).is_ok().then_some(Self { packed })
    }

    /// Bytes that [`Self::parse`] has seen before.
    pub(super) const fn checked_before(packed: &'f [u8]) -> Self {
        Self { packed }
    }

    pub(crate) const fn packed(self) -> &'f [u8] {
        self.packed
    }

    /// How many strings there are: fields and values.
    pub(crate) fn len(self) -> usize {
        Reader::new(self.packed).len().unwrap_or(0)
    }

    /// Fields and values in turn.
    pub(crate) fn iter(self) -> impl Iterator<Item = &'f [u8]> {
        let mut reader = Reader::new(self.packed);
        let count = reader.len().unwrap_or(0);
        (0..count).map_while(move |_| reader.bytes().ok())
    }
}

/// Packs fields and values in turn.
pub(crate) fn pack<'w>(words: impl ExactSizeIterator<Item = &'w [u8]>) -> Vec<u8> {
    let mut packed = Vec::new();
    put_len(&mut packed, words.len());
    for word in words {
        put_bytes(&mut packed, word);
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_comes_out() {
        let packed = pack([&b"f"[..], b"", b"g", b"v"].into_iter());
        let fields = Fields::parse(&packed).unwrap();
        assert_eq!(fields.len(), 4);
        assert_eq!(fields.iter().collect::<Vec<_>>(), [&b"f"[..], b"", b"g", b"v"]);
    }

    #[test]
    fn what_is_no_list_of_pairs_is_refused() {
        for bytes in
            [&b""[..], b"\0", b"\x01\x01a", b"\x02\x01a", b"\x02\x01a\x01bx", b"\x02\x01a\x7fb"]
        {
            assert_eq!(Fields::parse(bytes), None, "{bytes:?}");
        }
    }
}
