//! A byte string that is not worth a heap allocation while it is short.

use std::fmt;
use std::ops::Deref;

/// Longest string kept in place.
pub(crate) const INLINE_BYTES_MAX: usize = 22;

/// An immutable byte string of 24 bytes; up to [`INLINE_BYTES_MAX`] of them hold the string itself.
///
/// Members and fields are mostly short ids: keeping them in the table saves an allocation and a
/// cache miss for each.
#[derive(Clone)]
pub(crate) struct SmallBytes(Repr);

#[derive(Clone)]
enum Repr {
    Inline { len: u8, bytes: [u8; INLINE_BYTES_MAX] },
    Heap(Box<[u8]>),
}

const _: () = assert!(size_of::<SmallBytes>() == 24);

impl SmallBytes {
    pub(crate) fn new(source: &[u8]) -> Self {
        match u8::try_from(source.len()) {
            Ok(len) if source.len() <= INLINE_BYTES_MAX => {
                let mut bytes = [0; INLINE_BYTES_MAX];
                bytes[..source.len()].copy_from_slice(source);
                Self(Repr::Inline { len, bytes })
            }
            _ => Self(Repr::Heap(source.into())),
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self
    }

    /// Bytes on the heap: what this string costs beyond its own 24.
    pub(crate) fn heap_bytes(&self) -> usize {
        match &self.0 {
            Repr::Inline { .. } => 0,
            Repr::Heap(bytes) => bytes.len(),
        }
    }
}

impl Deref for SmallBytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Repr::Heap(bytes) => bytes,
        }
    }
}

impl fmt::Debug for SmallBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_reads_back() {
        for len in 0..200usize {
            let source: Vec<u8> = (0..=255).cycle().take(len).collect();
            let small = SmallBytes::new(&source);
            assert_eq!(&*small, &source[..]);
            assert_eq!(small.heap_bytes(), if len <= INLINE_BYTES_MAX { 0 } else { len });
        }
    }
}
