//! Reads replies as a client, from whatever pieces they arrive in.

use std::fmt;

use crate::{Value, parse_f64, parse_i64};

/// What a server may send, so that a hostile or broken one cannot fill the memory or the stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ReplyLimits {
    /// Longest string.
    pub bulk_bytes_max: usize,
    /// Most parts of one aggregate.
    pub parts_max: usize,
    /// Aggregates inside one another.
    pub depth_max: usize,
    /// Longest line: a simple string, an error, a number.
    pub line_bytes_max: usize,
}

impl Default for ReplyLimits {
    fn default() -> Self {
        Self {
            bulk_bytes_max: 512 << 20,
            parts_max: 64 << 20,
            depth_max: 8,
            line_bytes_max: 64 << 10,
        }
    }
}

/// Why the bytes of a server are no reply. Nothing after it can be read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReplyError {
    /// No reply starts with this byte.
    UnknownType(u8),
    /// A length or number is malformed or above its limit.
    InvalidNumber,
    /// CR LF is missing after a string, or a line holds a bare LF.
    MissingCrLf,
    /// More than the allowed depth of aggregates.
    TooDeep,
    /// A line above its limit.
    LineTooLong,
    /// A part whose shape is wrong, such as a boolean that is neither `t` nor `f`.
    Malformed,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownType(byte) => write!(f, "no reply starts with byte {byte:#04x}"),
            Self::InvalidNumber => f.write_str("invalid number in a reply"),
            Self::MissingCrLf => f.write_str("line end missing in a reply"),
            Self::TooDeep => f.write_str("reply nested too deeply"),
            Self::LineTooLong => f.write_str("line too long in a reply"),
            Self::Malformed => f.write_str("malformed reply"),
        }
    }
}

impl std::error::Error for ReplyError {}

/// Reads replies; [`Self::feed`] it bytes, then take replies with [`Self::next_reply`] until there
/// are none. Attributes (`|`) are read and dropped.
#[derive(Debug, Default)]
pub struct ReplyParser {
    limits: ReplyLimits,
    buf: Vec<u8>,
    /// First byte of `buf` not yet taken.
    at: usize,
    /// Where the search for the end of the current line goes on.
    scanned: usize,
    open: Vec<Open>,
}

/// An aggregate whose parts are still arriving.
#[derive(Debug)]
struct Open {
    kind: Aggregate,
    left: usize,
    parts: Vec<Value>,
}

#[derive(Clone, Copy, Debug)]
enum Aggregate {
    Array,
    Map,
    Set,
    Push,
    Attribute,
}

/// One token of the stream.
enum Token {
    Value(Value),
    Open(Aggregate, usize),
}

