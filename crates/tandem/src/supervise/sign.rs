//! What the node's process says to its supervisor, one datagram each.

use tandem_switch::BootId;
use tandem_types::Incarnation;

/// Longest sign: two numbers and a word.
pub(crate) const SIGN_BYTES_MAX: usize = 64;

/// One sign of life.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Sign {
    /// The data thread lives and serves this boot of the data; `None` while that is being read.
    Beat(Option<BootId>),
    /// It is about to end, and another start would end the same way (wrong configuration, no data).
    Final,
}

impl Sign {
    pub(crate) fn encode(self) -> String {
        match self {
            Self::Beat(None) => "beat".to_owned(),
            Self::Beat(Some(BootId { incarnation, boot })) => {
                format!("beat {:x} {boot}", incarnation.get())
            }
            Self::Final => "final".to_owned(),
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut words = std::str::from_utf8(bytes).ok()?.split_ascii_whitespace();
        let sign = match (words.next()?, words.next(), words.next()) {
            ("final", None, None) => Self::Final,
            ("beat", None, None) => Self::Beat(None),
            ("beat", Some(incarnation), Some(boot)) => Self::Beat(Some(BootId {
                incarnation: Incarnation::new(u64::from_str_radix(incarnation, 16).ok()?),
                boot: boot.parse().ok()?,
            })),
            _ => return None,
        };
        words.next().is_none().then_some(sign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_read_as_written_and_nothing_else_is() {
        let boot = BootId { incarnation: Incarnation::new(u64::MAX), boot: u64::MAX };
        for sign in [Sign::Beat(None), Sign::Beat(Some(boot)), Sign::Final] {
            let text = sign.encode();
            assert!(text.len() <= SIGN_BYTES_MAX);
            assert_eq!(Sign::decode(text.as_bytes()), Some(sign));
        }
        for wrong in ["", "beat 1", "beat x 1", "beat 1 2 3", "final 1", "\u{fffd}", "heartbeat"] {
            assert_eq!(Sign::decode(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(Sign::decode(&[0xff, 0xfe]), None);
    }
}
