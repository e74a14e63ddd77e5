//! One key with its value and deadline: 16 bytes in the table.
//!
//! Short strings, the common case, are one allocation that holds everything:
//!
//! ```text
//! | flags u8 | key length u8, or u32 if LONG_KEY | deadline u64 if EXPIRES | key | value |
//! ```
//! All else is an [`Object`]. **Not here:** accounting, effects, expiry rules (`write.rs`, `edit.rs`).

use tandem_types::WallMillis;

use crate::value::{Value, ValueRef};

/// Strings longer than this are objects, so that they can grow in place and be freed elsewhere.
const PACKED_VALUE_BYTES_MAX: usize = 16 << 10;

const EXPIRES: u8 = 1;
const RAW: u8 = 2;
const LONG_KEY: u8 = 4;

const DEADLINE_BYTES: usize = 8;

/// What a slot's table costs per entry at its average load, beside what the entry points to.
const TABLE_BYTES: usize = 26;

/// What a deadline costs in the expiry index.
const HINT_BYTES: usize = 10;

/// A key with its value.
#[derive(Debug)]
pub(crate) enum Entry {
    /// A short string.
    Packed(Box<[u8]>),
    /// Anything else.
    Object(Box<Object>),
}

const _: () = assert!(size_of::<Entry>() == 16);

/// A key whose value has a life of its own.
#[derive(Debug)]
pub(crate) struct Object {
    key: Box<[u8]>,
    deadline: Option<WallMillis>,
    value: Value,
}

/// Where the parts of a packed entry are.
struct Parts {
    key_at: usize,
    value_at: usize,
}

#[inline]
fn parts(packed: &[u8]) -> Parts {
    let flags = packed[0];
    let (length, mut at) = if flags & LONG_KEY == 0 {
        (usize::from(packed[1]), 2)
    } else {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&packed[1..5]);
        // A u32 fits a usize on every machine this is built for.
        (usize::try_from(u32::from_le_bytes(bytes)).unwrap_or(0), 5)
    };
    if flags & EXPIRES != 0 {
        at += DEADLINE_BYTES;
    }
    Parts { key_at: at, value_at: at + length }
}

#[inline]
fn packed_deadline(packed: &[u8], parts: &Parts) -> Option<WallMillis> {
    if packed[0] & EXPIRES == 0 {
        return None;
    }
    let mut bytes = [0; DEADLINE_BYTES];
    bytes.copy_from_slice(&packed[parts.key_at - DEADLINE_BYTES..parts.key_at]);
    Some(WallMillis::new(u64::from_le_bytes(bytes)))
}

fn pack(key: &[u8], value: &[u8], raw: bool, deadline: Option<WallMillis>) -> Box<[u8]> {
    let mut flags = if raw { RAW } else { 0 };
    let long = key.len() > usize::from(u8::MAX);
    flags |= if long { LONG_KEY } else { 0 };
    flags |= if deadline.is_some() { EXPIRES } else { 0 };
    let length = 1
        + if long { 4 } else { 1 }
        + if deadline.is_some() { DEADLINE_BYTES } else { 0 }
        + key.len()
        + value.len();
    let mut packed = Vec::with_capacity(length);
    packed.push(flags);
    if long {
        // Keys come from RESP bulk strings, which are at most 512 MiB.
        packed.extend_from_slice(&u32::try_from(key.len()).unwrap_or(u32::MAX).to_le_bytes());
    } else {
        packed.push(u8::try_from(key.len()).unwrap_or(u8::MAX));
    }
    if let Some(deadline) = deadline {
        packed.extend_from_slice(&deadline.get().to_le_bytes());
    }
    packed.extend_from_slice(key);
    packed.extend_from_slice(value);
    packed.into_boxed_slice()
}

impl Entry {
    /// A string.
    pub(crate) fn string(key: &[u8], value: &[u8], deadline: Option<WallMillis>) -> Self {
        if value.len() <= PACKED_VALUE_BYTES_MAX {
            Self::Packed(pack(key, value, false, deadline))
        } else {
            Self::object(key, Value::String { bytes: value.to_vec(), raw: false }, deadline)
        }
    }

