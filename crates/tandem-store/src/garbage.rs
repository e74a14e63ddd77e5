//! Values too big to be freed on the thread that serves clients.

use crate::database::Database;
use crate::value::Value;

/// Something to drop on another thread.
///
/// Freeing ten million small allocations takes a second; the loop hands them over instead.
#[derive(Debug)]
#[expect(dead_code, reason = "held only to be dropped elsewhere")]
pub struct Garbage(Inner);

#[derive(Debug)]
#[expect(dead_code, reason = "held only to be dropped elsewhere")]
enum Inner {
    Value(Value),
    Database(Box<Database>),
}

/// Elements from which on a collection is freed elsewhere (Redis: `LAZYFREE_THRESHOLD`).
const WEIGHT_MIN: usize = 64;
/// Bytes from which on a string is freed elsewhere.
const BYTES_MIN: usize = 256 << 10;

/// Garbage that waits to be taken.
#[derive(Debug, Default)]
pub(crate) struct GarbageBin(Vec<Garbage>);

impl GarbageBin {
    /// Drops a value, here if that is quick.
    #[inline]
    pub(crate) fn discard(&mut self, value: Option<Value>) {
        if let Some(value) = value
            && (value.weight() > WEIGHT_MIN || value.memory() > BYTES_MIN)
        {
            self.0.push(Garbage(Inner::Value(value)));
        }
    }

    pub(crate) fn discard_database(&mut self, database: Box<Database>) {
        self.0.push(Garbage(Inner::Database(database)));
    }

    pub(crate) fn take(&mut self) -> Option<Garbage> {
        self.0.pop()
    }
}

const _: () = {
    const fn sent_to_another_thread<T: Send>() {}
    sent_to_another_thread::<Garbage>();
};
