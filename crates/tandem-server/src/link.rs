//! The link to the peer: who dials, when again, which connection counts.
//!
//! Node B dials node A; afterwards both ends are alike. Several connections may be shaking hands, at
//! most one is up: a later session replaces an earlier one, so a half-open connection is no obstacle.
//! Messages are bytes here; `tandem_link` frames and checks them, the node understands them. Both nodes
//! listen, because the peer's supervisor dials whichever node is left to say that a boot is over.

mod backoff;
mod dial;
mod line;
mod strangers;

pub(crate) use backoff::random_bytes;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use mio::Registry;
use mio::event::Event;
use mio::net::TcpStream;
use tandem_link::{
    CERTIFICATE_KIND, Certificate, LinkConfig, LinkEvent, LinkSession, NONCE_BYTES, Secret,
};
use tandem_node::{Input, Output};
use tandem_switch::{BootId, Testimony};
use tandem_types::{Incarnation, Monotonic, NodeId, Now};

use crate::brain::Brain;
use crate::clock;
use crate::event_loop::{LINK_TOKENS, link_token};
use crate::inbox::Outbox;
use crate::link::dial::{Dial, LASTED};
use crate::link::line::{Line, LineEnd};
use crate::link::strangers::Strangers;
use crate::net::listener::{self, Accepted, Listener};
use crate::net::tls::Tls;
use crate::net::transport::{ReadOutcome, Transport};

/// Token of the link's listener among the link's; lines count from 1.
const LISTENER: u64 = 0;
/// Connections that may be shaking hands; strangers can take no more. For one more the oldest goes: the peer
/// needs milliseconds for its proof, whoever waits in silence needs for ever.
const LINES_MAX: usize = 8;
/// Reasons for which links were lost that are remembered.
const REASONS_MAX: usize = 4;
/// Time from connecting to the peer's proof.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(3);
/// Silence of the other machine's system after which a connection is dead (`TCP_USER_TIMEOUT`).
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// One read.
const READ_BYTES_MAX: usize = 256 * 1024;
/// Reads in one turn, and the time after which there is no other: a full copy must not keep clients waiting, and what
/// is heard must not keep this node from being heard.
const TURN_READS_MAX: usize = 4;
const TURN_READS_TIME: Duration = Duration::from_millis(20);
/// The kind of every message given to [`LinkSession::send`].
const KIND_NODE: u8 = 0x10;
/// Longest message: the longest record (512 MiB, RESP's longest bulk string) and what is around it.
const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// What the link needs to know.
#[derive(Clone, Debug)]
pub(crate) struct LinkSettings {
    /// This node.
    pub node: NodeId,
    /// The pair's name.
    pub pair_name: String,
    /// This software, for people.
    pub software: String,
    /// The peer's host: an address or a name.
    pub peer_host: String,
    /// The peer's link port.
    pub peer_port: u16,
    /// What both nodes know.
    pub secret: Option<Arc<[u8]>>,
    /// The certificate proves the other side (there is a `client_ca`).
    pub certificates_prove: bool,
}

/// The link.
pub(crate) struct Link {
    settings: LinkSettings,
    registry: Registry,
    listener: Option<Listener>,
    waiting: bool,
    dial: Option<Dial>,
    lines: BTreeMap<u64, Line>,
    lines_made: u64,
    up: Option<u64>,
    backlog_reported: usize,
    last_trouble: String,
    /// The same, for the node, until it is told.
    untold: Option<String>,
    /// Why links that had just come up were lost since one lasted: it may be so with every attempt.
    lost_for: Vec<String>,
    strangers: Strangers,
    started: bool,
    buffer: Box<[u8]>,
}

/// What a turn of the link works with.
struct Turn<'a> {
    now: Now,
    brain: &'a mut dyn Brain,
    out: &'a mut Vec<Output>,
    tls: Option<&'a Tls>,
}

impl Turn<'_> {
    fn step(&mut self, input: Input<'_>) {
        self.brain.step(self.now, input, self.out);
    }
}

