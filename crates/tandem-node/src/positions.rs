//! How far everything is, and what follows for acknowledgements.

use tandem_types::Lsn;

use crate::planted::{NodeRule, holds};
use crate::{Acknowledge, Fsync};

/// Ends (exclusive) of what is in memory, on disk, at the peer, and safe.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Positions {
    /// In this node's write buffer.
    pub appended_end: Lsn,
    /// Handed to the system.
    pub written_end: Lsn,
    /// Survives a power cut here.
    pub durable_end: Lsn,
    /// In this node's memory.
    pub applied_end: Lsn,
    /// Received by the peer in this epoch (primary only).
    pub peer_received_end: Lsn,
    /// Durable at the peer, reported in this epoch (primary only).
    pub peer_durable_end: Lsn,
    /// Applied by the peer (primary only).
    pub peer_applied_end: Lsn,
    /// Safe: may be shown and acknowledged. Never goes back within an epoch.
    pub commit_end: Lsn,
}

/// What a write needs before it is safe (design.md R2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CommitRule {
    /// When a write is answered.
    pub acknowledge: Acknowledge,
    /// When the log is synced.
    pub fsync: Fsync,
    /// The in-sync set holds the peer too, so its word is needed.
    pub peer_in_sync: bool,
}

impl CommitRule {
    /// The first position that may not yet be acknowledged by a primary.
    pub fn commit_end(self, at: &Positions) -> Lsn {
        let own = match self.fsync {
            Fsync::Always if holds(NodeRule::SyncFirst) => at.durable_end,
            Fsync::Interval(_) => at.written_end,
            // Always comes here only where a test has taken its rule away.
            Fsync::Always | Fsync::Never => at.appended_end,
        };
        match (self.acknowledge, self.peer_in_sync) {
            (Acknowledge::Local, _) | (_, false) => own,
            (Acknowledge::Received, true) => own.min(at.peer_received_end),
            (Acknowledge::Durable, true) => own.min(at.peer_durable_end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_safe_once_everyone_who_must_have_it_has_it() {
        let at = Positions {
            appended_end: Lsn::new(9),
            written_end: Lsn::new(8),
            durable_end: Lsn::new(7),
            peer_received_end: Lsn::new(6),
            peer_durable_end: Lsn::new(5),
            ..Positions::default()
        };
        let cases = [
            (Acknowledge::Local, Fsync::Always, true, 7),
            (Acknowledge::Local, Fsync::Interval(std::time::Duration::from_secs(1)), true, 8),
            (Acknowledge::Local, Fsync::Never, true, 9),
            (Acknowledge::Received, Fsync::Always, true, 6),
            (Acknowledge::Durable, Fsync::Always, true, 5),
            (Acknowledge::Durable, Fsync::Always, false, 7),
            (Acknowledge::Durable, Fsync::Never, true, 5),
        ];
        for (acknowledge, fsync, peer_in_sync, want) in cases {
            let rule = CommitRule { acknowledge, fsync, peer_in_sync };
            assert_eq!(rule.commit_end(&at), Lsn::new(want), "{rule:?}");
        }
    }
}
