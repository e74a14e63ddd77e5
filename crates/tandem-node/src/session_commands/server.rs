//! `TIME`, `MONITOR`, and honest answers to commands about files this server does not have.

use tandem_resp::Args;

use super::info::REDIS_VERSION;
use super::{Visit, is};
use crate::saves::NoSave;
use crate::session::{Waiting, What};

pub(super) fn time(visit: &mut Visit<'_>, _args: &Args<'_>) {
    let wall = visit.core.now.wall.get();
    let mut reply = visit.reply();
    reply.array(2);
    reply.bulk((wall / 1000).to_string().as_bytes());
    reply.bulk((wall % 1000 * 1000).to_string().as_bytes());
}

pub(super) fn monitor(visit: &mut Visit<'_>, _args: &Args<'_>) {
    if visit.in_exec {
        return visit.reply().error("ERR MONITOR isn't allowed for DENY BLOCKING client");
    }
    visit.session.monitor = true;
    visit.clients.monitors.insert(visit.session.conn);
    visit.reply().ok();
}

/// Takes a snapshot and answers when it counts. Acknowledged writes are as safe without: they are in the log.
pub(super) fn save(visit: &mut Visit<'_>, _args: &Args<'_>) {
    match visit.core.saves.ask_and_wait(visit.session.conn) {
        Ok(()) => {
            visit.session.waiting = Some(Box::new(Waiting { what: What::Answer, until: None }));
        }
        Err(no) => visit.reply().error(refused(no)),
    }
}

/// Lets a snapshot begin.
pub(super) fn bgsave(visit: &mut Visit<'_>, args: &Args<'_>) {
    let later = match args.opt(1) {
        Some(word) if !is(word, "schedule") || args.len() > 2 => return visit.syntax_error(),
        word => word.is_some(),
    };
    let running = visit.core.saves.is_running() || visit.core.saves.hindered;
    match visit.core.saves.ask(later) {
        Ok(()) if running => visit.reply().simple("Background saving scheduled"),
        Ok(()) => visit.reply().simple("Background saving started"),
        Err(no) => visit.reply().error(refused(no)),
    }
}

/// The log before a snapshot can go: what the rewriting of a log is for.
pub(super) fn bgrewriteaof(visit: &mut Visit<'_>, _args: &Args<'_>) {
    match visit.core.saves.ask(false) {
        Ok(()) => visit.reply().simple("Background append only file rewriting started"),
        Err(no) => visit.reply().error(refused(no)),
    }
}

const fn refused(no: NoSave) -> &'static str {
    match no {
        NoSave::Running => "ERR Background save already in progress",
        NoSave::Copying => {
            "ERR a full copy from the peer is coming in, there is nothing to save yet: wait, or use BGSAVE SCHEDULE"
        }
    }
}

/// When the last snapshot was finished; before the first, when this process began.
pub(super) fn lastsave(visit: &mut Visit<'_>, _args: &Args<'_>) {
    let seconds = visit.core.saves.last().get() / 1000;
    visit.reply().int(i64::try_from(seconds).unwrap_or(i64::MAX));
}

pub(super) fn cluster(visit: &mut Visit<'_>, _args: &Args<'_>) {
    visit.reply().error("ERR This instance has cluster support disabled");
}

pub(super) fn module(visit: &mut Visit<'_>, args: &Args<'_>) {
    match &*args.get(1).to_ascii_lowercase() {
        b"list" => visit.reply().array(0),
        b"help" => {
            super::help::write(visit, "MODULE", &["LIST", "    Return a list of loaded modules."]);
        }
        _ => visit.reply().error("ERR modules are not supported"),
    }
}

pub(super) fn shutdown(visit: &mut Visit<'_>, _args: &Args<'_>) {
    visit
        .reply()
        .error("ERR SHUTDOWN is not allowed to clients: stop the service, which hands over first");
}

pub(super) fn lolwut(visit: &mut Visit<'_>, _args: &Args<'_>) {
    let version = visit.clients.facts.version.clone();
    let art = format!(
        "    __o   __o\n  _ \\<,_\\<,_\n (_)/-----(_)    two ride, one steers\n\nTandem {version}, Redis ver. {REDIS_VERSION}\n"
    );
    visit.reply().verbatim(*b"txt", art.as_bytes());
}
