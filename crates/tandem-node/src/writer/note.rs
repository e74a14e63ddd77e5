//! What the log of one of two writers says of the peer: whom it met, what it copied (docs/formats/merge.md).

use std::borrow::Cow;

use tandem_merge::escrow::Forget;
use tandem_types::{DbIndex, Incarnation, Lsn, SLOT_COUNT, SlotId};

use super::forgotten::{rights_byte, rights_of};

/// First byte of such a record's payload.
const VERSION: u8 = 1;

/// The payload of a record of kind 4.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum PeerNote<'a> {
    /// This incarnation of the peer is who is merged from now on; its records count from zero.
    Met {
        /// Whose.
        incarnation: Incarnation,
    },
    /// A full copy of what this incarnation holds begins; its records from `start` on follow.
    CopyBegin {
        /// Whose.
        incarnation: Incarnation,
        /// The end of its records when it began.
        start: Lsn,
    },
    /// Some of it.
    CopyPiece(CopyPiece<'a>),
    /// All of it is here.
    CopyEnd,
    /// The peer has the own records before `seen`; it said so when its own ended at `said_at`.
    Has {
        /// End of what it has.
        seen: Lsn,
        /// End of its own then.
        said_at: Lsn,
    },
    /// The peer is given up for good.
    Forgotten {
        /// Who.
        incarnation: Incarnation,
        /// What becomes of its rights; `None`: it has none.
        rights: Option<Forget>,
    },
    /// The peer goes on without this node, and has its records before `has`.
    GivenUp {
        /// End of what it has.
        has: Lsn,
    },
    /// All before this is from a backup. Whoever had this node's records until then is not met again; ids go on
    /// at `ids_from` or above.
    Restored {
        /// As [`tandem_merge::Ledger::restored`] takes it.
        ids_from: u64,
    },
    /// What a forgotten peer wrote before `upto` is dealt with: some of it is written again directly behind
    /// this, the rest is told as conflicts.
    Salvaged {
        /// End of its records that are dealt with.
        upto: Lsn,
        /// What is written again, as a chunk of this side; empty: nothing.
        again: Cow<'a, [u8]>,
        /// The rest, as the peer wrote it.
        rest: Cow<'a, [u8]>,
    },
}

/// Some slots of a full copy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct CopyPiece<'a> {
    /// The first slot that has not come with this or before; `None`: all have.
    pub(crate) next: Option<SlotId>,
    /// Slots, as `tandem_replication::message::push_slot` writes them.
    pub(crate) slots: Cow<'a, [u8]>,
    /// What stands beside them, as a chunk of side A; empty: nothing.
    pub(crate) beside_a: Cow<'a, [u8]>,
    /// The same of side B.
    pub(crate) beside_b: Cow<'a, [u8]>,
}

/// Bytes that are no note.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a note about the peer cannot be read: run the same release on both nodes")]
pub(crate) struct NoteError;

impl<'a> PeerNote<'a> {
    /// The bytes.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        match self {
            Self::Met { incarnation } => {
                out.push(1);
                out.extend(incarnation.get().to_le_bytes());
            }
            Self::CopyBegin { incarnation, start } => {
                out.push(2);
                out.extend(incarnation.get().to_le_bytes());
                out.extend(start.get().to_le_bytes());
            }
            Self::CopyPiece(piece) => {
                out.push(3);
                piece.encode(&mut out);
            }
            Self::CopyEnd => out.push(4),
            Self::Has { seen, said_at } => {
                out.push(5);
                out.extend(seen.get().to_le_bytes());
                out.extend(said_at.get().to_le_bytes());
            }
            Self::Forgotten { incarnation, rights } => {
                out.push(6);
                out.extend(incarnation.get().to_le_bytes());
                out.push(rights_byte(*rights));
            }
            Self::GivenUp { has } => {
                out.push(7);
                out.extend(has.get().to_le_bytes());
            }
            Self::Restored { ids_from } => {
                out.push(9);
                out.extend(ids_from.to_le_bytes());
            }
            Self::Salvaged { upto, again, rest } => {
                out.push(8);
                out.extend(upto.get().to_le_bytes());
                put_bytes(&mut out, again);
                put_bytes(&mut out, rest);
            }
        }
        out
    }

    /// Reads all of `bytes`.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, NoteError> {
        let mut rest = Rest(bytes);
        if rest.byte()? != VERSION {
            return Err(NoteError);
        }
        let note = match rest.byte()? {
            1 => Self::Met { incarnation: Incarnation::new(rest.u64()?) },
            2 => Self::CopyBegin {
                incarnation: Incarnation::new(rest.u64()?),
                start: Lsn::new(rest.u64()?),
            },
            3 => Self::CopyPiece(CopyPiece::read(&mut rest)?),
            4 => Self::CopyEnd,
            5 => Self::Has { seen: Lsn::new(rest.u64()?), said_at: Lsn::new(rest.u64()?) },
            6 => Self::Forgotten {
                incarnation: Incarnation::new(rest.u64()?),
                rights: rights_of(rest.byte()?)?,
            },
            7 => Self::GivenUp { has: Lsn::new(rest.u64()?) },
            8 => Self::Salvaged {
                upto: Lsn::new(rest.u64()?),
                again: Cow::Borrowed(rest.bytes()?),
                rest: Cow::Borrowed(rest.bytes()?),
            },
            9 => Self::Restored { ids_from: rest.u64()? },
            _ => return Err(NoteError),
        };
        if rest.0.is_empty() { Ok(note) } else { Err(NoteError) }
    }
}

