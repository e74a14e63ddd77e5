//! The time of the running script.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// When the running script must have ended, and whether it had not; one for all parts of an interpreter.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    stopwatch: Option<fn() -> u64>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    deadline: AtomicU64,
    expired: AtomicBool,
}

/// What ends a script whose time is up; nobody sees its text.
pub(crate) fn time_is_up() -> mlua::Error {
    mlua::Error::runtime("the time is up")
}

impl Clock {
    pub(crate) fn new(stopwatch: Option<fn() -> u64>) -> Self {
        Self { stopwatch, shared: Arc::default() }
    }

    /// A run begins.
    pub(crate) fn start(&self, time: Duration) {
        self.shared.expired.store(false, Ordering::Relaxed);
        if let Some(stopwatch) = self.stopwatch {
            let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            self.shared.deadline.store(stopwatch().saturating_add(time), Ordering::Relaxed);
        }
    }

    /// Looks whether the time is up. Once it is, it stays so.
    pub(crate) fn look(&self) -> mlua::Result<()> {
        let deadline = self.shared.deadline.load(Ordering::Relaxed);
        if self.stopwatch.is_some_and(|stopwatch| stopwatch() >= deadline) {
            self.shared.expired.store(true, Ordering::Relaxed);
        }
        if self.has_expired() { Err(time_is_up()) } else { Ok(()) }
    }

    pub(crate) fn has_expired(&self) -> bool {
        self.shared.expired.load(Ordering::Relaxed)
    }
}
