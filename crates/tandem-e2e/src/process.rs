//! A child process that never outlives its test, with its output kept for the day it fails.

use std::fs::File;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::family;
use crate::wait;

/// How much of the output a failure shows.
const TAIL_BYTES: usize = 6_000;

/// One started program, leader of its own process group, with all that it starts.
///
/// It ends with the test in every case: `Drop` kills the whole [family], also while panicking, and
/// `setpriv --pdeathsig` has the kernel kill it when the thread that started it is gone.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    output: PathBuf,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `program`, with standard output and error going to `output` (appended to).
    pub fn start(name: &str, program: &Path, arguments: &[String], output: &Path) -> Self {
        Self::start_with(name, program, arguments, output, |_| {})
    }

    /// As [`Self::start`], with a last word on the command (environment, folder).
    pub fn start_with(
        name: &str,
        program: &Path,
        arguments: &[String],
        output: &Path,
        adjust: impl FnOnce(&mut Command),
    ) -> Self {
        let log = File::options().create(true).append(true).open(output).expect("log file opens");
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be doubled"))
            .stderr(log)
            .process_group(0);
        adjust(&mut command);
        let child = command.spawn().unwrap_or_else(|error| panic!("start {name}: {error}"));
        Self { name: name.to_owned(), child, output: output.to_owned(), ended: None }
    }

    /// Number of the process (and of its group).
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn rustix_pid(&self) -> Pid {
        let raw = i32::try_from(self.child.id()).expect("process numbers fit in 31 bits");
        Pid::from_raw(raw).expect("a child has a number above zero")
    }

    /// Sends `signal` to the program itself.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.rustix_pid(), signal).expect("the child is ours to signal");
    }

    /// Stops the program and everything it started.
    pub fn freeze(&self) {
        family::freeze(self.pid());
    }

    /// Lets all of them go on, children first: a parent must not see a child that stands still.
    pub fn thaw(&self) {
        for &pid in family::members(self.pid()).iter().rev() {
            family::signal(pid, Signal::CONT);
        }
    }

    /// `kill -9` of the program and everything it started; waits until all of it is gone.
    pub fn kill(&mut self) {
        if self.exit_status().is_none() {
            family::kill(self.pid());
            self.ended = Some(self.child.wait().expect("a child can be waited for"));
        }
        // Also when the leader had ended: a child of its own may be left. ESRCH means nobody is.
        if kill_process_group(self.rustix_pid(), Signal::KILL).is_ok() {
            wait::until_true("the process group is empty", Duration::from_secs(10), || {
                kill_process_group(self.rustix_pid(), Signal::KILL).is_err()
            });
        }
    }

    /// How it ended; `None` while it runs.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("a child can be asked for");
        }
        self.ended
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        wait::until(&what, deadline, || self.exit_status().ok_or("still running"))
    }

    /// Panics with the end of its output unless it runs.
    #[track_caller]
    pub fn assert_running(&mut self) {
        if let Some(status) = self.exit_status() {
            panic!(
                "{} has ended: {status} (signal {:?})\n{}",
                self.name,
                status.signal(),
                self.output_tail()
            );
        }
    }

    /// Everything it has written so far.
    pub fn output(&self) -> String {
        let bytes = std::fs::read(&self.output).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The end of what it has written.
    pub fn output_tail(&self) -> String {
        let all = self.output();
        let mut from = all.len().saturating_sub(TAIL_BYTES);
        while !all.is_char_boundary(from) {
            from += 1;
        }
        format!("--- output of {} ---\n{}", self.name, all.get(from..).unwrap_or_default())
    }

    /// Name that failures show.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            use std::io::Write as _;
            let text = self.output_tail();
            // Nothing can be done about a closed standard error while already failing.
            std::io::stderr().write_all(text.as_bytes()).ok();
        }
        self.kill();
    }
}
