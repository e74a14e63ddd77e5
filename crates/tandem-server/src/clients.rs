//! Client connections in the event loop: accept, read, write, close.
//!
//! Readiness is edge-triggered: a connection that may hold more is in a queue, and each turn takes from
//! its front until the turn's budget is used up. So one flooding client costs the others a turn of
//! [`TURN_BYTES_MAX`], never their place, and link and timers come first in every turn.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Registry, Token};
use tandem_node::{ConnId, ConnInfo, Input, Output, Port};
use tandem_types::{Monotonic, Now};

use crate::brain::Brain;
use crate::clock;
use crate::net::connections::{Connection, Connections};
use crate::net::listener::{self, Accepted, EXHAUSTED_PAUSE, Listener};
use crate::net::tls::Tls;
use crate::net::transport::{ReadOutcome, Transport};
use crate::rounds::Rounds;

/// One read: what a pipelining client has in flight fits, and it stays in the processor's cache.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Short requests of so many clients are read before the first is carried out: the node sees what it will
/// need, and the system's code and the node's take turns less often.
const GATHERED_MAX: usize = 16;
/// A longer read is carried out at once.
const SHORT_BYTES_MAX: usize = 4 * 1024;
/// Bytes read in one turn, all clients together.
const TURN_BYTES_MAX: usize = 4 << 20;
/// Time one turn may spend on clients' requests before link, log and timers get a look.
const TURN_TIME_MAX: Duration = Duration::from_millis(4);
/// Connections taken on in one turn; a storm of them must not keep the others waiting.
const TURN_ACCEPTS_MAX: usize = 128;
/// Handshakes that go on at once; more are turned away (each costs a signature).
const HANDSHAKES_MAX: usize = 1024;
/// Time a client has for its TLS handshake.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Time a connection that ends has to take its last bytes.
const LINGER_TIME_MAX: Duration = Duration::from_secs(5);
/// How often people are told that clients were turned away.
const REFUSED_TOLD_EVERY: Duration = Duration::from_secs(10);
/// First byte of a TLS record that starts a handshake (RFC 8446, 5.1); no request starts so.
const TLS_HANDSHAKE_BYTE: u8 = 0x16;
/// What a client that is one too many is told, as Redis does.
const TOO_MANY: &[u8] = b"-ERR max number of clients reached\r\n";

/// A listener and how it is used.
struct Entrance {
    listener: Listener,
    port: Port,
    /// Someone may wait.
    waiting: bool,
}

/// All that concerns clients' sockets.
pub(crate) struct Clients {
    entrances: Vec<Entrance>,
    connections: Connections,
    registry: Registry,
    /// Connections to read from, in the order they became readable.
    to_read: VecDeque<ConnId>,
    /// Connections to write to at the end of the turn.
    to_write: Vec<ConnId>,
    /// Clients that send no more and wait for their last replies.
    half_closed: Vec<ConnId>,
    /// Connections that ended in the phase of writing; the node is told in the next turn.
    ended: Vec<ConnId>,
    buffer: Box<[u8]>,
    /// What of the buffer is read and not carried out yet; each begins where the one before it ends.
    gathered: Vec<Gathered>,
    /// Limits in time, each list in the order of its ends.
    handshakes: VecDeque<(Monotonic, ConnId)>,
    /// Handshakes that go on (the list above keeps those that are over until their time is).
    handshaking: usize,
    lingering: VecDeque<(Monotonic, ConnId)>,
    accept_again_at: Option<Monotonic>,
    /// As many clients as there are files for.
    places: usize,
    refused: Refused,
    rounds: Rounds,
}

/// Clients that were turned away; people hear of it now and then, not for each.
#[derive(Default)]
struct Refused {
    count: u64,
    told_at: Monotonic,
}

impl Refused {
    fn one(&mut self, now: Monotonic, why: &str) {
        self.count += 1;
        if now.since(self.told_at) >= REFUSED_TOLD_EVERY {
            tracing::warn!("{} clients were turned away: {why}", self.count);
            *self = Self { count: 0, told_at: now };
        }
    }
}

