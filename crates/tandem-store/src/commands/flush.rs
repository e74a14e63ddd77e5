//! Emptying databases.

use crate::call::Ctx;
use crate::command::{Categories, Command, Flags, Group, Handler};
use crate::failure::Failure;

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "flushdb",
        arity: -1,
        flags: Flags::WRITE,
        categories: Categories::KEYSPACE.and(Categories::DANGEROUS),
        complexity: "O(1); the memory is freed in the background.",
        summary: "Removes all keys from the current database.",
        handler: Handler::data(flushdb),
        ..Command::of(Group::Server)
    },
    Command {
        name: "flushall",
        arity: -1,
        flags: Flags::WRITE,
        categories: Categories::KEYSPACE.and(Categories::DANGEROUS),
        complexity: "O(1); the memory is freed in the background.",
        summary: "Removes all keys from all databases.",
        handler: Handler::data(flushall),
        ..Command::of(Group::Server)
    },
];

/// `SYNC` and `ASYNC` are taken, and mean the same here: no one waits for memory to be freed.
fn check_option(ctx: &Ctx<'_>) -> Result<(), Failure> {
    match ctx.argc() {
        1 => Ok(()),
        2 if ctx.is(1, "sync") || ctx.is(1, "async") => Ok(()),
        _ => Err(Failure::Syntax),
    }
}

fn flushdb(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    check_option(ctx)?;
    ctx.keys.flush_db();
    ctx.reply.ok();
    Ok(())
}

fn flushall(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    check_option(ctx)?;
    ctx.keys.flush_all();
    ctx.reply.ok();
    Ok(())
}
