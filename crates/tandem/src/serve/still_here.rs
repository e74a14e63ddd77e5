//! A sign of life at the mediator while one command takes long.
//!
//! The data thread vouches for its node by itself, so that a loop that is stuck falls silent (R11). But a
//! union of large sets, or all keys of many millions, may keep it for longer than a session lasts, and its
//! node is then busy, not gone: a peer that took over would take over from a healthy primary, and any client
//! could cause it. So what the data thread last said of itself is said again while its turn lasts, up to
//! `slow_after`: from then on it counts as failed, whatever it is doing. A process that is stopped or a machine
//! that stands still says nothing here either.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tandem_config::Config;
use tandem_server::{TurnClock, clock};
use tandem_switch::{MediatorRequest, Presence};
use tandem_types::Monotonic;
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};

use crate::serve::mediator::Ask;

/// The longest turn that is no failure where `slow_after` is off: its default.
const BUSY_TIME_MAX: Duration = Duration::from_secs(3);

/// What is known of the data thread's signs of life.
#[derive(Debug)]
struct Signs {
    /// Shorter turns need no help: the data thread vouches this often.
    every: Duration,
    /// Longer turns get none.
    busy_max: Duration,
    /// The last one, and when it was given.
    last: Option<(Monotonic, Presence)>,
}

impl Signs {
    /// What to say now in a turn that `begun` then; a node that had stopped to vouch before stays silent.
    fn due(&self, now: Monotonic, begun: Option<Monotonic>) -> Option<Presence> {
        let begun = begun?;
        let (said, presence) = self.last?;
        let busy = now.since(begun);
        let vouched_until_then = begun.since(said) <= self.every * 2;
        (vouched_until_then && busy >= self.every && busy < self.busy_max).then_some(presence)
    }
}

/// `ask`, which also helps out while the data thread is busy.
pub(crate) fn help_out(runtime: &Handle, config: &Config, turns: TurnClock, ask: Ask) -> Ask {
    let switch = &config.switch;
    let every = switch.mediator.session.min(switch.failure_timeout) / 4;
    let busy_max = switch.slow_after.unwrap_or(BUSY_TIME_MAX);
    let shared = Arc::new(Mutex::new((Signs { every, busy_max, last: None }, ask)));
    let helped = Arc::downgrade(&shared);
    runtime.spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // Gone: the node has ended.
            let Some(shared) = helped.upgrade() else { return };
            let Some(begun) = turns.begun() else { continue };
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let (signs, ask) = &mut *shared;
            if let Some(presence) = signs.due(clock::monotonic(), Some(begun)) {
                ask(MediatorRequest::Vouch(presence));
            }
        }
    });
    Box::new(move |request| {
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let (signs, ask) = &mut *shared;
        if let MediatorRequest::Vouch(presence) = &request {
            signs.last = Some((clock::monotonic(), *presence));
        }
        ask(request);
    })
}

#[cfg(test)]
mod tests {
    use tandem_switch::BootId;
    use tandem_types::{Epoch, Incarnation, PairId, Role};

    use super::*;

    const fn at(millis: u64) -> Monotonic {
        Monotonic::from_millis(millis)
    }

    #[test]
    fn a_long_turn_is_vouched_for_until_it_counts_as_failure() {
        let boot = BootId { incarnation: Incarnation::new(1), boot: 1 };
        let presence =
            Presence { boot, pair_id: PairId::NONE, epoch_seen: Epoch::ZERO, role: Role::Primary };
        let (every, busy_max) = (Duration::from_millis(250), Duration::from_secs(3));
        let mut signs = Signs { every, busy_max, last: None };
        assert_eq!(signs.due(at(5_000), Some(at(1_000))), None, "it has never vouched");
        signs.last = Some((at(900), presence));
        assert_eq!(signs.due(at(5_000), None), None, "it waits for events");
        for (now, said) in [(1_100, false), (1_250, true), (3_999, true), (4_000, false)] {
            assert_eq!(signs.due(at(now), Some(at(1_000))).is_some(), said, "{now}");
        }
        assert_eq!(signs.due(at(2_000), Some(at(1_500))), None, "it had stopped to vouch");
    }
}
