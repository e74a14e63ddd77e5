//! A pair that was up is shown as down only once it has been so for a while.
//!
//! Between two primaries of a planned change there is none for some milliseconds, and a process that
//! died is replaced as fast. A library that asks just then and is told "down" waits longer than the
//! change takes (node-redis a whole second); one that gets the last address tries again at once.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::SentinelView;

/// As short as Redis' Sentinel is ever told to wait (`down-after-milliseconds`).
const DOWN_AFTER: Duration = Duration::from_secs(1);

/// Since when pairs that are shown as up are down.
#[derive(Debug, Default)]
pub(crate) struct Grace {
    since: BTreeMap<String, Instant>,
}

impl Grace {
    /// Takes back what `new` says too early; `shown` is what clients see now.
    pub(crate) fn give(&mut self, shown: &SentinelView, new: &mut SentinelView, now: Instant) {
        self.since.retain(|name, _| new.masters.iter().any(|master| master.name == *name));
        for master in &mut new.masters {
            let last = shown.masters.iter().find(|last| last.name == master.name);
            let was_up = last.is_some_and(|last| !last.down && last.primary.is_some());
            if !master.down || !was_up {
                self.since.remove(&master.name);
                continue;
            }
            let since = *self.since.entry(master.name.clone()).or_insert(now);
            if now < since + DOWN_AFTER {
                master.down = false;
            } else {
                self.since.remove(&master.name);
            }
        }
    }

    /// When the same view will say more.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.since.values().min().map(|since| *since + DOWN_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::remembered;
    use crate::{Addr, MasterView};

    fn view(primary: Option<u16>) -> SentinelView {
        let primary = primary.map(|port| Addr::of("10.0.0.1", port));
        let master = MasterView { name: "shop".into(), primary, ..MasterView::default() };
        SentinelView { masters: vec![master], ..SentinelView::default() }
    }

    #[test]
    fn a_gap_between_two_primaries_is_not_shown() {
        let mut grace = Grace::default();
        let now = Instant::now();
        let mut shown = SentinelView::default();
        let mut see = |primary, at| {
            let mut new = remembered(&shown, view(primary));
            grace.give(&shown, &mut new, at);
            shown = new;
            let master = &shown.masters[0];
            let port = master.primary.as_ref().map(|primary| primary.port);
            (port, master.down, grace.deadline().map(|due| due - now))
        };
        let up_for = |time| Some(time + DOWN_AFTER);
        assert_eq!(see(None, now), (None, true, None), "never seen: nothing to keep");
        assert_eq!(see(Some(1), now), (Some(1), false, None));
        assert_eq!(see(None, now), (Some(1), false, up_for(Duration::ZERO)));
        let later = now + DOWN_AFTER / 2;
        assert_eq!(see(None, later), (Some(1), false, up_for(Duration::ZERO)));
        assert_eq!(see(Some(2), later), (Some(2), false, None));
        assert_eq!(see(None, later), (Some(2), false, up_for(DOWN_AFTER / 2)));
        let end = later + DOWN_AFTER;
        assert_eq!(see(None, end), (Some(2), true, None));
        assert_eq!(see(None, end), (Some(2), true, None));
        assert_eq!(see(Some(2), end), (Some(2), false, None));
    }
}
