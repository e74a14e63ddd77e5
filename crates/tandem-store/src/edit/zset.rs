//! Changing a sorted set.

use std::ops::Deref;

use super::Edit;
use crate::effect::Effect;
use crate::failure::Failure;
use crate::key::Key;
use crate::keys::Keys;
use crate::value::zset::{Zset, ZsetChange};
use crate::value::{Value, ValueRef};

/// A sorted set that is being changed; reads go through to it.
#[derive(Debug)]
pub(crate) struct ZsetEdit<'s>(Edit<'s>);

impl Keys<'_> {
    /// Opens the sorted set at a key, if there is one.
    pub(crate) fn edit_zset<'s>(
        &'s mut self,
        key: Key<'s>,
    ) -> Result<Option<ZsetEdit<'s>>, Failure> {
        Edit::existing(self, key).map(checked).transpose()
    }

    /// Opens the sorted set at a key, a new one if there is none; a new one that stays empty leaves nothing.
    pub(crate) fn edit_or_create_zset<'s>(
        &'s mut self,
        key: Key<'s>,
    ) -> Result<ZsetEdit<'s>, Failure> {
        checked(Edit::existing_or(self, key, || Value::Zset(Zset::default())))
    }
}

fn checked(edit: Edit<'_>) -> Result<ZsetEdit<'_>, Failure> {
    if matches!(edit.value(), ValueRef::Zset(_)) {
        Ok(ZsetEdit(edit))
    } else {
        Err(Failure::WrongType)
    }
}

impl Deref for ZsetEdit<'_> {
    type Target = Zset;

    fn deref(&self) -> &Zset {
        let ValueRef::Zset(zset) = self.0.value() else { unreachable!("the type was checked") };
        zset
    }
}

impl ZsetEdit<'_> {
    fn inner(&mut self) -> &mut Zset {
        let Some(Value::Zset(zset)) = self.0.object_mut() else {
            unreachable!("the type was checked")
        };
        zset
    }

    /// Gives a member a score; the same score as before is no change.
    pub(crate) fn insert(&mut self, member: &[u8], score: f64) -> ZsetChange {
        self.put(member, score, Effect::ZsetAdd { member, score })
    }

    /// Gives a member the result of an addition as its score.
    pub(crate) fn incr(&mut self, member: &[u8], delta: f64, result: f64) -> ZsetChange {
        if self.0.merges() {
            let base = self.score(member).unwrap_or_default();
            self.0.score_added(base);
        }
        let change = self.put(member, result, Effect::ZsetIncr { member, delta, result });
        if change == ZsetChange::Same {
            self.0.operation(|| tandem_merge::KeyOp::ScoreAdd(member.into(), vec![delta]));
        }
        change
    }

    fn put(&mut self, member: &[u8], score: f64, effect: Effect<'_>) -> ZsetChange {
        let limits = self.0.limits();
        let change = self.inner().insert(member, score, &limits);
        if change != ZsetChange::Same {
            self.0.changed(effect);
        } else if let Effect::ZsetAdd { member, score } = effect {
            // As for sets.
            self.0.operation(|| tandem_merge::KeyOp::ScoreSet(member.into(), score));
        }
        change
    }

    /// Removes a member. False if it was not in.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let done = self.inner().remove(member);
        if done {
            self.0.changed(Effect::ZsetRem(member));
        }
        done
    }
}
