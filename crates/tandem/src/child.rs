//! A process of the demonstration or of the laboratory, which never outlives it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{self, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

/// A process that does not end by itself in this time is killed.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// How much of a log an error shows.
const TAIL_BYTES: u64 = 2_000;

pub(crate) struct Child {
    process: process::Child,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

/// What is started.
pub(crate) struct Order {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) log: PathBuf,
}

impl Child {
    /// Starts it. It is in a process group of its own, so that Ctrl-C reaches only this process, which stops
    /// everything in order; and the kernel kills it if this process is killed, or the thread that started it
    /// ends (`--with-parent`).
    pub(crate) fn start(order: &Order) -> anyhow::Result<Self> {
        let log = order.log.clone();
        let output =
            File::options().create(true).append(true).open(&log).context("open the log")?;
        let process = Command::new(&order.program)
            .args(&order.arguments)
            .args(["--with-parent", &process::id().to_string()])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {}", order.program.display()))?;
        Ok(Self { process, log, ended: None })
    }

    /// How it ended; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.process.try_wait().ok().flatten();
        }
        self.ended
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Sends `signal`; one that has ended is none to complain about.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            send(self.process.id(), signal);
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        // Both fail only if it has ended already.
        let _sent = self.process.kill();
        self.ended = self.process.wait().ok();
    }

    /// SIGTERM, then waits; SIGKILL if it takes too long.
    pub(crate) fn stop(&mut self) {
        if self.ended().is_some() {
            return;
        }
        let asked = send(self.process.id(), Signal::TERM);
        let begun = Instant::now();
        while asked && self.ended().is_none() && begun.elapsed() < STOP_TIME_MAX {
            thread::sleep(PAUSE);
        }
        if self.ended().is_none() {
            self.kill();
        }
    }

    /// The end of its log.
    pub(crate) fn log_tail(&self) -> String {
        let read = || -> std::io::Result<String> {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        read().unwrap_or_else(|error| format!("(its log cannot be read: {error})"))
    }
}

/// Sends `signal` to the process; whether there was one.
pub(crate) fn send(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended().is_none() {
            self.kill();
        }
    }
}
