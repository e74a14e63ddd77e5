//! `ZREMRANGEBYRANK`, `ZREMRANGEBYSCORE`, `ZREMRANGEBYLEX`.

use std::ops::Range;

use crate::call::Ctx;
use crate::command::{Command, Flags, Handler};
use crate::commands::index_range::index_range;
use crate::commands::zsets::ZSET;
use crate::commands::zsets::bounds::{LexRange, ScoreRange};
use crate::failure::Failure;
use crate::value::zset::Zset;

const COMPLEXITY: &str = "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements removed by the operation.";

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "zremrangebyrank",
        arity: 4,
        flags: Flags::WRITE,
        since: "2.0.0",
        complexity: COMPLEXITY,
        summary: "Removes members in a sorted set within a range of indexes. Deletes the sorted set if all members were removed.",
        handler: Handler::data(by_rank),
        ..ZSET
    },
    Command {
        name: "zremrangebyscore",
        arity: 4,
        flags: Flags::WRITE,
        since: "1.2.0",
        complexity: COMPLEXITY,
        summary: "Removes members in a sorted set within a range of scores. Deletes the sorted set if all members were removed.",
        handler: Handler::data(by_score),
        ..ZSET
    },
    Command {
        name: "zremrangebylex",
        arity: 4,
        flags: Flags::WRITE,
        since: "2.8.9",
        complexity: COMPLEXITY,
        summary: "Removes members in a sorted set within a lexicographical range. Deletes the sorted set if all members were removed.",
        handler: Handler::data(by_lex),
        ..ZSET
    },
];

fn by_rank(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (first, last) = (ctx.int(2)?, ctx.int(3)?);
    remove(ctx, |zset| index_range(first, last, zset.len()))
}

fn by_score(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let range = ScoreRange::parse(ctx.arg(2), ctx.arg(3))?;
    remove(ctx, |zset| range.ranks(zset))
}

fn by_lex(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let range = LexRange::parse(ctx.arg(2), ctx.arg(3))?;
    remove(ctx, |zset| range.ranks(zset))
}

fn remove(ctx: &mut Ctx<'_>, ranks: impl Fn(&Zset) -> Range<usize>) -> Result<(), Failure> {
    let key = ctx.key(1);
    let Some(zset) = ctx.keys.zset(key)? else {
        ctx.reply.int(0);
        return Ok(());
    };
    let ranks = ranks(zset);
    ctx.reply.count(ranks.len());
    if ranks.len() == zset.len() {
        // All of it: one effect instead of one for each.
        ctx.keys.delete(key);
        return Ok(());
    }
    let members: Vec<Box<[u8]>> = zset.range(ranks).map(|(member, _)| member.into()).collect();
    if let Some(mut zset) = ctx.keys.edit_zset(key)? {
        for member in &members {
            zset.remove(member);
        }
    }
    Ok(())
}
