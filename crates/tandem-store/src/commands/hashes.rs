//! Hashes: `HSET`, `HGET`, `HGETALL`, `HINCRBY` and their kin.

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::commands::element_scan;
use crate::commands::sample::Draw;
use crate::commands::scan::{ScanOptions, cursor};
use crate::decimal;
use crate::failure::Failure;
use crate::value::hash::Hash;

const READ: Flags = Flags::READONLY.and(Flags::FAST);
const GROW: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);

/// What all rows share.
const HASH: Command = Command { keys: KeySpec::FIRST, since: "2.0.0", ..Command::of(Group::Hash) };

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "hset",
        arity: -4,
        flags: GROW,
        complexity: "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs.",
        summary: "Creates or modifies the value of a field in a hash.",
        handler: Handler::data(hset),
        ..HASH
    },
    Command {
        name: "hmset",
        arity: -4,
        flags: GROW,
        complexity: "O(N) where N is the number of fields being set.",
        summary: "Sets the values of multiple fields.",
        handler: Handler::data(hmset),
        ..HASH
    },
    Command {
        name: "hsetnx",
        arity: 4,
        flags: GROW,
        summary: "Sets the value of a field in a hash only when the field doesn't exist.",
        handler: Handler::data(hsetnx),
        ..HASH
    },
    Command {
        name: "hget",
        arity: 3,
        flags: READ,
        summary: "Returns the value of a field in a hash.",
        handler: Handler::data(hget),
        ..HASH
    },
    Command {
        name: "hmget",
        arity: -3,
        flags: READ,
        complexity: "O(N) where N is the number of fields being requested.",
        summary: "Returns the values of all fields in a hash.",
        handler: Handler::data(hmget),
        ..HASH
    },
    Command {
        name: "hgetall",
        arity: 2,
        flags: Flags::READONLY,
        complexity: "O(N) where N is the size of the hash.",
        summary: "Returns all fields and values in a hash.",
        handler: Handler::data(hgetall),
        ..HASH
    },
    Command {
        name: "hkeys",
        arity: 2,
        flags: Flags::READONLY,
        complexity: "O(N) where N is the size of the hash.",
        summary: "Returns all fields in a hash.",
        handler: Handler::data(hkeys),
        ..HASH
    },
    Command {
        name: "hvals",
        arity: 2,
        flags: Flags::READONLY,
        complexity: "O(N) where N is the size of the hash.",
        summary: "Returns all values in a hash.",
        handler: Handler::data(hvals),
        ..HASH
    },
    Command {
        name: "hlen",
        arity: 2,
        flags: READ,
        summary: "Returns the number of fields in a hash.",
        handler: Handler::data(hlen),
        ..HASH
    },
    Command {
        name: "hexists",
        arity: 3,
        flags: READ,
        summary: "Determines whether a field exists in a hash.",
        handler: Handler::data(hexists),
        ..HASH
    },
    Command {
        name: "hstrlen",
        arity: 3,
        flags: READ,
        since: "3.2.0",
        summary: "Returns the length of the value of a field.",
        handler: Handler::data(hstrlen),
        ..HASH
    },
    Command {
        name: "hdel",
        arity: -3,
        flags: Flags::WRITE.and(Flags::FAST),
        complexity: "O(N) where N is the number of fields to be removed.",
        summary: "Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain.",
        handler: Handler::data(hdel),
        ..HASH
    },
    Command {
        name: "hincrby",
        arity: 4,
        flags: GROW,
        summary: "Increments the integer value of a field in a hash by a number. Uses 0 as initial value if the field doesn't exist.",
        handler: Handler::data(hincrby),
        ..HASH
    },
    Command {
        name: "hincrbyfloat",
        arity: 4,
        flags: GROW,
        since: "2.6.0",
        summary: "Increments the floating point value of a field by a number. Uses 0 as initial value if the field doesn't exist.",
        handler: Handler::data(hincrbyfloat),
        ..HASH
    },
    Command {
        name: "hrandfield",
        arity: -2,
        flags: Flags::READONLY,
        since: "6.2.0",
        complexity: "O(N) where N is the number of fields returned",
        summary: "Returns one or more random fields from a hash.",
        handler: Handler::data(hrandfield),
        ..HASH
    },
    Command {
        name: "hscan",
        arity: -3,
        flags: Flags::READONLY,
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration.",
        summary: "Iterates over fields and values of a hash.",
        handler: Handler::data(hscan),
        ..HASH
    },
];

/// Sets fields to values; how many of them are new.
fn set_fields(ctx: &mut Ctx<'_>) -> Result<usize, Failure> {
    let (args, key) = (ctx.args, ctx.key(1));
    if args.len() % 2 != 0 {
        return Err(ctx.arity_failure());
    }
    let mut hash = ctx.keys.edit_or_create_hash(key)?;
    let fields = (2..args.len()).step_by(2);
    Ok(fields.filter(|at| hash.set(args.get(*at), args.get(at + 1))).count())
}

fn hset(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let new = set_fields(ctx)?;
    ctx.reply.count(new);
    Ok(())
}

fn hmset(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    set_fields(ctx)?;
    ctx.reply.ok();
    Ok(())
}

fn hsetnx(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (args, key) = (ctx.args, ctx.key(1));
    let mut hash = ctx.keys.edit_or_create_hash(key)?;
    let new = hash.get(args.get(2)).is_none() && hash.set(args.get(2), args.get(3));
    ctx.reply.int(i64::from(new));
    Ok(())
}