impl<'a> CopyPiece<'a> {
    /// Appends the bytes.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self.next {
            None => out.push(0),
            Some(slot) => {
                out.extend([1, slot.db.get()]);
                out.extend(slot.slot.to_le_bytes());
            }
        }
        for bytes in [&self.slots, &self.beside_a, &self.beside_b] {
            put_bytes(out, bytes);
        }
    }

    /// Reads all of `bytes`.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, NoteError> {
        let mut rest = Rest(bytes);
        let piece = Self::read(&mut rest)?;
        if rest.0.is_empty() { Ok(piece) } else { Err(NoteError) }
    }

    fn read(rest: &mut Rest<'a>) -> Result<Self, NoteError> {
        let next = match rest.byte()? {
            0 => None,
            1 => {
                let db = DbIndex::new(rest.byte()?).ok_or(NoteError)?;
                let slot = u16::from_le_bytes(rest.fixed()?);
                if slot >= SLOT_COUNT {
                    return Err(NoteError);
                }
                Some(SlotId { db, slot })
            }
            _ => return Err(NoteError),
        };
        Ok(Self {
            next,
            slots: Cow::Borrowed(rest.bytes()?),
            beside_a: Cow::Borrowed(rest.bytes()?),
            beside_b: Cow::Borrowed(rest.bytes()?),
        })
    }
}

/// Appends them with their length before them.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// What is still to be read.
pub(super) struct Rest<'a>(pub(super) &'a [u8]);

impl<'a> Rest<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], NoteError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(NoteError)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn fixed<const N: usize>(&mut self) -> Result<[u8; N], NoteError> {
        self.take(N)?.first_chunk().copied().ok_or(NoteError)
    }

    pub(super) fn byte(&mut self) -> Result<u8, NoteError> {
        let [byte] = self.fixed()?;
        Ok(byte)
    }

    pub(super) fn u64(&mut self) -> Result<u64, NoteError> {
        Ok(u64::from_le_bytes(self.fixed()?))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], NoteError> {
        let length = usize::try_from(self.u64()?).map_err(|_| NoteError)?;
        self.take(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_survive_the_log() {
        let piece = CopyPiece {
            next: Some(SlotId::LAST),
            slots: Cow::Borrowed(b"slots"),
            beside_a: Cow::Borrowed(b""),
            beside_b: Cow::Borrowed(b"beside"),
        };
        let incarnation = Incarnation::new(7);
        let notes = [
            PeerNote::Met { incarnation },
            PeerNote::CopyBegin { incarnation, start: Lsn::new(9) },
            PeerNote::CopyPiece(piece.clone()),
            PeerNote::CopyPiece(CopyPiece { next: None, ..piece }),
            PeerNote::CopyEnd,
            PeerNote::Has { seen: Lsn::new(3), said_at: Lsn::new(4) },
            PeerNote::Forgotten { incarnation, rights: None },
            PeerNote::Forgotten { incarnation, rights: Some(Forget::Claim) },
            PeerNote::GivenUp { has: Lsn::new(5) },
            PeerNote::Salvaged {
                upto: Lsn::new(6),
                again: Cow::Borrowed(b"again"),
                rest: Cow::Borrowed(b""),
            },
        ];
        for note in notes {
            let bytes = note.to_bytes();
            assert_eq!(PeerNote::decode(&bytes), Ok(note.clone()));
            for end in 0..bytes.len() {
                assert!(PeerNote::decode(&bytes[..end]).is_err(), "{note:?} cut to {end}");
            }
            let longer = [&bytes[..], b"x"].concat();
            assert!(PeerNote::decode(&longer).is_err());
        }
    }
}