impl ReplyParser {
    /// A parser with the usual limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// A parser with other limits.
    pub fn with_limits(limits: ReplyLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Adds bytes that arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.at > 0 && self.at >= self.buf.len() / 2 {
            self.buf.drain(..self.at);
            self.scanned = self.scanned.saturating_sub(self.at);
            self.at = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// The next whole reply, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// The bytes are no reply; the connection is of no more use.
    pub fn next_reply(&mut self) -> Result<Option<Value>, ReplyError> {
        while let Some(token) = self.token()? {
            let done = match token {
                Token::Open(kind, left) if left > 0 => {
                    if self.open.len() >= self.limits.depth_max {
                        return Err(ReplyError::TooDeep);
                    }
                    self.open.push(Open { kind, left, parts: Vec::new() });
                    None
                }
                Token::Open(kind, _) => close(kind, Vec::new()),
                Token::Value(value) => Some(value),
            };
            if let Some(value) = done.and_then(|value| self.place(value)) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Bytes that arrived and are not part of a reply taken yet.
    pub fn pending_bytes(&self) -> usize {
        self.buf.len() - self.at
    }

    /// Puts a finished value into the aggregate around it, which may finish that one, and so on
    /// outwards; the reply, once nothing is around it.
    fn place(&mut self, mut value: Value) -> Option<Value> {
        loop {
            let Some(top) = self.open.last_mut() else { return Some(value) };
            top.parts.push(value);
            top.left -= 1;
            if top.left > 0 {
                return None;
            }
            let open = self.open.pop()?;
            value = close(open.kind, open.parts)?;
        }
    }

    /// Takes one token, or nothing if it is not whole.
    fn token(&mut self) -> Result<Option<Token>, ReplyError> {
        let Some((line_end, next)) = self.line()? else { return Ok(None) };
        let line = self.buf.get(self.at..line_end).unwrap_or_default();
        let [kind, text @ ..] = line else { return Err(ReplyError::Malformed) };
        let token = match kind {
            b'+' => Token::Value(Value::Simple(text.to_vec())),
            b'-' => Token::Value(Value::Error(text.to_vec())),
            b'(' => Token::Value(Value::BigNumber(text.to_vec())),
            b':' => Token::Value(Value::Int(parse_i64(text).ok_or(ReplyError::InvalidNumber)?)),
            b'_' => Token::Value(Value::Null),
            b'#' => Token::Value(Value::Bool(match text {
                b"t" => true,
                b"f" => false,
                _ => return Err(ReplyError::Malformed),
            })),
            b',' => Token::Value(Value::Double(double(text)?)),
            b'$' | b'=' | b'!' => return self.string(*kind, next),
            b'*' => self.aggregate(text, Aggregate::Array)?,
            b'%' => self.aggregate(text, Aggregate::Map)?,
            b'~' => self.aggregate(text, Aggregate::Set)?,
            b'>' => self.aggregate(text, Aggregate::Push)?,
            b'|' => self.aggregate(text, Aggregate::Attribute)?,
            other => return Err(ReplyError::UnknownType(*other)),
        };
        self.take(next);
        Ok(Some(token))
    }

    /// The end of the current line and the start of the next, once the line is whole.
    fn line(&mut self) -> Result<Option<(usize, usize)>, ReplyError> {
        let from = self.scanned.max(self.at);
        let unseen = self.buf.get(from..).unwrap_or_default();
        let Some(offset) = memchr::memchr(b'\n', unseen) else {
            self.scanned = self.buf.len();
            if self.pending_bytes() > self.limits.line_bytes_max {
                return Err(ReplyError::LineTooLong);
            }
            return Ok(None);
        };
        let newline = from + offset;
        self.scanned = newline;
        if newline - self.at > self.limits.line_bytes_max {
            return Err(ReplyError::LineTooLong);
        }
        match newline.checked_sub(1).filter(|&end| end >= self.at) {
            Some(end) if self.buf.get(end) == Some(&b'\r') => Ok(Some((end, newline + 1))),
            _ => Err(ReplyError::MissingCrLf),
        }
    }

    /// A string whose bytes begin at `start`, after its length line.
    fn string(&mut self, kind: u8, start: usize) -> Result<Option<Token>, ReplyError> {
        let header = self.buf.get(self.at + 1..start - 2).unwrap_or_default();
        let length = parse_i64(header).ok_or(ReplyError::InvalidNumber)?;
        if length == -1 && kind == b'$' {
            self.take(start);
            return Ok(Some(Token::Value(Value::Null)));
        }
        let length = usize::try_from(length).map_err(|_| ReplyError::InvalidNumber)?;
        if length > self.limits.bulk_bytes_max {
            return Err(ReplyError::InvalidNumber);
        }
        let end = start + length;
        match self.buf.get(end..end + 2) {
            None => return Ok(None),
            Some(b"\r\n") => {}
            Some(_) => return Err(ReplyError::MissingCrLf),
        }
        let bytes = self.buf.get(start..end).unwrap_or_default();
        let value = match (kind, bytes) {
            (b'=', [a, b, c, b':', text @ ..]) => {
                Value::Verbatim { format: [*a, *b, *c], text: text.to_vec() }
            }
            (b'=', _) => return Err(ReplyError::Malformed),
            (b'!', _) => Value::Error(bytes.to_vec()),
            _ => Value::Bulk(bytes.to_vec()),
        };
        self.take(end + 2);
        Ok(Some(Token::Value(value)))
    }

    fn aggregate(&self, count: &[u8], kind: Aggregate) -> Result<Token, ReplyError> {
        let count = parse_i64(count).ok_or(ReplyError::InvalidNumber)?;
        if count == -1 && matches!(kind, Aggregate::Array) {
            return Ok(Token::Value(Value::Null));
        }
        let count = usize::try_from(count).map_err(|_| ReplyError::InvalidNumber)?;
        if count > self.limits.parts_max {
            return Err(ReplyError::InvalidNumber);
        }
        let parts = match kind {
            Aggregate::Map | Aggregate::Attribute => count.saturating_mul(2),
            Aggregate::Array | Aggregate::Set | Aggregate::Push => count,
        };
        Ok(Token::Open(kind, parts))
    }

    fn take(&mut self, next: usize) {
        self.at = next;
        self.scanned = next;
    }
}

/// The value made of `parts`; nothing for an attribute, which only annotates the next reply.
fn close(kind: Aggregate, parts: Vec<Value>) -> Option<Value> {
    Some(match kind {
        Aggregate::Array => Value::Array(parts),
        Aggregate::Set => Value::Set(parts),
        Aggregate::Push => Value::Push(parts),
        Aggregate::Attribute => return None,
        Aggregate::Map => {
            let mut pairs = Vec::with_capacity(parts.len() / 2);
            let mut parts = parts.into_iter();
            while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
                pairs.push((key, value));
            }
            Value::Map(pairs)
        }
    })
}

fn double(text: &[u8]) -> Result<f64, ReplyError> {
    if text.eq_ignore_ascii_case(b"nan") || text.eq_ignore_ascii_case(b"-nan") {
        return Ok(f64::NAN);
    }
    parse_f64(text).ok_or(ReplyError::InvalidNumber)
}

#[cfg(test)]
mod tests;
