//! The supervisor: the small parent process that `tandem serve` runs the node under.
//!
//! It holds no data and serves nobody. It starts the node, passes signals on, starts it again when it
//! ends by itself, ends it when it is frozen, and tells the peer with certainty which boot is over (a
//! death certificate), so that the peer need not wait for silence. One thread, one `poll`.
//!
//! ```text
//! supervisor --- socket on the node's standard input --- node
//!     <- "beat INCARNATION BOOT" ten times per second from the data thread, "final" before a hopeless end
//!     -> nothing: when the supervisor ends, the kernel ends the node (PR_SET_PDEATHSIG)
//! ```
//! Invariant: a node never runs on without its supervisor.

mod backoff;
mod child;
mod ended;
mod notify;
pub(crate) mod sign;
mod signals;

use std::ffi::OsString;
use std::process::ExitCode;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tandem_switch::BootId;

use crate::supervise::backoff::Backoff;
use crate::supervise::child::Child;
use crate::supervise::ended::Ended;
use crate::supervise::notify::Notify;
use crate::supervise::signals::Signals;

/// The supervisor looks at everything at least this often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Slept longer than asked for by this: the machine or this process stood still, not the node.
const OWN_PAUSE_MAX: Duration = Duration::from_secs(1);

/// What the supervisor is told.
pub(crate) struct Plan {
    /// Arguments of the node's process.
    pub(crate) arguments: Vec<OsString>,
    /// A node without a sign of life for so long is killed; `None`: never.
    pub(crate) watchdog: Option<Duration>,
    /// What to do at once when the node's process has ended, before it is started again: give up what
    /// it may have left behind, tell the peer. Must return soon.
    pub(crate) on_death: OnDeath,
}

/// Takes the boot that was served, as far as known; returns what goes on beside, to be waited for only
/// at the supervisor's own end.
pub(crate) type OnDeath = Box<dyn Fn(Option<BootId>) -> Option<JoinHandle<()>>>;

/// Runs the node's process until it ends for good; returns its exit status.
pub(crate) fn run(plan: &Plan) -> anyhow::Result<ExitCode> {
    let signals = Signals::watch()?;
    Supervisor { plan, signals, notify: Notify::from_environment(), stopping: false }.run()
}

struct Supervisor<'a> {
    plan: &'a Plan,
    signals: Signals,
    notify: Notify,
    /// Somebody asked for the end.
    stopping: bool,
}

impl Supervisor<'_> {
    fn run(&mut self) -> anyhow::Result<ExitCode> {
        let mut backoff = Backoff::default();
        loop {
            let mut child = Child::start(&self.plan.arguments)?;
            let ended = self.attend(&mut child)?;
            // A node that ended in good order has said so itself.
            let boot = child.boot().filter(|_| !ended.is_orderly());
            let telling = (self.plan.on_death)(boot);
            if self.stopping || ended.is_final() {
                if let Some(telling) = telling {
                    // A panic there is already on the terminal.
                    let _ended = telling.join();
                }
                return Ok(ended.exit_code());
            }
            let pause = backoff.after(ended.ran);
            tracing::warn!(
                "the node's process {} ended: {}; it is started again in {} ms",
                child.pid(),
                ended.how(),
                pause.as_millis()
            );
            if self.rest(pause) {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }

    /// Until the child has ended.
    fn attend(&mut self, child: &mut Child) -> anyhow::Result<Ended> {
        let begun = Instant::now();
        let mut frozen = false;
        loop {
            let before = Instant::now();
            self.signals.wait(Some(child.socket()), LOOK_EVERY)?;
            if before.elapsed() > LOOK_EVERY + OWN_PAUSE_MAX {
                child.excuse(Instant::now());
            }
            self.pass_signals_on(child);
            if child.listen(Instant::now()) {
                self.notify.alive(child.boot().is_some());
            }
            if let Some(status) = child.ended()? {
                child.listen(Instant::now());
                let hopeless = child.is_hopeless();
                return Ok(Ended { status, hopeless, frozen, ran: begun.elapsed() });
            }
            if let Some(limit) = self.plan.watchdog
                && !frozen
                && child.silent_for(Instant::now()) > limit
            {
                frozen = true;
                tracing::error!(
                    "the node's process {} has given no sign of life for {} ms and is killed",
                    child.pid(),
                    limit.as_millis()
                );
                child.signal(Signal::KILL);
            }
        }
    }

    fn pass_signals_on(&mut self, child: &Child) {
        for signal in self.signals.pending() {
            if signal != Signal::HUP && !self.stopping {
                self.stopping = true;
                self.notify.stopping();
            }
            child.signal(signal);
        }
    }

    /// Waits before the next start; `true`: asked to end meanwhile.
    fn rest(&mut self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if self.signals.wait(None, left).is_err()
                || self.signals.pending().iter().any(|&signal| signal != Signal::HUP)
            {
                self.notify.stopping();
                return true;
            }
        }
        false
    }
}
