//! One RESP2 or RESP3 reply as a tree, read independently of the product's own codec.

use std::fmt;
use std::io::{self, BufRead, ErrorKind, Read as _};

/// A reply, shapes kept apart as the protocol has them.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// `+OK`
    Simple(String),
    /// `-ERR ...` and RESP3's `!`
    Error(String),
    /// `:1`
    Int(i64),
    /// `$3`
    Bulk(Vec<u8>),
    /// `$-1`, `*-1` and RESP3's `_`
    Null,
    /// `*2`
    Array(Vec<Self>),
    /// `%1`
    Map(Vec<(Self, Self)>),
    /// `~1`
    Set(Vec<Self>),
    /// `>2`
    Push(Vec<Self>),
    /// `,1.5`, as written
    Double(String),
    /// `#t`
    Bool(bool),
    /// `=15`, format and text
    Verbatim(Vec<u8>),
    /// `(123`
    Big(String),
}

impl Value {
    /// Text of a string of either kind.
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Simple(text) => Some(text.clone()),
            Self::Bulk(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Verbatim(bytes) => {
                Some(String::from_utf8_lossy(bytes.get(4..).unwrap_or_default()).into_owned())
            }
            _ => None,
        }
    }

    /// The error text, if it is one.
    pub fn error(&self) -> Option<&str> {
        if let Self::Error(text) = self { Some(text) } else { None }
    }

    /// The integer, if it is one.
    pub fn int(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// Elements of an array, set or push; a map's keys and values in turn.
    pub fn items(&self) -> Vec<Self> {
        match self {
            Self::Array(items) | Self::Set(items) | Self::Push(items) => items.clone(),
            Self::Map(pairs) => {
                pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The value of `field` in a map, or in RESP2's flat array for one.
    pub fn field(&self, field: &str) -> Option<Self> {
        self.items()
            .chunks_exact(2)
            .find(|pair| pair.first().and_then(Self::text).as_deref() == Some(field))
            .and_then(|pair| pair.get(1).cloned())
    }

    /// True for `+OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Simple(text) if text == "OK")
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(text) => write!(f, "+{text}"),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Int(number) => write!(f, ":{number}"),
            Self::Bulk(bytes) if bytes.len() > 200 => {
                write!(f, "\"{}...\"({})", bytes[..200].escape_ascii(), bytes.len())
            }
            Self::Bulk(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
            Self::Null => write!(f, "nil"),
            Self::Array(items) => f.debug_list().entries(items).finish(),
            Self::Map(pairs) => {
                write!(f, "%")?;
                f.debug_map().entries(pairs.iter().map(|(key, value)| (key, value))).finish()
            }
            Self::Set(items) => {
                write!(f, "~")?;
                f.debug_set().entries(items).finish()
            }
            Self::Push(items) => {
                write!(f, ">")?;
                f.debug_list().entries(items).finish()
            }
            Self::Double(text) => write!(f, ",{text}"),
            Self::Bool(value) => write!(f, "#{value}"),
            Self::Verbatim(bytes) => write!(f, "={}", bytes.escape_ascii()),
            Self::Big(text) => write!(f, "({text}"),
        }
    }
}

/// Reads one whole reply; every byte of it is also appended to `raw` if given.
pub fn read(from: &mut impl BufRead, mut raw: Option<&mut Vec<u8>>) -> io::Result<Value> {
    read_inner(from, &mut raw)
}

fn bad(what: &str, line: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("{what}: {line:?}"))
}

fn read_line(from: &mut impl BufRead, raw: &mut Option<&mut Vec<u8>>) -> io::Result<String> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if let Some(raw) = raw {
        raw.extend_from_slice(&line);
    }
    if !line.ends_with(b"\r\n") {
        return Err(bad("reply line without CRLF", &String::from_utf8_lossy(&line)));
    }
    line.truncate(line.len() - 2);
    // Errors may quote the client's bytes, whatever they are.
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn read_body(
    from: &mut impl BufRead,
    length: usize,
    raw: &mut Option<&mut Vec<u8>>,
) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let wanted = u64::try_from(length).expect("lengths fit") + 2;
    let got = from.by_ref().take(wanted).read_to_end(&mut bytes)?;
    if got != length + 2 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    if let Some(raw) = raw {
        raw.extend_from_slice(&bytes);
    }
    if !bytes.ends_with(b"\r\n") {
        return Err(bad("bulk without CRLF", &String::from_utf8_lossy(&bytes)));
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn read_many(
    from: &mut impl BufRead,
    count: usize,
    raw: &mut Option<&mut Vec<u8>>,
) -> io::Result<Vec<Value>> {
    (0..count).map(|_| read_inner(from, raw)).collect()
}

fn read_inner(from: &mut impl BufRead, raw: &mut Option<&mut Vec<u8>>) -> io::Result<Value> {
    let line = read_line(from, raw)?;
    let mut chars = line.chars();
    let kind = chars.next().ok_or_else(|| bad("empty reply line", &line))?;
    let rest = chars.as_str();
    let count = || rest.parse::<usize>().map_err(|_| bad("length", &line));
    Ok(match kind {
        '+' => Value::Simple(rest.to_owned()),
        '-' => Value::Error(rest.to_owned()),
        ':' => Value::Int(rest.parse().map_err(|_| bad("integer", &line))?),
        ',' => Value::Double(rest.to_owned()),
        '(' => Value::Big(rest.to_owned()),
        '_' => Value::Null,
        '#' => Value::Bool(rest == "t"),
        '$' | '*' if rest == "-1" => Value::Null,
        '$' => Value::Bulk(read_body(from, count()?, raw)?),
        '=' => Value::Verbatim(read_body(from, count()?, raw)?),
        '!' => Value::Error(String::from_utf8_lossy(&read_body(from, count()?, raw)?).into_owned()),
        '*' => Value::Array(read_many(from, count()?, raw)?),
        '~' => Value::Set(read_many(from, count()?, raw)?),
        '>' => Value::Push(read_many(from, count()?, raw)?),
        '%' => {
            let flat = read_many(from, count()? * 2, raw)?;
            let mut flat = flat.into_iter();
            let mut pairs = Vec::new();
            while let (Some(key), Some(value)) = (flat.next(), flat.next()) {
                pairs.push((key, value));
            }
            Value::Map(pairs)
        }
        _ => return Err(bad("unknown reply kind", &line)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_reply_is_read_with_its_bytes() {
        let bytes = b"*3\r\n$3\r\na\r\n\r\n%1\r\n+k\r\n,1.5\r\n>2\r\n_\r\n#t\r\n".as_slice();
        let mut raw = Vec::new();
        let value = read(&mut io::BufReader::with_capacity(3, bytes), Some(&mut raw)).unwrap();
        assert_eq!(raw, bytes);
        assert_eq!(format!("{value:?}"), r#"["a\r\n", %{+k: ,1.5}, >[nil, #true]]"#);
    }
}