    /// Any value; a short string is packed.
    pub(crate) fn new(key: &[u8], value: Value, deadline: Option<WallMillis>) -> Self {
        match value {
            Value::String { bytes, raw } if bytes.len() <= PACKED_VALUE_BYTES_MAX => {
                Self::Packed(pack(key, &bytes, raw, deadline))
            }
            value => Self::object(key, value, deadline),
        }
    }

    fn object(key: &[u8], value: Value, deadline: Option<WallMillis>) -> Self {
        Self::Object(Box::new(Object { key: key.into(), deadline, value }))
    }

    /// The key.
    #[inline]
    pub(crate) fn key(&self) -> &[u8] {
        match self {
            Self::Packed(packed) => {
                let parts = parts(packed);
                &packed[parts.key_at..parts.value_at]
            }
            Self::Object(object) => &object.key,
        }
    }

    /// Reads what lies behind the pointer, which brings it into the caches: of a short string both ends,
    /// which are often in two lines.
    #[inline]
    pub(crate) fn touch(&self) -> u8 {
        match self {
            Self::Packed(packed) => packed[0] ^ packed[packed.len() - 1],
            Self::Object(object) => u8::from(object.deadline.is_some()),
        }
    }

    /// When it expires.
    #[inline]
    pub(crate) fn deadline(&self) -> Option<WallMillis> {
        match self {
            Self::Packed(packed) if packed[0] & EXPIRES == 0 => None,
            Self::Packed(packed) => packed_deadline(packed, &parts(packed)),
            Self::Object(object) => object.deadline,
        }
    }

    /// True if it is no longer there for clients. Redis' rule: the deadline itself still counts.
    #[inline]
    pub(crate) fn is_expired(&self, now: WallMillis) -> bool {
        self.deadline().is_some_and(|deadline| now > deadline)
    }

    /// The value.
    #[inline]
    pub(crate) fn value(&self) -> ValueRef<'_> {
        match self {
            Self::Packed(packed) => ValueRef::String {
                bytes: &packed[parts(packed).value_at..],
                raw: packed[0] & RAW != 0,
            },
            Self::Object(object) => object.value.as_ref(),
        }
    }

    /// The value if it is an object, for changing it in place.
    pub(crate) fn object_mut(&mut self) -> Option<&mut Value> {
        match self {
            Self::Packed(_) => None,
            Self::Object(object) => Some(&mut object.value),
        }
    }

    /// Replaces the value by a string, in place if it has the same shape; returns a value that may
    /// be big, for the garbage.
    pub(crate) fn set_string(
        &mut self,
        value: &[u8],
        deadline: Option<WallMillis>,
    ) -> Option<Value> {
        if let Self::Packed(packed) = self {
            let parts = parts(packed);
            let same_shape = packed.len() - parts.value_at == value.len()
                && (packed[0] & EXPIRES != 0) == deadline.is_some();
            if same_shape {
                packed[0] &= !RAW;
                if let Some(deadline) = deadline {
                    packed[parts.key_at - DEADLINE_BYTES..parts.key_at]
                        .copy_from_slice(&deadline.get().to_le_bytes());
                }
                packed[parts.value_at..].copy_from_slice(value);
                return None;
            }
        }
        let new = Self::string(self.key(), value, deadline);
        std::mem::replace(self, new).into_value()
    }

    /// Replaces value and deadline; returns the old value if it was an object.
    pub(crate) fn set_value(
        &mut self,
        value: Value,
        deadline: Option<WallMillis>,
    ) -> Option<Value> {
        let new = Self::new(self.key(), value, deadline);
        std::mem::replace(self, new).into_value()
    }

    /// Sets or removes the deadline.
    pub(crate) fn set_deadline(&mut self, deadline: Option<WallMillis>) {
        match self {
            Self::Object(object) => object.deadline = deadline,
            Self::Packed(packed) => {
                let at = parts(packed);
                match deadline {
                    Some(deadline) if packed[0] & EXPIRES != 0 => {
                        packed[at.key_at - DEADLINE_BYTES..at.key_at]
                            .copy_from_slice(&deadline.get().to_le_bytes());
                    }
                    None if packed[0] & EXPIRES == 0 => {}
                    deadline => {
                        let (key, value) =
                            (&packed[at.key_at..at.value_at], &packed[at.value_at..]);
                        *packed = pack(key, value, packed[0] & RAW != 0, deadline);
                    }
                }
            }
        }
    }

    /// Changes a string's bytes in a buffer that can grow, marking it raw; false if it is no string.
    pub(crate) fn patch_string(&mut self, patch: impl FnOnce(&mut Vec<u8>)) -> bool {
        if let Self::Packed(packed) = self {
            let at = parts(packed);
            let (key, value) = (&packed[at.key_at..at.value_at], &packed[at.value_at..]);
            let deadline = packed_deadline(packed, &at);
            let mut bytes = value.to_vec();
            patch(&mut bytes);
            *self = if bytes.len() <= PACKED_PATCH_BYTES_MAX {
                Self::Packed(pack(key, &bytes, true, deadline))
            } else {
                Self::object(key, Value::String { bytes, raw: true }, deadline)
            };
            return true;
        }
        match self.object_mut() {
            Some(Value::String { bytes, raw }) => {
                *raw = true;
                patch(bytes);
                true
            }
            _ => false,
        }
    }

    /// The value if it was an object; `None` for a packed string, which is freed here.
    pub(crate) fn into_value(self) -> Option<Value> {
        match self {
            Self::Packed(_) => None,
            Self::Object(object) => Some(object.value),
        }
    }

    /// Bytes it takes, as counted by `used_memory`.
    pub(crate) fn memory(&self) -> usize {
        TABLE_BYTES
            + if self.deadline().is_some() { HINT_BYTES } else { 0 }
            + match self {
                Self::Packed(packed) => allocated(packed.len()),
                Self::Object(object) => {
                    size_of::<Object>() + allocated(object.key.len()) + object.value.memory()
                }
            }
    }
}