/// Bytes of one client in the buffer.
#[derive(Clone, Copy, Debug)]
struct Gathered {
    conn: ConnId,
    start: usize,
    end: usize,
}

/// What one turn works with besides the clients.
pub(crate) struct Turn<'a> {
    /// The time of this turn.
    pub now: Now,
    /// The node.
    pub brain: &'a mut dyn Brain,
    /// What it wants done.
    pub out: &'a mut Vec<Output>,
    /// The certificate, if there is one.
    pub tls: Option<&'a Tls>,
}

impl Turn<'_> {
    fn step(&mut self, input: Input<'_>) {
        self.brain.step(self.now, input, self.out);
    }
}

impl Clients {
    /// No connections yet; `places`: as many clients as there are files for.
    pub(crate) fn new(registry: Registry, places: usize) -> Self {
        Self {
            entrances: Vec::new(),
            connections: Connections::default(),
            registry,
            to_read: VecDeque::new(),
            to_write: Vec::new(),
            half_closed: Vec::new(),
            ended: Vec::new(),
            buffer: vec![0; GATHERED_MAX * SHORT_BYTES_MAX + READ_BYTES_MAX].into_boxed_slice(),
            gathered: Vec::with_capacity(GATHERED_MAX),
            handshakes: VecDeque::new(),
            handshaking: 0,
            lingering: VecDeque::new(),
            accept_again_at: None,
            places,
            refused: Refused::default(),
            rounds: Rounds::default(),
        }
    }

    /// Opens a listener; events of the `n`-th one go to [`Self::someone_waits`].
    pub(crate) fn listen(
        &mut self,
        mut listener: Listener,
        port: Port,
        token: Token,
    ) -> io::Result<()> {
        listener.register(&self.registry, token)?;
        self.entrances.push(Entrance { listener, port, waiting: true });
        Ok(())
    }

    /// An event came for the `index`-th listener.
    pub(crate) fn someone_waits(&mut self, index: usize) {
        if let Some(entrance) = self.entrances.get_mut(index) {
            entrance.waiting = true;
        }
    }

