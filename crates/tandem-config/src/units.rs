//! Durations (`"500ms"`, `"1s"`, `"3m"`, `"0s"`) and sizes (`"1GiB"`), read and written.

use std::time::Duration;

/// Unit and its length in milliseconds, longest first.
const DURATION_UNITS: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Unit and its size in bytes, largest first. Decimal units are read but not written.
const SIZE_UNITS: &[(&str, u64)] =
    &[("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Decimal units, and the short forms that Redis' configuration uses for powers of two.
const OTHER_SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

/// Reads a duration: a whole number and a unit, `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the text.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_unit(text)?;
    if unit.is_empty() && number == 0 {
        return Ok(Duration::ZERO);
    }
    if unit.is_empty() {
        return Err("has no unit; write for example \"500ms\", \"1s\", \"3m\"".to_owned());
    }
    let Some((_, millis)) = DURATION_UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("has the unknown unit \"{unit}\"; the units are ms, s, m, h, d"));
    };
    number
        .checked_mul(*millis)
        .map(Duration::from_millis)
        .ok_or_else(|| "is too long to be counted".to_owned())
}

/// Reads a size: a whole number of bytes, or one with a unit such as `KiB`, `MiB`, `GiB`.
///
/// # Errors
/// What is wrong with it, as the end of a sentence that begins with the text.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = split_unit(text)?;
    if unit.is_empty() {
        return Ok(number);
    }
    let known = SIZE_UNITS.iter().chain(OTHER_SIZE_UNITS);
    let Some((_, bytes)) = known.clone().find(|(name, _)| *name == unit) else {
        return Err(format!(
            "has the unknown unit \"{unit}\"; write for example \"64MiB\", \"1GiB\""
        ));
    };
    number.checked_mul(*bytes).ok_or_else(|| "is too large to be counted".to_owned())
}

/// The number in front and the unit behind.
fn split_unit(text: &str) -> Result<(u64, &str), String> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err("is negative; it must be 0 or more".to_owned());
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err("does not begin with a number".to_owned());
    }
    let unit = unit.trim_start();
    if unit.starts_with(['.', ',', '_']) {
        return Err("is not a whole number; use a smaller unit instead of a fraction".to_owned());
    }
    let number = number.parse().map_err(|_| "is too large to be counted".to_owned())?;
    Ok((number, unit))
}

/// Writes a duration so that [`parse_duration`] reads it back, in the largest unit that is exact.
pub fn format_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    exact(millis, DURATION_UNITS).unwrap_or_else(|| format!("{millis}ms"))
}

/// Writes a size so that [`parse_size`] reads it back, in the largest unit that is exact.
pub fn format_size(bytes: u64) -> String {
    if bytes == 0 {
        return "0".to_owned();
    }
    exact(bytes, SIZE_UNITS).unwrap_or_else(|| bytes.to_string())
}

fn exact(amount: u64, units: &[(&str, u64)]) -> Option<String> {
    let (name, unit) = units.iter().find(|(_, unit)| amount.is_multiple_of(*unit))?;
    Some(format!("{}{name}", amount / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_back() {
        for (text, millis, back) in [
            ("0s", 0, "0s"),
            ("500ms", 500, "500ms"),
            ("1s", 1_000, "1s"),
            ("1500ms", 1_500, "1500ms"),
            ("3m", 180_000, "3m"),
            ("60 s", 60_000, "1m"),
            ("24h", 86_400_000, "1d"),
        ] {
            let duration = parse_duration(text).unwrap();
            assert_eq!(duration, Duration::from_millis(millis), "{text}");
            assert_eq!(format_duration(duration), back, "{text}");
        }
    }

    #[test]
    fn bad_durations_say_what_is_wrong() {
        for (text, part) in [
            ("5", "no unit"),
            ("-1s", "negative"),
            ("1.5s", "whole number"),
            ("s", "begin with a number"),
            ("", "begin with a number"),
            ("1 fortnight", "unknown unit \"fortnight\""),
            ("99999999999999999999s", "too large"),
            ("999999999999999999d", "too long"),
            ("1S", "unknown unit"),
        ] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_are_read_and_written_back() {
        for (text, bytes, back) in [
            ("0", 0, "0"),
            ("1GiB", 1 << 30, "1GiB"),
            ("1536MiB", 1536 << 20, "1536MiB"),
            ("1000", 1000, "1000"),
            ("1GB", 1_000_000_000, "1000000000"),
        ] {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
            assert_eq!(format_size(bytes), back, "{text}");
        }
        for (text, part) in
            [("1gigabyte", "unknown unit"), ("-5", "negative"), ("20000000TiB", "too large")]
        {
            assert!(parse_size(text).unwrap_err().contains(part), "{text}");
        }
    }
}
