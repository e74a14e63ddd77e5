//! A primary that stood still: stopped and continued, or its machine was paused.
//!
//! Meanwhile a person, or the rules, may have made the peer primary. With a mediator the leases forbid an answer
//! then (R6). Without one only the peer can tell: what a primary has to say after a pause waits until the peer has
//! answered a question asked after it, or has not come back for a while. Then it goes on as any primary does that
//! sees nobody.

use std::time::Duration;

use tandem_replication::heart;
use tandem_types::Monotonic;

use super::Node;
use crate::SwitchBy;

/// A peer that lives tries to connect at least every second.
const COMES_BACK: Duration = Duration::from_secs(2);

/// Whether this node stood still, and has not heard its peer since.
#[derive(Debug, Default)]
pub(super) struct Awaking {
    /// When the last turn ended.
    turn_ended: Option<Monotonic>,
    /// Whether the link was up then.
    linked: bool,
    /// When it came to itself.
    since: Option<Monotonic>,
}

impl Awaking {
    /// A turn ends; true if it was part of a pause. A primary has a turn every tenth of a second.
    fn turn_ends(&mut self, now: Monotonic, linked: bool, failure_timeout: Duration) -> bool {
        let before = self.turn_ended.replace(now);
        let was_linked = std::mem::replace(&mut self.linked, linked);
        // The peer gives up a whole timeout after the last sign of life, which was a fifth of it old.
        let paused = was_linked && before.is_some_and(|at| now.since(at) >= failure_timeout / 2);
        if paused {
            self.since = Some(now);
        } else if self.deadline(failure_timeout).is_some_and(|deadline| now >= deadline) {
            self.since = None;
        }
        paused
    }

    /// When answers go on without the peer.
    fn deadline(&self, failure_timeout: Duration) -> Option<Monotonic> {
        self.since.map(|since| since.plus(failure_timeout).plus(COMES_BACK))
    }

    /// The peer has answered what was asked at `asked`.
    fn answered(&mut self, asked: Monotonic) {
        if self.since.is_some_and(|since| asked >= since) {
            self.since = None;
        }
    }
}

impl Node {
    /// Whether answers wait for the peer after a pause.
    pub(super) const fn is_awaking(&self) -> bool {
        self.link.awaking.since.is_some()
    }

    /// Notices at the end of a turn that it was part of a pause.
    pub(super) fn notice_pause(&mut self) {
        let settings = &self.core.settings;
        let tells_alone =
            self.is_primary() && settings.switch_by != SwitchBy::Mediator && !self.is_one_of_two();
        if !tells_alone {
            self.link.awaking = Awaking::default();
            return;
        }
        let was_awaking = self.is_awaking();
        let (now, linked) = (self.core.now.mono, self.link.is_up());
        if self.link.awaking.turn_ends(now, linked, settings.failure_timeout) {
            self.beat(heart::Input::Ask);
        }
        if was_awaking || self.is_awaking() {
            self.refresh_right();
        }
    }

    /// The peer has answered a heartbeat sent at `asked`.
    pub(super) fn peer_answered(&mut self, asked: Monotonic) {
        if self.is_awaking() {
            self.link.awaking.answered(asked);
            self.refresh_right();
        }
    }

    /// When answers go on without the peer.
    pub(super) fn awaking_deadline(&self) -> Option<Monotonic> {
        self.link.awaking.deadline(self.core.settings.failure_timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(2);

    fn at(ms: u64) -> Monotonic {
        Monotonic::from_millis(ms)
    }

    fn paused() -> Awaking {
        let mut awaking = Awaking::default();
        assert!(!awaking.turn_ends(at(100), true, TIMEOUT), "the first turn");
        assert!(!awaking.turn_ends(at(1_000), true, TIMEOUT), "a slow one");
        assert!(awaking.turn_ends(at(9_000), false, TIMEOUT));
        awaking
    }

    #[test]
    fn after_a_pause_only_a_new_answer_counts() {
        let mut awaking = paused();
        awaking.answered(at(8_999));
        assert!(awaking.since.is_some(), "asked before it");
        awaking.answered(at(9_000));
        assert!(awaking.since.is_none());
    }

    #[test]
    fn a_peer_that_does_not_come_back_holds_answers_for_a_while() {
        let mut awaking = paused();
        awaking.turn_ends(at(9_500), false, TIMEOUT);
        awaking.turn_ends(at(12_999), false, TIMEOUT);
        assert!(awaking.since.is_some());
        awaking.turn_ends(at(13_000), false, TIMEOUT);
        assert!(awaking.since.is_none());
    }

    #[test]
    fn a_primary_that_had_no_link_before_asks_nobody() {
        let mut awaking = Awaking::default();
        awaking.turn_ends(at(100), false, TIMEOUT);
        assert!(!awaking.turn_ends(at(9_000), false, TIMEOUT));
        assert!(awaking.since.is_none());
    }
}
