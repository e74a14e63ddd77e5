//! Finds the commands in the bytes of a client.

mod ahead;
mod inline;

use crate::{Args, ProtocolError, Span};

pub use ahead::{Ahead, first_arguments};

/// What a client may send.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Most words of one command.
    pub args_max: usize,
    /// Longest word, in bytes.
    pub bulk_bytes_max: usize,
    /// Longest inline request, in bytes.
    pub inline_bytes_max: usize,
    /// The client has not authenticated yet: the error texts say so.
    pub unauthenticated: bool,
}

impl Limits {
    /// Redis' limits: 1 Mi words, 512 MiB each, inline requests of 64 KiB.
    pub const NORMAL: Self = Self {
        args_max: 1 << 20,
        bulk_bytes_max: 512 << 20,
        inline_bytes_max: INLINE_BYTES_MAX,
        unauthenticated: false,
    };

    /// Before `AUTH`, so that a stranger cannot fill the memory.
    pub const UNAUTHENTICATED: Self = Self {
        args_max: 10,
        bulk_bytes_max: 16 << 10,
        inline_bytes_max: INLINE_BYTES_MAX,
        unauthenticated: true,
    };
}

/// Redis' `PROTO_INLINE_MAX_SIZE`.
const INLINE_BYTES_MAX: usize = 64 << 10;

/// Digits and sign of the longest i64: a longer number is wrong, whatever follows.
const NUMBER_BYTES_MAX: usize = 20;

/// Most spans kept allocated between commands (64 KiB).
const SPANS_KEPT_MAX: usize = 4096;

/// What [`Parser::parse`] found at the start of the buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Parsed {
    /// Not a whole request yet; calling again is of no use before the buffer holds `need` bytes.
    Incomplete {
        /// Bytes the buffer must hold, counted from the same start.
        need: usize,
    },
    /// A command in the first `consumed` bytes: [`Parser::args`] shows it.
    Command {
        /// Bytes of the request.
        consumed: usize,
    },
    /// A request without words (`*0`, `*-1`, an empty line): skip it, it gets no answer.
    Empty {
        /// Bytes of the request.
        consumed: usize,
    },
}

/// Cuts requests into words, in place.
///
/// After [`Parsed::Incomplete`] the next call must see the same bytes with more appended; it goes on
/// where the last one stopped, so a command costs the same in one piece and in a thousand.
#[derive(Debug, Default)]
pub struct Parser {
    spans: Vec<Span>,
    /// Words of an inline request after its quotes and escapes are taken away.
    unquoted: Vec<u8>,
    inline: bool,
    /// First byte not looked at yet.
    at: usize,
    /// Words still to come; 0 before the first byte of a request.
    left: usize,
}

impl Parser {
    /// A parser at the start of a request.
    pub const fn new() -> Self {
        Self { spans: Vec::new(), unquoted: Vec::new(), inline: false, at: 0, left: 0 }
    }

    /// Looks for one request at the start of `buf`.
    ///
    /// # Errors
    /// The bytes are no request: answer with the error's text and close.
    #[inline]
    pub fn parse(&mut self, buf: &[u8], limits: &Limits) -> Result<Parsed, ProtocolError> {
        if self.left == 0 {
            match buf.first() {
                None => return Ok(Parsed::Incomplete { need: 1 }),
                Some(b'*') => {}
                Some(_) => return self.parse_inline(buf, limits),
            }
            let (count, next) = match number(buf, 1) {
                Number::Value(count, next) => (count, next),
                Number::Incomplete => return Ok(Parsed::Incomplete { need: buf.len() + 1 }),
                Number::TooLong => return Err(ProtocolError::TooBigMultibulkCount),
                Number::Invalid => return Err(ProtocolError::InvalidMultibulkLength),
            };
            if count <= 0 {
                return Ok(Parsed::Empty { consumed: next });
            }
            let count =
                usize::try_from(count).map_err(|_| ProtocolError::InvalidMultibulkLength)?;
            if count > limits.args_max {
                return Err(if limits.unauthenticated {
                    ProtocolError::UnauthenticatedMultibulk
                } else {
                    ProtocolError::InvalidMultibulkLength
                });
            }
            self.begin();
            self.at = next;
            self.left = count;
        }
        self.parse_words(buf, limits)
    }

