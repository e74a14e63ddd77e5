//! How often this node was started lately: a primary that keeps crashing should give its role away.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One line per start in the data directory: milliseconds since 1970.
const FILE: &str = "starts";
/// More starts than any `max_restarts` asks about are not kept.
const KEPT_MAX: usize = 1_000;

/// Past starts, this one included but not yet written.
#[derive(Debug)]
pub(crate) struct Starts {
    times: Vec<u64>,
    now: u64,
}

impl Starts {
    /// Reads what is known. An unreadable file counts nothing: it only makes a switch earlier.
    pub(crate) fn read(data_dir: &Path) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let text = fs::read_to_string(data_dir.join(FILE)).unwrap_or_default();
        Self::of(&text, now)
    }

    fn of(text: &str, now: u64) -> Self {
        // A time in the future is from before the clock was set back.
        let mut times: Vec<u64> = text
            .lines()
            .filter_map(|line| line.trim().parse().ok())
            .filter(|&at| at <= now)
            .collect();
        times.push(now);
        let surplus = times.len().saturating_sub(KEPT_MAX);
        Self { times: times.split_off(surplus), now }
    }

    /// Starts within `window`, this one counted.
    pub(crate) fn within(&self, window: Duration) -> u32 {
        let since = self.now.saturating_sub(u64::try_from(window.as_millis()).unwrap_or(u64::MAX));
        let count = self.times.iter().filter(|&&at| at >= since).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The process ends because somebody asked it to: its start was no sign of trouble.
    pub(crate) fn ended_in_order(mut self, data_dir: &Path) -> io::Result<()> {
        self.times.retain(|&at| at != self.now);
        self.write(data_dir)
    }

    /// Keeps them for the next start; the directory must be locked by this process.
    pub(crate) fn write(&self, data_dir: &Path) -> io::Result<()> {
        let lines: Vec<String> = self.times.iter().map(u64::to_string).collect();
        let new = data_dir.join("starts.new");
        fs::write(&new, lines.join("\n"))?;
        fs::rename(new, data_dir.join(FILE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_in_the_window_are_counted_and_nonsense_is_not() {
        let starts = Starts::of("1000\n5000\nnonsense\n\n9000\n99999\n", 10_000);
        assert_eq!(starts.within(Duration::from_secs(100)), 4);
        assert_eq!(starts.within(Duration::from_secs(5)), 3);
        assert_eq!(starts.within(Duration::from_millis(1)), 1);
    }

    #[test]
    fn a_start_that_ended_in_order_is_no_sign_of_trouble() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "1000\n").unwrap();
        let starts = Starts::of("1000\n", 5000);
        starts.write(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), "1000\n5000");
        starts.ended_in_order(folder.path()).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), "1000");
    }

    #[test]
    fn starts_survive_and_their_number_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        for count in 1..=3 {
            let starts = Starts::read(folder.path());
            assert_eq!(starts.within(Duration::from_mins(1)), count);
            starts.write(folder.path()).unwrap();
        }
        let lines: Vec<String> = (0..5_000).map(|at: u64| at.to_string()).collect();
        assert_eq!(Starts::of(&lines.join("\n"), 10_000).times.len(), KEPT_MAX);
    }
}
