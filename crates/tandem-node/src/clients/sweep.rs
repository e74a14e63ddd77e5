//! What happens because time passes.

use std::time::Duration;

use tandem_types::Monotonic;

use super::Clients;
use crate::Core;

/// How often all sessions are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// The state of the regular look.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    last: Monotonic,
    commands: u64,
    input_bytes: u64,
    output_bytes: u64,
}

impl Clients {
    /// When [`Self::tick`] is due at the latest.
    pub fn deadline(&self) -> Option<Monotonic> {
        let pause = self.pause.map(|pause| pause.until);
        let sweep = (self.sessions.len() > 0).then(|| self.sweep.last.plus(EVERY));
        let linger = self.linger_deadline();
        let again = self.another_try_at();
        [self.blocked.next_deadline(), pause, sweep, linger, again].into_iter().flatten().min()
    }

    /// Ends waits whose time is up, a pause, idle connections; measures rates.
    pub fn tick(&mut self, core: &mut Core) {
        let now = core.now.mono;
        while let Some(conn) = self.blocked.take_due(now) {
            if let Some(mut session) = self.sessions.take(conn) {
                self.time_is_up(core, &mut session);
                self.settle(core, session);
            }
        }
        if self.pause.is_some_and(|pause| pause.until <= now) {
            self.pause = None;
        }
        self.tend_linger(core);
        if now.since(self.sweep.last) >= EVERY {
            self.sweep_all(core);
        }
        self.look_again(core);
        self.tend_turned_away(core);
    }

    fn sweep_all(&mut self, core: &mut Core) {
        let now = core.now.mono;
        let nanos = now.since(self.sweep.last).as_nanos().max(1);
        let rate = |count: u64| {
            u64::try_from(u128::from(count) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
        };
        self.stats.commands_per_second =
            rate(self.stats.commands.saturating_sub(self.sweep.commands));
        self.stats.input_bytes_per_second =
            rate(self.stats.input_bytes.saturating_sub(self.sweep.input_bytes));
        self.stats.output_bytes_per_second =
            rate(self.stats.output_bytes.saturating_sub(self.sweep.output_bytes));
        self.sweep = Sweep {
            last: now,
            commands: self.stats.commands,
            input_bytes: self.stats.input_bytes,
            output_bytes: self.stats.output_bytes,
        };
        let idle = core.settings.limits.idle_timeout;
        for conn in self.sessions.conns() {
            let Some(mut session) = self.sessions.take(conn) else { continue };
            let waits = session.waiting.is_some() || session.passed_on > 0;
            let exempt = waits || session.is_subscriber() || session.monitor;
            if !idle.is_zero() && !exempt && now.since(session.active_at) > idle {
                self.close(core, &mut session);
            }
            self.settle(core, session);
        }
    }
}
