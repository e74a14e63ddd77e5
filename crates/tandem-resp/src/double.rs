//! Floating point numbers as text: the shortest that reads back the same, laid out as Redis does.

use std::io::Write;

/// Digits, sign, point and exponent of any f64 in scientific notation take 24 bytes; rounded up.
const SCIENTIFIC_BYTES_MAX: usize = 32;

/// Appends `value` as Redis 7.2's `d2string`: integers in full up to 2^62, otherwise the shortest
/// digits that read back the same, with an exponent where `fpconv_dtoa` uses one.
pub fn write_double(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"nan");
    } else if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"inf" } else { b"-inf" });
    } else if value == 0.0 {
        out.extend_from_slice(if value.is_sign_negative() { b"-0" } else { b"0" });
    } else if let Some(whole) = exact_integer(value) {
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
    } else {
        write_shortest(out, value);
    }
}

/// Appends `value` without an exponent, as the answers of `INCRBYFLOAT` and `HINCRBYFLOAT` are
/// written; minus zero is `0`.
pub fn write_plain_double(out: &mut Vec<u8>, value: f64) {
    if value == 0.0 {
        out.push(b'0');
    } else if value.is_finite() {
        // Writing to a Vec cannot fail.
        write!(out, "{value}").unwrap_or_default();
    } else {
        write_double(out, value);
    }
}

/// The integer that `value` is, if it is one below 2^62 in size (Redis' `double2ll`).
fn exact_integer(value: f64) -> Option<i64> {
    const LIMIT: f64 = 4_611_686_018_427_387_904.0;
    if value.abs() > LIMIT || value.fract() != 0.0 {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "integral and below 2^62 in size")]
    let whole = value as i64;
    Some(whole)
}

/// Lays out the shortest digits as `fpconv`'s `emit_digits`.
fn write_shortest(out: &mut Vec<u8>, value: f64) {
    let mut scratch = [0_u8; SCIENTIFIC_BYTES_MAX];
    let mut cursor = &mut scratch[..];
    let written = write!(cursor, "{:e}", value.abs()).is_ok();
    let left = cursor.len();
    debug_assert!(written, "an f64 in scientific notation fits {SCIENTIFIC_BYTES_MAX} bytes");
    let text = scratch.get(..SCIENTIFIC_BYTES_MAX - left).unwrap_or_default();

    // "d.ddde-x" as the digits alone and the power of ten of the last one.
    let mut digits = [0_u8; SCIENTIFIC_BYTES_MAX];
    let mut count = 0_usize;
    let mut parts = text.split(|&byte| byte == b'e');
    for &byte in parts.next().unwrap_or_default().iter().filter(|&&byte| byte != b'.') {
        if let Some(place) = digits.get_mut(count) {
            *place = byte;
            count += 1;
        }
    }
    let exponent = parts.next().and_then(crate::parse_i64).unwrap_or_default();
    let digits = digits.get(..count).unwrap_or_default();
    if value < 0.0 {
        out.push(b'-');
    }
    lay_out(out, digits, exponent);
}

/// Writes `digits` of the number d.ddd * 10^`exponent`.
fn lay_out(out: &mut Vec<u8>, digits: &[u8], exponent: i64) {
    let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
    let last_power = exponent - (count - 1);
    let size = exponent.unsigned_abs();
    if last_power >= 0 && exponent < count + 7 {
        out.extend_from_slice(digits);
        out.extend(std::iter::repeat_n(b'0', usize::try_from(last_power).unwrap_or_default()));
    } else if last_power < 0 && (last_power > -7 || size < 4) {
        match usize::try_from(exponent + 1) {
            Ok(whole) if whole > 0 => {
                let (before, after) = digits.split_at(whole.min(digits.len()));
                out.extend_from_slice(before);
                out.push(b'.');
                out.extend_from_slice(after);
            }
            _ => {
                out.extend_from_slice(b"0.");
                let zeros = usize::try_from(-exponent - 1).unwrap_or_default();
                out.extend(std::iter::repeat_n(b'0', zeros));
                out.extend_from_slice(digits);
            }
        }
    } else {
        if let [first, rest @ ..] = digits {
            out.push(*first);
            if !rest.is_empty() {
                out.push(b'.');
                out.extend_from_slice(rest);
            }
        }
        out.extend_from_slice(if exponent < 0 { b"e-" } else { b"e+" });
        out.extend_from_slice(itoa::Buffer::new().format(size).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_f64;

    fn text(value: f64) -> String {
        let mut out = Vec::new();
        write_double(&mut out, value);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_look_as_in_redis_7_2() {
        for (value, want) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (3.0, "3"),
            (-1e10, "-10000000000"),
            (1e18, "1000000000000000000"),
            (1e19, "1e+19"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (3.000_000_000_000_000_4, "3.0000000000000004"),
            (-2.25e-5, "-2.25e-5"),
            (-2.25e-3, "-0.00225"),
            (1e-5, "0.00001"),
            (1e-7, "1e-7"),
            (1.5e300, "1.5e+300"),
            (1.25e-10, "1.25e-10"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::from_bits(1), "5e-324"),
        ] {
            assert_eq!(text(value), want);
        }
    }

    #[test]
    fn plain_doubles_have_no_exponent() {
        for (value, want) in [(-0.0, "0"), (5e20, "500000000000000000000"), (1e-7, "0.0000001")] {
            let mut out = Vec::new();
            write_plain_double(&mut out, value);
            assert_eq!(String::from_utf8(out).unwrap(), want);
        }
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let mut bits = 0x1234_5678_9abc_def0_u64;
        for _ in 0..20_000 {
            bits = bits.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let value = f64::from_bits(bits);
            if value.is_finite() {
                let read = parse_f64(text(value).as_bytes()).unwrap();
                assert_eq!(read.to_bits(), value.to_bits(), "{value:e}");
            }
        }
    }
}
