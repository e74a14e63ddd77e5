//! `CONFIG GET`, `SET`, `RESETSTAT`, `REWRITE`.

use tandem_resp::{Args, glob_matches};

use super::{Visit, help};
use crate::config_table::{Parameter, TABLE};

pub(super) const SUBCOMMANDS: &[&str] =
    &["config|get", "config|help", "config|resetstat", "config|rewrite", "config|set"];

pub(super) fn config(visit: &mut Visit<'_>, args: &Args<'_>) {
    match (&*args.get(1).to_ascii_lowercase(), args.len()) {
        (b"get", 3..) => get(visit, args),
        (b"set", words) if words >= 4 && words % 2 == 0 => set(visit, args),
        (b"resetstat", 2) => reset_stat(visit),
        (b"rewrite", 2) => visit.reply().error(
            "ERR The configuration file belongs to the operator: change it there, it is the same on \
             both nodes",
        ),
        (b"help", 2) => help::write(visit, "CONFIG", HELP),
        (b"get" | b"set" | b"resetstat" | b"rewrite" | b"help", _) => {
            let name = String::from_utf8_lossy(args.get(1)).to_ascii_lowercase();
            visit.wrong_arity(&format!("config|{name}"));
        }
        _ => visit.unknown_subcommand(args),
    }
}

fn get(visit: &mut Visit<'_>, args: &Args<'_>) {
    let patterns = args.tail(2);
    let found: Vec<(&str, String)> = TABLE
        .iter()
        .filter(|row| patterns.iter().any(|glob| glob_matches(glob, row.name.as_bytes(), true)))
        .map(|row| (row.name, row.shown(visit.core, visit.clients)))
        .collect();
    let mut reply = visit.reply();
    reply.map(found.len());
    for (name, value) in found {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
}

/// All or nothing: what was set before a failure is set back.
fn set(visit: &mut Visit<'_>, args: &Args<'_>) {
    let mut rows: Vec<(&'static Parameter, &[u8])> = Vec::new();
    for at in (2..args.len()).step_by(2) {
        let name = args.get(at);
        let found = TABLE.iter().find(|row| name.eq_ignore_ascii_case(row.name.as_bytes()));
        let Some(row) = found else {
            let mut text = b"ERR Unknown option or number of arguments for CONFIG SET - '".to_vec();
            text.extend_from_slice(name.get(..128).unwrap_or(name));
            text.push(b'\'');
            return visit.reply().error_bytes(&text);
        };
        if rows.iter().any(|(other, _)| std::ptr::eq(*other, row)) {
            return fail(visit, row.name, "duplicate parameter");
        }
        rows.push((row, args.get(at + 1)));
    }
    let mut undo: Vec<(&'static Parameter, String)> = Vec::new();
    for (row, value) in rows {
        let before = row.shown(visit.core, visit.clients);
        if let Err(why) = row.set(visit.core, visit.clients, value) {
            for (row, before) in undo.into_iter().rev() {
                // It was valid a moment ago.
                row.set(visit.core, visit.clients, before.as_bytes()).unwrap_or_default();
            }
            return fail(visit, row.name, why);
        }
        undo.push((row, before));
    }
    visit.reply().ok();
}

fn fail(visit: &mut Visit<'_>, name: &str, why: &str) {
    visit.reply().error_fmt(format_args!(
        "ERR CONFIG SET failed (possibly related to argument '{name}') - {why}"
    ));
}

fn reset_stat(visit: &mut Visit<'_>) {
    visit.clients.stats = crate::ClientStats::default();
    visit.clients.command_stats.reset();
    visit.clients.errors.clear();
    visit.core.store.reset_stats();
    visit.reply().ok();
}

const HELP: &[&str] = &[
    "GET <pattern>",
    "    Return parameters matching the glob-like <pattern> and their values.",
    "SET <directive> <value>",
    "    Set the configuration <directive> to <value>.",
    "RESETSTAT",
    "    Reset statistics reported by the INFO command.",
    "REWRITE",
    "    Not offered: the configuration file is the same on both nodes.",
];
