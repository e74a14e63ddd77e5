//! What the process around the node knows and `INFO` shows.

use tandem_types::{Monotonic, WallMillis};

use crate::CertificateEnd;

/// Facts about the process; the server fills them in, the simulator leaves them empty.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Version of the program.
    pub version: String,
    /// Process id.
    pub pid: u32,
    /// Process id of the supervisor; `None`: runs without one.
    pub supervisor_pid: Option<u32>,
    /// Starts of this node within `restart_window`, this one counted; 0: nobody counts.
    pub starts_in_window: u32,
    /// `witness`, `zookeeper` or `etcd`; empty: none.
    pub mediator_kind: String,
    /// The virtual address with its prefix length; empty: none.
    pub virtual_address: String,
    /// The client port.
    pub client_port: u16,
    /// The read port; 0: off.
    pub read_port: u16,
    /// When the process began.
    pub started: Monotonic,
    /// When the process began, for people.
    pub started_wall: WallMillis,
    /// Path of the program.
    pub executable: String,
    /// Path of the configuration.
    pub config_file: String,
    /// Forty hexadecimal digits that differ from one start to the next.
    pub run_id: String,
    /// System name and version.
    pub os: String,
    /// Resident memory, in bytes.
    pub rss_bytes: u64,
    /// Most resident memory so far, in bytes.
    pub rss_peak_bytes: u64,
    /// Memory of the machine, in bytes.
    pub system_memory_bytes: u64,
    /// Processor time in the system, in microseconds.
    pub cpu_system_us: u64,
    /// Processor time in the program, in microseconds.
    pub cpu_user_us: u64,
    /// When the TLS certificate ends; `None`: there is none, or it cannot be told.
    pub certificate: Option<CertificateEnd>,
}

/// A clock in nanoseconds for measuring how long commands take; its zero means nothing.
///
/// A plain function, so that the simulator can pass one that stands still.
pub type Stopwatch = fn() -> u64;

/// The stopwatch of a simulated node: everything takes no time.
pub fn stopped() -> u64 {
    0
}
