//! Pops from the first of several lists that has something: `LMPOP`, `BLPOP`, `BRPOP`, `BLMPOP`.

use crate::call::{Ctx, TimeoutReply};
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::commands::lists::End;
use crate::commands::{blocking, counted};
use crate::failure::Failure;
use crate::key::Key;

const WAIT: Flags = Flags::WRITE.and(Flags::NOSCRIPT).and(Flags::BLOCKING);

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "lmpop",
        arity: -4,
        flags: Flags::WRITE.and(Flags::MOVABLEKEYS),
        keys: KeySpec::counted_at_first(),
        since: "7.0.0",
        complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        summary: "Returns multiple elements from a list after removing them. Deletes the list if the last element was popped.",
        handler: Handler::data(lmpop),
        ..Command::of(Group::List)
    },
    Command {
        name: "blmpop",
        arity: -5,
        flags: Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
        keys: KeySpec::counted_at_second(),
        since: "7.0.0",
        complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        summary: "Pops the first element from one of multiple lists. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
        handler: Handler::data(blmpop),
        ..Command::of(Group::List)
    },
    Command {
        name: "blpop",
        arity: -3,
        flags: WAIT,
        keys: KeySpec::ALL_BUT_LAST,
        since: "2.0.0",
        complexity: "O(N) where N is the number of provided keys.",
        summary: "Removes and returns the first element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
        handler: Handler::data(|ctx| pop_or_wait(ctx, End::Left)),
        ..Command::of(Group::List)
    },
    Command {
        name: "brpop",
        arity: -3,
        flags: WAIT,
        keys: KeySpec::ALL_BUT_LAST,
        since: "2.0.0",
        complexity: "O(N) where N is the number of provided keys.",
        summary: "Removes and returns the last element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
        handler: Handler::data(|ctx| pop_or_wait(ctx, End::Right)),
        ..Command::of(Group::List)
    },
];

fn lmpop(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let request = MultiPop::parse(ctx, 1)?;
    if !request.pop(ctx)? {
        ctx.reply.null_array();
    }
    Ok(())
}

fn blmpop(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let request = MultiPop::parse(ctx, 2)?;
    let timeout = blocking::timeout(ctx, 1)?;
    if !request.pop(ctx)? {
        let args = ctx.args;
        let keys = request.keys.clone().map(|at| args.get(at));
        blocking::wait_for(ctx, keys, timeout, TimeoutReply::NullArray);
    }
    Ok(())
}

fn pop_or_wait(ctx: &mut Ctx<'_>, end: End) -> Result<(), Failure> {
    let timeout = blocking::timeout(ctx, ctx.argc() - 1)?;
    let keys = 1..ctx.argc() - 1;
    if let Some(key) = first_list(ctx, keys.clone())? {
        if let Some(mut list) = ctx.keys.edit_list(key)? {
            ctx.reply.array(2);
            ctx.reply.bulk(key.bytes);
            ctx.reply.bulk(end.of(&list).unwrap_or_default());
            end.pop(&mut list);
        }
        return Ok(());
    }
    let args = ctx.args;
    let keys = keys.map(|at| args.get(at));
    blocking::wait_for(ctx, keys, timeout, TimeoutReply::NullArray);
    Ok(())
}

/// The first of these keys that has a list.
fn first_list<'c>(ctx: &Ctx<'c>, keys: std::ops::Range<usize>) -> Result<Option<Key<'c>>, Failure> {
    for at in keys {
        let key = ctx.key(at);
        if blocking::not_yet(ctx, ctx.keys.list(key))?.is_some() {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// `numkeys key [key ...] <LEFT | RIGHT> [COUNT count]`.
struct MultiPop {
    keys: std::ops::Range<usize>,
    end: End,
    count: usize,
}

impl MultiPop {
    fn parse(ctx: &Ctx<'_>, at: usize) -> Result<Self, Failure> {
        let keys = counted::keys_then_more(ctx, at)?;
        let end = End::parse(ctx, keys.end)?;
        let count = counted::trailing_count(ctx, keys.end + 1)?;
        Ok(Self { keys, end, count })
    }

    fn pop(&self, ctx: &mut Ctx<'_>) -> Result<bool, Failure> {
        let Some(key) = first_list(ctx, self.keys.clone())? else { return Ok(false) };
        let Some(mut list) = ctx.keys.edit_list(key)? else { return Ok(false) };
        ctx.reply.array(2);
        ctx.reply.bulk(key.bytes);
        let count = self.count.min(list.len());
        self.end.take(&mut list, count, &mut ctx.reply);
        Ok(true)
    }
}
