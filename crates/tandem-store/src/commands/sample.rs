//! Random choices: the numbers of elements for `SRANDMEMBER`, `HRANDFIELD` and the like.

use std::collections::BTreeSet;

use crate::call::Ctx;
use crate::failure::Failure;
use crate::keys::Keys;

/// Elements that one command may draw with repetition: Redis draws until memory ends.
const REPEATED_MAX: usize = 1 << 26;

/// How many random elements a client wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Draw {
    /// That many different ones, or all.
    Distinct(usize),
    /// Exactly that many; the same may come again.
    Repeated(usize),
}

impl Draw {
    /// Reads a count, negative for repetition; `parts` is the number of replies per element.
    pub(crate) fn parse(ctx: &Ctx<'_>, at: usize, parts: i64) -> Result<Self, Failure> {
        const OUT_OF_RANGE: Failure = Failure::Text("ERR value is out of range");
        let count = ctx.int(at)?;
        if count == i64::MIN {
            return Err(Failure::Text(
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ));
        }
        let size = usize::try_from(count.unsigned_abs()).map_err(|_| OUT_OF_RANGE)?;
        if count.abs() > i64::MAX / parts || (count < 0 && size > REPEATED_MAX) {
            return Err(OUT_OF_RANGE);
        }
        Ok(if count < 0 { Self::Repeated(size) } else { Self::Distinct(size) })
    }

    /// The numbers of the elements drawn out of `len`.
    pub(crate) fn numbers(self, len: usize, keys: &Keys<'_>) -> Vec<usize> {
        match self {
            Self::Repeated(_) if len == 0 => Vec::new(),
            Self::Repeated(count) => (0..count).map(|_| keys.random_below(len)).collect(),
            Self::Distinct(count) if count >= len => (0..len).collect(),
            Self::Distinct(count) => distinct(count, len, keys),
        }
    }
}

/// `count` different numbers below `len`, each set of them as likely as any other.
fn distinct(count: usize, len: usize, keys: &Keys<'_>) -> Vec<usize> {
    if count > len / 4 {
        let mut numbers: Vec<usize> = (0..len).collect();
        for at in 0..count {
            numbers.swap(at, at + keys.random_below(len - at));
        }
        numbers.truncate(count);
        return numbers;
    }
    // Few out of many: a number that was drawn already is drawn again.
    let mut seen = BTreeSet::new();
    let mut numbers = Vec::with_capacity(count);
    while numbers.len() < count {
        let number = keys.random_below(len);
        if seen.insert(number) {
            numbers.push(number);
        }
    }
    numbers
}
