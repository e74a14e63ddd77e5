//! `COMMAND`: what the table says of itself.

use tandem_resp::{Args, Reply, glob_matches};

use crate::call::Ctx;
use crate::command::{Categories, Command, Flags, Group, Handler, KeySpec};
use crate::commands::{command, commands};
use crate::failure::Failure;

const ANY_TIME: Flags = Flags::LOADING.and(Flags::STALE);

pub(crate) const ROWS: &[Command] = &[Command {
    name: "command",
    arity: -1,
    flags: ANY_TIME,
    categories: Categories::CONNECTION,
    since: "2.8.13",
    complexity: "O(N) where N is the total number of commands.",
    summary: "Returns detailed information about all commands.",
    subcommands: SUBCOMMANDS,
    handler: Handler::data(command_command),
    ..Command::of(Group::Server)
}];

const fn sub(name: &'static str, arity: i32, summary: &'static str) -> Command {
    Command {
        name,
        arity,
        summary,
        flags: ANY_TIME,
        categories: Categories::CONNECTION,
        since: "2.8.13",
        complexity: "O(N) where N is the number of commands to look up.",
        ..Command::of(Group::Server)
    }
}

const SUBCOMMANDS: &[Command] = &[
    sub("command|count", 2, "Returns a count of commands."),
    sub("command|docs", -2, "Returns documentary information about one, multiple or all commands."),
    sub("command|getkeys", -3, "Extracts the key names from an arbitrary command."),
    sub("command|help", 2, "Returns helpful text about the different subcommands."),
    sub("command|info", -2, "Returns information about one, multiple or all commands."),
    sub("command|list", -2, "Returns a list of command names."),
];

const HELP: &[&str] = &[
    "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "(no subcommand)",
    "    Return details about all commands.",
    "COUNT",
    "    Return the total number of commands in this server.",
    "LIST",
    "    Return a list of all commands in this server.",
    "INFO [<command-name> ...]",
    "    Return details about multiple commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "DOCS [<command-name> ...]",
    "    Return documentation details about multiple commands.",
    "    If no command names are given, documentation details for all",
    "    commands are returned.",
    "GETKEYS <full-command>",
    "    Return the keys from a full command.",
    "HELP",
    "    Prints this help.",
];

fn command_command(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    if ctx.argc() == 1 {
        info_all(&mut ctx.reply);
        return Ok(());
    }
    let Some(row) = ctx.command.subcommand(&ctx.args) else {
        return Err(unknown_subcommand(ctx, "COMMAND"));
    };
    row.check_arity(ctx.argc())?;
    match row.name {
        "command|count" => ctx.reply.count(commands().count()),
        "command|docs" => docs(ctx),
        "command|getkeys" => return getkeys(ctx),
        "command|info" if ctx.argc() == 2 => info_all(&mut ctx.reply),
        "command|info" => info_some(ctx),
        "command|list" => return list(ctx),
        _ => help(&mut ctx.reply, HELP),
    }
    Ok(())
}

/// The error for a subcommand that a container does not have.
pub(crate) fn unknown_subcommand(ctx: &Ctx<'_>, container: &str) -> Failure {
    let word = String::from_utf8_lossy(ctx.arg(1)).into_owned();
    Failure::Owned(format!("ERR unknown subcommand '{word}'. Try {container} HELP."))
}

/// Help text, one line a simple string.
pub(crate) fn help(reply: &mut Reply<'_>, lines: &[&str]) {
    reply.array(lines.len());
    for line in lines {
        reply.simple(line);
    }
}

fn info_all(reply: &mut Reply<'_>) {
    reply.array(commands().count());
    for row in commands() {
        info(reply, row);
    }
}

fn info_some(ctx: &mut Ctx<'_>) {
    ctx.reply.array(ctx.argc() - 2);
    for at in 2..ctx.argc() {
        match find(ctx.arg(at)) {
            Some(row) => info(&mut ctx.reply, row),
            None => ctx.reply.null_array(),
        }
    }
}

/// A command, or a subcommand written as `config|get`.
fn find(name: &[u8]) -> Option<&'static Command> {
    let at = name.iter().position(|byte| *byte == b'|');
    let row = command(&name[..at.unwrap_or(name.len())])?;
    match at {
        None => Some(row),
        Some(_) => {
            row.subcommands.iter().find(|sub| name.eq_ignore_ascii_case(sub.name.as_bytes()))
        }
    }
}