impl Link {
    /// No connection yet. Node B dials node A; at B's listener only a supervisor is welcome.
    pub(crate) fn new(
        settings: LinkSettings,
        registry: Registry,
        listener: Option<Listener>,
        outbox: Outbox,
    ) -> std::io::Result<Self> {
        let mut listener = listener;
        if let Some(listener) = &mut listener {
            listener.register(&registry, link_token(LISTENER))?;
        }
        let dial = (settings.node == NodeId::B)
            .then(|| Dial::new(settings.peer_host.clone(), settings.peer_port, outbox));
        Ok(Self {
            settings,
            registry,
            listener,
            waiting: true,
            dial,
            lines: BTreeMap::new(),
            lines_made: 0,
            up: None,
            backlog_reported: 0,
            last_trouble: String::new(),
            untold: None,
            lost_for: Vec::new(),
            strangers: Strangers::default(),
            started: false,
            buffer: vec![0; READ_BYTES_MAX].into_boxed_slice(),
        })
    }

    /// The node is there: connections may be made.
    pub(crate) fn start(&mut self, now: Monotonic) {
        self.started = true;
        self.waiting = true;
        if let Some(dial) = &mut self.dial {
            dial.at_once(now);
        }
    }

    /// The peer's name was looked up.
    pub(crate) fn resolved(&mut self, found: Result<Vec<SocketAddr>, String>, now: Monotonic) {
        if let Some(dial) = &mut self.dial {
            dial.resolved(found, now);
        }
    }

    /// An event came for the link's socket with this token.
    pub(crate) fn event(&mut self, token: u64, event: &Event) {
        if token == LISTENER {
            self.waiting = true;
        }
        let mut lines = self.lines.iter_mut();
        if let Some((_, line)) = lines.find(|&(&index, _)| index % LINK_TOKENS == token) {
            line.event(event);
        }
    }

    /// Whether there is work that no event will tell of.
    pub(crate) fn is_busy(&self) -> bool {
        self.lines.values().any(Line::is_busy) || self.backlog() != self.backlog_reported
    }

    /// When time alone will give work.
    pub(crate) fn deadline(&self) -> Option<Monotonic> {
        if !self.started {
            return None;
        }
        let dial = self.dial.as_ref().filter(|_| !self.dials()).and_then(Dial::due);
        self.lines.values().filter_map(|line| line.deadline).chain(dial).min()
    }

    /// Accepts, dials, reads; feeds the node.
    pub(crate) fn turn(
        &mut self,
        now: Now,
        brain: &mut dyn Brain,
        out: &mut Vec<Output>,
        tls: Option<&Tls>,
    ) {
        if !self.started {
            return;
        }
        let mut turn = Turn { now, brain, out, tls };
        self.accept(&mut turn);
        self.dial(&turn);
        let indices: Vec<u64> = self.lines.keys().copied().collect();
        for index in indices {
            if let Err(end) = self.serve_line(index, &mut turn) {
                self.end_line(index, &end, &mut turn);
            }
        }
        if let Some(reason) = self.untold.take() {
            turn.step(Input::LinkTrouble { reason });
        }
        let backlog = self.backlog();
        if backlog != self.backlog_reported {
            self.backlog_reported = backlog;
            turn.step(Input::LinkBacklog { bytes: backlog });
        }
    }

    /// Queues a message to the peer; dropped if the link is down, as on a broken connection.
    pub(crate) fn send(&mut self, message: &[u8]) {
        if let Some(session) = self.up_session() {
            // It is up, so it takes messages.
            session.send(KIND_NODE, message).ok();
        }
    }

    /// Writes what waits.
    pub(crate) fn write(&mut self) {
        for line in self.lines.values_mut() {
            line.write();
        }
    }

    /// Drops every connection; node B dials again.
    pub(crate) fn hang_up(&mut self, reason: &str, now: Now) {
        let up_since = self.up.and_then(|index| self.lines.get(&index)?.up_since);
        if self.is_news(up_since, Some(reason), now.mono) {
            tracing::info!("the link is dropped: {reason}");
        }
        if let Some(line) = self.up.and_then(|index| self.lines.get_mut(&index)) {
            // What was said last tells the other side why.
            line.write();
            line.transport.finish();
        }
        self.lines.clear();
        self.up = None;
        self.backlog_reported = 0;
        if let Some(dial) = &mut self.dial {
            dial.failed(now.mono);
        }
    }

    /// As [`Self::hang_up`], and makes no new one until [`Self::start`].
    pub(crate) fn stop(&mut self, reason: &str, now: Now) {
        self.hang_up(reason, now);
        self.started = false;
    }