fn hget(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let hash = ctx.keys.hash(ctx.key(1))?;
    match hash.and_then(|hash| hash.get(ctx.arg(2))) {
        Some(value) => ctx.reply.bulk(value),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn hmget(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let args = ctx.args;
    let hash = ctx.keys.hash(ctx.key(1))?;
    ctx.reply.array(args.len() - 2);
    for field in args.tail(2).iter() {
        match hash.and_then(|hash| hash.get(field)) {
            Some(value) => ctx.reply.bulk(value),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

fn hgetall(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let hash = ctx.keys.hash(ctx.key(1))?;
    ctx.reply.map(hash.map_or(0, Hash::len));
    for (field, value) in hash.into_iter().flat_map(Hash::iter) {
        ctx.reply.bulk(field);
        ctx.reply.bulk(value);
    }
    Ok(())
}

fn hkeys(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let hash = ctx.keys.hash(ctx.key(1))?;
    ctx.reply.array(hash.map_or(0, Hash::len));
    hash.into_iter().flat_map(Hash::iter).for_each(|(field, _)| ctx.reply.bulk(field));
    Ok(())
}

fn hvals(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let hash = ctx.keys.hash(ctx.key(1))?;
    ctx.reply.array(hash.map_or(0, Hash::len));
    hash.into_iter().flat_map(Hash::iter).for_each(|(_, value)| ctx.reply.bulk(value));
    Ok(())
}

fn hlen(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let len = ctx.keys.hash(ctx.key(1))?.map_or(0, Hash::len);
    ctx.reply.count(len);
    Ok(())
}

fn hexists(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let hash = ctx.keys.hash(ctx.key(1))?;
    let found = hash.is_some_and(|hash| hash.get(ctx.arg(2)).is_some());
    ctx.reply.int(i64::from(found));
    Ok(())
}

fn hstrlen(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let hash = ctx.keys.hash(ctx.key(1))?;
    let len = hash.and_then(|hash| hash.get(ctx.arg(2))).map_or(0, <[u8]>::len);
    ctx.reply.count(len);
    Ok(())
}

fn hdel(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (args, key) = (ctx.args, ctx.key(1));
    let mut removed = 0;
    if let Some(mut hash) = ctx.keys.edit_hash(key)? {
        removed = args.tail(2).iter().filter(|field| hash.remove(field)).count();
    }
    ctx.reply.count(removed);
    Ok(())
}

fn hincrby(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (delta, field, key) = (ctx.int(3)?, ctx.arg(2), ctx.key(1));
    let mut hash = ctx.keys.edit_or_create_hash(key)?;
    let old = match hash.get(field) {
        None => 0,
        Some(value) => tandem_resp::parse_i64(value)
            .ok_or(Failure::Text("ERR hash value is not an integer"))?,
    };
    let result = old.checked_add(delta).ok_or(Failure::Overflow)?;
    hash.incr(field, delta, result);
    ctx.reply.int(result);
    Ok(())
}

fn hincrbyfloat(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (delta, field, key) = (ctx.arg(3), ctx.arg(2), ctx.key(1));
    if !tandem_resp::parse_f64(delta).ok_or(Failure::NotFloat)?.is_finite() {
        return Err(Failure::Text("ERR value is NaN or Infinity"));
    }
    let mut hash = ctx.keys.edit_or_create_hash(key)?;
    let old = hash.get(field).unwrap_or(b"0");
    if tandem_resp::parse_f64(old).is_none() {
        return Err(Failure::Text("ERR hash value is not a float"));
    }
    let result = decimal::add(old, delta)?;
    hash.incr_float(field, delta, &result);
    ctx.reply.bulk(&result);
    Ok(())
}

fn hrandfield(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    if ctx.argc() == 2 {
        let hash = ctx.keys.hash(ctx.key(1))?;
        match hash.and_then(|hash| hash.nth(ctx.keys.random_below(hash.len()))) {
            Some((field, _)) => ctx.reply.bulk(field),
            None => ctx.reply.null(),
        }
        return Ok(());
    }
    let with_values = ctx.argc() > 3;
    if ctx.argc() > 4 || (with_values && !ctx.is(3, "withvalues")) {
        // Redis reads the count first.
        ctx.int(2)?;
        return Err(Failure::Syntax);
    }
    let draw = Draw::parse(ctx, 2, if with_values { 2 } else { 1 })?;
    let hash = ctx.keys.hash(ctx.key(1))?;
    let drawn = hash.map_or_else(Vec::new, |hash| draw.numbers(hash.len(), &ctx.keys));
    let nested = with_values && ctx.reply.proto() == tandem_resp::Proto::Resp3;
    ctx.reply.array(if with_values && !nested { drawn.len() * 2 } else { drawn.len() });
    for (field, value) in hash.iter().flat_map(|hash| drawn.iter().filter_map(|at| hash.nth(*at))) {
        if nested {
            ctx.reply.array(2);
        }
        ctx.reply.bulk(field);
        if with_values {
            ctx.reply.bulk(value);
        }
    }
    Ok(())
}

fn hscan(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let cursor = cursor(ctx.arg(2))?;
    let Some(hash) = ctx.keys.hash(ctx.key(1))? else {
        element_scan::reply(&mut ctx.reply, 0, &[] as &[&[u8]]);
        return Ok(());
    };
    let options = ScanOptions::parse(ctx, 3, false)?;
    let mut found = Vec::new();
    let next = hash.scan(cursor, options.count, |field, value| {
        if options.matches(field) {
            found.extend([field, value]);
        }
    });
    element_scan::reply(&mut ctx.reply, next, &found);
    Ok(())
}
