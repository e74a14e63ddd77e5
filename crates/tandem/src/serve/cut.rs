//! A cut cable to the mediator, for drills.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Until when the mediator must neither be asked nor heard; shared by who cuts and who would pass on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cut {
    until: Arc<Mutex<Option<Instant>>>,
}

impl Cut {
    /// From now on, for this long.
    pub(crate) fn cut(&self, time: Duration) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + time);
    }

    /// How much longer; `None`: all is whole.
    pub(crate) fn left(&self) -> Option<Duration> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until?.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_ends_by_itself() {
        let cut = Cut::default();
        assert_eq!(cut.left(), None);
        let shared = cut.clone();
        shared.cut(Duration::from_mins(1));
        assert!(cut.left().is_some_and(|left| left > Duration::from_secs(59)));
        cut.cut(Duration::ZERO);
        assert_eq!(shared.left(), None);
    }
}
