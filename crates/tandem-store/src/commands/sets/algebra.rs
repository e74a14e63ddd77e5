//! Intersections, unions and differences of sets.

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::commands::counted;
use crate::failure::Failure;
use crate::value::Value;
use crate::value::set::{Member, Set};

const STORE: Flags = Flags::WRITE.and(Flags::DENYOOM);

/// What all rows share.
const ALGEBRA: Command = Command { keys: KeySpec::ALL, ..Command::of(Group::Set) };

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "sinter",
        arity: -2,
        flags: Flags::READONLY,
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        summary: "Returns the intersect of multiple sets.",
        handler: Handler::data(|ctx| show(ctx, Operation::Inter)),
        ..ALGEBRA
    },
    Command {
        name: "sinterstore",
        arity: -3,
        flags: STORE,
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        summary: "Stores the intersect of multiple sets in a key.",
        handler: Handler::data(|ctx| store(ctx, Operation::Inter)),
        ..ALGEBRA
    },
    Command {
        name: "sintercard",
        arity: -3,
        flags: Flags::READONLY.and(Flags::MOVABLEKEYS),
        keys: KeySpec::counted_at_first(),
        since: "7.0.0",
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        summary: "Returns the number of members of the intersect of multiple sets.",
        handler: Handler::data(sintercard),
        ..ALGEBRA
    },
    Command {
        name: "sunion",
        arity: -2,
        flags: Flags::READONLY,
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Returns the union of multiple sets.",
        handler: Handler::data(|ctx| show(ctx, Operation::Union)),
        ..ALGEBRA
    },
    Command {
        name: "sunionstore",
        arity: -3,
        flags: STORE,
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Stores the union of multiple sets in a key.",
        handler: Handler::data(|ctx| store(ctx, Operation::Union)),
        ..ALGEBRA
    },
    Command {
        name: "sdiff",
        arity: -2,
        flags: Flags::READONLY,
        complexity: "O(N*M) where N is the cardinality of the first set and M is the number of sets.",
        summary: "Returns the difference of multiple sets.",
        handler: Handler::data(|ctx| show(ctx, Operation::Diff)),
        ..ALGEBRA
    },
    Command {
        name: "sdiffstore",
        arity: -3,
        flags: STORE,
        complexity: "O(N*M) where N is the cardinality of the first set and M is the number of sets.",
        summary: "Stores the difference of multiple sets in a key.",
        handler: Handler::data(|ctx| store(ctx, Operation::Diff)),
        ..ALGEBRA
    },
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    Inter,
    Union,
    Diff,
}

/// The sets at some keys; a missing one is `None`. Wrong types are found before anything else.
fn sets<'s>(
    ctx: &'s Ctx<'_>,
    keys: impl Iterator<Item = usize>,
) -> Result<Vec<Option<&'s Set>>, Failure> {
    keys.map(|at| ctx.keys.set(ctx.key(at))).collect()
}

/// Hands the members of an intersection or a difference to `visit` until it says stop (false).
fn each<'s>(
    operation: Operation,
    mut sets: Vec<Option<&'s Set>>,
    mut visit: impl FnMut(Member<'s>) -> bool,
) {
    let wanted = operation == Operation::Inter;
    if wanted {
        // Members of the smallest, looked up in the next ones first: most are turned down early.
        sets.sort_by_key(|set| set.map_or(0, Set::len));
    }
    let Some((Some(first), others)) = sets.split_first() else { return };
    let has = |set: Option<&Set>, member: &[u8]| set.is_some_and(|set| set.contains(member));
    for member in first.iter() {
        if others.iter().all(|set| has(*set, &member) == wanted) && !visit(member) {
            return;
        }
    }
}

fn result(ctx: &Ctx<'_>, operation: Operation, first_key: usize) -> Result<Set, Failure> {
    let sets = sets(ctx, first_key..ctx.argc())?;
    let limits = ctx.keys.limits();
    let mut result = Set::default();
    if operation == Operation::Union {
        for member in sets.into_iter().flatten().flat_map(Set::iter) {
            result.insert(&member, &limits);
        }
    } else {
        each(operation, sets, |member| {
            result.insert(&member, &limits);
            true
        });
    }
    Ok(result)
}

fn show(ctx: &mut Ctx<'_>, operation: Operation) -> Result<(), Failure> {
    if operation == Operation::Union {
        let union = result(ctx, operation, 1)?;
        ctx.reply.set(union.len());
        union.iter().for_each(|member| ctx.reply.bulk(&member));
        return Ok(());
    }
    let args = ctx.args;
    let sets: Result<Vec<_>, Failure> =
        args.tail(1).iter().map(|key| ctx.keys.set(ctx.keys.key(key))).collect();
    let (mark, mut count) = (ctx.reply.mark(), 0);
    each(operation, sets?, |member| {
        ctx.reply.bulk(&member);
        count += 1;
        true
    });
    ctx.reply.insert_set(mark, count);
    Ok(())
}

fn store(ctx: &mut Ctx<'_>, operation: Operation) -> Result<(), Failure> {
    let result = result(ctx, operation, 2)?;
    let (count, to) = (result.len(), ctx.key(1));
    ctx.keys.store_value(to, Value::Set(result), None);
    ctx.reply.count(count);
    Ok(())
}

fn sintercard(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (keys, limit) = counted::keys_then_limit(ctx)?;
    let sets = sets(ctx, keys)?;
    let mut count = 0;
    each(Operation::Inter, sets, |_| {
        count += 1;
        count < limit
    });
    ctx.reply.count(count);
    Ok(())
}
