//! The backup file: a manifest, files as pieces with their places, and a checksum over everything.
//!
//! ```text
//! | "TANDEMBK" | version u32 | item | item | ... | end |          integers are little-endian
//! item  = kind u8 | length u32 | body | crc32c u32 of kind, length and body
//!   1 manifest   JSON
//!   2 file       size u64, name (UTF-8): the pieces that follow belong to it
//!   3 data       offset u64, bytes: what is not covered by a piece is zero
//!   9 end        pieces u64, running checksum u64 of all items before it
//! ```
//! A file whose end is missing or whose running checksum differs is not a backup: nothing of it is used.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use tandem_types::Chain;

const MAGIC: &[u8; 8] = b"TANDEMBK";
const VERSION: u32 = 1;

const MANIFEST: u8 = 1;
const FILE: u8 = 2;
const DATA: u8 = 3;
const END: u8 = 9;

/// Largest piece, and so the memory that reading needs.
pub(crate) const PIECE_BYTES_MAX: usize = 256 << 10;
const BODY_BYTES_MAX: usize = PIECE_BYTES_MAX + 8;

/// What the backup is of.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Manifest {
    /// Name of the pair.
    pub(crate) pair: String,
    /// Id of the pair's data, 32 hexadecimal digits.
    pub(crate) pair_id: String,
    /// Node that it was taken from.
    pub(crate) node: String,
    /// Its epoch at that time.
    pub(crate) epoch: u64,
    /// Milliseconds since 1970.
    pub(crate) taken_ms: u64,
    /// Version of the program.
    pub(crate) version: String,
    /// Name of the snapshot file.
    pub(crate) snapshot: String,
    /// The log begins here or earlier ...
    pub(crate) log_from: u64,
    /// ... and is cut here when the backup is restored.
    pub(crate) log_end: u64,
}

/// Why a file is no backup.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("read it")]
    Io(#[from] io::Error),
    #[error("it does not begin like a Tandem backup")]
    NotABackup,
    #[error("it has format version {0}, which this program does not know")]
    Version(u32),
    #[error("it is damaged near byte {offset}")]
    Damaged { offset: u64 },
    #[error("it ends too early, at byte {offset}: the backup was not completed")]
    Truncated { offset: u64 },
}

/// Builds the bytes of a backup, piece by piece.
pub(crate) struct Writer<W> {
    to: W,
    chain: Chain,
    items: u64,
}

impl<W: Write> Writer<W> {
    pub(crate) fn begin(mut to: W, manifest: &Manifest) -> io::Result<Self> {
        to.write_all(MAGIC)?;
        to.write_all(&VERSION.to_le_bytes())?;
        let mut writer = Self { to, chain: Chain::EMPTY, items: 0 };
        let json = serde_json::to_vec(manifest)?;
        writer.item(MANIFEST, &[&json])?;
        Ok(writer)
    }

    pub(crate) fn file(&mut self, name: &str, size: u64) -> io::Result<()> {
        self.item(FILE, &[&size.to_le_bytes(), name.as_bytes()])
    }

    /// At most [`PIECE_BYTES_MAX`] bytes of the last file. Pieces of zeros are left out.
    pub(crate) fn data(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        assert!(bytes.len() <= PIECE_BYTES_MAX, "a piece of {} bytes", bytes.len());
        if bytes.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        self.item(DATA, &[&offset.to_le_bytes(), bytes])
    }

    pub(crate) fn finish(mut self) -> io::Result<()> {
        let (items, chain) = (self.items, self.chain.get());
        self.item(END, &[&items.to_le_bytes(), &chain.to_le_bytes()])?;
        self.to.flush()
    }

    fn item(&mut self, kind: u8, parts: &[&[u8]]) -> io::Result<()> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let length =
            u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut crc = crc32c::crc32c(&[kind]);
        crc = crc32c::crc32c_append(crc, &length.to_le_bytes());
        self.to.write_all(&[kind])?;
        self.to.write_all(&length.to_le_bytes())?;
        for part in parts {
            crc = crc32c::crc32c_append(crc, part);
            self.to.write_all(part)?;
        }
        self.to.write_all(&crc.to_le_bytes())?;
        self.chain = self.chain.after(crc);
        self.items += 1;
        Ok(())
    }
}

