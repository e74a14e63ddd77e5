//! Unions, intersections and differences of sorted sets; plain sets may take part.

use crate::call::Ctx;
use crate::command::{Command, Flags, Handler, KeySpec};
use crate::commands::counted;
use crate::commands::zsets::{Scores, ZSET};
use crate::failure::Failure;
use crate::settings::Limits;
use crate::value::set::{Member, Set};
use crate::value::zset::Zset;
use crate::value::{Value, ValueRef};

const READ: Flags = Flags::READONLY.and(Flags::MOVABLEKEYS);
const STORE: Flags = Flags::WRITE.and(Flags::DENYOOM).and(Flags::MOVABLEKEYS);
const UNION: &str = "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.";
const INTER: &str = "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.";
const DIFF: &str = "O(L*K)+O(M*log(M)) worst case with L being the number of elements in the first set, K the number of sets, and M the size of the result set.";

pub(crate) const ROWS: &[Command] = &[
    Command {
        name: "zunion",
        arity: -3,
        flags: READ,
        keys: KeySpec::counted_at_first(),
        since: "6.2.0",
        complexity: UNION,
        summary: "Returns the union of multiple sorted sets.",
        handler: Handler::data(|ctx| show(ctx, Operation::Union)),
        ..ZSET
    },
    Command {
        name: "zinter",
        arity: -3,
        flags: READ,
        keys: KeySpec::counted_at_first(),
        since: "6.2.0",
        complexity: INTER,
        summary: "Returns the intersect of multiple sorted sets.",
        handler: Handler::data(|ctx| show(ctx, Operation::Inter)),
        ..ZSET
    },
    Command {
        name: "zdiff",
        arity: -3,
        flags: READ,
        keys: KeySpec::counted_at_first(),
        since: "6.2.0",
        complexity: DIFF,
        summary: "Returns the difference between multiple sorted sets.",
        handler: Handler::data(|ctx| show(ctx, Operation::Diff)),
        ..ZSET
    },
    Command {
        name: "zintercard",
        arity: -3,
        flags: READ,
        keys: KeySpec::counted_at_first(),
        since: "7.0.0",
        complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
        summary: "Returns the number of members of the intersect of multiple sorted sets.",
        handler: Handler::data(zintercard),
        ..ZSET
    },
    Command {
        name: "zunionstore",
        arity: -4,
        flags: STORE,
        keys: KeySpec::destination_and_counted(),
        since: "2.0.0",
        complexity: UNION,
        summary: "Stores the union of multiple sorted sets in a key.",
        handler: Handler::data(|ctx| store(ctx, Operation::Union)),
        ..ZSET
    },
    Command {
        name: "zinterstore",
        arity: -4,
        flags: STORE,
        keys: KeySpec::destination_and_counted(),
        since: "2.0.0",
        complexity: INTER,
        summary: "Stores the intersect of multiple sorted sets in a key.",
        handler: Handler::data(|ctx| store(ctx, Operation::Inter)),
        ..ZSET
    },
    Command {
        name: "zdiffstore",
        arity: -4,
        flags: STORE,
        keys: KeySpec::destination_and_counted(),
        since: "6.2.0",
        complexity: DIFF,
        summary: "Stores the difference of multiple sorted sets in a key.",
        handler: Handler::data(|ctx| store(ctx, Operation::Diff)),
        ..ZSET
    },
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Operation {
    Union,
    Inter,
    Diff,
}

/// How the scores of one member become one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn parse(ctx: &Ctx<'_>, at: usize) -> Result<Self, Failure> {
        let found = [("sum", Self::Sum), ("min", Self::Min), ("max", Self::Max)];
        let found = found.into_iter().find(|(word, _)| ctx.is(at, word));
        found.map(|(_, aggregate)| aggregate).ok_or(Failure::Syntax)
    }

    fn join(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Sum => number(left + right),
            Self::Min if right < left => right,
            Self::Max if right > left => right,
            Self::Min | Self::Max => left,
        }
    }
}

/// Infinities that cancel out, and infinity times nothing, are 0.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What takes part: a sorted set, a set (all scores 1), or nothing.
#[derive(Clone, Copy, Debug)]
enum Input<'s> {
    Zset(&'s Zset),
    Set(&'s Set),
    Missing,
}

impl<'s> Input<'s> {
    fn len(self) -> usize {
        match self {
            Self::Zset(zset) => zset.len(),
            Self::Set(set) => set.len(),
            Self::Missing => 0,
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Zset(zset) => zset.score(member),
            Self::Set(set) => set.contains(member).then_some(1.0),
            Self::Missing => None,
        }
    }

    fn iter(self) -> impl Iterator<Item = (Member<'s>, f64)> {
        let (mut from_zset, mut from_set) = (None, None);
        match self {
            Self::Zset(zset) => from_zset = Some(zset.iter()),
            Self::Set(set) => from_set = Some(set.iter()),
            Self::Missing => {}
        }
        let from_zset = from_zset.into_iter().flatten();
        let from_set = from_set.into_iter().flatten();
        from_zset
            .map(|(member, score)| (Member::Bytes(member), score))
            .chain(from_set.map(|member| (member, 1.0)))
    }
}

/// The inputs with their weights.
type Inputs<'s> = Vec<(Input<'s>, f64)>;

/// What the words after the destination, if any, say.
struct Request<'s> {
    inputs: Inputs<'s>,
    aggregate: Aggregate,
    scores: Scores,
    /// Of `ZINTERCARD`; 0 is none.
    limit: usize,
}

/// Which options a command has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Form {
    /// `WITHSCORES`, weights and aggregate.
    Shown,
    /// Weights and aggregate.
    Stored,
    /// `LIMIT`.
    Counted,
}

