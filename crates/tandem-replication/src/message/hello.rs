//! Who speaks, and where its log stands.

use tandem_types::{Chain, Epoch, EpochHistory, Incarnation, Lsn, NodeId, PairId};

/// Format versions a node writes; the peer must read them all.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Formats {
    /// Of log records.
    pub log: u16,
    /// Of snapshot chunks.
    pub snapshot: u16,
}

/// First message of each end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hello {
    /// Which node of the configuration speaks.
    pub node: NodeId,
    /// The pair its data belongs to; [`PairId::NONE`] in an empty directory.
    pub pair_id: PairId,
    /// Its data directory's life.
    pub incarnation: Incarnation,
    /// How often this directory was started.
    pub boot: u64,
    /// Rises with every connection this boot makes; the newer connection replaces the older.
    pub session: u64,
    /// What it writes.
    pub formats: Formats,
    /// Digest of its configuration file; a difference is reported, not fatal.
    pub config_digest: u64,
    /// The highest epoch it has seen.
    pub epoch_seen: Epoch,
    /// Its program version, for people.
    pub version: String,
    /// What that digest was made of, one `key = value` a line, so that a difference can be named.
    pub configuration: String,
    /// The boots of the last starts of its directory, oldest first: at most [`STARTS_MAX`](super::STARTS_MAX).
    pub starts: Vec<u64>,
}

/// The follower's request for the stream: it obeys `epoch` durably, and its log stands here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Follow {
    /// The leader's reign.
    pub epoch: Epoch,
    /// The follower's node.
    pub node: NodeId,
    /// The pair its data belongs to; [`PairId::NONE`] if it has none.
    pub pair_id: PairId,
    /// Its data directory's life: every later acknowledgement carries it.
    pub incarnation: Incarnation,
    /// Its epoch table.
    pub history: EpochHistory,
    /// Where its log begins on its disk: it cannot cut below.
    pub oldest: Lsn,
    /// Where its log ends, durable or not.
    pub end: Lsn,
    /// Running checksum at `end`.
    pub chain: Chain,
    /// It has found its own log damaged and needs everything anew, whatever its positions say.
    pub damaged: bool,
}
