//! A listening socket that never blocks, never spins and survives running out of files.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use rustix::fs::{Mode, OFlags};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

/// Connections the system queues for us while we are busy.
const BACKLOG: i32 = 1024;
/// Pause after the system said that it has no file or memory for another connection.
pub(crate) const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// What one attempt to accept came to.
pub(crate) enum Accepted {
    /// A client.
    Stream(TcpStream, SocketAddr),
    /// Nobody waits; an event will tell.
    Empty,
    /// A client went away before it was accepted, or was turned away: go on.
    Skip,
    /// No file or memory: try again after [`EXHAUSTED_PAUSE`].
    Exhausted,
}

/// One listening socket.
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    /// Given up for a moment when files run out, so that the client that waits can be turned away
    /// instead of leaving the listener readable for ever.
    reserve: Option<rustix::fd::OwnedFd>,
}

impl Listener {
    /// Binds `address` (IPv4 or IPv6; port 0: any).
    ///
    /// # Errors
    /// As `socket`, `bind` and `listen` say.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        Self::open(address, false)
    }

    /// Binds `address` although this machine may not have it yet, or not any more.
    ///
    /// # Errors
    /// As `socket`, `bind` and `listen` say.
    pub(crate) fn bind_absent(address: SocketAddr) -> io::Result<Self> {
        Self::open(address, true)
    }

    fn open(address: SocketAddr, may_be_absent: bool) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if let IpAddr::V6(ip) = address.ip() {
            // `::` takes IPv4 too, a named IPv6 address only itself.
            socket.set_only_v6(!ip.is_unspecified())?;
        }
        if may_be_absent {
            match address.ip() {
                IpAddr::V4(_) => socket.set_freebind_v4(true)?,
                IpAddr::V6(_) => socket.set_freebind_v6(true)?,
            }
        }
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from_std(socket.into());
        let address = socket.local_addr()?;
        Ok(Self { socket, address, reserve: open_reserve() })
    }

    /// Where it listens; the port is the real one.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Tells `registry` to report clients as `token`.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE)
    }

    /// Accepts one client if one waits.
    pub(crate) fn accept(&mut self) -> Accepted {
        match self.socket.accept() {
            Ok((stream, peer)) => Accepted::Stream(stream, peer),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Accepted::Empty,
            Err(error) if is_exhausted(&error) => self.turn_one_away(),
            // Errors of the connection being accepted (accept(2) lists them), not of the listener.
            Err(_) => Accepted::Skip,
        }
    }

    /// Closes the reserve file to accept and drop one client: it sees a close instead of a hang.
    fn turn_one_away(&mut self) -> Accepted {
        if self.reserve.take().is_none() {
            self.reserve = open_reserve();
            return Accepted::Exhausted;
        }
        let turned_away = self.socket.accept().is_ok();
        self.reserve = open_reserve();
        if turned_away { Accepted::Skip } else { Accepted::Exhausted }
    }
}

fn open_reserve() -> Option<rustix::fd::OwnedFd> {
    rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

fn is_exhausted(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let exhausted = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
    error.raw_os_error().is_some_and(|code| exhausted.iter().any(|e| e.raw_os_error() == code))
}

/// How a client's socket is set up: small replies leave at once, a vanished client is noticed.
///
/// Redis' `tcp-keepalive` default is 300 s; the same here, three probes.
pub(crate) fn set_up_client(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_mins(5))
        .with_interval(Duration::from_secs(100))
        .with_retries(3);
    socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// How the link's socket is set up: a peer that does not answer for `silence` is gone.
pub(crate) fn set_up_link(stream: &TcpStream, silence: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = socket2::SockRef::from(stream);
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(1))
        .with_interval(Duration::from_secs(1))
        .with_retries(2);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(silence))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::Instant;

    use super::*;

    fn accept_soon(listener: &mut Listener) -> Option<TcpStream> {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if let Accepted::Stream(stream, _) = listener.accept() {
                return Some(stream);
            }
            std::thread::yield_now();
        }
        None
    }

    #[test]
    fn both_address_families_are_served() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let mut listener = Listener::bind(address.parse().unwrap()).unwrap();
            assert_ne!(listener.address().port(), 0);
            let _client = std::net::TcpStream::connect(listener.address()).unwrap();
            let stream = accept_soon(&mut listener).unwrap();
            set_up_client(&stream).unwrap();
            set_up_link(&stream, Duration::from_secs(2)).unwrap();
        }
    }

    #[test]
    fn a_client_that_finds_no_file_is_turned_away_and_the_next_one_served() {
        let mut listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut client = std::net::TcpStream::connect(listener.address()).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // As if accept had said EMFILE.
        while !matches!(listener.turn_one_away(), Accepted::Skip) {
            std::thread::yield_now();
        }
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        let _second = std::net::TcpStream::connect(listener.address()).unwrap();
        assert!(accept_soon(&mut listener).is_some());
    }
}
