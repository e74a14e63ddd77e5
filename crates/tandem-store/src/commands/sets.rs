//! Sets: members in, out, and looked for. Intersections and the like are in `sets/algebra.rs`.

pub(crate) mod algebra;

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::commands::sample::Draw;
use crate::commands::scan::{ScanOptions, cursor};
use crate::commands::{counted, element_scan};
use crate::failure::Failure;
use crate::value::set::Set;

const READ: Flags = Flags::READONLY.and(Flags::FAST);

/// What all rows share.
const SET: Command = Command { keys: KeySpec::FIRST, ..Command::of(Group::Set) };

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "sadd",
        arity: -3,
        flags: Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST),
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Adds one or more members to a set. Creates the key if it doesn't exist.",
        handler: Handler::data(sadd),
        ..SET
    },
    Command {
        name: "srem",
        arity: -3,
        flags: Flags::WRITE.and(Flags::FAST),
        complexity: "O(N) where N is the number of members to be removed.",
        summary: "Removes one or more members from a set. Deletes the set if the last member was removed.",
        handler: Handler::data(srem),
        ..SET
    },
    Command {
        name: "smove",
        arity: 4,
        flags: Flags::WRITE.and(Flags::FAST),
        keys: KeySpec::FIRST_TWO,
        summary: "Moves a member from one set to another.",
        handler: Handler::data(smove),
        ..SET
    },
    Command {
        name: "sismember",
        arity: 3,
        flags: READ,
        summary: "Determines whether a member belongs to a set.",
        handler: Handler::data(sismember),
        ..SET
    },
    Command {
        name: "smismember",
        arity: -3,
        flags: READ,
        since: "6.2.0",
        complexity: "O(N) where N is the number of elements being checked for membership",
        summary: "Determines whether multiple members belong to a set.",
        handler: Handler::data(smismember),
        ..SET
    },
    Command {
        name: "scard",
        arity: 2,
        flags: READ,
        summary: "Returns the number of members in a set.",
        handler: Handler::data(scard),
        ..SET
    },
    Command {
        name: "smembers",
        arity: 2,
        flags: Flags::READONLY,
        complexity: "O(N) where N is the set cardinality.",
        summary: "Returns all members of a set.",
        handler: Handler::data(smembers),
        ..SET
    },
    Command {
        name: "spop",
        arity: -2,
        flags: Flags::WRITE.and(Flags::FAST),
        complexity: "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
        summary: "Returns one or more random members from a set after removing them. Deletes the set if the last member was popped.",
        handler: Handler::data(spop),
        ..SET
    },
    Command {
        name: "srandmember",
        arity: -2,
        flags: Flags::READONLY,
        complexity: "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
        summary: "Get one or multiple random members from a set",
        handler: Handler::data(srandmember),
        ..SET
    },
    Command {
        name: "sscan",
        arity: -3,
        flags: Flags::READONLY,
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration.",
        summary: "Iterates over members of a set.",
        handler: Handler::data(sscan),
        ..SET
    },
];

fn sadd(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (args, key) = (ctx.args, ctx.key(1));
    let mut set = ctx.keys.edit_or_create_set(key)?;
    let added = args.tail(2).iter().filter(|member| set.add(member)).count();
    ctx.reply.count(added);
    Ok(())
}

fn srem(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (args, key) = (ctx.args, ctx.key(1));
    let mut removed = 0;
    if let Some(mut set) = ctx.keys.edit_set(key)? {
        removed = args.tail(2).iter().filter(|member| set.remove(member)).count();
    }
    ctx.reply.count(removed);
    Ok(())
}

fn smove(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (from, to, member) = (ctx.key(1), ctx.key(2), ctx.arg(3));
    let Some(source) = ctx.keys.set(from)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let found = source.contains(member);
    // Both types are known to be right before anything changes.
    ctx.keys.set(to)?;
    if found && from.bytes != to.bytes {
        if let Some(mut source) = ctx.keys.edit_set(from)? {
            source.remove(member);
        }
        ctx.keys.edit_or_create_set(to)?.add(member);
    }
    ctx.reply.int(i64::from(found));
    Ok(())
}

fn sismember(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let set = ctx.keys.set(ctx.key(1))?;
    let found = set.is_some_and(|set| set.contains(ctx.arg(2)));
    ctx.reply.int(i64::from(found));
    Ok(())
}

fn smismember(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let args = ctx.args;
    let set = ctx.keys.set(ctx.key(1))?;
    ctx.reply.array(args.len() - 2);
    for member in args.tail(2).iter() {
        ctx.reply.int(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

fn scard(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let count = ctx.keys.set(ctx.key(1))?.map_or(0, Set::len);
    ctx.reply.count(count);
    Ok(())
}

fn smembers(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let set = ctx.keys.set(ctx.key(1))?;
    ctx.reply.set(set.map_or(0, Set::len));
    set.into_iter().flat_map(Set::iter).for_each(|member| ctx.reply.bulk(&member));
    Ok(())
}

fn spop(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    if ctx.argc() > 3 {
        return Err(Failure::Syntax);
    }
    let count = if ctx.argc() == 3 { Some(counted::positive(ctx, 2)?) } else { None };
    let key = ctx.key(1);
    let Some(set) = ctx.keys.set(key)? else {
        match count {
            Some(_) => ctx.reply.set(0),
            None => ctx.reply.null(),
        }
        return Ok(());
    };
    let numbers = Draw::Distinct(count.unwrap_or(1)).numbers(set.len(), &ctx.keys);
    if count.is_some() {
        ctx.reply.set(numbers.len());
    }
    for number in &numbers {
        if let Some(member) = set.nth(*number) {
            ctx.reply.bulk(&member);
        }
    }
    if numbers.len() == set.len() {
        // All of it: one effect instead of one for each.
        ctx.keys.delete(key);
        return Ok(());
    }
    let popped: Vec<Box<[u8]>> =
        numbers.iter().filter_map(|number| Some((*set.nth(*number)?).into())).collect();
    if let Some(mut set) = ctx.keys.edit_set(key)? {
        for member in &popped {
            set.remove(member);
        }
    }
    Ok(())
}

fn srandmember(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    if ctx.argc() > 3 {
        return Err(Failure::Syntax);
    }
    if ctx.argc() == 2 {
        let set = ctx.keys.set(ctx.key(1))?;
        match set.and_then(|set| set.nth(ctx.keys.random_below(set.len()))) {
            Some(member) => ctx.reply.bulk(&member),
            None => ctx.reply.null(),
        }
        return Ok(());
    }
    let draw = Draw::parse(ctx, 2, 1)?;
    let set = ctx.keys.set(ctx.key(1))?;
    let drawn = set.map_or_else(Vec::new, |set| draw.numbers(set.len(), &ctx.keys));
    ctx.reply.array(drawn.len());
    for member in set.iter().flat_map(|set| drawn.iter().filter_map(|at| set.nth(*at))) {
        ctx.reply.bulk(&member);
    }
    Ok(())
}

fn sscan(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let cursor = cursor(ctx.arg(2))?;
    let Some(set) = ctx.keys.set(ctx.key(1))? else {
        element_scan::reply(&mut ctx.reply, 0, &[] as &[&[u8]]);
        return Ok(());
    };
    let options = ScanOptions::parse(ctx, 3, false)?;
    let mut found = Vec::new();
    let next = set.scan(cursor, options.count, |member| {
        if options.matches(&member) {
            found.push(member);
        }
    });
    element_scan::reply(&mut ctx.reply, next, &found);
    Ok(())
}