impl<'s> Request<'s> {
    fn parse(
        ctx: &'s Ctx<'_>,
        at: usize,
        operation: Operation,
        form: Form,
    ) -> Result<Self, Failure> {
        let count = ctx.int(at)?;
        let count = usize::try_from(count).ok().filter(|count| *count > 0).ok_or_else(|| {
            let name = ctx.command.name;
            Failure::Owned(format!("ERR at least 1 input key is needed for '{name}' command"))
        })?;
        if count > ctx.argc() - at - 1 {
            return Err(Failure::Syntax);
        }
        let options_at = at + 1 + count;
        let inputs: Result<Inputs<'s>, Failure> =
            (at + 1..options_at).map(|key| Ok((input(ctx, key)?, 1.0))).collect();
        let mut request =
            Self { inputs: inputs?, aggregate: Aggregate::Sum, scores: Scores::Hidden, limit: 0 };
        request.parse_options(ctx, options_at, operation, form)?;
        Ok(request)
    }

    fn parse_options(
        &mut self,
        ctx: &Ctx<'_>,
        mut at: usize,
        operation: Operation,
        form: Form,
    ) -> Result<(), Failure> {
        let joins = operation != Operation::Diff && form != Form::Counted;
        while at < ctx.argc() {
            let behind = ctx.argc() - at - 1;
            if joins && behind >= self.inputs.len() && ctx.is(at, "weights") {
                for (nth, (_, weight)) in self.inputs.iter_mut().enumerate() {
                    *weight = tandem_resp::parse_f64(ctx.arg(at + 1 + nth))
                        .ok_or(Failure::Text("ERR weight value is not a float"))?;
                }
                at += 1 + self.inputs.len();
            } else if joins && behind >= 1 && ctx.is(at, "aggregate") {
                self.aggregate = Aggregate::parse(ctx, at + 1)?;
                at += 2;
            } else if form == Form::Shown && ctx.is(at, "withscores") {
                self.scores = Scores::Shown;
                at += 1;
            } else if form == Form::Counted && behind >= 1 && ctx.is(at, "limit") {
                self.limit = counted::not_negative(ctx, at + 1, "ERR LIMIT can't be negative")?;
                at += 2;
            } else {
                return Err(Failure::Syntax);
            }
        }
        Ok(())
    }

    fn result(mut self, operation: Operation, limits: &Limits) -> Zset {
        let mut result = Zset::default();
        let aggregate = self.aggregate;
        match operation {
            Operation::Union => {
                // The smallest first, as in Redis: sums of floats depend on the order.
                self.inputs.sort_by_key(|(input, _)| input.len());
                for (input, weight) in self.inputs {
                    for (member, score) in input.iter() {
                        let score = number(score * weight);
                        let old = result.score(&member);
                        let joined = old.map_or(score, |old| aggregate.join(old, score));
                        result.insert(&member, joined, limits);
                    }
                }
            }
            Operation::Inter => self.each_common(|member, score| {
                result.insert(member, score, limits);
                true
            }),
            Operation::Diff => {
                let Some(((first, _), others)) = self.inputs.split_first() else { return result };
                for (member, score) in first.iter() {
                    if others.iter().all(|(input, _)| input.score(&member).is_none()) {
                        result.insert(&member, score, limits);
                    }
                }
            }
        }
        result
    }

    /// Hands the members that are in all inputs to `visit` until it says stop (false).
    fn each_common(mut self, mut visit: impl FnMut(&[u8], f64) -> bool) {
        self.inputs.sort_by_key(|(input, _)| input.len());
        let Some(((first, weight), others)) = self.inputs.split_first() else { return };
        for (member, score) in first.iter() {
            let joined =
                others.iter().try_fold(number(score * weight), |joined, (input, weight)| {
                    Some(self.aggregate.join(joined, input.score(&member)? * weight))
                });
            if joined.is_some_and(|joined| !visit(&member, joined)) {
                return;
            }
        }
    }
}

fn input<'s>(ctx: &'s Ctx<'_>, at: usize) -> Result<Input<'s>, Failure> {
    match ctx.keys.value(ctx.key(at)) {
        None => Ok(Input::Missing),
        Some(ValueRef::Zset(zset)) => Ok(Input::Zset(zset)),
        Some(ValueRef::Set(set)) => Ok(Input::Set(set)),
        Some(_) => Err(Failure::WrongType),
    }
}

fn show(ctx: &mut Ctx<'_>, operation: Operation) -> Result<(), Failure> {
    let request = Request::parse(ctx, 1, operation, Form::Shown)?;
    let scores = request.scores;
    let result = request.result(operation, &ctx.keys.limits());
    scores.head(&mut ctx.reply, result.len());
    for (member, score) in result.iter() {
        scores.member(&mut ctx.reply, member, score);
    }
    Ok(())
}

fn store(ctx: &mut Ctx<'_>, operation: Operation) -> Result<(), Failure> {
    let request = Request::parse(ctx, 2, operation, Form::Stored)?;
    let result = request.result(operation, &ctx.keys.limits());
    let (count, to) = (result.len(), ctx.key(1));
    ctx.keys.store_value(to, Value::Zset(result), None);
    ctx.reply.count(count);
    Ok(())
}

fn zintercard(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let request = Request::parse(ctx, 1, Operation::Inter, Form::Counted)?;
    let limit = if request.limit == 0 { usize::MAX } else { request.limit };
    let mut count = 0;
    request.each_common(|_, _| {
        count += 1;
        count < limit
    });
    ctx.reply.count(count);
    Ok(())
}
