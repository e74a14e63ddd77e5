//! Effects of another history, written once more as new writes: saved records of a returned primary.
//!
//! *Exactly*: the key is as it was when the effects were made, so they do here what they did there.
//! *Merged*: both histories added something since; what was added there is added here.

use std::collections::BTreeMap;

use tandem_resp::{parse_f64, parse_i64};
use tandem_types::{DbIndex, Lsn, WallMillis};

use crate::apply::apply_exactly;
use crate::decimal;
use crate::effect::{Effect, EffectBuf, Located};
use crate::failure::Failure;
use crate::keys::Keys;
use crate::store::Store;
use crate::value::ValueRef;

/// How effects are written once more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Again {
    /// The key is as it was before them.
    Exactly,
    /// They add to what is here.
    Merged,
}

/// Which record the effects go to, and when.
#[derive(Debug)]
pub struct AgainAt<'a> {
    /// The wall clock.
    pub now: WallMillis,
    /// End of the record.
    pub lsn_end: Lsn,
    /// Where the new effects go.
    pub effects: &'a mut EffectBuf,
}

impl Store {
    /// Writes effects once more, as new writes with effects of their own.
    ///
    /// # Errors
    /// The first effect that does not fit: those before it are done. [`Self::can_merge`] tells beforehand
    /// whether merging will succeed; writing exactly does if the key is as it was.
    pub fn write_again(
        &mut self,
        edits: &[Located<'_>],
        how: Again,
        at: AgainAt<'_>,
    ) -> Result<(), Failure> {
        let AgainAt { now, lsn_end, effects } = at;
        for edit in edits {
            let mut keys = Keys::new(self, edit.db, now, lsn_end, Some(&mut *effects));
            match how {
                Again::Exactly => apply_exactly(&mut keys, edit)?,
                Again::Merged => merge(&mut keys, edit)?,
            }
        }
        Ok(())
    }

    /// Whether all of these can be added to what is here: the types fit, and no sum leaves its range.
    pub fn can_merge(&self, edits: &[Located<'_>], now: WallMillis) -> bool {
        let mut sums = Sums { store: self, now, totals: BTreeMap::new() };
        edits.iter().all(|edit| sums.add(edit).is_ok())
    }
}

fn merge(keys: &mut Keys<'_>, edit: &Located<'_>) -> Result<(), Failure> {
    let key = keys.key(edit.key);
    match edit.effect {
        Effect::Incr { delta, .. } => drop(keys.incr(key, delta)?),
        Effect::IncrFloat { delta, .. } => {
            let result = decimal::add(keys.string(key)?.unwrap_or(b"0"), delta)?;
            keys.set_number(key, &result, Effect::IncrFloat { delta, result: &result });
        }
        Effect::HashSet { field, value } => {
            keys.edit_or_create_hash(key)?.set(field, value);
        }
        Effect::HashIncr { field, delta, .. } => {
            let old = keys.hash(key)?.and_then(|hash| hash.get(field));
            let result = integer(old)?.checked_add(delta).ok_or(Failure::Overflow)?;
            keys.edit_or_create_hash(key)?.incr(field, delta, result);
        }
        Effect::HashIncrFloat { field, delta, .. } => {
            let old = keys.hash(key)?.and_then(|hash| hash.get(field)).unwrap_or(b"0");
            let result = decimal::add(old, delta)?;
            keys.edit_or_create_hash(key)?.incr_float(field, delta, &result);
        }
        Effect::SetAdd(member) => {
            keys.edit_or_create_set(key)?.add(member);
        }
        Effect::ZsetAdd { member, score } => {
            keys.edit_or_create_zset(key)?.insert(member, score);
        }
        Effect::ZsetIncr { member, delta, .. } => {
            let old = keys.zset(key)?.and_then(|zset| zset.score(member)).unwrap_or(0.0);
            let result = finite(old + delta)?;
            keys.edit_or_create_zset(key)?.incr(member, delta, result);
        }
        _ => return Err(Failure::WrongType),
    }
    Ok(())
}

fn integer(text: Option<&[u8]>) -> Result<i64, Failure> {
    text.map_or(Ok(0), |text| parse_i64(text).ok_or(Failure::NotInteger))
}

const fn finite(score: f64) -> Result<f64, Failure> {
    if score.is_nan() { Err(Failure::NotFinite) } else { Ok(score) }
}

/// What counters would come to.
struct Sums<'s> {
    store: &'s Store,
    now: WallMillis,
    /// By database, key, and field or member (empty: the key itself).
    totals: BTreeMap<(DbIndex, Vec<u8>, Vec<u8>), Vec<u8>>,
}

impl Sums<'_> {
    fn add(&mut self, edit: &Located<'_>) -> Result<(), Failure> {
        let value = self.store.entry_at(edit.db, edit.key, self.now).map(|entry| entry.value());
        let (field, old, sum) = match (edit.effect, value) {
            (Effect::Incr { delta, .. }, None) => (&b""[..], None, Sum::Integer(delta)),
            (Effect::Incr { delta, .. }, Some(ValueRef::String { bytes, .. })) => {
                (&b""[..], Some(bytes.to_vec()), Sum::Integer(delta))
            }
            (Effect::IncrFloat { delta, .. }, None) => (&b""[..], None, Sum::Decimal(delta)),
            (Effect::IncrFloat { delta, .. }, Some(ValueRef::String { bytes, .. })) => {
                (&b""[..], Some(bytes.to_vec()), Sum::Decimal(delta))
            }
            (
                Effect::HashSet { field, .. }
                | Effect::HashIncr { field, .. }
                | Effect::HashIncrFloat { field, .. },
                None | Some(ValueRef::Hash(_)),
            ) => {
                let old = match value {
                    Some(ValueRef::Hash(hash)) => hash.get(field).map(<[u8]>::to_vec),
                    _ => None,
                };
                (field, old, Sum::of_field(edit.effect))
            }
            (Effect::SetAdd(_), None | Some(ValueRef::Set(_)))
            | (Effect::ZsetAdd { .. }, None | Some(ValueRef::Zset(_))) => return Ok(()),
            (Effect::ZsetIncr { member, delta, .. }, None | Some(ValueRef::Zset(_))) => {
                let old = match value {
                    Some(ValueRef::Zset(zset)) => zset.score(member),
                    _ => None,
                };
                (member, old.map(|score| score.to_string().into_bytes()), Sum::Score(delta))
            }
            _ => return Err(Failure::WrongType),
        };
        let place = (edit.db, edit.key.to_vec(), field.to_vec());
        let before = self.totals.get(&place).cloned().or(old);
        let after = sum.onto(before.as_deref())?;
        self.totals.insert(place, after);
        Ok(())
    }
}

