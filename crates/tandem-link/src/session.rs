//! One connection to the peer, from the first byte to the last.

use tandem_types::{Incarnation, NodeId, PairId};

use crate::frame::{FrameReader, FrameWriter, Guard};
use crate::hello::{Hello, PeerHello};
use crate::keys::{Secret, Transcript};
use crate::{FRAME_PAYLOAD_BYTES_MAX, LinkError, NONCE_BYTES, Refusal};

/// Longest frame before the peer has proven itself.
const HANDSHAKE_PAYLOAD_BYTES_MAX: usize = 1024;

const KIND_HELLO: u8 = 1;
const KIND_PROOF: u8 = 2;
const KIND_REFUSED: u8 = 3;

const DIALER_PROOF: &[u8] = b"dialer proof";
const LISTENER_PROOF: &[u8] = b"listener proof";
const DIALER_KEY: &[u8] = b"dialer to listener";
const LISTENER_KEY: &[u8] = b"listener to dialer";

/// What protects the bytes on their way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Transport {
    /// Nothing but the secret: every frame carries an HMAC.
    Plain,
    /// TLS.
    Tls,
    /// They never leave the machine, and no secret is configured.
    Loopback,
}

impl Transport {
    pub(crate) const fn as_byte(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Tls => 1,
            Self::Loopback => 2,
        }
    }

    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Plain),
            1 => Some(Self::Tls),
            2 => Some(Self::Loopback),
            _ => None,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Plain => "a peer secret",
            Self::Tls => "TLS",
            Self::Loopback => "none (no peer secret, one machine)",
        }
    }
}

/// What one side brings to a connection.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// This node.
    pub node: NodeId,
    /// Its data directory's life.
    pub incarnation: Incarnation,
    /// The pair its data belongs to.
    pub pair_id: PairId,
    /// The pair's name; must be the same on both sides.
    pub pair_name: String,
    /// This software, for people.
    pub software: String,
    /// Whether this is the node's supervisor and not the node.
    pub supervisor: bool,
    /// Number of this connection: the dialer's counter; a listener may leave it at 0.
    pub session: u64,
    /// Fresh random bytes for each connection: repeated ones would let an old conversation be replayed.
    pub nonce: [u8; NONCE_BYTES],
    /// The peer secret. Without one only a peer on this machine is accepted, unless TLS proves it.
    pub secret: Option<Secret>,
    /// The connection runs inside TLS with a verified certificate; `binding` then ties the proofs to it.
    pub tls: bool,
    /// Keying material exported from the TLS connection (RFC 9266); empty without TLS.
    pub tls_binding: Vec<u8>,
    /// Both ends of the connection are on this machine.
    pub loopback: bool,
    /// Longest message accepted, in bytes.
    pub message_bytes_max: usize,
}

impl LinkConfig {
    fn transport(&self) -> Result<Transport, LinkError> {
        if self.tls {
            Ok(Transport::Tls)
        } else if self.secret.is_some() {
            Ok(Transport::Plain)
        } else if self.loopback {
            Ok(Transport::Loopback)
        } else {
            Err(LinkError::Unsecured)
        }
    }
}

/// What a session understood.
#[derive(Debug, Eq, PartialEq)]
pub enum LinkEvent<'a> {
    /// The peer has proven itself; messages may be sent.
    Up(PeerHello),
    /// One message from the peer.
    Message {
        /// As given to [`LinkSession::send`].
        kind: u8,
        /// As given to [`LinkSession::send`].
        bytes: &'a [u8],
    },
}

/// A message was given to a session that is not up.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the link is not up")]
pub struct NotUp;

#[derive(Debug)]
enum State {
    /// Waits for the peer's hello.
    Greeting,
    /// Waits for the peer's proof.
    Proving {
        peer: PeerHello,
        transcript: Transcript,
    },
    Up,
    Failed(LinkError),
}

/// One connection between the two nodes.
#[derive(Debug)]
pub struct LinkSession {
    config: LinkConfig,
    dialer: bool,
    own_hello: Vec<u8>,
    state: State,
    reader: FrameReader,
    writer: FrameWriter,
    input: Vec<u8>,
    /// First byte of `input` not understood yet.
    input_at: usize,
    output: Vec<u8>,
    /// First byte of `output` not sent yet.
    output_at: usize,
    /// The start of a message whose end has not come.
    partial: Option<Partial>,
    /// The message handed out last, when it came in several frames.
    whole: Vec<u8>,
}

#[derive(Debug)]
struct Partial {
    kind: u8,
    bytes: Vec<u8>,
}

/// Where the message to hand out lies.
enum Place {
    Input(std::ops::Range<usize>),
    Whole,
}

impl LinkSession {
    /// The side that made the connection; it speaks first.
    pub fn dialer(config: LinkConfig) -> Self {
        let mut session = Self::new(config, true);
        if !matches!(session.state, State::Failed(_)) {
            session.greet();
        }
        session
    }

