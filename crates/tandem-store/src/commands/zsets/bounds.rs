//! Ranges of scores and of members as clients write them, and the ranks they mean.

use std::ops::Range;

use crate::failure::Failure;
use crate::value::zset::Zset;

/// One end of a range.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound<T> {
    /// Nothing is beyond it.
    Lowest,
    /// It is in the range.
    Included(T),
    /// It is not.
    Excluded(T),
    /// Everything is before it.
    Highest,
}

/// From one score to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ScoreRange {
    min: Bound<f64>,
    max: Bound<f64>,
}

/// From one member to another, in order of bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LexRange<'c> {
    min: Bound<&'c [u8]>,
    max: Bound<&'c [u8]>,
}

impl ScoreRange {
    /// Reads both ends: a number, or `(` and a number that is not in.
    pub(crate) fn parse(min: &[u8], max: &[u8]) -> Result<Self, Failure> {
        let bounds = score_bound(min).zip(score_bound(max));
        let (min, max) = bounds.ok_or(Failure::Text("ERR min or max is not a float"))?;
        Ok(Self { min, max })
    }

    /// The ranks of the members in it.
    pub(crate) fn ranks(self, zset: &Zset) -> Range<usize> {
        let start = zset.count_while(|_, score| self.min.is_above(&score));
        let end = zset.count_while(|_, score| !self.max.is_below(&score));
        start..end.max(start)
    }
}

impl<'c> LexRange<'c> {
    /// Reads both ends: `-`, `+`, or a member after `[` if it is in, after `(` if it is not.
    pub(crate) fn parse(min: &'c [u8], max: &'c [u8]) -> Result<Self, Failure> {
        let bounds = lex_bound(min).zip(lex_bound(max));
        let (min, max) =
            bounds.ok_or(Failure::Text("ERR min or max not valid string range item"))?;
        Ok(Self { min, max })
    }

    /// The ranks of the members in it; means something if all scores are equal.
    pub(crate) fn ranks(self, zset: &Zset) -> Range<usize> {
        let start = zset.count_while(|member, _| self.min.is_above(&member));
        let end = zset.count_while(|member, _| !self.max.is_below(&member));
        start..end.max(start)
    }
}

impl<T: PartialOrd> Bound<T> {
    /// True if this lower end keeps `value` out.
    fn is_above(&self, value: &T) -> bool {
        match self {
            Self::Lowest => false,
            Self::Included(bound) => value < bound,
            Self::Excluded(bound) => value <= bound,
            Self::Highest => true,
        }
    }

    /// True if this upper end keeps `value` out.
    fn is_below(&self, value: &T) -> bool {
        match self {
            Self::Lowest => true,
            Self::Included(bound) => value > bound,
            Self::Excluded(bound) => value >= bound,
            Self::Highest => false,
        }
    }
}

fn score_bound(text: &[u8]) -> Option<Bound<f64>> {
    // Redis reads with plain `strtod` here: no digits are 0, space before them is passed over.
    let number = |text: &[u8]| match text.trim_ascii_start() {
        [] if text.is_empty() => Some(0.0),
        text => tandem_resp::parse_f64(text),
    };
    match text {
        [b'(', rest @ ..] => number(rest).map(Bound::Excluded),
        text => number(text).map(Bound::Included),
    }
}

fn lex_bound(text: &[u8]) -> Option<Bound<&[u8]>> {
    match text {
        b"-" => Some(Bound::Lowest),
        b"+" => Some(Bound::Highest),
        [b'[', member @ ..] => Some(Bound::Included(member)),
        [b'(', member @ ..] => Some(Bound::Excluded(member)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Limits;

    fn letters() -> Zset {
        let mut zset = Zset::default();
        for member in [b"a", b"b", b"c", b"d"] {
            zset.insert(member, 0.0, &Limits::default());
        }
        zset
    }

    #[test]
    fn ends_are_in_or_out_as_written() {
        let mut zset = Zset::default();
        for (member, score) in [(b"a", 1.0), (b"b", 2.0), (b"c", 2.0), (b"d", 3.0)] {
            zset.insert(member, score, &Limits::default());
        }
        for ((min, max), want) in [
            (("1", "2"), 0..3),
            (("(1", "2"), 1..3),
            (("1", "(2"), 0..1),
            (("(2", "+inf"), 3..4),
            (("-inf", "inf"), 0..4),
            (("(1", "(1"), 1..1),
            (("5", "1"), 4..4),
            (("2.5", "2.6"), 3..3),
        ] {
            let range = ScoreRange::parse(min.as_bytes(), max.as_bytes()).unwrap();
            assert_eq!(range.ranks(&zset), want, "{min} {max}");
        }
        assert!(ScoreRange::parse(b"a", b"1").is_err() && ScoreRange::parse(b"1", b"nan").is_err());
    }

    #[test]
    fn members_are_between_members() {
        for ((min, max), want) in [
            (("-", "+"), 0..4),
            (("[b", "[c"), 1..3),
            (("(b", "[c"), 2..3),
            (("[b", "(c"), 1..2),
            (("-", "[b"), 0..2),
            (("+", "-"), 4..4),
            (("[bb", "+"), 2..4),
            (("[", "["), 0..0),
            (("-", "-"), 0..0),
        ] {
            let range = LexRange::parse(min.as_bytes(), max.as_bytes()).unwrap();
            assert_eq!(range.ranks(&letters()), want, "{min} {max}");
        }
        for text in ["", "a", "++", "--"] {
            assert!(LexRange::parse(text.as_bytes(), b"+").is_err(), "{text}");
        }
    }
}
