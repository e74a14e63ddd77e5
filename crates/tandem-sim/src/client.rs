//! Clients that each write rising numbers to a key of their own, one at a time.
//!
//! So the audit is simple and sharp: what is there at the end must be at least the last number that was
//! acknowledged, and at most the last one that was sent.

use tandem_node::ConnId;
use tandem_resp::{ReplyParser, Value, write_request};

/// How a write ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Not answered yet.
    Waiting,
    /// `+OK`.
    Acknowledged,
    /// An error: it was not applied and never will be.
    Refused,
    /// The connection ended: nobody knows.
    Unknown,
}

/// One write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Write {
    /// The number written.
    pub number: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// One client.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) key: String,
    /// The machine it talks to, and the connection there.
    pub(crate) at: Option<(usize, ConnId)>,
    pub(crate) writes: Vec<Write>,
    parser: ReplyParser,
    pub(crate) sent_error: Option<String>,
}

impl Client {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            key: format!("key:{number}"),
            at: None,
            writes: Vec::new(),
            parser: ReplyParser::new(),
            sent_error: None,
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.writes.last().is_some_and(|write| write.outcome == Outcome::Waiting)
    }

    /// The next request.
    pub(crate) fn next_request(&mut self) -> Vec<u8> {
        let number = self.writes.last().map_or(1, |write| write.number + 1);
        self.writes.push(Write { number, outcome: Outcome::Waiting });
        let mut bytes = Vec::new();
        write_request(&mut bytes, &[b"SET", self.key.as_bytes(), number.to_string().as_bytes()]);
        bytes
    }

    fn end(&mut self, outcome: Outcome) {
        if let Some(write) = self.writes.last_mut().filter(|it| it.outcome == Outcome::Waiting) {
            write.outcome = outcome;
        }
    }

    pub(crate) fn received(&mut self, bytes: &[u8]) {
        self.parser.feed(bytes);
        while let Ok(Some(value)) = self.parser.next_reply() {
            if value.is_ok() {
                self.end(Outcome::Acknowledged);
            } else if let Some(error) = value.as_error() {
                self.sent_error = Some(String::from_utf8_lossy(error).into_owned());
                self.end(Outcome::Refused);
            } else {
                panic!("a SET was answered with {value:?}: {:?}", Value::Null);
            }
        }
    }

    pub(crate) fn closed(&mut self) {
        self.at = None;
        self.parser = ReplyParser::new();
        self.end(Outcome::Unknown);
    }

    pub(crate) fn last_acknowledged(&self) -> u64 {
        let acknowledged = |write: &&Write| write.outcome == Outcome::Acknowledged;
        self.writes.iter().rev().find(acknowledged).map_or(0, |write| write.number)
    }

    pub(crate) fn last_sent(&self) -> u64 {
        self.writes.last().map_or(0, |write| write.number)
    }
}
