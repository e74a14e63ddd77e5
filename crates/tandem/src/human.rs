//! Numbers as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// `12d 4h`, `3h 7m`, `42s`: the two largest units.
pub(crate) fn span(seconds: u64) -> String {
    let parts = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "m"),
        (seconds % 60, "s"),
    ];
    let first = parts.iter().position(|&(count, _)| count > 0).unwrap_or(3);
    let shown: Vec<String> = parts
        .iter()
        .skip(first)
        .take(2)
        .filter(|&&(count, _)| count > 0 || first == 3)
        .map(|(count, unit)| format!("{count}{unit}"))
        .collect();
    shown.join(" ")
}

/// `0 B`, `1.5 KiB`, `3.2 GiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = u128::from(count) * 10;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1_024;
        unit += 1;
    }
    match unit {
        0 => format!("{count} B"),
        _ => format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]),
    }
}

/// `2026-11-22T12:03:11Z` of milliseconds since 1970.
pub(crate) fn time(millis: u64) -> String {
    // Days to date: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
    let seconds = millis / 1_000;
    let days = seconds / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let [hour, minute, second] = [seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60];
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Milliseconds since 1970 now.
pub(crate) fn now_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_show_the_two_largest_units() {
        for (seconds, want) in [
            (0, "0s"),
            (42, "42s"),
            (60, "1m"),
            (3_725, "1h 2m"),
            (90_000, "1d 1h"),
            (86_400, "1d"),
        ] {
            assert_eq!(span(seconds), want);
        }
    }

    #[test]
    fn bytes_are_rounded_down_to_a_tenth() {
        for (count, want) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (u64::MAX, "16777215.9 TiB")]
        {
            assert_eq!(bytes(count), want);
        }
    }

    #[test]
    fn times_are_utc_dates() {
        for (millis, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_795_348_991_204, "2026-11-22T12:03:11Z"),
        ] {
            assert_eq!(time(millis), want);
        }
    }
}
