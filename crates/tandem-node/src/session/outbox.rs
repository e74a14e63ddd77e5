//! Replies of one client, and the gate that holds them until they are safe.

use std::collections::VecDeque;

use tandem_types::{Lsn, Monotonic};

/// A buffer larger than this is given back once it is empty.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// Sent bytes stay in front of the buffer up to this many, so that small writes do not move it.
const COMPACT_BYTES: usize = 64 << 10;

/// What may leave at this moment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Gate {
    /// Everything before this position is safe.
    pub(crate) commit_end: Lsn,
    /// What was read or written by then may be told: nobody else can have become primary before.
    pub(crate) executed_by: Monotonic,
}

impl Gate {
    const fn lets(self, chunk: &Held) -> bool {
        chunk.wait.get() <= self.commit_end.get()
            && chunk.executed.as_nanos() <= self.executed_by.as_nanos()
    }
}

/// Replies in the order of the requests, and how many of them may leave.
///
/// A reply may leave once `commit_end` has reached the position it depends on, while this node has the
/// right to tell what it executed then, and after all replies before it. Costs nothing while nothing is held.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    /// Bytes that left already.
    sent: usize,
    /// Bytes that may leave.
    free_end: usize,
    /// Ends of chunks with what each waits for; both rise. Ends count from the connection's start.
    held: VecDeque<Held>,
    /// Bytes that were in front of `bytes` and are gone.
    gone: u64,
    /// What the bytes since the last [`Self::seal`] depend on.
    wait: Lsn,
    executed: Monotonic,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    end: u64,
    wait: Lsn,
    /// When the last data command of the chunk was executed; zero: there is none.
    executed: Monotonic,
}

impl Outbox {
    /// Where replies are written.
    #[inline]
    pub(crate) const fn bytes_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// The end of what is written.
    #[inline]
    pub(crate) const fn end(&self) -> usize {
        self.bytes.len()
    }

    /// The byte at `at`, to see what kind of reply was written there.
    pub(crate) fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    /// What was written since `at`.
    pub(crate) fn since(&self, at: usize) -> &[u8] {
        self.bytes.get(at..).unwrap_or_default()
    }

    /// Takes back what was written since `at`.
    pub(crate) fn truncate(&mut self, at: usize) {
        debug_assert!(at >= self.free_end, "what may leave is never taken back");
        self.bytes.truncate(at);
    }

    /// What is written now must not leave before `wait` is safe, and while the right to tell what was
    /// executed at that time is in doubt.
    #[inline]
    pub(crate) fn depend_on(&mut self, wait: Lsn, executed: Monotonic) {
        self.wait = self.wait.max(wait);
        self.executed = self.executed.max(executed);
    }

    /// Ends a chunk: everything written since the last call may leave once it is safe. `true` if
    /// something may leave now.
    #[inline]
    pub(crate) fn seal(&mut self, gate: Gate) -> bool {
        let wait = std::mem::take(&mut self.wait);
        let executed = std::mem::take(&mut self.executed);
        if self.held.is_empty() {
            if gate.lets(&Held { end: 0, wait, executed }) {
                self.free_end = self.bytes.len();
                return self.free_end > self.sent;
            }
            if self.bytes.len() == self.free_end {
                return false;
            }
        }
        self.hold(wait, executed);
        false
    }

    fn hold(&mut self, wait: Lsn, executed: Monotonic) {
        let end = self.gone + to_u64(self.bytes.len());
        match self.held.back_mut() {
            // Replies leave in order, so a chunk never waits for less than the one before it.
            Some(last) if wait <= last.wait && executed <= last.executed => last.end = end,
            Some(_) | None => self.held.push_back(Held { end, wait, executed }),
        }
    }

    /// Lets go what has become safe; `true` if something did.
    pub(crate) fn release(&mut self, gate: Gate) -> bool {
        let mut released = false;
        while let Some(first) = self.held.front() {
            if !gate.lets(first) {
                break;
            }
            self.free_end = usize::try_from(first.end - self.gone).unwrap_or(usize::MAX);
            released = true;
            self.held.pop_front();
        }
        released
    }

    /// Whether replies wait that may not leave yet.
    #[inline]
    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Forgets the replies that may not leave: nobody knows whether they are true.
    pub(crate) fn drop_held(&mut self) {
        self.held.clear();
        self.wait = Lsn::ZERO;
        self.executed = Monotonic::ZERO;
        self.bytes.truncate(self.free_end);
    }

    /// Forgets everything: the connection is of no more use.
    pub(crate) fn drop_all(&mut self) {
        *self = Self::default();
    }

