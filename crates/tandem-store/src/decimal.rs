//! Sums of decimal numbers for `INCRBYFLOAT` and `HINCRBYFLOAT`.
//!
//! Redis adds in 80-bit floats and shows 17 decimals with trailing zeros cut. Here the sum is exact in
//! units of 1e-17, which shows the same digits, does not depend on the machine, and can be merged in
//! any order. Numbers too large for that (beyond 1e21) are added as 64-bit floats.

use crate::failure::Failure;

/// Decimals that are kept.
const DECIMALS: i32 = 17;

/// The sum of two numbers as text, as Redis would show it.
pub(crate) fn add(left: &[u8], right: &[u8]) -> Result<Vec<u8>, Failure> {
    let floats = (tandem_resp::parse_f64(left), tandem_resp::parse_f64(right));
    let (left_float, right_float) = match floats {
        (Some(left), Some(right)) => (left, right),
        (Some(number), None) if number.is_infinite() && is_long_double(right) => {
            return Err(Failure::NotFinite);
        }
        (None, Some(number)) if number.is_infinite() && is_long_double(left) => {
            return Err(Failure::NotFinite);
        }
        _ => return Err(Failure::NotFloat),
    };
    let exact = units(left).zip(units(right)).and_then(|(left, right)| left.checked_add(right));
    if let Some(sum) = exact {
        return Ok(show(sum));
    }
    let sum = left_float + right_float;
    if !sum.is_finite() {
        return Err(Failure::NotFinite);
    }
    Ok(trimmed(&format!("{sum:.17}")))
}

/// Too large for 64 bits, but a number in Redis' 80.
fn is_long_double(text: &[u8]) -> bool {
    /// The largest one is 1.19e4932; with this less in the exponent it fits.
    const LESS: i32 = 4624;
    const LARGEST: f64 = 1.189_731_495_357_231_8e308;
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent = exponent.parse::<i32>().ok().and_then(|exponent| exponent.checked_sub(LESS));
    let smaller =
        exponent.and_then(|exponent| format!("{mantissa}e{exponent}").parse::<f64>().ok());
    smaller.is_some_and(|number| number.abs() <= LARGEST)
}

/// The number in units of 1e-17, rounded half away from zero; `None` if it is no plain decimal number
/// or too large.
fn units(text: &[u8]) -> Option<i128> {
    let negative = text.starts_with(b"-");
    let text = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    let exponent_at = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = match exponent_at {
        None => (text, 0),
        Some(at) => {
            let exponent = std::str::from_utf8(&text[at + 1..]).ok()?;
            (&text[..at], exponent.parse::<i32>().ok()?)
        }
    };
    let mut digits = 0i128;
    let mut scale = 0i32;
    let mut point = false;
    for byte in mantissa {
        match byte {
            b'.' if !point => point = true,
            b'0'..=b'9' => {
                // More digits than fit: those behind the point beyond 17 do not count anyway.
                if point && scale > DECIMALS && exponent <= 0 {
                    continue;
                }
                digits = digits.checked_mul(10)?.checked_add(i128::from(byte - b'0'))?;
                scale += i32::from(point);
            }
            _ => return None,
        }
    }
    let shift = DECIMALS.checked_add(exponent)?.checked_sub(scale)?;
    let units = if shift >= 0 {
        if digits == 0 { 0 } else { digits.checked_mul(power_of_ten(shift)?)? }
    } else if let Some(divisor) = power_of_ten(-shift) {
        let half = divisor / 2;
        digits.checked_add(half)? / divisor
    } else {
        0
    };
    Some(if negative { -units } else { units })
}

fn power_of_ten(exponent: i32) -> Option<i128> {
    10i128.checked_pow(u32::try_from(exponent).ok()?)
}

fn show(units: i128) -> Vec<u8> {
    let one = 10i128.pow(DECIMALS.unsigned_abs());
    let (whole, fraction) = ((units / one).unsigned_abs(), (units % one).unsigned_abs());
    let sign = if units < 0 { "-" } else { "" };
    trimmed(&format!("{sign}{whole}.{fraction:017}"))
}

fn trimmed(text: &str) -> Vec<u8> {
    let cut = text.trim_end_matches('0').trim_end_matches('.');
    if cut == "-0" { b"0".to_vec() } else { cut.as_bytes().to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_read_as_in_redis() {
        for (left, right, sum) in [
            ("10.50", "0.1", "10.6"),
            ("0", "1.23", "1.23"),
            ("1", "-1.1", "-0.1"),
            ("3.0e3", "200", "3200"),
            ("17179869184", "17179869184.0", "34359738368"),
            ("0.024390243902439025", "-0.024390243902439025", "0"),
            ("-0", "-0.0", "0"),
            ("5.0e-18", "0", "0.00000000000000001"),
            ("4e-18", "0", "0"),
            ("0.1", "0.2", "0.3"),
        ] {
            let got = add(left.as_bytes(), right.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(got).unwrap(), sum, "{left} + {right}");
        }
    }

    #[test]
    fn what_is_no_number_or_none_any_more_is_refused() {
        assert_eq!(add(b"a", b"1"), Err(Failure::NotFloat));
        assert_eq!(add(b"1", b" 1"), Err(Failure::NotFloat));
        assert_eq!(add(b"1", b"inf"), Err(Failure::NotFinite));
        assert_eq!(add(b"1e400", b"-inf"), Err(Failure::NotFinite), "a number in 80 bits");
        assert_eq!(add(b"+inf", b"-1.5E+4000"), Err(Failure::NotFinite));
        assert_eq!(add(b"1e5000", b"inf"), Err(Failure::NotFloat), "not even there");
        assert_eq!(add(b"1ee4", b"inf"), Err(Failure::NotFloat));
        assert_eq!(add(b"1e308", b"1e308").err(), Some(Failure::NotFinite));
        assert!(add(b"1e300", b"1").unwrap().starts_with(b"1000000000000000052504760255204"));
    }
}
