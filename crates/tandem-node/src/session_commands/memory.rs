//! `MEMORY`, except `MEMORY USAGE`, which is the store's.

use tandem_resp::{Args, OwnedArgs};

use super::{Visit, help};
use crate::Caller;
use crate::clients::to_u64;
use crate::session::Session;

pub(super) const SUBCOMMANDS: &[&str] = &[
    "memory|doctor",
    "memory|help",
    "memory|malloc-stats",
    "memory|purge",
    "memory|stats",
    "memory|usage",
];

pub(super) fn memory(visit: &mut Visit<'_>, args: &Args<'_>) {
    match (&*args.get(1).to_ascii_lowercase(), args.len()) {
        (b"doctor", 2) => {
            let text = "Sam, I can't find any memory issue in your instance.\n";
            visit.reply().verbatim(*b"txt", text.as_bytes());
        }
        (b"stats", 2) => stats(visit),
        (b"malloc-stats", 2) => {
            visit.reply().verbatim(*b"txt", b"Stats not supported for the current allocator");
        }
        (b"purge", 2) => visit.reply().ok(),
        (b"usage", 3..) => usage(visit, args),
        (b"help", 2) => help::write(visit, "MEMORY", HELP),
        _ => visit.unknown_subcommand(args),
    }
}

/// The store's own command, if it has one.
fn usage(visit: &mut Visit<'_>, args: &Args<'_>) {
    let found = tandem_store::command(b"memory");
    let Some(command) = found.filter(|row| matches!(row.handler, tandem_store::Handler::Data(_)))
    else {
        return visit.unknown_subcommand(args);
    };
    let words = OwnedArgs::copy_of(args);
    let session = &mut *visit.session;
    let caller = Caller { db: session.db, proto: session.proto, deny_blocking: true };
    let executed = visit.core.execute(command, &words.args(), caller, session.outbox.bytes_mut());
    session.outbox.depend_on(executed.wait);
}

fn stats(visit: &mut Visit<'_>) {
    let used = to_u64(visit.core.store.used_memory());
    let clients: usize = visit.clients.sessions.iter().map(Session::memory_bytes).sum();
    let keys: usize = tandem_types::DbIndex::all().map(|db| visit.core.store.dbsize(db)).sum();
    let rows = [
        ("peak.allocated", visit.clients.facts.rss_peak_bytes),
        ("total.allocated", visit.clients.facts.rss_bytes),
        ("clients.normal", to_u64(clients)),
        ("keys.count", to_u64(keys)),
        ("dataset.bytes", used),
    ];
    let mut reply = visit.reply();
    reply.map(rows.len());
    for (name, value) in rows {
        reply.bulk(name.as_bytes());
        reply.int(i64::try_from(value).unwrap_or(i64::MAX));
    }
}

const HELP: &[&str] = &[
    "DOCTOR",
    "    Return memory problems reports.",
    "MALLOC-STATS",
    "    Return internal statistics report from the memory allocator.",
    "PURGE",
    "    Attempt to purge dirty pages for reclamation by the allocator.",
    "STATS",
    "    Return information about the memory usage of the server.",
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes used by <key> and its value.",
];
