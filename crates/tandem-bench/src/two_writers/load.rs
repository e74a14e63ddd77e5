//! The load: writes of one kind over some connections, on one node or spread over both, for some time.
//!
//! One thread and non-blocking sockets, as in [`crate::replicated_load`]; each connection has the same
//! number of writes in flight. Every reply is a line, and one that is an error ends the measurement.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum;
use mio::net::TcpStream;
use mio::{Events, Poll};

use crate::replicated_load::connect;

/// Longest time without any reply before the run is given up.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Strings and counters are drawn from this many, and elements of all collections together.
const KEYS: u64 = 100_000;
/// Collections.
const COLLECTIONS: u64 = 1_000;
const VALUE: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// What is written.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub(super) enum Kind {
    /// 64 bytes under one of 100,000 keys.
    Set,
    /// One of 100,000 counters.
    Incr,
    /// One of 100 fields of one of 1000 hashes.
    Hset,
    /// One of 100 members of one of 1000 sorted sets.
    Zadd,
    /// 64 bytes at the head of one of 1000 lists.
    Lpush,
}

impl Kind {
    /// The command.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Set => "SET",
            Self::Incr => "INCR",
            Self::Hset => "HSET",
            Self::Zadd => "ZADD",
            Self::Lpush => "LPUSH",
        }
    }

    /// Appends a request that `number` chooses.
    fn request(self, number: u64, out: &mut Vec<u8>) {
        let (one, element) = (number % KEYS, number % COLLECTIONS);
        let part = (number / COLLECTIONS) % (KEYS / COLLECTIONS);
        // Inline commands would be shorter; real clients send these.
        match self {
            Self::Set => words(out, &["SET", &format!("key:{one}"), VALUE]),
            Self::Incr => words(out, &["INCR", &format!("counter:{one}")]),
            Self::Hset => {
                words(out, &["HSET", &format!("hash:{element}"), &format!("field:{part}"), VALUE]);
            }
            Self::Zadd => {
                let score = (number >> 40).to_string();
                words(out, &["ZADD", &format!("zset:{element}"), &score, &format!("m:{part}")]);
            }
            Self::Lpush => words(out, &["LPUSH", &format!("list:{element}"), VALUE]),
        }
    }
}

fn words(out: &mut Vec<u8>, words: &[&str]) {
    // Writing into memory cannot fail.
    write!(out, "*{}\r\n", words.len()).ok();
    for word in words {
        write!(out, "${}\r\n{word}\r\n", word.len()).ok();
    }
}

/// One measurement's load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    /// Connections, over all nodes.
    pub(super) clients: u32,
    /// Writes in flight on each.
    pub(super) pipeline: u32,
    pub(super) time: Duration,
}

/// What the clients saw.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    /// Writes that were answered.
    pub(super) operations: u64,
    /// In a second.
    pub(super) per_second: f64,
    /// Median time to the reply.
    pub(super) p50_ms: f64,
    /// 99th percentile of it.
    pub(super) p99_ms: f64,
}

struct Connection {
    stream: TcpStream,
    /// When each write in flight was sent.
    sent: VecDeque<Instant>,
    /// The start of a line that is not complete was seen, and whether it is an error.
    in_line: bool,
}

/// Loads the nodes at `addresses`, connections spread evenly.
pub(super) fn run(addresses: &[SocketAddr], plan: &Plan) -> anyhow::Result<Figures> {
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for (number, &address) in (0..plan.clients).zip(addresses.iter().cycle()) {
        let stream = connect(&poll, address, number)?;
        connections.push(Connection { stream, sent: VecDeque::new(), in_line: false });
    }
    let began = Instant::now();
    let mut run = Run {
        kind: plan.kind,
        until: began + plan.time,
        numbers: 0x9e37_79b9_7f4a_7c15,
        request: Vec::new(),
        latencies: Vec::new(),
    };
    for connection in &mut connections {
        run.send(connection, plan.pipeline, began)?;
    }
    let mut events = Events::with_capacity(1024);
    while connections.iter().any(|connection| !connection.sent.is_empty()) {
        poll.poll(&mut events, Some(SILENCE_MAX))?;
        ensure!(!events.is_empty(), "no reply for {SILENCE_MAX:?}");
        for event in &events {
            let connection = connections.get_mut(event.token().0).context("unknown token")?;
            run.receive(connection)?;
        }
    }
    run.figures(began.elapsed())
}

struct Run {
    kind: Kind,
    until: Instant,
    /// State of the generator of numbers (xorshift64).
    numbers: u64,
    request: Vec<u8>,
    latencies: Vec<Duration>,
}

impl Run {
    fn send(
        &mut self,
        connection: &mut Connection,
        count: u32,
        now: Instant,
    ) -> anyhow::Result<()> {
        if now >= self.until {
            return Ok(());
        }
        self.request.clear();
        for _ in 0..count {
            self.numbers ^= self.numbers << 13;
            self.numbers ^= self.numbers >> 7;
            self.numbers ^= self.numbers << 17;
            self.kind.request(self.numbers, &mut self.request);
            connection.sent.push_back(now);
        }
        // What is in flight on a connection fits in its socket buffer.
        connection.stream.write_all(&self.request).context("send")
    }

    fn receive(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        let mut bytes = [0; 16 << 10];
        loop {
            let got = match connection.stream.read(&mut bytes) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(got) => bytes.get(..got).unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("receive"),
            };
            let now = Instant::now();
            let mut answered = 0;
            for byte in got {
                if !connection.in_line {
                    let text = || String::from_utf8_lossy(got).into_owned();
                    ensure!(matches!(byte, b'+' | b':'), "unexpected reply: {}", text());
                    connection.in_line = true;
                } else if *byte == b'\n' {
                    connection.in_line = false;
                    answered += 1;
                    let sent = connection.sent.pop_front().context("a reply to nothing")?;
                    self.latencies.push(now.saturating_duration_since(sent));
                }
            }
            if answered > 0 {
                self.send(connection, answered, now)?;
            }
        }
    }

    fn figures(mut self, took: Duration) -> anyhow::Result<Figures> {
        ensure!(!self.latencies.is_empty(), "nothing was answered");
        self.latencies.sort_unstable();
        let at = |percent| super::report::percentile(&self.latencies, percent);
        let operations = u64::try_from(self.latencies.len())?;
        #[expect(clippy::cast_precision_loss, reason = "counts of operations are far below 2^52")]
        let per_second = operations as f64 / took.as_secs_f64();
        Ok(Figures { operations, per_second, p50_ms: at(50), p99_ms: at(99) })
    }
}
