//! Linearizability of any small model: Wing and Gong's search with Lowe's memory of visited states.
//!
//! Calls and returns are kept in one list in time order. The search picks the first call that may come
//! next, applies it to the model, lifts it and its return out of the list, and goes back when it meets a
//! return whose call was not picked. A state is (set of picked calls, model state); each is visited once.
//! The memory holds 128 bits per state: a random number per call, xor-ed (Zobrist), and the model's hash.
//!
//! For the histories of tests: up to 8 clients and some thousands of calls per key. Many calls in
//! flight at once on one key make it exponential; then it gives up, which a test must treat as its own
//! failure, never as a pass. Run [`crate::zones`] first where it applies: it names the bad pair at once.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};

use crate::history::{Operation, Outcome, RegisterAction};
use crate::marks::Marks;

/// What a key is in theory.
pub trait Model {
    /// The key's content.
    type State: Clone + Default + Hash;
    /// What was asked and answered.
    type Action;

    /// The state after `action`; `None` if the answer in it cannot be given in `state`.
    /// For a call of unknown outcome (`answered` false) any answer is possible.
    fn step(state: &Self::State, action: &Self::Action, answered: bool) -> Option<Self::State>;
}

/// What the search found.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// There is an order that explains every answer.
    Linearizable,
    /// There is none.
    Illegal,
    /// The step limit was reached first.
    GaveUp,
}

/// Node of the doubly linked list; index 0 is the head.
#[derive(Clone, Copy)]
struct Entry {
    operation: usize,
    /// Where this call's return is; `None` for a return itself.
    returns_at: Option<usize>,
    is_call: bool,
    previous: usize,
    next: usize,
}

struct List {
    entries: Vec<Entry>,
}

/// Past the last entry.
const END: usize = usize::MAX;

impl List {
    fn new<A>(operations: &[Operation<A>]) -> Self {
        // (time, calls before returns of the same instant, operation): same instant means concurrent.
        let mut events: Vec<(u64, u8, usize)> = Vec::new();
        for (index, operation) in operations.iter().enumerate() {
            events.push((operation.called_at, 0, index));
            if let Outcome::Returned(at) = operation.outcome {
                events.push((at, 1, index));
            }
        }
        events.sort_unstable();
        let head = Entry { operation: 0, returns_at: None, is_call: false, previous: 0, next: END };
        let mut entries = vec![head];
        let mut call_at = vec![0; operations.len()];
        for (_, kind, operation) in events {
            let index = entries.len();
            let is_call = kind == 0;
            entries[index - 1].next = index;
            let previous = index - 1;
            entries.push(Entry { operation, returns_at: None, is_call, previous, next: END });
            if is_call {
                call_at[operation] = index;
            } else {
                entries[call_at[operation]].returns_at = Some(index);
            }
        }
        Self { entries }
    }

    fn unlink(&mut self, index: usize) {
        let Entry { previous, next, .. } = self.entries[index];
        self.entries[previous].next = next;
        if next != END {
            self.entries[next].previous = previous;
        }
    }

    fn relink(&mut self, index: usize) {
        let Entry { previous, next, .. } = self.entries[index];
        self.entries[previous].next = index;
        if next != END {
            self.entries[next].previous = index;
        }
    }

    fn lift(&mut self, call: usize) {
        self.unlink(call);
        if let Some(at) = self.entries[call].returns_at {
            self.unlink(at);
        }
    }

    fn put_back(&mut self, call: usize) {
        if let Some(at) = self.entries[call].returns_at {
            self.relink(at);
        }
        self.relink(call);
    }
}

fn random_marks(count: usize) -> Vec<u128> {
    let mut marks = Marks::new(0x1d0_5eed);
    (0..count).map(|_| (u128::from(marks.next()) << 64) | u128::from(marks.next())).collect()
}

fn fingerprint<S: Hash>(picked: u128, state: &S) -> u128 {
    let mut low = DefaultHasher::new();
    state.hash(&mut low);
    let mut high = DefaultHasher::new();
    (0x5eed_u64, low.finish()).hash(&mut high);
    state.hash(&mut high);
    picked ^ ((u128::from(high.finish()) << 64) | u128::from(low.finish()))
}

/// Searches for an order of all operations on one key, in at most `steps_max` steps.
pub fn check<M: Model>(operations: &[Operation<M::Action>], steps_max: u64) -> Verdict {
    let mut list = List::new(operations);
    let marks = random_marks(operations.len());
    let answered = |index: usize| operations[index].outcome != Outcome::Unknown;
    let mut left = (0..operations.len()).filter(|&index| answered(index)).count();
    let mut state = M::State::default();
    let mut picked = 0_u128;
    let mut seen = HashSet::new();
    let mut trail: Vec<(usize, M::State)> = Vec::new();
    let mut at = list.entries[0].next;
    for _ in 0..steps_max {
        if left == 0 {
            return Verdict::Linearizable;
        }
        if at != END && list.entries[at].is_call {
            let operation = list.entries[at].operation;
            let after = M::step(&state, &operations[operation].action, answered(operation));
            if let Some(after) = after
                && seen.insert(fingerprint(picked ^ marks[operation], &after))
            {
                trail.push((at, std::mem::replace(&mut state, after)));
                picked ^= marks[operation];
                left -= usize::from(answered(operation));
                list.lift(at);
                at = list.entries[0].next;
            } else {
                at = list.entries[at].next;
            }
            continue;
        }
        // A return whose call was not picked, or nothing left to pick: the last choice was wrong.
        let Some((call, before)) = trail.pop() else { return Verdict::Illegal };
        let operation = list.entries[call].operation;
        state = before;
        picked ^= marks[operation];
        left += usize::from(answered(operation));
        list.put_back(call);
        at = list.entries[call].next;
    }
    Verdict::GaveUp
}

