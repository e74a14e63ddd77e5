//! Strings as numbers: `INCR` and its kin.

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::decimal;
use crate::effect::Effect;
use crate::failure::Failure;

const COUNT: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "incr",
        arity: 2,
        flags: COUNT,
        keys: KeySpec::FIRST,
        summary: "Increments the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
        handler: Handler::data(incr),
        ..Command::of(Group::String)
    },
    Command {
        name: "decr",
        arity: 2,
        flags: COUNT,
        keys: KeySpec::FIRST,
        summary: "Decrements the integer value of a key by one. Uses 0 as initial value if the key doesn't exist.",
        handler: Handler::data(decr),
        ..Command::of(Group::String)
    },
    Command {
        name: "incrby",
        arity: 3,
        flags: COUNT,
        keys: KeySpec::FIRST,
        summary: "Increments the integer value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
        handler: Handler::data(incrby),
        ..Command::of(Group::String)
    },
    Command {
        name: "decrby",
        arity: 3,
        flags: COUNT,
        keys: KeySpec::FIRST,
        summary: "Decrements a number from the integer value of a key. Uses 0 as initial value if the key doesn't exist.",
        handler: Handler::data(decrby),
        ..Command::of(Group::String)
    },
    Command {
        name: "incrbyfloat",
        arity: 3,
        flags: COUNT,
        keys: KeySpec::FIRST,
        since: "2.6.0",
        summary: "Increment the floating point value of a key by a number. Uses 0 as initial value if the key doesn't exist.",
        handler: Handler::data(incrbyfloat),
        ..Command::of(Group::String)
    },
];

fn incr(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    add(ctx, 1)
}

fn decr(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    add(ctx, -1)
}

fn incrby(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let delta = ctx.int(2)?;
    add(ctx, delta)
}

fn decrby(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let delta = ctx.int(2)?;
    let delta = delta.checked_neg().ok_or(Failure::Text("ERR decrement would overflow"))?;
    add(ctx, delta)
}

fn add(ctx: &mut Ctx<'_>, delta: i64) -> Result<(), Failure> {
    let key = ctx.key(1);
    let result = ctx.keys.incr(key, delta)?;
    ctx.reply.int(result);
    Ok(())
}

fn incrbyfloat(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let key = ctx.key(1);
    let delta = ctx.arg(2);
    let result = decimal::add(ctx.keys.string(key)?.unwrap_or(b"0"), delta)?;
    ctx.keys.set_number(key, &result, Effect::IncrFloat { delta, result: &result });
    ctx.reply.bulk(&result);
    Ok(())
}
