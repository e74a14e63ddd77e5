//! Exact decimal numbers for counters: sums that do not depend on the order of their terms.
//!
//! A number is a whole count of 1e-17 in the ring of integers modulo 2^64 * 10^17. Whole numbers
//! therefore wrap as a 64-bit counter does, and sums of whole and decimal numbers are still the same in
//! every order. **Not here:** the limits that a client meets before anything wraps (the store's).

use std::ops::Add;

/// Decimals that are kept.
const DECIMALS: usize = 17;
/// One, in units.
const ONE: i128 = 10i128.pow(17);
/// What the ring counts to before it begins again.
const MODULUS: i128 = (1i128 << 64) * ONE;

/// A number with 17 decimals, at least -2^63 and less than 2^63.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Number(i128);

impl Number {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// A whole number.
    pub const fn from_int(value: i64) -> Self {
        Self(value as i128 * ONE)
    }

    /// Units of 1e-17, brought into the ring.
    pub const fn from_units(units: i128) -> Self {
        Self((units + MODULUS / 2).rem_euclid(MODULUS) - MODULUS / 2)
    }

    /// Units of 1e-17.
    pub const fn units(self) -> i128 {
        self.0
    }

    /// The whole number; `None` if it has decimals.
    pub fn as_int(self) -> Option<i64> {
        if self.0 % ONE == 0 { i64::try_from(self.0 / ONE).ok() } else { None }
    }

    /// A plain decimal number, as a client may have written it; `None` if it is none, has digits beyond
    /// the 17th decimal, or is out of range. Exponents are none: `INCRBYFLOAT` on such a text is a write
    /// of the result.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let negative = text.first() == Some(&b'-');
        let digits = if negative { &text[1..] } else { text };
        let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
        let (whole, fraction) = digits.split_at(point);
        let fraction = fraction.get(1..).unwrap_or_default();
        if whole.is_empty() || whole.len() > 20 || (point < digits.len() && fraction.is_empty()) {
            return None;
        }
        if fraction.iter().skip(DECIMALS).any(|byte| *byte != b'0') {
            return None;
        }
        let mut units = 0i128;
        for byte in whole {
            units = units * 10 + i128::from(digit(*byte)?);
        }
        for place in 0..DECIMALS {
            let byte = fraction.get(place).copied().unwrap_or(b'0');
            units = units * 10 + i128::from(digit(byte)?);
        }
        let units = if negative { -units } else { units };
        (-(MODULUS / 2)..MODULUS / 2).contains(&units).then_some(Self(units))
    }

    /// As text: no trailing zeros, no point without decimals.
    pub fn to_text(self) -> Box<[u8]> {
        let (whole, fraction) = ((self.0 / ONE).unsigned_abs(), (self.0 % ONE).unsigned_abs());
        let sign = if self.0 < 0 { "-" } else { "" };
        let text = if fraction == 0 {
            format!("{sign}{whole}")
        } else {
            let decimals = format!("{fraction:017}");
            format!("{sign}{whole}.{}", decimals.trim_end_matches('0'))
        };
        text.into_bytes().into_boxed_slice()
    }
}

const fn digit(byte: u8) -> Option<u8> {
    if byte.is_ascii_digit() { Some(byte - b'0') } else { None }
}

impl Add for Number {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::from_units(self.0 + other.0)
    }
}

/// What a register shows after additions: its text as it is if there were none, or if it is no number
/// (then `false`: the additions are ignored).
pub(crate) fn with_added(base: Option<&[u8]>, added: Option<Number>) -> (Option<Box<[u8]>>, bool) {
    let Some(added) = added else { return (base.map(Into::into), true) };
    let Some(text) = base else { return (Some(added.to_text()), true) };
    match Number::parse(text) {
        Some(number) => (Some((number + added).to_text()), true),
        None => (Some(text.into()), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_in_its_shortest_form() {
        let cases = [
            ("0", "0"),
            ("-0", "0"),
            ("007", "7"),
            ("1.50", "1.5"),
            ("-0.25", "-0.25"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("0.00000000000000001", "0.00000000000000001"),
        ];
        for (text, want) in cases {
            let number = Number::parse(text.as_bytes()).unwrap();
            assert_eq!(&*number.to_text(), want.as_bytes(), "{text}");
        }
        let wrong =
            ["", "-", "a", "1.", ".5", "1e3", "+1", "9223372036854775808", "0.000000000000000001"];
        for text in wrong {
            assert_eq!(Number::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn whole_numbers_wrap_as_64_bits_do_and_decimals_with_them() {
        let half = Number::parse(b"0.5").unwrap();
        let (max, one) = (Number::from_int(i64::MAX), Number::from_int(1));
        assert_eq!(max + one, Number::from_int(i64::MIN));
        assert_eq!((max + half) + one, (max + one) + half);
        assert_eq!((max + one) + half, half + (one + max));
    }
}
