//! Pops of the lowest and highest: `ZPOPMIN`, `ZPOPMAX`, `ZMPOP`, and the forms that wait.

use tandem_resp::{Proto, Reply};

use crate::call::{Ctx, TimeoutReply};
use crate::command::{Command, Flags, Handler, KeySpec};
use crate::commands::zsets::ZSET;
use crate::commands::{blocking, counted};
use crate::edit::zset::ZsetEdit;
use crate::failure::Failure;
use crate::key::Key;

const WAIT: Flags = Flags::WRITE.and(Flags::FAST).and(Flags::NOSCRIPT).and(Flags::BLOCKING);
const POP: &str = "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.";
const MULTI_POP: &str = "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.";

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "zpopmin",
        arity: -2,
        flags: Flags::WRITE.and(Flags::FAST),
        since: "5.0.0",
        complexity: POP,
        summary: "Returns the lowest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped.",
        handler: Handler::data(|ctx| pop(ctx, End::Min)),
        ..ZSET
    },
    Command {
        name: "zpopmax",
        arity: -2,
        flags: Flags::WRITE.and(Flags::FAST),
        since: "5.0.0",
        complexity: POP,
        summary: "Returns the highest-scoring members from a sorted set after removing them. Deletes the sorted set if the last member was popped.",
        handler: Handler::data(|ctx| pop(ctx, End::Max)),
        ..ZSET
    },
    Command {
        name: "bzpopmin",
        arity: -3,
        flags: WAIT,
        keys: KeySpec::ALL_BUT_LAST,
        since: "5.0.0",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        summary: "Removes and returns the member with the lowest score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped.",
        handler: Handler::data(|ctx| pop_or_wait(ctx, End::Min)),
        ..ZSET
    },
    Command {
        name: "bzpopmax",
        arity: -3,
        flags: WAIT,
        keys: KeySpec::ALL_BUT_LAST,
        since: "5.0.0",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        summary: "Removes and returns the member with the highest score from one or more sorted sets. Blocks until a member available otherwise. Deletes the sorted set if the last element was popped.",
        handler: Handler::data(|ctx| pop_or_wait(ctx, End::Max)),
        ..ZSET
    },
    Command {
        name: "zmpop",
        arity: -4,
        flags: Flags::WRITE.and(Flags::MOVABLEKEYS),
        keys: KeySpec::counted_at_first(),
        since: "7.0.0",
        complexity: MULTI_POP,
        summary: "Returns the highest- or lowest-scoring members from one or more sorted sets after removing them. Deletes the sorted set if the last member was popped.",
        handler: Handler::data(zmpop),
        ..ZSET
    },
    Command {
        name: "bzmpop",
        arity: -5,
        flags: Flags::WRITE.and(Flags::BLOCKING).and(Flags::MOVABLEKEYS),
        keys: KeySpec::counted_at_second(),
        since: "7.0.0",
        complexity: MULTI_POP,
        summary: "Removes and returns a member by score from one or more sorted sets. Blocks until a member is available otherwise. Deletes the sorted set if the last element was popped.",
        handler: Handler::data(bzmpop),
        ..ZSET
    },
];

/// Which members are taken first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    Min,
    Max,
}

impl End {
    fn parse(ctx: &Ctx<'_>, at: usize) -> Result<Self, Failure> {
        if ctx.is(at, "min") {
            Ok(Self::Min)
        } else if ctx.is(at, "max") {
            Ok(Self::Max)
        } else {
            Err(Failure::Syntax)
        }
    }

    /// Takes `count` members out, which the set has, and answers with them.
    fn take(self, zset: &mut ZsetEdit<'_>, count: usize, pairs: Pairs, reply: &mut Reply<'_>) {
        for _ in 0..count {
            let rank = if self == Self::Min { 0 } else { zset.len() - 1 };
            let Some((member, score)) = zset.at(rank) else { return };
            let member: Box<[u8]> = member.into();
            if pairs == Pairs::Nested {
                reply.array(2);
            }
            reply.bulk(&member);
            reply.double(score);
            zset.remove(&member);
        }
    }
}

/// How a member and its score stand in the reply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Pairs {
    Flat,
    Nested,
}

fn pop(ctx: &mut Ctx<'_>, end: End) -> Result<(), Failure> {
    if ctx.argc() > 3 {
        return Err(Failure::Syntax);
    }
    let count = if ctx.argc() == 3 { Some(counted::positive(ctx, 2)?) } else { None };
    let key = ctx.key(1);
    let Some(mut zset) = ctx.keys.edit_zset(key)? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let nested = count.is_some() && ctx.reply.proto() == Proto::Resp3;
    let count = count.unwrap_or(1).min(zset.len());
    ctx.reply.array(if nested { count } else { count * 2 });
    let pairs = if nested { Pairs::Nested } else { Pairs::Flat };
    end.take(&mut zset, count, pairs, &mut ctx.reply);
    Ok(())
}

fn pop_or_wait(ctx: &mut Ctx<'_>, end: End) -> Result<(), Failure> {
    let timeout = blocking::timeout(ctx, ctx.argc() - 1)?;
    let keys = 1..ctx.argc() - 1;
    if let Some(key) = first_zset(ctx, keys.clone())? {
        if let Some(mut zset) = ctx.keys.edit_zset(key)? {
            ctx.reply.array(3);
            ctx.reply.bulk(key.bytes);
            end.take(&mut zset, 1, Pairs::Flat, &mut ctx.reply);
        }
        return Ok(());
    }
    let args = ctx.args;
    let keys = keys.map(|at| args.get(at));
    blocking::wait_for(ctx, keys, timeout, TimeoutReply::NullArray);
    Ok(())
}

fn zmpop(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let request = MultiPop::parse(ctx, 1)?;
    if !request.pop(ctx)? {
        ctx.reply.null_array();
    }
    Ok(())
}

fn bzmpop(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let request = MultiPop::parse(ctx, 2)?;
    let timeout = blocking::timeout(ctx, 1)?;
    if !request.pop(ctx)? {
        let args = ctx.args;
        let keys = request.keys.clone().map(|at| args.get(at));
        blocking::wait_for(ctx, keys, timeout, TimeoutReply::NullArray);
    }
    Ok(())
}

/// The first of these keys that has a sorted set.
fn first_zset<'c>(ctx: &Ctx<'c>, keys: std::ops::Range<usize>) -> Result<Option<Key<'c>>, Failure> {
    for at in keys {
        let key = ctx.key(at);
        if blocking::not_yet(ctx, ctx.keys.zset(key))?.is_some() {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

/// `numkeys key [key ...] <MIN | MAX> [COUNT count]`.
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
        let Some(key) = first_zset(ctx, self.keys.clone())? else { return Ok(false) };
        let Some(mut zset) = ctx.keys.edit_zset(key)? else { return Ok(false) };
        let count = self.count.min(zset.len());
        ctx.reply.array(2);
        ctx.reply.bulk(key.bytes);
        ctx.reply.array(count);
        self.end.take(&mut zset, count, Pairs::Nested, &mut ctx.reply);
        Ok(true)
    }
}
