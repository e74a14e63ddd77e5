//! `MAXLEN` and `MINID`: which entries of a stream are too many or too old.

use super::ids;
use crate::call::Ctx;
use crate::edit::stream::StreamEdit;
use crate::failure::Failure;
use crate::value::stream::Stream;
use crate::value::stream::id::StreamId;

/// What is kept.
#[derive(Clone, Copy, Debug)]
enum Keep {
    /// At most so many.
    Entries(usize),
    /// Those from this id on.
    From(StreamId),
}

/// A request to trim.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trim {
    keep: Keep,
    /// `~`: whole blocks only, and at most so many entries.
    roughly: Option<usize>,
}

/// Options before the id of `XADD`, or those of `XTRIM`, while they are read.
#[derive(Debug, Default)]
pub(super) struct TrimOptions {
    keep: Option<Keep>,
    roughly: bool,
    limit: Option<usize>,
}

/// Blocks that a rough trim without `LIMIT` removes entries of.
const ROUGH_BLOCKS: u64 = 100;
const ROUGH_ENTRIES_MAX: u64 = 1_000_000;
const ROUGH_ENTRIES_WITHOUT_BLOCKS: u64 = 10_000;

impl TrimOptions {
    /// Reads the option at word `at`, if it is one, and gives the position after it.
    pub(super) fn read(&mut self, ctx: &Ctx<'_>, at: usize) -> Result<Option<usize>, Failure> {
        let more = at + 1 < ctx.argc();
        if more && (ctx.is(at, "maxlen") || ctx.is(at, "minid")) {
            return self.threshold(ctx, at).map(Some);
        }
        if more && ctx.is(at, "limit") {
            let limit = ctx.int(at + 1)?;
            let limit = usize::try_from(limit)
                .map_err(|_| Failure::Text("ERR The LIMIT argument must be >= 0."))?;
            self.limit = Some(limit);
            return Ok(Some(at + 2));
        }
        Ok(None)
    }

    fn threshold(&mut self, ctx: &Ctx<'_>, at: usize) -> Result<usize, Failure> {
        if self.keep.is_some() {
            return Err(Failure::Text(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        let by_length = ctx.is(at, "maxlen");
        let mut value = at + 1;
        self.roughly = false;
        if value + 1 < ctx.argc() && matches!(ctx.arg(value), b"~" | b"=") {
            self.roughly = ctx.arg(value) == b"~";
            value += 1;
        }
        self.keep = Some(if by_length {
            let most = usize::try_from(ctx.int(value)?)
                .map_err(|_| Failure::Text("ERR The MAXLEN argument must be >= 0."))?;
            Keep::Entries(most)
        } else {
            Keep::From(ids::exact(ctx.arg(value), 0)?)
        });
        Ok(value + 1)
    }

    /// What was asked for; `None`: not to trim.
    pub(super) fn finish(self, ctx: &Ctx<'_>) -> Result<Option<Trim>, Failure> {
        let Some(keep) = self.keep else {
            return match self.limit {
                None => Ok(None),
                Some(_) => Err(Failure::Text(
                    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
                )),
            };
        };
        if self.limit.is_some() && !self.roughly {
            return Err(Failure::Text(
                "ERR syntax error, LIMIT cannot be used without the special ~ option",
            ));
        }
        let roughly = self.roughly.then(|| match self.limit {
            None => usual_limit(ctx),
            Some(0) => usize::MAX,
            Some(limit) => limit,
        });
        Ok(Some(Trim { keep, roughly }))
    }
}

fn usual_limit(ctx: &Ctx<'_>) -> usize {
    let limit = match ctx.keys.limits().stream_node_max_entries.saturating_mul(ROUGH_BLOCKS) {
        0 => ROUGH_ENTRIES_WITHOUT_BLOCKS,
        limit => limit.min(ROUGH_ENTRIES_MAX),
    };
    usize::try_from(limit).unwrap_or(usize::MAX)
}

impl Trim {
    /// Removes what is too much; how many entries that were.
    pub(super) fn apply(self, stream: &mut StreamEdit<'_>) -> usize {
        let count = self.count(stream);
        stream.trim(count);
        count
    }

    fn count(self, stream: &Stream) -> usize {
        let entries = stream.entries();
        let exact = match self.keep {
            Keep::Entries(most) => entries.len().saturating_sub(most),
            Keep::From(id) => entries.count_before(id),
        };
        let Some(limit) = self.roughly else { return exact };
        let mut count = 0;
        for (block, _) in entries.blocks() {
            if count + block > exact.min(limit) {
                break;
            }
            count += block;
        }
        count
    }
}
