//! What ails this node, for the switch (R11): a disk that is full, or has not finished for long; requests
//! that wait for their turn.
//!
//! Everything that is handed to the log thread is noted with the time; what it reports as done is taken
//! off. So a disk that hangs is noticed by the very writes that wait for it, and by nothing beside them. What a
//! reply waits for after its command ran (the peer, above all) is no trouble of this node.

use std::collections::VecDeque;
use std::time::Duration;

use tandem_switch::Trouble;
use tandem_types::Monotonic;

use super::Node;
use crate::Fsync;

/// Times that are told apart; more would only tell the same time more exactly.
const MARKS_MAX: usize = 32;
/// A hang that goes on is told again this often.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Orders that are not done yet, by number, and since when.
#[derive(Debug, Default)]
struct Outstanding {
    marks: VecDeque<(u64, Monotonic)>,
}

impl Outstanding {
    /// Everything up to `number` has been handed out by `now`.
    fn handed(&mut self, number: u64, now: Monotonic) {
        let full = self.marks.len() >= MARKS_MAX;
        match self.marks.back_mut() {
            Some((last, at)) if *at == now => *last = number,
            // The latest ones seem younger than they are: that only delays a verdict on them.
            Some((last, at)) if full => (*last, *at) = (number, now),
            _ => self.marks.push_back((number, now)),
        }
    }

    /// Everything up to `number` is done.
    fn done(&mut self, number: u64) {
        while self.marks.front().is_some_and(|&(first, _)| first <= number) {
            self.marks.pop_front();
        }
    }

    fn since(&self) -> Option<Monotonic> {
        self.marks.front().map(|&(_, at)| at)
    }
}

/// Health of this node.
#[derive(Debug, Default)]
pub(super) struct Health {
    records: Outstanding,
    states: Outstanding,
    /// Records whose writers wait for an answer.
    answers: Outstanding,
    /// What every request of the last second had to wait before it was carried out.
    waited: Duration,
    told: Option<Trouble>,
}

impl Health {
    pub(super) fn record_handed(&mut self, end: tandem_types::Lsn, now: Monotonic) {
        self.records.handed(end.get(), now);
        self.answers.handed(end.get(), now);
    }

    /// Everything before `end` may be answered.
    pub(super) fn answered(&mut self, end: tandem_types::Lsn) {
        self.answers.done(end.get());
    }

    /// Since when the oldest record has waited to be answered.
    pub(super) fn unanswered_since(&self) -> Option<Monotonic> {
        self.answers.since()
    }

    pub(super) fn state_handed(&mut self, seq: u64, now: Monotonic) {
        self.states.handed(seq, now);
    }

    pub(super) fn state_done(&mut self, seq: u64) {
        self.states.done(seq);
    }

    fn since(&self) -> Option<Monotonic> {
        [self.records.since(), self.states.since()].into_iter().flatten().min()
    }
}

impl Node {
    /// The log has come this far.
    pub(super) fn records_done(&mut self) {
        let at = self.core.positions;
        let end = match self.core.settings.fsync {
            Fsync::Always => at.durable_end,
            // Nobody waits for the sync; a disk that hangs stops the writes too.
            Fsync::Interval(_) | Fsync::Never => at.written_end,
        };
        self.health.records.done(end.get());
    }

    /// Tells the switch when something begins or ceases to ail this node.
    pub(super) fn look_at_health(&mut self) {
        let trouble = self.trouble();
        let same = match (self.health.told, trouble) {
            (Some(Trouble::SlowDisk { for_ms: before }), Some(Trouble::SlowDisk { for_ms }))
            | (
                Some(Trouble::SlowAnswers { for_ms: before }),
                Some(Trouble::SlowAnswers { for_ms }),
            ) => u128::from(for_ms.saturating_sub(before)) < TELL_EVERY.as_millis(),
            (told, trouble) => told == trouble,
        };
        if !same {
            self.health.told = trouble;
            self.switch_step(tandem_switch::Input::Trouble(trouble));
        }
    }

    fn trouble(&self) -> Option<Trouble> {
        if self.disk_full.is_some() {
            return Some(Trouble::DiskFull);
        }
        let limit = self.core.settings.automatic.slow_after;
        let now = self.core.now.mono;
        let hung = self.health.since().map_or(Duration::ZERO, |since| now.since(since));
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        if limit.is_zero() {
            None
        } else if hung >= limit {
            Some(Trouble::SlowDisk { for_ms: millis(hung) })
        } else {
            let waited = self.health.waited;
            (waited >= limit).then(|| Trouble::SlowAnswers { for_ms: millis(waited) })
        }
    }

    /// What every request since the last call had to wait before it was carried out; about once per second.
    pub fn requests_waited(&mut self, waited: Duration) {
        self.health.waited = waited;
    }

    /// When the health must be looked at although nothing happens.
    pub(super) fn health_deadline(&self) -> Option<Monotonic> {
        let limit = self.core.settings.automatic.slow_after;
        let due = self.health.since()?.plus(limit);
        let again = self.core.now.mono.plus(TELL_EVERY);
        (!limit.is_zero()).then(|| if due > self.core.now.mono { due } else { again })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Monotonic {
        Monotonic::from_millis(ms)
    }

    #[test]
    fn the_oldest_order_that_is_not_done_tells_since_when() {
        let mut orders = Outstanding::default();
        assert_eq!(orders.since(), None);
        orders.handed(5, at(1));
        orders.handed(7, at(1));
        orders.handed(9, at(2));
        orders.done(6);
        assert_eq!(orders.since(), Some(at(1)));
        orders.done(7);
        assert_eq!(orders.since(), Some(at(2)));
        orders.done(100);
        assert_eq!(orders.since(), None);
    }

    #[test]
    fn a_long_hang_takes_no_more_memory_and_keeps_its_beginning() {
        let mut orders = Outstanding::default();
        for number in 1..10_000 {
            orders.handed(number, at(number));
        }
        assert!(orders.marks.len() <= MARKS_MAX);
        assert_eq!(orders.since(), Some(at(1)));
        orders.done(1);
        assert_eq!(orders.since(), Some(at(2)));
        orders.done(9_999);
        assert_eq!(orders.since(), None);
    }
}
