//! Writes answers in the protocol version the client speaks.

use std::fmt;
use std::io::Write;

use crate::double::write_double;

/// Version of the protocol that a connection speaks.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Proto {
    /// Where every connection starts.
    #[default]
    Resp2,
    /// After `HELLO 3`: maps, sets, doubles, pushes.
    Resp3,
}

impl Proto {
    /// 2 or 3.
    pub const fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// A place in the output, to return to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark(usize);

/// Appends replies to a connection's output. Writing cannot fail.
#[derive(Debug)]
pub struct Reply<'a> {
    out: &'a mut Vec<u8>,
    proto: Proto,
}

impl<'a> Reply<'a> {
    /// A writer to `out`, after what is already there.
    pub const fn new(out: &'a mut Vec<u8>, proto: Proto) -> Self {
        Self { out, proto }
    }

    /// The version written.
    pub const fn proto(&self) -> Proto {
        self.proto
    }

    /// The same output for a shorter time, as when a command runs inside another.
    pub fn reborrow(&mut self) -> Reply<'_> {
        Reply { out: self.out, proto: self.proto }
    }

    /// The current end of the output.
    pub fn mark(&self) -> Mark {
        Mark(self.out.len())
    }

    /// Takes back everything written since `mark`.
    pub fn truncate(&mut self, mark: Mark) {
        self.out.truncate(mark.0);
    }

    /// What was written since `mark`.
    pub fn since(&self, mark: Mark) -> &[u8] {
        self.out.get(mark.0..).unwrap_or_default()
    }

    /// `+text`.
    #[inline]
    pub fn simple(&mut self, text: &str) {
        self.line(b'+', text.as_bytes());
    }

    /// `+OK`.
    #[inline]
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// `-text`; `text` starts with the error's code word. Line ends in it become spaces.
    pub fn error(&mut self, text: &str) {
        self.error_bytes(text.as_bytes());
    }

    /// `-text` of bytes that may hold what a client sent.
    pub fn error_bytes(&mut self, text: &[u8]) {
        self.out.push(b'-');
        let start = self.out.len();
        self.out.extend_from_slice(text);
        self.close_error(start);
    }

    /// `-text`, formatted.
    pub fn error_fmt(&mut self, text: fmt::Arguments<'_>) {
        self.out.push(b'-');
        let start = self.out.len();
        // Writing to a Vec cannot fail.
        self.out.write_fmt(text).unwrap_or_default();
        self.close_error(start);
    }

    /// `:value`.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.number(b':', value);
    }

    /// `:value` of a count.
    #[inline]
    pub fn count(&mut self, value: usize) {
        self.number(b':', i64::try_from(value).unwrap_or(i64::MAX));
    }

    /// `$` and `bytes`.
    #[inline]
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.out.reserve(bytes.len() + 24);
        self.number(b'$', length(bytes.len()));
        self.out.extend_from_slice(bytes);
        self.out.extend_from_slice(b"\r\n");
    }

    /// An integer as a bulk string, as `GET` shows a counter.
    pub fn bulk_int(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// Formatted text as a bulk string.
    pub fn bulk_fmt(&mut self, text: fmt::Arguments<'_>) {
        let start = self.out.len();
        // Writing to a Vec cannot fail.
        self.out.write_fmt(text).unwrap_or_default();
        let written = self.out.len() - start;
        self.insert_header(start, b'$', written);
        self.out.extend_from_slice(b"\r\n");
    }

    /// No value: `$-1` in RESP2.
    #[inline]
    pub fn null(&mut self) {
        self.out.extend_from_slice(match self.proto {
            Proto::Resp2 => b"$-1\r\n",
            Proto::Resp3 => b"_\r\n",
        });
    }

    /// No value where an array was due: `*-1` in RESP2.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(match self.proto {
            Proto::Resp2 => b"*-1\r\n",
            Proto::Resp3 => b"_\r\n",
        });
    }

    /// Head of an array of `count` replies.
    #[inline]
    pub fn array(&mut self, count: usize) {
        self.number(b'*', length(count));
    }

    /// Head of a map of `pairs` keys, each followed by its value; a flat array in RESP2.
    pub fn map(&mut self, pairs: usize) {
        match self.proto {
            Proto::Resp2 => self.number(b'*', length(pairs.saturating_mul(2))),
            Proto::Resp3 => self.number(b'%', length(pairs)),
        }
    }

    /// Head of a set of `count` replies; an array in RESP2.
    pub fn set(&mut self, count: usize) {
        self.number(if self.proto == Proto::Resp3 { b'~' } else { b'*' }, length(count));
    }

    /// Head of a message nobody asked for, of `count` parts; an array in RESP2.
    pub fn push(&mut self, count: usize) {
        self.number(if self.proto == Proto::Resp3 { b'>' } else { b'*' }, length(count));
    }

    /// A floating point number; a bulk string in RESP2.
    pub fn double(&mut self, value: f64) {
        match self.proto {
            Proto::Resp2 => {
                let start = self.out.len();
                write_double(self.out, value);
                let written = self.out.len() - start;
                self.insert_header(start, b'$', written);
            }
            Proto::Resp3 => {
                self.out.push(b',');
                write_double(self.out, value);
            }
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// A floating point number that is written already; a bulk string in RESP2.
    pub fn double_text(&mut self, digits: &str) {
        match self.proto {
            Proto::Resp2 => self.bulk(digits.as_bytes()),
            Proto::Resp3 => self.line(b',', digits.as_bytes()),
        }
    }

    /// True or false; 1 or 0 in RESP2.
    pub fn bool(&mut self, value: bool) {
        self.out.extend_from_slice(match (self.proto, value) {
            (Proto::Resp2, true) => b":1\r\n",
            (Proto::Resp2, false) => b":0\r\n",
            (Proto::Resp3, true) => b"#t\r\n",
            (Proto::Resp3, false) => b"#f\r\n",
        });
    }

    /// Text for people; `format` is `txt` or `mkd`. A bulk string in RESP2.
    pub fn verbatim(&mut self, format: [u8; 3], text: &[u8]) {
        match self.proto {
            Proto::Resp2 => self.bulk(text),
            Proto::Resp3 => {
                self.number(b'=', length(text.len().saturating_add(4)));
                self.out.extend_from_slice(&format);
                self.out.push(b':');
                self.out.extend_from_slice(text);
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// An integer of any size, as decimal digits; a bulk string in RESP2.
    pub fn big_number(&mut self, digits: &str) {
        match self.proto {
            Proto::Resp2 => self.bulk(digits.as_bytes()),
            Proto::Resp3 => self.line(b'(', digits.as_bytes()),
        }
    }

    /// Replies that are already encoded in this version.
    #[inline]
    pub fn raw(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }

    /// Puts the head of an array of `count` before what was written since `mark`, for loops that
    /// learn the count as they go. Moves what is behind the mark.
    pub fn insert_array(&mut self, mark: Mark, count: usize) {
        self.insert_header(mark.0, b'*', count);
    }

    /// As [`Self::insert_array`], for a map of `pairs`.
    pub fn insert_map(&mut self, mark: Mark, pairs: usize) {
        match self.proto {
            Proto::Resp2 => self.insert_header(mark.0, b'*', pairs.saturating_mul(2)),
            Proto::Resp3 => self.insert_header(mark.0, b'%', pairs),
        }
    }

    /// As [`Self::insert_array`], for a set.
    pub fn insert_set(&mut self, mark: Mark, count: usize) {
        let kind = if self.proto == Proto::Resp3 { b'~' } else { b'*' };
        self.insert_header(mark.0, kind, count);
    }

    fn insert_header(&mut self, at: usize, kind: u8, count: usize) {
        let end = self.out.len();
        self.number(kind, length(count));
        let header = self.out.len() - end;
        if let Some(tail) = self.out.get_mut(at..) {
            tail.rotate_right(header);
        }
    }

    fn close_error(&mut self, start: usize) {
        for byte in self.out.iter_mut().skip(start) {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        self.out.extend_from_slice(b"\r\n");
    }

    fn line(&mut self, kind: u8, text: &[u8]) {
        self.out.push(kind);
        self.out.extend_from_slice(text);
        self.out.extend_from_slice(b"\r\n");
    }

    #[inline]
    fn number(&mut self, kind: u8, value: i64) {
        // One write for the digits that nearly every count and length has.
        if let Ok(digit @ 0..=9) = u8::try_from(value) {
            self.out.extend_from_slice(&[kind, b'0' + digit, b'\r', b'\n']);
            return;
        }
        self.out.push(kind);
        self.out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }
}

/// A length as it is written; memory is never longer than an i64 can say.
#[inline]
fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(proto: Proto, write: impl FnOnce(&mut Reply<'_>)) -> String {
        let mut out = Vec::new();
        write(&mut Reply::new(&mut out, proto));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_version_has_its_own_shapes() {
        type Write = fn(&mut Reply<'_>);
        let cases: &[(Write, &str, &str)] = &[
            (|r| r.ok(), "+OK\r\n", "+OK\r\n"),
            (|r| r.error("ERR a\r\nb"), "-ERR a  b\r\n", "-ERR a  b\r\n"),
            (|r| r.int(-5), ":-5\r\n", ":-5\r\n"),
            (|r| r.count(1234), ":1234\r\n", ":1234\r\n"),
            (|r| r.bulk(b"hello"), "$5\r\nhello\r\n", "$5\r\nhello\r\n"),
            (|r| r.bulk_int(-12), "$3\r\n-12\r\n", "$3\r\n-12\r\n"),
            (|r| r.bulk_fmt(format_args!("{}-{}", 1, 2)), "$3\r\n1-2\r\n", "$3\r\n1-2\r\n"),
            (|r| r.null(), "$-1\r\n", "_\r\n"),
            (|r| r.null_array(), "*-1\r\n", "_\r\n"),
            (|r| r.map(2), "*4\r\n", "%2\r\n"),
            (|r| r.set(2), "*2\r\n", "~2\r\n"),
            (|r| r.push(3), "*3\r\n", ">3\r\n"),
            (|r| r.double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n"),
            (|r| r.double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n"),
            (|r| r.bool(true), ":1\r\n", "#t\r\n"),
            (|r| r.verbatim(*b"txt", b"hi"), "$2\r\nhi\r\n", "=6\r\ntxt:hi\r\n"),
            (|r| r.big_number("123"), "$3\r\n123\r\n", "(123\r\n"),
        ];
        for (write, two, three) in cases {
            assert_eq!(written(Proto::Resp2, write), *two);
            assert_eq!(written(Proto::Resp3, write), *three);
        }
    }

    #[test]
    fn a_head_can_come_after_its_parts() {
        let got = written(Proto::Resp3, |reply| {
            reply.ok();
            let mark = reply.mark();
            for part in 0..12 {
                reply.int(part);
            }
            reply.insert_array(mark, 12);
            reply.int(7);
        });
        assert!(got.starts_with("+OK\r\n*12\r\n:0\r\n:1\r\n"), "{got}");
        assert!(got.ends_with(":11\r\n:7\r\n"), "{got}");
    }

    #[test]
    fn what_was_written_can_be_taken_back() {
        let got = written(Proto::Resp2, |reply| {
            reply.ok();
            let mark = reply.mark();
            reply.bulk(b"half an answer");
            assert!(reply.since(mark).starts_with(b"$14"));
            reply.truncate(mark);
            reply.error_fmt(format_args!("ERR {}", 3));
        });
        assert_eq!(got, "+OK\r\n-ERR 3\r\n");
    }
}
