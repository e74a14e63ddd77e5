//! One stream of bytes, plain or encrypted; never blocks.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::Connection;

/// Plain bytes that rustls may hold for a socket that takes no more.
const TLS_BUFFER_BYTES_MAX: usize = 256 * 1024;

/// What a read came to.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum ReadOutcome {
    /// So many bytes; `drained`: the socket has no more for now (epoll(7): a short read says so).
    Bytes {
        /// At least one.
        len: usize,
        /// Wait for an event before reading again.
        drained: bool,
    },
    /// Nothing there; an event will tell.
    Empty,
    /// The other side sends no more.
    Eof,
}

/// One stream.
pub(crate) enum Transport {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream>),
}

/// A TLS session and its socket.
pub(crate) struct TlsStream {
    socket: TcpStream,
    session: Connection,
    /// The transport below said end of file.
    socket_eof: bool,
}

impl Transport {
    /// A plain stream.
    pub(crate) const fn plain(socket: TcpStream) -> Self {
        Self::Plain(socket)
    }

    /// An encrypted stream; the handshake happens while reading and writing.
    pub(crate) fn tls(socket: TcpStream, mut session: Connection) -> Self {
        session.set_buffer_limit(Some(TLS_BUFFER_BYTES_MAX));
        Self::Tls(Box::new(TlsStream { socket, session, socket_eof: false }))
    }

    /// Whether bytes are encrypted.
    pub(crate) const fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// The socket.
    pub(crate) const fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.socket,
        }
    }

    fn socket_mut(&mut self) -> &mut TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &mut tls.socket,
        }
    }

    /// Reports both directions as `token` (edge-triggered).
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(self.socket_mut(), token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Whether application bytes can be exchanged yet.
    pub(crate) fn is_handshaking(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.session.is_handshaking(),
        }
    }

    /// What ties a handshake inside to this TLS connection (RFC 9266); empty without TLS.
    ///
    /// # Errors
    /// The handshake is not over.
    pub(crate) fn binding(&self) -> io::Result<Vec<u8>> {
        let Self::Tls(tls) = self else { return Ok(Vec::new()) };
        let exporter = b"EXPORTER-Channel-Binding";
        match &tls.session {
            Connection::Client(it) => it.export_keying_material(vec![0; 32], exporter, Some(&[])),
            Connection::Server(it) => it.export_keying_material(vec![0; 32], exporter, Some(&[])),
        }
        .map_err(io::Error::other)
    }

    /// Reads what is there into `buffer`.
    ///
    /// # Errors
    /// As the socket says; for TLS also [`ErrorKind::InvalidData`] when the bytes are not TLS or the other
    /// side is not who it must be (an alert was sent as far as possible).
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<ReadOutcome> {
        match self {
            Self::Plain(socket) => read_plain(socket, buffer),
            Self::Tls(tls) => tls.read(buffer),
        }
    }

    /// Writes from `bytes`; returns how many were taken. Fewer than all: wait for an event.
    ///
    /// # Errors
    /// As the socket says.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => write_plain(socket, bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    /// Writes encrypted bytes that wait; `true`: none are left.
    ///
    /// # Errors
    /// As the socket says.
    pub(crate) fn flush(&mut self) -> io::Result<bool> {
        match self {
            Self::Plain(_) => Ok(true),
            Self::Tls(tls) => tls.flush(),
        }
    }

    /// Whether [`Self::flush`] has something to do.
    pub(crate) fn wants_flush(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.session.wants_write(),
        }
    }

    /// Ends the stream: the last bytes leave, the other side sees an orderly end.
    pub(crate) fn finish(&mut self) {
        if let Self::Tls(tls) = self {
            tls.session.send_close_notify();
            // Best effort: the stream ends either way.
            drop(tls.flush());
        }
        drop(self.socket().shutdown(Shutdown::Write));
    }
}

fn read_plain(socket: &mut TcpStream, buffer: &mut [u8]) -> io::Result<ReadOutcome> {
    loop {
        return match socket.read(buffer) {
            Ok(0) => Ok(ReadOutcome::Eof),
            Ok(len) => Ok(ReadOutcome::Bytes { len, drained: len < buffer.len() }),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(ReadOutcome::Empty),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
    }
}

fn write_plain(socket: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match socket.write(&bytes[written..]) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            // A short write: the socket's buffer is full, and an event will tell when it is not.
            Ok(len) => written += len,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

impl TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<ReadOutcome> {
        let mut len = 0;
        loop {
            match self.session.reader().read(&mut buffer[len..]) {
                // A clean end (close_notify); what came before it is handed out first.
                Ok(0) if len == 0 => return Ok(ReadOutcome::Eof),
                Ok(0) => return Ok(ReadOutcome::Bytes { len, drained: false }),
                Ok(count) => len += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The socket ended without close_notify: cut off by someone, or a sloppy client.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Ok(if len == 0 {
                        ReadOutcome::Eof
                    } else {
                        ReadOutcome::Bytes { len, drained: false }
                    });
                }
                Err(error) => return Err(error),
            }
            if len == buffer.len() {
                return Ok(ReadOutcome::Bytes { len, drained: false });
            }
            if !self.receive()? {
                return Ok(match (len, self.socket_eof) {
                    (0, true) => ReadOutcome::Eof,
                    (0, false) => ReadOutcome::Empty,
                    (len, eof) => ReadOutcome::Bytes { len, drained: !eof },
                });
            }
        }
    }

    /// Takes records from the socket; `false`: none there.
    fn receive(&mut self) -> io::Result<bool> {
        if self.socket_eof || !self.session.wants_read() {
            return Ok(false);
        }
        match self.session.read_tls(&mut self.socket) {
            Ok(0) => self.socket_eof = true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(true),
            Err(error) => return Err(error),
        }
        let processed = self.session.process_new_packets();
        if self.session.wants_write() {
            // Handshake messages, key updates; after an error: the alert that tells why.
            self.flush()?;
        }
        match processed {
            Ok(_) => Ok(true),
            Err(error) => Err(io::Error::new(ErrorKind::InvalidData, error)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        loop {
            let count = self.session.writer().write(&bytes[written..])?;
            written += count;
            let flushed = self.flush()?;
            if written == bytes.len() || !flushed || count == 0 {
                return Ok(written);
            }
        }
    }

    fn flush(&mut self) -> io::Result<bool> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.socket) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
