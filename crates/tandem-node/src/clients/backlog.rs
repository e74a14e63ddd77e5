//! Writes that are in the log and not yet acknowledged: beyond a bound, clients that send more wait.

use std::collections::VecDeque;

use tandem_types::Lsn;

use super::Clients;
use crate::session::Session;
use crate::{ConnId, Core};

/// How many bytes of log lie between `commit_end` and the end.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    /// Bytes appended in all, at the end of each turn that appended something.
    marks: VecDeque<(Lsn, u64)>,
    /// Bytes appended in all, up to `commit_end`.
    committed: u64,
    /// Clients that are not read until the backlog is smaller.
    paused: Vec<ConnId>,
}

impl Backlog {
    fn bytes(&self, core: &Core) -> u64 {
        core.appended_bytes.saturating_sub(self.committed)
    }
}

impl Clients {
    /// Remembers how much was appended up to here.
    pub(super) fn mark_backlog(&mut self, core: &Core) {
        let end = core.positions.appended_end;
        if self.backlog.marks.back().is_none_or(|&(last, _)| last < end) {
            self.backlog.marks.push_back((end, core.appended_bytes));
        }
    }

    /// Stops reading from a client that keeps writing while the disk or the peer is behind.
    #[inline]
    pub(super) fn limit_backlog(&mut self, core: &mut Core, session: &mut Session) {
        let limit = super::to_u64(core.settings.limits.unacknowledged_bytes_max);
        if limit != 0
            && self.backlog.bytes(core) > limit
            && session.outbox.is_holding()
            && !session.reading_paused
        {
            Self::pause_reading(core, session, true);
            self.backlog.paused.push(session.conn);
        }
    }

    /// `commit_end` moved: goes on reading once half of the bound is free.
    pub(super) fn shrink_backlog(&mut self, core: &mut Core) {
        let commit_end = core.positions.commit_end;
        while let Some(&(end, bytes)) = self.backlog.marks.front() {
            if end > commit_end {
                break;
            }
            self.backlog.committed = bytes;
            self.backlog.marks.pop_front();
        }
        let limit = super::to_u64(core.settings.limits.unacknowledged_bytes_max);
        if self.backlog.paused.is_empty() || self.backlog.bytes(core) > limit / 2 {
            return;
        }
        for conn in std::mem::take(&mut self.backlog.paused) {
            if let Some(session) = self.sessions.get_mut(conn)
                && session.waiting.is_none()
            {
                Self::pause_reading(core, session, false);
            }
        }
    }

    /// The role is gone: what is not acknowledged now never will be.
    pub(super) fn forget_backlog(&mut self, core: &mut Core) {
        self.backlog.marks.clear();
        self.backlog.committed = core.appended_bytes;
        self.shrink_backlog(core);
    }
}
