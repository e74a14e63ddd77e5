//! The node's process, as its supervisor holds it.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt as _;
use std::process::{self, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tandem_switch::BootId;

use crate::supervise::sign::{SIGN_BYTES_MAX, Sign};

/// A running (or ended and not yet replaced) process.
pub(super) struct Child {
    process: process::Child,
    socket: UnixDatagram,
    boot: Option<BootId>,
    heard: Option<Instant>,
    hopeless: bool,
}

impl Child {
    /// Starts it. Its group is its own, so that Ctrl-C reaches only the supervisor, which passes it on once.
    pub(super) fn start(arguments: &[OsString]) -> anyhow::Result<Self> {
        let (socket, other) = UnixDatagram::pair().context("make a socket for the node")?;
        socket.set_nonblocking(true).context("make a socket for the node")?;
        // The very program that runs here, also when its file was replaced by a new version meanwhile.
        let process = Command::new("/proc/self/exe")
            .arg0("tandem")
            .args(arguments)
            .args(["--supervised-by", &process::id().to_string()])
            .stdin(Stdio::from(OwnedFd::from(other)))
            .env_remove("NOTIFY_SOCKET")
            .env_remove("WATCHDOG_USEC")
            .env_remove("WATCHDOG_PID")
            .process_group(0)
            .spawn()
            .context("start the node's process")?;
        Ok(Self { process, socket, boot: None, heard: None, hopeless: false })
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The boot that it served, as far as heard.
    pub(super) const fn boot(&self) -> Option<BootId> {
        self.boot
    }

    /// It said that another start makes no sense.
    pub(super) const fn is_hopeless(&self) -> bool {
        self.hopeless
    }

    /// Takes what it said; whether it gave a sign of life.
    pub(super) fn listen(&mut self, now: Instant) -> bool {
        let mut alive = false;
        let mut bytes = [0; SIGN_BYTES_MAX];
        while let Ok(length @ 1..) = self.socket.recv(&mut bytes) {
            match Sign::decode(&bytes[..length]) {
                Some(Sign::Beat(boot)) => {
                    self.boot = boot.or(self.boot);
                    self.heard = Some(now);
                    alive = true;
                }
                Some(Sign::Final) => self.hopeless = true,
                None => {}
            }
        }
        alive
    }

    /// How long it has been silent since its first sign.
    pub(super) fn silent_for(&self, now: Instant) -> Duration {
        self.heard.map_or(Duration::ZERO, |heard| now.duration_since(heard))
    }

    /// Its silence until now was not its fault.
    pub(super) fn excuse(&mut self, now: Instant) {
        self.heard = self.heard.map(|_| now);
    }

    /// How it ended; `None` while it runs.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    pub(super) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid
            && let Err(error) = kill_process(pid, signal)
        {
            tracing::debug!("signal the node's process: {error}");
        }
    }
}

impl Drop for Child {
    /// The supervisor gives up in the middle: nothing may be left running.
    fn drop(&mut self) {
        if let Ok(None) = self.process.try_wait() {
            // Both fail only if it has ended.
            let _sent = self.process.kill();
            let _ended = self.process.wait();
        }
    }
}
