//! Ranges by rank, score and member: `ZRANGE` and all it replaces, `ZCOUNT`, `ZRANGESTORE`.

use std::ops::Range;

use crate::call::Ctx;
use crate::command::{Command, Flags, Handler, KeySpec};
use crate::commands::index_range::index_range;
use crate::commands::zsets::bounds::{LexRange, ScoreRange};
use crate::commands::zsets::{Scores, ZSET};
use crate::failure::Failure;
use crate::value::Value;
use crate::value::zset::Zset;

const BY_RANGE: &str = "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned.";
const COUNTING: &str = "O(log(N)) with N being the number of elements in the sorted set.";

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "zrange",
        arity: -4,
        flags: Flags::READONLY,
        since: "1.2.0",
        complexity: BY_RANGE,
        summary: "Returns members in a sorted set within a range of indexes.",
        handler: Handler::data(|ctx| show(ctx, None, None)),
        ..ZSET
    },
    Command {
        name: "zrevrange",
        arity: -4,
        flags: Flags::READONLY,
        since: "1.2.0",
        complexity: BY_RANGE,
        summary: "Returns members in a sorted set within a range of indexes in reverse order.",
        handler: Handler::data(|ctx| show(ctx, Some(By::Rank), Some(Order::Reverse))),
        ..ZSET
    },
    Command {
        name: "zrangebyscore",
        arity: -4,
        flags: Flags::READONLY,
        since: "1.0.5",
        complexity: BY_RANGE,
        summary: "Returns members in a sorted set within a range of scores.",
        handler: Handler::data(|ctx| show(ctx, Some(By::Score), Some(Order::Forward))),
        ..ZSET
    },
    Command {
        name: "zrevrangebyscore",
        arity: -4,
        flags: Flags::READONLY,
        since: "2.2.0",
        complexity: BY_RANGE,
        summary: "Returns members in a sorted set within a range of scores in reverse order.",
        handler: Handler::data(|ctx| show(ctx, Some(By::Score), Some(Order::Reverse))),
        ..ZSET
    },
    Command {
        name: "zrangebylex",
        arity: -4,
        flags: Flags::READONLY,
        since: "2.8.9",
        complexity: BY_RANGE,
        summary: "Returns members in a sorted set within a lexicographical range.",
        handler: Handler::data(|ctx| show(ctx, Some(By::Lex), Some(Order::Forward))),
        ..ZSET
    },
    Command {
        name: "zrevrangebylex",
        arity: -4,
        flags: Flags::READONLY,
        since: "2.8.9",
        complexity: BY_RANGE,
        summary: "Returns members in a sorted set within a lexicographical range in reverse order.",
        handler: Handler::data(|ctx| show(ctx, Some(By::Lex), Some(Order::Reverse))),
        ..ZSET
    },
    Command {
        name: "zrangestore",
        arity: -5,
        flags: Flags::WRITE.and(Flags::DENYOOM),
        keys: KeySpec::FIRST_TWO,
        since: "6.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.",
        summary: "Stores a range of members from sorted set in a key.",
        handler: Handler::data(zrangestore),
        ..ZSET
    },
    Command {
        name: "zcount",
        arity: 4,
        flags: Flags::READONLY.and(Flags::FAST),
        since: "2.0.0",
        complexity: COUNTING,
        summary: "Returns the count of members in a sorted set that have scores within a range.",
        handler: Handler::data(zcount),
        ..ZSET
    },
    Command {
        name: "zlexcount",
        arity: 4,
        flags: Flags::READONLY.and(Flags::FAST),
        since: "2.8.9",
        complexity: COUNTING,
        summary: "Returns the number of members in a sorted set within a lexicographical range.",
        handler: Handler::data(zlexcount),
        ..ZSET
    },
];

/// What a range is a range of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum By {
    Rank,
    Score,
    Lex,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Order {
    Forward,
    Reverse,
}

/// Which members, read from the words.
#[derive(Clone, Copy, Debug)]
enum Span<'c> {
    Ranks(i64, i64),
    Scores(ScoreRange),
    Members(LexRange<'c>),
}

/// A whole request for a range.
#[derive(Debug)]
struct Request<'c> {
    span: Span<'c>,
    order: Order,
    scores: Scores,
    offset: i64,
    /// Negative: all.
    limit: i64,
}

