//! Streams: entries in the order of their ids, and the groups that read them.
//!
//! Unlike other collections a stream without entries is one: its last id and its groups are worth keeping.

pub(crate) mod codec;
pub(crate) mod entries;
pub(crate) mod fields;
pub(crate) mod group;
pub(crate) mod id;

use std::collections::BTreeMap;

use tandem_types::WallMillis;

use self::entries::Entries;
use self::fields::Fields;
use self::group::Group;
use self::id::StreamId;
use crate::settings::Limits;

/// A stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    entries: Entries,
    head: Head,
    groups: BTreeMap<Box<[u8]>, Group>,
    group_memory: usize,
}

/// What a stream knows beside its entries.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Head {
    /// The greatest id that was ever given.
    pub(crate) last_id: StreamId,
    /// The greatest id that was deleted by name; trimming does not count.
    pub(crate) max_deleted: StreamId,
    /// How many entries were ever added.
    pub(crate) entries_added: u64,
}

/// A group's place beside what it holds.
const GROUP_BYTES: usize = size_of::<Box<[u8]>>() + size_of::<Group>() + 16;

impl Stream {
    /// Number of entries.
    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) const fn head(&self) -> Head {
        self.head
    }

    pub(crate) const fn entries(&self) -> &Entries {
        &self.entries
    }

    pub(crate) const fn groups(&self) -> &BTreeMap<Box<[u8]>, Group> {
        &self.groups
    }

    pub(crate) fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    /// Heap bytes, about.
    pub(crate) const fn memory(&self) -> usize {
        self.entries.memory() + self.group_memory
    }

    /// Adds an entry; false if its id is not greater than all before it.
    pub(crate) fn add(&mut self, id: StreamId, fields: Fields<'_>, limits: &Limits) -> bool {
        if id <= self.head.last_id {
            return false;
        }
        self.entries.push(id, fields, limits);
        self.head.last_id = id;
        self.head.entries_added = self.head.entries_added.saturating_add(1);
        true
    }

    /// Deletes an entry by name; false if there is none.
    pub(crate) fn delete(&mut self, id: StreamId) -> bool {
        let done = self.entries.remove(id);
        if done {
            self.head.max_deleted = self.head.max_deleted.max(id);
        }
        done
    }

    /// Removes the first entries.
    pub(crate) fn trim(&mut self, count: usize) {
        self.entries.remove_first(count);
    }

    /// Sets what is known beside the entries; false if an entry has a greater id.
    pub(crate) fn set_head(&mut self, head: Head) -> bool {
        let fits = self.entries.last().is_none_or(|last| last <= head.last_id);
        if fits {
            self.head = head;
        }
        fits
    }

    /// Makes a group, or says anew how far it has read.
    pub(crate) fn set_group(&mut self, name: &[u8], last: StreamId, entries_read: Option<u64>) {
        if let Some(group) = self.groups.get_mut(name) {
            group.last_delivered = last;
            group.entries_read = entries_read;
            return;
        }
        self.group_memory += GROUP_BYTES + name.len();
        self.groups.insert(name.into(), Group::new(last, entries_read));
    }

    /// Removes a group; false if there is none.
    pub(crate) fn remove_group(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.groups.remove(name) else { return false };
        self.group_memory -= GROUP_BYTES + name.len() + group.memory();
        true
    }

    /// Notes that a consumer asked, which is made if there is none; `None`: no such group.
    pub(crate) fn see(&mut self, group: &[u8], consumer: &[u8], seen: WallMillis) -> Option<bool> {
        self.change_group(group, |group| group.see(consumer, seen))
    }

    /// Removes a consumer with all it had to acknowledge; false if there is none.
    pub(crate) fn forget(&mut self, group: &[u8], consumer: &[u8]) -> bool {
        self.change_group(group, |group| group.forget(consumer)).unwrap_or(false)
    }

    /// Gives an entry to a consumer; false if there is no such group.
    pub(crate) fn give(
        &mut self,
        group: &[u8],
        consumer: &[u8],
        id: StreamId,
        delivered: WallMillis,
        deliveries: u64,
    ) -> bool {
        self.change_group(group, |group| group.give(id, consumer, delivered, deliveries)).is_some()
    }

    /// An entry does not have to be acknowledged any more; false if nobody had to.
    pub(crate) fn take_back(&mut self, group: &[u8], id: StreamId) -> bool {
        self.change_group(group, |group| group.take_back(id)).unwrap_or(false)
    }

    fn change_group<T>(&mut self, name: &[u8], change: impl FnOnce(&mut Group) -> T) -> Option<T> {
        let group = self.groups.get_mut(name)?;
        self.group_memory -= group.memory();
        let changed = change(group);
        self.group_memory += group.memory();
        Some(changed)
    }

    /// Whether an entry from `start` on was deleted by name, as far as that matters to who reads on.
    fn has_deleted_from(&self, start: StreamId) -> bool {
        let deleted = self.head.max_deleted;
        deleted != StreamId::ZERO
            && start <= deleted
            && self.entries.first().is_some_and(|first| first <= deleted)
    }

    /// How many entries had been added when the one of this id was, if that can be known.
    ///
    /// As Redis 7 counts it, so that `XINFO` says the same.
    fn entries_up_to(&self, id: StreamId) -> Option<u64> {
        let Head { last_id, max_deleted, entries_added } = self.head;
        if entries_added == 0 {
            return Some(0);
        }
        if self.len() == 0 && id <= last_id {
            return Some(entries_added);
        }
        if id >= last_id {
            return (id == last_id).then_some(entries_added);
        }
        let first = self.entries.first()?;
        if max_deleted != StreamId::ZERO && max_deleted >= first {
            return None;
        }
        let gone = entries_added.checked_sub(u64::try_from(self.len()).ok()?)?;
        match id.cmp(&first) {
            std::cmp::Ordering::Less => Some(gone),
            std::cmp::Ordering::Equal => Some(gone + 1),
            std::cmp::Ordering::Greater => None,
        }
    }

    /// How many entries a group will have read once it is given the entry `id`, if that can be known.
    pub(crate) fn read_after(&self, read: Option<u64>, id: StreamId) -> Option<u64> {
        match read {
            Some(read) if !self.has_deleted_from(id) => Some(read.saturating_add(1)),
            _ if self.head.entries_added > 0 => self.entries_up_to(id),
            read => read,
        }
    }

    /// How many entries a group has still to read, if that can be known.
    pub(crate) fn lag(&self, group: &Group) -> Option<i64> {
        let added = self.head.entries_added;
        if added == 0 {
            return Some(0);
        }
        let read = match group.entries_read {
            Some(read) if !self.has_deleted_from(group.last_delivered) => read,
            _ => self.entries_up_to(group.last_delivered)?,
        };
        // Who set the count of a group too high is told so.
        Some(added.cast_signed().wrapping_sub(read.cast_signed()))
    }
}

#[cfg(test)]
mod tests;
