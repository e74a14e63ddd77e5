//! Which words of a command are keys.

use tandem_resp::Args;

use crate::failure::Failure;

/// Keys at regular places.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyRange {
    /// Position of the first key.
    pub first: i32,
    /// Position of the last key; negative counts from the end.
    pub last: i32,
    /// Distance between keys.
    pub step: i32,
}

impl KeyRange {
    pub(super) fn positions(self, argc: usize, out: &mut Vec<usize>) {
        let argc = i32::try_from(argc).unwrap_or(i32::MAX);
        let last = if self.last < 0 { argc + self.last } else { self.last.min(argc - 1) };
        let mut at = self.first;
        while at > 0 && at <= last {
            out.push(usize::try_from(at).unwrap_or(0));
            at = at.saturating_add(self.step.max(1));
        }
    }
}

/// Finds the keys among a command's words.
pub type FindKeys = fn(&Args<'_>, &mut Vec<usize>) -> Result<(), Failure>;

/// Which words of a command are keys.
#[derive(Clone, Copy, Debug)]
pub enum KeySpec {
    /// None.
    None,
    /// Those at regular places.
    Range(KeyRange),
    /// Those that a look at the words finds; `range` is what `COMMAND INFO` shows.
    Movable {
        /// The regular part.
        range: KeyRange,
        /// Finds all of them.
        find: FindKeys,
    },
}

impl KeySpec {
    /// The word after the name.
    pub(crate) const FIRST: Self = Self::range(1, 1, 1);
    /// The two words after the name.
    pub(crate) const FIRST_TWO: Self = Self::range(1, 2, 1);
    /// All words after the name.
    pub(crate) const ALL: Self = Self::range(1, -1, 1);
    /// All words after the name but the last.
    pub(crate) const ALL_BUT_LAST: Self = Self::range(1, -2, 1);

    /// Keys at regular places.
    pub(crate) const fn range(first: i32, last: i32, step: i32) -> Self {
        Self::Range(KeyRange { first, last, step })
    }

    /// `numkeys` at `count_at`, the keys after it (`LMPOP`, `ZUNION`); plus a key at `destination`
    /// if that is not 0 is for the caller's own `find`.
    pub(crate) const fn counted_at_first() -> Self {
        Self::Movable { range: KeyRange { first: 0, last: 0, step: 0 }, find: counted_at_1 }
    }

    /// As above, with `numkeys` as the second argument (`BLMPOP timeout numkeys key ...`).
    pub(crate) const fn counted_at_second() -> Self {
        Self::Movable { range: KeyRange { first: 0, last: 0, step: 0 }, find: counted_at_2 }
    }

    /// A destination, then `numkeys` and the keys (`ZUNIONSTORE`).
    pub(crate) const fn destination_and_counted() -> Self {
        Self::Movable {
            range: KeyRange { first: 1, last: 1, step: 1 },
            find: destination_and_counted,
        }
    }

    /// What `COMMAND INFO` shows as first, last and step.
    pub const fn shown(&self) -> KeyRange {
        match self {
            Self::None => KeyRange { first: 0, last: 0, step: 0 },
            Self::Range(range) | Self::Movable { range, .. } => *range,
        }
    }
}

fn counted_at_1(args: &Args<'_>, out: &mut Vec<usize>) -> Result<(), Failure> {
    counted(args, 1, out)
}

fn counted_at_2(args: &Args<'_>, out: &mut Vec<usize>) -> Result<(), Failure> {
    counted(args, 2, out)
}

fn destination_and_counted(args: &Args<'_>, out: &mut Vec<usize>) -> Result<(), Failure> {
    out.push(1);
    counted(args, 2, out)
}

/// The keys after the count at `count_at`.
pub(crate) fn counted(
    args: &Args<'_>,
    count_at: usize,
    out: &mut Vec<usize>,
) -> Result<(), Failure> {
    const INVALID: Failure = Failure::Text("ERR Invalid arguments specified for command");
    let count = args.opt(count_at).and_then(tandem_resp::parse_i64).ok_or(INVALID)?;
    let count = usize::try_from(count).map_err(|_| INVALID)?;
    let first = count_at + 1;
    if count == 0 || count > args.len().saturating_sub(first) {
        return Err(INVALID);
    }
    out.extend(first..first + count);
    Ok(())
}
