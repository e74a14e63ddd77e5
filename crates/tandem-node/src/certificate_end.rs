//! When the TLS certificate ends, and what people are told of it beforehand.

use tandem_types::WallMillis;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;
/// From here on people are told.
const NOTICE: i64 = 30 * DAY;
/// From here on it is urgent.
const URGENT: i64 = DAY;

/// The first of the configured certificates to end.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CertificateEnd {
    /// The file it is in.
    pub file: String,
    /// Seconds since 1970 (UTC) at which it ends.
    pub at: i64,
}

impl CertificateEnd {
    /// Seconds left; negative once it has ended.
    pub fn left(&self, now: WallMillis) -> i64 {
        self.at.saturating_sub(i64::try_from(now.get() / 1_000).unwrap_or(i64::MAX))
    }

    /// Whether there is a day or less to do something.
    pub fn is_urgent(&self, now: WallMillis) -> bool {
        self.left(now) <= URGENT
    }

    /// How many of the marks (30 days, 7 days, 1 day, its end) are behind.
    pub fn marks(&self, now: WallMillis) -> usize {
        [NOTICE, 7 * DAY, URGENT, 0].into_iter().filter(|&mark| self.left(now) <= mark).count()
    }

    /// What people must know; `None`: there is time.
    pub fn words(&self, now: WallMillis) -> Option<String> {
        let (file, left) = (&self.file, self.left(now));
        if left > NOTICE {
            return None;
        }
        let (when, then) = match left {
            1.. => (format!("expires in {}", span(left)), "will be"),
            _ => (format!("expired {} ago", span(-left)), "are"),
        };
        Some(format!(
            "the TLS certificate in {file} {when}: encrypted connections {then} refused by clients and by the \
             peer; replace the file, it is read again by itself"
        ))
    }
}

fn span(seconds: i64) -> String {
    let (count, unit) = if seconds < HOUR {
        (seconds / 60, "minute")
    } else if seconds <= DAY {
        (seconds / HOUR, "hour")
    } else {
        (seconds / DAY, "day")
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_from_thirty_days_before_the_end() {
        let end = CertificateEnd { file: "cert.pem".into(), at: 100 * DAY };
        let day = |day: i64| WallMillis::new(u64::try_from(day * DAY * 1_000).unwrap());
        assert_eq!(end.words(day(60)), None);
        for (at, want, marks) in [
            (70, "cert.pem expires in 30 days", 1),
            (93, "expires in 7 days", 2),
            (99, "expires in 24 hours", 3),
            (100, "expired 0 minutes ago", 4),
            (103, "expired 3 days ago", 4),
        ] {
            let words = end.words(day(at)).unwrap();
            assert!(words.contains(want), "{words}");
            assert_eq!(end.marks(day(at)), marks, "{at}");
        }
        assert_eq!(end.left(day(101)), -DAY);
        assert!(end.is_urgent(day(99)) && !end.is_urgent(day(98)));
    }
}
