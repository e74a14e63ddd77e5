//! Waiting for a fact, with a deadline: the only way tests wait.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Between two looks. Short against every deadline, long enough not to load a two-core machine.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// Looks again and again until `look` gives `Ok`; panics with the last `Err` after `deadline`.
#[track_caller]
pub fn until<T, E: Debug>(what: &str, deadline: Duration, look: impl FnMut() -> Result<T, E>) -> T {
    until_every(POLL_EVERY, what, deadline, look)
}

/// As [`until`] without a pause between two looks, for what lasts only milliseconds.
#[track_caller]
pub fn until_glimpsed<T, E: Debug>(
    what: &str,
    deadline: Duration,
    look: impl FnMut() -> Result<T, E>,
) -> T {
    until_every(Duration::ZERO, what, deadline, look)
}

#[track_caller]
fn until_every<T, E: Debug>(
    pause: Duration,
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> Result<T, E>,
) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(last) => {
                assert!(
                    start.elapsed() < deadline,
                    "waited {deadline:?} for: {what}; last seen: {last:?}"
                );
            }
        }
        std::thread::sleep(pause);
    }
}

/// As [`until`], for a condition that has nothing to say while it is false.
#[track_caller]
pub fn until_true(what: &str, deadline: Duration, mut look: impl FnMut() -> bool) {
    until(what, deadline, || if look() { Ok(()) } else { Err("not yet") });
}

/// Checks that `look` stays true for `span` (for facts of the kind "it does not happen").
#[track_caller]
pub fn stays_true(what: &str, span: Duration, mut look: impl FnMut() -> bool) {
    let start = Instant::now();
    while start.elapsed() < span {
        assert!(look(), "ended after {:?}: {what}", start.elapsed());
        std::thread::sleep(POLL_EVERY);
    }
}
