//! Saying loudly that a test could not run here.

use std::io::Write as _;

/// Reports a skipped test so that it is seen and counted.
///
/// The line goes to the terminal even when cargo captures test output, and to the file named by
/// `TANDEM_E2E_SKIPPED`, whose lines `cargo xtask e2e` counts. With `TANDEM_E2E_NO_SKIP=1` it fails.
pub fn skipped(test: &str, reason: &str) {
    let line = format!("SKIPPED {test}: {reason}\n");
    assert!(std::env::var_os("TANDEM_E2E_NO_SKIP").is_none(), "must not skip here: {line}");
    // The raw handle: the print macros would be captured by the test runner and never seen.
    std::io::stderr().write_all(line.as_bytes()).expect("standard error is open");
    if let Some(path) = std::env::var_os("TANDEM_E2E_SKIPPED") {
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect("TANDEM_E2E_SKIPPED names a writable file");
        file.write_all(line.as_bytes()).expect("the skip list is writable");
    }
}

/// The multiplier of long tests: `TANDEM_E2E_BUDGET`, 1 if unset.
pub fn budget() -> u32 {
    std::env::var("TANDEM_E2E_BUDGET")
        .map_or(1, |text| text.parse().expect("TANDEM_E2E_BUDGET is a whole number"))
}
