//! One client: connects where it is served, writes, reads, and remembers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Acknowledgement, ClientRecord, LoadOptions, Shared, Target, Told, Write, value_text};
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

/// One client thread.
pub(super) struct Worker {
    number: usize,
    options: LoadOptions,
    shared: Arc<Shared>,
    rng: Rng,
    sequence: u64,
    target: usize,
    connection: Option<Client>,
    /// Whom it is connected to.
    address: SocketAddr,
    record: ClientRecord,
}

impl Worker {
    pub(super) fn new(number: usize, options: LoadOptions, shared: Arc<Shared>) -> Self {
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
            address: SocketAddr::from(([0, 0, 0, 0], 0)),
            record: ClientRecord::default(),
        }
    }

    pub(super) fn run(mut self) -> ClientRecord {
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
        self.address = address;
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
        let called_at = self.shared.now();
        let told = self.call(&request, replies).1;
        self.record.writes.push(Write { target, sequence, told });
        if told == Told::Acknowledged {
            self.acknowledged(called_at);
        }
    }

    /// A success reply to a write came just now; returns when.
    fn acknowledged(&mut self, called_at: Nanos) -> Nanos {
        let returned_at = self.shared.now();
        self.shared.note_acknowledged();
        let by = self.address;
        self.record.acknowledgements.push(Acknowledgement { by, called_at, returned_at });
        returned_at
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
                Told::Acknowledged => Outcome::Returned(self.acknowledged(called_at)),
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
