//! Stands in for the node while the data is read back: every command gets `-LOADING`.

use std::collections::BTreeMap;

use tandem_admin::AdminReply;
use tandem_node::{ConnId, Input, Output};
use tandem_resp::{Limits, Parsed, Parser};
use tandem_types::{Monotonic, Now};

use crate::brain::{Brain, Identity};

/// What every command is told; clients know the word and come again.
const ANSWER: &[u8] = b"-LOADING Tandem is loading the dataset in memory\r\n";
/// Clients while loading.
const CLIENTS_MAX: usize = 10_000;
/// Bytes of one client's unfinished request, or of answers it does not read, before it is dropped.
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// The stand-in. Its sessions have no state but bytes, so that the node can take the connections over.
#[derive(Default)]
pub(crate) struct Loading {
    sessions: BTreeMap<ConnId, Session>,
    dirty: Vec<ConnId>,
}

#[derive(Default)]
struct Session {
    parser: Parser,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Session {
    /// Answers every whole request; `false`: this client must go.
    fn feed(&mut self, bytes: &[u8]) -> bool {
        self.input.extend_from_slice(bytes);
        let mut start = 0;
        loop {
            match self.parser.parse(&self.input[start..], &Limits::NORMAL) {
                Ok(Parsed::Incomplete { .. }) => break,
                Ok(Parsed::Empty { consumed }) => start += consumed,
                Ok(Parsed::Command { consumed }) => {
                    start += consumed;
                    self.output.extend_from_slice(ANSWER);
                }
                Err(_) => return false,
            }
        }
        self.input.drain(..start);
        self.input.len() <= BUFFER_BYTES_MAX && self.output.len() <= BUFFER_BYTES_MAX
    }
}

impl Brain for Loading {
    fn step(&mut self, _now: Now, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Accepted { conn, .. } => {
                self.sessions.insert(conn, Session::default());
            }
            Input::Received { conn, bytes } => {
                let Some(session) = self.sessions.get_mut(&conn) else { return };
                if !session.feed(bytes) {
                    out.push(Output::Close { conn });
                }
                if !session.output.is_empty() {
                    self.dirty.push(conn);
                }
            }
            Input::Closed { conn } => {
                self.sessions.remove(&conn);
            }
            Input::Admin { id, .. } => {
                let reply = AdminReply::refused(
                    "this node cannot answer yet",
                    "its data is being loaded",
                    "try again in a moment",
                );
                out.push(Output::AdminReply { id, reply });
            }
            Input::Shutdown => out.push(Output::Exit {
                status: 0,
                reason: "asked to stop while loading; nothing was changed".to_owned(),
            }),
            // Nothing else can come: there is no log thread and no link yet.
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Monotonic> {
        None
    }

    fn take_dirty(&mut self, dirty: &mut Vec<ConnId>) {
        dirty.append(&mut self.dirty);
    }

    fn writable(&mut self, conn: ConnId) -> &[u8] {
        self.sessions.get(&conn).map_or(&[], |session| &session.output)
    }

    fn written(&mut self, conn: ConnId, count: usize) {
        if let Some(session) = self.sessions.get_mut(&conn) {
            session.output.drain(..count.min(session.output.len()));
        }
    }

    fn owes(&self, conn: ConnId) -> bool {
        self.sessions.get(&conn).is_some_and(|session| !session.output.is_empty())
    }

    fn clients_max(&self) -> usize {
        CLIENTS_MAX
    }

    fn identity(&self) -> Identity {
        Identity::default()
    }

    fn take_unread(&mut self, conn: ConnId) -> Vec<u8> {
        self.sessions.remove(&conn).map(|session| session.input).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tandem_node::{ConnInfo, Port};

    use super::*;

    #[test]
    fn every_command_is_told_to_come_again_and_an_unfinished_one_is_kept() {
        let mut loading = Loading::default();
        let mut out = Vec::new();
        let conn = ConnId::new(3, 1);
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let info = ConnInfo { peer: address, local: address, port: Port::Client, tls: false };
        loading.step(Now::default(), Input::Accepted { conn, info }, &mut out);
        let bytes = b"PING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*1\r\n$4\r\nPI";
        loading.step(Now::default(), Input::Received { conn, bytes }, &mut out);
        assert_eq!(loading.writable(conn), [ANSWER, ANSWER].concat());
        loading.written(conn, ANSWER.len());
        assert_eq!(loading.writable(conn), ANSWER);
        let mut dirty = Vec::new();
        loading.take_dirty(&mut dirty);
        assert_eq!(dirty, [conn]);
        assert_eq!(loading.take_unread(conn), b"*1\r\n$4\r\nPI");
        assert!(out.is_empty());
    }

    #[test]
    fn a_client_that_sends_nonsense_is_closed() {
        let mut loading = Loading::default();
        let mut out = Vec::new();
        let conn = ConnId::new(0, 0);
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let info = ConnInfo { peer: address, local: address, port: Port::Read, tls: false };
        loading.step(Now::default(), Input::Accepted { conn, info }, &mut out);
        let bytes = b"*9223372036854775808\r\n";
        loading.step(Now::default(), Input::Received { conn, bytes }, &mut out);
        assert!(matches!(out[..], [Output::Close { conn: closed }] if closed == conn));
    }
}
