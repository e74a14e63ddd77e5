//! Writes that are not answered for long, and why: whoever waits must be able to see it.

use std::time::Duration;

use tandem_types::Monotonic;

use super::Node;
use crate::Severity;

/// Waits shorter than this are not worth a word, where `slow_after` is off: its default.
const WAIT_MAX: Duration = Duration::from_secs(3);

/// Why writes wait, and who can change it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct WritesWait {
    /// In words.
    pub fact: String,
    /// The node or person that can end it.
    pub supplied_by: String,
}

impl Node {
    /// What keeps writes from being answered by this node, or by the primary that waits for it.
    pub(super) fn writes_wait(&self) -> Option<WritesWait> {
        let (own, peer) = (self.core.settings.name(), self.core.settings.peer_name());
        if let Some(full) = &self.disk_full {
            let what = if self.is_primary() {
                "writes are refused, reads go on"
            } else {
                "nothing is made durable here, and writes on the primary wait for it"
            };
            return Some(WritesWait {
                fact: format!("the disk of {own} is full ({full}): {what}"),
                supplied_by: format!("a person: free space on {own}"),
            });
        }
        let waited = self.waited_long()?;
        let at = &self.core.positions;
        let (seconds, from) = (waited.as_secs(), at.commit_end);
        Some(if at.durable_end > at.commit_end && self.link.is_up() {
            WritesWait {
                fact: format!(
                    "writes from record {from} on have waited for {seconds} s for {peer}, which is connected and does not make them durable: its disk is full, or hangs"
                ),
                supplied_by: format!("{peer}, or a person: `tandem solo` there goes on without it"),
            }
        } else if at.durable_end > at.commit_end {
            WritesWait {
                fact: format!(
                    "writes from record {from} on have waited for {seconds} s for {peer}, which is not connected"
                ),
                supplied_by: peer.to_owned(),
            }
        } else {
            WritesWait {
                fact: format!(
                    "writes from record {from} on have waited for {seconds} s for the disk of {own}"
                ),
                supplied_by: own.to_owned(),
            }
        })
    }

    /// How long the oldest write has waited, if that is long.
    fn waited_long(&self) -> Option<Duration> {
        let since = self.health.unanswered_since().filter(|_| self.is_primary())?;
        Some(self.core.now.mono.since(since)).filter(|&waited| waited >= self.wait_max())
    }

    fn wait_max(&self) -> Duration {
        let limit = self.core.settings.automatic.slow_after;
        if limit.is_zero() { WAIT_MAX } else { limit }
    }

    /// Says once that writes wait, and that they do no longer.
    pub(super) fn tell_of_waiting(&mut self) {
        // A full disk is told of by itself.
        let waits = self.disk_full.is_none() && self.waited_long().is_some();
        if waits == self.wait_told {
            return;
        }
        self.wait_told = waits;
        let text = self.writes_wait().filter(|_| waits).map(|waits| waits.fact);
        let text = text.unwrap_or_else(|| "writes are answered again".to_owned());
        self.event(Severity::Warn, text);
        self.refresh_view();
    }

    /// When somebody must be told although nothing happens.
    pub(super) fn waiting_deadline(&self) -> Option<Monotonic> {
        let since = self.health.unanswered_since().filter(|_| self.is_primary())?;
        (!self.wait_told).then(|| since.plus(self.wait_max()))
    }
}
