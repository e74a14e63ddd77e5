//! A standby that tries the primary as a client would (`switch.by = "probe"`), and judges what it sees.
//!
//! ```text
//!  every 200 ms --> Judge --Try--> attempt: one connection to the primary's client port
//!                    ^  |            CLIENT ID (a sign of life) · TANDEM.PROBESET · TANDEM.PROBEGET
//!                    |  '--TryDisk--> a write and fsync on this node's own disk
//!                    |<---- how it ended ------'
//!                    '--> the switch: answered, failed how, or "I cannot judge: it is me"
//! ```
//! Attempts overlap, each on a connection of its own while earlier ones wait, so that a primary that hangs is
//! noticed after one time-out and not after as many as must fail.
//!
//! Invariants: no failure is told before this node's own disk has taken a write since the row of failures
//! began; nothing that can be this node's own trouble counts; the number of connections is bounded.
//!
//! **Not here:** how many failures decide, and what follows (`tandem-switch`); the reserved value's place
//! (`tandem-node`).
#![forbid(unsafe_code)]

mod attempt;
mod connection;
mod disk;
mod judge;

use std::fmt;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tandem_switch::Probed;
use tandem_types::Monotonic;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::attempt::Attempts;
pub use crate::judge::{Input, Judge, Output, Own};

/// Reads what encrypts a connection, anew for each: certificates are replaced while the process runs.
#[derive(Clone)]
pub struct TlsSource(Arc<dyn Fn() -> io::Result<Arc<rustls::ClientConfig>> + Send + Sync>);

impl TlsSource {
    /// `read` may take as long as a few small files take.
    pub fn new(
        read: impl Fn() -> io::Result<Arc<rustls::ClientConfig>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(read))
    }

    pub(crate) fn read(&self) -> io::Result<Arc<rustls::ClientConfig>> {
        (self.0)()
    }
}

impl fmt::Debug for TlsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsSource")
    }
}

/// What a prober is told.
#[derive(Clone, Debug)]
pub struct ProberSettings {
    /// The peer's host: an address or a name, also what its certificate must say.
    pub host: String,
    /// Its client port.
    pub port: u16,
    /// What clients log in with.
    pub password: Option<Arc<[u8]>>,
    /// Encrypts the connection.
    pub tls: Option<TlsSource>,
    /// How often one attempt begins.
    pub every: Duration,
    /// Writes and reads back; else it only reads.
    pub write: bool,
    /// No sign of life for so long is a failure.
    pub silence: Duration,
    /// An answer that takes longer is a failure; `None`: slowness is none.
    pub slow_after: Option<Duration>,
    /// A folder on the disk of this node's log.
    pub folder: PathBuf,
    /// Random, of this process: other probers' values are not taken for its own.
    pub nonce: u64,
    /// This machine's clock.
    pub now: fn() -> Monotonic,
}

/// How this node itself is, asked before every attempt.
pub type AskOwn = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Option<Own>> + Send>> + Send>;

/// What an attempt or a look at the disk comes to.
type Ended = Input;

/// Starts a prober on `runtime`; it ends when `own` says `None` (the node has ended) or `tell` says `false`.
pub fn start(
    runtime: &Handle,
    settings: ProberSettings,
    own: AskOwn,
    tell: impl Fn(Monotonic, Probed) -> bool + Send + 'static,
) -> JoinHandle<()> {
    runtime.spawn(run(settings, own, tell))
}

async fn run(
    settings: ProberSettings,
    own: AskOwn,
    tell: impl Fn(Monotonic, Probed) -> bool + Send + 'static,
) {
    let (ended, mut news) = mpsc::unbounded_channel::<Ended>();
    let mut judge = Judge::new(settings.every, settings.silence);
    // A node whose own disk is as slow must not find the primary slow: what it writes waits for both.
    let patience = settings.slow_after.map_or(settings.silence, |slow| slow.min(settings.silence));
    let mut disk = disk::OwnDisk::new(settings.folder.clone(), patience);
    let mut rounds = interval(settings.every);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let attempts = Attempts::new(settings);
    let mut out = Vec::new();
    loop {
        let input = tokio::select! {
            Some(ended) = news.recv() => ended,
            _ = rounds.tick() => match timeout(attempts.settings().silence, own()).await {
                Ok(None) => return,
                Ok(Some(own)) => Input::Round(own),
                Err(_) => Input::Round(Own::Hangs),
            },
        };
        judge.step((attempts.settings().now)(), input, &mut out);
        for output in out.drain(..) {
            match output {
                Output::Try { number, oldest } => attempts.begin(number, oldest, ended.clone()),
                Output::TryDisk => disk.begin(ended.clone()),
                Output::Tell { asked, probed } => {
                    if !tell(asked, probed) {
                        return;
                    }
                }
            }
        }
    }
}
