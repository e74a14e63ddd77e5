//! One segment as bytes (docs/formats/merge-conflicts.md).
//!
//! ```text
//! | magic 8, incarnation u64, generation u64, base u64, crc32c u32 | crc32c u32, length u32, entry | ... |
//! ```
//! A record counts if its checksum is right and all before it counted: what a crash left half written is
//! the end, and so is damage.

use tandem_store::{ConflictEntry, ConflictId};
use tandem_types::{Incarnation, Lsn, WallMillis};

use super::Life;

const MAGIC: [u8; 8] = *b"TNDMCFL1";
/// Bytes before the first record.
pub(super) const HEADER_BYTES: u64 = 36;
const SUFFIX: &str = ".entries";

/// What a segment begins with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    /// Which log the positions are of.
    pub(super) life: Life,
    /// What was added to them.
    pub(super) base: u64,
}

impl Header {
    pub(super) fn encode(self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(self.life.incarnation.get().to_le_bytes());
        out.extend(self.life.generation.to_le_bytes());
        out.extend(self.base.to_le_bytes());
        out.extend(crc32c::crc32c(&out).to_le_bytes());
        out
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<32>()?;
        let (crc, rest) = rest.split_first_chunk()?;
        let (magic, words) = head.split_first_chunk()?;
        let (words, _) = words.as_chunks::<8>();
        let [incarnation, generation, base] = *words else { return None };
        if *magic != MAGIC || u32::from_le_bytes(*crc) != crc32c::crc32c(head) {
            return None;
        }
        *bytes = rest;
        let incarnation = Incarnation::new(u64::from_le_bytes(incarnation));
        let life = Life { incarnation, generation: u64::from_le_bytes(generation) };
        Some(Self { life, base: u64::from_le_bytes(base) })
    }
}

/// The records of a segment that count.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) entries: Vec<ConflictEntry>,
    /// Bytes up to the end of the last.
    pub(super) length: usize,
}

impl Records {
    pub(super) fn last(&self) -> Option<&ConflictEntry> {
        self.entries.last()
    }
}

/// Reads a segment as far as it is whole.
pub(super) fn open(bytes: &[u8]) -> (Option<Header>, Records) {
    let mut rest = bytes;
    let mut records = Records::default();
    let Some(header) = Header::decode(&mut rest) else { return (None, records) };
    records.length = bytes.len() - rest.len();
    while let Some((entry, after)) = record(rest) {
        records.entries.push(entry);
        rest = after;
        records.length = bytes.len() - rest.len();
    }
    (Some(header), records)
}

fn record(bytes: &[u8]) -> Option<(ConflictEntry, &[u8])> {
    let (crc, rest) = bytes.split_first_chunk()?;
    let (length, rest) = rest.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (mut body, after) = rest.split_at_checked(length)?;
    if u32::from_le_bytes(*crc) != crc32c::crc32c(body) {
        return None;
    }
    let entry = ConflictEntry::decode(&mut body).ok()?;
    body.is_empty().then_some((entry, after))
}

/// Whether what follows the records that count is no end that a crash or a full disk leaves: a record that is
/// all there, and wrong.
pub(super) fn is_damaged(rest: &[u8]) -> bool {
    let length = rest.get(4..).and_then(|rest| rest.first_chunk());
    let length = length.and_then(|length| usize::try_from(u32::from_le_bytes(*length)).ok());
    let whole = length.is_some_and(|length| rest.len() >= length.saturating_add(8));
    whole && rest.iter().any(|byte| *byte != 0)
}

/// Records of entries that stand one after the other; with the first and last of them.
pub(super) fn frame(mut entries: &[u8]) -> Option<(ConflictId, ConflictId, Vec<u8>)> {
    let mut out = Vec::new();
    let mut ends: Option<(ConflictId, ConflictId)> = None;
    while !entries.is_empty() {
        let mut rest = entries;
        let entry = ConflictEntry::decode(&mut rest).ok()?;
        let (body, _) = entries.split_at_checked(entries.len() - rest.len())?;
        out.extend(crc32c::crc32c(body).to_le_bytes());
        out.extend(u32::try_from(body.len()).ok()?.to_le_bytes());
        out.extend_from_slice(body);
        ends = Some((ends.map_or(entry.id, |(first, _)| first), entry.id));
        entries = rest;
    }
    ends.map(|(first, last)| (first, last, out))
}

/// `POSITION-NUMBER-MILLIS.entries`: the first entry, and when the segment was begun.
pub(super) fn name_of(first: ConflictId, time: WallMillis) -> String {
    format!("{:020}-{:010}-{:013}{SUFFIX}", first.lsn_end().get(), first.number(), time.get())
}

/// What a name says; `None`: it is none.
pub(super) fn parse_name(name: &str) -> Option<(ConflictId, WallMillis)> {
    let mut parts = name.strip_suffix(SUFFIX)?.splitn(3, '-');
    let (position, number, time) = (parts.next()?, parts.next()?, parts.next()?);
    let first = ConflictId::new(Lsn::new(position.parse().ok()?), number.parse().ok()?);
    Some((first, WallMillis::new(time.parse().ok()?)))
}
