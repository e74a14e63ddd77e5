//! Whether the data thread is busy with one turn, as other threads see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tandem_types::Monotonic;

/// The data thread waits for events.
const WAITING: u64 = 0;

/// When the turn began that the data thread is busy with.
///
/// A thread that shows a sign of life in its place needs to know that it works, and since when: a command
/// that takes long (a union of large sets) is no dead node.
#[derive(Clone, Debug, Default)]
pub struct TurnClock {
    begun: Arc<AtomicU64>,
}

impl TurnClock {
    /// When the running turn began; `None` while the data thread waits for events.
    pub fn begun(&self) -> Option<Monotonic> {
        match self.begun.load(Ordering::Relaxed) {
            WAITING => None,
            nanos => Some(Monotonic::from_nanos(nanos)),
        }
    }

    pub(crate) fn begin(&self, now: Monotonic) {
        self.begun.store(now.as_nanos(), Ordering::Relaxed);
    }

    pub(crate) fn end(&self) {
        self.begun.store(WAITING, Ordering::Relaxed);
    }
}
