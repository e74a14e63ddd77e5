//! The timeline of a node: role changes with cause and duration.

use serde::{Deserialize, Serialize};

use crate::RoleName;

/// What kind of event an entry tells of.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum HistoryKind {
    /// The process began.
    #[default]
    Started,
    /// This node's role changed.
    Role,
    /// The in-sync set grew or shrank.
    InSync,
    /// The link to the peer came up or went down.
    Link,
    /// A full or partial copy began or ended.
    Copy,
    /// A person asked for something.
    Operator,
    /// Trouble: disk, configuration, refusal.
    Trouble,
}

/// One event.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct HistoryEntry {
    /// Rises by one per entry of this process; tells a poller what is new.
    pub number: u64,
    /// Milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// What kind of event.
    pub kind: HistoryKind,
    /// The role before, for [`HistoryKind::Role`].
    pub from: Option<RoleName>,
    /// The role after, for [`HistoryKind::Role`].
    pub to: Option<RoleName>,
    /// The reign at that time.
    pub epoch: u64,
    /// Number of the last record at that time.
    pub lsn: u64,
    /// What happened and why: one sentence.
    pub cause: String,
    /// How long the state before lasted, or the change took, in milliseconds.
    pub duration_ms: Option<u64>,
}

/// `GET /api/v1/history`, oldest first.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct HistoryView {
    /// The node that tells it.
    pub node: String,
    /// Its events since the start, the oldest dropped beyond a bound.
    pub entries: Vec<HistoryEntry>,
}
