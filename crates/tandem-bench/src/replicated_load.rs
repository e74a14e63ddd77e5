//! The load that redis-benchmark cannot make: each write answered only when it is on two machines.
//!
//! One thread, non-blocking sockets. Against Redis every request is `SET` and `WAIT 1 0` in one packet,
//! which is the cheapest way to have that promise from it; Tandem promises it with the reply itself.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::measure::Figures;

const VALUE_BYTES: usize = 64;
/// Longest time without any reply before the run is given up.
const SILENCE_MAX: Duration = Duration::from_secs(10);

struct Connection {
    stream: TcpStream,
    sent_at: Instant,
    /// Replies (lines) still missing of the request in flight.
    missing: usize,
    /// The start of a line that is not complete.
    partial: Vec<u8>,
}

/// A connection that is watched for replies under its number.
///
/// Connected while blocking, so that no write meets a socket that is not yet open.
pub(crate) fn connect(poll: &Poll, address: SocketAddr, number: u32) -> anyhow::Result<TcpStream> {
    let stream = std::net::TcpStream::connect(address).context("connect")?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let mut stream = TcpStream::from_std(stream);
    let token = Token(usize::try_from(number)?);
    poll.registry().register(&mut stream, token, Interest::READABLE)?;
    Ok(stream)
}

/// Sends `requests` writes over `clients` connections, one in flight on each.
pub(crate) fn run(
    address: SocketAddr,
    clients: u32,
    requests: u64,
    wait: bool,
) -> anyhow::Result<Figures> {
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for number in 0..clients {
        let stream = connect(&poll, address, number)?;
        let sent_at = Instant::now();
        connections.push(Connection { stream, sent_at, missing: 0, partial: Vec::new() });
    }
    let began = Instant::now();
    let mut run = Run { wait, sent: 0, latencies: Vec::new(), requests };
    for connection in &mut connections {
        run.send(connection)?;
    }
    let mut events = Events::with_capacity(1024);
    while run.latencies.len() < usize::try_from(requests)? {
        poll.poll(&mut events, Some(SILENCE_MAX))?;
        ensure!(!events.is_empty(), "no reply for {SILENCE_MAX:?}");
        for event in &events {
            let connection = connections.get_mut(event.token().0).context("unknown token")?;
            run.receive(connection)?;
        }
    }
    Ok(run.figures(began.elapsed()))
}

struct Run {
    wait: bool,
    requests: u64,
    sent: u64,
    latencies: Vec<Duration>,
}

impl Run {
    fn send(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        if self.sent == self.requests {
            return Ok(());
        }
        self.sent += 1;
        // A multiplicative walk over the same million keys that redis-benchmark draws from.
        let key = format!("key:{:012}", self.sent.wrapping_mul(2_654_435_761) % 1_000_000);
        let mut request =
            format!("*3\r\n$3\r\nSET\r\n${}\r\n{key}\r\n${VALUE_BYTES}\r\n", key.len());
        request.extend(std::iter::repeat_n('x', VALUE_BYTES));
        request.push_str("\r\n");
        connection.missing = 1;
        if self.wait {
            request.push_str("*3\r\n$4\r\nWAIT\r\n$1\r\n1\r\n$1\r\n0\r\n");
            connection.missing = 2;
        }
        connection.sent_at = Instant::now();
        // 150 bytes always fit in the socket buffer of a connection with nothing in flight.
        connection.stream.write_all(request.as_bytes()).context("send")
    }

    fn receive(&mut self, connection: &mut Connection) -> anyhow::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            let got = match connection.stream.read(&mut bytes) {
                Ok(0) => bail!("the server closed a connection"),
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error).context("receive"),
            };
            connection.partial.extend_from_slice(bytes.get(..got).unwrap_or_default());
            while let Some(end) = connection.partial.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = connection.partial.drain(..=end).collect();
                let fine = line == b"+OK\r\n" || line.starts_with(b":1");
                ensure!(fine, "unexpected reply {:?}", String::from_utf8_lossy(&line));
                connection.missing = connection.missing.saturating_sub(1);
                if connection.missing == 0 {
                    self.latencies.push(connection.sent_at.elapsed());
                    self.send(connection)?;
                }
            }
        }
    }

    fn figures(mut self, took: Duration) -> Figures {
        self.latencies.sort_unstable();
        let at = |percent: usize| {
            let index = (self.latencies.len() * percent / 100).min(self.latencies.len() - 1);
            self.latencies.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
        };
        #[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
        let per_second = self.latencies.len() as f64 / took.as_secs_f64();
        Figures { per_second, p50_ms: at(50), p99_ms: at(99) }
    }
}
