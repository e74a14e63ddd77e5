//! Looking at streams and their groups: `XINFO`.

use tandem_resp::{Args, Reply};
use tandem_types::WallMillis;

use super::groups::{no_group_in, wrong_words};
use super::{STREAM, reply_entries, reply_entry, reply_id};
use crate::call::Ctx;
use crate::command::{Command, Flags, Handler, KeySpec};
use crate::commands::table::{help, unknown_subcommand};
use crate::failure::Failure;
use crate::keys::Keys;
use crate::value::stream::Stream;
use crate::value::stream::group::Group;
use crate::value::stream::id::StreamId;

const XINFO: Command = Command { keys: KeySpec::range(2, 2, 1), flags: Flags::READONLY, ..STREAM };

pub(crate) const ROWS: &[Command] = &[Command {
    name: "xinfo",
    arity: -2,
    keys: KeySpec::range(2, 2, 1),
    complexity: "Depends on subcommand.",
    summary: "A container for stream introspection commands.",
    subcommands: &[
        Command {
            name: "xinfo|consumers",
            arity: 4,
            summary: "Returns a list of the consumers in a consumer group.",
            handler: Handler::data(consumers),
            ..XINFO
        },
        Command {
            name: "xinfo|groups",
            arity: 3,
            summary: "Returns a list of the consumer groups of a stream.",
            handler: Handler::data(groups),
            ..XINFO
        },
        Command {
            name: "xinfo|help",
            arity: 2,
            flags: Flags::LOADING.and(Flags::STALE),
            keys: KeySpec::None,
            summary: "Returns helpful text about the different subcommands.",
            handler: Handler::data(show_help),
            ..STREAM
        },
        Command {
            name: "xinfo|stream",
            arity: -3,
            summary: "Returns information about a stream.",
            handler: Handler::data(stream_info),
            ..XINFO
        },
    ],
    handler: Handler::data(|ctx| Err(unknown_subcommand(ctx, "XINFO"))),
    ..STREAM
}];

const HELP: &[&str] = &[
    "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
    "HELP",
    "    Prints this help.",
];

/// Entries that `FULL` shows if it is not told how many.
const FULL_COUNT: usize = 10;

fn show_help(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    help(&mut ctx.reply, HELP);
    Ok(())
}

/// The stream at word 2.
fn stream<'k>(keys: &'k Keys<'_>, args: &Args<'_>) -> Result<&'k Stream, Failure> {
    keys.stream(keys.key(args.get(2)))?.ok_or(Failure::NoSuchKey)
}

fn number(reply: &mut Reply<'_>, number: u64) {
    reply.int(i64::try_from(number).unwrap_or(i64::MAX));
}

fn number_or_null(reply: &mut Reply<'_>, known: Option<u64>) {
    match known {
        Some(known) => number(reply, known),
        None => reply.null(),
    }
}

fn consumers(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let stream = stream(&ctx.keys, &ctx.args)?;
    let Some(group) = stream.group(ctx.arg(3)) else { return Err(no_group_in(&ctx.args, 3, 2)) };
    let now = ctx.keys.now();
    ctx.reply.array(group.consumers().len());
    for (name, consumer) in group.consumers() {
        ctx.reply.map(3);
        ctx.reply.bulk(b"name");
        ctx.reply.bulk(name);
        ctx.reply.bulk(b"pending");
        ctx.reply.count(consumer.pending().len());
        ctx.reply.bulk(b"idle");
        number(&mut ctx.reply, now.get().saturating_sub(consumer.seen.get()));
    }
    Ok(())
}

fn groups(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let stream = stream(&ctx.keys, &ctx.args)?;
    ctx.reply.array(stream.groups().len());
    for (name, group) in stream.groups() {
        ctx.reply.map(6);
        ctx.reply.bulk(b"name");
        ctx.reply.bulk(name);
        ctx.reply.bulk(b"consumers");
        ctx.reply.count(group.consumers().len());
        ctx.reply.bulk(b"pending");
        ctx.reply.count(group.pending().len());
        reading(&mut ctx.reply, stream, group);
    }
    Ok(())
}

