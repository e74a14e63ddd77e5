//! What the clients saw since a moment.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What all clients together saw since `since`.
#[derive(Clone, Debug)]
pub(in crate::failover) struct Window {
    since: Instant,
    last_acknowledged: Instant,
    /// Acknowledged writes.
    pub(in crate::failover) acknowledged: u64,
    /// From the moment to the first acknowledgement on a connection that was opened after it.
    pub(in crate::failover) until_new: Option<Duration>,
    /// The longest time in which no client got an acknowledgement.
    pub(in crate::failover) longest_gap: Duration,
    /// The longest time any client waited for one, from when it first wanted to write.
    pub(in crate::failover) longest_pause: Duration,
    /// Error replies by their first word.
    pub(in crate::failover) refused: BTreeMap<String, u64>,
    /// Writes in flight when their connection ended: the client does not know what became of them.
    pub(in crate::failover) unknown: u64,
    /// Connections that ended with nothing in flight.
    pub(in crate::failover) moved: u64,
}

impl Window {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            since: now,
            last_acknowledged: now,
            acknowledged: 0,
            until_new: None,
            longest_gap: Duration::ZERO,
            longest_pause: Duration::ZERO,
            refused: BTreeMap::new(),
            unknown: 0,
            moved: 0,
        }
    }

    /// Error replies and unknown outcomes: what an application would notice.
    pub(in crate::failover) fn errors(&self) -> u64 {
        self.refused.values().sum::<u64>() + self.unknown
    }

    pub(super) fn acknowledged(&mut self, now: Instant, opened_at: Instant, waited: Duration) {
        self.acknowledged += 1;
        self.longest_pause = self.longest_pause.max(waited);
        self.longest_gap = self.longest_gap.max(now - self.last_acknowledged);
        self.last_acknowledged = now;
        if opened_at >= self.since {
            self.until_new.get_or_insert(now - self.since);
        }
    }

    pub(super) fn refused(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let word = text.split(' ').next().unwrap_or_default().to_owned();
        *self.refused.entry(word).or_default() += 1;
    }

    pub(super) fn parted(&mut self, in_flight: usize) {
        if in_flight == 0 {
            self.moved += 1;
        }
        self.unknown += u64::try_from(in_flight).unwrap_or(u64::MAX);
    }
}
