//! Whether the data is what was written: comparison with the peer, scrub, repair.

use serde::{Deserialize, Serialize};

/// A comparison of the two nodes' data (`tandem verify`).
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct VerifyView {
    /// Counts the comparisons of this process.
    pub number: u64,
    /// It is under way.
    pub running: bool,
    /// Milliseconds since 1970 (UTC) at which it began.
    pub at_ms: u64,
    /// How long it has taken.
    pub duration_ms: u64,
    /// `equal`, `differs` or `failed`; empty while it runs.
    pub result: String,
    /// Why it failed, or what is to be done; absent when the data is equal.
    pub why: Option<String>,
    /// The last record that both nodes had applied at its end.
    pub lsn: u64,
    /// Slots with keys that were compared.
    pub slots: u64,
    /// Slots that differ.
    pub slots_differ: u64,
    /// Keys that differ, the first of them: database, key as printable text, and how.
    pub keys: Vec<String>,
    /// There are more of them.
    pub more_keys: bool,
}

/// Reading and checking what lies on disk.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ScrubView {
    /// Milliseconds since 1970 (UTC) at which it ended.
    pub at_ms: u64,
    /// How long it took.
    pub duration_ms: u64,
    /// Closed log files that were read to their end.
    pub segments: u64,
    /// Snapshots that were read to their end.
    pub snapshots: u64,
    /// Bytes of records and keys in them.
    pub bytes: u64,
    /// What is damaged, with file and byte.
    pub damaged: Vec<String>,
    /// What could not be read, and why.
    pub troubles: Vec<String>,
}

/// Data that is damaged and gets replaced.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct RepairView {
    /// What is damaged, with file and byte.
    pub reason: String,
    /// The directory that keeps the damaged files; absent before they are set aside.
    pub kept: Option<String>,
    /// What is waited for.
    pub waiting_for: String,
}