    fn up_session(&mut self) -> Option<&mut LinkSession> {
        self.lines.get_mut(&self.up?)?.session.as_mut()
    }

    fn backlog(&self) -> usize {
        self.up
            .and_then(|index| self.lines.get(&index)?.session.as_ref())
            .map_or(0, |session| session.output().len())
    }

    /// Whether a connection that this node made is there.
    fn dials(&self) -> bool {
        self.lines.values().any(|line| line.dialer)
    }

    fn accept(&mut self, turn: &mut Turn<'_>) {
        while let Some(listener) = self.listener.as_mut().filter(|_| self.waiting) {
            match listener.accept() {
                Accepted::Stream(stream, peer) => {
                    if self.make_room(peer.ip(), turn) {
                        self.add_line(stream, peer, false, turn);
                    }
                }
                // Files are reserved for the link; if they are gone too, the peer comes again.
                Accepted::Empty | Accepted::Exhausted => self.waiting = false,
                Accepted::Skip => {}
            }
        }
    }

    /// Ends the oldest accepted connection that has proven nothing, if there are too many of them; none from
    /// the peer's address for one from elsewhere. Whether there is room now.
    fn make_room(&mut self, from: IpAddr, turn: &mut Turn<'_>) -> bool {
        let unproven = || self.lines.iter().filter(|(_, it)| !it.dialer && it.proven.is_none());
        if unproven().count() < LINES_MAX {
            return true;
        }
        let peer = self.settings.peer_host.parse::<IpAddr>().ok();
        let is_peers = |address: IpAddr| peer == Some(address);
        let strange = unproven().find(|(_, it)| !is_peers(it.peer.ip()));
        let any = || unproven().next().filter(|_| is_peers(from));
        let Some(oldest) = strange.or_else(any).map(|(&index, _)| index) else { return false };
        self.end_line(oldest, &LineEnd::Crowded, turn);
        true
    }

    fn dial(&mut self, turn: &Turn<'_>) {
        if self.dials() {
            return;
        }
        let Some(dial) = &mut self.dial else { return };
        let Some(address) = dial.next(turn.now.mono) else { return };
        match TcpStream::connect(address) {
            Ok(stream) => self.add_line(stream, address, true, turn),
            Err(error) => self.trouble(&format!("dial {address}: {error}")),
        }
    }

    fn add_line(&mut self, stream: TcpStream, peer: SocketAddr, dialer: bool, turn: &Turn<'_>) {
        if let Err(error) = listener::set_up_link(&stream, SILENCE_MAX) {
            self.trouble(&format!("set up the connection with {peer}: {error}"));
            return;
        }
        let encryption = match turn.tls {
            None => None,
            Some(tls) if dialer => Some(tls.connect(&self.settings.peer_host)),
            Some(tls) => Some(tls.accept()),
        };
        let transport = match encryption {
            None => Transport::plain(stream),
            Some(Ok(session)) => Transport::tls(stream, session),
            Some(Err(error)) => return self.trouble(&format!("begin TLS with {peer}: {error}")),
        };
        self.lines_made += 1;
        if self.lines_made % LINK_TOKENS == LISTENER {
            self.lines_made += 1; // The listener's token.
        }
        let index = self.lines_made;
        let mut line = Line::new(transport, peer, dialer);
        line.deadline = Some(turn.now.mono.plus(HANDSHAKE_TIME_MAX));
        match line.transport.register(&self.registry, link_token(index)) {
            Ok(()) => {
                self.lines.insert(index, line);
            }
            Err(error) => self.trouble(&format!("wait for {peer}: {error}")),
        }
    }

