//! Requests typed by hand: one line, words between spaces, quotes as in a shell.

use super::{Limits, Parsed, Parser};
use crate::{ProtocolError, Span};

impl Parser {
    /// Looks for an inline request: a line that does not start with `*`.
    pub(super) fn parse_inline(
        &mut self,
        buf: &[u8],
        limits: &Limits,
    ) -> Result<Parsed, ProtocolError> {
        let unseen = buf.get(self.at..).unwrap_or_default();
        let Some(offset) = memchr::memchr(b'\n', unseen) else {
            if buf.len() > limits.inline_bytes_max {
                return Err(ProtocolError::TooBigInline);
            }
            self.at = buf.len();
            return Ok(Parsed::Incomplete { need: buf.len() + 1 });
        };
        let end = self.at + offset;
        if end > limits.inline_bytes_max {
            return Err(ProtocolError::TooBigInline);
        }
        self.at = 0;
        self.begin();
        self.inline = true;
        self.unquoted.clear();
        let line = buf.get(..end).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.split(line)?;
        let consumed = end + 1;
        if self.spans.is_empty() {
            return Ok(Parsed::Empty { consumed });
        }
        if self.spans.len() > limits.args_max {
            return Err(if limits.unauthenticated {
                ProtocolError::UnauthenticatedMultibulk
            } else {
                ProtocolError::InvalidMultibulkLength
            });
        }
        Ok(Parsed::Command { consumed })
    }

    /// Cuts `line` into words as Redis' `sdssplitargs`.
    fn split(&mut self, line: &[u8]) -> Result<(), ProtocolError> {
        let mut rest = line;
        loop {
            let spaces = rest.iter().take_while(|&&byte| is_space(byte)).count();
            rest = rest.get(spaces..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            let start = self.unquoted.len();
            rest = self.word(rest)?;
            self.spans.push(Span::new(start, self.unquoted.len()));
        }
    }

    /// Takes one word off the front of `rest`; quotes may begin in the middle of it but end it.
    fn word<'a>(&mut self, mut rest: &'a [u8]) -> Result<&'a [u8], ProtocolError> {
        loop {
            match rest {
                [b'"', tail @ ..] => return self.double_quoted(tail),
                [b'\'', tail @ ..] => return self.single_quoted(tail),
                [byte, tail @ ..] if !is_space(*byte) => {
                    self.unquoted.push(*byte);
                    rest = tail;
                }
                _ => return Ok(rest),
            }
        }
    }

    fn double_quoted<'a>(&mut self, mut rest: &'a [u8]) -> Result<&'a [u8], ProtocolError> {
        loop {
            match rest {
                [b'\\', b'x', high, low, tail @ ..]
                    if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
                {
                    self.unquoted.push(hex_digit(*high) * 16 + hex_digit(*low));
                    rest = tail;
                }
                [b'\\', byte, tail @ ..] => {
                    self.unquoted.push(match byte {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'b' => 0x08,
                        b'a' => 0x07,
                        other => *other,
                    });
                    rest = tail;
                }
                [b'"', tail @ ..] => return closed(tail),
                [byte, tail @ ..] => {
                    self.unquoted.push(*byte);
                    rest = tail;
                }
                [] => return Err(ProtocolError::UnbalancedQuotes),
            }
        }
    }

    fn single_quoted<'a>(&mut self, mut rest: &'a [u8]) -> Result<&'a [u8], ProtocolError> {
        loop {
            match rest {
                [b'\\', b'\'', tail @ ..] => {
                    self.unquoted.push(b'\'');
                    rest = tail;
                }
                [b'\'', tail @ ..] => return closed(tail),
                [byte, tail @ ..] => {
                    self.unquoted.push(*byte);
                    rest = tail;
                }
                [] => return Err(ProtocolError::UnbalancedQuotes),
            }
        }
    }
}

/// What follows a closing quote must be a space or the end.
fn closed(tail: &[u8]) -> Result<&[u8], ProtocolError> {
    match tail.first() {
        Some(byte) if !is_space(*byte) => Err(ProtocolError::UnbalancedQuotes),
        _ => Ok(tail),
    }
}

/// C's `isspace`, without the line end that cannot be here.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | 0x0b | 0x0c)
}

fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        _ => 0,
    }
}
