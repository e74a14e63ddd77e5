//! Consumer groups: `XGROUP`, `XACK`.

use tandem_resp::Args;

use super::{STREAM, ids, ids_from, open};
use crate::call::Ctx;
use crate::command::{Command, Flags, Handler, KeySpec};
use crate::commands::table::{help, unknown_subcommand};
use crate::edit::stream::Reading;
use crate::failure::Failure;
use crate::value::stream::Stream;
use crate::value::stream::group::Group;
use crate::value::stream::id::StreamId;

/// What the rows of `XGROUP` share.
const XGROUP: Command = Command { keys: KeySpec::range(2, 2, 1), flags: Flags::WRITE, ..STREAM };
const MAKES: Flags = Flags::WRITE.and(Flags::DENYOOM);

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "xgroup",
        arity: -2,
        keys: KeySpec::range(2, 2, 1),
        complexity: "Depends on subcommand.",
        summary: "A container for consumer groups commands.",
        subcommands: &[
            Command {
                name: "xgroup|create",
                arity: -5,
                flags: MAKES,
                summary: "Creates a consumer group.",
                handler: Handler::data(create),
                ..XGROUP
            },
            Command {
                name: "xgroup|createconsumer",
                arity: 5,
                flags: MAKES,
                since: "6.2.0",
                summary: "Creates a consumer in a consumer group.",
                handler: Handler::data(create_consumer),
                ..XGROUP
            },
            Command {
                name: "xgroup|delconsumer",
                arity: 5,
                summary: "Deletes a consumer from a consumer group.",
                handler: Handler::data(delete_consumer),
                ..XGROUP
            },
            Command {
                name: "xgroup|destroy",
                arity: 4,
                complexity: "O(N) where N is the number of entries in the group's pending entries list (PEL).",
                summary: "Destroys a consumer group.",
                handler: Handler::data(destroy),
                ..XGROUP
            },
            Command {
                name: "xgroup|help",
                arity: 2,
                flags: Flags::LOADING.and(Flags::STALE),
                keys: KeySpec::None,
                summary: "Returns helpful text about the different subcommands.",
                handler: Handler::data(show_help),
                ..STREAM
            },
            Command {
                name: "xgroup|setid",
                arity: -5,
                summary: "Sets the last-delivered ID of a consumer group.",
                handler: Handler::data(set_id),
                ..XGROUP
            },
        ],
        handler: Handler::data(|ctx| Err(unknown_subcommand(ctx, "XGROUP"))),
        ..STREAM
    },
    Command {
        name: "xack",
        arity: -4,
        flags: Flags::WRITE.and(Flags::FAST),
        complexity: "O(1) for each message ID processed.",
        summary: "Returns the number of messages that were successfully acknowledged by the consumer group member of a stream.",
        handler: Handler::data(xack),
        ..STREAM
    },
];

const HELP: &[&str] = &[
    "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Set the group's entries_read counter (internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and entries_read counter.",
    "HELP",
    "    Prints this help.",
];

fn show_help(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    help(&mut ctx.reply, HELP);
    Ok(())
}

/// `NOGROUP`, of a key and a group that were named in words of the command.
pub(super) fn no_group_in(args: &Args<'_>, group: usize, key: usize) -> Failure {
    let (group, key) = (shown(args.get(group)), shown(args.get(key)));
    Failure::Owned(format!("NOGROUP No such consumer group '{group}' for key name '{key}'"))
}

/// `NOGROUP`, where the key may be what is missing.
pub(super) fn no_key_or_group(key: &[u8], group: &[u8], how: &str) -> Failure {
    let (key, group) = (shown(key), shown(group));
    Failure::Owned(format!("NOGROUP No such key '{key}' or consumer group '{group}'{how}"))
}

pub(super) fn shown(word: &[u8]) -> String {
    String::from_utf8_lossy(word).into_owned()
}

const NO_KEY: Failure = Failure::Text(
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use \
     the MKSTREAM option to create an empty stream automatically.",
);

/// The stream at word 2; it must be there.
fn stream<'c>(ctx: &'c Ctx<'_>) -> Result<&'c Stream, Failure> {
    ctx.keys.stream(ctx.key(2))?.ok_or(NO_KEY)
}

/// Checks that the group of word 3 is there.
fn check_group(ctx: &Ctx<'_>) -> Result<(), Failure> {
    match stream(ctx)?.group(ctx.arg(3)) {
        Some(_) => Ok(()),
        None => Err(no_group_in(&ctx.args, 3, 2)),
    }
}

/// The options of `CREATE` and `SETID`.
struct Options {
    makes: bool,
    entries_read: Option<u64>,
}

