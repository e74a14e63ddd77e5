//! Reads a file forward through a buffer.

use std::io;

use tandem_disk::DiskFile;

/// How much is read at a time.
const READ_AHEAD_BYTES: usize = 1 << 20;

/// A buffered view of a file that moves forward. Memory: the read-ahead, or the longest piece asked for.
#[derive(Debug)]
pub(crate) struct Window<'f, F> {
    file: &'f F,
    /// File offset of the buffer's first byte.
    start: u64,
    buffer: Vec<u8>,
    /// Bytes of the buffer that are filled.
    filled: usize,
    read_ahead: usize,
}

impl<'f, F: DiskFile> Window<'f, F> {
    pub(crate) const fn new(file: &'f F) -> Self {
        Self { file, start: 0, buffer: Vec::new(), filled: 0, read_ahead: READ_AHEAD_BYTES }
    }

    /// A window for a short read: it takes in no more than `bytes` beyond what is asked for.
    pub(crate) fn with_read_ahead(file: &'f F, bytes: usize) -> Self {
        Self { read_ahead: bytes.min(READ_AHEAD_BYTES), ..Self::new(file) }
    }

    /// The `len` bytes at `offset`; `None` if the file ends before.
    ///
    /// `len` must have been checked: the buffer grows to it.
    #[inline]
    pub(crate) fn get(&mut self, offset: u64, len: usize) -> io::Result<Option<&[u8]>> {
        let at = match self.place(offset, len) {
            Some(at) => at,
            None if self.fill(offset, len)? => 0,
            None => return Ok(None),
        };
        Ok(self.buffer.get(at..at + len))
    }

    /// Where the bytes lie in the buffer, if all of them do.
    #[inline]
    fn place(&self, offset: u64, len: usize) -> Option<usize> {
        let at = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        (at.checked_add(len)? <= self.filled).then_some(at)
    }

    /// Makes the buffer begin at `offset` and hold `len` bytes; `false` if the file ends before.
    fn fill(&mut self, offset: u64, len: usize) -> io::Result<bool> {
        // Bytes at hand already are moved to the front, not read again.
        let kept = match offset.checked_sub(self.start).map(usize::try_from) {
            Some(Ok(at)) if at < self.filled => {
                self.buffer.copy_within(at..self.filled, 0);
                self.filled - at
            }
            _ => 0,
        };
        (self.start, self.filled) = (offset, kept);
        // A short file gets a short buffer.
        let rest = usize::try_from(self.file.len()?.saturating_sub(offset)).unwrap_or(usize::MAX);
        if rest < len {
            return Ok(false);
        }
        let wanted = len.max(self.read_ahead.min(rest));
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        while self.filled < wanted {
            let read = self
                .file
                .read_at(offset + self.filled as u64, &mut self.buffer[self.filled..wanted])?;
            if read == 0 {
                break;
            }
            self.filled += read;
        }
        Ok(self.filled >= len)
    }
}
