//! One question to a server, with a time limit: a Redis command, or a page of the admin port.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tandem_resp::{ReplyParser, Value, write_request};

/// A connection for questions, one at a time.
#[derive(Debug)]
pub(crate) struct Asker {
    stream: TcpStream,
    parser: ReplyParser,
}

impl Asker {
    /// Connects; everything that takes longer than `longest` is an error.
    pub(crate) fn connect(address: SocketAddr, longest: Duration) -> anyhow::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, longest)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(longest))?;
        stream.set_write_timeout(Some(longest))?;
        Ok(Self { stream, parser: ReplyParser::new() })
    }

    /// Asks and returns the reply, which may be an error reply.
    pub(crate) fn ask(&mut self, words: &[&str]) -> anyhow::Result<Value> {
        let mut request = Vec::new();
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        write_request(&mut request, &words);
        self.stream.write_all(&request)?;
        self.reply()
    }

    /// The next reply or message.
    pub(crate) fn reply(&mut self) -> anyhow::Result<Value> {
        let mut bytes = [0; 16 << 10];
        loop {
            if let Some(reply) = self.parser.next_reply()? {
                return Ok(reply);
            }
            match self.stream.read(&mut bytes)? {
                0 => bail!("the server closed the connection"),
                length => self.parser.feed(bytes.get(..length).unwrap_or_default()),
            }
        }
    }
}

/// Asks one thing on a connection of its own; an error reply is an error.
pub(crate) fn ask(address: SocketAddr, words: &[&str]) -> anyhow::Result<Value> {
    let reply = Asker::connect(address, Duration::from_secs(2))?.ask(words)?;
    match reply.as_error() {
        Some(error) => bail!("{words:?}: {}", String::from_utf8_lossy(error)),
        None => Ok(reply),
    }
}

/// The JSON document at `path` of an HTTP port.
pub(crate) fn http_json(address: SocketAddr, path: &str) -> anyhow::Result<serde_json::Value> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").context("no answer by HTTP")?;
    let from = body.find('{').with_context(|| format!("no JSON in the answer: {head}"))?;
    let till = body.rfind('}').context("the answer is cut short")?;
    serde_json::from_str(body.get(from..=till).unwrap_or_default()).context("read the answer")
}
