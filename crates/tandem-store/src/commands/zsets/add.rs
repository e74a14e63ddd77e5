//! `ZADD`, `ZINCRBY`, `ZREM`.

use crate::call::Ctx;
use crate::command::{Command, Flags, Handler};
use crate::commands::zsets::ZSET;
use crate::edit::zset::ZsetEdit;
use crate::failure::Failure;
use crate::value::zset::ZsetChange;

const GROW: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::FAST);

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "zadd",
        arity: -4,
        flags: GROW,
        since: "1.2.0",
        complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        summary: "Adds one or more members to a sorted set, or updates their scores. Creates the key if it doesn't exist.",
        handler: Handler::data(zadd),
        ..ZSET
    },
    Command {
        name: "zincrby",
        arity: 4,
        flags: GROW,
        since: "1.2.0",
        complexity: "O(log(N)) where N is the number of elements in the sorted set.",
        summary: "Increments the score of a member in a sorted set.",
        handler: Handler::data(zincrby),
        ..ZSET
    },
    Command {
        name: "zrem",
        arity: -3,
        flags: Flags::WRITE.and(Flags::FAST),
        since: "1.2.0",
        complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
        summary: "Removes one or more members from a sorted set. Deletes the sorted set if all members were removed.",
        handler: Handler::data(zrem),
        ..ZSET
    },
];

/// Options of `ZADD`, some of which `GEOADD` has too.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) missing_only: bool,
    pub(crate) present_only: bool,
    greater_only: bool,
    less_only: bool,
    pub(crate) count_changed: bool,
    incr: bool,
}

impl Options {
    /// Reads the options; the second result is the position of the first score.
    fn parse(ctx: &Ctx<'_>) -> Result<(Self, usize), Failure> {
        let mut options = Self::default();
        let mut at = 2;
        while at < ctx.argc() {
            let flags = [
                ("nx", &mut options.missing_only),
                ("xx", &mut options.present_only),
                ("gt", &mut options.greater_only),
                ("lt", &mut options.less_only),
                ("ch", &mut options.count_changed),
                ("incr", &mut options.incr),
            ];
            let Some((_, flag)) = flags.into_iter().find(|(word, _)| ctx.is(at, word)) else {
                break;
            };
            *flag = true;
            at += 1;
        }
        let words = ctx.argc() - at;
        if words == 0 || !words.is_multiple_of(2) {
            return Err(Failure::Syntax);
        }
        options.check(words / 2)?;
        Ok((options, at))
    }

    fn check(self, pairs: usize) -> Result<(), Failure> {
        if self.missing_only && self.present_only {
            return Err(Failure::Text("ERR XX and NX options at the same time are not compatible"));
        }
        let conditions = [self.missing_only, self.greater_only, self.less_only];
        if conditions.into_iter().filter(|condition| *condition).count() > 1 {
            return Err(Failure::Text(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if self.incr && pairs > 1 {
            return Err(Failure::Text("ERR INCR option supports a single increment-element pair"));
        }
        Ok(())
    }

    /// Gives members their scores, as far as the conditions let it; what is answered.
    pub(crate) fn put<'m>(
        self,
        zset: &mut ZsetEdit<'_>,
        members: impl Iterator<Item = (&'m [u8], f64)>,
    ) -> Result<usize, Failure> {
        let (mut added, mut updated) = (0, 0);
        for (member, given) in members {
            let Some(score) = self.score(zset.score(member), given)? else { continue };
            match zset.insert(member, score) {
                ZsetChange::Added => added += 1,
                ZsetChange::Updated => updated += 1,
                ZsetChange::Same => {}
            }
        }
        Ok(if self.count_changed { added + updated } else { added })
    }

    /// The score a member gets, if it gets one.
    fn score(self, old: Option<f64>, given: f64) -> Result<Option<f64>, Failure> {
        let Some(old) = old else { return Ok((!self.present_only).then_some(given)) };
        if self.missing_only {
            return Ok(None);
        }
        let new = if self.incr { sum(old, given)? } else { given };
        let refused = (self.less_only && new >= old) || (self.greater_only && new <= old);
        Ok((!refused).then_some(new))
    }
}

fn sum(old: f64, delta: f64) -> Result<f64, Failure> {
    let sum = old + delta;
    if sum.is_nan() {
        return Err(Failure::Text("ERR resulting score is not a number (NaN)"));
    }
    Ok(sum)
}

/// Word `at` as a score.
fn score(ctx: &Ctx<'_>, at: usize) -> Result<f64, Failure> {
    tandem_resp::parse_f64(ctx.arg(at)).ok_or(Failure::NotFloat)
}

fn zadd(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (options, first) = Options::parse(ctx)?;
    let args = ctx.args;
    // All scores are read before the first is used: the command happens in full or not at all.
    let scores: Result<Vec<f64>, _> =
        (first..args.len()).step_by(2).map(|at| score(ctx, at)).collect();
    let (scores, key) = (scores?, ctx.key(1));
    let mut zset = ctx.keys.edit_or_create_zset(key)?;
    if options.incr {
        let given = scores.first().copied().unwrap_or_default();
        match add_increment(&mut zset, options, args.get(first + 1), given)? {
            Some(result) => ctx.reply.double(result),
            None => ctx.reply.null(),
        }
        return Ok(());
    }
    let members = (first + 1..args.len()).step_by(2).map(|at| args.get(at));
    let count = options.put(&mut zset, members.zip(scores))?;
    ctx.reply.count(count);
    Ok(())
}

fn add_increment(
    zset: &mut ZsetEdit<'_>,
    options: Options,
    member: &[u8],
    delta: f64,
) -> Result<Option<f64>, Failure> {
    let result = options.score(zset.score(member), delta)?;
    if let Some(result) = result {
        zset.incr(member, delta, result);
    }
    Ok(result)
}

fn zincrby(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (delta, member, key) = (score(ctx, 2)?, ctx.arg(3), ctx.key(1));
    let mut zset = ctx.keys.edit_or_create_zset(key)?;
    let options = Options { incr: true, ..Options::default() };
    let result = add_increment(&mut zset, options, member, delta)?;
    ctx.reply.double(result.unwrap_or(delta));
    Ok(())
}

fn zrem(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let (args, key) = (ctx.args, ctx.key(1));
    let mut removed = 0;
    if let Some(mut zset) = ctx.keys.edit_zset(key)? {
        removed = args.tail(2).iter().filter(|member| zset.remove(member)).count();
    }
    ctx.reply.count(removed);
    Ok(())
}
