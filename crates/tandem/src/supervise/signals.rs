//! Signals of the supervisor, as something to wait for.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::Context as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator;

/// SIGTERM, SIGINT and SIGHUP; SIGCHLD only wakes.
pub(super) struct Signals {
    pending: iterator::Signals,
    bell: UnixStream,
}

impl Signals {
    pub(super) fn watch() -> anyhow::Result<Self> {
        let all = [SIGTERM, SIGINT, SIGHUP, SIGCHLD];
        let pending = iterator::Signals::new(all).context("watch for signals")?;
        let (bell, rope) = UnixStream::pair().context("watch for signals")?;
        bell.set_nonblocking(true).context("watch for signals")?;
        // After the list above: whoever hears the bell finds the signal there.
        for signal in all {
            let rope = rope.try_clone().context("watch for signals")?;
            signal_hook::low_level::pipe::register(signal, rope).context("watch for signals")?;
        }
        Ok(Self { pending, bell })
    }

    /// Until a signal comes, `other` can be read, or time is up.
    pub(super) fn wait(&self, other: Option<BorrowedFd<'_>>, time: Duration) -> anyhow::Result<()> {
        let mut wanted = vec![PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN)];
        wanted.extend(other.map(|other| PollFd::from_borrowed_fd(other, PollFlags::IN)));
        let time = Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        };
        match poll(&mut wanted, Some(&time)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for the node's process"),
        }
        self.hear();
        Ok(())
    }

    /// Empties the bell; what it rang for is in the list.
    fn hear(&self) {
        let mut bytes = [0; 64];
        while matches!(rustix::io::read(&self.bell, &mut bytes), Ok(1..)) {}
    }

    /// Signals to act on, oldest kinds first.
    pub(super) fn pending(&mut self) -> Vec<Signal> {
        self.pending
            .pending()
            .filter_map(|signal| match signal {
                SIGTERM => Some(Signal::TERM),
                SIGINT => Some(Signal::INT),
                SIGHUP => Some(Signal::HUP),
                _ => None,
            })
            .collect()
    }
}
