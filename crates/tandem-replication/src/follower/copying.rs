//! A full copy as it comes in: chunks in order, each at its place in the stream.

use std::borrow::Cow;

use tandem_types::{Lsn, SlotId};

use crate::fault::LinkFault;
use crate::message::SnapshotChunk;

#[derive(Clone, Debug)]
pub(super) struct Copying {
    /// The slot the next chunk must begin with; `None`: all are here.
    next: Option<SlotId>,
    /// A chunk whose last part has not come.
    partial: Option<Partial>,
    /// The latest LSN of a chunk.
    latest: Lsn,
    /// What the leader said it must reach.
    end: Option<Lsn>,
    complete: bool,
}

#[derive(Clone, Debug)]
struct Partial {
    lsn: Lsn,
    first: SlotId,
    last: SlotId,
    total: u64,
    bytes: Vec<u8>,
}

/// A chunk whose parts are all here.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Whole<'a> {
    pub(super) lsn: Lsn,
    pub(super) first: SlotId,
    pub(super) last: SlotId,
    pub(super) bytes: Cow<'a, [u8]>,
}

impl Copying {
    pub(super) const fn new() -> Self {
        Self {
            next: Some(SlotId::FIRST),
            partial: None,
            latest: Lsn::ZERO,
            end: None,
            complete: false,
        }
    }

    /// Takes one part; `at` is the end of the log, where a chunk must have been taken.
    pub(super) fn take<'a>(
        &mut self,
        chunk: SnapshotChunk<'a>,
        at: Lsn,
    ) -> Result<Option<Whole<'a>>, LinkFault> {
        let bad = |reason| Err(LinkFault::BadChunk { reason });
        let length = u64::try_from(chunk.bytes.len()).unwrap_or(u64::MAX);
        if chunk.lsn != at {
            return bad("taken at another place of the log than where it stands in the stream");
        }
        if self.next != Some(chunk.first) {
            return bad("not the next slots");
        }
        let SnapshotChunk { lsn, first, last, total, offset, bytes, .. } = chunk;
        let whole = match self.partial.take() {
            None if offset != 0 => return bad("begins in the middle"),
            None if length == total => Whole { lsn, first, last, bytes },
            None if length == 0 => return bad("an empty part"),
            None => {
                let bytes = bytes.into_owned();
                self.partial = Some(Partial { lsn, first, last, total, bytes });
                return Ok(None);
            }
            Some(mut partial) => {
                let have = u64::try_from(partial.bytes.len()).unwrap_or(u64::MAX);
                let same = (partial.lsn, partial.first, partial.last, partial.total)
                    == (lsn, first, last, total);
                if !same || offset != have || length == 0 {
                    return bad("not the next part");
                }
                partial.bytes.extend_from_slice(&bytes);
                if have + length < total {
                    self.partial = Some(partial);
                    return Ok(None);
                }
                Whole { lsn, first, last, bytes: Cow::Owned(partial.bytes) }
            }
        };
        self.next = last.next();
        self.latest = lsn;
        Ok(Some(whole))
    }

    /// The leader says that it has sent everything; `at` is the end of the log.
    pub(super) fn sent(&mut self, end: Lsn, at: Lsn) -> Result<(), LinkFault> {
        if self.next.is_some() || self.partial.is_some() {
            return Err(LinkFault::BadChunk { reason: "the copy ends before its last slot" });
        }
        if end < self.latest || end > at || self.end.is_some() {
            return Err(LinkFault::BadChunk { reason: "the copy ends at an impossible place" });
        }
        self.end = Some(end);
        Ok(())
    }

    /// Whether the copy becomes whole with everything before `held` held; says so once.
    pub(super) fn complete(&mut self, held: Lsn) -> Option<Lsn> {
        let end = self.end.filter(|&end| held >= end && !self.complete)?;
        self.complete = true;
        Some(end)
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    pub(super) const fn is_within_a_chunk(&self) -> bool {
        self.partial.is_some()
    }
}

#[cfg(test)]
mod tests {
    use tandem_types::{DB_COUNT, DbIndex, Epoch, SLOT_COUNT};

    use super::*;

    fn slot(number: u16) -> SlotId {
        SlotId { db: DbIndex::ZERO, slot: number }
    }

    fn last_slot() -> SlotId {
        SlotId { db: DbIndex::new(DB_COUNT - 1).unwrap(), slot: SLOT_COUNT - 1 }
    }

    fn chunk(
        slots: (SlotId, SlotId),
        lsn: u64,
        offset: u64,
        total: u64,
        bytes: &[u8],
    ) -> SnapshotChunk<'_> {
        SnapshotChunk {
            epoch: Epoch::new(1),
            lsn: Lsn::new(lsn),
            first: slots.0,
            last: slots.1,
            offset,
            total,
            bytes: bytes.into(),
        }
    }

    #[test]
    fn parts_become_one_chunk() {
        let mut copying = Copying::new();
        let at = Lsn::new(5);
        let slots = (slot(0), last_slot());
        assert_eq!(copying.take(chunk(slots, 5, 0, 6, b"ab"), at), Ok(None));
        assert!(copying.is_within_a_chunk());
        assert_eq!(copying.take(chunk(slots, 5, 2, 6, b"cd"), at), Ok(None));
        let whole = copying.take(chunk(slots, 5, 4, 6, b"ef"), at).unwrap().unwrap();
        assert_eq!(&*whole.bytes, b"abcdef");
        copying.sent(Lsn::new(5), at).unwrap();
        assert_eq!(copying.complete(Lsn::new(4)), None);
        assert_eq!(copying.complete(Lsn::new(5)), Some(Lsn::new(5)));
        assert_eq!(copying.complete(Lsn::new(6)), None);
    }

    #[test]
    fn a_chunk_out_of_place_ends_the_link() {
        let begin = (slot(0), slot(9));
        let next = (slot(10), slot(20));
        let cases: [(&str, &[SnapshotChunk<'_>]); 6] = [
            ("other lsn", &[chunk(begin, 4, 0, 1, b"a")]),
            ("not the first slot", &[chunk(next, 5, 0, 1, b"a")]),
            ("middle of nothing", &[chunk(begin, 5, 1, 2, b"a")]),
            ("part missing", &[chunk(begin, 5, 0, 9, b"abc"), chunk(begin, 5, 4, 9, b"e")]),
            ("total changes", &[chunk(begin, 5, 0, 9, b"abc"), chunk(begin, 5, 3, 8, b"e")]),
            ("twice", &[chunk(begin, 5, 0, 1, b"a"), chunk(begin, 5, 0, 1, b"a")]),
        ];
        for (name, chunks) in cases {
            let mut copying = Copying::new();
            let failed =
                chunks.iter().any(|chunk| copying.take(chunk.clone(), Lsn::new(5)).is_err());
            assert!(failed, "{name}");
        }
        let mut copying = Copying::new();
        copying.take(chunk(begin, 5, 0, 1, b"a"), Lsn::new(5)).unwrap();
        assert!(copying.sent(Lsn::new(5), Lsn::new(5)).is_err(), "slots missing");
    }
}
