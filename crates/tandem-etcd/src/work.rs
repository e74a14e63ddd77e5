//! What the switch has asked for and etcd has not answered yet. Bounded: a sign of life or a read that
//! waits is replaced by the next one.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tandem_switch::{Change, MediatorRequest, Presence};
use tokio::sync::Notify;

/// The switch has one change under way, and repeats it a few times per session.
const CHANGES_MAX: usize = 16;

/// Shared by whoever takes requests and the two that carry them out.
#[derive(Debug, Default)]
pub(crate) struct Work {
    state: Mutex<State>,
    /// For the one that looks after the presence.
    wished: Notify,
    /// For the one that looks after the record.
    asked: Notify,
}

#[derive(Debug, Default)]
struct State {
    wish: Option<Wish>,
    read: bool,
    /// The first may be under way.
    changes: VecDeque<(u64, Change)>,
    closed: bool,
}

/// What shall become of the presence.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wish {
    Vouch(Presence),
    Leave,
}

/// What is asked of the record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Question {
    Read,
    /// Stays in the list until it is answered.
    Change(u64, Change),
}

impl Work {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; if so, what is there is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request; a change's number comes back if there are too many.
    pub(crate) fn add(&self, request: MediatorRequest) -> Option<u64> {
        let mut state = self.state();
        match request {
            MediatorRequest::Vouch(presence) => state.wish = Some(Wish::Vouch(presence)),
            MediatorRequest::Leave => state.wish = Some(Wish::Leave),
            MediatorRequest::Read => state.read = true,
            MediatorRequest::Change { number, .. } if state.changes.len() >= CHANGES_MAX => {
                return Some(number);
            }
            MediatorRequest::Change { number, change } => state.changes.push_back((number, change)),
        }
        drop(state);
        self.wake();
        None
    }

    /// What is known may be out of date.
    pub(crate) fn look_again(&self) {
        self.state().read = true;
        self.wake();
    }

    /// Nothing more comes: what is there is done, and that is all.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.wake();
    }

    fn wake(&self) {
        self.wished.notify_one();
        self.asked.notify_one();
    }

    /// The latest wish; `None`: there will be none.
    pub(crate) async fn wish(&self) -> Option<Wish> {
        loop {
            let (wish, closed) = {
                let mut state = self.state();
                (state.wish.take(), state.closed)
            };
            if wish.is_some() || closed {
                return wish;
            }
            self.wished.notified().await;
        }
    }

    /// The next question, changes first; `None`: there will be none.
    pub(crate) async fn question(&self) -> Option<Question> {
        loop {
            let (question, closed) = {
                let mut state = self.state();
                let change = state.changes.front().copied();
                let question = match change {
                    Some((number, change)) => Some(Question::Change(number, change)),
                    None => std::mem::take(&mut state.read).then_some(Question::Read),
                };
                (question, state.closed)
            };
            if question.is_some() || closed {
                return question;
            }
            self.asked.notified().await;
        }
    }

    /// The first change is answered.
    pub(crate) fn answered(&self) {
        self.state().changes.pop_front();
    }

    /// The conversation is over: the numbers of the changes without an answer.
    pub(crate) fn unanswered(&self) -> Vec<u64> {
        let mut state = self.state();
        state.wish = None;
        state.read = false;
        state.changes.drain(..).map(|(number, _)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use tandem_types::NodeId;

    use super::*;
    use crate::value::tests::{presence, record};

    #[tokio::test]
    async fn signs_of_life_replace_one_another_and_changes_are_kept_in_order() {
        let work = Work::default();
        work.add(MediatorRequest::Vouch(presence(1)));
        work.add(MediatorRequest::Vouch(presence(2)));
        work.add(MediatorRequest::Read);
        let change = Change { expect: None, record: record(1, NodeId::A), unless_present: None };
        for number in 1..=16 {
            assert_eq!(work.add(MediatorRequest::Change { number, change }), None);
        }
        assert_eq!(work.add(MediatorRequest::Change { number: 17, change }), Some(17));
        assert_eq!(work.wish().await, Some(Wish::Vouch(presence(2))));
        assert_eq!(work.question().await, Some(Question::Change(1, change)));
        work.answered();
        assert_eq!(work.question().await, Some(Question::Change(2, change)));
        assert_eq!(work.unanswered(), (2..=16).collect::<Vec<u64>>());
        work.look_again();
        work.close();
        assert_eq!(work.question().await, Some(Question::Read));
        assert_eq!(work.question().await, None);
        assert_eq!(work.wish().await, None);
    }
}
