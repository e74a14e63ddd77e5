//! What is decided as one: a key, or all keys that transactions bind together; and its class.
//!
//! | class | the key's value now | applying |
//! |---|---|---|
//! | identical | is what the saved records made of it | nothing to do |
//! | untouched | is what it was at the fork, and no record since names it | the saved effects, exactly |
//! | mergeable | both sides only added to it | the saved additions |
//! | conflict | anything else, or nobody can know | kept for a person |
//! | group | several keys bound by transactions | all of them as above, or none |

use std::collections::BTreeMap;

use tandem_store::{Effect, Effects, Located};
use tandem_types::{DbIndex, Lsn};

use super::since::{Edits, Since};
use super::{Image, SavedFile};

/// A key and its database.
pub(crate) type KeyOf = (DbIndex, Vec<u8>);

/// What can be done with the saved writes of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Class {
    Identical,
    Untouched,
    Mergeable,
    Conflict,
}

impl Class {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Untouched => "untouched",
            Self::Mergeable => "mergeable",
            Self::Conflict => "conflict",
        }
    }
}

/// Keys that are decided on together.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Its mark: the first record that wrote to any of them.
    pub(crate) lsn: Lsn,
    /// The keys; more than one: bound together by transactions.
    pub(crate) keys: Vec<KeyOf>,
    /// Places of its records in the file.
    pub(crate) records: Vec<usize>,
    /// A flush of its database came with the saved records.
    pub(crate) flushed: bool,
}

impl Unit {
    /// The unit's effects, record by record.
    pub(crate) fn effects<'f>(&self, file: &'f SavedFile) -> Vec<Located<'f>> {
        let records = self.records.iter().filter_map(|place| file.records.get(*place));
        records.flat_map(|record| located(&record.payload)).collect()
    }
}

/// What a key holds now.
pub(crate) trait Current {
    /// `None`: nothing.
    fn image(&self, key: &KeyOf) -> Option<Image>;
    /// Whether these additions would succeed.
    fn can_merge(&self, edits: &[Located<'_>]) -> bool;
}

fn located(payload: &[u8]) -> Vec<Located<'_>> {
    let mut all = Vec::new();
    // They were read once when they were saved.
    let Ok(mut effects) = Effects::new(payload) else { return all };
    while let Ok(Some(effect)) = effects.read() {
        all.push(effect);
    }
    all
}

/// The units of a file, in the order of their first records.
pub(crate) fn units(file: &SavedFile) -> Vec<Unit> {
    let mut groups = Groups::default();
    let mut flushes = Vec::new();
    for (place, record) in file.records.iter().enumerate() {
        let mut first = None;
        for effect in located(&record.payload) {
            match effect.effect {
                Effect::FlushAll => flushes.push(None),
                Effect::FlushDb => flushes.push(Some(effect.db)),
                _ => {
                    let index = groups.index_of((effect.db, effect.key.to_vec()));
                    groups.join(*first.get_or_insert(index), index);
                    groups.add_record(index, place);
                }
            }
        }
    }
    let is_flushed = |key: &KeyOf| flushes.iter().any(|db| db.is_none_or(|db| db == key.0));
    let mut units: Vec<Unit> = groups.into_units(file);
    for unit in &mut units {
        unit.flushed = unit.keys.iter().any(is_flushed);
    }
    units.sort_by_key(|unit| unit.lsn);
    units
}

/// Keys joined by records that name several of them (union-find).
#[derive(Default)]
struct Groups {
    places: BTreeMap<KeyOf, usize>,
    parents: Vec<usize>,
    records: Vec<Vec<usize>>,
}

impl Groups {
    fn index_of(&mut self, key: KeyOf) -> usize {
        let next = self.parents.len();
        let index = *self.places.entry(key).or_insert(next);
        if index == next {
            self.parents.push(next);
            self.records.push(Vec::new());
        }
        index
    }

    fn root(&mut self, mut index: usize) -> usize {
        while let Some(&parent) = self.parents.get(index)
            && parent != index
        {
            let above = self.parents.get(parent).copied().unwrap_or(parent);
            if let Some(place) = self.parents.get_mut(index) {
                *place = above;
            }
            index = parent;
        }
        index
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        if let Some(parent) = self.parents.get_mut(other) {
            *parent = one;
        }
    }

    fn add_record(&mut self, index: usize, record: usize) {
        if let Some(records) = self.records.get_mut(index)
            && records.last() != Some(&record)
        {
            records.push(record);
        }
    }

    fn into_units(mut self, file: &SavedFile) -> Vec<Unit> {
        let mut units: BTreeMap<usize, (Vec<KeyOf>, Vec<usize>)> = BTreeMap::new();
        for (key, index) in std::mem::take(&mut self.places) {
            let root = self.root(index);
            let (keys, records) = units.entry(root).or_default();
            keys.push(key);
            records.extend(self.records.get(index).into_iter().flatten());
        }
        let finish = |(keys, mut records): (Vec<KeyOf>, Vec<usize>)| {
            records.sort_unstable();
            records.dedup();
            let first = records.first().and_then(|place| file.records.get(*place));
            let lsn = first.map_or(Lsn::MAX, |record| record.lsn);
            Unit { lsn, keys, records, flushed: false }
        };
        units.into_values().map(finish).collect()
    }
}

/// The class of each key of a unit.
pub(crate) fn classes(
    unit: &Unit,
    file: &SavedFile,
    since: &Since,
    current: &impl Current,
) -> Vec<Class> {
    let effects = unit.effects(file);
    unit.keys.iter().map(|key| class_of(key, unit, &effects, (file, since, current))).collect()
}

fn class_of(
    key: &KeyOf,
    unit: &Unit,
    effects: &[Located<'_>],
    (file, since, current): (&SavedFile, &Since, &impl Current),
) -> Class {
    let now = current.image(key);
    let Some(images) = file.images.get(key) else { return Class::Conflict };
    let mut ours = Edits::default();
    let own: Vec<Located<'_>> =
        effects.iter().filter(|it| it.db == key.0 && it.key == key.1).copied().collect();
    for it in &own {
        ours.note(it.effect);
    }
    let identical = same(now.as_ref(), images.lost.as_ref());
    if since.unknown || unit.flushed {
        // Two equal counters may both have been added to.
        return if identical && !ours.adds() { Class::Identical } else { Class::Conflict };
    }
    let Some(theirs) = since.of(key) else {
        // No record names it; it may still have expired.
        let as_it_was = same(now.as_ref(), images.fork.as_ref());
        return match (identical, as_it_was) {
            (true, _) => Class::Identical,
            (false, true) => Class::Untouched,
            (false, false) => Class::Conflict,
        };
    };
    if identical && !(ours.adds() && theirs.adds()) {
        return Class::Identical;
    }
    let there = now.is_some() || images.fork.is_none();
    if there && ours.merges_with(theirs) && current.can_merge(&own) {
        Class::Mergeable
    } else {
        Class::Conflict
    }
}

fn same(one: Option<&Image>, other: Option<&Image>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.same(other),
        (Some(_), None) | (None, Some(_)) => false,
    }
}
