//! Between a client and a server of the Redis protocol, on this machine: passes bytes on, or does not.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

/// What it does with the server's answers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Manner {
    /// Nothing: as if it were not there.
    Passes = 0,
    /// Answers every request with an error; the server sees none of them.
    Errors = 1,
    /// Changes what is read back.
    Lies = 2,
    /// Sends answers on after a second and a half.
    Slow = 3,
}

/// How late answers come in [`Manner::Slow`].
const LATE: Duration = Duration::from_millis(1_500);

/// A proxy; it ends with the test's process.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    manner: Arc<AtomicU8>,
}

impl Proxy {
    /// Listens on a free port in front of `server`.
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let manner = Arc::new(AtomicU8::new(Manner::Passes as u8));
        let shared = Arc::clone(&manner);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let manner = Arc::clone(&shared);
                // A connection that breaks is a connection that ends.
                thread::spawn(move || serve(client, server, &manner).ok());
            }
        });
        Self { address, manner }
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, also on connections that are open.
    pub fn set(&self, manner: Manner) {
        self.manner.store(manner as u8, Ordering::SeqCst);
    }
}

fn serve(client: TcpStream, server: SocketAddr, manner: &Arc<AtomicU8>) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (to_client, from_server) = (client.try_clone()?, server.try_clone()?);
    let shared = Arc::clone(manner);
    thread::spawn(move || answers(from_server, to_client, &shared).ok());
    let mut bytes = [0; 4096];
    let (mut client, mut server) = (client, server);
    loop {
        match client.read(&mut bytes)? {
            0 => return server.shutdown(Shutdown::Both),
            _ if is(manner, Manner::Errors) => {
                client.write_all(b"-ERR the proxy says no\r\n")?;
                client.shutdown(Shutdown::Both)?;
                return server.shutdown(Shutdown::Both);
            }
            count => server.write_all(&bytes[..count])?,
        }
    }
}

fn answers(mut server: TcpStream, mut client: TcpStream, manner: &AtomicU8) -> io::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        let count = server.read(&mut bytes)?;
        if count == 0 {
            return client.shutdown(Shutdown::Both);
        }
        if is(manner, Manner::Slow) {
            // The first answer, a sign of life, comes in time: only what follows is late.
            let first =
                bytes[..count].iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1);
            client.write_all(&bytes[..first])?;
            thread::sleep(LATE);
            client.write_all(&bytes[first..count])?;
            continue;
        }
        if is(manner, Manner::Lies)
            && let Some(at) = bytes[..count].iter().rposition(|&byte| byte == b'-')
        {
            bytes[at] = b'=';
        }
        client.write_all(&bytes[..count])?;
    }
}

fn is(manner: &AtomicU8, wanted: Manner) -> bool {
    manner.load(Ordering::SeqCst) == wanted as u8
}
