//! Many clients that write, and remember of every write what they were told.
//!
//! Each client owns its keys (`key:C:K`, `pair:C:a|b`, `list:C`), so the order of the writes to them is
//! known; counters and registers are shared by all. Every value is unique.
//!
//! A write ends in one of three ways: *acknowledged*; *refused* by a definite error, so it must never
//! show; *unknown* (time-out, closed connection, `-UNKNOWNRESULT`), so it may show once.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::{Client, encode_into};
use crate::history::{Nanos, Operation, Outcome, RegisterAction};
use crate::rng::Rng;
use crate::value::Value;

/// First words of the errors that promise "not applied, and never will be".
const DEFINITE: &[&str] = &[
    "READONLY",
    "STANDBY",
    "NOTPRIMARY",
    "NOREPLICAS",
    "STALE",
    "MISCONF",
    "OOM",
    "LOADING",
    "MASTERDOWN",
    "EXECABORT",
];

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

/// All that one client did, in order.
#[derive(Clone, Debug, Default)]
pub struct ClientRecord {
    /// Its writes.
    pub writes: Vec<Write>,
    /// Its calls on shared registers.
    pub registers: Vec<(usize, Operation<RegisterAction>)>,
}

/// All that all clients did.
#[derive(Clone, Debug)]
pub struct Report {
    /// Per client.
    pub clients: Vec<ClientRecord>,
    /// Error replies by their first word.
    pub errors: BTreeMap<String, u64>,
    /// Errors that no client should ever get.
    pub unexpected: Vec<String>,
    /// What the values were padded to.
    pub value_bytes: usize,
    /// Longest time between two acknowledgements (of any client).
    pub longest_silence: Duration,
}

impl Report {
    /// Writes that ended as `told`.
    pub fn count(&self, told: Told) -> usize {
        self.clients.iter().flat_map(|client| &client.writes).filter(|w| w.told == told).count()
    }