    /// The side that accepted the connection; it says nothing to strangers.
    pub fn listener(config: LinkConfig) -> Self {
        Self::new(config, false)
    }

    fn new(config: LinkConfig, dialer: bool) -> Self {
        let mut session = Self {
            config,
            dialer,
            own_hello: Vec::new(),
            state: State::Greeting,
            reader: FrameReader::new(Guard::None, HANDSHAKE_PAYLOAD_BYTES_MAX),
            writer: FrameWriter::new(Guard::None),
            input: Vec::new(),
            input_at: 0,
            output: Vec::new(),
            output_at: 0,
            partial: None,
            whole: Vec::new(),
        };
        match session.config.transport() {
            Ok(transport) => session.own_hello = session.hello(transport).encode(),
            Err(error) => session.fail(&error),
        }
        session
    }

    /// Takes bytes that came from the peer. Call [`Self::poll`] until it has no more.
    pub fn receive(&mut self, bytes: &[u8]) {
        if self.input_at > 0 {
            self.input.drain(..self.input_at);
            self.input_at = 0;
        }
        if !matches!(self.state, State::Failed(_)) {
            self.input.extend_from_slice(bytes);
        }
    }

    /// The next thing understood from the bytes received so far.
    ///
    /// # Errors
    /// The connection is of no more use: write what [`Self::output`] holds and close it. The same error
    /// comes again if asked again.
    pub fn poll(&mut self) -> Result<Option<LinkEvent<'_>>, LinkError> {
        let step = match &self.state {
            State::Failed(error) => return Err(error.clone()),
            State::Up => self.next_message().map(|found| found.map(Step::Message)),
            State::Greeting | State::Proving { .. } => {
                self.shake_hands().map(|peer| peer.map(Step::Up))
            }
        };
        let step = step.inspect_err(|error| self.fail(error))?;
        Ok(match step {
            None => None,
            Some(Step::Up(peer)) => Some(LinkEvent::Up(peer)),
            Some(Step::Message((kind, Place::Whole))) => {
                Some(LinkEvent::Message { kind, bytes: &self.whole })
            }
            Some(Step::Message((kind, Place::Input(range)))) => {
                Some(LinkEvent::Message { kind, bytes: self.input.get(range).unwrap_or_default() })
            }
        })
    }

    /// Queues a message. `kind` is below 128.
    ///
    /// # Errors
    /// The session is not up; the message is dropped, as one on a broken connection would be.
    pub fn send(&mut self, kind: u8, message: &[u8]) -> Result<(), NotUp> {
        if !self.is_up() {
            return Err(NotUp);
        }
        self.writer.write(kind, message, &mut self.output);
        Ok(())
    }

    /// Whether the peer has proven itself and nothing went wrong since.
    pub const fn is_up(&self) -> bool {
        matches!(self.state, State::Up)
    }

    /// What waits to be written to the connection.
    pub fn output(&self) -> &[u8] {
        self.output.get(self.output_at..).unwrap_or_default()
    }

    /// `bytes` of [`Self::output`] were written.
    pub fn sent(&mut self, bytes: usize) {
        self.output_at = self.output_at.saturating_add(bytes).min(self.output.len());
        if self.output_at == self.output.len() {
            self.output.clear();
            self.output_at = 0;
        } else if self.output_at > self.output.len() / 2 && self.output_at > OUTPUT_COMPACT_BYTES {
            self.output.drain(..self.output_at);
            self.output_at = 0;
        }
    }

    /// Takes all that waits to be written, for owners that buffer themselves.
    pub fn take_output(&mut self) -> Vec<u8> {
        let mut taken = std::mem::take(&mut self.output);
        taken.drain(..std::mem::take(&mut self.output_at));
        taken
    }

    fn hello(&self, transport: Transport) -> Hello {
        Hello {
            about: PeerHello {
                node: self.config.node,
                incarnation: self.config.incarnation,
                pair_id: self.config.pair_id,
                session: self.config.session,
                software: self.config.software.clone(),
                supervisor: self.config.supervisor,
            },
            pair_name: self.config.pair_name.clone(),
            transport,
            nonce: self.config.nonce,
        }
    }

    fn greet(&mut self) {
        self.writer.write(KIND_HELLO, &self.own_hello, &mut self.output);
    }

    /// One frame of the handshake; the peer, once it has proven itself.
    fn shake_hands(&mut self) -> Result<Option<PeerHello>, LinkError> {
        loop {
            let unread = self.input.get(self.input_at..).unwrap_or_default();
            // A stranger's first bytes, read as a length, are mostly too long.
            let frame = match self.reader.next(unread) {
                Err(_) if matches!(self.state, State::Greeting) => Err(LinkError::NotALink),
                other => other,
            }?;
            let Some(frame) = frame else { return Ok(None) };
            let payload = unread.get(frame.payload.clone()).unwrap_or_default().to_vec();
            self.input_at += frame.bytes;
            match (frame.kind, std::mem::replace(&mut self.state, State::Greeting)) {
                (KIND_REFUSED, _) => {
                    let code = payload.first().copied().unwrap_or_default();
                    return Err(LinkError::Refused(Refusal::from_byte(code)));
                }
                (KIND_HELLO, State::Greeting) => self.on_hello(&payload)?,
                (KIND_PROOF, State::Proving { peer, transcript }) => {
                    self.on_proof(&transcript, &payload)?;
                    return Ok(Some(peer));
                }
                (_, State::Greeting) => return Err(LinkError::NotALink),
                _ => return Err(LinkError::Malformed),
            }
        }
    }

    fn on_hello(&mut self, payload: &[u8]) -> Result<(), LinkError> {
        let hello = Hello::decode(payload)?;
        let ours = self.config.transport()?;
        if hello.transport != ours {
            return Err(LinkError::Protection {
                ours: ours.words(),
                theirs: hello.transport.words(),
            });
        }
        if hello.pair_name != self.config.pair_name {
            return Err(LinkError::WrongPair {
                ours: self.config.pair_name.clone(),
                theirs: hello.pair_name,
            });
        }
        if hello.about.node == self.config.node {
            return Err(LinkError::OwnNode { node: self.config.node });
        }
        // Without a secret the proofs say nothing, but the conversation has the same shape.
        let secret = self.config.secret.clone().unwrap_or_else(|| Secret::new(Vec::new()));
        let (dialer, listener) =
            if self.dialer { (&*self.own_hello, payload) } else { (payload, &*self.own_hello) };
        let transcript = Transcript::new(secret, dialer, listener, &self.config.tls_binding);
        if self.dialer {
            // The dialer proves itself first, so that strangers who dial learn nothing to guess from.
            let proof = transcript.derive(DIALER_PROOF);
            self.writer.write(KIND_PROOF, &proof, &mut self.output);
        } else {
            self.greet();
        }
        self.state = State::Proving { peer: hello.about, transcript };
        Ok(())
    }

    fn on_proof(&mut self, transcript: &Transcript, proof: &[u8]) -> Result<(), LinkError> {
        let theirs = if self.dialer { LISTENER_PROOF } else { DIALER_PROOF };
        if !transcript.proves(theirs, proof) {
            return Err(LinkError::WrongSecret);
        }
        if !self.dialer {
            let proof = transcript.derive(LISTENER_PROOF);
            self.writer.write(KIND_PROOF, &proof, &mut self.output);
        }
        let (send, receive) =
            if self.dialer { (DIALER_KEY, LISTENER_KEY) } else { (LISTENER_KEY, DIALER_KEY) };
        let guard = |label| match self.config.transport() {
            Ok(Transport::Tls | Transport::Loopback) => Guard::Crc,
            Ok(Transport::Plain) | Err(_) => Guard::mac(&transcript.derive(label)),
        };
        self.writer = FrameWriter::new(guard(send));
        self.reader = FrameReader::new(guard(receive), FRAME_PAYLOAD_BYTES_MAX);
        self.state = State::Up;
        Ok(())
    }

    /// The next whole message.
    fn next_message(&mut self) -> Result<Option<(u8, Place)>, LinkError> {
        loop {
            let unread = self.input.get(self.input_at..).unwrap_or_default();
            let Some(frame) = self.reader.next(unread)? else { return Ok(None) };
            let place = self.input_at + frame.payload.start..self.input_at + frame.payload.end;
            self.input_at += frame.bytes;
            if self.partial.is_none() && !frame.more {
                return Ok(Some((frame.kind, Place::Input(place))));
            }
            let payload = self.input.get(place).unwrap_or_default();
            let partial =
                self.partial.get_or_insert_with(|| Partial { kind: frame.kind, bytes: Vec::new() });
            if partial.kind != frame.kind {
                return Err(LinkError::Malformed);
            }
            let bytes = partial.bytes.len() + payload.len();
            if bytes > self.config.message_bytes_max {
                return Err(LinkError::FrameTooLong {
                    bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
                    bytes_max: u64::try_from(self.config.message_bytes_max).unwrap_or(u64::MAX),
                });
            }
            partial.bytes.extend_from_slice(payload);
            if frame.more {
                continue;
            }
            if let Some(done) = self.partial.take() {
                self.whole = done.bytes;
            }
            return Ok(Some((frame.kind, Place::Whole)));
        }
    }

    /// Ends the session; the other side is told why, where that helps.
    fn fail(&mut self, error: &LinkError) {
        if let Some(refusal) = error.refusal()
            && !self.is_up()
        {
            self.writer.write(KIND_REFUSED, &[refusal.as_byte()], &mut self.output);
        }
        self.state = State::Failed(error.clone());
        self.input = Vec::new();
        self.input_at = 0;
        self.partial = None;
    }
}

/// Sent bytes stay in the buffer up to this many, so that small writes do not move it each time.
const OUTPUT_COMPACT_BYTES: usize = 1 << 20;

enum Step {
    Up(PeerHello),
    Message((u8, Place)),
}

#[cfg(test)]
mod tests;