    /// An event came for a connection.
    pub(crate) fn event(&mut self, id: ConnId, event: &Event) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if event.is_writable() {
            if !connection.writable {
                self.to_write.push(id);
            }
            connection.writable = true;
        }
        let gone = event.is_error() || event.is_write_closed();
        // A half-closed connection says so with every event.
        let readable = event.is_readable() || event.is_read_closed();
        connection.ending |= gone || event.is_read_closed();
        if gone || (readable && !connection.half_closed) {
            connection.readable = true;
            enqueue(&mut self.to_read, connection);
        }
    }

    /// Whether there is work that no event will tell of.
    pub(crate) fn is_busy(&self) -> bool {
        !self.to_read.is_empty()
            || !self.ended.is_empty()
            || (self.accept_again_at.is_none() && self.entrances.iter().any(|e| e.waiting))
    }

    /// When time alone will give work.
    pub(crate) fn deadline(&self) -> Option<Monotonic> {
        let first = |queue: &VecDeque<(Monotonic, ConnId)>| queue.front().map(|&(at, _)| at);
        [self.accept_again_at, first(&self.handshakes), first(&self.lingering)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Reads from connections whose turn it is and feeds the node, within the turn's budget.
    pub(crate) fn read(&mut self, turn: &mut Turn<'_>) {
        for id in std::mem::take(&mut self.ended) {
            turn.step(Input::Closed { conn: id });
        }
        let until = turn.now.mono.plus(TURN_TIME_MAX);
        self.rounds.turn(turn.now.mono, self.to_read.len());
        let mut bytes = 0;
        // What is queued now; what is queued meanwhile waits for the next turn.
        for count in 1..=self.to_read.len() {
            let Some(id) = self.to_read.pop_front() else { break };
            self.rounds.taken();
            bytes += self.read_one(id, turn);
            if bytes >= TURN_BYTES_MAX || (count % 16 == 0 && clock::monotonic() >= until) {
                break;
            }
        }
        self.feed(turn);
    }

    /// What was read in this turn has been carried out by `now`.
    pub(crate) fn carried_out(&mut self, now: Monotonic) {
        self.rounds.carried_out(now);
    }

    /// How long clients waited at least for their turn since the last call.
    pub(crate) fn waited(&mut self, now: Monotonic) -> Duration {
        self.rounds.shortest(now)
    }

    /// Gives the node what was gathered.
    fn feed(&mut self, turn: &mut Turn<'_>) {
        let buffer = &self.buffer;
        let received = self.gathered.iter().map(|part| (part.conn, &buffer[part.start..part.end]));
        if self.gathered.len() > 1 {
            turn.brain.foresee(&mut received.clone());
        }
        for (conn, bytes) in received {
            turn.step(Input::Received { conn, bytes });
        }
        self.gathered.clear();
    }

    /// One read of one connection; returns the bytes it gave.
    fn read_one(&mut self, id: ConnId, turn: &mut Turn<'_>) -> usize {
        let Some(connection) = self.connections.get_mut(id) else { return 0 };
        connection.queued = false;
        if connection.paused || connection.closing || !connection.readable {
            return 0;
        }
        let start = self.gathered.last().map_or(0, |part| part.end);
        let room = &mut self.buffer[start..start + READ_BYTES_MAX];
        let outcome = connection.transport.read(room);
        if connection.transport.wants_flush() {
            self.to_write.push(id);
        }
        let (len, drained) = match outcome {
            Ok(ReadOutcome::Bytes { len, drained }) => (len, drained),
            Ok(ReadOutcome::Empty) => {
                connection.readable = false;
                self.announce(id, turn);
                return 0;
            }
            Ok(ReadOutcome::Eof) => {
                self.half_close(id, turn);
                return 0;
            }
            Err(_) => {
                self.end(id, turn);
                return 0;
            }
        };
        connection.readable = !drained || connection.ending;
        if connection.readable {
            enqueue(&mut self.to_read, connection);
        }
        if !self.announce(id, turn) || !self.may_be_plain(id, start) {
            self.end(id, turn);
            return len;
        }
        self.gathered.push(Gathered { conn: id, start, end: start + len });
        if len > SHORT_BYTES_MAX || self.gathered.len() == GATHERED_MAX {
            self.feed(turn);
        }
        len
    }

    /// The client sends no more. It may have asked and closed its half (`printf ... | nc`): what it is
    /// owed still goes out.
    fn half_close(&mut self, id: ConnId, turn: &mut Turn<'_>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if !connection.announced || connection.half_closed || !turn.brain.owes(id) {
            return self.end(id, turn);
        }
        connection.half_closed = true;
        connection.readable = false;
        self.half_closed.push(id);
        self.lingering.push_back((turn.now.mono.plus(LINGER_TIME_MAX), id));
    }

    /// Tells the node of a connection whose handshake is over; `false`: it is not, or the connection is gone.
    fn announce(&mut self, id: ConnId, turn: &mut Turn<'_>) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        if connection.announced {
            return true;
        }
        if connection.transport.is_handshaking() {
            return false;
        }
        let socket = connection.transport.socket();
        let (Ok(peer), Ok(local)) = (socket.peer_addr(), socket.local_addr()) else { return false };
        connection.announced = true;
        // Of a connection that is handed over to another node the handshake is long over.
        self.handshaking -= usize::from(connection.transport.is_tls() && !connection.sniffed);
        connection.sniffed |= connection.transport.is_tls();
        let info =
            ConnInfo { peer, local, port: connection.port, tls: connection.transport.is_tls() };
        turn.step(Input::Accepted { conn: id, info });
        true
    }

    /// A TLS client on a plain port is told apart by its first byte and closed at once: its handshake
    /// must not be read as a request.
    fn may_be_plain(&mut self, id: ConnId, start: usize) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        if connection.sniffed || connection.transport.is_tls() {
            return true;
        }
        connection.sniffed = true;
        self.buffer[start] != TLS_HANDSHAKE_BYTE
    }

    /// Accepts those who wait, within the turn's budget.
    pub(crate) fn accept(&mut self, turn: &mut Turn<'_>) {
        if self.accept_again_at.is_some_and(|at| turn.now.mono < at) {
            return;
        }
        self.accept_again_at = None;
        for index in 0..self.entrances.len() {
            for _ in 0..TURN_ACCEPTS_MAX {
                let entrance = &mut self.entrances[index];
                if !entrance.waiting {
                    break;
                }
                match entrance.listener.accept() {
                    Accepted::Stream(stream, peer) => {
                        let port = entrance.port;
                        self.admit(stream, peer, port, turn);
                    }
                    Accepted::Empty => entrance.waiting = false,
                    Accepted::Skip => self.refused.one(turn.now.mono, "no files are left"),
                    Accepted::Exhausted => {
                        self.accept_again_at = Some(turn.now.mono.plus(EXHAUSTED_PAUSE));
                        return;
                    }
                }
            }
        }
    }

    fn admit(&mut self, stream: TcpStream, peer: SocketAddr, port: Port, turn: &mut Turn<'_>) {
        let clients_max = self.places.min(turn.brain.clients_max());
        if self.connections.len() >= clients_max || self.handshaking >= HANDSHAKES_MAX {
            self.refused.one(turn.now.mono, "there are as many as allowed");
            if turn.tls.is_none() {
                let mut transport = Transport::plain(stream);
                // Best effort: an empty socket buffer takes it.
                drop(transport.write(TOO_MANY));
                transport.finish();
            }
            return;
        }
        if let Err(error) = self.add(stream, port, turn) {
            tracing::debug!(%peer, %error, "a connection could not be set up");
        }
    }

    fn add(&mut self, stream: TcpStream, port: Port, turn: &mut Turn<'_>) -> io::Result<()> {
        listener::set_up_client(&stream)?;
        let transport = match turn.tls {
            Some(tls) => Transport::tls(stream, tls.accept().map_err(io::Error::other)?),
            None => Transport::plain(stream),
        };
        let encrypted = transport.is_tls();
        let connection = self
            .connections
            .insert(transport, port)
            .ok_or_else(|| io::Error::other("the table of connections is full"))?;
        let id = connection.id;
        if let Err(error) = connection.transport.register(&self.registry, token_of(id)) {
            self.connections.remove(id);
            return Err(error);
        }
        if encrypted {
            self.handshakes.push_back((turn.now.mono.plus(HANDSHAKE_TIME_MAX), id));
            self.handshaking += 1;
        } else {
            self.announce(id, turn);
        }
        Ok(())
    }

    /// The node says: end this connection once everything writable was written.
    pub(crate) fn close(&mut self, id: ConnId, now: Monotonic) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.closing = true;
            self.to_write.push(id);
            self.lingering.push_back((now.plus(LINGER_TIME_MAX), id));
        }
    }

    /// The node says: stop reading from this connection, or go on.
    pub(crate) fn pause(&mut self, id: ConnId, paused: bool) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.paused = paused;
            if !paused && connection.readable {
                enqueue(&mut self.to_read, connection);
            }
        }
    }

    /// Writes to every connection that got output in this turn, or whose socket takes more again.
    pub(crate) fn write(&mut self, brain: &mut dyn Brain) {
        let mut ids = std::mem::take(&mut self.to_write);
        brain.take_dirty(&mut ids);
        for id in ids.drain(..) {
            if !self.write_one(id, brain) && self.remove(id) {
                self.ended.push(id);
            }
        }
        self.to_write = ids;
        self.end_half_closed(brain);
    }

    /// Ends the half-closed connections that have everything they asked for.
    fn end_half_closed(&mut self, brain: &dyn Brain) {
        let mut waiting = std::mem::take(&mut self.half_closed);
        waiting.retain(|&id| {
            let owed = brain.owes(id);
            if !owed {
                if let Some(connection) = self.connections.get_mut(id) {
                    connection.transport.finish();
                }
                if self.remove(id) {
                    self.ended.push(id);
                }
            }
            owed
        });
        self.half_closed = waiting;
    }

    /// `false`: the connection is over.
    fn write_one(&mut self, id: ConnId, brain: &mut dyn Brain) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        if !connection.writable {
            return true;
        }
        let bytes = brain.writable(id);
        let wanted = bytes.len();
        if wanted > 0 {
            let Ok(count) = connection.transport.write(bytes) else { return false };
            brain.written(id, count);
            connection.writable = count == wanted;
        }
        if connection.transport.wants_flush() {
            match connection.transport.flush() {
                Ok(flushed) => connection.writable &= flushed,
                Err(_) => return false,
            }
        }
        if connection.closing && connection.writable {
            connection.transport.finish();
            return false;
        }
        true
    }

    /// Ends what took too long: handshakes, and connections that do not take their last bytes.
    pub(crate) fn expire(&mut self, turn: &mut Turn<'_>) {
        while let Some(id) = due(&mut self.handshakes, turn.now.mono) {
            let unfinished = self.connections.get_mut(id).is_some_and(|it| !it.announced);
            if unfinished {
                self.end(id, turn);
            }
        }
        while let Some(id) = due(&mut self.lingering, turn.now.mono) {
            self.end(id, turn);
        }
    }

    /// The connection is over now; what waits for it is lost.
    fn end(&mut self, id: ConnId, turn: &mut Turn<'_>) {
        if self.remove(id) {
            turn.step(Input::Closed { conn: id });
        }
    }

    /// Takes a connection out of the table; whether the node knows of it.
    fn remove(&mut self, id: ConnId) -> bool {
        let Some(connection) = self.connections.remove(id) else { return false };
        if !connection.announced {
            self.handshaking -= usize::from(connection.transport.is_tls() && !connection.sniffed);
        }
        connection.announced
    }

    /// Ends every connection at once.
    pub(crate) fn end_all(&mut self, turn: &mut Turn<'_>) {
        for id in self.connections.ids() {
            self.end(id, turn);
        }
    }

    /// Gives every connection that `from` knew to the brain of `turn`, with its unfinished request.
    pub(crate) fn hand_over(&mut self, from: &mut dyn Brain, turn: &mut Turn<'_>) {
        for id in self.connections.ids() {
            let Some(connection) = self.connections.get_mut(id) else { continue };
            if !connection.announced {
                continue;
            }
            connection.announced = false;
            let lost = !from.writable(id).is_empty() || connection.closing;
            let (foyer, unread) = (from.take_foyer(id), from.take_unread(id));
            if lost || !self.announce(id, turn) {
                // The node knows of it only if it was announced again.
                self.end(id, turn);
                continue;
            }
            if let Some(foyer) = foyer {
                turn.brain.take_over(id, foyer);
            }
            if !unread.is_empty() {
                turn.step(Input::Received { conn: id, bytes: &unread });
            }
        }
    }
}

/// How events name a connection.
pub(crate) fn token_of(id: ConnId) -> Token {
    const { assert!(usize::BITS == u64::BITS, "ids are 64 bits") };
    Token(usize::try_from(id.get()).unwrap_or(usize::MAX))
}

fn enqueue(queue: &mut VecDeque<ConnId>, connection: &mut Connection) {
    if !connection.queued {
        connection.queued = true;
        queue.push_back(connection.id);
    }
}

fn due(queue: &mut VecDeque<(Monotonic, ConnId)>, now: Monotonic) -> Option<ConnId> {
    let &(at, id) = queue.front()?;
    if at > now {
        return None;
    }
    queue.pop_front();
    Some(id)
}
