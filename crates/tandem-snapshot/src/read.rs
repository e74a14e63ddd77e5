//! Reading a snapshot back, checking everything.

use std::io;

use tandem_disk::{Access, Disk, DiskFile};
use tandem_types::{Lsn, PairId};

use crate::chunk::{CHUNK_HEADER_BYTES, Chunk, FOOTER_BYTES, Heading, content, heading, mix};
use crate::files::path;
use crate::header::{BESIDE_HEADER_BYTES, FIXED_BYTES};
use crate::{ChunkError, Header, HeaderError, SnapshotName};

/// A snapshot that was read to its end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finished {
    /// What it says of itself.
    pub header: Header,
    /// With the log replayed up to here, the result is exact.
    pub end: Lsn,
    /// Chunks it holds.
    pub chunks: u64,
}

/// Why a snapshot cannot be used. Take the one before.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk failed.
    #[error("read {file}")]
    Io {
        /// The file.
        file: String,
        /// How it failed.
        source: io::Error,
    },
    /// The header is none.
    #[error("{file}: {source}")]
    Header {
        /// The file.
        file: String,
        /// Why.
        source: HeaderError,
    },
    /// It belongs to other data.
    #[error("{file} belongs to pair {found}, not to {expected}")]
    ForeignPair {
        /// The file.
        file: String,
        /// Its pair.
        found: PairId,
        /// The directory's.
        expected: PairId,
    },
    /// A chunk or the footer is damaged.
    #[error("{file} is damaged at byte {offset}: {source}")]
    Damaged {
        /// The file.
        file: String,
        /// Where the chunk begins.
        offset: u64,
        /// Why.
        source: ChunkError,
    },
    /// The visitor refused a chunk.
    #[error("load {file}: {reason}")]
    Visit {
        /// The file.
        file: String,
        /// Its reason.
        reason: String,
    },
}

/// Reads a snapshot and hands each chunk, once checked, to `visit`.
///
/// The chunks are good only once this has returned `Ok`: what the footer says is known last.
///
/// # Errors
/// See [`ReadError`].
pub fn read<D: Disk>(
    disk: &D,
    dir: &str,
    name: SnapshotName,
    pair: PairId,
    visit: &mut dyn FnMut(Chunk<'_>) -> Result<(), String>,
) -> Result<Finished, ReadError> {
    let file = path(dir, &name.to_string());
    let (mut walk, header) = open(disk, &file, pair)?;
    let (end, chunks) = walk.chunks(visit)?;
    if header.start != name.start || end != name.end {
        return Err(walk.damaged(0, ChunkError::Value("name")));
    }
    Ok(Finished { header, end, chunks })
}

/// Reads what a snapshot says of itself, and nothing of its chunks.
///
/// # Errors
/// See [`ReadError`].
pub fn read_header<D: Disk>(
    disk: &D,
    dir: &str,
    name: SnapshotName,
    pair: PairId,
) -> Result<Header, ReadError> {
    let file = path(dir, &name.to_string());
    open(disk, &file, pair).map(|(_, header)| header)
}

fn open<'f, D: Disk>(
    disk: &D,
    file: &'f str,
    pair: PairId,
) -> Result<(Walk<'f, D::File>, Header), ReadError> {
    let reader = disk.open(file, Access::Read).and_then(|handle| {
        let len = handle.len()?;
        Ok(Reader { handle, len, offset: 0, window: Vec::new(), window_at: 0 })
    });
    let mut walk = Walk { file, reader: reader.map_err(|source| io_error(file, source))? };
    let header = walk.header()?;
    if header.pair_id != pair {
        let (file, found, expected) = (file.to_owned(), header.pair_id, pair);
        return Err(ReadError::ForeignPair { file, found, expected });
    }
    Ok((walk, header))
}

fn io_error(file: &str, source: io::Error) -> ReadError {
    ReadError::Io { file: file.to_owned(), source }
}

struct Walk<'f, F> {
    file: &'f str,
    reader: Reader<F>,
}

