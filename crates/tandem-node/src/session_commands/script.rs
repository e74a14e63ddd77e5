//! `EVAL`, `EVALSHA`, their read-only kin, `SCRIPT`.

use tandem_resp::Args;
use tandem_script::Sha;

use super::{Visit, is};
use crate::Port;
use crate::scripting::{By, Run};

pub(super) const SUBCOMMANDS: &[&str] =
    &["script|debug", "script|exists", "script|flush", "script|help", "script|kill", "script|load"];

pub(super) fn eval(visit: &mut Visit<'_>, args: &Args<'_>) {
    run(visit, args, By::Text, false);
}

pub(super) fn eval_ro(visit: &mut Visit<'_>, args: &Args<'_>) {
    run(visit, args, By::Text, true);
}

pub(super) fn evalsha(visit: &mut Visit<'_>, args: &Args<'_>) {
    run(visit, args, By::Sha, false);
}

pub(super) fn evalsha_ro(visit: &mut Visit<'_>, args: &Args<'_>) {
    run(visit, args, By::Sha, true);
}

fn run(visit: &mut Visit<'_>, args: &Args<'_>, by: By, read_only: bool) {
    let Visit { core, clients, session, in_exec } = visit;
    let port: Port = session.info.port;
    let proto = session.proto;
    let mut reply = Vec::new();
    let run = Run { by, read_only, port, proto, in_group: *in_exec };
    let wait = clients.run_script(core, session, run, args, &mut reply);
    session.reply().raw(&reply);
    session.outbox.depend_on(wait.seen, core.executed_at());
    if let Some(end) = wait.wrote {
        session.has_written(core, end);
    }
}

pub(super) fn script(visit: &mut Visit<'_>, args: &Args<'_>) {
    let word = args.get(1);
    match args.len() {
        3 if is(word, "load") => load(visit, args.get(2)),
        2.. if is(word, "exists") && args.len() > 2 => exists(visit, args),
        2 | 3 if is(word, "flush") => flush(visit, args.opt(2)),
        // None runs for longer than `limits.script_time`, and nobody is served meanwhile.
        2 if is(word, "kill") => {
            visit.reply().error("NOTBUSY No scripts in execution right now.");
        }
        3 if is(word, "debug") && is(args.get(2), "no") => visit.reply().ok(),
        3 if is(word, "debug") => {
            visit.reply().error("ERR the debugger of scripts does not exist here");
        }
        2 if is(word, "help") => super::help::write(visit, "SCRIPT", HELP),
        _ => visit.no_subcommand(args, SUBCOMMANDS),
    }
}

const HELP: &[&str] = &[
    "EXISTS <sha1> [<sha1> ...]",
    "    Return information about the existence of the scripts in the script cache.",
    "FLUSH [ASYNC|SYNC]",
    "    Flush the Lua scripts cache. Very dangerous on replicas.",
    "LOAD <script>",
    "    Load a script into the scripts cache without executing it.",
    "KILL",
    "    Kill the currently executing Lua script: there is none when this is read.",
];

fn load(visit: &mut Visit<'_>, text: &[u8]) {
    match visit.clients.scripts(visit.core).load(text) {
        Ok(sha) => visit.reply().bulk_fmt(format_args!("{sha}")),
        Err(error) => visit.reply().error(&error.to_string()),
    }
}

fn exists(visit: &mut Visit<'_>, args: &Args<'_>) {
    let scripts = visit.clients.scripts(visit.core);
    let known: Vec<bool> = args
        .tail(2)
        .iter()
        .map(|digits| Sha::parse(digits).is_some_and(|sha| scripts.knows(sha)))
        .collect();
    let mut reply = visit.reply();
    reply.array(known.len());
    for it in known {
        reply.int(i64::from(it));
    }
}

fn flush(visit: &mut Visit<'_>, how: Option<&[u8]>) {
    if how.is_some_and(|how| !is(how, "async") && !is(how, "sync")) {
        return visit.reply().error("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
    }
    visit.clients.scripts(visit.core).flush();
    visit.reply().ok();
}
