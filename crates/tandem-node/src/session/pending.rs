//! Input of one client that is not carried out yet.

use tandem_resp::Parser;

/// A buffer that was larger, for a large request, is given back after it.
const SPARE_BYTES_MAX: usize = 1 << 20;

/// Bytes that wait: the start of an unfinished request, or requests behind one that blocks.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// The bytes, from the start of a request.
    pub(crate) bytes: Vec<u8>,
    /// How far the request is understood.
    pub(crate) parser: Parser,
    /// There is nothing to do before there are this many bytes.
    pub(crate) need: usize,
}

impl Pending {
    /// Drops what was carried out.
    pub(crate) fn consume(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
        if self.bytes.capacity() > SPARE_BYTES_MAX && self.bytes.len() < SPARE_BYTES_MAX / 4 {
            self.bytes.shrink_to(SPARE_BYTES_MAX / 4);
        }
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.parser.memory_bytes() + size_of::<Self>()
    }
}
