//! Looking at how a key is kept: `OBJECT` and `MEMORY`.

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::commands::keys::encoding;
use crate::commands::table::{help, unknown_subcommand};
use crate::entry::Entry;
use crate::failure::Failure;

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "object",
        arity: -2,
        flags: Flags::NONE,
        since: "2.2.3",
        complexity: "Depends on subcommand.",
        summary: "A container for object introspection commands.",
        keys: KeySpec::range(2, 2, 1),
        subcommands: &[
            sub("object|encoding", 3, "Returns the internal encoding of an object."),
            sub("object|freq", 3, "Returns the logarithmic access frequency counter of an object."),
            sub("object|help", 2, "Returns helpful text about the different subcommands."),
            sub("object|idletime", 3, "Returns the time since the last access to an object."),
            sub("object|refcount", 3, "Returns the reference count of a value of a key."),
        ],
        handler: Handler::data(object),
        ..Command::of(Group::Generic)
    },
    Command {
        name: "memory",
        arity: -2,
        flags: Flags::NONE,
        since: "4.0.0",
        complexity: "Depends on subcommand.",
        summary: "A container for memory diagnostics commands.",
        keys: KeySpec::range(2, 2, 1),
        subcommands: &[
            sub("memory|doctor", 2, "Outputs a memory problems report."),
            sub("memory|help", 2, "Returns helpful text about the different subcommands."),
            sub("memory|malloc-stats", 2, "Returns the allocator statistics."),
            sub("memory|purge", 2, "Asks the allocator to release memory."),
            sub("memory|stats", 2, "Returns details about memory usage."),
            sub("memory|usage", -3, "Estimates the memory usage of a key."),
        ],
        handler: Handler::data(memory),
        ..Command::of(Group::Server)
    },
];

const fn sub(name: &'static str, arity: i32, summary: &'static str) -> Command {
    let keys = if arity == 2 { KeySpec::None } else { KeySpec::range(2, 2, 1) };
    Command {
        name,
        arity,
        summary,
        keys,
        flags: Flags::READONLY,
        since: "2.2.3",
        ..Command::of(Group::Generic)
    }
}

const OBJECT_HELP: &[&str] = &[
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
    "HELP",
    "    Prints this help.",
];

fn object(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let Some(row) = ctx.command.subcommand(&ctx.args) else {
        return Err(unknown_subcommand(ctx, "OBJECT"));
    };
    row.check_arity(ctx.argc())?;
    if row.name == "object|help" {
        help(&mut ctx.reply, OBJECT_HELP);
        return Ok(());
    }
    let key = ctx.key(2);
    let Some(value) = ctx.keys.value(key) else {
        ctx.reply.null();
        return Ok(());
    };
    match row.name {
        "object|encoding" => ctx.reply.bulk(encoding(value).as_bytes()),
        "object|freq" => {
            return Err(Failure::Text(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. \
                 Please note that when switching between policies at runtime LRU and LFU data will \
                 take some time to adjust.",
            ));
        }
        // Nothing is evicted here, so accesses are not timed.
        "object|idletime" => ctx.reply.int(0),
        _ => ctx.reply.int(1),
    }
    Ok(())
}

const MEMORY_HELP: &[&str] = &[
    "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DOCTOR",
    "    Return memory problems reports.",
    "MALLOC-STATS",
    "    Return internal statistics report from the memory allocator.",
    "PURGE",
    "    Attempt to purge dirty pages for reclamation by the allocator.",
    "STATS",
    "    Return information about the memory usage of the server.",
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes used by <key> and its value. Nested values are",
    "    sampled up to <count> times (default: 5, 0 means sample all).",
    "HELP",
    "    Prints this help.",
];

fn memory(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let Some(row) = ctx.command.subcommand(&ctx.args) else {
        return Err(unknown_subcommand(ctx, "MEMORY"));
    };
    row.check_arity(ctx.argc())?;
    match row.name {
        "memory|usage" => return memory_usage(ctx),
        "memory|purge" => ctx.reply.ok(),
        "memory|doctor" => {
            ctx.reply.verbatim(*b"txt", b"Sam, I can't find any memory issue in your instance.");
        }
        "memory|malloc-stats" => ctx.reply.bulk(b"Stats not supported for the current allocator"),
        "memory|stats" => memory_stats(ctx),
        _ => help(&mut ctx.reply, MEMORY_HELP),
    }
    Ok(())
}

fn memory_usage(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    match ctx.argc() {
        3 => {}
        // Counts are exact here; the number of samples is only checked.
        5 if ctx.is(3, "samples") => {
            if ctx.int(4)? < 0 {
                return Err(Failure::Syntax);
            }
        }
        _ => return Err(Failure::Syntax),
    }
    let key = ctx.key(2);
    match ctx.keys.entry(key).map(Entry::memory) {
        Some(bytes) => ctx.reply.count(bytes),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn memory_stats(ctx: &mut Ctx<'_>) {
    let dataset = ctx.keys.store.used_memory();
    let keys: usize = tandem_types::DbIndex::all().map(|db| ctx.keys.store.dbsize(db)).sum();
    ctx.reply.map(3);
    ctx.reply.bulk(b"dataset.bytes");
    ctx.reply.count(dataset);
    ctx.reply.bulk(b"keys.count");
    ctx.reply.count(keys);
    ctx.reply.bulk(b"keys.bytes-per-key");
    ctx.reply.count(dataset.checked_div(keys).unwrap_or(0));
}
