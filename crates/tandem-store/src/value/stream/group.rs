//! A consumer group of a stream: how far it has read, who reads, and what was not acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tandem_types::WallMillis;

use super::id::StreamId;

/// A consumer group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// The last entry that was given to anybody.
    pub(crate) last_delivered: StreamId,
    /// How many entries were read, deleted ones included; `None`: not known any more.
    pub(crate) entries_read: Option<u64>,
    pending: BTreeMap<StreamId, Pending>,
    consumers: BTreeMap<Arc<[u8]>, Consumer>,
    /// Bytes of the consumers' names.
    name_bytes: usize,
}

/// An entry that was given to a consumer and not acknowledged.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Pending {
    /// Who has it.
    pub(crate) consumer: Arc<[u8]>,
    /// When it was given to it last.
    pub(crate) delivered: WallMillis,
    /// How often it was given to somebody.
    pub(crate) deliveries: u64,
}

/// Who reads.
#[derive(Debug, Default)]
pub(crate) struct Consumer {
    /// When it asked last; up to a second behind while there is nothing to give.
    pub(crate) seen: WallMillis,
    pending: BTreeSet<StreamId>,
}

/// Bytes of a tree's entry beside key and value, about.
const NODE_BYTES: usize = 16;

impl Group {
    pub(crate) const fn new(last_delivered: StreamId, entries_read: Option<u64>) -> Self {
        let pending = BTreeMap::new();
        let consumers = BTreeMap::new();
        Self { last_delivered, entries_read, pending, consumers, name_bytes: 0 }
    }

    /// All that was not acknowledged, by id.
    pub(crate) const fn pending(&self) -> &BTreeMap<StreamId, Pending> {
        &self.pending
    }

    /// Its consumers by name.
    pub(crate) const fn consumers(&self) -> &BTreeMap<Arc<[u8]>, Consumer> {
        &self.consumers
    }

    pub(crate) fn consumer(&self, name: &[u8]) -> Option<&Consumer> {
        self.consumers.get(name)
    }

    /// Heap bytes, about: constant time.
    pub(crate) fn memory(&self) -> usize {
        // Each pending entry is in two trees.
        let pending = size_of::<Pending>() + 2 * (size_of::<StreamId>() + NODE_BYTES);
        let consumer = size_of::<Consumer>() + size_of::<Arc<[u8]>>() + 4 * NODE_BYTES;
        self.pending.len() * pending + self.consumers.len() * consumer + self.name_bytes
    }

    /// Notes that a consumer asked; true if it is new.
    pub(super) fn see(&mut self, name: &[u8], seen: WallMillis) -> bool {
        if let Some(consumer) = self.consumers.get_mut(name) {
            consumer.seen = seen;
            return false;
        }
        self.name_bytes += name.len();
        self.consumers.insert(name.into(), Consumer { seen, pending: BTreeSet::new() });
        true
    }

    /// Gives an entry to a consumer (which is made if there is none), whoever had it before.
    pub(super) fn give(
        &mut self,
        id: StreamId,
        name: &[u8],
        delivered: WallMillis,
        deliveries: u64,
    ) {
        self.take_back(id);
        if !self.consumers.contains_key(name) {
            self.see(name, delivered);
        }
        let Some((consumer, _)) = self.consumers.get_key_value(name) else { return };
        let consumer = Arc::clone(consumer);
        if let Some(found) = self.consumers.get_mut(name) {
            found.pending.insert(id);
        }
        self.pending.insert(id, Pending { consumer, delivered, deliveries });
    }

    /// Nobody has to acknowledge this entry any more; false if nobody had to.
    pub(super) fn take_back(&mut self, id: StreamId) -> bool {
        let Some(pending) = self.pending.remove(&id) else { return false };
        if let Some(consumer) = self.consumers.get_mut(&pending.consumer) {
            consumer.pending.remove(&id);
        }
        true
    }

    /// Removes a consumer with all it had to acknowledge; false if there is none.
    pub(super) fn forget(&mut self, name: &[u8]) -> bool {
        let Some(consumer) = self.consumers.remove(name) else { return false };
        self.name_bytes -= name.len();
        for id in consumer.pending {
            self.pending.remove(&id);
        }
        true
    }
}

impl Consumer {
    /// What it has to acknowledge.
    pub(crate) const fn pending(&self) -> &BTreeSet<StreamId> {
        &self.pending
    }
}
