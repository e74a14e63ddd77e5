//! The node's side of the files of what merging decided: what is to be written goes there in batches, and who
//! asks for entries that are not in memory waits for them.

use std::collections::BTreeMap;
use std::time::Duration;

use tandem_store::{ConflictEntry, ConflictFilter, ConflictId};
use tandem_types::Monotonic;

use super::Node;
use crate::merge_log::{MergeLogNews, MergeLogOrder};
use crate::{ConnId, Output, Severity};

/// Bytes of one batch, about.
const BATCH_BYTES: usize = 1 << 20;
/// Between two batches: each is synced, on the disk that also holds the log.
const REST: Duration = Duration::from_millis(100);
/// Until writing is tried again that failed.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct MergeLogState {
    writing: bool,
    not_before: Monotonic,
    asked: BTreeMap<u64, (ConnId, ConflictFilter)>,
    recalling: BTreeMap<u64, (ConnId, ConflictId)>,
    last_token: u64,
}

impl Node {
    /// When the next batch may go.
    pub(super) fn merge_log_deadline(&self) -> Option<Monotonic> {
        let waits = !self.merge_log.writing && self.core.store.has_unwritten_conflicts();
        waits.then_some(self.merge_log.not_before)
    }

    /// Hands over what is not on disk.
    pub(super) fn tend_merge_log(&mut self) {
        let now = self.core.now;
        if self.merge_log_deadline().is_none_or(|at| at > now.mono) {
            return;
        }
        let mut entries = Vec::new();
        if self.core.store.unwritten_conflicts(BATCH_BYTES, &mut entries).is_some() {
            self.merge_log.writing = true;
            let order = MergeLogOrder::Append { entries, now: now.wall };
            self.core.out.push(Output::MergeLog(order));
        }
    }

    /// A client asks for entries of which some are only in the files.
    pub(super) fn read_conflicts(&mut self, conn: ConnId, filter: ConflictFilter) {
        let Some(before) = self.core.store.older_conflicts(&filter) else {
            return self.show_conflicts(conn, Vec::new(), &filter);
        };
        let state = &mut self.merge_log;
        state.last_token += 1;
        let token = state.last_token;
        state.asked.insert(token, (conn, filter.clone()));
        let (filter, now) = (Box::new(filter), self.core.now.wall);
        self.core.out.push(Output::MergeLog(MergeLogOrder::Read { token, filter, before, now }));
    }

    /// A client wants to decide one that is only in the files.
    pub(super) fn recall_conflict(&mut self, conn: ConnId, id: ConflictId) {
        let state = &mut self.merge_log;
        state.last_token += 1;
        let token = state.last_token;
        state.recalling.insert(token, (conn, id));
        let (filter, before) = ConflictFilter::one(id);
        let (filter, before, now) = (Box::new(filter), Some(before), self.core.now.wall);
        self.core.out.push(Output::MergeLog(MergeLogOrder::Read { token, filter, before, now }));
    }

    /// What came of it.
    pub(super) fn merge_log_news(&mut self, news: MergeLogNews) {
        match news {
            MergeLogNews::Written { oldest, newest, bytes } => {
                self.merge_log.writing = false;
                self.merge_log.not_before = self.core.now.mono.plus(REST);
                self.core.store.conflicts_written(oldest, newest);
                self.core.merge_log.bytes = bytes;
                if self.core.merge_log.trouble.take().is_some() {
                    self.event(Severity::Note, "conflicts are written to disk again".to_owned());
                }
            }
            MergeLogNews::Failed(reason) => {
                self.merge_log.writing = false;
                self.merge_log.not_before = self.core.now.mono.plus(AGAIN_AFTER);
                if self.core.merge_log.trouble.is_none() {
                    let text = format!(
                        "conflicts cannot be written to merge-conflicts/: {reason}; the newest are kept in memory, and it is tried again"
                    );
                    self.event(Severity::Warn, text);
                }
                self.core.merge_log.trouble = Some(reason);
            }
            MergeLogNews::Read { token, entries, damaged } => {
                for text in damaged {
                    self.event(Severity::Warn, format!("merge-conflicts/: {text}"));
                }
                if let Some((conn, filter)) = self.merge_log.asked.remove(&token) {
                    self.show_conflicts(conn, entries, &filter);
                } else if let Some((conn, id)) = self.merge_log.recalling.remove(&token) {
                    self.core.store.recall_conflict(id, entries.into_iter().next());
                    self.clients.go_on(&mut self.core, conn);
                    self.core.store.forget_recalled();
                }
            }
        }
    }

    /// Answers with what the files held and what is in memory.
    fn show_conflicts(
        &mut self,
        conn: ConnId,
        mut entries: Vec<ConflictEntry>,
        filter: &ConflictFilter,
    ) {
        self.core.store.select_conflicts(filter, &mut entries);
        self.clients.answer_conflicts(&mut self.core, conn, &entries);
    }
}