/// How far a group has read: three pairs.
fn reading(reply: &mut Reply<'_>, stream: &Stream, group: &Group) {
    reply.bulk(b"last-delivered-id");
    reply_id(reply, group.last_delivered);
    reply.bulk(b"entries-read");
    number_or_null(reply, group.entries_read);
    reply.bulk(b"lag");
    match stream.lag(group) {
        Some(lag) => reply.int(lag),
        None => reply.null(),
    }
}

fn stream_info(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    stream(&ctx.keys, &ctx.args)?;
    let full = match ctx.argc() {
        3 => None,
        4 if ctx.is(3, "full") => Some(FULL_COUNT),
        6 if ctx.is(3, "full") && ctx.is(4, "count") => {
            // As in Redis a negative count is none that was said, and 0 is all.
            match usize::try_from(ctx.int(5)?) {
                Ok(0) => Some(usize::MAX),
                count => Some(count.unwrap_or(FULL_COUNT)),
            }
        }
        _ => return Err(wrong_words(ctx, "XINFO")),
    };
    let stream = stream(&ctx.keys, &ctx.args)?;
    let reply = &mut ctx.reply;
    reply.map(if full.is_some() { 9 } else { 10 });
    head(reply, stream);
    match full {
        None => {
            reply.bulk(b"groups");
            reply.count(stream.groups().len());
            let mut entries = stream.entries().iter();
            for (name, entry) in [
                (&b"first-entry"[..], stream.entries().iter().next()),
                (b"last-entry", entries.next_back()),
            ] {
                reply.bulk(name);
                match entry {
                    Some(entry) => reply_entry(reply, entry),
                    None => reply.null(),
                }
            }
        }
        Some(count) => {
            reply.bulk(b"entries");
            reply_entries(reply, stream.entries().iter().take(count));
            reply.bulk(b"groups");
            reply.array(stream.groups().len());
            for (name, group) in stream.groups() {
                full_group(reply, stream, name, group, count);
            }
        }
    }
    Ok(())
}

/// What both forms say first: seven pairs.
fn head(reply: &mut Reply<'_>, stream: &Stream) {
    let head = stream.head();
    let blocks = stream.entries().block_count();
    reply.bulk(b"length");
    reply.count(stream.len());
    // Redis keeps its blocks in a tree of which a small one has a node each, and a root.
    reply.bulk(b"radix-tree-keys");
    reply.count(blocks);
    reply.bulk(b"radix-tree-nodes");
    reply.count(blocks + 1);
    reply.bulk(b"last-generated-id");
    reply_id(reply, head.last_id);
    reply.bulk(b"max-deleted-entry-id");
    reply_id(reply, head.max_deleted);
    reply.bulk(b"entries-added");
    number(reply, head.entries_added);
    reply.bulk(b"recorded-first-entry-id");
    reply_id(reply, stream.entries().first().unwrap_or(StreamId::ZERO));
}

fn full_group(reply: &mut Reply<'_>, stream: &Stream, name: &[u8], group: &Group, count: usize) {
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(name);
    reading(reply, stream, group);
    reply.bulk(b"pel-count");
    reply.count(group.pending().len());
    reply.bulk(b"pending");
    reply.array(group.pending().len().min(count));
    for (id, pending) in group.pending().iter().take(count) {
        reply.array(4);
        reply_id(reply, *id);
        reply.bulk(&pending.consumer);
        given(reply, pending.delivered, pending.deliveries);
    }
    reply.bulk(b"consumers");
    reply.array(group.consumers().len());
    for (name, consumer) in group.consumers() {
        reply.map(4);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"seen-time");
        number(reply, consumer.seen.get());
        reply.bulk(b"pel-count");
        reply.count(consumer.pending().len());
        reply.bulk(b"pending");
        reply.array(consumer.pending().len().min(count));
        for id in consumer.pending().iter().take(count) {
            let pending = group.pending().get(id);
            reply.array(3);
            reply_id(reply, *id);
            let delivered = pending.map(|pending| pending.delivered).unwrap_or_default();
            given(reply, delivered, pending.map_or(0, |pending| pending.deliveries));
        }
    }
}

/// When an entry was given, and how often: two values.
fn given(reply: &mut Reply<'_>, delivered: WallMillis, deliveries: u64) {
    number(reply, delivered.get());
    number(reply, deliveries);
}
