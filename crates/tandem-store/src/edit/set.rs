//! Changing a set.

use std::ops::Deref;

use super::Edit;
use crate::effect::Effect;
use crate::failure::Failure;
use crate::key::Key;
use crate::keys::Keys;
use crate::value::set::Set;
use crate::value::{Value, ValueRef};

/// A set that is being changed; reads go through to it.
#[derive(Debug)]
pub(crate) struct SetEdit<'s>(Edit<'s>);

impl Keys<'_> {
    /// Opens the set at a key, if there is one.
    pub(crate) fn edit_set<'s>(&'s mut self, key: Key<'s>) -> Result<Option<SetEdit<'s>>, Failure> {
        Edit::existing(self, key).map(checked).transpose()
    }

    /// Opens the set at a key, a new one if there is none; a new one that stays empty leaves nothing.
    pub(crate) fn edit_or_create_set<'s>(
        &'s mut self,
        key: Key<'s>,
    ) -> Result<SetEdit<'s>, Failure> {
        checked(Edit::existing_or(self, key, || Value::Set(Set::default())))
    }
}

fn checked(edit: Edit<'_>) -> Result<SetEdit<'_>, Failure> {
    if matches!(edit.value(), ValueRef::Set(_)) {
        Ok(SetEdit(edit))
    } else {
        Err(Failure::WrongType)
    }
}

impl Deref for SetEdit<'_> {
    type Target = Set;

    fn deref(&self) -> &Set {
        let ValueRef::Set(set) = self.0.value() else { unreachable!("the type was checked") };
        set
    }
}

impl SetEdit<'_> {
    fn inner(&mut self) -> &mut Set {
        let Some(Value::Set(set)) = self.0.object_mut() else {
            unreachable!("the type was checked")
        };
        set
    }

    /// Adds a member; false if it was in already, which is no change.
    pub(crate) fn add(&mut self, member: &[u8]) -> bool {
        let limits = self.0.limits();
        let new = self.inner().insert(member, &limits);
        if new {
            self.0.changed(Effect::SetAdd(member));
        } else {
            // With two writers, adding again must win against a removal that did not see it.
            self.0.operation(|| tandem_merge::KeyOp::MemberAdd(member.into()));
        }
        new
    }

    /// Removes a member. False if it was not in.
    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let done = self.inner().remove(member);
        if done {
            self.0.changed(Effect::SetRem(member));
        }
        done
    }
}
