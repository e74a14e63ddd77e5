//! One client: it sends a batch of writes, waits for all their replies, rests, and begins anew.
//!
//! Every write appends a number of its own to the client's list, so that each acknowledged one can be
//! looked for afterwards. What was not acknowledged is never sent again: a client cannot know what
//! became of it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use tandem_resp::{ReplyParser, Value, write_request};

use super::directory::News;
use super::window::Window;

/// A batch without all its replies after this is given up: the server is taken for dead.
const REPLY_TIME_MAX: Duration = Duration::from_secs(1);
/// Tokens of connections that were left begin here: replies are still read from them.
pub(super) const LEFT: usize = 1 << 20;
/// Before a lost server, or the next one, is tried.
const RETRY_AFTER: Duration = Duration::from_millis(5);

/// How the clients behave.
#[derive(Clone, Copy, Debug)]
pub(in crate::failover) struct Manner {
    /// How many there are.
    pub(in crate::failover) clients: usize,
    /// Writes in flight on each connection.
    pub(in crate::failover) pipeline: u32,
    /// Rest between two batches of one client.
    pub(in crate::failover) rest: Duration,
}

/// One client.
pub(super) struct Client {
    token: Token,
    key: String,
    connection: Option<Connection>,
    /// To the old primary, with replies that are still to come, as in a library's pool.
    left: Option<Connection>,
    /// Not before this: the next try to connect, or the next batch.
    next_at: Instant,
    /// When the batch that is under way was wanted first, on whatever connection.
    wanted_at: Option<Instant>,
    /// Tries since the last acknowledged write.
    tries: usize,
    sequence: u32,
    /// Acknowledged writes.
    pub(super) acknowledged: Vec<u32>,
}

struct Connection {
    stream: TcpStream,
    address: SocketAddr,
    opened_at: Instant,
    parser: ReplyParser,
    unsent: Vec<u8>,
    /// Writes without a reply.
    waiting: VecDeque<u32>,
    sent_at: Instant,
    /// When the batch under way was wanted first.
    wanted_at: Instant,
    /// Something was sent: what is in flight may have been done.
    used: bool,
    /// The server refused a write.
    refused: bool,
}

impl Client {
    pub(super) fn new(number: usize, key: String, now: Instant) -> Self {
        Self {
            token: Token(number),
            key,
            connection: None,
            left: None,
            next_at: now,
            wanted_at: None,
            tries: 0,
            sequence: 0,
            acknowledged: Vec::new(),
        }
    }

    pub(super) const fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Does what is due; returns when it wants to be looked at again.
    pub(super) fn tend(
        &mut self,
        now: Instant,
        manner: &Manner,
        news: &News,
        registry: &Registry,
        window: &mut Window,
    ) -> Option<Instant> {
        self.consider_leaving(now, news, registry, window);
        if self.connection.as_ref().is_some_and(|connection| connection.is_late(now)) {
            self.part(now, window);
        }
        if let Some(left) = self.left.take_if(|left| left.is_late(now)) {
            window.parted(left.waiting.len());
        }
        if self.connection.is_none() {
            if now < self.next_at {
                return Some(self.next_at);
            }
            self.wanted_at.get_or_insert(now);
            self.connect(now, &news.addresses, registry);
        }
        let connection = self.connection.as_mut()?;
        if !connection.waiting.is_empty() {
            return Some(connection.sent_at + REPLY_TIME_MAX);
        }
        if now < self.next_at {
            return Some(self.next_at);
        }
        connection.wanted_at = *self.wanted_at.get_or_insert(self.next_at);
        for _ in 0..manner.pipeline {
            self.sequence += 1;
            let number = self.sequence.to_string();
            let words: [&[u8]; 3] = [b"RPUSH", self.key.as_bytes(), number.as_bytes()];
            write_request(&mut connection.unsent, &words);
            connection.waiting.push_back(self.sequence);
        }
        connection.sent_at = now;
        self.send(now, window);
        None
    }

    /// The socket can be written to, or read, or is closed.
    pub(super) fn ready(&mut self, now: Instant, rest: Duration, window: &mut Window) {
        self.send(now, window);
        self.receive(now, window);
        let Some(connection) = &self.connection else { return };
        if connection.waiting.is_empty() {
            if connection.refused {
                self.part(now, window);
            } else if self.wanted_at.is_some() && connection.unsent.is_empty() {
                self.wanted_at = None;
                self.next_at = now + rest;
            }
        }
    }