    /// Calls per register, of all clients together.
    pub fn register_histories(&self) -> BTreeMap<usize, Vec<Operation<RegisterAction>>> {
        let mut histories: BTreeMap<usize, Vec<_>> = BTreeMap::new();
        for (register, operation) in self.clients.iter().flat_map(|client| &client.registers) {
            histories.entry(*register).or_default().push(operation.clone());
        }
        histories
    }
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
    pub fn stop(self) -> Report {
        self.shared.stop.store(true, Ordering::Relaxed);
        let clients = self.threads.into_iter().map(|t| t.join().expect("a client ends")).collect();
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

/// One client thread.
struct Worker {
    number: usize,
    options: LoadOptions,
    shared: Arc<Shared>,
    rng: Rng,
    sequence: u64,
    target: usize,
    connection: Option<Client>,
    record: ClientRecord,
}

impl Worker {
    fn new(number: usize, options: LoadOptions, shared: Arc<Shared>) -> Self {
        let salt = u64::try_from(number).expect("clients fit") + 1;
        let rng = Rng::new(options.seed ^ salt.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self {
            number,
            options,
            shared,
            rng,
            sequence: 0,
            target: 0,
            connection: None,
            record: ClientRecord::default(),
        }
    }

    fn run(mut self) -> ClientRecord {
        while !self.shared.stop.load(Ordering::Relaxed) {
            if self.connection.is_none() && !self.connect() {
                continue;
            }
            if self.options.registers > 0 && self.rng.chance(1, 2) {
                self.touch_register();
            } else {
                self.write();
            }
            if !self.options.pause.is_zero() {
                std::thread::sleep(self.options.pause);
            }
        }
        self.record
    }

    fn connect(&mut self) -> bool {
        let addresses = self.shared.addresses.lock().expect("no holder panics").clone();
        let address = addresses[self.target % addresses.len()];
        let connected = Client::connect(address).and_then(|client| {
            client.set_reply_timeout(self.options.reply_timeout)?;
            Ok(client)
        });
        self.connection = connected.ok();
        if self.connection.is_none() {
            self.try_elsewhere();
        }
        self.connection.is_some()
    }

    /// Leaves this server; the small wait keeps a hundred clients from spinning on a dead pair.
    fn try_elsewhere(&mut self) {
        self.connection = None;
        self.target += 1;
        std::thread::sleep(Duration::from_millis(10 + self.rng.below(20)));
    }

    fn write(&mut self) {
        self.sequence += 1;
        let target = match self.rng.below(10) {
            0 | 1 if self.options.counters > 0 => {
                Target::Counter(self.rng.index(self.options.counters))
            }
            2 => Target::List,
            3 => Target::Pair,
            _ => Target::Key(self.rng.index(self.options.keys_per_client)),
        };
        let sequence = self.sequence;
        let value = value_text(self.number, sequence, self.options.value_bytes);
        let (request, replies) = self.request(target, &value);
        let told = self.call(&request, replies).1;
        self.record.writes.push(Write { target, sequence, told });
        if told == Told::Acknowledged {
            self.shared.note_acknowledged();
        }
    }

    /// The request's bytes and the number of replies it gets.
    fn request(&self, target: Target, value: &str) -> (Vec<u8>, usize) {
        let number = self.number;
        let mut out = Vec::new();
        let mut add = |arguments: &[&str]| {
            let slices: Vec<&[u8]> = arguments.iter().map(|text| text.as_bytes()).collect();
            encode_into(&mut out, &slices);
        };
        let replies = match target {
            Target::Key(key) => {
                add(&["SET", &format!("key:{number}:{key}"), value]);
                1
            }
            Target::Pair => {
                add(&["MULTI"]);
                add(&["SET", &format!("pair:{number}:a"), value]);
                add(&["SET", &format!("pair:{number}:b"), value]);
                add(&["EXEC"]);
                4
            }
            Target::List => {
                add(&["RPUSH", &format!("list:{number}"), value]);
                1
            }
            Target::Counter(counter) => {
                add(&["INCR", &format!("counter:{counter}")]);
                1
            }
        };
        (out, replies)
    }

    fn touch_register(&mut self) {
        let register = self.rng.index(self.options.registers);
        let key = format!("register:{register}");
        let called_at = self.shared.now();
        if self.rng.chance(1, 2) {
            self.sequence += 1;
            let value = u64::try_from(self.number).expect("fits") * 1_000_000_000 + self.sequence;
            let mut request = Vec::new();
            encode_into(&mut request, &[b"SET", key.as_bytes(), value.to_string().as_bytes()]);
            let told = self.call(&request, 1).1;
            let outcome = match told {
                Told::Acknowledged => {
                    self.shared.note_acknowledged();
                    Outcome::Returned(self.shared.now())
                }
                Told::Unknown => Outcome::Unknown,
                Told::Refused => return,
            };
            let action = RegisterAction::Write(value);
            self.record.registers.push((register, Operation { called_at, outcome, action }));
        } else {
            let mut request = Vec::new();
            encode_into(&mut request, &[b"GET", key.as_bytes()]);
            let (value, told) = self.call(&request, 1);
            if told != Told::Acknowledged {
                return;
            }
            let read = value.and_then(|value| value.text()).map(|text| {
                text.parse().unwrap_or_else(|_| panic!("{key} holds {text:?}, no register value"))
            });
            let outcome = Outcome::Returned(self.shared.now());
            let action = RegisterAction::Read(read);
            self.record.registers.push((register, Operation { called_at, outcome, action }));
        }
    }

    /// Sends `request` and reads its replies; the last one tells how it ended.
    fn call(&mut self, request: &[u8], replies: usize) -> (Option<Value>, Told) {
        let Some(client) = self.connection.as_mut() else { return (None, Told::Refused) };
        let last = client
            .send_raw(request)
            .and_then(|()| (0..replies).map(|_| client.reply()).collect::<io::Result<Vec<_>>>())
            .map(|mut all| all.pop());
        match last {
            Ok(Some(Value::Error(error))) => {
                let told = self.classify(&error);
                (None, told)
            }
            Ok(_) if self.shared.doubt.load(Ordering::SeqCst) => (None, Told::Unknown),
            Ok(value) => (value, Told::Acknowledged),
            Err(_) => {
                self.try_elsewhere();
                (None, Told::Unknown)
            }
        }
    }

    fn classify(&mut self, error: &str) -> Told {
        self.shared.note_error(error);
        let word = error.split_whitespace().next().unwrap_or_default();
        if word == "UNKNOWNRESULT" {
            self.try_elsewhere();
            return Told::Unknown;
        }
        if !DEFINITE.contains(&word) {
            let mut unexpected = self.shared.unexpected.lock().expect("no holder panics");
            if unexpected.len() < 20 {
                unexpected.push(error.to_owned());
            }
        }
        self.try_elsewhere();
        Told::Refused
    }
}
