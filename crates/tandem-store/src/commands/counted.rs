//! Words that count: `numkeys` with its keys, and `COUNT`.

use std::ops::Range;

use crate::call::Ctx;
use crate::failure::Failure;

/// Word `at` as a number that is not negative.
pub(crate) fn not_negative(
    ctx: &Ctx<'_>,
    at: usize,
    otherwise: &'static str,
) -> Result<usize, Failure> {
    let number = ctx.int(at).ok().and_then(|number| usize::try_from(number).ok());
    number.ok_or(Failure::Text(otherwise))
}

/// Word `at` as a number above zero.
pub(crate) fn above_zero(
    ctx: &Ctx<'_>,
    at: usize,
    otherwise: &'static str,
) -> Result<usize, Failure> {
    match not_negative(ctx, at, otherwise)? {
        0 => Err(Failure::Text(otherwise)),
        number => Ok(number),
    }
}

/// The optional count of `LPOP`, `SPOP` and `ZPOPMIN`.
pub(crate) fn positive(ctx: &Ctx<'_>, at: usize) -> Result<usize, Failure> {
    not_negative(ctx, at, "ERR value is out of range, must be positive")
}

/// The positions of the keys after `numkeys`, which is word `at`; another word has to follow them.
pub(crate) fn keys_then_more(ctx: &Ctx<'_>, at: usize) -> Result<Range<usize>, Failure> {
    let count = above_zero(ctx, at, "ERR numkeys should be greater than 0")?;
    if count >= ctx.argc() - at - 1 {
        return Err(Failure::Syntax);
    }
    Ok(at + 1..at + 1 + count)
}

/// `[COUNT count]` at the end of `LMPOP` and its kin; 1 if it is not there.
pub(crate) fn trailing_count(ctx: &Ctx<'_>, at: usize) -> Result<usize, Failure> {
    if at == ctx.argc() {
        return Ok(1);
    }
    if !ctx.is(at, "count") || at + 1 == ctx.argc() {
        return Err(Failure::Syntax);
    }
    let count = above_zero(ctx, at + 1, "ERR count should be greater than 0")?;
    if at + 2 == ctx.argc() { Ok(count) } else { Err(Failure::Syntax) }
}

/// `numkeys key [key ...] [LIMIT limit]`, of `SINTERCARD`.
pub(crate) fn keys_then_limit(ctx: &Ctx<'_>) -> Result<(Range<usize>, usize), Failure> {
    let count = above_zero(ctx, 1, "ERR numkeys should be greater than 0")?;
    if count > ctx.argc() - 2 {
        return Err(Failure::Text("ERR Number of keys can't be greater than number of args"));
    }
    let end = 2 + count;
    let (mut at, mut limit) = (end, 0);
    while at < ctx.argc() {
        if !ctx.is(at, "limit") || at + 1 == ctx.argc() {
            return Err(Failure::Syntax);
        }
        limit = not_negative(ctx, at + 1, "ERR LIMIT can't be negative")?;
        at += 2;
    }
    Ok((2..end, if limit == 0 { usize::MAX } else { limit }))
}
