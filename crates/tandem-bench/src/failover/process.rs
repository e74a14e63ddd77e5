//! One server process: started again at will, signalled alone or not at all, ended with the value.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How to start a process, and the process while there is one.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    child: Option<Child>,
}

impl Process {
    /// Starts it; what it prints is appended to `log`.
    pub(super) fn start(
        name: &str,
        program: &Path,
        arguments: &[String],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let mut process = Self {
            name: name.to_owned(),
            program: program.to_owned(),
            arguments: arguments.to_vec(),
            log: log.to_owned(),
            child: None,
        };
        process.start_again()?;
        Ok(process)
    }

    /// Starts it with the same arguments; the one before must be over.
    pub(super) fn start_again(&mut self) -> anyhow::Result<()> {
        self.end();
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        // setpriv: the kernel ends the server if this program is killed.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start {}", self.name))?;
        self.child = Some(child);
        Ok(())
    }

    /// Sends a signal to the process that was started, and to no other.
    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let Some(child) = &self.child else { bail!("{} does not run", self.name) };
        send(child.id(), signal).with_context(|| format!("signal {}", self.name))
    }

    /// Fails unless it runs.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        let Some(child) = &mut self.child else { bail!("{} does not run", self.name) };
        if let Some(status) = child.try_wait()? {
            bail!("{} has ended: {status}; see {}", self.name, self.log.display());
        }
        Ok(())
    }

    /// Kills it, whatever state it is in, and waits until it is gone.
    pub(super) fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself: then there is nobody to kill.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends a signal to the process `id`.
pub(super) fn send(id: u32, signal: Signal) -> anyhow::Result<()> {
    let pid = Pid::from_raw(i32::try_from(id)?).context("process 0 is nobody")?;
    kill_process(pid, signal).with_context(|| format!("send {signal:?} to process {id}"))
}

/// Looks every few milliseconds until `look` is satisfied; its last error tells what was missing.
pub(super) fn wait_until<T>(
    what: &str,
    longest: Duration,
    mut look: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(found) => return Ok(found),
            Err(error) if begun.elapsed() > longest => {
                return Err(error.context(format!("waited {longest:?} until {what}")));
            }
            Err(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}
