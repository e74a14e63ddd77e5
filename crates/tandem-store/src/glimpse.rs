//! Values as people and comparisons see them: kind, digest, deadline, and a text of bounded length.

use std::fmt::Write;

use tandem_types::{DbIndex, WallMillis};

use crate::effect::{Effect, Located};
use crate::entry::Entry;
use crate::store::Store;
use crate::value::{ValueRef, codec};

/// Bytes of a value that are shown; the rest is counted.
const SHOWN_BYTES_MAX: usize = 1024;
/// Elements of a collection that are shown.
const SHOWN_ELEMENTS_MAX: usize = 32;

/// What a key holds, as far as it is shown.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Glimpse {
    /// The kind, in Redis' words.
    pub kind: &'static str,
    /// The same for equal values on every node, whatever the order of unordered things.
    pub digest: u64,
    /// When it expires.
    pub deadline: Option<WallMillis>,
    /// The value, or its beginning; bytes beyond ASCII escaped.
    pub text: String,
}

impl Store {
    /// What a key holds at `now`; a key whose deadline has passed holds nothing.
    pub fn glimpse(&self, db: DbIndex, key: &[u8], now: WallMillis) -> Option<Glimpse> {
        let entry = self.entry_at(db, key, now)?;
        let value = entry.value();
        Some(Glimpse {
            kind: value.type_name(),
            digest: codec::digest(value),
            deadline: entry.deadline(),
            text: text(value),
        })
    }

    /// The whole value of a key as [`Effect::Restore`] carries it; `None`: there is none, or it is longer than
    /// `bytes_max`.
    pub fn whole_value(
        &self,
        db: DbIndex,
        key: &[u8],
        now: WallMillis,
        bytes_max: usize,
    ) -> Option<Vec<u8>> {
        let bytes = codec::serialised(self.entry_at(db, key, now)?.value());
        (bytes.len() <= bytes_max).then_some(bytes)
    }

    /// The part of a key that an effect changes: a field, a member, an element, else the whole value.
    /// `None`: there is none.
    pub fn glimpse_part(&self, located: &Located<'_>) -> Option<String> {
        let value = self.entry_at(located.db, located.key, WallMillis::default())?.value();
        let at = |index: u64| usize::try_from(index).ok();
        match (located.effect, value) {
            (
                Effect::HashSet { field, .. }
                | Effect::HashDel(field)
                | Effect::HashIncr { field, .. }
                | Effect::HashIncrFloat { field, .. },
                ValueRef::Hash(hash),
            ) => hash.get(field).map(shown),
            (Effect::SetAdd(member) | Effect::SetRem(member), ValueRef::Set(set)) => {
                set.contains(member).then(|| shown(member))
            }
            (
                Effect::ZsetAdd { member, .. }
                | Effect::ZsetIncr { member, .. }
                | Effect::ZsetRem(member),
                ValueRef::Zset(zset),
            ) => zset.score(member).map(|score| score.to_string()),
            (Effect::ListPushFront(_) | Effect::ListPopFront, ValueRef::List(list)) => {
                list.get(0).map(shown)
            }
            (Effect::ListPushBack(_) | Effect::ListPopBack, ValueRef::List(list)) => {
                list.get(list.len().checked_sub(1)?).map(shown)
            }
            (
                Effect::ListSet { index, .. }
                | Effect::ListInsert { index, .. }
                | Effect::ListRemove { index },
                ValueRef::List(list),
            ) => list.get(at(index)?).map(shown),
            (Effect::StreamAdd { id, .. } | Effect::StreamDel(id), ValueRef::Stream(stream)) => {
                let fields = stream.entries().get(id)?;
                let words: Vec<String> =
                    fields.iter().take(SHOWN_ELEMENTS_MAX).map(shown).collect();
                Some(words.join(" "))
            }
            (_, value) => Some(text(value)),
        }
    }

    /// The entry of a key that has not expired at `now`.
    pub(crate) fn entry_at(&self, db: DbIndex, key: &[u8], now: WallMillis) -> Option<&Entry> {
        let key = self.hasher.key(key);
        let slot = self.databases[db.index()].as_deref()?.slot(key.slot);
        let entry = slot.table.find(key.hash, |entry| entry.key() == key.bytes)?;
        (!entry.is_expired(now)).then_some(entry)
    }
}

