//! `LCS`: the longest common subsequence of two strings.

use crate::call::Ctx;
use crate::command::{Command, Flags, Group, Handler, KeySpec};
use crate::failure::Failure;

pub(crate) const ROWS: &[Command] = &[Command {
    name: "lcs",
    arity: -3,
    flags: Flags::READONLY,
    keys: KeySpec::FIRST_TWO,
    since: "7.0.0",
    complexity: "O(N*M) where N and M are the lengths of s1 and s2, respectively",
    summary: "Finds the longest common substring.",
    handler: Handler::data(lcs),
    ..Command::of(Group::String)
}];

/// Table cells up to which the command runs: 256 MiB, about a second.
const CELLS_MAX: usize = 64 << 20;

#[derive(Clone, Copy, Debug, Default)]
struct Options {
    len: bool,
    idx: bool,
    with_match_len: bool,
    match_len_min: usize,
}

fn options(ctx: &Ctx<'_>) -> Result<Options, Failure> {
    let mut options = Options::default();
    let mut at = 3;
    while at < ctx.argc() {
        if ctx.is(at, "idx") {
            options.idx = true;
        } else if ctx.is(at, "len") {
            options.len = true;
        } else if ctx.is(at, "withmatchlen") {
            options.with_match_len = true;
        } else if ctx.is(at, "minmatchlen") && at + 1 < ctx.argc() {
            at += 1;
            options.match_len_min = usize::try_from(ctx.int(at)?).unwrap_or(0);
        } else {
            return Err(Failure::Syntax);
        }
        at += 1;
    }
    if options.idx && options.len {
        return Err(Failure::Text(
            "ERR If you want both the length and indexes, please just use IDX.",
        ));
    }
    Ok(options)
}

fn lcs(ctx: &mut Ctx<'_>) -> Result<(), Failure> {
    const NOT_STRINGS: Failure = Failure::Text("ERR The specified keys must contain string values");
    let (left, right) = (ctx.key(1), ctx.key(2));
    let left = ctx.keys.string(left).map_err(|_| NOT_STRINGS)?.unwrap_or_default();
    let right = ctx.keys.string(right).map_err(|_| NOT_STRINGS)?.unwrap_or_default();
    let options = options(ctx)?;
    let table = Table::fill(left, right)?;
    if options.len {
        ctx.reply.count(table.length());
        return Ok(());
    }
    let common = table.walk();
    if !options.idx {
        let bytes: Vec<u8> = common.iter().rev().map(|(at, _)| left[*at]).collect();
        ctx.reply.bulk(&bytes);
        return Ok(());
    }
    let runs: Vec<Run> =
        runs(&common).into_iter().filter(|run| run.len >= options.match_len_min).collect();
    ctx.reply.map(2);
    ctx.reply.bulk(b"matches");
    ctx.reply.array(runs.len());
    for run in runs {
        ctx.reply.array(2 + usize::from(options.with_match_len));
        for start in [run.left, run.right] {
            ctx.reply.array(2);
            ctx.reply.count(start);
            ctx.reply.count(start + run.len - 1);
        }
        if options.with_match_len {
            ctx.reply.count(run.len);
        }
    }
    ctx.reply.bulk(b"len");
    ctx.reply.count(table.length());
    Ok(())
}

/// Lengths of the longest common subsequences of all pairs of prefixes.
struct Table<'s> {
    left: &'s [u8],
    right: &'s [u8],
    cells: Vec<u32>,
}

impl<'s> Table<'s> {
    fn fill(left: &'s [u8], right: &'s [u8]) -> Result<Self, Failure> {
        let width = right.len() + 1;
        let cells = (left.len() + 1).checked_mul(width).filter(|cells| *cells <= CELLS_MAX);
        let cells = cells.ok_or(Failure::Text(
            "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
        ))?;
        let mut table = Self { left, right, cells: vec![0; cells] };
        for i in 1..=left.len() {
            for j in 1..width {
                let cell = if left[i - 1] == right[j - 1] {
                    table.at(i - 1, j - 1) + 1
                } else {
                    table.at(i - 1, j).max(table.at(i, j - 1))
                };
                table.cells[i * width + j] = cell;
            }
        }
        Ok(table)
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * (self.right.len() + 1) + j]
    }

    fn length(&self) -> usize {
        usize::try_from(self.at(self.left.len(), self.right.len())).unwrap_or(usize::MAX)
    }

    /// The positions of the common bytes in both strings, last first.
    fn walk(&self) -> Vec<(usize, usize)> {
        let (mut i, mut j) = (self.left.len(), self.right.len());
        let mut common = Vec::with_capacity(self.length());
        while i > 0 && j > 0 {
            if self.left[i - 1] == self.right[j - 1] {
                (i, j) = (i - 1, j - 1);
                common.push((i, j));
            } else if self.at(i - 1, j) > self.at(i, j - 1) {
                i -= 1;
            } else {
                j -= 1;
            }
        }
        common
    }
}

/// Common bytes that stand together in both strings.
struct Run {
    left: usize,
    right: usize,
    len: usize,
}

/// Joins positions, last first, to runs.
fn runs(common: &[(usize, usize)]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (left, right) in common.iter().copied() {
        match runs.last_mut() {
            Some(run) if run.left == left + 1 && run.right == right + 1 => {
                *run = Run { left, right, len: run.len + 1 };
            }
            _ => runs.push(Run { left, right, len: 1 }),
        }
    }
    runs
}
