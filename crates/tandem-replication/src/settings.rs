//! What the stream is told by the configuration.

use std::time::Duration;

/// Bounds and times of the stream; the same on both nodes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Settings {
    /// Silence after which the link counts as dead.
    pub failure_timeout: Duration,
    /// Heartbeats are not further apart than this, whatever counts as silence: leases ride on them.
    pub heartbeat_max: Duration,
    /// Bytes sent and not yet acknowledged as received, at most (one more piece may be begun below it).
    pub window_bytes: u64,
    /// Bytes of one `Records` message, at most; a single longer record travels alone.
    pub records_bytes_max: u32,
    /// Bytes of one `SnapshotChunk` message, at most; a longer slot travels in parts.
    pub chunk_bytes_max: u32,
    /// An acknowledgement that nobody waits for is sent at latest after this.
    pub ack_every: Duration,
    /// `acknowledge = "received"`: the leader waits for our memory, so each arrival is reported at once.
    pub report_received: bool,
    /// Pause before a second full copy to the same peer; doubled each time, with jitter.
    pub copy_pause: Duration,
    /// The pause grows to this.
    pub copy_pause_max: Duration,
    /// Draws the jitter.
    pub seed: u64,
}

impl Settings {
    /// Heartbeats are sent this often: five chances before silence counts.
    pub fn heartbeat_every(&self) -> Duration {
        (self.failure_timeout / 5).min(self.heartbeat_max)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            failure_timeout: Duration::from_secs(1),
            heartbeat_max: Duration::MAX,
            // Twice the bandwidth-delay product of 10 Gbit/s at 3 ms.
            window_bytes: 8 << 20,
            // 30 ms of a 64 Mbit/s line: a heartbeat behind it is still in time.
            records_bytes_max: 256 << 10,
            chunk_bytes_max: 256 << 10,
            ack_every: Duration::from_millis(5),
            report_received: false,
            copy_pause: Duration::from_secs(1),
            copy_pause_max: Duration::from_mins(1),
            seed: 0,
        }
    }
}
