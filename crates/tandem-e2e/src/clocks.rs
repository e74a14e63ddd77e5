//! Machines whose clocks run at another rate than everybody's.
//!
//! A rate cannot be set for one namespace, so the program is given another clock: a library put in front of the
//! C library, whose calls it makes for every clock that it reads and nearly every wait.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const SOURCE: &str = include_str!("../shims/clock_rate.c");

/// The library, built for one test.
#[derive(Debug)]
pub struct Clocks {
    folder: TempDir,
    /// Boot time in nanoseconds at which all clocks were right.
    base: u64,
}

impl Clocks {
    /// Builds it with the C compiler that links every program here.
    #[track_caller]
    pub fn build() -> Self {
        let folder = TempDir::with_prefix("tandem-e2e-clocks-").expect("a temporary folder");
        let source = folder.path().join("clock_rate.c");
        std::fs::write(&source, SOURCE).expect("the folder is writable");
        let output = Command::new("cc")
            .args(["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
            .arg(library(folder.path()))
            .arg(&source)
            .arg("-ldl")
            .output()
            .expect("cc starts");
        assert!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
        Self { folder, base: boot_time() }
    }

    /// Words that, put in front of a program, let its clocks run `per_mille` thousandths as fast as true ones.
    pub fn wrapper(&self, per_mille: u32) -> Vec<String> {
        vec![
            "env".to_owned(),
            format!("LD_PRELOAD={}", library(self.folder.path()).display()),
            format!("TANDEM_TEST_CLOCK_RATE={per_mille}"),
            format!("TANDEM_TEST_CLOCK_BASE={}", self.base),
        ]
    }
}

fn library(folder: &Path) -> std::path::PathBuf {
    folder.join("clock_rate.so")
}

/// `CLOCK_BOOTTIME`, to a hundredth of a second: what a rate is counted from need not be more exact.
fn boot_time() -> u64 {
    let text = std::fs::read_to_string("/proc/uptime").expect("Linux tells it");
    let seconds: f64 = text
        .split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .expect("the first word is a number of seconds");
    u64::try_from(std::time::Duration::from_secs_f64(seconds).as_nanos()).expect("it fits")
}
