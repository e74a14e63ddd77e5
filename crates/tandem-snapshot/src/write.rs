//! Writing a snapshot: under a temporary name until it is whole and durable.

use std::io;

use tandem_disk::{Disk, DiskFile};
use tandem_types::Lsn;

use crate::chunk::{Chunk, encode, encode_footer, mix};
use crate::files::{TEMPORARY_NAME, discard_temporary, path};
use crate::{Header, SnapshotName};

/// Bytes gathered before they are written.
const BUFFER_BYTES: usize = 1 << 20;

/// A snapshot being written. Dropped before [`Self::finish`], it leaves only a temporary file, which the
/// next one (or [`discard_temporary`]) removes.
#[derive(Debug)]
pub struct SnapshotWriter<D: Disk> {
    disk: D,
    dir: String,
    start: Lsn,
    file: D::File,
    buffer: Vec<u8>,
    offset: u64,
    chunks: u64,
    digest: u64,
    newest: Lsn,
}

impl<D: Disk> SnapshotWriter<D> {
    /// Starts a file in the directory `dir`.
    ///
    /// # Errors
    /// The disk failed or is full.
    pub fn begin(disk: D, dir: &str, header: &Header) -> io::Result<Self> {
        discard_temporary(&disk, dir)?;
        let file = disk.create(&path(dir, TEMPORARY_NAME))?;
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            start: header.start,
            file,
            buffer: header.encode(),
            offset: 0,
            chunks: 0,
            digest: 0,
            newest: header.start,
        })
    }

    /// Adds some slots.
    ///
    /// # Errors
    /// The disk failed or is full: drop the writer.
    pub fn chunk(&mut self, chunk: &Chunk<'_>) -> io::Result<()> {
        let crc = encode(chunk, &mut self.buffer);
        self.digest = mix(self.digest, crc);
        self.chunks += 1;
        self.newest = self.newest.max(chunk.lsn);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Makes the file count. Every record before `end` must be durable in the log already, and `end` be
    /// no earlier than the position of any chunk.
    ///
    /// # Errors
    /// The disk failed or is full; the snapshot does not count.
    ///
    /// # Panics
    /// If a chunk was taken after `end`: the file would claim to be exact too early.
    pub fn finish(mut self, end: Lsn) -> io::Result<SnapshotName> {
        assert!(end >= self.newest, "a chunk is as of {}, later than the end {end}", self.newest);
        encode_footer(end, self.chunks, self.digest, &mut self.buffer);
        self.flush()?;
        self.file.sync_data()?;
        let name = SnapshotName { start: self.start, end };
        let temporary = path(&self.dir, TEMPORARY_NAME);
        self.disk.rename(&temporary, &path(&self.dir, &name.to_string()))?;
        self.disk.sync_dir(&self.dir)?;
        Ok(name)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(self.offset, &self.buffer)?;
        self.offset += u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        self.buffer.clear();
        Ok(())
    }
}
