//! Writes that a replica passes on to the primary over the link.
//!
//! The replica's side keeps who waits for which answer; the primary's side runs the command like any
//! other and answers once the write is safe.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};

use tandem_replication::Message;
use tandem_resp::{Proto, Reply};
use tandem_types::{DbIndex, Lsn, Monotonic};

use super::Node;
use crate::ConnId;
use crate::planted::{NodeRule, holds};

/// Commands of the peer's clients that may wait for their write to be safe.
const WAITING_MAX: usize = 100_000;

/// How a reply begins that says between the nodes: not done, and it never will be. No command is answered so.
const NOT_DONE: &[u8] = b"-TRYAGAIN ";
/// The answer when too many wait.
const FULL: &str = "NOTPRIMARY the primary has too many requests of its peer to answer; ask again";

/// Both sides of forwarding.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    next_token: u64,
    /// Own clients that wait for the primary, and what it was asked for them.
    asked: BTreeMap<u64, (ConnId, Vec<u8>)>,
    /// The peer's commands that ran here and wait to be safe, in log order.
    ran: VecDeque<Ran>,
    /// The peer's commands that came while writes are held back, in order.
    held_back: VecDeque<HeldBack>,
    pub(super) total: u64,
}

#[derive(Debug)]
struct HeldBack {
    token: u64,
    db: DbIndex,
    proto: Proto,
    command: Vec<u8>,
}

#[derive(Debug)]
struct Ran {
    token: u64,
    wait: Lsn,
    executed: Monotonic,
    reply: Vec<u8>,
}

impl Forwards {
    /// Nothing that was asked over this connection will be answered: who waited for an answer.
    pub(super) fn link_down(&mut self) -> Vec<ConnId> {
        self.ran.clear();
        self.held_back.clear();
        std::mem::take(&mut self.asked).into_values().map(|(conn, _)| conn).collect()
    }
}

impl Node {
    /// Passes a client's write on.
    pub(super) fn forward(&mut self, conn: ConnId, db: DbIndex, proto: Proto, command: Vec<u8>) {
        if !self.link.is_up() {
            return self.clients.forwarded(&mut self.core, conn, None);
        }
        self.forwards.next_token += 1;
        self.forwards.total += 1;
        let token = self.forwards.next_token;
        let proto = match proto {
            Proto::Resp2 => 2,
            Proto::Resp3 => 3,
        };
        if !holds(NodeRule::ForwardOnce) {
            let command = Cow::Borrowed(&*command);
            self.send(&Message::Forward { token: 0, db, proto, command });
        }
        self.send(&Message::Forward { token, db, proto, command: Cow::Borrowed(&*command) });
        self.forwards.asked.insert(token, (conn, command));
    }

    /// The primary answered.
    pub(super) fn forward_replied(&mut self, token: u64, reply: &[u8]) {
        let Some((conn, command)) = self.forwards.asked.remove(&token) else { return };
        if reply.starts_with(NOT_DONE) {
            self.clients.turned_away(&mut self.core, conn, &command);
        } else {
            self.clients.forwarded(&mut self.core, conn, Some(reply));
        }
    }

    /// Runs a command that the peer passed on, or lets it wait while the role may go back to the peer.
    pub(super) fn run_forwarded(&mut self, token: u64, db: DbIndex, proto: u8, command: &[u8]) {
        let proto = if proto == 3 { Proto::Resp3 } else { Proto::Resp2 };
        let waits = self.forwards.ran.len() + self.forwards.held_back.len();
        if waits >= WAITING_MAX {
            return self.refuse_forwarded(token, proto, FULL);
        }
        if self.is_primary() && self.core.view.hold_writes {
            let command = command.to_vec();
            return self.forwards.held_back.push_back(HeldBack { token, db, proto, command });
        }
        self.run_now(token, db, proto, command);
    }

    /// Writes are no longer held back: this node goes on, or serves no more and says that it did nothing.
    pub(super) fn run_held_back(&mut self) {
        for HeldBack { token, db, proto, command } in std::mem::take(&mut self.forwards.held_back) {
            self.run_now(token, db, proto, &command);
        }
    }

    fn run_now(&mut self, token: u64, db: DbIndex, proto: Proto, command: &[u8]) {
        if !self.is_primary() {
            return self.refuse_forwarded(
                token,
                proto,
                "TRYAGAIN this node is not primary any more",
            );
        }
        let mut reply = Vec::new();
        let wait = self.clients.run_forwarded(&mut self.core, db, proto, command, &mut reply);
        self.answer_forwarded(token, wait, reply);
    }

    fn refuse_forwarded(&mut self, token: u64, proto: Proto, text: &str) {
        let mut reply = Vec::new();
        Reply::new(&mut reply, proto).error(text);
        self.answer_forwarded(token, Lsn::ZERO, reply);
    }

    fn answer_forwarded(&mut self, token: u64, wait: Lsn, reply: Vec<u8>) {
        let executed = self.core.executed_at();
        self.forwards.ran.push_back(Ran { token, wait, executed, reply });
        self.release_forwarded();
    }

    /// Answers the peer's commands whose writes are safe now.
    pub(super) fn release_forwarded(&mut self) {
        while let Some(first) = self.forwards.ran.front() {
            if !self.core.may_answer(first.wait, first.executed) {
                break;
            }
            if let Some(Ran { token, reply, .. }) = self.forwards.ran.pop_front() {
                self.send(&Message::ForwardReply { token, reply: Cow::Owned(reply) });
            }
        }
    }
}