/// `SET`/`GET` with any values.
#[derive(Clone, Copy, Debug)]
pub struct Register;

impl Model for Register {
    type State = Option<u64>;
    type Action = RegisterAction;

    fn step(state: &Self::State, action: &Self::Action, answered: bool) -> Option<Self::State> {
        match *action {
            RegisterAction::Write(value) => Some(Some(value)),
            RegisterAction::Read(value) => (!answered || *state == value).then_some(*state),
        }
    }
}

/// `INCRBY`/`GET` on a counter that begins absent, which counts as 0.
#[derive(Clone, Copy, Debug)]
pub struct Counter;

/// Calls on a [`Counter`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CounterAction {
    /// Added `by`; the reply was `result` (ignored when the outcome is unknown).
    Add {
        /// The increment.
        by: i64,
        /// The value replied.
        result: i64,
    },
    /// Read this value.
    Read(i64),
}

impl Model for Counter {
    type State = i64;
    type Action = CounterAction;

    fn step(state: &i64, action: &CounterAction, answered: bool) -> Option<i64> {
        match *action {
            CounterAction::Add { by, result } => {
                let after = state.checked_add(by)?;
                (!answered || after == result).then_some(after)
            }
            CounterAction::Read(value) => (!answered || *state == value).then_some(*state),
        }
    }
}

/// `RPUSH`/`LPOP` on a list of unique elements.
#[derive(Clone, Copy, Debug)]
pub struct Queue;

/// Calls on a [`Queue`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum QueueAction {
    /// Pushed this element.
    Push(u64),
    /// Popped this one; `None` from an empty list.
    Pop(Option<u64>),
}

impl Model for Queue {
    type State = std::collections::VecDeque<u64>;
    type Action = QueueAction;

    fn step(state: &Self::State, action: &QueueAction, answered: bool) -> Option<Self::State> {
        let mut after = state.clone();
        match *action {
            QueueAction::Push(element) => after.push_back(element),
            QueueAction::Pop(element) => {
                let popped = after.pop_front();
                if answered && popped != element {
                    return None;
                }
            }
        }
        Some(after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<A>(called_at: u64, returned_at: u64, action: A) -> Operation<A> {
        Operation { called_at, outcome: Outcome::Returned(returned_at), action }
    }

    fn unknown<A>(called_at: u64, action: A) -> Operation<A> {
        Operation { called_at, outcome: Outcome::Unknown, action }
    }

    #[test]
    fn a_counter_that_forgets_or_doubles_is_illegal() {
        let add = |result| CounterAction::Add { by: 1, result };
        let lost = [call(1, 2, add(1)), call(3, 4, add(1))];
        let doubled = [call(1, 2, add(1)), call(3, 4, CounterAction::Read(2))];
        let retried = [call(1, 2, add(1)), unknown(2, add(0)), call(3, 4, CounterAction::Read(2))];
        let concurrent = [call(1, 9, add(2)), call(1, 9, add(1)), call(10, 11, add(3))];
        let cases = [
            ("lost", &lost[..], Verdict::Illegal),
            ("doubled", &doubled, Verdict::Illegal),
            ("one unknown explains it", &retried, Verdict::Linearizable),
            ("concurrent in either order", &concurrent, Verdict::Linearizable),
        ];
        for (name, operations, want) in cases {
            assert_eq!(check::<Counter>(operations, 10_000), want, "{name}");
        }
    }

    #[test]
    fn an_element_is_popped_once_and_in_order() {
        use QueueAction::{Pop, Push};
        let fine = [call(1, 2, Push(7)), call(3, 4, Push(8)), call(5, 6, Pop(Some(7)))];
        let twice = [call(1, 2, Push(7)), call(3, 4, Pop(Some(7))), call(5, 6, Pop(Some(7)))];
        let order = [call(1, 2, Push(7)), call(3, 4, Push(8)), call(5, 6, Pop(Some(8)))];
        let gone = [call(1, 2, Push(7)), unknown(3, Pop(None)), call(5, 6, Pop(None))];
        assert_eq!(check::<Queue>(&fine, 10_000), Verdict::Linearizable);
        assert_eq!(check::<Queue>(&twice, 10_000), Verdict::Illegal);
        assert_eq!(check::<Queue>(&order, 10_000), Verdict::Illegal);
        assert_eq!(check::<Queue>(&gone, 10_000), Verdict::Linearizable);
    }

    #[test]
    fn a_long_history_of_eight_clients_is_cheap() {
        let mut operations = Vec::new();
        let mut value = 0_i64;
        for round in 0..250_u64 {
            for client in 0..8 {
                value += 1;
                let action = CounterAction::Add { by: 1, result: value };
                operations.push(call(round * 100 + client, round * 100 + 90 + client, action));
            }
        }
        assert_eq!(check::<Counter>(&operations, 20_000_000), Verdict::Linearizable);
    }
}
