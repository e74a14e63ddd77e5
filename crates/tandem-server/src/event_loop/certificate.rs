//! The certificate while the process runs: read again when its file changes, and watched until it ends.

use std::time::Duration;

use tandem_node::CertificateEnd;
use tandem_types::{Monotonic, Now};

use super::EventLoop;
use crate::clock;

/// How often the files are looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How often people are told while there is reason to.
const TELL_EVERY: Duration = Duration::from_hours(24);

/// When people were told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    at: Option<Monotonic>,
    marks: usize,
}

impl Told {
    /// What to tell now: at the start, daily, and when a mark is passed.
    fn due(&mut self, now: Now, end: &CertificateEnd) -> Option<String> {
        let words = end.words(now.wall)?;
        let marks = end.marks(now.wall);
        let late = self.at.is_none_or(|at| now.mono >= at.plus(TELL_EVERY));
        if !late && marks == self.marks {
            return None;
        }
        *self = Self { at: Some(now.mono), marks };
        Some(words)
    }
}

impl EventLoop {
    /// Looks at the files from time to time; also at the clock.
    pub(super) fn tend_certificate(&mut self, now: Now) {
        if self.certificates_at <= now.mono {
            self.certificates_at = now.mono.plus(LOOK_EVERY);
            self.reload_certificates(false);
            self.watch_certificate(now);
        }
    }

    pub(super) fn reload_certificates(&mut self, forced: bool) {
        match self.tls.as_mut().and_then(|tls| tls.reload(forced)) {
            Some(Ok(())) => {
                tracing::info!("certificates reloaded");
                self.certificate_told = Told::default();
                self.show_certificate();
                self.watch_certificate(clock::now());
            }
            Some(Err(error)) => {
                tracing::error!(%error, "the new certificate cannot be used; the old one stays");
            }
            None => {}
        }
    }

    /// The node says in its status when the certificate ends.
    pub(super) fn show_certificate(&mut self) {
        let end = self.tls.as_ref().and_then(|tls| tls.end().cloned());
        self.brain.set_certificate(end);
    }

    pub(super) fn watch_certificate(&mut self, now: Now) {
        let Some(end) = self.tls.as_ref().and_then(|tls| tls.end()) else { return };
        if let Some(words) = self.certificate_told.due(now, end) {
            if end.is_urgent(now.wall) {
                tracing::error!("{words}");
            } else {
                tracing::warn!("{words}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_types::WallMillis;

    use super::*;

    const DAY_MS: u64 = 86_400_000;

    #[test]
    fn people_are_told_at_the_start_daily_and_at_each_mark() {
        let end = CertificateEnd { file: "c".into(), at: 100 * 86_400 };
        let at = |hours: u64| Now {
            mono: Monotonic::from_millis(hours * 3_600_000),
            wall: WallMillis::new(50 * DAY_MS + hours * 3_600_000),
        };
        let mut told = Told::default();
        let said: Vec<u64> =
            (0..52 * 24).filter(|&hour| told.due(at(hour), &end).is_some()).collect();
        let daily: Vec<u64> = (20..52).map(|day| day * 24).collect();
        assert_eq!(said, daily, "from 30 days before the end, and after it");
        let mut late = Told::default();
        assert!(late.due(at(49 * 24 - 1), &end).is_some(), "at the start");
        assert!(late.due(at(49 * 24 - 1), &end).is_none());
        assert!(late.due(at(49 * 24), &end).is_some(), "one day is left");
    }
}