/// A patched string longer than this gets room to grow: appending to it is then O(1) a time.
const PACKED_PATCH_BYTES_MAX: usize = 256;

/// What the allocator makes of a request: rounded up to 16 bytes, as mimalloc does from 64 bytes on.
const fn allocated(bytes: usize) -> usize {
    bytes.next_multiple_of(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string_of(entry: &Entry) -> (&[u8], bool) {
        match entry.value() {
            ValueRef::String { bytes, raw } => (bytes, raw),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_packed_entry_gives_back_what_was_put_in() {
        for key_len in [0, 1, 16, 255, 256, 70_000] {
            for deadline in [None, Some(WallMillis::new(u64::MAX))] {
                let key = vec![b'k'; key_len];
                let entry = Entry::string(&key, b"value", deadline);
                assert!(matches!(entry, Entry::Packed(_)));
                assert_eq!(entry.key(), key);
                assert_eq!(entry.deadline(), deadline);
                assert_eq!(string_of(&entry), (&b"value"[..], false));
            }
        }
    }

    #[test]
    fn deadlines_come_and_go_without_touching_the_value() {
        let mut entry = Entry::string(b"k", b"v", None);
        for deadline in [Some(WallMillis::new(5)), Some(WallMillis::new(6)), None, None] {
            entry.set_deadline(deadline);
            assert_eq!(entry.deadline(), deadline);
            assert_eq!(string_of(&entry).0, b"v");
            assert_eq!(entry.key(), b"k");
        }
    }

    #[test]
    fn the_deadline_itself_still_counts() {
        let entry = Entry::string(b"k", b"v", Some(WallMillis::new(5)));
        assert!(!entry.is_expired(WallMillis::new(5)));
        assert!(entry.is_expired(WallMillis::new(6)));
    }

    #[test]
    fn a_patched_string_is_raw_until_it_is_set_again() {
        let mut entry = Entry::string(b"k", b"1", Some(WallMillis::new(9)));
        assert!(entry.patch_string(|bytes| bytes.extend_from_slice(&[b'2'; 1000])));
        assert_eq!(string_of(&entry).0.len(), 1001);
        assert!(string_of(&entry).1);
        assert_eq!(entry.deadline(), Some(WallMillis::new(9)));
        assert!(entry.set_string(b"x", None).is_some());
        assert_eq!(string_of(&entry), (&b"x"[..], false));
    }

    #[test]
    fn a_typical_key_fits_its_budget() {
        // 16-byte key and 64-byte value: the goal is 105 bytes in the long run.
        let entry = Entry::string(&[b'k'; 16], &[b'v'; 64], None);
        assert!(entry.memory() <= 125, "{}", entry.memory());
    }
}
