//! One reply, as a client sees it.

/// A whole reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `$-1`, `*-1` or `_`.
    Null,
    /// `+text`.
    Simple(Vec<u8>),
    /// `-text`, or a RESP3 bulk error.
    Error(Vec<u8>),
    /// `:n`.
    Int(i64),
    /// `$n` and bytes.
    Bulk(Vec<u8>),
    /// `*n`.
    Array(Vec<Self>),
    /// `%n`: keys and values.
    Map(Vec<(Self, Self)>),
    /// `~n`.
    Set(Vec<Self>),
    /// `>n`: a message nobody asked for.
    Push(Vec<Self>),
    /// `,x`.
    Double(f64),
    /// `#t` or `#f`.
    Bool(bool),
    /// `(digits`.
    BigNumber(Vec<u8>),
    /// `=n`: text with its three-letter format.
    Verbatim {
        /// `txt` or `mkd`.
        format: [u8; 3],
        /// The text.
        text: Vec<u8>,
    },
}

impl Value {
    /// The bytes of a string of any kind (bulk, simple, verbatim, big number).
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Simple(text)
            | Self::Bulk(text)
            | Self::BigNumber(text)
            | Self::Verbatim { text, .. } => Some(text),
            Self::Null
            | Self::Error(_)
            | Self::Int(_)
            | Self::Array(_)
            | Self::Map(_)
            | Self::Set(_)
            | Self::Push(_)
            | Self::Double(_)
            | Self::Bool(_) => None,
        }
    }

    /// The text of a string of any kind, if it is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        self.as_bytes().and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The number, also if it came as a string of digits.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            Self::Bool(value) => Some(i64::from(*value)),
            other => crate::parse_i64(other.as_bytes()?),
        }
    }

    /// The parts of an array, set or push.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::Array(parts) | Self::Set(parts) | Self::Push(parts) => Some(parts),
            _ => None,
        }
    }

    /// The error's text.
    pub fn as_error(&self) -> Option<&[u8]> {
        match self {
            Self::Error(text) => Some(text),
            _ => None,
        }
    }

    /// The value under `key` in a map, or in a flat array that stands for one (RESP2).
    pub fn lookup(&self, key: &[u8]) -> Option<&Self> {
        match self {
            Self::Map(pairs) => {
                pairs.iter().find(|(name, _)| name.as_bytes() == Some(key)).map(|(_, value)| value)
            }
            Self::Array(parts) => parts
                .chunks_exact(2)
                .find(|pair| pair.first().and_then(Self::as_bytes) == Some(key))
                .and_then(|pair| pair.get(1)),
            _ => None,
        }
    }

    /// Whether this is `+OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Simple(text) if text == b"OK")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_array_is_read_as_a_map() {
        let key = |text: &str| Value::Bulk(text.as_bytes().to_vec());
        let flat = Value::Array(vec![key("a"), Value::Int(1), key("b"), Value::Int(2)]);
        let map = Value::Map(vec![(key("a"), Value::Int(1)), (key("b"), Value::Int(2))]);
        for value in [flat, map] {
            assert_eq!(value.lookup(b"b").and_then(Value::as_int), Some(2));
            assert_eq!(value.lookup(b"c"), None);
        }
    }
}