impl<'c> Request<'c> {
    /// Reads `key min max` from word `at` on, and the options behind. What the command's name has
    /// decided is no option any more; neither are scores when the result is stored.
    fn parse(
        ctx: &Ctx<'c>,
        at: usize,
        mut by: Option<By>,
        mut order: Option<Order>,
        stored: bool,
    ) -> Result<Self, Failure> {
        let (free_by, free_order) = (by.is_none(), order.is_none());
        let (mut scores, mut offset, mut limit) = (Scores::Hidden, 0, -1);
        let mut option = at + 3;
        while option < ctx.argc() {
            if !stored && ctx.is(option, "withscores") {
                scores = Scores::Shown;
            } else if ctx.is(option, "limit") && option + 2 < ctx.argc() {
                (offset, limit) = (ctx.int(option + 1)?, ctx.int(option + 2)?);
                option += 2;
            } else if free_order && ctx.is(option, "rev") {
                order = Some(Order::Reverse);
            } else if free_by && by.is_none() && ctx.is(option, "bylex") {
                by = Some(By::Lex);
            } else if free_by && by.is_none() && ctx.is(option, "byscore") {
                by = Some(By::Score);
            } else {
                return Err(Failure::Syntax);
            }
            option += 1;
        }
        let (by, order) = (by.unwrap_or(By::Rank), order.unwrap_or(Order::Forward));
        if limit != -1 && by == By::Rank {
            return Err(Failure::Text(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if scores == Scores::Shown && by == By::Lex {
            return Err(Failure::Text(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let span = Span::parse(ctx, at, by, order)?;
        Ok(Self { span, order, scores, offset, limit })
    }

    /// The ranks asked for.
    fn ranks(&self, zset: &Zset) -> Range<usize> {
        let ranks = match self.span {
            Span::Ranks(first, last) => {
                let range = index_range(first, last, zset.len());
                return match self.order {
                    Order::Forward => range,
                    Order::Reverse => zset.len() - range.end..zset.len() - range.start,
                };
            }
            Span::Scores(range) => range.ranks(zset),
            Span::Members(range) => range.ranks(zset),
        };
        // A negative offset never ends in Redis: it skips everything.
        let skipped = usize::try_from(self.offset).unwrap_or(usize::MAX).min(ranks.len());
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let count = limit.min(ranks.len() - skipped);
        match self.order {
            Order::Forward => ranks.start + skipped..ranks.start + skipped + count,
            Order::Reverse => ranks.end - skipped - count..ranks.end - skipped,
        }
    }
}

impl<'c> Span<'c> {
    fn parse(ctx: &Ctx<'c>, at: usize, by: By, order: Order) -> Result<Self, Failure> {
        let (mut min, mut max) = (at + 1, at + 2);
        if order == Order::Reverse && by != By::Rank {
            // Written as `max min`.
            std::mem::swap(&mut min, &mut max);
        }
        Ok(match by {
            By::Rank => Self::Ranks(ctx.int(min)?, ctx.int(max)?),
            By::Score => Self::Scores(ScoreRange::parse(ctx.arg(min), ctx.arg(max))?),
            By::Lex => Self::Members(LexRange::parse(ctx.arg(min), ctx.arg(max))?),
        })
    }
}

fn show(ctx: &mut Ctx<'_>, by: Option<By>, order: Option<Order>) -> Result<(), Failure> {
    let request = Request::parse(ctx, 1, by, order, false)?;
    let Some(zset) = ctx.keys.zset(ctx.key(1))? else {
        ctx.reply.array(0);
        return Ok(());
    };
    let ranks = request.ranks(zset);
    let (scores, reply) = (request.scores, &mut ctx.reply);
    scores.head(reply, ranks.len());
    let show = |(member, score): (&[u8], f64)| scores.member(reply, member, score);
    match request.order {
        Order::Forward => zset.range(ranks).for_each(show),
        Order::Reverse => zset.range_back(ranks).for_each(show),
    }
    Ok(())
}

fn zrangestore(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let request = Request::parse(ctx, 2, None, None, true)?;
    let limits = ctx.keys.limits();
    let mut result = Zset::default();
    if let Some(zset) = ctx.keys.zset(ctx.key(2))? {
        for (member, score) in zset.range(request.ranks(zset)) {
            result.insert(member, score, &limits);
        }
    }
    let (count, to) = (result.len(), ctx.key(1));
    ctx.keys.store_value(to, Value::Zset(result), None);
    ctx.reply.count(count);
    Ok(())
}

fn zcount(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let range = ScoreRange::parse(ctx.arg(2), ctx.arg(3))?;
    let count = ctx.keys.zset(ctx.key(1))?.map_or(0, |zset| range.ranks(zset).len());
    ctx.reply.count(count);
    Ok(())
}

fn zlexcount(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let range = LexRange::parse(ctx.arg(2), ctx.arg(3))?;
    let count = ctx.keys.zset(ctx.key(1))?.map_or(0, |zset| range.ranks(zset).len());
    ctx.reply.count(count);
    Ok(())
}
