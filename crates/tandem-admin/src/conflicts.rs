//! Saved writes of a returned primary: what is asked, what is answered.

use serde::{Deserialize, Serialize};

/// `tandem conflicts`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "conflicts", rename_all = "kebab-case")]
pub enum ConflictRequest {
    /// Every file.
    List,
    /// The lines of one.
    Show {
        /// Which.
        id: String,
    },
    /// Each key: at the fork, lost, now.
    Diff {
        /// Which.
        id: String,
    },
    /// Write again what can be.
    Apply {
        /// Which.
        id: String,
        /// How.
        how: ApplyBody,
    },
    /// Give it up.
    Discard {
        /// Which.
        id: String,
    },
}

impl ConflictRequest {
    /// Whether it changes something.
    pub const fn changes(&self) -> bool {
        match self {
            Self::List | Self::Show { .. } | Self::Diff { .. } => false,
            Self::Apply { how, .. } => !how.dry_run,
            Self::Discard { .. } => true,
        }
    }
}

/// The body of a request to apply.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApplyBody {
    /// Only say what would be done.
    pub dry_run: bool,
    /// What conflicts takes the lost value.
    pub force: bool,
    /// Decide this key only, and what is bound to it by transactions; as `diff` writes it.
    pub key: Option<String>,
    /// The key's database.
    pub db: u8,
    /// What that key shall hold.
    pub take: Option<Take>,
}

/// A person's choice for one key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Take {
    /// What the saved writes made of it.
    Lost,
    /// What it holds now.
    Current,
}

/// Every file of saved writes.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ConflictsView {
    /// The node that answers.
    pub node: String,
    /// `switch.conflicts`.
    pub policy: String,
    /// Oldest first.
    pub conflicts: Vec<ConflictView>,
}

/// One file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ConflictView {
    /// Its name without the ending.
    pub id: String,
    /// Below the data directory.
    pub file: String,
    /// `open`, `applied` or `discarded`.
    pub state: String,
    /// The node that had the writes.
    pub node: String,
    /// The reign they were made in.
    pub epoch: u64,
    /// The first record that the pair lacks.
    pub from_lsn: u64,
    /// Records.
    pub records: u64,
    /// Keys they wrote to.
    pub keys: u64,
    /// When they were saved, milliseconds since 1970.
    pub saved_at_ms: u64,
    /// Length of the file.
    pub bytes: u64,
    /// The peer has said on this connection that its disk holds the file too.
    pub on_peer: bool,
}

/// The lines of one file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ConflictLinesView {
    /// Which.
    pub id: String,
    /// JSON, one object per line.
    pub lines: Vec<String>,
    /// The file has more: read it in the data directory.
    pub more: bool,
}

/// What a key held at one time.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ImageView {
    /// string, list, hash, set, zset.
    #[serde(rename = "type")]
    pub kind: String,
    /// The value, or its beginning; bytes beyond ASCII escaped.
    pub value: String,
    /// When it expires, milliseconds since 1970.
    pub expires_at_ms: Option<u64>,
}

/// One key of a file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ConflictKeyView {
    /// Its database.
    pub db: u8,
    /// The key; bytes beyond ASCII escaped.
    pub key: String,
    /// `identical`, `untouched`, `mergeable`, `conflict`; `applied` if it was written again before, `left` if a
    /// person has left it as it is.
    pub class: String,
    /// Keys of one number are written together or not at all: transactions bind them.
    pub group: Option<u64>,
    /// At the fork; absent: nothing.
    pub at_fork: Option<ImageView>,
    /// What the saved writes made of it.
    pub lost: Option<ImageView>,
    /// Now.
    pub current: Option<ImageView>,
    /// What applying does: `nothing`, `write`, `merge`, `keep`; by a person's word also `take` (the lost value
    /// replaces what is there) and `leave`.
    pub apply: String,
}

/// Every key of a file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ConflictDiffView {
    /// Which.
    pub id: String,
    /// The log still reaches back to the fork, so it is known what was written since.
    pub since_known: bool,
    /// The keys.
    pub keys: Vec<ConflictKeyView>,
}

/// What applying did, or would do.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ConflictApplyView {
    /// Which.
    pub id: String,
    /// Nothing was done.
    pub dry_run: bool,
    /// One sentence.
    pub message: String,
    /// Keys that were as at the fork, and now are what the saved writes made of them.
    pub written: u64,
    /// Keys to which the saved additions were added.
    pub merged: u64,
    /// Keys in conflict that a person gave the lost value.
    pub taken: u64,
    /// Keys that a person left as they are.
    pub left: u64,
    /// Keys that were already so.
    pub identical: u64,
    /// Keys that were written again by an earlier `apply`.
    pub already: u64,
    /// Keys that wait for a person.
    pub kept: u64,
    /// The keys; only for a dry run.
    pub keys: Vec<ConflictKeyView>,
}
