//! Which process of the peer was met last, so that one that went back is known again.
//!
//! With two writers a directory that goes back to an older copy gives positions, ids and rights a second
//! time. Numbers of positions do not show it once it has written past what its peer had. But no number of a boot
//! comes twice (`tandem_switch::next_boot`), and a directory knows those of its last starts: one that does not know
//! the process that was met is of a copy from before that, however often it was started since.
//!
//! Kept behind the switch's part of the state file.

use tandem_switch::{BootId, boot_count};
use tandem_types::Incarnation;

use crate::planted::{NodeRule, holds};

/// Starts that a directory remembers. One that was started more often since its peer last met it, and went back to a
/// copy from before that, is not known again.
pub(crate) const STARTS_MAX: usize = 32;

/// One process, and where it is in the file: incarnation and boot, little-endian.
const BYTES: usize = 16;
/// One start: a boot.
const START_BYTES: usize = 8;

/// What is kept.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Acquaintance {
    /// The process of the peer that was met last.
    pub(crate) met: Option<BootId>,
    /// The boots of the last starts of this directory, oldest first.
    pub(crate) starts: Vec<u64>,
}

impl Acquaintance {
    /// Reads what is left of the switch's part; files of earlier programs hold less there, or nothing.
    pub(crate) fn decode(rest: &[u8]) -> Self {
        let Some((met, starts)) = rest.split_first_chunk::<BYTES>() else { return Self::default() };
        let (incarnation, boot) = met.split_at(BYTES / 2);
        let number = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
        let met = BootId { incarnation: Incarnation::new(number(incarnation)), boot: number(boot) };
        Self {
            met: (met.boot > 0).then_some(met),
            starts: starts.chunks_exact(START_BYTES).map(number).collect(),
        }
    }

    /// The directory is started once more.
    pub(crate) fn start(&mut self, boot: u64) {
        self.starts.push(boot);
        let old = self.starts.len().saturating_sub(STARTS_MAX);
        self.starts.drain(..old);
    }
}

/// Behind the switch's part.
pub(crate) fn encode(met: Option<BootId>, starts: &[u64], out: &mut Vec<u8>) {
    let nobody = BootId { incarnation: Incarnation::new(0), boot: 0 };
    let BootId { incarnation, boot } = met.unwrap_or(nobody);
    out.extend_from_slice(&incarnation.get().to_le_bytes());
    out.extend_from_slice(&boot.to_le_bytes());
    out.extend(starts.iter().flat_map(|boot| boot.to_le_bytes()));
}

/// Whether `now` is a process of an older copy of the directory whose process `met` was. `starts`: the last ones of
/// its directory; none, if its program does not say.
pub(crate) fn went_back(met: Option<BootId>, now: BootId, starts: &[u64]) -> bool {
    met.is_some_and(|met| {
        let count = boot_count(met.boot);
        let forgotten = || {
            starts.first().is_some_and(|&oldest| boot_count(oldest) <= count)
                && !starts.contains(&met.boot)
        };
        met.incarnation == now.incarnation
            && met.boot != now.boot
            && (boot_count(now.boot) <= count || forgotten())
            && holds(NodeRule::LaterBoots)
    })
}

#[cfg(test)]
mod tests {
    use tandem_switch::next_boot;

    use super::*;

    fn of(incarnation: u64, boot: u64) -> BootId {
        BootId { incarnation: Incarnation::new(incarnation), boot }
    }

    #[test]
    fn a_process_that_was_not_started_after_the_last_one_is_of_a_copy() {
        let first = next_boot(0, 1 << 60);
        let second = next_boot(first, 2 << 60);
        assert!(!went_back(None, of(1, first), &[]));
        assert!(!went_back(Some(of(1, first)), of(1, first), &[]), "the same, connected again");
        assert!(!went_back(Some(of(1, first)), of(1, second), &[]));
        assert!(went_back(Some(of(1, second)), of(1, next_boot(first, 3 << 60)), &[]));
        assert!(went_back(Some(of(1, second)), of(1, next_boot(0, 3 << 60)), &[]));
        assert!(!went_back(Some(of(1, second)), of(2, first), &[]), "another directory");
    }

    #[test]
    fn a_copy_that_was_started_as_often_since_does_not_know_who_was_met() {
        let start = |kept: &Acquaintance, random: u64| {
            let mut kept = kept.clone();
            let boot = next_boot(kept.starts.last().copied().unwrap_or(0), random << 56);
            kept.start(boot);
            (kept, boot)
        };
        let (copy, first) = start(&Acquaintance::default(), 1);
        let (directory, met) = start(&copy, 2);
        let mut back = start(&copy, 3);
        for random in 4..9 {
            assert!(went_back(Some(of(1, met)), of(1, back.1), &back.0.starts), "{back:?}");
            back = start(&back.0, random);
        }
        let mut on = start(&directory, 3);
        for random in 0..STARTS_MAX as u64 + 3 {
            assert!(!went_back(Some(of(1, met)), of(1, on.1), &on.0.starts), "{on:?}");
            assert!(!went_back(Some(of(1, first)), of(1, on.1), &on.0.starts), "{on:?}");
            on = start(&on.0, random);
        }
        assert_eq!(on.0.starts.len(), STARTS_MAX);
    }

    #[test]
    fn it_is_kept_behind_what_the_switch_keeps() {
        let met = BootId { incarnation: Incarnation::new(77), boot: 9 << 24 };
        let switch = tandem_switch::NodeState::new(Incarnation::new(5));
        for (met, starts) in [(Some(met), vec![3, 4]), (Some(met), vec![]), (None, vec![5])] {
            let mut extra = Vec::new();
            switch.encode(&mut extra);
            encode(met, &starts, &mut extra);
            let (read, rest) = tandem_switch::NodeState::decode(&extra).unwrap();
            assert_eq!((read, Acquaintance::decode(rest)), (switch, Acquaintance { met, starts }));
        }
        assert_eq!(Acquaintance::decode(&[]), Acquaintance::default());
        assert_eq!(Acquaintance::decode(&[1; 15]), Acquaintance::default());
    }
}
