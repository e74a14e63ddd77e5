//! Ids of stream entries as clients write them.

use crate::failure::Failure;
use crate::value::stream::id::StreamId;

const INVALID: Failure =
    Failure::Text("ERR Invalid stream ID specified as stream command argument");

/// What `XADD` is to give an entry as its id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NewId {
    /// `*`: by the clock.
    ByClock,
    /// `ms-*`: the next within that millisecond.
    Within(u64),
    /// This one.
    Exactly(StreamId),
}

/// Digits as C's `strtoull` takes them, to the end.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

/// `ms` or `ms-seq`; without the latter it is `missing`.
pub(super) fn exact(text: &[u8], missing: u64) -> Result<StreamId, Failure> {
    let id = match text.iter().position(|byte| *byte == b'-') {
        None => number(text).map(|ms| StreamId { ms, seq: missing }),
        Some(at) => {
            number(&text[..at]).zip(number(&text[at + 1..])).map(|(ms, seq)| StreamId { ms, seq })
        }
    };
    id.ok_or(INVALID)
}

/// The id of a new entry.
pub(super) fn new(text: &[u8]) -> Result<NewId, Failure> {
    if text == b"*" {
        return Ok(NewId::ByClock);
    }
    if let Some(ms) = text.strip_suffix(b"-*") {
        return number(ms).map(NewId::Within).ok_or(INVALID);
    }
    exact(text, 0).map(NewId::Exactly)
}

/// The lower end of an interval: `-`, `+`, an id, or `(` and an id that is not in it.
pub(super) fn start(text: &[u8]) -> Result<StreamId, Failure> {
    match end_of_interval(text, 0)? {
        (id, false) => Ok(id),
        (id, true) => id.next().ok_or(Failure::Text("ERR invalid start ID for the interval")),
    }
}

/// The upper end of an interval, as [`start`].
pub(super) fn end(text: &[u8]) -> Result<StreamId, Failure> {
    match end_of_interval(text, u64::MAX)? {
        (id, false) => Ok(id),
        (id, true) => id.previous().ok_or(Failure::Text("ERR invalid end ID for the interval")),
    }
}

fn end_of_interval(text: &[u8], missing: u64) -> Result<(StreamId, bool), Failure> {
    match text {
        b"-" => Ok((StreamId::ZERO, false)),
        b"+" => Ok((StreamId::MAX, false)),
        [b'(', id @ ..] => Ok((exact(id, missing)?, true)),
        id => Ok((exact(id, missing)?, false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(ms: u64, seq: u64) -> StreamId {
        StreamId { ms, seq }
    }

    #[test]
    fn ids_read_as_in_redis() {
        assert_eq!(exact(b"5", 7), Ok(id(5, 7)));
        assert_eq!(exact(b"007-+3", 0), Ok(id(7, 3)));
        assert_eq!(exact(b"18446744073709551615-0", 0), Ok(id(u64::MAX, 0)));
        for wrong in
            [&b""[..], b"-", b"+", b"x", b"5-", b"-5", b"1-2-3", b"18446744073709551616", b"5-*"]
        {
            assert_eq!(exact(wrong, 0), Err(INVALID), "{wrong:?}");
        }
    }

    #[test]
    fn a_new_id_may_leave_a_part_to_the_stream() {
        assert_eq!(new(b"*"), Ok(NewId::ByClock));
        assert_eq!(new(b"0-*"), Ok(NewId::Within(0)));
        assert_eq!(new(b"3"), Ok(NewId::Exactly(id(3, 0))));
        assert!(new(b"-*").is_err());
    }

    #[test]
    fn intervals_may_leave_their_ends_out() {
        assert_eq!((start(b"-"), end(b"+")), (Ok(StreamId::ZERO), Ok(StreamId::MAX)));
        assert_eq!((start(b"(5"), end(b"(5")), (Ok(id(5, 1)), Ok(id(5, u64::MAX - 1))));
        assert!(start(b"(18446744073709551615-18446744073709551615").is_err());
        assert_eq!(end(b"(0"), Ok(id(0, u64::MAX - 1)));
        assert!(end(b"(0-0").is_err() && start(b"(-").is_err());
    }
}
