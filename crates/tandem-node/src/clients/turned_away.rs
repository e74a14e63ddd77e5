//! Requests that were passed on to the primary, and that it did not carry out: it is none any more.
//!
//! So it is when the role goes back, or on, within moments. Nothing was done, so such a request goes back
//! to where it came from, its client's input, before what this client sent after it. There it waits: this
//! node may be the next primary, or the other one again. Within `hold` that is over, or it is refused, which
//! is definite.

use std::time::Duration;

use tandem_resp::Parser;
use tandem_types::Monotonic;

use super::Clients;
use crate::session::{Pending, Session, What};
use crate::{ConnId, Core};

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Since the primary sent something back, and took nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct TurnedAway {
    /// Nothing more is tried from here on.
    until: Monotonic,
    /// Nothing is tried before this.
    again_at: Option<Monotonic>,
}

impl Clients {
    /// The primary did not carry this out, nor what this client sent there after it.
    pub fn turned_away(&mut self, core: &mut Core, conn: ConnId, command: &[u8]) {
        let now = core.now.mono;
        let until = self.turned_away.map_or(now.plus(core.settings.hold), |it| it.until);
        self.turned_away = Some(TurnedAway { until, again_at: Some(now.plus(PAUSE)) });
        let Some(mut session) = self.sessions.take(conn) else { return };
        if session.passed_on > 0 && !session.closing {
            session.passed_on -= 1;
            session.returned.extend_from_slice(command);
            if session.passed_on == 0 {
                self.begin_again(core, &mut session);
            }
        }
        self.settle(core, session);
    }

    fn begin_again(&mut self, core: &mut Core, session: &mut Session) {
        session.passed_on_bytes = 0;
        let mut bytes = std::mem::take(&mut session.returned);
        let rest = session.pending.take();
        bytes.extend(rest.map_or_else(Vec::new, |pending| pending.bytes));
        session.pending = Some(Box::new(Pending { bytes, parser: Parser::new(), need: 0 }));
        if !matches!(session.waiting.as_deref(), Some(waiting) if matches!(waiting.what, What::Held))
        {
            self.cancel_wait(core, session);
            self.hold(session);
        }
    }

    /// Whether it is too soon to ask the primary again.
    pub(super) fn awaits_another_try(&self, core: &Core) -> bool {
        let now = core.now.mono;
        let again_at = self.turned_away.and_then(|it| it.again_at.filter(|_| now < it.until));
        again_at.is_some_and(|at| now < at)
    }

    pub(super) fn tried_long_enough(&self, core: &Core) -> bool {
        self.turned_away.is_some_and(|it| core.now.mono >= it.until)
    }

    pub(super) fn another_try_at(&self) -> Option<Monotonic> {
        self.turned_away.map(|it| it.again_at.unwrap_or(it.until).min(it.until))
    }

    /// Who waited was tried again, or answered: the next one begins anew.
    pub(super) fn tend_turned_away(&mut self, core: &Core) {
        if self.tried_long_enough(core) || core.view.role == tandem_types::Role::Primary {
            self.turned_away = None;
        } else if let Some(it) = &mut self.turned_away {
            it.again_at = it.again_at.filter(|&at| core.now.mono < at);
        }
    }
}