    fn connect(&mut self, now: Instant, candidates: &[SocketAddr], registry: &Registry) {
        self.next_at = now + RETRY_AFTER;
        if candidates.is_empty() {
            return;
        }
        let Some(&address) = candidates.get(self.tries % candidates.len()) else { return };
        self.tries += 1;
        let Ok(mut stream) = TcpStream::connect(address) else { return };
        let interest = Interest::READABLE | Interest::WRITABLE;
        if registry.register(&mut stream, self.token, interest).is_err() {
            return;
        }
        stream.set_nodelay(true).ok(); // slower without it, no more
        self.connection = Some(Connection {
            stream,
            address,
            opened_at: now,
            parser: ReplyParser::new(),
            unsent: Vec::new(),
            waiting: VecDeque::new(),
            sent_at: now,
            wanted_at: now,
            used: false,
            refused: false,
        });
        self.next_at = now;
    }

    /// Goes to a new primary at once; replies of the old one are read as long as they come.
    fn consider_leaving(
        &mut self,
        now: Instant,
        news: &News,
        registry: &Registry,
        window: &mut Window,
    ) {
        let Some(connection) = &mut self.connection else { return };
        let elsewhere = news.addresses.first().is_some_and(|&it| it != connection.address);
        // Who connected elsewhere after the news had a reason.
        let is_new = news.since.is_some_and(|since| since > connection.opened_at);
        if !elsewhere || !is_new || self.left.is_some() {
            return;
        }
        self.tries = 0; // the news is tried first
        let token = Token(LEFT + self.token.0);
        let kept = !connection.waiting.is_empty()
            && registry.reregister(&mut connection.stream, token, Interest::READABLE).is_ok();
        if kept {
            self.left = self.connection.take();
            self.wanted_at = None;
        } else {
            self.part(now, window);
        }
        self.next_at = now;
    }

    /// Ends the connection; what is in flight has an unknown outcome.
    fn part(&mut self, now: Instant, window: &mut Window) {
        let Some(connection) = self.connection.take() else { return };
        // A connection that never came about has carried nothing anywhere.
        window.parted(if connection.used { connection.waiting.len() } else { 0 });
        self.next_at = self.next_at.max(now + RETRY_AFTER);
    }

    fn send(&mut self, now: Instant, window: &mut Window) {
        let Some(connection) = &mut self.connection else { return };
        while !connection.unsent.is_empty() {
            match connection.stream.write(&connection.unsent) {
                Ok(0) => return self.part(now, window),
                Ok(length) => {
                    connection.used = true;
                    connection.unsent.drain(..length);
                }
                Err(error) if is_not_yet(error.kind()) => return,
                Err(_) => return self.part(now, window),
            }
        }
    }

    fn receive(&mut self, now: Instant, window: &mut Window) {
        let Some(connection) = &mut self.connection else { return };
        let before = self.acknowledged.len();
        let is_open = connection.receive(now, &mut self.acknowledged, window);
        if self.acknowledged.len() > before {
            self.tries = 0;
        }
        if !is_open {
            self.part(now, window);
        }
    }

    /// Replies from the old primary.
    pub(super) fn left_ready(&mut self, now: Instant, window: &mut Window) {
        let Some(left) = &mut self.left else { return };
        let is_open = left.receive(now, &mut self.acknowledged, window);
        if !is_open || left.waiting.is_empty() {
            window.parted(left.waiting.len());
            self.left = None;
        }
    }
}

impl Connection {
    fn is_late(&self, now: Instant) -> bool {
        !self.waiting.is_empty() && now >= self.sent_at + REPLY_TIME_MAX
    }

    /// Reads what there is; `false`: the connection has ended.
    fn receive(&mut self, now: Instant, acknowledged: &mut Vec<u32>, window: &mut Window) -> bool {
        let mut bytes = [0; 16 << 10];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return false,
                Ok(length) => self.parser.feed(bytes.get(..length).unwrap_or_default()),
                Err(error) if is_not_yet(error.kind()) => return true,
                Err(_) => return false,
            }
            while let Ok(Some(reply)) = self.parser.next_reply() {
                let Some(number) = self.waiting.pop_front() else { break };
                if let Value::Error(text) = reply {
                    self.refused = true;
                    window.refused(&text);
                    continue;
                }
                acknowledged.push(number);
                window.acknowledged(now, self.opened_at, now - self.wanted_at);
            }
        }
    }
}

/// Not an end: later.
fn is_not_yet(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NotConnected)
}
