//! Removing keys whose deadline has passed, a bounded number at a time.

use super::Hint;
use crate::keys::Keys;

impl Keys<'_> {
    /// Removes keys whose deadline has passed; returns how many hints it looked at, at most `count`.
    pub(crate) fn expire_due(&mut self, count: usize) -> usize {
        let Some(database) = self.store.databases[self.db.index()].as_deref_mut() else { return 0 };
        let mut due = Vec::new();
        database.expiry.take_due(self.now, count, &mut due);
        for hint in &due {
            self.expire_hinted(*hint);
        }
        due.len()
    }

    /// Looks at the entries that a hint may mean: removes those that are over, files the others again.
    fn expire_hinted(&mut self, hint: Hint) {
        loop {
            let Some(database) = self.database() else { return };
            let candidates = database.slot(hint.slot()).table.iter_hash(hint.hash());
            let mut over = None;
            let mut later = None;
            for entry in candidates {
                // Other entries of the same group come along: only the same hash is meant.
                if self.store.hasher.hash(entry.key()) != hint.hash() {
                    continue;
                }
                match entry.deadline() {
                    Some(deadline) if self.now > deadline => over = Some(entry.key().to_vec()),
                    Some(deadline) => later = Some(deadline),
                    None => {}
                }
            }
            let Some(key) = over else {
                if let (Some(deadline), Some(database)) =
                    (later, self.store.databases[self.db.index()].as_deref_mut())
                {
                    database.expiry.file(hint, deadline);
                }
                return;
            };
            let key = self.store.hasher.key(&key);
            // Opening an expired entry is what removes it.
            let still_there = self.open_existing(key).is_some();
            assert!(!still_there, "an entry is over and yet it is not");
        }
    }
}
