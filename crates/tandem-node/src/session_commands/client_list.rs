//! `CLIENT LIST` and the line of one client.

use std::fmt::Write;

use tandem_resp::{Args, parse_u64};

use super::{Visit, is};
use crate::Core;
use crate::session::{Session, What};

pub(super) fn list(visit: &mut Visit<'_>, args: &Args<'_>) {
    let mut ids: Option<Vec<u64>> = None;
    let mut class = None;
    match args.opt(2) {
        None => {}
        Some(word) if is(word, "type") && args.len() == 4 => match Class::by_name(args.get(3)) {
            Some(found) => class = Some(found),
            None => return visit.reply().error(&unknown_type(args.get(3))),
        },
        Some(word) if is(word, "id") && args.len() > 3 => {
            let wanted: Option<Vec<u64>> = args.iter().skip(3).map(parse_u64).collect();
            let Some(wanted) = wanted else {
                return visit.reply().error("ERR Invalid client ID");
            };
            ids = Some(wanted);
        }
        Some(_) => return visit.syntax_error(),
    }
    let mut sessions: Vec<&Session> = visit.clients.sessions.iter().collect();
    sessions.push(visit.session);
    sessions.sort_unstable_by_key(|session| session.id);
    let mut text = String::new();
    for session in sessions {
        let wanted = ids.as_ref().is_none_or(|ids| ids.contains(&session.id))
            && class.is_none_or(|class| class == Class::of(session))
            && !session.closing;
        if wanted {
            text.push_str(&line(visit.core, session));
            text.push('\n');
        }
    }
    visit.reply().verbatim(*b"txt", text.as_bytes());
}

/// The error for a kind of client that there is not.
pub(super) fn unknown_type(word: &[u8]) -> String {
    let word = String::from_utf8_lossy(word.get(..128).unwrap_or(word));
    format!("ERR Unknown client type '{word}'")
}

/// Redis' kinds of clients.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Class {
    Normal,
    PubSub,
    /// Links to the peer are no clients here.
    Replication,
}

impl Class {
    pub(super) fn by_name(word: &[u8]) -> Option<Self> {
        match &*word.to_ascii_lowercase() {
            b"normal" => Some(Self::Normal),
            b"pubsub" => Some(Self::PubSub),
            // Redis' words.
            b"master" | b"slave" | b"replica" => Some(Self::Replication),
            _ => None,
        }
    }

    pub(super) fn of(session: &Session) -> Self {
        if session.is_subscriber() { Self::PubSub } else { Self::Normal }
    }
}

/// The line of one client, without its end.
pub(super) fn line(core: &Core, session: &Session) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let now = core.now.mono;
    let subscriptions = &session.subscriptions;
    let queued = session.transaction.as_ref().map(|transaction| transaction.queue.len());
    let query = session.pending.as_ref().map_or(0, |pending| pending.bytes.len());
    let query_free = session
        .pending
        .as_ref()
        .map_or(0, |pending| pending.bytes.capacity() - pending.bytes.len());
    let transaction_bytes = session.transaction.as_ref().map_or(0, |queue| queue.bytes);
    let unsent = session.outbox.unsent_bytes();
    let mut line = String::with_capacity(320);
    // Writing to a String cannot fail.
    write!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub={} psub={} ssub=0 \
         multi={} qbuf={query} qbuf-free={query_free} argv-mem=0 multi-mem={transaction_bytes} \
         rbs={unsent} rbp={unsent} obl={unsent} oll=0 omem={unsent} tot-mem={} events=r cmd={} \
         user=default redir=-1 resp={} lib-name={} lib-ver={}",
        session.id,
        session.info.peer,
        session.info.local,
        session.conn.index(),
        text(&session.identity.name),
        now.since(session.connected_at).as_secs(),
        now.since(session.active_at).as_secs(),
        flags(session),
        session.db.get(),
        subscriptions.channels.len(),
        subscriptions.patterns.len(),
        queued.map_or_else(|| "-1".to_owned(), |count| count.to_string()),
        session.memory_bytes(),
        session.last_command,
        session.proto.number(),
        text(&session.identity.lib_name),
        text(&session.identity.lib_version),
    )
    .unwrap_or_default();
    line
}

/// Redis' letters.
fn flags(session: &Session) -> String {
    let waits = session.waiting.as_deref().is_some_and(|waiting| {
        matches!(
            waiting.what,
            What::Keys { .. } | What::Copies { .. } | What::Position(_) | What::Vector(_)
        )
    });
    let letters = [
        ('O', session.monitor),
        ('P', session.is_subscriber()),
        ('x', session.transaction.is_some()),
        ('b', waits),
        ('d', session.watch_broken),
        ('c', session.closing),
        ('e', session.no_evict),
        ('T', session.no_touch),
    ];
    let shown: String =
        letters.into_iter().filter(|(_, set)| *set).map(|(letter, _)| letter).collect();
    if shown.is_empty() { "N".to_owned() } else { shown }
}
