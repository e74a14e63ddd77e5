//! What is going to happen, in order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::What;

/// Events by their time; those of one time in the order in which they were planned.
///
/// The heap holds only where an event lies: events are large, and a heap moves its elements often.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    seq: u64,
    order: BinaryHeap<Reverse<(u64, u64, usize)>>,
    places: Vec<Option<What>>,
    free: Vec<usize>,
}

impl Agenda {
    /// Plans an event.
    pub(super) fn put(&mut self, at: u64, what: What) {
        self.seq += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[place] = Some(what);
        self.order.push(Reverse((at, self.seq, place)));
    }

    /// The next event up to `end`, and its time.
    pub(super) fn next(&mut self, end: u64) -> Option<(u64, What)> {
        let Reverse((at, _, _)) = *self.order.peek()?;
        if at > end {
            return None;
        }
        let Reverse((at, _, place)) = self.order.pop()?;
        self.free.push(place);
        Some((at, self.places[place].take()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_the_order_they_were_planned() {
        let mut agenda = Agenda::default();
        for (at, index) in [(5, 0), (3, 1), (5, 2), (4, 3)] {
            agenda.put(at, What::Play(index));
        }
        let mut seen = Vec::new();
        while let Some((at, What::Play(index))) = agenda.next(5) {
            if index == 1 {
                agenda.put(9, What::Play(4));
            }
            seen.push((at, index));
        }
        assert_eq!(seen, [(3, 1), (4, 3), (5, 0), (5, 2)]);
        assert!(matches!(agenda.next(9), Some((9, What::Play(4)))));
        assert!(agenda.next(u64::MAX).is_none());
    }
}
