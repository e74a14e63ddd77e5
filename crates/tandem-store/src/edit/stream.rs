//! Changing a stream.

use std::ops::Deref;

use tandem_types::WallMillis;

use super::Edit;
use crate::effect::{Effect, StreamIds, pack_ids};
use crate::failure::Failure;
use crate::key::Key;
use crate::keys::Keys;
use crate::value::stream::fields::Fields;
use crate::value::stream::id::StreamId;
use crate::value::stream::{Head, Stream};
use crate::value::{Value, ValueRef};

/// A stream that is being changed; reads go through to it.
#[derive(Debug)]
pub(crate) struct StreamEdit<'s>(Edit<'s>);

/// A group of a stream, and one who reads in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'r> {
    pub(crate) group: &'r [u8],
    pub(crate) consumer: &'r [u8],
}

impl Keys<'_> {
    /// Opens the stream at a key, if there is one.
    pub(crate) fn edit_stream<'s>(
        &'s mut self,
        key: Key<'s>,
    ) -> Result<Option<StreamEdit<'s>>, Failure> {
        Edit::existing(self, key).map(checked).transpose()
    }

    /// Opens the stream at a key, a new one if there is none; a new one that is not changed leaves nothing.
    pub(crate) fn edit_or_create_stream<'s>(
        &'s mut self,
        key: Key<'s>,
    ) -> Result<StreamEdit<'s>, Failure> {
        checked(Edit::existing_or(self, key, || Value::Stream(Stream::default())))
    }
}

fn checked(edit: Edit<'_>) -> Result<StreamEdit<'_>, Failure> {
    if matches!(edit.value(), ValueRef::Stream(_)) {
        Ok(StreamEdit(edit))
    } else {
        Err(Failure::WrongType)
    }
}

impl Deref for StreamEdit<'_> {
    type Target = Stream;

    fn deref(&self) -> &Stream {
        let ValueRef::Stream(stream) = self.0.value() else { unreachable!("the type was checked") };
        stream
    }
}

impl StreamEdit<'_> {
    fn inner(&mut self) -> &mut Stream {
        let Some(Value::Stream(stream)) = self.0.object_mut() else {
            unreachable!("the type was checked")
        };
        stream
    }

    fn changed_if(&mut self, done: bool, effect: Effect<'_>) -> bool {
        if done {
            self.0.changed(effect);
        }
        done
    }

    /// Adds an entry. False if its id is not greater than all before it.
    pub(crate) fn add(&mut self, id: StreamId, fields: Fields<'_>) -> bool {
        let limits = self.0.limits();
        let done = self.inner().add(id, fields, &limits);
        self.changed_if(done, Effect::StreamAdd { id, fields: fields.packed() })
    }

    /// Deletes an entry by its id. False if there is none.
    pub(crate) fn delete(&mut self, id: StreamId) -> bool {
        let done = self.inner().delete(id);
        self.changed_if(done, Effect::StreamDel(id))
    }

    /// Removes the first entries. False if there are not so many, or none is to go.
    pub(crate) fn trim(&mut self, count: usize) -> bool {
        let done = count > 0 && count <= self.len();
        if done {
            self.inner().trim(count);
        }
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.changed_if(done, Effect::StreamTrim { count })
    }

    /// Sets what is known beside the entries. False if an entry has a greater id than the last one.
    pub(crate) fn set_head(&mut self, head: Head) -> bool {
        let done = self.inner().set_head(head);
        let Head { last_id, max_deleted, entries_added } = head;
        self.changed_if(done, Effect::StreamHead { last_id, max_deleted, entries_added })
    }

    /// Makes a group, or says anew how far it has read.
    pub(crate) fn set_group(&mut self, group: &[u8], last_id: StreamId, entries_read: Option<u64>) {
        self.inner().set_group(group, last_id, entries_read);
        self.0.changed(Effect::StreamGroup { group, last_id, entries_read });
    }

    /// Removes a group. False if there is none.
    pub(crate) fn remove_group(&mut self, group: &[u8]) -> bool {
        let done = self.inner().remove_group(group);
        self.changed_if(done, Effect::StreamGroupDel(group))
    }

    /// Notes that a consumer asked, which is made if there is none. False if there is no such group.
    pub(crate) fn see(&mut self, by: Reading<'_>, at: WallMillis) -> bool {
        let Reading { group, consumer } = by;
        let done = self.inner().see(group, consumer, at).is_some();
        self.changed_if(done, Effect::StreamSeen { group, consumer, at })
    }

    /// Removes a consumer, with what it had to acknowledge. False if there is none.
    pub(crate) fn forget(&mut self, by: Reading<'_>) -> bool {
        let Reading { group, consumer } = by;
        let done = self.inner().forget(group, consumer);
        self.changed_if(done, Effect::StreamConsumerDel { group, consumer })
    }

    /// Gives entries to a consumer to acknowledge. False if there is no such group.
    pub(crate) fn give(
        &mut self,
        by: Reading<'_>,
        at: WallMillis,
        deliveries: u64,
        ids: &[StreamId],
    ) -> bool {
        let packed = pack_ids(ids.iter().copied());
        self.give_packed(by, at, deliveries, StreamIds::packed_here(&packed))
    }

    /// As [`Self::give`].
    pub(crate) fn give_packed(
        &mut self,
        by: Reading<'_>,
        at: WallMillis,
        deliveries: u64,
        ids: StreamIds<'_>,
    ) -> bool {
        let Reading { group, consumer } = by;
        let stream = self.inner();
        let mut done = false;
        for id in ids.iter() {
            done = stream.give(group, consumer, id, at, deliveries);
        }
        self.changed_if(done, Effect::StreamGive { group, consumer, at, deliveries, ids })
    }

    /// Entries do not have to be acknowledged any more; how many of them had to.
    pub(crate) fn take_back(&mut self, group: &[u8], ids: impl Iterator<Item = StreamId>) -> usize {
        let stream = self.inner();
        let taken: Vec<StreamId> = ids.filter(|id| stream.take_back(group, *id)).collect();
        let packed = pack_ids(taken.iter().copied());
        let ids = StreamIds::packed_here(&packed);
        self.changed_if(!taken.is_empty(), Effect::StreamAck { group, ids });
        taken.len()
    }
}
