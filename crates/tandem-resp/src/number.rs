//! Numbers as Redis reads them from arguments: strict, and never a panic.

/// A signed integer as Redis' `string2ll` accepts it: no plus, no space, no leading zero, no `-0`.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        // 19 digits is the most that fits; the accumulator below cannot overflow on them.
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let magnitude = decimal(digits)?;
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

/// An unsigned integer without plus, space or leading zero.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] if text.len() <= 20 => decimal(text),
        _ => None,
    }
}

/// The value of ASCII digits; `None` for any other byte and for what does not fit.
fn decimal(digits: &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(value)
}

/// A floating point number as Redis' `string2d` accepts it: what C's `strtod` reads, the whole text,
/// without leading space, not "nan", and neither overflowing nor vanishing. `inf`, `+inf`, `-inf`
/// and `infinity` are numbers; so are hexadecimal floats.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let (negative, unsigned) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if let [b'0', b'x' | b'X', hex @ ..] = unsigned {
        let value = hexadecimal_float(hex)?;
        return Some(if negative { -value } else { value });
    }
    let first = *unsigned.first()?;
    if first.is_ascii_alphabetic() {
        let infinite =
            unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity");
        let value = if negative { f64::NEG_INFINITY } else { f64::INFINITY };
        return infinite.then_some(value);
    }
    if !(first.is_ascii_digit() || first == b'.') {
        return None;
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (value.is_finite() && (value != 0.0 || mantissa_is_zero(unsigned))).then_some(value)
}

/// Whether all digits before an exponent are zero, so that the value 0 is exact.
fn mantissa_is_zero(unsigned: &[u8]) -> bool {
    unsigned
        .iter()
        .take_while(|byte| !matches!(byte, b'e' | b'E'))
        .all(|byte| matches!(byte, b'0' | b'.'))
}

/// The part of a hexadecimal float after `0x`, as in `1.8p3`.
fn hexadecimal_float(text: &[u8]) -> Option<f64> {
    let mut mantissa: f64 = 0.0;
    let mut exponent: i32 = 0;
    let mut digits = 0_u32;
    let mut after_point = false;
    let mut rest = text;
    while let [byte, tail @ ..] = rest {
        if *byte == b'.' && !after_point {
            after_point = true;
        } else if let Some(digit) = char::from(*byte).to_digit(16) {
            digits = digits.saturating_add(1);
            mantissa = mantissa.mul_add(16.0, f64::from(digit));
            if after_point {
                exponent = exponent.checked_sub(4)?;
            }
        } else {
            break;
        }
        rest = tail;
    }
    if digits == 0 {
        return None;
    }
    if let [b'p' | b'P', power @ ..] = rest {
        let text = std::str::from_utf8(power).ok()?;
        exponent = exponent.checked_add(text.parse::<i32>().ok()?)?;
    } else if !rest.is_empty() {
        return None;
    }
    let value = mantissa * 2.0_f64.powi(exponent);
    (value.is_finite() && (value != 0.0 || mantissa == 0.0)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_as_strict_as_string2ll() {
        for (text, want) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("99999999999999999999999999", None),
            ("", None),
            ("-", None),
            ("-0", None),
            ("+1", None),
            ("01", None),
            (" 1", None),
            ("1 ", None),
            ("1\0", None),
            ("1e3", None),
        ] {
            assert_eq!(parse_i64(text.as_bytes()), want, "{text:?}");
        }
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"-1"), None);
        assert_eq!(parse_u64(b"00"), None);
    }

    #[test]
    fn floats_are_what_strtod_reads_in_full() {
        for (text, want) in [
            ("1.5", Some(1.5)),
            ("+1", Some(1.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("-1e3", Some(-1000.0)),
            ("inf", Some(f64::INFINITY)),
            ("+Infinity", Some(f64::INFINITY)),
            ("-INF", Some(f64::NEG_INFINITY)),
            ("0x10", Some(16.0)),
            ("-0x1.8p1", Some(-3.0)),
            ("0e400", Some(0.0)),
            ("nan", None),
            ("1e400", None),
            ("1e-400", None),
            (" 1", None),
            ("1 ", None),
            ("", None),
            (".", None),
            ("-", None),
            ("--1", None),
            ("1e", None),
            ("0x", None),
            ("0xp1", None),
            ("1_0", None),
            ("infin", None),
        ] {
            assert_eq!(parse_f64(text.as_bytes()), want, "{text:?}");
        }
        assert_eq!(parse_f64(b"\xff"), None);
    }
}
