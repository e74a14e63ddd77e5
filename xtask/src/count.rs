//! Counting tests while their output goes by.

use std::io::BufReader;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::deadline::Deadline;
use crate::shell;

/// Far above what a stage takes with everything to build: only what hangs is stopped by it.
const TIME_MAX: Duration = Duration::from_mins(25);

/// How many tests ran.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Count {
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }

    /// Counts of a line of `cargo test` or `cargo nextest run`; other lines count nothing, such as those that nextest
    /// repeats, indented, of what a failed test printed.
    fn of_line(line: &str) -> Self {
        if !line.starts_with("test result:") && !line.trim_start().starts_with("Summary [") {
            return Self::default();
        }
        let line = line.trim();
        let number_before = |word: &str| {
            line.split([' ', ';', ',', ':'])
                .filter(|part| !part.is_empty())
                .collect::<Vec<_>>()
                .windows(2)
                .find(|pair| pair[1] == word)
                .and_then(|pair| pair[0].parse().ok())
                .unwrap_or(0)
        };
        Self {
            passed: number_before("passed"),
            failed: number_before("failed") + number_before("timed"),
            ignored: number_before("ignored") + number_before("skipped"),
        }
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} ignored", self.passed, self.failed, self.ignored)
    }
}

/// Runs tests, passing their output on, and counts them. The count is there even if some failed.
///
/// What does not end is killed, and has failed. `mark` stands before each line of output: what runs beside another
/// stage is told from it by that.
pub(crate) fn run(mut command: Command, mark: &str) -> anyhow::Result<(Count, bool)> {
    let line = shell::shown(&command);
    println!("{mark}$ {line}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start `{line}`"))?;
    let deadline = Deadline::start(child.id(), TIME_MAX);
    let (Some(out), Some(err)) = (child.stdout.take(), child.stderr.take()) else {
        bail!("`{line}` has no output");
    };
    let own = mark.to_owned();
    let errors = thread::spawn(move || pass_on(BufReader::new(err), &mut std::io::stderr(), &own));
    let mut count = pass_on(BufReader::new(out), &mut std::io::stdout(), mark)?;
    count.add(errors.join().map_err(|_| anyhow::anyhow!("the reader of `{line}` died"))??);
    let status = child.wait()?;
    if deadline.met() {
        println!("{mark}`{line}` was killed: it had not ended after {} s", TIME_MAX.as_secs());
    }
    Ok((count, status.success()))
}

fn pass_on(
    mut from: impl std::io::BufRead,
    to: &mut impl std::io::Write,
    mark: &str,
) -> std::io::Result<Count> {
    let mut count = Count::default();
    let mut line = mark.as_bytes().to_vec();
    while from.read_until(b'\n', &mut line)? > 0 {
        // At once, so that no line of another stage comes between.
        to.write_all(&line)?;
        to.flush()?;
        count.add(Count::of_line(&String::from_utf8_lossy(line.split_at(mark.len()).1)));
        line.truncate(mark.len());
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_test_runners_are_counted() {
        let libtest = "test result: ok. 14 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 5.03s";
        assert_eq!(Count::of_line(libtest), Count { passed: 14, failed: 1, ignored: 2 });
        let nextest = "     Summary [   5.030s] 17 tests run: 14 passed (1 slow), 2 failed, 1 timed out, 3 skipped\n";
        assert_eq!(Count::of_line(nextest), Count { passed: 14, failed: 3, ignored: 3 });
        assert_eq!(Count::of_line("running 14 passed"), Count::default());
        let repeated =
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 20 filtered out";
        assert_eq!(Count::of_line(repeated), Count::default());
    }
}
