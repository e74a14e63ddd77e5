//! `PING`, `ECHO`, `SELECT`, `QUIT`, `RESET`, `READONLY`.

use tandem_resp::{Args, Proto, parse_i64};
use tandem_types::DbIndex;

use super::Visit;
use crate::session::ReplyMode;

pub(super) fn ping(visit: &mut Visit<'_>, args: &Args<'_>) {
    if args.len() > 2 {
        return visit.wrong_arity("ping");
    }
    let message = args.opt(1);
    if visit.session.is_subscriber() && visit.session.proto == Proto::Resp2 {
        let mut reply = visit.reply();
        reply.array(2);
        reply.bulk(b"pong");
        return reply.bulk(message.unwrap_or_default());
    }
    match message {
        Some(message) => visit.reply().bulk(message),
        None => visit.reply().simple("PONG"),
    }
}

pub(super) fn echo(visit: &mut Visit<'_>, args: &Args<'_>) {
    visit.reply().bulk(args.get(1));
}

pub(super) fn select(visit: &mut Visit<'_>, args: &Args<'_>) {
    let Some(number) = parse_i64(args.get(1)) else { return visit.not_an_integer() };
    match u8::try_from(number).ok().and_then(DbIndex::new) {
        Some(db) => {
            visit.session.db = db;
            visit.reply().ok();
        }
        None => visit.reply().error("ERR DB index is out of range"),
    }
}

pub(super) fn quit(visit: &mut Visit<'_>, _args: &Args<'_>) {
    visit.reply().ok();
    visit.clients.close(visit.core, visit.session);
}

/// Back to how the connection began.
pub(super) fn reset(visit: &mut Visit<'_>, _args: &Args<'_>) {
    let Visit { core, clients, session, .. } = visit;
    session.transaction = None;
    clients.unwatch_all(core, session);
    clients.unsubscribe_all(session);
    clients.monitors.remove(&session.conn);
    session.monitor = false;
    session.db = DbIndex::ZERO;
    session.proto = Proto::Resp2;
    session.reply_mode = ReplyMode::On;
    session.no_evict = false;
    session.no_touch = false;
    session.identity.name.clear();
    session.authenticated = core.settings.password.is_none();
    session.reply().simple("RESET");
}

/// `READONLY` and `READWRITE` mean something in a cluster only; libraries that send them anyway are
/// told that all is well.
pub(super) fn readonly(visit: &mut Visit<'_>, _args: &Args<'_>) {
    visit.reply().ok();
}
