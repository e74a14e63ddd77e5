//! Changing a hash.

use std::ops::Deref;

use super::Edit;
use crate::effect::Effect;
use crate::failure::Failure;
use crate::key::Key;
use crate::keys::Keys;
use crate::value::hash::Hash;
use crate::value::{Value, ValueRef};

/// A hash that is being changed; reads go through to it.
#[derive(Debug)]
pub(crate) struct HashEdit<'s>(Edit<'s>);

impl Keys<'_> {
    /// Opens the hash at a key, if there is one.
    pub(crate) fn edit_hash<'s>(
        &'s mut self,
        key: Key<'s>,
    ) -> Result<Option<HashEdit<'s>>, Failure> {
        Edit::existing(self, key).map(checked).transpose()
    }

    /// Opens the hash at a key, a new one if there is none; a new one that stays empty leaves nothing.
    pub(crate) fn edit_or_create_hash<'s>(
        &'s mut self,
        key: Key<'s>,
    ) -> Result<HashEdit<'s>, Failure> {
        checked(Edit::existing_or(self, key, || Value::Hash(Hash::default())))
    }
}

fn checked(edit: Edit<'_>) -> Result<HashEdit<'_>, Failure> {
    if matches!(edit.value(), ValueRef::Hash(_)) {
        Ok(HashEdit(edit))
    } else {
        Err(Failure::WrongType)
    }
}

impl Deref for HashEdit<'_> {
    type Target = Hash;

    fn deref(&self) -> &Hash {
        let ValueRef::Hash(hash) = self.0.value() else { unreachable!("the type was checked") };
        hash
    }
}

impl HashEdit<'_> {
    fn inner(&mut self) -> &mut Hash {
        let Some(Value::Hash(hash)) = self.0.object_mut() else {
            unreachable!("the type was checked")
        };
        hash
    }

    /// Sets a field; true if it is new.
    pub(crate) fn set(&mut self, field: &[u8], value: &[u8]) -> bool {
        self.put(field, value, Effect::HashSet { field, value })
    }

    /// Sets a field to the result of an addition; true if it is new.
    pub(crate) fn incr(&mut self, field: &[u8], delta: i64, result: i64) -> bool {
        let mut digits = itoa::Buffer::new();
        let value = digits.format(result).as_bytes();
        self.put(field, value, Effect::HashIncr { field, delta, result })
    }

    /// Sets a field to the result of an addition of floats, both as text; true if it is new.
    pub(crate) fn incr_float(&mut self, field: &[u8], delta: &[u8], result: &[u8]) -> bool {
        let old = self.0.merges().then(|| self.get(field).map(Box::<[u8]>::from)).flatten();
        let new = self.put(field, result, Effect::HashIncrFloat { field, delta, result });
        self.0.operation(|| match crate::merge::added(old.as_deref(), delta, result) {
            Some(added) => tandem_merge::KeyOp::FieldAdd(field.into(), added),
            None => tandem_merge::KeyOp::FieldSet(field.into(), result.into()),
        });
        new
    }

    fn put(&mut self, field: &[u8], value: &[u8], effect: Effect<'_>) -> bool {
        let limits = self.0.limits();
        let new = self.inner().insert(field, value, &limits);
        self.0.changed(effect);
        new
    }

    /// Removes a field. False if there is none.
    pub(crate) fn remove(&mut self, field: &[u8]) -> bool {
        let done = self.inner().remove(field);
        if done {
            self.0.changed(Effect::HashDel(field));
        }
        done
    }
}
