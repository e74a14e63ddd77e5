//! Beats for the supervisor while one command takes long.
//!
//! The data thread beats by itself, so that one that hangs is noticed and killed (`switch.watchdog`). A command
//! that keeps it busy for longer than that is slow, not hung: killing the node would lose the command for its
//! client, who asks again, of the next node. What tells the two apart is processor time: a thread that works
//! uses it, one that waits for a dead disk, or is stopped, does not.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use std::{fs, io, process, thread};

use tandem_server::{TurnClock, clock};
use tandem_switch::BootId;
use tandem_types::Monotonic;

use crate::serve::lifeline::Lifeline;

/// How often it is looked at; also how long a turn lasts at least before it needs help.
const EVERY: Duration = Duration::from_millis(250);

/// The lifeline, and which boot the data thread last said it is.
#[derive(Debug)]
pub(crate) struct Beats {
    lifeline: Lifeline,
    boot: Mutex<Option<BootId>>,
}

impl Beats {
    /// Of the data thread, which is this process' first; a thread beside it helps out until these are dropped.
    pub(crate) fn start(lifeline: Lifeline, turns: TurnClock) -> io::Result<Arc<Self>> {
        let beats = Arc::new(Self { lifeline, boot: Mutex::new(None) });
        let helped = Arc::downgrade(&beats);
        thread::Builder::new().name("busy".to_owned()).spawn(move || help_out(&helped, &turns))?;
        Ok(beats)
    }

    /// The data thread lives.
    pub(crate) fn beat(&self, boot: Option<BootId>) {
        *self.boot.lock().unwrap_or_else(PoisonError::into_inner) = boot;
        self.lifeline.beat(boot);
    }

    fn beat_again(&self) {
        self.lifeline.beat(*self.boot.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn help_out(helped: &Weak<Beats>, turns: &TurnClock) {
    let mut work = Work::default();
    loop {
        thread::sleep(EVERY);
        let Some(beats) = helped.upgrade() else { return };
        let Some(begun) = turns.begun() else {
            work = Work::default();
            continue;
        };
        if clock::monotonic().since(begun) >= EVERY && work.goes_on(begun, processor_time()) {
            beats.beat_again();
        }
    }
}

/// What was last seen of one turn.
#[derive(Debug, Default)]
struct Work {
    seen: Option<(Monotonic, u64)>,
}

impl Work {
    /// Whether the turn that `begun` then has used processor time since it was last looked at.
    fn goes_on(&mut self, begun: Monotonic, ticks: Option<u64>) -> bool {
        let before = self.seen;
        self.seen = ticks.map(|ticks| (begun, ticks));
        match (before, self.seen) {
            (Some((same, before)), Some((_, now))) => same == begun && now > before,
            _ => false,
        }
    }
}

/// What the first thread has used, in the system's ticks (10 ms); `None`: it cannot be told.
fn processor_time() -> Option<u64> {
    let id = process::id();
    ticks(&fs::read_to_string(format!("/proc/self/task/{id}/stat")).ok()?)
}

/// User and system time of a `stat` line (proc(5)): fields 14 and 15, counted behind the name, which may hold
/// anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).map_while(|field| field.parse().ok());
    let (user, system): (u64, u64) = (times.next()?, times.next()?);
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_goes_on_while_it_uses_the_processor() {
        let (first, second) = (Monotonic::from_millis(1_000), Monotonic::from_millis(9_000));
        let mut work = Work::default();
        assert!(!work.goes_on(first, Some(70)), "one look tells nothing");
        assert!(work.goes_on(first, Some(90)));
        assert!(!work.goes_on(first, Some(90)), "it waits for something");
        assert!(!work.goes_on(second, Some(200)), "another turn");
        assert!(!work.goes_on(second, None));
    }

    #[test]
    fn the_time_is_found_behind_any_name() {
        let line = "77 (a) 1 (b) R 1 77 77 0 -1 4194560 500 0 0 0 30 12 0 0 20 0 9 0 100 0 0";
        assert_eq!(ticks(line), Some(42));
        assert_eq!(ticks("77 (tandem) R 1"), None);
        assert!(processor_time().is_some());
    }
}
