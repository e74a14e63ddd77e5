//! What two nodes say to one another to compare their data.
//!
//! ```text
//!  primary                                   follower
//!  Slots { at, first..=last, digests } --->  has applied exactly the records before `at`: compares
//!                                      <---  Checked { differing slots }
//!  Keys { at, slot, digests }          --->  the same for the keys of one slot that differs
//!                                      <---  KeysChecked { differing keys }
//!  Ended { result }                    --->  for its own status
//! ```
//! The link keeps order: what the primary says at the end of its log comes before every later record, so the
//! follower can stop at that very record, compare, and go on. Nothing has to stand still, and no slot is too
//! busy to be compared.
//!
//! Bytes (little-endian, in a `compare` message of docs/formats/link.md): a kind, then the fields in order.

use tandem_types::{DbIndex, Lsn, SLOT_COUNT, SlotId};

/// Slots in one message, at most.
pub(crate) const SLOTS_MAX: usize = 8_192;
/// Keys in one message, at most, and bytes of them.
pub(crate) const KEYS_MAX: usize = 4_096;
pub(crate) const KEYS_BYTES_MAX: usize = 1 << 20;
/// Keys that are named at the end.
pub(crate) const NAMED_MAX: usize = 64;

/// One message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Compare {
    /// A follower was asked by a person: the primary compares.
    Please {
        /// If the data differs, the follower takes a full copy.
        repair: bool,
    },
    /// Digests of slots as they are with all records before `at`; slots in the range that are not named are empty.
    Slots {
        /// Which comparison.
        number: u64,
        /// The end of the primary's log.
        at: Lsn,
        /// The first slot.
        first: SlotId,
        /// The last one.
        last: SlotId,
        /// Slots with keys, in order.
        digests: Vec<(SlotId, u64)>,
    },
    /// The answer to [`Self::Slots`].
    Checked {
        /// Which comparison.
        number: u64,
        /// Those that differ.
        differ: Vec<SlotId>,
    },
    /// Digests of the keys of one slot.
    Keys {
        /// Which comparison.
        number: u64,
        /// The end of the primary's log.
        at: Lsn,
        /// The slot.
        slot: SlotId,
        /// Not all keys of the slot are named.
        cut: bool,
        /// Each key.
        digests: Vec<(Vec<u8>, u64)>,
    },
    /// The answer to [`Self::Keys`].
    KeysChecked {
        /// Which comparison.
        number: u64,
        /// Keys that differ.
        differ: Vec<(Vec<u8>, How)>,
    },
    /// The follower cannot compare.
    NotNow {
        /// Which comparison.
        number: u64,
        /// Why.
        reason: String,
    },
    /// The comparison is over; the result as JSON of `tandem_admin::VerifyView`.
    Ended {
        /// For the follower's status.
        view: Vec<u8>,
    },
    /// Keep the data aside and take a full copy.
    TakeCopy {
        /// Why.
        reason: String,
    },
}

/// How a key differs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum How {
    /// Its value, its deadline or its type.
    Value,
    /// The follower lacks it.
    OnlyPrimary,
    /// The primary lacks it.
    OnlyFollower,
}

impl How {
    /// For a sentence.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Value => "value or time to live differs",
            Self::OnlyPrimary => "only on the primary",
            Self::OnlyFollower => "only on the follower",
        }
    }
}

/// Bytes that are not such a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the peer's message of a comparison cannot be read")]
pub struct NoCompare;

mod kind {
    pub(super) const PLEASE: u8 = 1;
    pub(super) const SLOTS: u8 = 2;
    pub(super) const CHECKED: u8 = 3;
    pub(super) const KEYS: u8 = 4;
    pub(super) const KEYS_CHECKED: u8 = 5;
    pub(super) const NOT_NOW: u8 = 6;
    pub(super) const ENDED: u8 = 7;
    pub(super) const TAKE_COPY: u8 = 8;
}

impl Compare {
    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Please { repair } => out.extend([kind::PLEASE, u8::from(*repair)]),
            Self::Slots { number, at, first, last, digests } => {
                out.push(kind::SLOTS);
                put_u64(&mut out, *number);
                put_u64(&mut out, at.get());
                put_slot(&mut out, *first);
                put_slot(&mut out, *last);
                for (slot, digest) in digests {
                    put_slot(&mut out, *slot);
                    put_u64(&mut out, *digest);
                }
            }
            Self::Checked { number, differ } => {
                out.push(kind::CHECKED);
                put_u64(&mut out, *number);
                for slot in differ {
                    put_slot(&mut out, *slot);
                }
            }
            Self::Keys { number, at, slot, cut, digests } => {
                out.push(kind::KEYS);
                put_u64(&mut out, *number);
                put_u64(&mut out, at.get());
                put_slot(&mut out, *slot);
                out.push(u8::from(*cut));
                for (key, digest) in digests {
                    put_u64(&mut out, *digest);
                    put_bytes(&mut out, key);
                }
            }
            Self::KeysChecked { number, differ } => {
                out.push(kind::KEYS_CHECKED);
                put_u64(&mut out, *number);
                for (key, how) in differ {
                    out.push(match how {
                        How::Value => 0,
                        How::OnlyPrimary => 1,
                        How::OnlyFollower => 2,
                    });
                    put_bytes(&mut out, key);
                }
            }
            Self::NotNow { number, reason } => {
                out.push(kind::NOT_NOW);
                put_u64(&mut out, *number);
                out.extend_from_slice(reason.as_bytes());
            }
            Self::Ended { view } => {
                out.push(kind::ENDED);
                out.extend_from_slice(view);
            }
            Self::TakeCopy { reason } => {
                out.push(kind::TAKE_COPY);
                out.extend_from_slice(reason.as_bytes());
            }
        }
        out
    }

    /// Slots with keys that a question names.
    pub(crate) fn slots_named(&self) -> u64 {
        match self {
            Self::Slots { digests, .. } => u64::try_from(digests.len()).unwrap_or(u64::MAX),
            _ => 0,
        }
    }

    /// Reads a message that is all of `bytes`. Nothing is allocated that the bytes do not hold.
    ///
    /// # Errors
    /// The bytes are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, NoCompare> {
        read(bytes).ok_or(NoCompare)
    }
}

