//! Ranges as clients write them: first and last index, both included, negative ones from the end.

use std::ops::Range;

/// The part of `0..len` that `first` to `last` means; empty if there is none.
pub(crate) fn index_range(first: i64, last: i64, len: usize) -> Range<usize> {
    let from_end = |index: i64| {
        if index >= 0 {
            return usize::try_from(index).unwrap_or(usize::MAX);
        }
        let back = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
        len.saturating_sub(back)
    };
    let end = if last < 0 && last.unsigned_abs() > len as u64 {
        0
    } else {
        from_end(last).saturating_add(1).min(len)
    };
    let start = from_end(first).min(end);
    start..end
}

/// The element that an index means; `None` if it is outside.
pub(crate) fn index_of(index: i64, len: usize) -> Option<usize> {
    let found = if index >= 0 {
        usize::try_from(index).ok()?
    } else {
        len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?
    };
    (found < len).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_count_from_both_ends_and_are_clamped() {
        for ((first, last, len), want) in [
            ((0, -1, 5), 0..5),
            ((1, 3, 5), 1..4),
            ((-3, -2, 5), 2..4),
            ((-100, 100, 5), 0..5),
            ((3, 1, 5), 2..2),
            ((5, 10, 5), 5..5),
            ((0, -6, 5), 0..0),
            ((0, -1, 0), 0..0),
            ((i64::MIN, i64::MAX, 5), 0..5),
            ((i64::MAX, i64::MIN, 5), 0..0),
        ] {
            assert_eq!(index_range(first, last, len), want, "{first} {last} of {len}");
        }
        assert_eq!([index_of(0, 2), index_of(-1, 2), index_of(-2, 2)], [Some(0), Some(1), Some(0)]);
        assert_eq!([index_of(2, 2), index_of(-3, 2), index_of(i64::MIN, 2)], [None; 3]);
    }
}
