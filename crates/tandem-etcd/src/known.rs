//! What etcd is known to hold of the pair, and which life of the record that is: sans-IO.
//!
//! A record's life is named by etcd's cluster id, the revision at which its key was created, the random
//! mark in its value, and how often this client saw the store go *back*. So a record that was deleted and
//! written anew, a wiped cluster (which may well get the same ids and revisions again), another cluster
//! and a restored backup each are another life, and no revision of one is taken for one of another.

use sha2::{Digest as _, Sha256};
use tandem_switch::{Change, MediatorView, Presence, Record, RecordState, Revision};
use tandem_types::{Monotonic, Pair};

use crate::gateway::{self, Header, KeyValue, RangePart, TxnAnswer};
use crate::keys::Keys;
use crate::trouble::Trouble;
use crate::value::{self, Kept};

/// The record as last seen or written.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Seen {
    revision: Revision,
    created: u64,
    mark: u64,
    /// Its very bytes.
    value: Vec<u8>,
}

/// Answers must be given to it in the order in which they were asked for, one at a time.
#[derive(Debug)]
pub(crate) struct Known {
    keys: Keys,
    /// Cluster and revision of the latest answer.
    store: Option<(u64, u64)>,
    /// When the record was last written, as last seen.
    written: u64,
    /// How often the store has gone back.
    returns: u64,
    /// The next record is the first of a new history, and gets a mark of its own.
    marks_anew: bool,
    seen: Option<Seen>,
}

impl Known {
    pub(crate) const fn new(keys: Keys) -> Self {
        Self { keys, store: None, written: 0, returns: 0, marks_anew: false, seen: None }
    }

    /// The two ranges that make a view.
    pub(crate) fn ranges(&self) -> [serde_json::Value; 2] {
        [gateway::range_key(&self.keys.record()), gateway::range_latest(&self.keys.presences())]
    }

    /// A view from the answer to [`Self::ranges`], which are the parts from `place` on.
    pub(crate) fn learn(
        &mut self,
        answer: &TxnAnswer,
        place: usize,
        asked: Monotonic,
    ) -> Result<MediatorView, Trouble> {
        let (record, presences) = (answer.range(place)?, answer.range(place + 1)?);
        let record = self.learn_record(&answer.header, record);
        Ok(MediatorView { asked: Some(asked), record, present: self.present(presences) })
    }

    /// Whether the record is known to be in the state that a change wants to replace. `None` as the
    /// expected one is left to etcd to compare.
    pub(crate) fn is_expected(&self, expect: Option<Revision>) -> bool {
        expect.is_none_or(|expect| self.seen.as_ref().is_some_and(|it| it.revision == expect))
    }

    /// The transaction of a change that [`Self::is_expected`]; `random` becomes the mark of a new life.
    pub(crate) fn change(&self, change: &Change, random: u64) -> serde_json::Value {
        let key = self.keys.record();
        let mut compare = match (change.expect, &self.seen) {
            (Some(_), Some(seen)) => vec![
                gateway::is_written_at(&key, seen.revision.version),
                gateway::is_created_at(&key, seen.created),
                gateway::has_value(&key, &seen.value),
            ],
            _ => vec![gateway::is_absent(&key)],
        };
        if let Some((node, boot)) = change.unless_present {
            compare.push(gateway::is_absent(&self.keys.presence(node, boot)));
        }
        let value = self.value_of(change, random);
        let [record, presences] = self.ranges();
        serde_json::json!({
            "compare": compare,
            "success": [gateway::put(&key, &value, None), record],
            "failure": [record, presences],
        })
    }

    fn value_of(&self, change: &Change, random: u64) -> Vec<u8> {
        let mark = match (change.expect, &self.seen) {
            (Some(_), Some(seen)) if !self.marks_anew => seen.mark,
            _ => random,
        };
        value::encode_record(&Kept { mark, record: change.record })
    }

    /// A change that took effect: the record's new state.
    pub(crate) fn won(
        &mut self,
        answer: &TxnAnswer,
        written: &Record,
    ) -> Result<Revision, Trouble> {
        match self.learn_record(&answer.header, answer.range(1)?) {
            RecordState::Present { revision, record } if record == *written => {
                self.marks_anew = false;
                Ok(revision)
            }
            other => {
                Err(Trouble::Malformed(format!("what was just written is not there: {other:?}")))
            }
        }
    }

    fn learn_record(&mut self, header: &Header, part: &RangePart) -> RecordState {
        let found = part.kvs.first();
        self.notice_return(header, found.map_or(0, |it| it.mod_revision));
        self.seen = None;
        let Some(found) = found else { return RecordState::Absent };
        match value::decode_record(&found.value) {
            Ok(Kept { mark, record }) => {
                let revision = self.revision(header, found, mark);
                let (created, value) = (found.create_revision, found.value.clone());
                self.seen = Some(Seen { revision, created, mark, value });
                RecordState::Present { revision, record }
            }
            Err(error) => {
                RecordState::Unreadable { reason: format!("{}: {error}", self.keys.record()) }
            }
        }
    }

    /// Answers are linearizable and asked for one after another, so within one history neither the store
    /// nor the record can be older than before.
    fn notice_return(&mut self, header: &Header, written: u64) {
        if let Some((cluster, revision)) = self.store
            && cluster == header.cluster_id
            && (header.revision < revision || (written != 0 && written < self.written))
        {
            tracing::warn!("etcd has gone back from revision {revision}: it was restored or wiped");
            self.returns += 1;
            self.marks_anew = true;
        }
        self.store = Some((header.cluster_id, header.revision));
        self.written = written;
    }

    fn revision(&self, header: &Header, found: &KeyValue, mark: u64) -> Revision {
        let mut digest = Sha256::new();
        for part in [header.cluster_id, found.create_revision, mark, self.returns] {
            digest.update(part.to_le_bytes());
        }
        let digest: [u8; 32] = digest.finalize().into();
        let life = digest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        Revision { life, version: found.mod_revision }
    }

    /// Of each node the boot that came last. A value that cannot be read says nothing of its node; its
    /// key still refuses a change that needs that boot to be absent.
    fn present(&self, part: &RangePart) -> Pair<Option<Presence>> {
        let mut present = Pair { a: None, b: None };
        for found in &part.kvs {
            let Some((node, boot)) = self.keys.whose(&found.key) else { continue };
            match value::decode_presence(&found.value) {
                Ok(presence) if presence.boot == boot => {
                    present[node].get_or_insert(presence);
                }
                Ok(_) => tracing::warn!("a presence at etcd speaks of another boot than its key"),
                Err(error) => tracing::warn!("a presence at etcd: {error}"),
            }
        }
        present
    }
}

#[cfg(test)]
mod tests;
