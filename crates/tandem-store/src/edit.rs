//! The mutators of collections: guards through which a list, hash, set or sorted set is changed.
//!
//! A guard finds its key once; each change goes to memory and to the effects together. When it is
//! dropped it settles the accounts, and removes the key if the collection is empty: replaying the
//! effects does the same, so the removal needs no effect.

pub(crate) mod hash;
pub(crate) mod list;
pub(crate) mod set;
pub(crate) mod stream;
pub(crate) mod zset;

use hashbrown::hash_table::{Entry as Place, OccupiedEntry};

use crate::database::Footprint;
use crate::effect::Effect;
use crate::entry::Entry;
use crate::key::Key;
use crate::keys::{Keys, Side};
use crate::settings::Limits;
use crate::value::{Value, ValueRef};

/// What the guards share: an object's entry, and all that changes with it.
#[derive(Debug)]
struct Edit<'s> {
    /// `None` only while it is dropped.
    place: Option<OccupiedEntry<'s, Entry>>,
    side: Side<'s>,
    before: Footprint,
    /// Nothing was here before, and nothing was put in yet.
    fresh: bool,
    changed: bool,
}

impl<'s> Edit<'s> {
    /// Opens what is there; `None` if nothing is.
    fn existing(keys: &'s mut Keys<'_>, key: Key<'s>) -> Option<Self> {
        let (place, side) = keys.open_existing(key)?;
        let before = Footprint::of(place.get());
        Some(Self { place: Some(place), side, before, fresh: false, changed: false })
    }

    /// Opens what is there, or puts an empty collection there.
    fn existing_or(keys: &'s mut Keys<'_>, key: Key<'s>, empty: impl FnOnce() -> Value) -> Self {
        let (place, mut side) = keys.open(key);
        let fresh = matches!(place, Place::Vacant(_));
        let place = match place {
            Place::Occupied(place) => place,
            Place::Vacant(place) => {
                let place = place.insert(Entry::new(key.bytes, empty(), None));
                side.inserted(place.get());
                place
            }
        };
        let before = Footprint::of(place.get());
        Self { place: Some(place), side, before, fresh, changed: false }
    }

    fn value(&self) -> ValueRef<'_> {
        let Some(place) = &self.place else { unreachable!("a guard has its place until dropped") };
        place.get().value()
    }

    /// The object; the guards have checked that it is one.
    fn object_mut(&mut self) -> Option<&mut Value> {
        self.place.as_mut().and_then(|place| place.get_mut().object_mut())
    }

    const fn limits(&self) -> Limits {
        self.side.limits
    }

    fn changed(&mut self, effect: Effect<'_>) {
        self.side.changed(effect);
        self.settle_fresh();
    }

    /// With two writers: what is done, if the effect does not say it, or if there is none.
    fn operation(&mut self, op: impl FnOnce() -> tandem_merge::KeyOp) {
        self.side.operation(op);
        self.settle_fresh();
    }

    /// With two writers: a score is about to be added to.
    fn score_added(&mut self, base: f64) {
        if let Some(effects) = &mut self.side.effects {
            effects.push_base(base);
        }
    }

    fn merges(&self) -> bool {
        self.side.is_merging()
    }

    fn settle_fresh(&mut self) {
        self.changed = true;
        if std::mem::take(&mut self.fresh) {
            self.side.came_or_went();
        }
    }
}

impl Drop for Edit<'_> {
    fn drop(&mut self) {
        let Some(mut place) = self.place.take() else { return };
        let empty = place.get_mut().object_mut().is_some_and(|value| value.is_empty_collection());
        if empty || self.fresh {
            if self.changed {
                self.side.came_or_went();
            }
            let (entry, _) = place.remove();
            self.side.counts.remove(self.before);
            self.side.garbage.discard(entry.into_value());
        } else {
            self.side.counts.replace(self.before, Footprint::of(place.get()));
        }
    }
}