    /// The words of the command that [`Self::parse`] just found in `buf`.
    #[inline]
    pub fn args<'a>(&'a self, buf: &'a [u8]) -> Args<'a> {
        Args::new(if self.inline { &self.unquoted } else { buf }, &self.spans)
    }

    /// Forgets a half-read request.
    pub fn reset(&mut self) {
        self.begin();
        self.at = 0;
        self.left = 0;
    }

    /// Whether the last call stopped inside a request.
    pub const fn is_inside(&self) -> bool {
        self.left > 0 || self.at > 0
    }

    /// Memory this holds.
    pub fn memory_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<Span>() + self.unquoted.capacity()
    }

    fn begin(&mut self) {
        self.spans.clear();
        self.inline = false;
        if self.spans.capacity() > SPANS_KEPT_MAX {
            self.spans.shrink_to(SPANS_KEPT_MAX);
        }
    }

    #[inline]
    fn parse_words(&mut self, buf: &[u8], limits: &Limits) -> Result<Parsed, ProtocolError> {
        while self.left > 0 {
            match buf.get(self.at) {
                None => return Ok(Parsed::Incomplete { need: self.at + 1 }),
                Some(b'$') => {}
                Some(&got) => return Err(ProtocolError::ExpectedDollar { got }),
            }
            let (length, start) = match number(buf, self.at + 1) {
                Number::Value(length, start) => (length, start),
                Number::Incomplete => return Ok(Parsed::Incomplete { need: buf.len() + 1 }),
                Number::TooLong => return Err(ProtocolError::TooBigBulkCount),
                Number::Invalid => return Err(ProtocolError::InvalidBulkLength),
            };
            let length = usize::try_from(length).map_err(|_| ProtocolError::InvalidBulkLength)?;
            if length > limits.bulk_bytes_max {
                return Err(if limits.unauthenticated {
                    ProtocolError::UnauthenticatedBulk
                } else {
                    ProtocolError::InvalidBulkLength
                });
            }
            // Both are far below usize::MAX: one is a place in memory, the other was just limited.
            let end = start + length;
            match buf.get(end..end + 2) {
                Some(b"\r\n") => {}
                Some(_) => return Err(ProtocolError::MissingCrLf),
                None => return Ok(Parsed::Incomplete { need: end + 2 }),
            }
            self.spans.push(Span::new(start, end));
            self.at = end + 2;
            self.left -= 1;
        }
        let consumed = std::mem::take(&mut self.at);
        Ok(Parsed::Command { consumed })
    }
}

/// A number and its CR LF.
enum Number {
    /// The value, and where the next line begins.
    Value(i64, usize),
    Incomplete,
    Invalid,
    /// No line end where the longest number would have ended.
    TooLong,
}

/// Reads the rest of a `*` or `$` line, which starts at `from`.
#[inline]
fn number(buf: &[u8], from: usize) -> Number {
    let rest = buf.get(from..).unwrap_or_default();
    // Nearly all counts and lengths have one or two digits.
    match rest {
        [d @ b'0'..=b'9', b'\r', b'\n', ..] => {
            return Number::Value(i64::from(d - b'0'), from + 3);
        }
        [d @ b'1'..=b'9', e @ b'0'..=b'9', b'\r', b'\n', ..] => {
            return Number::Value(i64::from(d - b'0') * 10 + i64::from(e - b'0'), from + 4);
        }
        _ => {}
    }
    long_number(rest, from)
}

fn long_number(rest: &[u8], from: usize) -> Number {
    let head = rest.get(..NUMBER_BYTES_MAX + 1).unwrap_or(rest);
    let Some(digits) = head.iter().position(|&byte| byte == b'\r') else {
        return if head.iter().any(|&byte| !(byte.is_ascii_digit() || byte == b'-')) {
            Number::Invalid
        } else if head.len() > NUMBER_BYTES_MAX {
            Number::TooLong
        } else {
            Number::Incomplete
        };
    };
    let text = head.get(..digits).unwrap_or_default();
    match (crate::parse_i64(text), rest.get(digits + 1)) {
        (Some(_), None) => Number::Incomplete,
        (Some(value), Some(b'\n')) => Number::Value(value, from + digits + 2),
        (None, _) | (Some(_), Some(_)) => Number::Invalid,
    }
}

#[cfg(test)]
mod tests;
