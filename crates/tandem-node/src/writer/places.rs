//! Where own records stand in the log, and how far of them is on which disk.
//!
//! Two numberings meet here: positions in the log, which also holds what came from the peer, and positions
//! among the own records, which is what the two nodes speak of.

use std::collections::VecDeque;

use tandem_types::{Lsn, WallMillis};

/// Own records for each of which one place in the log is remembered.
const STEP: u64 = 256;

/// The two ends that the nodes speak of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ends {
    /// Of the own records.
    pub(crate) own: Lsn,
    /// Of what was merged from the peer.
    pub(crate) seen: Lsn,
}

/// An own record that the peer may not have on disk.
#[derive(Clone, Copy, Debug)]
struct Unconfirmed {
    /// The own end behind it.
    own_end: Lsn,
    /// Where it stands in the log.
    place: Lsn,
    bytes: u32,
    written: WallMillis,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// The end of the log after each record that may not be on disk yet, and the two ends there.
    pending: VecDeque<(Lsn, Ends)>,
    durable: Ends,
    /// Own records that the peer may not have on disk, oldest first.
    unconfirmed: VecDeque<Unconfirmed>,
    unconfirmed_bytes: u64,
    /// Every so often: an own position and its place in the log.
    marks: Vec<(Lsn, Lsn)>,
}

impl Places {
    /// The own record `own`, of so many bytes and that time, was appended at `place`.
    pub(crate) fn own_appended(&mut self, own: Lsn, place: Lsn, bytes: usize, written: WallMillis) {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.unconfirmed_bytes += u64::from(bytes);
        self.unconfirmed.push_back(Unconfirmed { own_end: own.next(), place, bytes, written });
        if own.get().is_multiple_of(STEP) || self.marks.is_empty() {
            self.marks.push((own, place));
        }
    }

    /// A record was appended; the log ends at `log_end` now.
    pub(crate) fn appended(&mut self, log_end: Lsn, ends: Ends) {
        self.pending.push_back((log_end, ends));
    }

    /// The log is on disk before `log_end`.
    pub(crate) fn durable(&mut self, log_end: Lsn) {
        while let Some((end, ends)) = self.pending.front()
            && *end <= log_end
        {
            self.durable = *ends;
            self.pending.pop_front();
        }
    }

    /// The two ends on disk.
    pub(crate) const fn durable_ends(&self) -> Ends {
        self.durable
    }

    /// The peer has the own records before `seen` on its disk.
    pub(crate) fn confirmed(&mut self, seen: Lsn) {
        while let Some(oldest) = self.unconfirmed.front()
            && oldest.own_end <= seen
        {
            self.unconfirmed_bytes -= u64::from(oldest.bytes);
            self.unconfirmed.pop_front();
        }
    }

    /// The end of the log before the first own record that the peer may lack; `None`: it lacks none.
    pub(crate) fn confirmed_end(&self) -> Option<Lsn> {
        self.unconfirmed.front().map(|oldest| oldest.place)
    }

    /// Own records that the peer may lack.
    pub(crate) fn unconfirmed_count(&self) -> usize {
        self.unconfirmed.len()
    }

    /// Bytes of them.
    pub(crate) const fn unconfirmed_bytes(&self) -> u64 {
        self.unconfirmed_bytes
    }

    /// When the oldest of them was written.
    pub(crate) fn unconfirmed_since(&self) -> Option<WallMillis> {
        self.unconfirmed.front().map(|oldest| oldest.written)
    }

    /// A place in the log at or before that of the own record `own`, and the own position there.
    pub(crate) fn find(&self, own: Lsn) -> (Lsn, Lsn) {
        let after = self.marks.partition_point(|(mark, _)| *mark <= own);
        match after.checked_sub(1).and_then(|at| self.marks.get(at)) {
            Some(mark) => *mark,
            None => (Lsn::ZERO, Lsn::ZERO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_numberings_are_kept_together() {
        let lsn = Lsn::new;
        let mut places = Places::default();
        // Own records at the even places, the peer's at the odd ones.
        for own in 0..1_000 {
            let place = 2 * own + 10;
            places.own_appended(lsn(own), lsn(place), 3, WallMillis::new(own));
            places.appended(lsn(place + 1), Ends { own: lsn(own + 1), seen: lsn(own) });
            places.appended(lsn(place + 2), Ends { own: lsn(own + 1), seen: lsn(own + 1) });
        }
        places.durable(lsn(15));
        assert_eq!(places.durable_ends(), Ends { own: lsn(3), seen: lsn(2) });
        assert_eq!(places.confirmed_end(), Some(lsn(10)));
        places.confirmed(lsn(3));
        assert_eq!(places.confirmed_end(), Some(lsn(16)));
        assert_eq!((places.unconfirmed_count(), places.unconfirmed_bytes()), (997, 2_991));
        assert_eq!(places.unconfirmed_since(), Some(WallMillis::new(3)));
        places.confirmed(lsn(1_000));
        assert_eq!(places.confirmed_end(), None);
        assert_eq!(places.find(lsn(255)), (lsn(0), lsn(10)));
        assert_eq!(places.find(lsn(600)), (lsn(512), lsn(1_034)));
    }
}
