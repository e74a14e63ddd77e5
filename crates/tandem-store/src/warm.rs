//! Fetching memory ahead of a batch of commands.
//!
//! A key that is not in the processor's caches costs three memory accesses in a row: control bytes,
//! table entry, the entry's bytes. For one command they have to be waited for. For a pipeline of
//! commands they can overlap: each step here touches one of them for all keys before the next one is
//! touched for any, and the processor runs such independent loads side by side.
//! (Valkey 8 does the same with prefetch instructions, which safe Rust does not have.)

use std::hint::black_box;

use tandem_types::DbIndex;

use crate::database::Database;
use crate::entry::Entry;
use crate::store::Store;

/// Keys that are looked at together; more are done in turns.
const TOGETHER: usize = 16;

impl Store {
    /// Brings into the caches what commands on these keys will need. Changes nothing, and is never
    /// needed: worth its 10 to 20 ns per key if four or more commands are about to run.
    pub fn warm(&self, db: DbIndex, keys: &[&[u8]]) {
        let Some(database) = self.databases[db.index()].as_deref() else { return };
        for keys in keys.chunks(TOGETHER) {
            self.warm_together(database, keys);
        }
    }

    fn warm_together(&self, database: &Database, keys: &[&[u8]]) {
        let mut found: [Option<&Entry>; TOGETHER] = [None; TOGETHER];
        for (found, key) in found.iter_mut().zip(keys) {
            let key = self.hasher.key(key);
            // The first entry whose tag fits is nearly always the right one, and looking no further
            // keeps this step from waiting for the entry's bytes.
            *found = database.slot(key.slot).table.find(key.hash, |_| true);
        }
        let mut touched = 0u8;
        for entry in found.into_iter().flatten() {
            touched ^= entry.touch();
        }
        black_box(touched);
    }
}
