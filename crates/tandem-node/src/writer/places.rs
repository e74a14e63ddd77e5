//! Where own records stand in the log, and how far of them is on which disk.
//!
//! Two numberings meet here: positions in the log, which also holds what came from the peer, and positions
//! among the own records, which is what the two nodes speak of.

use std::collections::VecDeque;

use tandem_types::{Lsn, WallMillis};

/// Own records for each of which one place in the log is remembered.
const STEP: u64 = 256;
/// Own records that the peer lacks and that are remembered one by one.
const EACH_MAX: usize = 16_384;

/// The two ends that the nodes speak of.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Ends {
    /// Of the own records.
    pub(crate) own: Lsn,
    /// Of what was merged from the peer.
    pub(crate) seen: Lsn,
}

/// An own record that the peer may not have on disk; after a restart, and when there are many, some that follow
/// one another.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Unconfirmed {
    /// The own end behind it, or behind the last of them.
    pub(super) own_end: Lsn,
    /// Where it stands in the log, or the first of them.
    pub(super) place: Lsn,
    /// Of all of them.
    pub(super) bytes: u32,
    /// When the first was written.
    pub(super) written: WallMillis,
}

impl Unconfirmed {
    fn step(&self) -> u64 {
        self.own_end.get().saturating_sub(1) / STEP
    }

    /// Both may be remembered as one.
    fn goes_with(&self, next: &Self) -> bool {
        self.step() == next.step()
    }

