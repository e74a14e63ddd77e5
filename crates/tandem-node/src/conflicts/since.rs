//! What the pair's history has done to some keys since a fork: from its log, never guessed.

use std::collections::{BTreeMap, BTreeSet};

use tandem_log::{Decoded, RecordKind, decode};
use tandem_store::{Effect, Effects, Located};
use tandem_types::{Chain, DbIndex, Lsn};

use super::units::KeyOf;

/// How a key was changed, as far as merging needs to know.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Edits {
    /// It was written as a whole, removed, or changed in a way that no addition can be merged with.
    pub(crate) whole: bool,
    kind: Option<Kind>,
    parts: BTreeMap<Vec<u8>, Part>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Counter,
    Hash,
    Set,
    Zset,
}

/// What was done to a field, a member, or (empty) a counter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    Assigned,
    Added,
}

impl Edits {
    /// Takes in one more change.
    pub(crate) fn note(&mut self, effect: Effect<'_>) {
        let (kind, name, part) = match effect {
            Effect::Incr { .. } | Effect::IncrFloat { .. } => {
                (Kind::Counter, &b""[..], Part::Added)
            }
            Effect::HashSet { field, .. } => (Kind::Hash, field, Part::Assigned),
            Effect::HashIncr { field, .. } | Effect::HashIncrFloat { field, .. } => {
                (Kind::Hash, field, Part::Added)
            }
            Effect::SetAdd(member) => (Kind::Set, member, Part::Added),
            Effect::ZsetAdd { member, .. } => (Kind::Zset, member, Part::Assigned),
            Effect::ZsetIncr { member, .. } => (Kind::Zset, member, Part::Added),
            _ => {
                self.whole = true;
                return;
            }
        };
        if *self.kind.get_or_insert(kind) != kind {
            self.whole = true;
        }
        let place = self.parts.entry(name.to_vec()).or_insert(part);
        if part == Part::Assigned {
            *place = part;
        }
    }

    /// Whether numbers were added to: equal results then say nothing.
    pub(crate) fn adds(&self) -> bool {
        let sums = self.kind.is_some_and(|kind| kind != Kind::Set);
        sums && self.parts.values().any(|part| *part == Part::Added)
    }

    /// Whether both sides only added, and to the same field or member only what sums up.
    pub(crate) fn merges_with(&self, other: &Self) -> bool {
        let both_add = |(name, part): (&Vec<u8>, &Part)| match other.parts.get(name) {
            None => true,
            Some(theirs) => *part == Part::Added && *theirs == Part::Added,
        };
        !self.whole && !other.whole && self.kind == other.kind && self.parts.iter().all(both_add)
    }
}

/// The history since a fork, as far as it was read, for the keys that matter.
#[derive(Clone, Debug)]
pub(crate) struct Since {
    /// Where the fork is, and the running checksum there.
    fork: (Lsn, Chain),
    /// Everything before this was looked at.
    pub(crate) end: Lsn,
    keys: BTreeSet<KeyOf>,
    touched: BTreeMap<KeyOf, Edits>,
    /// The log does not go back to the fork, or this is not the history that it forked from.
    pub(crate) unknown: bool,
}

impl Since {
    /// Nothing was read yet.
    pub(crate) const fn new(fork: Lsn, chain: Chain, keys: BTreeSet<KeyOf>) -> Self {
        Self { fork: (fork, chain), end: fork, keys, touched: BTreeMap::new(), unknown: false }
    }

    /// Takes in whole records that begin at [`Self::end`].
    pub(crate) fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let Decoded::Record(record) = decode(bytes) else {
                self.unknown = true;
                return;
            };
            if record.lsn != self.end || self.is_another_history(record.lsn, record.chain_before) {
                self.unknown = true;
                return;
            }
            if record.kind == RecordKind::Effects {
                self.note(record.payload);
            }
            self.end = record.lsn.next();
            bytes = bytes.get(record.encoded_len()..).unwrap_or_default();
        }
    }

    fn is_another_history(&self, at: Lsn, chain: Chain) -> bool {
        at == self.fork.0 && chain != self.fork.1
    }

    fn note(&mut self, payload: &[u8]) {
        let Ok(mut effects) = Effects::new(payload) else {
            self.unknown = true;
            return;
        };
        loop {
            match effects.read() {
                Ok(None) => return,
                Ok(Some(located)) => self.note_one(&located),
                Err(_) => {
                    self.unknown = true;
                    return;
                }
            }
        }
    }

    fn note_one(&mut self, located: &Located<'_>) {
        match located.effect {
            Effect::FlushAll => self.flushed(None),
            Effect::FlushDb => self.flushed(Some(located.db)),
            effect => {
                let key = (located.db, located.key.to_vec());
                if self.keys.contains(&key) {
                    self.touched.entry(key).or_default().note(effect);
                }
            }
        }
    }

    fn flushed(&mut self, db: Option<DbIndex>) {
        for key in self.keys.iter().filter(|key| db.is_none_or(|db| db == key.0)) {
            self.touched.entry(key.clone()).or_default().whole = true;
        }
    }

    /// What was done to a key; `None`: nothing.
    pub(crate) fn of(&self, key: &KeyOf) -> Option<&Edits> {
        self.touched.get(key)
    }

    /// What was written by ourselves, for these very keys, does not count.
    pub(crate) const fn skip_to(&mut self, end: Lsn) {
        self.end = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edits(effects: &[Effect<'_>]) -> Edits {
        let mut edits = Edits::default();
        for effect in effects {
            edits.note(*effect);
        }
        edits
    }

    #[test]
    fn only_additions_on_both_sides_merge() {
        let incr = Effect::Incr { delta: 1, result: 1 };
        let set = Effect::SetString { value: b"1", deadline: None };
        let field = |field| Effect::HashSet { field, value: b"v" };
        let add = |field| Effect::HashIncr { field, delta: 1, result: 1 };
        let cases: [(&[Effect<'_>], &[Effect<'_>], bool); 9] = [
            (&[incr], &[incr, incr], true),
            (&[incr], &[set], false),
            (&[set], &[incr], false),
            (&[incr], &[Effect::Del], false),
            (&[field(b"a")], &[field(b"b")], true),
            (&[field(b"a")], &[field(b"a")], false),
            (&[add(b"a")], &[add(b"a")], true),
            (&[add(b"a")], &[field(b"a")], false),
            (&[Effect::SetAdd(b"a")], &[Effect::SetAdd(b"a")], true),
        ];
        for (lost, since, want) in cases {
            assert_eq!(edits(lost).merges_with(&edits(since)), want, "{lost:?} {since:?}");
        }
        assert!(!edits(&[Effect::SetAdd(b"a")]).merges_with(&edits(&[incr])), "another type");
    }
}
