//! The id of a stream's entry.

use std::fmt;

/// Milliseconds since 1970 and a counter within them; ids of a stream only grow.
///
/// <https://redis.io/docs/latest/develop/data-types/streams/#entry-ids>
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StreamId {
    /// Milliseconds since 1970, as the primary's clock said, or what a client chose.
    pub ms: u64,
    /// Distinguishes entries of one millisecond.
    pub seq: u64,
}

/// Bytes of the longest id as text.
pub(crate) const ID_TEXT_MAX: usize = 41;

impl StreamId {
    /// Before every entry.
    pub const ZERO: Self = Self { ms: 0, seq: 0 };
    /// Not before any entry.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// The id after this one; `None` after the last.
    pub const fn next(self) -> Option<Self> {
        match (self.seq.checked_add(1), self.ms.checked_add(1)) {
            (Some(seq), _) => Some(Self { ms: self.ms, seq }),
            (None, Some(ms)) => Some(Self { ms, seq: 0 }),
            (None, None) => None,
        }
    }

    /// The id before this one; `None` before the first.
    pub const fn previous(self) -> Option<Self> {
        match (self.seq.checked_sub(1), self.ms.checked_sub(1)) {
            (Some(seq), _) => Some(Self { ms: self.ms, seq }),
            (None, Some(ms)) => Some(Self { ms, seq: u64::MAX }),
            (None, None) => None,
        }
    }

    /// Writes it as `ms-seq`.
    pub(crate) fn text(self, buffer: &mut [u8; ID_TEXT_MAX]) -> &[u8] {
        let mut digits = itoa::Buffer::new();
        let mut end = 0;
        let mut put = |bytes: &[u8]| {
            buffer[end..end + bytes.len()].copy_from_slice(bytes);
            end += bytes.len();
        };
        put(digits.format(self.ms).as_bytes());
        put(b"-");
        put(digits.format(self.seq).as_bytes());
        &buffer[..end]
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_cross_the_millisecond() {
        let last = StreamId { ms: 4, seq: u64::MAX };
        let first = StreamId { ms: 5, seq: 0 };
        assert_eq!((last.next(), first.previous()), (Some(first), Some(last)));
        assert_eq!((StreamId::MAX.next(), StreamId::ZERO.previous()), (None, None));
    }

    #[test]
    fn the_longest_one_fits_its_buffer() {
        let mut buffer = [0; ID_TEXT_MAX];
        assert_eq!(StreamId::MAX.text(&mut buffer), StreamId::MAX.to_string().as_bytes());
        assert_eq!(StreamId::MAX.to_string().len(), ID_TEXT_MAX);
    }
}