    fn take_in(&mut self, next: &Self) {
        self.own_end = next.own_end;
        self.bytes = self.bytes.saturating_add(next.bytes);
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// The end of the log after each record that may not be on disk yet, and the two ends there.
    pending: VecDeque<(Lsn, Ends)>,
    durable: Ends,
    /// The end of the log at which these ends are those on disk.
    durable_at: Lsn,
    /// Of the own records, on disk or not.
    own_end: Lsn,
    /// The peer has the own records before this on its disk.
    confirmed: Lsn,
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
        self.own_end = own.next();
        let next = Unconfirmed { own_end: own.next(), place, bytes, written };
        // While the peer is away nobody waits for it, and what it lacks may grow without end.
        let many = self.unconfirmed.len() >= EACH_MAX;
        match self.unconfirmed.back_mut() {
            Some(last) if many && last.goes_with(&next) => last.take_in(&next),
            _ => self.unconfirmed.push_back(next),
        }
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
            (self.durable_at, self.durable) = (*end, *ends);
            self.pending.pop_front();
        }
    }

    /// The two ends on disk.
    pub(crate) const fn durable_ends(&self) -> Ends {
        self.durable
    }

    /// A place in the log, and the own end there: as far as both are on disk.
    pub(crate) const fn durable_place(&self) -> (Lsn, Lsn) {
        (self.durable.own, self.durable_at)
    }

    /// The peer has the own records before `seen` on its disk.
    pub(crate) fn confirmed(&mut self, seen: Lsn) {
        self.confirmed = self.confirmed.max(seen);
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
    pub(crate) fn unconfirmed_count(&self) -> u64 {
        self.own_end.records_since(self.confirmed).unwrap_or(0)
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

impl Places {
    /// The peer may ask for the log from here on: it lacks what stands there. `None`: it lacks nothing.
    pub(crate) fn needed_from(&self) -> Option<Lsn> {
        (self.confirmed < self.own_end).then(|| self.find(self.confirmed).1)
    }

    /// The first own record that is sure to be in the log still.
    pub(crate) fn oldest_own(&self) -> Lsn {
        self.marks.first().map_or(Lsn::ZERO, |(own, _)| *own)
    }

    /// The log ends at `log_end`, and records before that may be removed from now on: what is written after
    /// this is in the log whenever that is done.
    pub(crate) fn mark(&mut self, log_end: Lsn) {
        match self.marks.last_mut() {
            Some((own, place)) if *own == self.own_end => *place = log_end,
            _ => self.marks.push((self.own_end, log_end)),
        }
    }

    /// The log begins at `oldest` now, and ends at `log_end`.
    pub(crate) fn trimmed(&mut self, oldest: Lsn, log_end: Lsn) {
        let gone = self.marks.partition_point(|(_, place)| *place < oldest);
        self.marks.drain(..gone);
        if gone > 0 && self.marks.is_empty() {
            // What is written from now on stands behind all that is there.
            self.marks.push((self.own_end, log_end));
        }
    }

    /// For a snapshot that begins where the log ends at `log_end`.
    pub(super) fn save(&self, log_end: Lsn) -> SavedPlaces {
        let mut saved = SavedPlaces {
            confirmed: self.confirmed,
            marks: self.marks.clone(),
            unconfirmed: Vec::new(),
        };
        if self.own_end > Lsn::ZERO {
            // What is written later stands behind it.
            saved.marks.push((self.own_end, log_end));
        }
        for next in &self.unconfirmed {
            match saved.unconfirmed.last_mut() {
                Some(last) if last.goes_with(next) => last.take_in(next),
                _ => saved.unconfirmed.push(*next),
            }
        }
        saved
    }

    /// As a snapshot says it, where the log ends at `log_end`.
    pub(super) fn load(saved: SavedPlaces, log_end: Lsn, durable: Ends) -> Self {
        let unconfirmed_bytes = saved.unconfirmed.iter().map(|it| u64::from(it.bytes)).sum();
        Self {
            pending: VecDeque::new(),
            durable,
            durable_at: log_end,
            own_end: durable.own,
            confirmed: saved.confirmed,
            unconfirmed: saved.unconfirmed.into(),
            unconfirmed_bytes,
            marks: saved.marks,
        }
    }
}

/// What a snapshot says of places.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct SavedPlaces {
    /// The peer has the own records before this on its disk.
    pub(super) confirmed: Lsn,
    /// Own positions and places in the log.
    pub(super) marks: Vec<(Lsn, Lsn)>,
    /// Own records that the peer may not have, some that follow one another together.
    pub(super) unconfirmed: Vec<Unconfirmed>,
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

    #[test]
    fn many_that_the_peer_lacks_are_remembered_in_groups() {
        let mut places = Places::default();
        let each = u64::try_from(EACH_MAX).unwrap();
        for own in 0..1_000_000 {
            places.own_appended(Lsn::new(own), Lsn::new(own + 10), 3, WallMillis::new(own));
        }
        assert!(places.unconfirmed.len() < EACH_MAX + 1_000_000 / 256 + 2);
        assert_eq!(
            (places.unconfirmed_count(), places.unconfirmed_bytes()),
            (1_000_000, 3_000_000)
        );
        places.confirmed(Lsn::new(each));
        assert_eq!(places.confirmed_end(), Some(Lsn::new(each + 10)));
        // A group goes when the peer has all of it.
        places.confirmed(Lsn::new(each + 300));
        assert_eq!(places.confirmed_end(), Some(Lsn::new(each + 256 + 10)));
        places.confirmed(Lsn::new(1_000_000));
        assert_eq!((places.confirmed_end(), places.unconfirmed_bytes()), (None, 0));
    }

    #[test]
    fn what_is_written_while_the_log_is_trimmed_is_still_found() {
        let lsn = Lsn::new;
        let mut places = Places::default();
        for own in 0..10 {
            places.own_appended(lsn(own), lsn(own), 3, WallMillis::new(own));
        }
        places.confirmed(lsn(10));
        assert_eq!(places.needed_from(), None, "all of it may go");
        places.mark(lsn(10));
        // Before the log thread has answered, the next records are written.
        for own in 10..20 {
            places.own_appended(lsn(own), lsn(own), 3, WallMillis::new(own));
        }
        places.trimmed(lsn(8), lsn(20));
        assert_eq!((places.oldest_own(), places.needed_from()), (lsn(10), Some(lsn(10))));
        places.mark(lsn(20));
        places.mark(lsn(21));
        assert_eq!(places.find(lsn(20)), (lsn(20), lsn(21)), "what came meanwhile was not its own");
    }

    #[test]
    fn a_snapshot_keeps_what_the_peer_lacks() {
        let lsn = Lsn::new;
        let mut places = Places::default();
        for own in 0..1_000 {
            let end = lsn(own + 11);
            places.own_appended(lsn(own), lsn(own + 10), 3, WallMillis::new(own));
            places.appended(end, Ends { own: lsn(own + 1), seen: lsn(7) });
        }
        places.durable(lsn(1_010));
        places.confirmed(lsn(300));
        assert_eq!(places.needed_from(), Some(lsn(266)));
        let durable = places.durable_ends();
        let mut back = Places::load(places.save(lsn(1_010)), lsn(1_010), durable);
        assert_eq!(back.durable_place(), (lsn(1_000), lsn(1_010)));
        assert_eq!((back.unconfirmed_count(), back.unconfirmed_bytes()), (700, 2_100));
        assert_eq!(back.confirmed_end(), Some(lsn(310)));
        assert_eq!(back.unconfirmed_since(), Some(WallMillis::new(300)));
        assert_eq!(back.save(lsn(1_010)).unconfirmed, places.save(lsn(1_010)).unconfirmed);
        back.own_appended(lsn(1_000), lsn(1_013), 3, WallMillis::new(9));
        // The first ones are confirmed together: later than they were, never earlier.
        back.confirmed(lsn(400));
        assert_eq!(back.confirmed_end(), Some(lsn(310)));
        back.confirmed(lsn(512));
        assert_eq!(back.confirmed_end(), Some(lsn(522)));
        back.trimmed(lsn(500), lsn(1_014));
        assert_eq!((back.oldest_own(), back.needed_from()), (lsn(512), Some(lsn(522))));
        back.confirmed(lsn(1_001));
        assert_eq!((back.confirmed_end(), back.needed_from()), (None, None));
        back.trimmed(lsn(1_014), lsn(1_020));
        assert_eq!(
            (back.oldest_own(), back.find(lsn(1_001))),
            (lsn(1_001), (lsn(1_001), lsn(1_020)))
        );
    }
}
