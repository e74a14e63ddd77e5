//! Sign of life, round trip and positions.

use tandem_types::{Epoch, Lsn, Monotonic, Role, Stamp, WallMillis};

/// One heartbeat or the answer to one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Heartbeat {
    /// Timing.
    pub beat: Beat,
    /// How the sender is.
    pub status: Status,
    /// In an answer to its primary: what a follower promises.
    pub grant: Option<Grant>,
}

/// A follower's promise not to become primary before the lease is over, by its own clock from its answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Grant {
    /// The reign it follows.
    pub epoch: Epoch,
    /// How long.
    pub lease_ms: u32,
}

/// The timing part: made and read by [`crate::heart::Heart`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Beat {
    /// Rises by one with each heartbeat of this connection; 0 in an answer.
    pub seq: u64,
    /// The sender's clock when it sent this.
    pub sent: Monotonic,
    /// In an answer: what it answers. Answers are sent at once and not answered.
    pub echo: Option<Echo>,
}

/// The heartbeat that is answered, as the one who sent it wrote it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Echo {
    /// Its number.
    pub seq: u64,
    /// The asker's clock when it asked: a read lease counts from here, and so does freshness.
    pub sent: Monotonic,
}

/// How a node is, as it says itself.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Status {
    /// Its role.
    pub role: Role,
    /// The reign it leads or follows.
    pub epoch: Epoch,
    /// End of its log in memory.
    pub appended_end: Lsn,
    /// End of its log on disk.
    pub durable_end: Lsn,
    /// End of what is in its key space.
    pub applied_end: Lsn,
    /// End of what may be acknowledged.
    pub commit_end: Lsn,
    /// Its wall clock: shown to people, compared for alarms, decides nothing.
    pub wall: WallMillis,
    /// Stamp of the newest record it has applied.
    pub applied_stamp: Stamp,
    /// How long its oldest unfinished disk sync has been running, in ms: a hung disk shows here.
    pub sync_age_ms: u32,
    /// Digest of its configuration file.
    pub config_digest: u64,
    /// A primary whose `commit_end` covers the start of its own reign: only then does it bound what
    /// has been acknowledged, so only then does it say how fresh a replica is.
    pub commit_known: bool,
    /// Of a primary to its follower: so many bytes of the log up to `appended_end`, at most, are not on the
    /// follower's disk. `None`: it does not know, or is no primary.
    pub lacks: Option<u64>,
}
