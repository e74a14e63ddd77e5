//! `SLOWLOG`.

use tandem_resp::{Args, parse_i64};

use super::{Visit, help};

pub(super) const SUBCOMMANDS: &[&str] =
    &["slowlog|get", "slowlog|help", "slowlog|len", "slowlog|reset"];

pub(super) fn slowlog(visit: &mut Visit<'_>, args: &Args<'_>) {
    match (&*args.get(1).to_ascii_lowercase(), args.len()) {
        (b"get", 2 | 3) => get(visit, args),
        (b"len", 2) => {
            let count = visit.clients.slow_log.len();
            visit.reply().count(count);
        }
        (b"reset", 2) => {
            visit.clients.slow_log.reset();
            visit.reply().ok();
        }
        (b"help", 2) => help::write(visit, "SLOWLOG", HELP),
        (b"get" | b"len" | b"reset" | b"help", _) => {
            let name = String::from_utf8_lossy(args.get(1)).to_ascii_lowercase();
            visit.wrong_arity(&format!("slowlog|{name}"));
        }
        _ => visit.unknown_subcommand(args),
    }
}

fn get(visit: &mut Visit<'_>, args: &Args<'_>) {
    let wanted = match args.opt(2).map(parse_i64) {
        None => 10,
        Some(Some(-1)) => usize::MAX,
        Some(Some(count)) if count >= 0 => usize::try_from(count).unwrap_or(usize::MAX),
        Some(_) => {
            let text = "ERR count should be greater than or equal to -1";
            return visit.reply().error(text);
        }
    };
    let entries: Vec<_> = visit.clients.slow_log.newest().take(wanted).cloned().collect();
    let mut reply = visit.reply();
    reply.array(entries.len());
    for entry in entries {
        reply.array(6);
        reply.int(entry.id);
        reply.int(i64::try_from(entry.at.get() / 1000).unwrap_or(i64::MAX));
        reply.int(entry.micros);
        reply.array(entry.words.len());
        for word in &entry.words {
            reply.bulk(word);
        }
        reply.bulk(entry.address.as_bytes());
        reply.bulk(&entry.name);
    }
}

const HELP: &[&str] = &[
    "GET [<count>]",
    "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
    "    Entries are made of:",
    "    id, timestamp, time in microseconds, arguments array, client IP and port,",
    "    client name",
    "LEN",
    "    Return the length of the slowlog.",
    "RESET",
    "    Reset the slowlog.",
];
