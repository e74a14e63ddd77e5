//! Input of one client that is not carried out yet.

use tandem_resp::Parser;

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
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.parser.memory_bytes() + size_of::<Self>()
    }
}
