//! How old a replica's data is, without synchronised clocks.
//!
//! We ask at our own time r0 (in a heartbeat); the primary answers its end of acknowledged records, L.
//! Whatever was acknowledged before r0 is before L. Once L is applied, the data is as fresh as r0.

use std::collections::VecDeque;

use tandem_types::{Lsn, Monotonic, Role};

use crate::message::Status;

/// Answers whose records are not applied yet; more than this only happens while far behind.
const WAITING_MAX: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct Freshness {
    waiting: VecDeque<(Monotonic, Lsn)>,
    fresh_as_of: Option<Monotonic>,
}

impl Freshness {
    pub(super) fn answered(&mut self, asked: Monotonic, status: &Status, applied_end: Lsn) {
        if status.role != Role::Primary || !status.commit_known {
            return;
        }
        if self.waiting.len() == WAITING_MAX {
            self.waiting.pop_back(); // Keep the oldest: it is the next one to come true.
        }
        self.waiting.push_back((asked, status.commit_end));
        self.applied(applied_end);
    }

    pub(super) fn applied(&mut self, applied_end: Lsn) {
        while let Some((asked, end)) = self.waiting.front().copied() {
            if end > applied_end {
                break;
            }
            self.waiting.pop_front();
            self.fresh_as_of = Some(self.fresh_as_of.map_or(asked, |fresh| fresh.max(asked)));
        }
    }

    pub(super) const fn fresh_as_of(&self) -> Option<Monotonic> {
        self.fresh_as_of
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary(commit_end: u64) -> Status {
        Status {
            role: Role::Primary,
            commit_end: Lsn::new(commit_end),
            commit_known: true,
            ..Status::default()
        }
    }

    #[test]
    fn data_is_as_fresh_as_the_question_once_the_answer_is_applied() {
        let mut freshness = Freshness::default();
        let at = Monotonic::from_millis;
        freshness.answered(at(10), &primary(5), Lsn::new(3));
        assert_eq!(freshness.fresh_as_of(), None);
        freshness.answered(at(20), &primary(7), Lsn::new(3));
        freshness.applied(Lsn::new(5));
        assert_eq!(freshness.fresh_as_of(), Some(at(10)));
        freshness.answered(at(30), &primary(7), Lsn::new(7));
        assert_eq!(freshness.fresh_as_of(), Some(at(30)));
    }

    #[test]
    fn only_a_primary_that_knows_what_it_acknowledged_can_tell() {
        let mut freshness = Freshness::default();
        let at = Monotonic::from_millis;
        let unsure = Status { commit_known: false, ..primary(5) };
        let standby = Status { role: Role::Standby, ..primary(5) };
        freshness.answered(at(10), &unsure, Lsn::new(9));
        freshness.answered(at(10), &standby, Lsn::new(9));
        assert_eq!(freshness.fresh_as_of(), None);
    }
}
