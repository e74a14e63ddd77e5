//! Many clients that write, and remember of every write what they were told.
//!
//! Each client owns its keys (`key:C:K`, `pair:C:a|b`, `list:C`), so the order of the writes to them is
//! known; counters and registers are shared by all. Every value is unique.
//!
//! A write ends in one of three ways: *acknowledged*; *refused* by a definite error, so it must never
//! show; *unknown* (time-out, closed connection, `-UNKNOWNRESULT`), so it may show once.

mod report;
mod worker;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::history::{Nanos, Operation, RegisterAction};

pub use self::report::Report;
use self::worker::Worker;

/// What the load is made of.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Connections, each a thread.
    pub clients: usize,
    /// Start of all random choices.
    pub seed: u64,
    /// Keys that each client owns.
    pub keys_per_client: usize,
    /// Counters shared by all.
    pub counters: usize,
    /// Registers shared by all, also read, for the linearizability check; 0 for none.
    pub registers: usize,
    /// Values are padded to this length.
    pub value_bytes: usize,
    /// Longest wait for a reply before the outcome is unknown.
    pub reply_timeout: Duration,
    /// Rest between two writes of a client.
    pub pause: Duration,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            clients: 100,
            seed: 1,
            keys_per_client: 16,
            counters: 4,
            registers: 0,
            value_bytes: 0,
            reply_timeout: Duration::from_secs(5),
            pause: Duration::ZERO,
        }
    }
}

/// How a write ended, as its client knows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Told {
    /// A success reply.
    Acknowledged,
    /// A definite error.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// Where a write went.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Target {
    /// `SET key:C:K`
    Key(usize),
    /// `MULTI; SET pair:C:a; SET pair:C:b; EXEC`, one value in both.
    Pair,
    /// `RPUSH list:C`
    List,
    /// `INCR counter:N`
    Counter(usize),
}

/// One write of one client.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// Where.
    pub target: Target,
    /// Unique per client.
    pub sequence: u64,
    /// How it ended.
    pub told: Told,
}

/// One write that was acknowledged.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledgement {
    /// Where the client was connected.
    pub by: SocketAddr,
    /// Just before it was asked for.
    pub called_at: Nanos,
    /// Just after it was read.
    pub returned_at: Nanos,
}

/// All that one client did, in order.
#[derive(Clone, Debug, Default)]
pub struct ClientRecord {
    /// Its acknowledged writes, for the question who acknowledged when.
    pub acknowledgements: Vec<Acknowledgement>,
    /// Its writes.
    pub writes: Vec<Write>,
    /// Its calls on shared registers.
    pub registers: Vec<(usize, Operation<RegisterAction>)>,
}

/// The value that `client` writes as its `sequence`-th.
pub fn value_text(client: usize, sequence: u64, value_bytes: usize) -> String {
    let mut text = format!("{client}-{sequence}");
    if text.len() < value_bytes {
        text.push('-');
        text.extend(std::iter::repeat_n('x', value_bytes - text.len()));
    }
    text
}

/// The sequence number in a value of `client`; `None` if that client cannot have written it.
pub fn value_sequence(client: usize, text: &str) -> Option<u64> {
    let mut parts = text.split('-');
    let writer: usize = parts.next()?.parse().ok()?;
    let sequence = parts.next()?.parse().ok()?;
    (writer == client).then_some(sequence)
}

/// What the clients share.
#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    /// Replies read from now on prove nothing: see [`Load::doubt_replies`].
    doubt: AtomicBool,
    acknowledged: AtomicU64,
    began: Instant,
    last_acknowledged: AtomicU64,
    longest_silence: AtomicU64,
    /// Where to try, in this order.
    addresses: Mutex<Vec<SocketAddr>>,
    errors: Mutex<BTreeMap<String, u64>>,
    unexpected: Mutex<Vec<String>>,
}

impl Shared {
    fn now(&self) -> Nanos {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(Nanos::MAX)
    }

    fn note_acknowledged(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        let now = self.now();
        let before = self.last_acknowledged.fetch_max(now, Ordering::Relaxed);
        self.longest_silence.fetch_max(now.saturating_sub(before), Ordering::Relaxed);
    }

    fn note_error(&self, error: &str) {
        let word = error.split_whitespace().next().unwrap_or_default().to_owned();
        *self.errors.lock().expect("no holder panics").entry(word).or_default() += 1;
    }
}

/// A running load.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<ClientRecord>>,
    value_bytes: usize,
}

impl Load {
    /// Starts the clients; each tries `addresses` in turn until one serves it.
    pub fn start(options: &LoadOptions, addresses: &[SocketAddr]) -> Self {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            doubt: AtomicBool::new(false),
            acknowledged: AtomicU64::new(0),
            began: Instant::now(),
            last_acknowledged: AtomicU64::new(0),
            longest_silence: AtomicU64::new(0),
            addresses: Mutex::new(addresses.to_vec()),
            errors: Mutex::default(),
            unexpected: Mutex::default(),
        });
        let threads = (0..options.clients)
            .map(|number| {
                let worker = Worker::new(number, options.clone(), Arc::clone(&shared));
                std::thread::Builder::new()
                    .name(format!("client-{number}"))
                    .stack_size(256 << 10)
                    .spawn(|| worker.run())
                    .expect("a client thread starts")
            })
            .collect();
        Self { shared, threads, value_bytes: options.value_bytes }
    }

    /// Writes acknowledged so far.
    pub fn acknowledged(&self) -> u64 {
        self.shared.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until `count` more writes are acknowledged.
    #[track_caller]
    pub fn wait_for_more(&self, count: u64, deadline: Duration) {
        let want = self.acknowledged() + count;
        crate::wait::until("the load is acknowledged", deadline, || {
            let errors = || self.shared.errors.lock().expect("no holder panics").clone();
            if self.acknowledged() >= want { Ok(()) } else { Err((self.acknowledged(), errors())) }
        });
    }

    /// From now on a success reply counts as an unknown outcome.
    ///
    /// For power cuts that are played by the file system's shutdown: an fdatasync that is under way at
    /// that moment may return success for bytes that are not there after the next mount (measured on
    /// kernel 6.18: 1 of 25 cuts of ext4, 3 of 25 of xfs, with twenty lines of Python and no server). In a
    /// real power cut nobody is left to send such a reply.
    pub fn doubt_replies(&self) {
        self.shared.doubt.store(true, Ordering::SeqCst);
    }

    /// Ends all clients after the call they are in, and returns what they did.
    pub fn stop(mut self) -> Report {
        self.shared.stop.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut self.threads);
        let clients = threads.into_iter().map(|t| t.join().expect("a client ends")).collect();
        let silence = self.shared.longest_silence.load(Ordering::Relaxed);
        Report {
            clients,
            errors: self.shared.errors.lock().expect("no holder panics").clone(),
            unexpected: self.shared.unexpected.lock().expect("no holder panics").clone(),
            value_bytes: self.value_bytes,
            longest_silence: Duration::from_nanos(silence),
        }
    }
}

impl Drop for Load {
    /// A test that failed leaves no clients behind that try for ever.
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}
