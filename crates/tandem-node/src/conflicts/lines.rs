//! Single lines of a conflict file: bytes as text, images of values, numbers.

use serde_json::{Value, json};
use tandem_store::Glimpse;
use tandem_types::{Chain, WallMillis};

/// What a key held, as far as it was kept.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Image {
    /// The kind of value.
    pub kind: String,
    /// Equal values have one digest.
    pub digest: u64,
    /// When it expires.
    pub deadline: Option<WallMillis>,
    /// The value, or its beginning.
    pub text: String,
}

impl From<Glimpse> for Image {
    fn from(glimpse: Glimpse) -> Self {
        let Glimpse { kind, digest, deadline, text } = glimpse;
        Self { kind: kind.to_owned(), digest, deadline, text }
    }
}

impl Image {
    /// Whether both are the same value with the same deadline.
    pub fn same(&self, other: &Self) -> bool {
        self.kind == other.kind && self.digest == other.digest && self.deadline == other.deadline
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "type": self.kind,
            "value": self.text,
            "expires_at_ms": self.deadline.map(WallMillis::get),
            "digest": hex(self.digest),
        })
    }

    pub(super) fn from_json(value: &Value) -> Option<Self> {
        Some(Self {
            kind: value.get("type")?.as_str()?.to_owned(),
            digest: unhex(value.get("digest")?)?,
            deadline: value.get("expires_at_ms").and_then(Value::as_u64).map(WallMillis::new),
            text: value.get("value")?.as_str()?.to_owned(),
        })
    }
}

/// 64 bits as text: JSON's numbers are only exact up to 53.
pub(super) fn hex(number: u64) -> String {
    format!("{number:016x}")
}

pub(super) fn unhex(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?, 16).ok()
}

pub(super) fn chain_of(value: Option<&Value>) -> Option<Chain> {
    value.and_then(unhex).map(Chain::new)
}

pub(super) fn number_of(value: Option<&Value>) -> Option<u64> {
    value.and_then(Value::as_u64)
}

/// Bytes as text that can be read back: printable ASCII as it is, the rest as `\xNN`, `\` as `\\`.
pub(crate) fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                text.push_str("\\x");
                for digit in [byte >> 4, byte & 15] {
                    text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
                }
            }
        }
    }
    text
}

/// The bytes that [`escape`] wrote; `None`: it wrote something else.
pub(crate) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        let (&kind, after) = rest.split_first()?;
        rest = after;
        match kind {
            b'\\' => bytes.push(b'\\'),
            b'x' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                let digits = std::str::from_utf8(digits).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
            }
            _ => return None,
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unprintable_bytes_are_escaped_and_nothing_is_lost() {
        let bytes = b"a\\b\xff\n ";
        assert_eq!(escape(bytes), "a\\\\b\\xff\\x0a ");
        assert_eq!(unescape(&escape(bytes)).as_deref(), Some(&bytes[..]));
        for wrong in ["\\", "\\y", "\\x1", "\\xzz"] {
            assert_eq!(unescape(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_image_survives_its_line() {
        let image = Image {
            kind: "string".into(),
            digest: u64::MAX - 1,
            deadline: Some(WallMillis::new(17)),
            text: "x".into(),
        };
        assert_eq!(Image::from_json(&image.to_json()), Some(image));
    }
}
