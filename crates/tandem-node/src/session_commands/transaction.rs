//! `MULTI`, `EXEC`, `DISCARD`, `WATCH`, `UNWATCH`.

use tandem_resp::Args;

use super::Visit;
use crate::clients::{OUT_OF_MEMORY, output_limit, refusal_text};
use crate::runnable::Runnable;
use crate::session::{Queued, Transaction, Watched};
use crate::{Caller, Port, Refusal};

pub(super) fn multi(visit: &mut Visit<'_>, _args: &Args<'_>) {
    if visit.session.transaction.is_some() {
        return visit.reply().error("ERR MULTI calls can not be nested");
    }
    visit.session.transaction = Some(Box::new(Transaction::default()));
    visit.reply().ok();
}

pub(super) fn discard(visit: &mut Visit<'_>, _args: &Args<'_>) {
    if visit.session.transaction.take().is_none() {
        return visit.reply().error("ERR DISCARD without MULTI");
    }
    visit.clients.unwatch_all(visit.core, visit.session);
    visit.reply().ok();
}

pub(super) fn watch(visit: &mut Visit<'_>, args: &Args<'_>) {
    if visit.session.transaction.is_some() {
        return visit.reply().error("ERR WATCH inside MULTI is not allowed");
    }
    let Visit { core, clients, session, .. } = visit;
    let db = session.db;
    for key in args.iter().skip(1) {
        let conns = clients.watchers[db.index()].entry(key.into()).or_default();
        if !conns.insert(session.conn) {
            continue; // watched already
        }
        let was_expired = core.store.is_expired(db, key, core.now.wall);
        core.store.interest_add(db, key);
        session.watched.push(Watched { db, key: key.into(), was_expired });
        // What was seen before `EXEC` must not be taken back: its outcome waits for it too.
        let end = core.store.last_write_end_of(db, key);
        session.outbox.depend_on(end, core.executed_at());
    }
    session.reply().ok();
}

pub(super) fn unwatch(visit: &mut Visit<'_>, _args: &Args<'_>) {
    visit.clients.unwatch_all(visit.core, visit.session);
    visit.reply().ok();
}

pub(super) fn exec(visit: &mut Visit<'_>, _args: &Args<'_>) {
    let Some(transaction) = visit.session.transaction.take() else {
        return visit.reply().error("ERR EXEC without MULTI");
    };
    let broken = visit.session.watch_broken || has_expired(visit);
    let watched = visit.session.watched.iter().map(|watched| (watched.db, &*watched.key));
    let unsafe_watch = visit.core.store.refuses_watch(watched);
    // Whatever the outcome, it tells whether those keys were touched.
    for watched in &visit.session.watched {
        let end = visit.core.store.last_write_end_of(watched.db, &watched.key);
        visit.session.outbox.depend_on(end, visit.core.executed_at());
    }
    visit.clients.unwatch_all(visit.core, visit.session);
    if transaction.aborted {
        let text = "EXECABORT Transaction discarded because of previous errors.";
        return visit.reply().error(text);
    }
    if broken {
        return visit.reply().null_array();
    }
    // A write on the other node would not have touched those keys.
    if let Some(text) = unsafe_watch.filter(|_| transaction.writes) {
        return visit.reply().error(&text);
    }
    if let Some(refusal) = refusal(visit, &transaction) {
        let text = refusal_text(visit.core, refusal);
        return visit
            .reply()
            .error_fmt(format_args!("EXECABORT Transaction discarded because of: {text}"));
    }
    if is_out_of_memory(visit, &transaction) {
        return visit.reply().error_fmt(format_args!(
            "EXECABORT Transaction discarded because of: {OUT_OF_MEMORY}"
        ));
    }
    visit.reply().array(transaction.queue.len());
    visit.core.begin_group();
    visit.clients.script_time_left = Some(visit.core.settings.limits.script_time);
    for queued in &transaction.queue {
        run(visit, queued);
    }
    // Everything the transaction wrote is one record, so a switch keeps all of it or nothing.
    if let Some(end) = visit.core.end_group() {
        visit.session.outbox.depend_on(end, visit.core.executed_at());
        visit.session.has_written(visit.core, end);
    }
}

/// Memory ran out since a command that needs some was queued.
fn is_out_of_memory(visit: &Visit<'_>, transaction: &Transaction) -> bool {
    transaction.queue.iter().any(|queued| match queued.runnable {
        Runnable::Data(command) => visit.core.store.is_out_of_memory(command),
        Runnable::Session(_) => false,
    })
}

/// A watched key's time has come since: nobody removes it before a write, but it is gone.
fn has_expired(visit: &Visit<'_>) -> bool {
    visit.session.watched.iter().any(|watched| {
        !watched.was_expired
            && visit.core.store.is_expired(watched.db, &watched.key, visit.core.now.wall)
    })
}

/// Why the role, which may have changed since the commands were queued, forbids them.
fn refusal(visit: &Visit<'_>, transaction: &Transaction) -> Option<Refusal> {
    let view = &visit.core.view;
    match visit.session.info.port {
        Port::Client if transaction.writes => view.writes,
        Port::Client if transaction.touches_data => view.reads,
        Port::Read if transaction.writes => Some(Refusal::ReadOnly),
        Port::Read if transaction.touches_data => view.read_port_reads,
        Port::Client | Port::Read => None,
    }
}

fn run(visit: &mut Visit<'_>, queued: &Queued) {
    let args = queued.words.args();
    visit.clients.stats.commands += 1;
    visit.clients.command_stats.of(queued.runnable.name()).calls += 1;
    let start = visit.session.outbox.end();
    match queued.runnable {
        Runnable::Data(command) => {
            let session = &mut *visit.session;
            let caller =
                Caller { db: session.db, proto: session.proto, deny_blocking: true, woken: false };
            let executed = visit.core.execute(command, &args, caller, session.outbox.bytes_mut());
            session.outbox.depend_on(executed.wait, visit.core.executed_at());
        }
        Runnable::Session(command) => {
            visit.in_exec = true;
            (command.run)(visit, &args);
            visit.in_exec = false;
        }
    }
    if visit.session.outbox.end() == start {
        // Every queued command has one reply, also one that says nothing outside (`CLIENT REPLY OFF`).
        visit.reply().ok();
    }
    visit.clients.count_error(visit.session, start);
    if visit.session.outbox.unsent_bytes() > output_limit(visit.core, visit.session) {
        // The transaction runs to its end, its replies are given up, and so is the connection.
        visit.session.outbox.truncate(start);
        visit.session.overflowed = true;
    }
}