/// Bytes for people, cut at a bound.
fn shown(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN_BYTES_MAX) {
        Some(head) if head.len() < bytes.len() => {
            format!("{}... ({} bytes)", head.escape_ascii(), bytes.len())
        }
        _ => bytes.escape_ascii().to_string(),
    }
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::String { bytes, .. } => shown(bytes),
        ValueRef::List(list) => listed("[", "]", list.len(), list.iter().map(shown)),
        ValueRef::Hash(hash) => {
            let pairs =
                hash.iter().map(|(field, value)| format!("{}: {}", shown(field), shown(value)));
            listed("{", "}", hash.len(), pairs)
        }
        ValueRef::Set(set) => {
            listed("{", "}", set.len(), set.iter().map(|member| shown(member.as_ref())))
        }
        ValueRef::Zset(zset) => {
            let pairs = zset.iter().map(|(member, score)| format!("{}: {score}", shown(member)));
            listed("{", "}", zset.len(), pairs)
        }
        ValueRef::Stream(stream) => {
            let entries = stream.entries().iter().map(|(id, fields)| {
                let words: Vec<String> =
                    fields.iter().take(SHOWN_ELEMENTS_MAX).map(shown).collect();
                format!("{id}: {}", words.join(" "))
            });
            listed("[", "]", stream.len(), entries)
        }
    }
}

fn listed(open: &str, close: &str, count: usize, parts: impl Iterator<Item = String>) -> String {
    let mut text = open.to_owned();
    for (place, part) in parts.take(SHOWN_ELEMENTS_MAX).enumerate() {
        if place > 0 {
            text.push_str(", ");
        }
        if text.len() > SHOWN_BYTES_MAX {
            text.push_str("...");
            break;
        }
        text.push_str(&part);
    }
    text.push_str(close);
    if count > SHOWN_ELEMENTS_MAX || text.len() > SHOWN_BYTES_MAX {
        // Writing to a string cannot fail.
        write!(text, " ({count} elements)").ok();
    }
    text
}

#[cfg(test)]
mod tests {
    use tandem_types::Lsn;

    use super::*;
    use crate::effect::EffectBuf;

    fn store(effects: &[(&[u8], Effect<'_>)]) -> Store {
        let mut buffer = EffectBuf::new();
        for (key, effect) in effects {
            buffer.push(DbIndex::ZERO, key, *effect);
        }
        let mut store = Store::new(7);
        store.apply(Lsn::new(1), buffer.effects(), None).unwrap();
        store
    }

    #[test]
    fn equal_sets_have_one_digest_whatever_the_order() {
        let one = store(&[(b"s", Effect::SetAdd(b"a")), (b"s", Effect::SetAdd(b"b"))]);
        let other = store(&[(b"s", Effect::SetAdd(b"b")), (b"s", Effect::SetAdd(b"a"))]);
        let now = WallMillis::default();
        let digest = |store: &Store| store.glimpse(DbIndex::ZERO, b"s", now).unwrap().digest;
        assert_eq!(digest(&one), digest(&other));
    }

    #[test]
    fn a_long_value_is_shown_by_its_beginning() {
        let store = store(&[(b"k", Effect::SetString { value: &[b'x'; 5000], deadline: None })]);
        let glimpse = store.glimpse(DbIndex::ZERO, b"k", WallMillis::default()).unwrap();
        assert!(glimpse.text.len() < 1100 && glimpse.text.ends_with("(5000 bytes)"), "{glimpse:?}");
    }

    #[test]
    fn an_effect_on_a_field_shows_the_field() {
        let set = |field, value| Effect::HashSet { field, value };
        let store = store(&[(b"h", set(b"f", b"1")), (b"h", set(b"g", b"2"))]);
        let part = |effect| store.glimpse_part(&Located { db: DbIndex::ZERO, key: b"h", effect });
        assert_eq!(part(Effect::HashDel(b"g")).as_deref(), Some("2"));
        assert_eq!(part(set(b"x", b"")), None);
        assert_eq!(part(Effect::Del).as_deref(), Some("{f: 1, g: 2}"));
    }
}
