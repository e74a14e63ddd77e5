//! What two writers say to each other, as bytes within a link message (docs/formats/link.md).

use std::borrow::Cow;

use tandem_merge::handshake::Greeting;
use tandem_types::{DbIndex, Incarnation, Lsn, NodeId, Pair, SLOT_COUNT, SlotId};

use crate::writer::CopyPiece;

/// First byte of every message.
const VERSION: u8 = 1;

/// One message of the exchange.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Said<'a> {
    /// First in a connection: who has what of whom.
    Greeting(Greeting),
    /// Own records that come next, in order, each as `tandem_merge` encodes a chunk. Together: a message costs
    /// both nodes more than a record does.
    Chunks(Vec<Cow<'a, [u8]>>),
    /// How far the sender is, on its disk.
    Seen(Seen),
    /// A full copy begins; own records from `start` on follow among its pieces.
    CopyBegin {
        /// The end of the own records now.
        start: Lsn,
    },
    /// Some of it.
    CopyPiece(CopyPiece<'a>),
    /// All of it was sent.
    CopyEnd,
    /// The receiver was given up; of its records the sender has those before this.
    GivenUp {
        /// Their end.
        has: Lsn,
    },
    /// What are the digests of the slots from one on? Of what stands beside them only if the receiver holds exactly
    /// this much of both, or nothing.
    VerifyAsk {
        /// Names the answer.
        token: u64,
        /// The first slot.
        first: SlotId,
        /// Ends of what a and b have written, as the sender has them.
        vector: Pair<Lsn>,
    },
    /// The answer.
    VerifyAnswer {
        /// Of the question.
        token: u64,
        /// The digests.
        digests: Digests,
    },
}

/// Digests of slots of one database, one after the other: as many as are quickly made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Digests {
    /// Of each slot; `None`: it holds writes that the receiver may lack.
    pub(super) slots: Vec<Option<u64>>,
    /// Of what stands beside the key space, if it can be compared now.
    pub(super) beside: Option<u64>,
}

/// How far the sender is, on its disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Seen {
    /// The end of the receiver's records that it has; zero while it copies.
    pub(super) has: Lsn,
    /// The end of its own records, when it says this.
    pub(super) said_at: Lsn,
    /// Bytes of chunks and pieces of this connection that it has.
    pub(super) taken: u64,
    /// It has all that it needs: no copy is coming in, or waited for.
    pub(super) whole: bool,
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a message between the two writers cannot be read: run the same release on both nodes")]
pub(super) struct SaidError;

impl<'a> Said<'a> {
    /// The bytes.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        match self {
            Self::Greeting(greeting) => {
                out.push(1);
                out.push(greeting.side.as_byte());
                out.push(u8::from(greeting.peer.is_some()) | u8::from(greeting.has_data) << 1);
                let peer = greeting.peer.unwrap_or_default();
                for word in [
                    greeting.incarnation.get(),
                    greeting.own_end.get(),
                    peer.get(),
                    greeting.seen_end.get(),
                ] {
                    out.extend(word.to_le_bytes());
                }
            }
            Self::Chunks(chunks) => {
                out.reserve(chunks.iter().map(|chunk| chunk.len() + 4).sum::<usize>() + 1);
                out.push(2);
                for chunk in chunks {
                    // A record of the log, which is far shorter than that.
                    out.extend(u32::try_from(chunk.len()).unwrap_or(u32::MAX).to_le_bytes());
                    out.extend_from_slice(chunk);
                }
            }
            Self::Seen(seen) => {
                out.push(3);
                let whole = u64::from(seen.whole);
                for word in [seen.has.get(), seen.said_at.get(), seen.taken, whole] {
                    out.extend(word.to_le_bytes());
                }
            }
            Self::CopyBegin { start } => {
                out.push(4);
                out.extend(start.get().to_le_bytes());
            }
            Self::CopyPiece(piece) => {
                out.push(5);
                piece.encode(&mut out);
            }
            Self::CopyEnd => out.push(6),
            Self::GivenUp { has } => {
                out.push(9);
                out.extend(has.get().to_le_bytes());
            }
            Self::VerifyAsk { token, first, vector } => {
                out.push(7);
                let slot = u64::from(first.db.get()) << 16 | u64::from(first.slot);
                for word in [*token, slot, vector.a.get(), vector.b.get()] {
                    out.extend(word.to_le_bytes());
                }
            }
            Self::VerifyAnswer { token, digests } => {
                out.push(8);
                out.extend(token.to_le_bytes());
                for digest in [&digests.beside].into_iter().chain(&digests.slots) {
                    out.push(u8::from(digest.is_some()));
                    out.extend(digest.unwrap_or_default().to_le_bytes());
                }
            }
        }
        out
    }

    /// Reads all of `bytes`.
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, SaidError> {
        let (&[VERSION, tag], rest) = bytes.split_first_chunk().ok_or(SaidError)? else {
            return Err(SaidError);
        };
        match tag {
            1 => greeting(rest),
            2 => chunks(rest).map(Self::Chunks),
            3 => {
                let [has, said_at, taken, whole] = words(rest)?;
                let (has, said_at, whole) = (Lsn::new(has), Lsn::new(said_at), whole == 1);
                Ok(Self::Seen(Seen { has, said_at, taken, whole }))
            }
            4 => {
                let [start] = words(rest)?;
                Ok(Self::CopyBegin { start: Lsn::new(start) })
            }
            5 => CopyPiece::decode(rest).map(Self::CopyPiece).map_err(|_| SaidError),
            6 if rest.is_empty() => Ok(Self::CopyEnd),
            9 => {
                let [has] = words(rest)?;
                Ok(Self::GivenUp { has: Lsn::new(has) })
            }
            7 => {
                let [token, slot, a, b] = words(rest)?;
                let vector = Pair { a: Lsn::new(a), b: Lsn::new(b) };
                Ok(Self::VerifyAsk { token, first: slot_of(slot)?, vector })
            }
            8 => {
                let (token, rest) = rest.split_first_chunk().ok_or(SaidError)?;
                let (digests, []) = rest.as_chunks::<9>() else { return Err(SaidError) };
                let mut digests = digests
                    .iter()
                    .map(|[known, digest @ ..]| (*known == 1).then(|| u64::from_le_bytes(*digest)));
                let beside = digests.next().ok_or(SaidError)?;
                let digests = Digests { slots: digests.collect(), beside };
                Ok(Self::VerifyAnswer { token: u64::from_le_bytes(*token), digests })
            }
            _ => Err(SaidError),
        }
    }
}

