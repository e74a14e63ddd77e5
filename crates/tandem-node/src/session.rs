//! One client connection: who it is, what it sent, what it is owed.

mod outbox;
mod pending;
mod transaction;
mod waiting;

use std::collections::BTreeSet;
use std::sync::Arc;

use tandem_resp::{Limits, Proto, Reply};
use tandem_store::Need;
use tandem_types::{DbIndex, LogPosition, Lsn, Monotonic};

use crate::conflicts::escape;
use crate::core::Core;
use crate::{ConnId, ConnInfo};

pub(crate) use outbox::{Gate, Outbox};
pub(crate) use pending::Pending;
pub(crate) use transaction::{Queued, Transaction, Watched};
pub(crate) use waiting::{Waiting, What};

/// Whether replies are sent (`CLIENT REPLY`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum ReplyMode {
    #[default]
    On,
    Off,
    /// The command after this one gets no reply.
    SkipNext,
    /// This command gets no reply.
    Skip,
}

/// Whether a client wants to be told when the primary moves (`CLIENT MAINT_NOTIFICATIONS`).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Moving {
    #[default]
    Unasked,
    /// With the new primary's address.
    WithAddress,
    /// It finds the address by itself.
    WithoutAddress,
}

/// What a client said about itself.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    /// `CLIENT SETNAME`.
    pub(crate) name: Vec<u8>,
    /// `CLIENT SETINFO LIB-NAME`.
    pub(crate) lib_name: Vec<u8>,
    /// `CLIENT SETINFO LIB-VER`.
    pub(crate) lib_version: Vec<u8>,
    /// How a saved write names this client; made when it is needed.
    pub(crate) label: Option<Arc<str>>,
}

/// What a client listens to.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    pub(crate) channels: BTreeSet<Box<[u8]>>,
    pub(crate) patterns: BTreeSet<Box<[u8]>>,
}

impl Subscriptions {
    pub(crate) fn count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }
}

/// One client connection.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) conn: ConnId,
    /// What `CLIENT ID` says; rises, never reused.
    pub(crate) id: u64,
    pub(crate) info: ConnInfo,
    pub(crate) db: DbIndex,
    pub(crate) proto: Proto,
    pub(crate) authenticated: bool,
    pub(crate) identity: Identity,
    /// Input that is not carried out yet.
    pub(crate) pending: Option<Box<Pending>>,
    pub(crate) outbox: Outbox,
    /// Messages that came while a command of this client ran: they follow its reply.
    pub(crate) deferred: Vec<u8>,
    pub(crate) reply_mode: ReplyMode,
    pub(crate) transaction: Option<Box<Transaction>>,
    pub(crate) watched: Vec<Watched>,
    /// A watched key was touched: the next `EXEC` fails.
    pub(crate) watch_broken: bool,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) monitor: bool,
    pub(crate) no_evict: bool,
    pub(crate) no_touch: bool,
    pub(crate) moving: Moving,
    pub(crate) waiting: Option<Box<Waiting>>,
    /// Commands that were passed on to the primary and have no reply yet. Until they have, nothing but
    /// more of that kind is carried out, so that replies come in order.
    pub(crate) passed_on: usize,
    /// Bytes of them, since there were none.
    pub(crate) passed_on_bytes: usize,
    /// Of those what the primary did not do: it goes back to the input once all are answered.
    pub(crate) returned: Vec<u8>,
    /// Nothing more is read; the connection ends once everything that may leave has left.
    pub(crate) closing: bool,
    /// The server knows that the connection is to end.
    pub(crate) close_told: bool,
    /// It was here when this node lost its role: a command that is refused for that is its last.
    pub(crate) outlived_role: bool,
    /// Replies grew beyond the limit inside a transaction, which still ran to its end.
    pub(crate) overflowed: bool,
    /// In the list of connections to flush.
    pub(crate) dirty: bool,
    /// In the list of connections with held replies.
    pub(crate) gated: bool,
    /// The server was told to stop reading.
    pub(crate) reading_paused: bool,
    /// End of the last record this client wrote.
    pub(crate) last_write: LogPosition,
    pub(crate) connected_at: Monotonic,
    pub(crate) active_at: Monotonic,
    /// Name of the last command, for `CLIENT LIST`.
    pub(crate) last_command: &'static str,
    /// Since when the output is above the soft limit.
    pub(crate) soft_limit_since: Option<Monotonic>,
}

impl Session {
    /// What the command that waits needs of a key, if it is more than that it is there.
    pub(crate) fn need_of(&self, key: &[u8]) -> Option<&Need> {
        let Some(What::Keys { keys, needs, .. }) = self.waiting.as_deref().map(|it| &it.what)
        else {
            return None;
        };
        needs.get(keys.iter().position(|waited| **waited == *key)?)
    }

    /// Waits for something that only others can bring about.
    pub(crate) fn waits_for_others(&self) -> bool {
        self.passed_on > 0
            || self
                .waiting
                .as_ref()
                .is_some_and(|waiting| !matches!(waiting.what, What::Drained | What::Turn))
    }

    pub(crate) fn new(conn: ConnId, id: u64, info: ConnInfo, now: Monotonic) -> Self {
        Self {
            conn,
            id,
            info,
            db: DbIndex::ZERO,
            proto: Proto::Resp2,
            authenticated: false,
            identity: Identity::default(),
            pending: None,
            outbox: Outbox::default(),
            deferred: Vec::new(),
            reply_mode: ReplyMode::On,
            transaction: None,
            watched: Vec::new(),
            watch_broken: false,
            subscriptions: Subscriptions::default(),
            monitor: false,
            no_evict: false,
            no_touch: false,
            moving: Moving::Unasked,
            waiting: None,
            passed_on: 0,
            passed_on_bytes: 0,
            returned: Vec::new(),
            closing: false,
            close_told: false,
            outlived_role: false,
            overflowed: false,
            dirty: false,
            gated: false,
            reading_paused: false,
            last_write: LogPosition::default(),
            connected_at: now,
            active_at: now,
            last_command: "NULL",
            soft_limit_since: None,
        }
    }

    /// This client's write is the record that ends at `end`.
    pub(crate) fn has_written(&mut self, core: &mut Core, end: Lsn) {
        self.last_write = LogPosition { epoch: core.view.epoch, lsn: end };
        let Self { identity: Identity { label, name, .. }, id, info, .. } = self;
        let label = label.get_or_insert_with(|| label_of(*id, info, name));
        // Within a transaction nothing is appended yet.
        if end == core.positions.appended_end {
            core.authors.note(end, label);
        }
    }

    /// A writer to this client.
    pub(crate) fn reply(&mut self) -> Reply<'_> {
        Reply::new(self.outbox.bytes_mut(), self.proto)
    }

    /// What it may send.
    pub(crate) const fn limits(&self) -> &'static Limits {
        if self.authenticated { &Limits::NORMAL } else { &Limits::UNAUTHENTICATED }
    }

    /// It gets messages and so may send only what RESP2 allows then.
    pub(crate) fn is_subscriber(&self) -> bool {
        self.subscriptions.count() > 0
    }

    /// Memory it makes the node hold, roughly.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + self.pending.as_ref().map_or(0, |pending| pending.memory_bytes())
            + self.outbox.memory_bytes()
            + self.returned.capacity()
            + self.transaction.as_ref().map_or(0, |transaction| transaction.bytes)
    }
}

/// In the words of `CLIENT LIST`.
fn label_of(id: u64, info: &ConnInfo, name: &[u8]) -> Arc<str> {
    format!("id={id} addr={} name={}", info.peer, escape(name)).into()
}
