//! Sorted sets: members with scores in and out. Ranges, pops and algebra are in files below this one.

pub(crate) mod add;
pub(crate) mod algebra;
pub(crate) mod bounds;
pub(crate) mod pops;
pub(crate) mod ranges;
pub(crate) mod removal;

use tandem_resp::{Proto, Reply};

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::commands::element_scan;
use crate::commands::sample::Draw;
use crate::commands::scan::{ScanOptions, cursor};
use crate::failure::Failure;
use crate::value::zset::Zset;

const READ: Flags = Flags::READONLY.and(Flags::FAST);

/// What all rows share.
pub(crate) const ZSET: Command = Command { keys: KeySpec::FIRST, ..Command::of(Group::SortedSet) };

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "zscore",
        arity: 3,
        flags: READ,
        since: "1.2.0",
        summary: "Returns the score of a member in a sorted set.",
        handler: Handler::data(zscore),
        ..ZSET
    },
    Command {
        name: "zmscore",
        arity: -3,
        flags: READ,
        since: "6.2.0",
        complexity: "O(N) where N is the number of members being requested.",
        summary: "Returns the score of one or more members in a sorted set.",
        handler: Handler::data(zmscore),
        ..ZSET
    },
    Command {
        name: "zcard",
        arity: 2,
        flags: READ,
        since: "1.2.0",
        summary: "Returns the number of members in a sorted set.",
        handler: Handler::data(zcard),
        ..ZSET
    },
    Command {
        name: "zrank",
        arity: -3,
        flags: READ,
        since: "2.0.0",
        complexity: "O(log(N))",
        summary: "Returns the index of a member in a sorted set ordered by ascending scores.",
        handler: Handler::data(|ctx| zrank(ctx, false)),
        ..ZSET
    },
    Command {
        name: "zrevrank",
        arity: -3,
        flags: READ,
        since: "2.0.0",
        complexity: "O(log(N))",
        summary: "Returns the index of a member in a sorted set ordered by descending scores.",
        handler: Handler::data(|ctx| zrank(ctx, true)),
        ..ZSET
    },
    Command {
        name: "zrandmember",
        arity: -2,
        flags: Flags::READONLY,
        since: "6.2.0",
        complexity: "O(N) where N is the number of members returned",
        summary: "Returns one or more random members from a sorted set.",
        handler: Handler::data(zrandmember),
        ..ZSET
    },
    Command {
        name: "zscan",
        arity: -3,
        flags: Flags::READONLY,
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration.",
        summary: "Iterates over members and scores of a sorted set.",
        handler: Handler::data(zscan),
        ..ZSET
    },
];

/// Whether a reply shows scores.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scores {
    Hidden,
    Shown,
}

impl Scores {
    /// Head of an array of `count` members: with scores, RESP3 has pairs and RESP2 a flat array.
    pub(crate) fn head(self, reply: &mut Reply<'_>, count: usize) {
        let flat = self == Self::Shown && reply.proto() == Proto::Resp2;
        reply.array(if flat { count * 2 } else { count });
    }

    /// One member of that array.
    pub(crate) fn member(self, reply: &mut Reply<'_>, member: &[u8], score: f64) {
        if self == Self::Shown && reply.proto() == Proto::Resp3 {
            reply.array(2);
        }
        reply.bulk(member);
        if self == Self::Shown {
            reply.double(score);
        }
    }
}

fn zscore(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let zset = ctx.keys.zset(ctx.key(1))?;
    match zset.and_then(|zset| zset.score(ctx.arg(2))) {
        Some(score) => ctx.reply.double(score),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn zmscore(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let args = ctx.args;
    let zset = ctx.keys.zset(ctx.key(1))?;
    ctx.reply.array(args.len() - 2);
    for member in args.tail(2).iter() {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => ctx.reply.double(score),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}

fn zcard(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let count = ctx.keys.zset(ctx.key(1))?.map_or(0, Zset::len);
    ctx.reply.count(count);
    Ok(())
}

fn zrank(ctx: &mut Ctx<'_>, reverse: bool) -> Result<(), Failure> {
    if ctx.argc() > 4 {
        return Err(ctx.arity_failure());
    }
    let with_score = ctx.argc() == 4;
    if with_score && !ctx.is(3, "withscore") {
        return Err(Failure::Syntax);
    }
    let member = ctx.arg(2);
    let zset = ctx.keys.zset(ctx.key(1))?;
    let found = zset.and_then(|zset| {
        let rank = zset.rank(member)?;
        Some((if reverse { zset.len() - 1 - rank } else { rank }, zset.score(member)?))
    });
    match found {
        Some((rank, score)) => {
            if with_score {
                ctx.reply.array(2);
            }
            ctx.reply.count(rank);
            if with_score {
                ctx.reply.double(score);
            }
        }
        None if with_score => ctx.reply.null_array(),
        None => ctx.reply.null(),
    }
    Ok(())
}

fn zrandmember(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    if ctx.argc() == 2 {
        let zset = ctx.keys.zset(ctx.key(1))?;
        match zset.and_then(|zset| zset.nth(ctx.keys.random_below(zset.len()))) {
            Some((member, _)) => ctx.reply.bulk(member),
            None => ctx.reply.null(),
        }
        return Ok(());
    }
    let scores = if ctx.argc() > 3 { Scores::Shown } else { Scores::Hidden };
    if ctx.argc() > 4 || (scores == Scores::Shown && !ctx.is(3, "withscores")) {
        // Redis reads the count first.
        ctx.int(2)?;
        return Err(Failure::Syntax);
    }
    let draw = Draw::parse(ctx, 2, if scores == Scores::Shown { 2 } else { 1 })?;
    let zset = ctx.keys.zset(ctx.key(1))?;
    let drawn = zset.map_or_else(Vec::new, |zset| draw.numbers(zset.len(), &ctx.keys));
    scores.head(&mut ctx.reply, drawn.len());
    for (member, score) in zset.iter().flat_map(|zset| drawn.iter().filter_map(|at| zset.nth(*at)))
    {
        scores.member(&mut ctx.reply, member, score);
    }
    Ok(())
}

fn zscan(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let cursor = cursor(ctx.arg(2))?;
    let Some(zset) = ctx.keys.zset(ctx.key(1))? else {
        element_scan::reply(&mut ctx.reply, 0, &[] as &[&[u8]]);
        return Ok(());
    };
    let options = ScanOptions::parse(ctx, 3, false)?;
    let mut found: Vec<Vec<u8>> = Vec::new();
    let next = zset.scan(cursor, options.count, |member, score| {
        if options.matches(member) {
            let mut text = Vec::new();
            tandem_resp::write_double(&mut text, score);
            found.extend([member.to_vec(), text]);
        }
    });
    element_scan::reply(&mut ctx.reply, next, &found);
    Ok(())
}
