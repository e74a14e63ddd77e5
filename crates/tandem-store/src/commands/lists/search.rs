//! `LPOS`: where in a list an element is.

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::commands::counted::not_negative;
use crate::failure::Failure;
use crate::value::list::List;

pub(crate) const ROWS: &[Command] = &[Command {
    name: "lpos",
    arity: -3,
    flags: Flags::READONLY,
    keys: KeySpec::FIRST,
    since: "6.0.6",
    complexity: "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.",
    summary: "Returns the index of matching elements in a list.",
    handler: Handler::data(lpos),
    ..Command::of(Group::List)
}];

/// What to look for, and how.
struct Search<'c> {
    element: &'c [u8],
    /// Matches to pass over first.
    skipped: usize,
    from_back: bool,
    /// `None`: the client wants one index, not a list of them.
    count: Option<usize>,
    compared_max: usize,
}

impl<'c> Search<'c> {
    fn parse(ctx: &Ctx<'c>) -> Result<Self, Failure> {
        let mut search = Self {
            element: ctx.arg(2),
            skipped: 0,
            from_back: false,
            count: None,
            compared_max: usize::MAX,
        };
        let mut at = 3;
        while at < ctx.argc() {
            if at + 1 == ctx.argc() {
                return Err(Failure::Syntax);
            }
            if ctx.is(at, "rank") {
                let rank = rank(ctx, at + 1)?;
                search.from_back = rank < 0;
                search.skipped = usize::try_from(rank.unsigned_abs()).unwrap_or(usize::MAX) - 1;
            } else if ctx.is(at, "count") {
                let count = not_negative(ctx, at + 1, "ERR COUNT can't be negative")?;
                search.count = Some(if count == 0 { usize::MAX } else { count });
            } else if ctx.is(at, "maxlen") {
                let compared = not_negative(ctx, at + 1, "ERR MAXLEN can't be negative")?;
                search.compared_max = if compared == 0 { usize::MAX } else { compared };
            } else {
                return Err(Failure::Syntax);
            }
            at += 2;
        }
        Ok(search)
    }

    fn indexes(&self, list: &List) -> Vec<usize> {
        let matches = |(at, element): (usize, &[u8])| (element == self.element).then_some(at);
        let limit = self.count.unwrap_or(1);
        if self.from_back {
            let compared = list.iter_back().enumerate().take(self.compared_max);
            let found = compared.filter_map(matches).skip(self.skipped).take(limit);
            found.map(|back| list.len() - 1 - back).collect()
        } else {
            let compared = list.iter().enumerate().take(self.compared_max);
            compared.filter_map(matches).skip(self.skipped).take(limit).collect()
        }
    }
}

fn rank(ctx: &Ctx<'_>, at: usize) -> Result<i64, Failure> {
    match ctx.int(at)? {
        0 => Err(Failure::Text(
            "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the end of the list",
        )),
        i64::MIN => Err(Failure::Text(
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
        )),
        rank => Ok(rank),
    }
}

fn lpos(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    let search = Search::parse(ctx)?;
    let list = ctx.keys.list(ctx.key(1))?;
    let found = list.map_or_else(Vec::new, |list| search.indexes(list));
    if search.count.is_some() {
        ctx.reply.array(found.len());
        for index in found {
            ctx.reply.count(index);
        }
    } else {
        match found.first() {
            Some(index) => ctx.reply.count(*index),
            None => ctx.reply.null(),
        }
    }
    Ok(())
}