fn info(reply: &mut Reply<'_>, row: &Command) {
    let range = row.keys.shown();
    reply.array(10);
    reply.bulk(row.name.as_bytes());
    reply.int(row.arity.into());
    let mut flags: Vec<_> = row.flags.names().collect();
    if matches!(row.keys, KeySpec::Movable { .. }) && !row.flags.has(Flags::MOVABLEKEYS) {
        flags.push("movablekeys");
    }
    reply.set(flags.len());
    for flag in flags {
        reply.simple(flag);
    }
    for number in [range.first, range.last, range.step] {
        reply.int(number.into());
    }
    let categories: Vec<_> = row.all_categories().names().collect();
    reply.set(categories.len());
    for category in categories {
        reply.simple(&format!("@{category}"));
    }
    reply.array(0); // tips
    key_specs(reply, row);
    reply.array(row.subcommands.len());
    for sub in row.subcommands {
        info(reply, sub);
    }
}

/// The key specification of keys at regular places; movable ones have none here, as `GETKEYS` is exact.
fn key_specs(reply: &mut Reply<'_>, row: &Command) {
    let KeySpec::Range(range) = row.keys else {
        reply.array(0);
        return;
    };
    reply.array(1);
    reply.map(3);
    reply.bulk(b"flags");
    let access = if row.is_write() { "RW" } else { "RO" };
    reply.set(1);
    reply.simple(access);
    reply.bulk(b"begin_search");
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(b"index");
    reply.bulk(b"spec");
    reply.map(1);
    reply.bulk(b"index");
    reply.int(range.first.into());
    reply.bulk(b"find_keys");
    reply.map(2);
    reply.bulk(b"type");
    reply.bulk(b"range");
    reply.bulk(b"spec");
    reply.map(3);
    reply.bulk(b"lastkey");
    // Counted from the first key, unless it counts from the end.
    reply.int(if range.last < 0 { range.last } else { range.last - range.first }.into());
    reply.bulk(b"keystep");
    reply.int(range.step.into());
    reply.bulk(b"limit");
    reply.int(0);
}

fn docs(ctx: &mut Ctx<'_>) {
    let rows: Vec<_> = if ctx.argc() == 2 {
        commands().collect()
    } else {
        (2..ctx.argc()).filter_map(|at| find(ctx.arg(at))).collect()
    };
    ctx.reply.map(rows.len());
    for row in rows {
        doc(&mut ctx.reply, row);
    }
}

fn doc(reply: &mut Reply<'_>, row: &Command) {
    reply.bulk(row.name.as_bytes());
    reply.map(4 + usize::from(!row.subcommands.is_empty()));
    for (name, text) in [
        ("summary", row.summary),
        ("since", row.since),
        ("group", row.group.name()),
        ("complexity", row.complexity),
    ] {
        reply.bulk(name.as_bytes());
        reply.bulk(text.as_bytes());
    }
    if !row.subcommands.is_empty() {
        reply.bulk(b"subcommands");
        reply.map(row.subcommands.len());
        for sub in row.subcommands {
            doc(reply, sub);
        }
    }
}

fn getkeys(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let args: Args<'_> = ctx.args.tail(2);
    let row = command(args.name()).ok_or(Failure::Text("ERR Invalid command specified"))?;
    if matches!(row.keys, KeySpec::None) {
        return Err(Failure::Text("ERR The command has no key arguments"));
    }
    if !row.takes(args.len()) {
        return Err(Failure::Text("ERR Invalid number of arguments specified for command"));
    }
    let mut positions = Vec::new();
    row.key_positions(&args, &mut positions)?;
    ctx.reply.array(positions.len());
    for at in positions {
        ctx.reply.bulk(args.get(at));
    }
    Ok(())
}

fn list(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let mark = ctx.reply.mark();
    let mut count = 0;
    let mut show = |reply: &mut Reply<'_>, row: &Command| {
        reply.bulk(row.name.as_bytes());
        count += 1;
    };
    match ctx.argc() {
        2 => commands().for_each(|row| show(&mut ctx.reply, row)),
        5 if ctx.is(2, "filterby") && ctx.is(3, "pattern") => {
            let pattern = ctx.arg(4);
            let matching =
                commands().filter(|row| glob_matches(pattern, row.name.as_bytes(), true));
            matching.for_each(|row| show(&mut ctx.reply, row));
        }
        5 if ctx.is(2, "filterby") && ctx.is(3, "aclcat") => {
            if let Some(category) = Categories::by_name(ctx.arg(4)) {
                let matching = commands().filter(|row| row.all_categories().has(category));
                matching.for_each(|row| show(&mut ctx.reply, row));
            }
        }
        // There are no modules.
        5 if ctx.is(2, "filterby") && ctx.is(3, "module") => {}
        _ => return Err(Failure::Syntax),
    }
    ctx.reply.insert_array(mark, count);
    Ok(())
}