/// One item of the file, checked.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Item<'a> {
    /// The data that follows belongs to this file.
    File { name: &'a str, size: u64 },
    /// Bytes of the last file.
    Data { offset: u64, bytes: &'a [u8] },
}

/// Reads a backup from its beginning, checking everything.
pub(crate) struct Reader<R> {
    from: R,
    manifest: Manifest,
    body: Vec<u8>,
    chain: Chain,
    items: u64,
    offset: u64,
}

impl<R: Read> Reader<R> {
    pub(crate) fn open(from: R) -> Result<Self, ArchiveError> {
        let mut reader = Self {
            from,
            manifest: Manifest::default(),
            body: Vec::new(),
            chain: Chain::EMPTY,
            items: 0,
            offset: 0,
        };
        if reader.array::<8>()? != *MAGIC {
            return Err(ArchiveError::NotABackup);
        }
        let version = u32::from_le_bytes(reader.array()?);
        if version != VERSION {
            return Err(ArchiveError::Version(version));
        }
        if reader.item()? != MANIFEST {
            return Err(reader.damaged());
        }
        reader.manifest = serde_json::from_slice(&reader.body).map_err(|_| reader.damaged())?;
        Ok(reader)
    }

    pub(crate) fn into_manifest(self) -> Manifest {
        self.manifest
    }

    /// The next item; `None` at the proper end.
    pub(crate) fn next(&mut self) -> Result<Option<Item<'_>>, ArchiveError> {
        let (items, chain) = (self.items, self.chain);
        let kind = self.item()?;
        let damaged = self.damaged();
        let Some((head, rest)) = self.body.split_first_chunk::<8>() else { return Err(damaged) };
        let head = u64::from_le_bytes(*head);
        match kind {
            FILE => {
                let name = std::str::from_utf8(rest).map_err(|_| damaged)?;
                Ok(Some(Item::File { name, size: head }))
            }
            DATA => Ok(Some(Item::Data { offset: head, bytes: rest })),
            END if head == items && rest == chain.get().to_le_bytes() => Ok(None),
            _ => Err(damaged),
        }
    }

    /// Reads one item into the buffer; returns its kind.
    fn item(&mut self) -> Result<u8, ArchiveError> {
        let [kind] = self.array()?;
        let length_bytes: [u8; 4] = self.array()?;
        let length = usize::try_from(u32::from_le_bytes(length_bytes)).unwrap_or(usize::MAX);
        if length > BODY_BYTES_MAX {
            return Err(self.damaged());
        }
        self.body.resize(length, 0);
        let mut body = std::mem::take(&mut self.body);
        let read = self.fill(&mut body);
        self.body = body;
        read?;
        let crc = u32::from_le_bytes(self.array()?);
        let found = crc32c::crc32c(&[kind]);
        let found = crc32c::crc32c_append(found, &length_bytes);
        let found = crc32c::crc32c_append(found, &self.body);
        if found != crc {
            return Err(self.damaged());
        }
        self.chain = self.chain.after(crc);
        self.items += 1;
        Ok(kind)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ArchiveError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ArchiveError> {
        match self.from.read_exact(bytes) {
            Ok(()) => {
                self.offset += u64::try_from(bytes.len()).unwrap_or(0);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(ArchiveError::Truncated { offset: self.offset })
            }
            Err(error) => Err(error.into()),
        }
    }

    const fn damaged(&self) -> ArchiveError {
        ArchiveError::Damaged { offset: self.offset }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        let manifest = Manifest { pair: "main".into(), log_end: 9, ..Manifest::default() };
        let mut writer = Writer::begin(&mut bytes, &manifest).unwrap();
        writer.file("one.log", 1000).unwrap();
        writer.data(500, b"later").unwrap();
        writer.data(600, &[0; 40]).unwrap();
        writer.data(0, b"first").unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<String>, ArchiveError> {
        let mut reader = Reader::open(bytes)?;
        let mut seen = vec![reader.manifest.pair.clone()];
        while let Some(item) = reader.next()? {
            seen.push(format!("{item:?}"));
        }
        Ok(seen)
    }

    #[test]
    fn what_is_written_is_read_back_without_zeros() {
        let seen = read(&sample()).unwrap();
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert_eq!(seen[0], "main");
        assert_eq!(seen[1], "File { name: \"one.log\", size: 1000 }");
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_found() {
        let whole = sample();
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "cut at {end}");
        }
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[place] ^= 1 << bit;
                assert!(read(&bytes).is_err(), "bit {bit} of byte {place}");
            }
        }
    }

    #[test]
    fn an_item_left_out_is_found() {
        let mut without = Vec::new();
        let mut writer = Writer::begin(&mut without, &Manifest::default()).unwrap();
        writer.file("a", 1).unwrap();
        let before = writer.chain;
        writer.data(0, b"x").unwrap();
        writer.items = 2;
        writer.chain = before;
        writer.finish().unwrap();
        assert!(read(&without).is_err());
    }
}