    /// What may leave and has not.
    #[inline]
    pub(crate) fn writable(&self) -> &[u8] {
        self.bytes.get(self.sent..self.free_end).unwrap_or_default()
    }

    /// `count` bytes of [`Self::writable`] left.
    pub(crate) fn written(&mut self, count: usize) {
        self.sent = self.sent.saturating_add(count).min(self.free_end);
        if self.sent == self.bytes.len() {
            self.forget_sent();
            if self.bytes.capacity() > KEPT_BYTES_MAX {
                self.bytes = Vec::new();
            }
        } else if self.sent > COMPACT_BYTES && self.sent > self.bytes.len() / 2 {
            self.forget_sent();
        }
    }

    fn forget_sent(&mut self) {
        self.bytes.drain(..self.sent);
        self.gone += to_u64(self.sent);
        self.free_end -= self.sent;
        self.sent = 0;
    }

    /// Bytes that have not left, safe or not.
    #[inline]
    pub(crate) const fn unsent_bytes(&self) -> usize {
        self.bytes.len() - self.sent
    }

    /// Memory this holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.held.capacity() * size_of::<Held>()
    }
}

/// A length as a u64: no machine has more memory than that.
fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(outbox: &mut Outbox, text: &[u8], wait: u64, commit_end: u64) -> bool {
        outbox.bytes_mut().extend_from_slice(text);
        outbox.depend_on(Lsn::new(wait), Monotonic::ZERO);
        outbox.seal(gate(commit_end))
    }

    fn gate(commit_end: u64) -> Gate {
        Gate { commit_end: Lsn::new(commit_end), executed_by: Monotonic::from_nanos(u64::MAX) }
    }

    #[test]
    fn what_was_executed_leaves_only_while_the_right_to_tell_it_lasts() {
        let by =
            |millis| Gate { commit_end: Lsn::new(9), executed_by: Monotonic::from_millis(millis) };
        let mut outbox = Outbox::default();
        outbox.bytes_mut().extend_from_slice(b"pong");
        assert!(outbox.seal(by(0)), "an answer that shows no data needs no right");
        outbox.bytes_mut().extend_from_slice(b"old");
        outbox.depend_on(Lsn::new(1), Monotonic::from_millis(5));
        assert!(!outbox.seal(by(4)));
        outbox.bytes_mut().extend_from_slice(b"new");
        outbox.depend_on(Lsn::new(1), Monotonic::from_millis(7));
        assert!(!outbox.seal(by(4)));
        assert!(!outbox.release(by(4)));
        assert!(outbox.release(by(6)));
        assert_eq!(outbox.writable(), b"pongold");
        assert!(outbox.release(by(7)));
        assert_eq!(outbox.writable(), b"pongoldnew");
    }

    #[test]
    fn replies_leave_in_order_once_they_are_safe() {
        let mut outbox = Outbox::default();
        assert!(write(&mut outbox, b"a", 0, 5));
        assert!(!write(&mut outbox, b"b", 7, 5));
        assert!(!write(&mut outbox, b"c", 0, 5));
        assert!(!write(&mut outbox, b"d", 9, 5));
        assert_eq!(outbox.writable(), b"a");
        outbox.written(1);
        assert!(!outbox.release(gate(6)));
        assert!(outbox.release(gate(7)));
        assert_eq!(outbox.writable(), b"bc");
        outbox.written(1);
        assert_eq!(outbox.writable(), b"c");
        assert!(outbox.release(gate(100)));
        assert_eq!(outbox.writable(), b"cd");
        outbox.written(2);
        assert_eq!(outbox.unsent_bytes(), 0);
        assert!(write(&mut outbox, b"e", 100, 100));
        assert_eq!(outbox.writable(), b"e");
    }

    #[test]
    fn held_replies_can_be_forgotten() {
        let mut outbox = Outbox::default();
        write(&mut outbox, b"safe", 1, 1);
        write(&mut outbox, b"unknown", 2, 1);
        assert!(outbox.is_holding());
        outbox.drop_held();
        assert!(!outbox.is_holding());
        assert_eq!(outbox.writable(), b"safe");
        assert_eq!(outbox.unsent_bytes(), 4);
    }

    #[test]
    fn places_survive_compaction() {
        let mut outbox = Outbox::default();
        write(&mut outbox, &vec![b'x'; 100_000], 0, 0);
        write(&mut outbox, b"tail", 3, 0);
        outbox.written(99_999);
        assert_eq!(outbox.writable(), b"x");
        assert!(outbox.release(gate(3)));
        assert_eq!(outbox.writable(), b"xtail");
        outbox.written(5);
        assert!(outbox.writable().is_empty());
    }
}
