//! A client that speaks just enough RESP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use tandem_resp::{ReplyParser, Value, write_request};

/// One connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    parser: ReplyParser,
}

impl Client {
    /// Connects to a server on this machine.
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self { stream, parser: ReplyParser::new() }
    }

    /// Sends a command and waits for its reply, as text.
    pub(crate) fn ask(&mut self, words: &[&str]) -> String {
        self.send(words);
        self.hear()
    }

    /// Sends a command.
    pub(crate) fn send(&mut self, words: &[&str]) {
        let mut request = Vec::new();
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        write_request(&mut request, &words);
        self.stream.write_all(&request).unwrap();
    }

    /// Waits for a reply.
    pub(crate) fn hear(&mut self) -> String {
        loop {
            if let Some(value) = self.parser.next_reply().unwrap() {
                return text(&value);
            }
            let mut bytes = [0; 16 << 10];
            let count = self.stream.read(&mut bytes).unwrap();
            assert!(count > 0, "closed instead of answered");
            self.parser.feed(&bytes[..count]);
        }
    }

    /// Repeats a command until its reply is `want`.
    pub(crate) fn ask_until(&mut self, words: &[&str], want: &str) {
        let start = Instant::now();
        loop {
            let got = self.ask(words);
            if got == want {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "{words:?}: {got}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "(nil)".to_owned(),
        Value::Error(text) => format!("-{}", String::from_utf8_lossy(text)),
        Value::Int(number) => number.to_string(),
        Value::Array(parts) | Value::Push(parts) | Value::Set(parts) => {
            parts.iter().map(text).collect::<Vec<_>>().join(" ")
        }
        other => String::from_utf8_lossy(other.as_bytes().unwrap_or_default()).into_owned(),
    }
}