    /// Reads from one line and hands out what it understood.
    fn serve_line(&mut self, index: u64, turn: &mut Turn<'_>) -> Result<(), LineEnd> {
        let line = self.lines.get_mut(&index).ok_or(LineEnd::Closed)?;
        line.check_time(turn.now.mono)?;
        if !line.is_connected()? {
            return Ok(());
        }
        for _ in 0..TURN_READS_MAX {
            if !self.prepare_session(index, turn)? {
                // TLS is shaking hands: read and write until it is done.
                let line = self.lines.get_mut(&index).ok_or(LineEnd::Closed)?;
                line.transport.flush().map_err(LineEnd::Io)?;
            }
            let line = self.lines.get_mut(&index).ok_or(LineEnd::Closed)?;
            if !line.readable {
                break;
            }
            let outcome = line.transport.read(&mut self.buffer).map_err(LineEnd::Io)?;
            let len = match outcome {
                ReadOutcome::Bytes { len, drained } => {
                    line.readable = !drained || line.ending;
                    len
                }
                ReadOutcome::Empty => {
                    line.readable = false;
                    0
                }
                ReadOutcome::Eof => return Err(LineEnd::Closed),
            };
            if len > 0 {
                // The peer's first bytes may come together with the end of its TLS handshake.
                self.prepare_session(index, turn)?;
                let session = self.lines.get_mut(&index).and_then(|line| line.session.as_mut());
                if let Some(session) = session {
                    session.receive(&self.buffer[..len]);
                }
            }
            self.hand_out(index, turn)?;
            if clock::monotonic().since(turn.now.mono) >= TURN_READS_TIME {
                break;
            }
        }
        Ok(())
    }

    /// Makes the session once TLS (if any) has shaken hands; `false`: it has not.
    fn prepare_session(&mut self, index: u64, turn: &Turn<'_>) -> Result<bool, LineEnd> {
        let line = self.lines.get_mut(&index).ok_or(LineEnd::Closed)?;
        if line.session.is_some() {
            return Ok(true);
        }
        if line.transport.is_handshaking() {
            return Ok(false);
        }
        let identity = turn.brain.identity();
        let local = line.transport.socket().local_addr().map_err(LineEnd::Io)?;
        let peer = line.peer;
        let tls_binding = line.transport.binding().map_err(LineEnd::Io)?;
        let settings = &self.settings;
        let tls =
            line.transport.is_tls() && (settings.certificates_prove || settings.secret.is_some());
        let config = LinkConfig {
            node: settings.node,
            incarnation: identity.incarnation,
            pair_id: identity.pair_id,
            pair_name: settings.pair_name.clone(),
            software: settings.software.clone(),
            supervisor: false,
            session: (tandem_switch::boot_count(identity.boots) << 32) | (index & 0xffff_ffff),
            nonce: random_bytes::<NONCE_BYTES>().map_err(LineEnd::Io)?,
            secret: settings.secret.as_ref().map(|bytes| Secret::new(bytes.to_vec())),
            tls,
            tls_binding: if tls { tls_binding } else { Vec::new() },
            loopback: peer.ip().is_loopback() || peer.ip() == local.ip(),
            message_bytes_max: MESSAGE_BYTES_MAX,
        };
        line.session = Some(if line.dialer {
            LinkSession::dialer(config)
        } else {
            LinkSession::listener(config)
        });
        Ok(true)
    }

    /// Gives the node what the session of one line understood.
    fn hand_out(&mut self, index: u64, turn: &mut Turn<'_>) -> Result<(), LineEnd> {
        loop {
            let line = self.lines.get_mut(&index).ok_or(LineEnd::Closed)?;
            let Some(session) = &mut line.session else { return Ok(()) };
            let hello = match session.poll().map_err(LineEnd::Link)? {
                None => return Ok(()),
                Some(LinkEvent::Message { kind: KIND_NODE, bytes }) if !line.supervisor => {
                    turn.step(Input::LinkMessage { bytes });
                    continue;
                }
                Some(LinkEvent::Message { kind: CERTIFICATE_KIND, bytes }) if line.supervisor => {
                    let certificate = Certificate::decode(bytes);
                    // It is up, so it takes messages.
                    session.send(CERTIFICATE_KIND, &[]).ok();
                    if let Some(Certificate { incarnation, boot, in_sync }) = certificate {
                        tracing::warn!(boot, "the peer's supervisor says that its process is gone");
                        let testimony = Testimony {
                            boot: BootId { incarnation, boot },
                            in_sync: Testimony::decode_set(&in_sync),
                        };
                        turn.step(Input::PeerTestified(testimony));
                    }
                    continue;
                }
                // A kind of a later version.
                Some(LinkEvent::Message { .. }) => continue,
                Some(LinkEvent::Up(hello)) => hello,
            };
            if hello.supervisor {
                // It says what it has to say and goes, or its time runs out.
                line.supervisor = true;
                continue;
            }
            if self.dial.is_some() && !line.dialer {
                return Err(LineEnd::WrongWay);
            }
            line.deadline = None;
            // The dialer's number names the connection on both ends.
            let number = if line.dialer { index } else { hello.session };
            let session = (hello.incarnation, number);
            line.proven = Some(session);
            line.up_since = Some(turn.now.mono);
            let address = line.peer;
            self.replace(index, session, turn)?;
            self.last_trouble.clear();
            if self.lost_for.is_empty() {
                tracing::info!(peer = %address, software = %hello.software, "the link is up");
            } else {
                // It was lost as soon as it came up; the node tells when it is of use.
                tracing::debug!(peer = %address, software = %hello.software, "the link is up");
            }
            turn.step(Input::LinkUp { address, session: index });
        }
    }

