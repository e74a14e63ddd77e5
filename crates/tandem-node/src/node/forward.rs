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

/// Both sides of forwarding.
#[derive(Debug, Default)]
pub(super) struct Forwards {
    next_token: u64,
    /// Own clients that wait for the primary.
    asked: BTreeMap<u64, ConnId>,
    /// The peer's commands that ran here and wait to be safe, in log order.
    ran: VecDeque<Ran>,
    pub(super) total: u64,
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
    pub(super) fn link_down(&mut self) -> BTreeMap<u64, ConnId> {
        self.ran.clear();
        std::mem::take(&mut self.asked)
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
        self.forwards.asked.insert(token, conn);
        let proto = match proto {
            Proto::Resp2 => 2,
            Proto::Resp3 => 3,
        };
        if !holds(NodeRule::ForwardOnce) {
            let command = Cow::Owned(command.clone());
            self.send(&Message::Forward { token: 0, db, proto, command });
        }
        self.send(&Message::Forward { token, db, proto, command: Cow::Owned(command) });
    }

    /// The primary answered.
    pub(super) fn forward_replied(&mut self, token: u64, reply: &[u8]) {
        if let Some(conn) = self.forwards.asked.remove(&token) {
            self.clients.forwarded(&mut self.core, conn, Some(reply));
        }
    }

    /// Runs a command that the peer passed on.
    pub(super) fn run_forwarded(&mut self, token: u64, db: DbIndex, proto: u8, command: &[u8]) {
        let proto = if proto == 3 { Proto::Resp3 } else { Proto::Resp2 };
        let mut reply = Vec::new();
        let full = self.forwards.ran.len() >= WAITING_MAX;
        let wait = if full || self.core.view.hold_writes || !self.is_primary() {
            Reply::new(&mut reply, proto)
                .error("TRYAGAIN the primary cannot take writes from its peer just now");
            Lsn::ZERO
        } else {
            self.clients.run_forwarded(&mut self.core, db, proto, command, &mut reply)
        };
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
