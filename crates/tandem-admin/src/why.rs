//! `tandem why`: the fact a node waits for, who can supply it, and what forcing would cost.

use serde::{Deserialize, Serialize};

use crate::RoleName;

/// The answer of `tandem why`.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct WhyView {
    /// The node that answers.
    pub node: String,
    /// What it is.
    pub role: RoleName,
    /// Its situation in one sentence.
    pub summary: String,
    /// What it waits for; empty when it waits for nothing.
    pub waiting: Vec<WaitView>,
    /// What `promote --force` (or `solo`) on this node would mean now; absent where it makes no sense.
    pub forcing: Option<ForceView>,
}

/// One fact that is waited for.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct WaitView {
    /// The fact, as a sentence.
    pub fact: String,
    /// Who or what can supply it.
    pub supplied_by: String,
    /// Milliseconds left on the timer that ends the wait, if one runs.
    pub left_ms: Option<u64>,
}

/// What forcing would cost.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ForceView {
    /// The command that would force.
    pub command: String,
    /// The price, as a sentence.
    pub cost: String,
    /// Acknowledged records that this node may lack; absent when it cannot know.
    pub records_lost: Option<u64>,
    /// Milliseconds since the peer was last heard; absent if never.
    pub last_contact_ms: Option<u64>,
    /// The peer may still be serving: two primaries are possible.
    pub may_fork: bool,
}