impl<F: DiskFile> Walk<'_, F> {
    fn header(&mut self) -> Result<Header, ReadError> {
        let bad = |source| ReadError::Header { file: self.file.to_owned(), source };
        let io = |source| io_error(self.file, source);
        let fixed = self.reader.take(FIXED_BYTES).map_err(io)?.ok_or(HeaderError::NoSnapshot);
        let fixed = fixed.map_err(bad)?.to_vec();
        let len = Header::len_of(&fixed).map_err(bad)?;
        let table = self.reader.take(len - FIXED_BYTES).map_err(io)?.ok_or(HeaderError::Damaged);
        let whole = [&fixed, table.map_err(bad)?].concat();
        let mut header = Header::decode(&whole).map_err(bad)?;
        if Header::has_beside(&fixed) {
            let damaged = || bad(HeaderError::Damaged);
            let bytes = self.reader.take(BESIDE_HEADER_BYTES).map_err(io)?.ok_or_else(damaged)?;
            let (len, crc) = Header::beside_of(bytes);
            let beside = self.reader.take(len).map_err(io)?.ok_or_else(damaged)?;
            if u64::from(crc32c::crc32c(beside)) != crc || beside.is_empty() {
                return Err(damaged());
            }
            header.beside = beside.to_vec();
        }
        Ok(header)
    }

    fn chunks(
        &mut self,
        visit: &mut dyn FnMut(Chunk<'_>) -> Result<(), String>,
    ) -> Result<(Lsn, u64), ReadError> {
        let (mut chunks, mut digest) = (0u64, 0u64);
        let mut unpacked = Vec::new();
        loop {
            let offset = self.reader.offset;
            let fields = self.reader.take(CHUNK_HEADER_BYTES);
            let fields = fields.map_err(|source| io_error(self.file, source))?;
            let fields: [u8; CHUNK_HEADER_BYTES] = match fields.and_then(<[u8]>::first_chunk) {
                Some(fields) => *fields,
                None => return Err(self.damaged(offset, ChunkError::Cut)),
            };
            match heading(&fields).map_err(|error| self.damaged(offset, error))? {
                Heading::Footer { end, chunks: counted, digest: summed } => {
                    let whole = self.reader.offset == self.reader.len;
                    if !whole || counted != chunks || summed != digest {
                        return Err(self.damaged(offset, ChunkError::Value("footer")));
                    }
                    return Ok((end, chunks));
                }
                Heading::Chunk(chunk) => {
                    let len = usize::try_from(chunk.stored_len).unwrap_or(usize::MAX);
                    let stored = self.reader.take(len);
                    let stored = stored.map_err(|source| io_error(self.file, source))?;
                    let damaged =
                        |source| ReadError::Damaged { file: self.file.to_owned(), offset, source };
                    let stored = stored.ok_or_else(|| damaged(ChunkError::Cut))?;
                    let bytes = content(&fields, &chunk, stored, &mut unpacked).map_err(damaged)?;
                    let (lsn, first, last) = (chunk.lsn, chunk.first, chunk.last);
                    visit(Chunk { lsn, first, last, bytes }).map_err(|reason| {
                        ReadError::Visit { file: self.file.to_owned(), reason }
                    })?;
                    chunks += 1;
                    digest = mix(digest, chunk.crc);
                }
            }
        }
    }

    fn damaged(&self, offset: u64, source: ChunkError) -> ReadError {
        ReadError::Damaged { file: self.file.to_owned(), offset, source }
    }
}

/// Bytes are fetched this many at a time.
const WINDOW_BYTES: usize = 1 << 20;

const _: () = assert!(FOOTER_BYTES <= WINDOW_BYTES);

struct Reader<F> {
    handle: F,
    len: u64,
    offset: u64,
    window: Vec<u8>,
    window_at: usize,
}

impl<F: DiskFile> Reader<F> {
    /// The next `count` bytes; `None` if the file ends before (then nothing is allocated for them).
    fn take(&mut self, count: usize) -> io::Result<Option<&[u8]>> {
        let wanted = u64::try_from(count).unwrap_or(u64::MAX);
        if wanted > self.len.saturating_sub(self.offset) {
            return Ok(None);
        }
        if self.window.len() - self.window_at < count {
            self.fetch(count)?;
        }
        let bytes = self.window.get(self.window_at..self.window_at + count);
        self.window_at += count;
        self.offset += wanted;
        Ok(bytes)
    }

    /// Makes at least `count` bytes from `offset` on available.
    fn fetch(&mut self, count: usize) -> io::Result<()> {
        let left = usize::try_from(self.len - self.offset).unwrap_or(usize::MAX);
        self.window.resize(count.max(WINDOW_BYTES).min(left), 0);
        self.window_at = 0;
        self.handle.read_exact_at(self.offset, &mut self.window)
    }
}