fn options(ctx: &Ctx<'_>, may_make: bool) -> Result<Options, Failure> {
    let mut options = Options { makes: false, entries_read: None };
    let mut at = 5;
    while at < ctx.argc() {
        if may_make && ctx.is(at, "mkstream") {
            options.makes = true;
            at += 1;
        } else if ctx.is(at, "entriesread") && at + 1 < ctx.argc() {
            options.entries_read = match ctx.int(at + 1)? {
                -1 => None,
                read => Some(u64::try_from(read).map_err(|_| {
                    Failure::Text("ERR value for ENTRIESREAD must be positive or -1")
                })?),
            };
            at += 2;
        } else {
            return Err(wrong_words(ctx, "XGROUP"));
        }
    }
    Ok(options)
}

/// A subcommand that is there, with words that it does not take.
pub(super) fn wrong_words(ctx: &Ctx<'_>, container: &str) -> Failure {
    let word = shown(ctx.arg(1));
    Failure::Owned(format!(
        "ERR unknown subcommand or wrong number of arguments for '{word}'. Try {container} HELP."
    ))
}

/// Word 4 as the id from which a group reads on.
fn id_or_last(ctx: &Ctx<'_>, stream: Option<&Stream>) -> Result<StreamId, Failure> {
    match ctx.arg(4) {
        b"$" => Ok(stream.map_or(StreamId::ZERO, |stream| stream.head().last_id)),
        text => ids::exact(text, 0),
    }
}

fn create(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let Options { makes, entries_read } = options(ctx, true)?;
    let key = ctx.key(2);
    let found = ctx.keys.stream(key)?;
    if found.is_none() && !makes {
        return Err(NO_KEY);
    }
    let id = id_or_last(ctx, found)?;
    let (is_new, head) = (found.is_none(), found.map(Stream::head).unwrap_or_default());
    let mut stream = ctx.keys.edit_or_create_stream(key)?;
    if stream.group(ctx.args.get(3)).is_some() {
        return Err(Failure::Text("BUSYGROUP Consumer Group name already exists"));
    }
    if is_new {
        // Says to whoever replays it that there is a stream now.
        stream.set_head(head);
    }
    stream.set_group(ctx.args.get(3), id, entries_read);
    ctx.reply.ok();
    Ok(())
}

fn set_id(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let Options { entries_read, .. } = options(ctx, false)?;
    check_group(ctx)?;
    let id = match ctx.arg(4) {
        b"-" => StreamId::ZERO,
        b"+" => StreamId::MAX,
        _ => id_or_last(ctx, Some(stream(ctx)?))?,
    };
    let (key, args) = (ctx.key(2), ctx.args);
    if let Some(mut stream) = ctx.keys.edit_stream(key)? {
        stream.set_group(args.get(3), id, entries_read);
    }
    ctx.reply.ok();
    Ok(())
}

fn destroy(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    stream(ctx)?;
    let (key, args) = (ctx.key(2), ctx.args);
    let stream = ctx.keys.edit_stream(key)?;
    let done = stream.is_some_and(|mut stream| stream.remove_group(args.get(3)));
    ctx.reply.int(done.into());
    Ok(())
}

/// The group and the consumer of words 3 and 4.
fn reading<'c>(ctx: &Ctx<'c>) -> Reading<'c> {
    Reading { group: ctx.arg(3), consumer: ctx.arg(4) }
}

fn create_consumer(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    check_group(ctx)?;
    let (key, by, now) = (ctx.key(2), reading(ctx), ctx.keys.now());
    let mut made = false;
    if let Some(mut stream) = ctx.keys.edit_stream(key)? {
        let is_there = stream.group(by.group).is_some_and(|it| it.consumer(by.consumer).is_some());
        made = !is_there && stream.see(by, now);
    }
    ctx.reply.int(made.into());
    Ok(())
}

fn delete_consumer(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    check_group(ctx)?;
    let (key, by) = (ctx.key(2), reading(ctx));
    let mut owed = 0;
    if let Some(mut stream) = ctx.keys.edit_stream(key)? {
        let consumer = stream.group(by.group).and_then(|group| group.consumer(by.consumer));
        owed = consumer.map_or(0, |consumer| consumer.pending().len());
        stream.forget(by);
    }
    ctx.reply.count(owed);
    Ok(())
}

fn xack(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let stream = ctx.keys.stream(ctx.key(1))?;
    let group: Option<&Group> = stream.and_then(|stream| stream.group(ctx.arg(2)));
    if group.is_none() {
        ctx.reply.int(0);
        return Ok(());
    }
    let (ids, args) = (ids_from(ctx, 3)?, ctx.args);
    let mut done = 0;
    if let Some(mut stream) = open(ctx)? {
        done = stream.take_back(args.get(2), ids.into_iter());
    }
    ctx.reply.count(done);
    Ok(())
}