/// What is done to a number.
enum Sum<'e> {
    Set(&'e [u8]),
    Integer(i64),
    Decimal(&'e [u8]),
    Score(f64),
}

impl<'e> Sum<'e> {
    const fn of_field(effect: Effect<'e>) -> Self {
        match effect {
            Effect::HashIncr { delta, .. } => Self::Integer(delta),
            Effect::HashIncrFloat { delta, .. } => Self::Decimal(delta),
            Effect::HashSet { value, .. } => Self::Set(value),
            _ => Self::Set(b""),
        }
    }

    fn onto(&self, before: Option<&[u8]>) -> Result<Vec<u8>, Failure> {
        Ok(match self {
            Self::Set(value) => value.to_vec(),
            Self::Integer(delta) => {
                let sum = integer(before)?.checked_add(*delta).ok_or(Failure::Overflow)?;
                sum.to_string().into_bytes()
            }
            Self::Decimal(delta) => decimal::add(before.unwrap_or(b"0"), delta)?,
            Self::Score(delta) => {
                let old = before.map_or(Some(0.0), parse_f64).ok_or(Failure::NotFloat)?;
                finite(old + delta)?.to_string().into_bytes()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DB: DbIndex = DbIndex::ZERO;

    const fn edit<'e>(key: &'e [u8], effect: Effect<'e>) -> Located<'e> {
        Located { db: DB, key, effect }
    }

    /// Writes them, replays what came of it elsewhere, and says what the key is in both.
    fn written(base: &[Located<'_>], edits: &[Located<'_>], how: Again, key: &[u8]) -> String {
        let mut buffer = EffectBuf::new();
        for it in base {
            buffer.push(it.db, it.key, it.effect);
        }
        let (mut here, mut there) = (Store::new(1), Store::new(2));
        for store in [&mut here, &mut there] {
            store.apply(Lsn::new(1), buffer.effects(), None).unwrap();
        }
        let mut effects = EffectBuf::new();
        let at = AgainAt { now: WallMillis::new(5), lsn_end: Lsn::new(3), effects: &mut effects };
        here.write_again(edits, how, at).unwrap();
        there.apply(Lsn::new(2), effects.effects(), None).unwrap();
        let shown = |store: &Store| store.glimpse(DB, key, WallMillis::new(5)).map(|it| it.text);
        assert_eq!(shown(&here), shown(&there), "the follower has the same");
        shown(&here).unwrap_or_default()
    }

    #[test]
    fn what_both_sides_added_is_all_there() {
        let incr = |delta, result| edit(b"k", Effect::Incr { delta, result });
        assert_eq!(written(&[incr(5, 5)], &[incr(3, 4), incr(-1, 3)], Again::Merged, b"k"), "7");
        let float = edit(b"k", Effect::IncrFloat { delta: b"0.5", result: b"9" });
        assert_eq!(written(&[incr(5, 5)], &[float], Again::Merged, b"k"), "5.5");
        let field = |field, delta, result| edit(b"h", Effect::HashIncr { field, delta, result });
        let lost = [field(b"f", 3, 3), field(b"g", 1, 1)];
        let both = written(&[field(b"f", 2, 2)], &lost, Again::Merged, b"h");
        assert!(both.contains("f: 5") && both.contains("g: 1"), "{both}");
        let set = |member| edit(b"s", Effect::SetAdd(member));
        assert_eq!(written(&[set(b"a")], &[set(b"a")], Again::Merged, b"s"), "{a}");
        let score = |delta| edit(b"z", Effect::ZsetIncr { member: b"m", delta, result: 1.0 });
        assert_eq!(written(&[score(1.0)], &[score(1.5)], Again::Merged, b"z"), "{m: 2.5}");
    }

    #[test]
    fn untouched_keys_get_exactly_what_they_had_there() {
        let base = [edit(b"l", Effect::ListPushBack(b"a")), edit(b"l", Effect::ListPushBack(b"b"))];
        let edits = [
            edit(b"l", Effect::ListInsert { index: 1, value: b"x" }),
            edit(b"l", Effect::ListPopFront),
        ];
        assert_eq!(written(&base, &edits, Again::Exactly, b"l"), "[x, b]");
        assert_eq!(written(&base, &[edit(b"l", Effect::Del)], Again::Exactly, b"l"), "");
    }

    #[test]
    fn a_sum_that_leaves_its_range_is_known_beforehand() {
        let mut store = Store::new(1);
        let mut buffer = EffectBuf::new();
        let at_most = Effect::Incr { delta: 1, result: i64::MAX - 1 };
        buffer.push(DB, b"k", at_most);
        store.apply(Lsn::new(1), buffer.effects(), None).unwrap();
        let incr = |delta| edit(b"k", Effect::Incr { delta, result: 0 });
        let now = WallMillis::new(1);
        assert!(store.can_merge(&[incr(1)], now));
        assert!(!store.can_merge(&[incr(1), incr(1)], now));
        assert!(!store.can_merge(&[edit(b"k", Effect::SetAdd(b"m"))], now), "another type");
    }
}