fn read(bytes: &[u8]) -> Option<Compare> {
    let mut fields = Fields(bytes);
    let kind = fields.u8()?;
    Some(match kind {
        kind::PLEASE => Compare::Please { repair: fields.flag_at_end()? },
        kind::SLOTS => {
            let (number, at) = (fields.u64()?, Lsn::new(fields.u64()?));
            let (first, last) = (fields.slot()?, fields.slot()?);
            let digests = fields.many(SLOTS_MAX, |it| Some((it.slot()?, it.u64()?)))?;
            let ordered = digests.iter().zip(digests.iter().skip(1)).all(|(a, b)| a.0 < b.0);
            let within = digests.iter().all(|(slot, _)| (first..=last).contains(slot));
            if first > last || !ordered || !within {
                return None;
            }
            Compare::Slots { number, at, first, last, digests }
        }
        kind::CHECKED => {
            let number = fields.u64()?;
            Compare::Checked { number, differ: fields.many(SLOTS_MAX, Fields::slot)? }
        }
        kind::KEYS => {
            let (number, at, slot) = (fields.u64()?, Lsn::new(fields.u64()?), fields.slot()?);
            let cut = fields.flag()?;
            let digests = fields.many(KEYS_MAX, |it| {
                let digest = it.u64()?;
                Some((it.bytes()?.to_vec(), digest))
            })?;
            Compare::Keys { number, at, slot, cut, digests }
        }
        kind::KEYS_CHECKED => {
            let number = fields.u64()?;
            let differ = fields.many(KEYS_MAX, |it| {
                let how = match it.u8()? {
                    0 => How::Value,
                    1 => How::OnlyPrimary,
                    2 => How::OnlyFollower,
                    _ => return None,
                };
                Some((it.bytes()?.to_vec(), how))
            })?;
            Compare::KeysChecked { number, differ }
        }
        kind::NOT_NOW => Compare::NotNow { number: fields.u64()?, reason: fields.text()? },
        kind::ENDED => Compare::Ended { view: fields.0.to_vec() },
        kind::TAKE_COPY => Compare::TakeCopy { reason: fields.text()? },
        _ => return None,
    })
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_slot(out: &mut Vec<u8>, slot: SlotId) {
    out.push(slot.db.get());
    out.extend_from_slice(&slot.slot.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    // A key is at most 512 MiB.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Reads fields one after another.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn flag_at_end(&mut self) -> Option<bool> {
        self.flag().filter(|_| self.0.is_empty())
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn slot(&mut self) -> Option<SlotId> {
        let db = DbIndex::new(self.u8()?)?;
        let slot = u16::from_le_bytes(self.take()?);
        (slot < SLOT_COUNT).then_some(SlotId { db, slot })
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(u32::from_le_bytes(self.take()?)).ok()?;
        let (head, tail) = self.0.split_at_checked(length)?;
        self.0 = tail;
        Some(head)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(std::mem::take(&mut self.0).to_vec()).ok()
    }

    /// Everything up to the end of the message.
    fn many<T>(
        &mut self,
        count_max: usize,
        mut one: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut all = Vec::new();
        while !self.0.is_empty() {
            if all.len() == count_max {
                return None;
            }
            all.push(one(self)?);
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(db: u8, slot: u16) -> SlotId {
        SlotId { db: DbIndex::new(db).unwrap(), slot }
    }

    #[test]
    fn every_message_reads_back_and_none_can_be_cut() {
        let (number, at) = (7, Lsn::new(99));
        let all = [
            Compare::Please { repair: true },
            Compare::Slots {
                number,
                at,
                first: slot(0, 4),
                last: slot(1, 0),
                digests: vec![(slot(0, 4), 1), (slot(0, 9), 2)],
            },
            Compare::Checked { number, differ: vec![slot(0, 9)] },
            Compare::Keys {
                number,
                at,
                slot: slot(0, 9),
                cut: true,
                digests: vec![(b"key".to_vec(), 5), (Vec::new(), 6)],
            },
            Compare::KeysChecked {
                number,
                differ: vec![(b"key".to_vec(), How::Value), (b"k".to_vec(), How::OnlyFollower)],
            },
            Compare::NotNow { number, reason: "a copy".into() },
            Compare::Ended { view: b"{}".to_vec() },
            Compare::TakeCopy { reason: "asked".into() },
        ];
        for message in all {
            let bytes = message.to_bytes();
            assert_eq!(Compare::decode(&bytes), Ok(message.clone()));
            for end in 0..bytes.len() {
                assert_ne!(Compare::decode(&bytes[..end]).ok(), Some(message.clone()), "{end}");
            }
        }
    }

    #[test]
    fn slots_out_of_order_or_range_are_refused() {
        let message = |first, last, digests| {
            let it = Compare::Slots { number: 1, at: Lsn::ZERO, first, last, digests };
            Compare::decode(&it.to_bytes())
        };
        let (low, high) = (slot(0, 1), slot(0, 5));
        assert!(message(low, high, vec![(low, 1)]).is_ok());
        assert!(message(high, low, vec![]).is_err());
        assert!(message(low, high, vec![(high, 1), (low, 1)]).is_err());
        assert!(message(low, high, vec![(slot(0, 6), 1)]).is_err());
    }
}
