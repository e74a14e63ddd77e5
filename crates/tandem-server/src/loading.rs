//! Stands in for the node while the data is read back: clients may say who they are, and everything else
//! gets `-LOADING`.

use std::collections::BTreeMap;

use tandem_admin::AdminReply;
use tandem_node::{ConnId, Foyer, Input, Output, Secret, Stays};
use tandem_resp::{Parsed, Parser};
use tandem_types::{Monotonic, Now};

use crate::brain::{Brain, Identity};

/// Clients while loading.
const CLIENTS_MAX: usize = 10_000;
/// Bytes of one client's unfinished request, or of answers it does not read, before it is dropped.
const BUFFER_BYTES_MAX: usize = 1 << 20;

/// The stand-in. Its sessions are bytes and what [`Foyer`] holds, so that the node can take the connections
/// over.
#[derive(Default)]
pub(crate) struct Loading {
    password: Option<Secret>,
    last_id: u64,
    sessions: BTreeMap<ConnId, Session>,
    dirty: Vec<ConnId>,
}

struct Session {
    parser: Parser,
    foyer: Foyer,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Loading {
    /// Nobody is told more than the node would tell: `password` is what clients must know.
    pub(crate) fn new(password: Option<Secret>) -> Self {
        Self { password, ..Self::default() }
    }
}

impl Session {
    /// Answers every whole request; `false`: this client must go.
    fn feed(&mut self, bytes: &[u8], password: Option<&Secret>) -> bool {
        self.input.extend_from_slice(bytes);
        let mut start = 0;
        loop {
            let rest = &self.input[start..];
            match self.parser.parse(rest, self.foyer.limits()) {
                Ok(Parsed::Incomplete { .. }) => break,
                Ok(Parsed::Empty { consumed }) => start += consumed,
                Ok(Parsed::Command { consumed }) => {
                    let args = self.parser.args(rest);
                    let stays = self.foyer.hear(&args, password, &mut self.output);
                    start += consumed;
                    if stays == Stays::No || self.output.len() > BUFFER_BYTES_MAX {
                        return false;
                    }
                }
                Err(error) => {
                    let text = format!("-ERR {error}\r\n");
                    self.output.extend_from_slice(text.as_bytes());
                    return false;
                }
            }
        }
        self.input.drain(..start);
        self.input.len() <= BUFFER_BYTES_MAX
    }
}

impl Brain for Loading {
    fn step(&mut self, _now: Now, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Accepted { conn, .. } => {
                self.last_id += 1;
                let foyer = Foyer::new(self.last_id, self.password.as_ref());
                let (parser, input, output) = (Parser::default(), Vec::new(), Vec::new());
                self.sessions.insert(conn, Session { parser, foyer, input, output });
            }
            Input::Received { conn, bytes } => {
                let Some(session) = self.sessions.get_mut(&conn) else { return };
                if !session.feed(bytes, self.password.as_ref()) {
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

    fn take_foyer(&mut self, conn: ConnId) -> Option<Foyer> {
        let session = self.sessions.get_mut(&conn)?;
        let next = Foyer::new(0, self.password.as_ref());
        Some(std::mem::replace(&mut session.foyer, next))
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

    const ANSWER: &[u8] = b"-LOADING Tandem is loading the dataset in memory\r\n";

    #[test]
    fn a_stranger_may_send_little_before_it_knows_the_password() {
        let mut loading = Loading::new(Some(Secret::new(b"secret".to_vec())));
        let mut out = Vec::new();
        let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
        let info = ConnInfo { peer: address, local: address, port: Port::Client, tls: false };
        let (stranger, friend) = (ConnId::new(1, 1), ConnId::new(2, 1));
        for conn in [stranger, friend] {
            loading.step(Now::default(), Input::Accepted { conn, info }, &mut out);
        }
        let bytes = b"*11\r\n";
        loading.step(Now::default(), Input::Received { conn: stranger, bytes }, &mut out);
        assert!(matches!(out[..], [Output::Close { conn }] if conn == stranger));
        out.clear();
        let bytes = b"AUTH secret\r\nSELECT 3\r\n*11\r\n";
        loading.step(Now::default(), Input::Received { conn: friend, bytes }, &mut out);
        assert_eq!(loading.writable(friend), b"+OK\r\n+OK\r\n");
        assert!(out.is_empty());
        assert!(loading.take_foyer(friend).is_some());
        assert_eq!(loading.take_unread(friend), b"*11\r\n");
    }

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