    /// Makes line `index` the one that counts, unless a later session already is.
    fn replace(
        &mut self,
        index: u64,
        (incarnation, number): (Incarnation, u64),
        turn: &mut Turn<'_>,
    ) -> Result<(), LineEnd> {
        if let Some(old) = self.up {
            let proven = self.lines.get(&old).and_then(|line| line.proven);
            // Numbers of another life of the peer's data mean nothing.
            if proven.is_some_and(|(life, old)| life == incarnation && old > number) {
                return Err(LineEnd::Replaced);
            }
            self.end_line(old, &LineEnd::Replaced, turn);
        }
        self.up = Some(index);
        self.backlog_reported = 0;
        Ok(())
    }

    fn end_line(&mut self, index: u64, end: &LineEnd, turn: &mut Turn<'_>) {
        let Some(mut line) = self.lines.remove(&index) else { return };
        // A refusal tells the other side why.
        line.write();
        line.transport.finish();
        let reason = format!("{}: {end}", line.peer);
        if self.up == Some(index) {
            self.up = None;
            self.backlog_reported = 0;
            let why = (!end.broke_off()).then(|| end.to_string());
            if self.is_news(line.up_since, why.as_deref(), turn.now.mono) {
                tracing::warn!("the link is down: {reason}");
            }
            turn.step(Input::LinkDown { reason });
        } else if line.dialer || line.proven.is_some() {
            self.trouble(&reason);
        } else if !line.supervisor {
            self.stranger(&line, end, turn.now.mono);
        }
        if let Some(dial) = self.dial.as_mut().filter(|_| line.dialer) {
            match line.up_since {
                Some(since) => dial.lost(since, turn.now.mono),
                None => dial.failed(turn.now.mono),
            }
        }
    }

    /// Whoever came has not proven to be the peer, and may be anybody: said by host, now and then.
    fn stranger(&mut self, line: &Line, end: &LineEnd, now: Monotonic) {
        let text = format!("{}: {end}", line.peer.ip());
        let peer = self.settings.peer_host.parse::<IpAddr>();
        if peer.is_ok_and(|peer| peer == line.peer.ip()) && end.says_why() {
            // Most likely the peer, which cannot prove it.
            self.untold = Some(text.clone());
        }
        if self.strangers.may_say(now, &text) {
            tracing::warn!("a connection to the link port did not prove to be the peer: {text}");
        }
    }

    /// Says what goes wrong, once and not with every attempt.
    fn trouble(&mut self, text: &str) {
        if self.last_trouble != text {
            tracing::warn!("the peer cannot be reached: {text}");
            text.clone_into(&mut self.last_trouble);
            self.untold = Some(text.to_owned());
        }
    }

    /// Whether it is worth a line that a link is lost: not if one before was lost for the same as soon as it came
    /// up, too, and none has lasted since. Without a reason (it broke off) it is news only if nothing was said before:
    /// which of its ways a socket takes to report that is chance.
    fn is_news(
        &mut self,
        up_since: Option<Monotonic>,
        reason: Option<&str>,
        now: Monotonic,
    ) -> bool {
        let lasted = up_since.is_some_and(|since| now.since(since) >= LASTED);
        if lasted {
            self.lost_for.clear();
            return true;
        }
        let reason = reason.unwrap_or_default();
        let said = self.lost_for.iter().any(|said| said == reason);
        if said || (reason.is_empty() && !self.lost_for.is_empty()) {
            return false;
        }
        if self.lost_for.len() >= REASONS_MAX {
            self.lost_for.remove(0);
        }
        self.lost_for.push(reason.to_owned());
        true
    }
}

#[cfg(test)]
mod tests;
