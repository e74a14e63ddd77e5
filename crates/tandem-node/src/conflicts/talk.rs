//! What the nodes say to each other about saved writes (docs/formats/link.md).

use super::{Decision, PART_BYTES, is_id};

/// One statement; travels as `Message::Conflict`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Said {
    /// I have this file, so long.
    Offer { id: String, bytes: u64 },
    /// Send it from here on.
    Send { id: String, offset: u64 },
    /// A part of it.
    Part { id: String, total: u64, offset: u64, bytes: Vec<u8> },
    /// All of it is on my disk.
    Whole { id: String },
    /// I cannot take it.
    Refuse { id: String, why: String },
    /// This was decided on it.
    Decided { id: String, decision: Decision },
    /// I have that decision on my disk.
    Noted { id: String },
}

mod tag {
    pub(super) const OFFER: u8 = 1;
    pub(super) const SEND: u8 = 2;
    pub(super) const PART: u8 = 3;
    pub(super) const WHOLE: u8 = 4;
    pub(super) const REFUSE: u8 = 5;
    pub(super) const DECIDED: u8 = 6;
    pub(super) const NOTED: u8 = 7;
}

/// Characters of a reason, at most.
const WHY_MAX: usize = 500;

impl Said {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let head = |out: &mut Vec<u8>, tag: u8, id: &str| {
            out.push(tag);
            // An id has at most 100 bytes.
            out.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
            out.extend_from_slice(id.as_bytes());
        };
        match self {
            Self::Offer { id, bytes } => {
                head(&mut out, tag::OFFER, id);
                out.extend_from_slice(&bytes.to_le_bytes());
            }
            Self::Send { id, offset } => {
                head(&mut out, tag::SEND, id);
                out.extend_from_slice(&offset.to_le_bytes());
            }
            Self::Part { id, total, offset, bytes } => {
                head(&mut out, tag::PART, id);
                out.extend_from_slice(&total.to_le_bytes());
                out.extend_from_slice(&offset.to_le_bytes());
                out.extend_from_slice(bytes);
            }
            Self::Whole { id } => head(&mut out, tag::WHOLE, id),
            Self::Refuse { id, why } => {
                head(&mut out, tag::REFUSE, id);
                out.extend(why.chars().take(WHY_MAX).collect::<String>().into_bytes());
            }
            Self::Decided { id, decision } => {
                head(&mut out, tag::DECIDED, id);
                out.push(u8::from(*decision == Decision::Applied));
            }
            Self::Noted { id } => head(&mut out, tag::NOTED, id),
        }
        out
    }

    /// `None`: these are no bytes of ours.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (&tag, rest) = bytes.split_first()?;
        let (&length, rest) = rest.split_first()?;
        let (id, rest) = rest.split_at_checked(usize::from(length))?;
        let id = std::str::from_utf8(id).ok().filter(|id| is_id(id))?.to_owned();
        let number = |rest: &[u8]| rest.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let only_number = || number(rest).filter(|_| rest.len() == 8);
        Some(match tag {
            tag::OFFER => Self::Offer { id, bytes: only_number()? },
            tag::SEND => Self::Send { id, offset: only_number()? },
            tag::PART => {
                let (total, offset) = (number(rest)?, number(rest.get(8..)?)?);
                let bytes = rest.get(16..)?.to_vec();
                if bytes.is_empty() || bytes.len() > PART_BYTES {
                    return None;
                }
                Self::Part { id, total, offset, bytes }
            }
            tag::WHOLE if rest.is_empty() => Self::Whole { id },
            tag::REFUSE => Self::Refuse { id, why: String::from_utf8_lossy(rest).into_owned() },
            tag::DECIDED => {
                let decision = match rest {
                    [0] => Decision::Discarded,
                    [1] => Decision::Applied,
                    _ => return None,
                };
                Self::Decided { id, decision }
            }
            tag::NOTED if rest.is_empty() => Self::Noted { id },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_survives_the_link_and_anything_else_is_refused() {
        let id = || "1764370000000-3-57".to_owned();
        let all = [
            Said::Offer { id: id(), bytes: 1 << 40 },
            Said::Send { id: id(), offset: 7 },
            Said::Part { id: id(), total: 9, offset: 7, bytes: vec![1, 2] },
            Said::Whole { id: id() },
            Said::Refuse { id: id(), why: "no space".into() },
            Said::Decided { id: id(), decision: Decision::Applied },
            Said::Decided { id: id(), decision: Decision::Discarded },
            Said::Noted { id: id() },
        ];
        for said in all {
            let bytes = said.to_bytes();
            assert_eq!(Said::decode(&bytes).as_ref(), Some(&said));
            assert_eq!(Said::decode(&bytes[..3]), None, "{said:?} cut");
        }
        let elsewhere = Said::Whole { id: "../state".into() };
        assert_eq!(Said::decode(&elsewhere.to_bytes()), None, "a name is no path");
    }
}
