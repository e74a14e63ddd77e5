//! A small blocking Redis client: one connection, no cleverness, every error shown.

use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::value::{self, Value};

/// Longest wait for one reply unless told otherwise: far above any healthy answer.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

/// The bytes of one request as every client library sends it.
pub fn encode(arguments: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    encode_into(&mut out, arguments);
    out
}

/// As [`encode`], appended to `out`.
pub fn encode_into(out: &mut Vec<u8>, arguments: &[&[u8]]) {
    out.extend_from_slice(format!("*{}\r\n", arguments.len()).as_bytes());
    for argument in arguments {
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
}

impl Client {
    /// Connects to `address`, within a second.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        let reader = BufReader::new(stream.try_clone()?);
        Ok(Self { stream, reader })
    }

    /// Connects and switches to RESP3.
    pub fn connect_resp3(address: SocketAddr) -> io::Result<Self> {
        let mut client = Self::connect(address)?;
        let reply = client.command(&["HELLO", "3"])?;
        if let Some(error) = reply.error() {
            return Err(io::Error::other(error.to_owned()));
        }
        Ok(client)
    }

    /// How long a reply may take before it counts as an error.
    pub fn set_reply_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(timeout))
    }

    /// Sends one command and reads its reply; error replies are values, not errors.
    pub fn command<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> io::Result<Value> {
        self.send(arguments)?;
        self.reply()
    }

    /// Sends one command and returns its reply, which must not be an error.
    #[track_caller]
    pub fn ok<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> Value {
        let shown = || {
            let first = arguments.first().map(AsRef::as_ref).unwrap_or_default();
            String::from_utf8_lossy(first).into_owned()
        };
        match self.command(arguments) {
            Ok(Value::Error(error)) => panic!("{}: -{error}", shown()),
            Ok(value) => value,
            Err(error) => panic!("{}: {error}", shown()),
        }
    }

    /// Sends one command without reading anything.
    pub fn send<A: AsRef<[u8]>>(&mut self, arguments: &[A]) -> io::Result<()> {
        let slices: Vec<&[u8]> = arguments.iter().map(AsRef::as_ref).collect();
        self.send_raw(&encode(&slices))
    }

    /// Sends bytes as they are.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads one reply.
    pub fn reply(&mut self) -> io::Result<Value> {
        value::read(&mut self.reader, None)
    }

    /// Reads one reply and its exact bytes.
    pub fn reply_with_bytes(&mut self) -> io::Result<(Value, Vec<u8>)> {
        let mut raw = Vec::new();
        let value = value::read(&mut self.reader, Some(&mut raw))?;
        Ok((value, raw))
    }

    /// `INFO section` as one text.
    #[track_caller]
    pub fn info(&mut self, section: &str) -> String {
        self.ok(&["INFO", section]).text().expect("INFO is a string")
    }

    /// One field of `INFO section`.
    #[track_caller]
    pub fn info_field(&mut self, section: &str, field: &str) -> Option<String> {
        let text = self.info(section);
        text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::to_owned))
    }

    /// The socket, for the tests that mistreat it.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}
