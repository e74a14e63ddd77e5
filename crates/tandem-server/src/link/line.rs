//! One connection with the peer, or with someone who claims to be it.

use std::io;
use std::net::SocketAddr;

use mio::event::Event;
use tandem_link::{LinkError, LinkSession};
use tandem_types::{Incarnation, Monotonic};

use crate::net::transport::Transport;

/// Why a connection is over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineEnd {
    /// The other side closed it.
    #[error("the peer closed the connection")]
    Closed,
    /// A newer connection took its place.
    #[error("a newer connection took its place")]
    Replaced,
    /// A node that only dials was dialled by a node.
    #[error("only the peer's supervisor may dial this node")]
    WrongWay,
    /// Too many connections had proven nothing, and this one was the oldest.
    #[error("connections that do not prove to be the peer crowd the link port; who makes them?")]
    Crowded,
    /// The peer has not proven itself in time.
    #[error("no answer in time")]
    TooSlow,
    /// The socket failed, or TLS did.
    #[error("{0}")]
    Io(io::Error),
    /// The peer is not who it must be, or bytes were damaged.
    #[error("{0}")]
    Link(LinkError),
}

impl LineEnd {
    /// The connection is over, and which of its ways the socket took to tell is chance.
    pub(crate) fn broke_off(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        match self {
            Self::Closed => true,
            Self::Io(error) => matches!(
                error.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
            ),
            _ => false,
        }
    }

    /// Whether it says more than that a connection is over.
    pub(crate) fn says_why(&self) -> bool {
        matches!(self, Self::Io(_) | Self::Link(_)) && !self.broke_off()
    }
}

/// One connection.
pub(crate) struct Line {
    /// Its bytes.
    pub transport: Transport,
    /// Handshake and frames; made once TLS (if any) is through.
    pub session: Option<LinkSession>,
    /// The other end.
    pub peer: SocketAddr,
    /// This node made the connection.
    pub dialer: bool,
    /// The peer's incarnation and the number of the session, once up.
    pub proven: Option<(Incarnation, u64)>,
    /// The other end is the peer's supervisor.
    pub supervisor: bool,
    /// When it came up.
    pub up_since: Option<Monotonic>,
    /// When it is given up unless it is up.
    pub deadline: Option<Monotonic>,
    /// The socket may hold bytes.
    pub readable: bool,
    /// The other side's end was seen: no more events come.
    pub ending: bool,
    writable: bool,
    connected: bool,
    /// An event came that was not looked at.
    touched: bool,
    failed: Option<io::Error>,
}

impl Line {
    /// A connection that was accepted, or is being made.
    pub(crate) const fn new(transport: Transport, peer: SocketAddr, dialer: bool) -> Self {
        Self {
            transport,
            session: None,
            peer,
            dialer,
            proven: None,
            supervisor: false,
            up_since: None,
            deadline: None,
            readable: false,
            ending: false,
            writable: false,
            connected: !dialer,
            touched: false,
            failed: None,
        }
    }

    /// An event came.
    pub(crate) fn event(&mut self, event: &Event) {
        self.touched = true;
        self.writable |= event.is_writable();
        self.ending |= event.is_read_closed() || event.is_error();
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
    }

    /// Whether it has work that no event will tell of.
    pub(crate) const fn is_busy(&self) -> bool {
        (self.connected && self.readable) || self.failed.is_some()
    }

    /// # Errors
    /// Too late.
    pub(crate) fn check_time(&self, now: Monotonic) -> Result<(), LineEnd> {
        match self.deadline {
            Some(deadline) if deadline <= now => Err(LineEnd::TooSlow),
            _ => Ok(()),
        }
    }

    /// Whether bytes can be exchanged.
    ///
    /// # Errors
    /// The connection could not be made, or an earlier write failed.
    pub(crate) fn is_connected(&mut self) -> Result<bool, LineEnd> {
        if let Some(error) = self.failed.take() {
            return Err(LineEnd::Io(error));
        }
        if !self.connected && self.touched {
            // connect(2): writable tells that it is over, SO_ERROR how.
            let socket = self.transport.socket();
            if let Some(error) = socket.take_error().map_err(LineEnd::Io)? {
                return Err(LineEnd::Io(error));
            }
            self.connected = socket.peer_addr().is_ok();
        }
        Ok(self.connected)
    }

    /// Writes what waits, as far as the socket takes it. A failure shows in the next turn.
    pub(crate) fn write(&mut self) {
        if !self.connected || self.failed.is_some() {
            return;
        }
        if let Err(error) = self.try_write() {
            self.failed = Some(error);
        }
    }

    fn try_write(&mut self) -> io::Result<()> {
        if let Some(session) = &mut self.session {
            while self.writable && !session.output().is_empty() {
                let wanted = session.output().len();
                let count = self.transport.write(session.output())?;
                session.sent(count);
                self.writable = count == wanted;
            }
        }
        if self.transport.wants_flush() {
            self.writable &= self.transport.flush()?;
        }
        Ok(())
    }
}
