//! Which clients wait, for which keys, until when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tandem_types::{DB_COUNT, DbIndex, Monotonic};

use crate::ConnId;

/// The waiting clients. What each waits for lies in its session; here is how they are found.
#[derive(Debug, Default)]
pub(crate) struct Blocked {
    /// First come, first served, for each key of each database.
    by_key: [BTreeMap<Box<[u8]>, VecDeque<ConnId>>; DB_COUNT as usize],
    deadlines: BTreeSet<(Monotonic, ConnId)>,
    /// Those that wait for positions to move (`WAIT`, `WAITAOF`, `TANDEM WAITPOS`).
    by_position: BTreeSet<ConnId>,
    /// Those whose request waits for `CLIENT PAUSE` or a change of primary to end, in order.
    held: VecDeque<ConnId>,
    /// Clients that wait for keys.
    key_waiters: usize,
    /// Those of them that want to know when a key is gone.
    curious: usize,
}

impl Blocked {
    /// A `curious` client wants to know, too, when a key is gone.
    pub(crate) fn add_keys(
        &mut self,
        conn: ConnId,
        db: DbIndex,
        keys: &[Box<[u8]>],
        curious: bool,
    ) {
        self.key_waiters += 1;
        self.curious += usize::from(curious);
        for key in keys {
            let queue = self.by_key[db.index()].entry(key.clone()).or_default();
            // A key named twice: this client is the last that came.
            if queue.back() != Some(&conn) {
                queue.push_back(conn);
            }
        }
    }

    /// Undoes [`Self::add_keys`] of the same.
    pub(crate) fn remove_keys(
        &mut self,
        conn: ConnId,
        db: DbIndex,
        keys: &[Box<[u8]>],
        curious: bool,
    ) {
        self.key_waiters = self.key_waiters.saturating_sub(1);
        self.curious = self.curious.saturating_sub(usize::from(curious));
        let by_key = &mut self.by_key[db.index()];
        for key in keys {
            if let Some(queue) = by_key.get_mut(key) {
                // Mostly it is the first, which was just served.
                if queue.front() == Some(&conn) {
                    queue.pop_front();
                } else {
                    queue.retain(|&waiter| waiter != conn);
                }
                if queue.is_empty() {
                    by_key.remove(key);
                }
            }
        }
    }

    /// Whether anybody wants to know when a key is gone.
    pub(crate) const fn has_curious(&self) -> bool {
        self.curious > 0
    }

    /// The client that waits for a key as number `place`, in the order they came.
    pub(crate) fn waiter_for(&self, db: DbIndex, key: &[u8], place: usize) -> Option<ConnId> {
        self.by_key[db.index()].get(key)?.get(place).copied()
    }

    pub(crate) fn add_deadline(&mut self, conn: ConnId, until: Option<Monotonic>) {
        if let Some(until) = until {
            self.deadlines.insert((until, conn));
        }
    }

    pub(crate) fn remove_deadline(&mut self, conn: ConnId, until: Option<Monotonic>) {
        if let Some(until) = until {
            self.deadlines.remove(&(until, conn));
        }
    }

    /// Takes a client whose time is up.
    pub(crate) fn take_due(&mut self, now: Monotonic) -> Option<ConnId> {
        let &(until, conn) = self.deadlines.first()?;
        if until > now {
            return None;
        }
        self.deadlines.pop_first();
        Some(conn)
    }

    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        self.deadlines.first().map(|&(until, _)| until)
    }

    pub(crate) fn add_position(&mut self, conn: ConnId) {
        self.by_position.insert(conn);
    }

    pub(crate) fn remove_position(&mut self, conn: ConnId) {
        self.by_position.remove(&conn);
    }

    pub(crate) fn position_waiters(&self) -> Vec<ConnId> {
        self.by_position.iter().copied().collect()
    }

    pub(crate) fn has_position_waiters(&self) -> bool {
        !self.by_position.is_empty()
    }

    pub(crate) fn add_held(&mut self, conn: ConnId) {
        self.held.push_back(conn);
    }

    pub(crate) fn remove_held(&mut self, conn: ConnId) {
        self.held.retain(|&held| held != conn);
    }

    /// All clients whose requests are held back, in the order they came.
    pub(crate) fn take_held(&mut self) -> Vec<ConnId> {
        std::mem::take(&mut self.held).into()
    }

    pub(crate) fn has_held(&self) -> bool {
        !self.held.is_empty()
    }

    pub(crate) fn held_count(&self) -> usize {
        self.held.len()
    }

    /// What `INFO` calls blocked clients.
    pub(crate) fn count(&self) -> usize {
        self.key_waiters + self.by_position.len()
    }

    /// What `INFO` calls the blocking keys.
    pub(crate) fn key_count(&self) -> usize {
        self.by_key.iter().map(BTreeMap::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_come_first_served_for_each_key() {
        let mut blocked = Blocked::default();
        let (one, two) = (ConnId::new(1, 0), ConnId::new(2, 0));
        let key = |text: &[u8]| Box::from(text);
        blocked.add_keys(two, DbIndex::ZERO, &[key(b"a"), key(b"b"), key(b"a")], false);
        blocked.add_keys(one, DbIndex::ZERO, &[key(b"a")], false);
        let waiter = |blocked: &Blocked, key: &[u8], at| blocked.waiter_for(DbIndex::ZERO, key, at);
        assert_eq!(waiter(&blocked, b"a", 0), Some(two));
        assert_eq!(waiter(&blocked, b"a", 1), Some(one));
        assert_eq!(waiter(&blocked, b"a", 2), None);
        assert_eq!(blocked.count(), 2);
        blocked.remove_keys(two, DbIndex::ZERO, &[key(b"a"), key(b"b"), key(b"a")], false);
        assert_eq!(waiter(&blocked, b"a", 0), Some(one));
        assert_eq!(waiter(&blocked, b"b", 0), None);
        assert_eq!(blocked.key_count(), 1);
    }

    #[test]
    fn deadlines_come_in_order() {
        let mut blocked = Blocked::default();
        let (one, two) = (ConnId::new(1, 0), ConnId::new(2, 0));
        blocked.add_deadline(one, Some(Monotonic::from_millis(20)));
        blocked.add_deadline(two, Some(Monotonic::from_millis(10)));
        assert_eq!(blocked.next_deadline(), Some(Monotonic::from_millis(10)));
        assert_eq!(blocked.take_due(Monotonic::from_millis(15)), Some(two));
        assert_eq!(blocked.take_due(Monotonic::from_millis(15)), None);
        blocked.remove_deadline(one, Some(Monotonic::from_millis(20)));
        assert_eq!(blocked.next_deadline(), None);
    }
}