fn chunks(mut bytes: &[u8]) -> Result<Vec<Cow<'_, [u8]>>, SaidError> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| SaidError)?;
        let (chunk, after) = rest.split_at_checked(length).ok_or(SaidError)?;
        found.push(Cow::Borrowed(chunk));
        bytes = after;
    }
    if found.is_empty() || !bytes.is_empty() { Err(SaidError) } else { Ok(found) }
}

fn greeting(bytes: &[u8]) -> Result<Said<'static>, SaidError> {
    let (&[side, flags], rest) = bytes.split_first_chunk().ok_or(SaidError)?;
    let [incarnation, own_end, peer, seen_end] = words(rest)?;
    if flags > 3 {
        return Err(SaidError);
    }
    Ok(Said::Greeting(Greeting {
        side: NodeId::from_byte(side).ok_or(SaidError)?,
        incarnation: Incarnation::new(incarnation),
        own_end: Lsn::new(own_end),
        peer: (flags & 1 != 0).then_some(Incarnation::new(peer)),
        seen_end: Lsn::new(seen_end),
        has_data: flags & 2 != 0,
    }))
}

/// Exactly these numbers, little-endian.
fn words<const N: usize>(bytes: &[u8]) -> Result<[u64; N], SaidError> {
    all_words(bytes)?.try_into().map_err(|_| SaidError)
}

fn all_words(bytes: &[u8]) -> Result<Vec<u64>, SaidError> {
    let (chunks, []) = bytes.as_chunks::<8>() else { return Err(SaidError) };
    Ok(chunks.iter().map(|word| u64::from_le_bytes(*word)).collect())
}

/// A slot.
fn slot_of(word: u64) -> Result<SlotId, SaidError> {
    let db = u8::try_from(word >> 16).ok().and_then(DbIndex::new).ok_or(SaidError)?;
    let slot = u16::try_from(word & 0xffff).map_err(|_| SaidError)?;
    if slot < SLOT_COUNT { Ok(SlotId { db, slot }) } else { Err(SaidError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_link() {
        let greeting = Greeting {
            side: NodeId::B,
            incarnation: Incarnation::new(5),
            own_end: Lsn::new(6),
            peer: None,
            seen_end: Lsn::new(7),
            has_data: true,
        };
        let known = Greeting { peer: Some(Incarnation::new(8)), has_data: false, ..greeting };
        let seen = Seen { has: Lsn::new(1), said_at: Lsn::new(2), taken: 3, whole: true };
        let all = [
            Said::Greeting(greeting),
            Said::Greeting(known),
            Said::Seen(seen),
            Said::CopyBegin { start: Lsn::new(4) },
            Said::CopyPiece(CopyPiece::default()),
            Said::CopyEnd,
            Said::GivenUp { has: Lsn::new(8) },
            Said::VerifyAsk {
                token: 5,
                first: SlotId { db: DbIndex::ZERO, slot: 512 },
                vector: Pair { a: Lsn::new(6), b: Lsn::new(7) },
            },
        ];
        for said in all {
            let bytes = said.to_bytes();
            assert_eq!(Said::decode(&bytes), Ok(said.clone()));
            for end in 0..bytes.len() {
                assert!(Said::decode(&bytes[..end]).is_err(), "{said:?} cut to {end}");
            }
        }
        for slots in [vec![], vec![Some(1), None, Some(0)]] {
            for beside in [None, Some(3)] {
                let digests = Digests { slots: slots.clone(), beside };
                let answer = Said::VerifyAnswer { token: 9, digests };
                assert_eq!(Said::decode(&answer.to_bytes()), Ok(answer.clone()));
            }
        }
        let chunks =
            Said::Chunks(vec![Cow::Borrowed(b"any"), Cow::Borrowed(b""), Cow::Borrowed(b"x")]);
        let bytes = chunks.to_bytes();
        assert_eq!(Said::decode(&bytes), Ok(chunks.clone()));
        // A cut behind a whole chunk leaves a message of fewer of them.
        for end in [0, 1, 2, 3, 6, 8, 10, 12, 14, 17] {
            assert!(Said::decode(&bytes[..end]).is_err(), "cut to {end}");
        }
    }
}
