//! One chunk: the slots `first..=last` as they were at one position.

use tandem_types::{DbIndex, Lsn, SLOT_COUNT, SlotId};

use crate::header::u64_at;

/// Bytes before a chunk's content.
pub(crate) const CHUNK_HEADER_BYTES: usize = 40;
/// Bytes of the footer: as long as a chunk's header, so that both are read alike.
pub(crate) const FOOTER_BYTES: usize = CHUNK_HEADER_BYTES;

const KIND_CHUNK: u8 = 1;
const KIND_FOOTER: u8 = 2;
const FLAG_LZ4: u8 = 1;
/// Larger contents are stored as they are: compression works on the whole chunk in memory.
const COMPRESS_BYTES_MAX: usize = 16 << 20;

/// Some slots of a snapshot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Chunk<'a> {
    /// It reflects every record before this, and none after.
    pub lsn: Lsn,
    /// The first slot it speaks for.
    pub first: SlotId,
    /// The last one.
    pub last: SlotId,
    /// The slots that are not empty, in the owner's encoding.
    pub bytes: &'a [u8],
}

/// Why bytes are not a chunk.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ChunkError {
    /// The file ends inside it.
    #[error("the file ends inside a chunk")]
    Cut,
    /// The checksum does not match.
    #[error("the checksum does not match")]
    Checksum,
    /// A field holds what it cannot.
    #[error("bad value in {0}")]
    Value(&'static str),
    /// The content cannot be unpacked.
    #[error("the compressed content is damaged")]
    Compression,
}

/// What stands at one place of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Heading {
    Chunk(ChunkHeading),
    Footer { end: Lsn, chunks: u64, digest: u64 },
}

/// The fields before a chunk's content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ChunkHeading {
    lz4: bool,
    pub(crate) first: SlotId,
    pub(crate) last: SlotId,
    pub(crate) lsn: Lsn,
    raw_len: u64,
    pub(crate) stored_len: u64,
    pub(crate) crc: u32,
}

fn put_slot(out: &mut Vec<u8>, slot: SlotId) {
    out.push(slot.db.get());
    out.extend_from_slice(&slot.slot.to_le_bytes());
}

fn slot_at(bytes: &[u8], at: usize) -> Option<SlotId> {
    let [db, low, high] = *bytes.get(at..)?.first_chunk::<3>()?;
    let slot = u16::from_le_bytes([low, high]);
    (slot < SLOT_COUNT).then_some(SlotId { db: DbIndex::new(db)?, slot })
}

/// Appends a chunk and returns its checksum.
///
/// ```text
///  0     1      2..5   5..8  8      16         24            32      36        40
///  | 1 | flags | first | last | lsn | raw len | stored len | crc32c | zeros | content
/// ```
/// `crc32c` covers the fields before it and the content.
pub(crate) fn encode(chunk: &Chunk<'_>, out: &mut Vec<u8>) -> u32 {
    let start = out.len();
    let packed = pack(chunk.bytes);
    let stored = packed.as_deref().unwrap_or(chunk.bytes);
    out.push(KIND_CHUNK);
    out.push(if packed.is_some() { FLAG_LZ4 } else { 0 });
    put_slot(out, chunk.first);
    put_slot(out, chunk.last);
    out.extend_from_slice(&chunk.lsn.get().to_le_bytes());
    for len in [chunk.bytes.len(), stored.len()] {
        out.extend_from_slice(&u64::try_from(len).unwrap_or(u64::MAX).to_le_bytes());
    }
    let crc = crc32c::crc32c(out.get(start..).unwrap_or_default());
    let crc = crc32c::crc32c_append(crc, stored);
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(stored);
    crc
}

/// Compressed content, if that is shorter by an eighth at least.
fn pack(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.len() < 64 || bytes.len() > COMPRESS_BYTES_MAX {
        return None;
    }
    let packed = lz4_flex::block::compress(bytes);
    (packed.len() < bytes.len() - bytes.len() / 8).then_some(packed)
}

/// Appends the footer: the file is whole.
pub(crate) fn encode_footer(end: Lsn, chunks: u64, digest: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[KIND_FOOTER, 0, 0, 0, 0, 0, 0, 0]);
    for value in [end.get(), chunks, digest] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    let crc = crc32c::crc32c(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
}

/// Reads the fields at one place. A footer is checked whole, a chunk only with its content.
pub(crate) fn heading(bytes: &[u8; CHUNK_HEADER_BYTES]) -> Result<Heading, ChunkError> {
    let crc = u32::try_from(u64_at(bytes, 32) & 0xffff_ffff).unwrap_or(0);
    let value = ChunkError::Value;
    match bytes[0] {
        KIND_FOOTER => {
            if crc32c::crc32c(&bytes[..32]) != crc {
                return Err(ChunkError::Checksum);
            }
            Ok(Heading::Footer {
                end: Lsn::new(u64_at(bytes, 8)),
                chunks: u64_at(bytes, 16),
                digest: u64_at(bytes, 24),
            })
        }
        KIND_CHUNK => Ok(Heading::Chunk(ChunkHeading {
            lz4: match bytes[1] {
                0 => false,
                FLAG_LZ4 => true,
                _ => return Err(value("flags")),
            },
            first: slot_at(bytes, 2).ok_or(value("first"))?,
            last: slot_at(bytes, 5).ok_or(value("last"))?,
            lsn: Lsn::new(u64_at(bytes, 8)),
            raw_len: u64_at(bytes, 16),
            stored_len: u64_at(bytes, 24),
            crc,
        })),
        _ => Err(value("kind")),
    }
}

/// The content of a chunk: checked, then unpacked into `unpacked` if need be.
pub(crate) fn content<'a>(
    fields: &[u8; CHUNK_HEADER_BYTES],
    heading: &ChunkHeading,
    stored: &'a [u8],
    unpacked: &'a mut Vec<u8>,
) -> Result<&'a [u8], ChunkError> {
    let crc = crc32c::crc32c_append(crc32c::crc32c(&fields[..32]), stored);
    if crc != heading.crc {
        return Err(ChunkError::Checksum);
    }
    let raw_len = usize::try_from(heading.raw_len).map_err(|_| ChunkError::Value("raw len"))?;
    if !heading.lz4 {
        return if raw_len == stored.len() {
            Ok(stored)
        } else {
            Err(ChunkError::Value("raw len"))
        };
    }
    // What was compressed was never larger: a longer one is a bomb.
    if raw_len > COMPRESS_BYTES_MAX {
        return Err(ChunkError::Value("raw len"));
    }
    unpacked.resize(raw_len, 0);
    match lz4_flex::block::decompress_into(stored, unpacked) {
        Ok(len) if len == raw_len => Ok(unpacked),
        Ok(_) | Err(_) => Err(ChunkError::Compression),
    }
}

/// Sums up checksums in order, so that a chunk that is missing, doubled or moved is noticed.
pub(crate) const fn mix(digest: u64, crc: u32) -> u64 {
    (digest.rotate_left(9) ^ (crc as u64)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
