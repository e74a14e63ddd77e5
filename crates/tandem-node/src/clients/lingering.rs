//! After a planned change of primary: who is still connected here is served by the new primary, through
//! this node, until there was time to move.
//!
//! Nothing is passed on before the new primary serves; until then requests wait in the input, where
//! nobody has carried them out. In the second half of the time a connection ends shortly after its next
//! answer; what has asked nothing ends when the time is up. What waits in the input then was never sent, so its
//! connection ends without an answer. A request that was passed on is answered, or its outcome is unknown.
//!
//! If the role comes back before that, nobody has to move any more, and nobody's connection ends: what is
//! carried out here now is answered once it is safe, which may be longer than the moment after an answer.

use std::time::Duration;

use tandem_store::Flags;
use tandem_types::Monotonic;

use super::Clients;
use super::admission::Admission;
use crate::runnable::Runnable;
use crate::session::{Session, What};
use crate::{Core, Port};

/// Who was answered and has not asked again for so long is thinking.
const QUIET: Duration = Duration::from_millis(5);

/// The time between losing the role to the peer and ending what is left of the connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linger {
    pub(super) until: Monotonic,
    /// From here on whoever was answered and asks nothing more at once is sent away.
    sends_away_from: Monotonic,
    /// When it is looked for such connections next.
    look_at: Monotonic,
    /// The new primary serves.
    passes_on: bool,
}

impl Clients {
    /// The role was handed to the peer, which has every write that was answered here. Who waits for a
    /// key, watches, listens or is inside a transaction must begin anew there; nothing of it was done.
    pub fn handed_over(&mut self, core: &mut Core) {
        self.forget_backlog(core);
        self.close_where(core, |session| {
            session.outbox.is_holding()
                || (session.waits_for_others() && !may_stay(session))
                || session.transaction.is_some()
                || !session.watched.is_empty()
                || session.is_subscriber()
        });
        for session in self.sessions.iter_mut() {
            session.outlived_role |= session.info.port == Port::Client;
        }
        let linger = core.settings.linger;
        let until = core.now.mono.plus(linger);
        let sends_away_from = core.now.mono.plus(linger / 2);
        let look_at = sends_away_from;
        self.linger = Some(Linger { until, sends_away_from, look_at, passes_on: false });
    }

    /// This node follows the new primary, so that one serves: what was held is passed on.
    pub fn new_primary_serves(&mut self, core: &mut Core) {
        if let Some(linger) = &mut self.linger {
            linger.passes_on = true;
            self.turned_away = None;
            self.tell_moving(core);
            self.look_again(core);
        }
    }

    /// This node serves: who was here when it did before may stay. What was passed on and is not answered yet is
    /// answered by who carried it out, or comes back to be done here.
    pub fn serves(&mut self) {
        self.linger = None;
        for session in self.sessions.iter_mut() {
            session.outlived_role = false;
        }
    }

    /// Whether connections from before are still served through this node, and there are any.
    pub(crate) fn lingers(&self) -> bool {
        let moves = self.linger.is_some();
        self.sessions
            .iter()
            .any(|session| (moves && session.outlived_role) || session.passed_on > 0)
    }

    /// Whether requests wait for the new primary to serve.
    pub(super) fn awaits_new_primary(&self) -> bool {
        self.linger.is_some_and(|linger| !linger.passes_on)
    }

    /// Whether this is a data command of a client that was here when the role was handed over.
    #[inline]
    pub(super) fn is_elsewhere(&self, session: &Session, runnable: Runnable) -> bool {
        self.linger.is_some() && session.outlived_role && runnable.touches_data()
    }

    /// What becomes of a command that the role forbids, for a client that was here before; `None`: it is
    /// refused as for everybody.
    pub(super) fn admit_lingering(
        &mut self,
        core: &mut Core,
        session: &mut Session,
        runnable: Runnable,
    ) -> Option<Admission> {
        let linger = self.linger.filter(|_| session.outlived_role)?;
        Some(if !is_whole(session, runnable) {
            self.close(core, session);
            Admission::Refused
        } else if linger.passes_on {
            self.pass_on(core, session)
        } else {
            Admission::Hold
        })
    }

    /// Whether the new primary serves it for a client that was here before.
    pub(super) fn lingers_beyond(&self, session: &Session, runnable: Runnable) -> bool {
        self.linger.is_some_and(|linger| linger.passes_on)
            && session.outlived_role
            && is_whole(session, runnable)
    }

    /// When [`Self::tend_linger`] has work.
    pub(super) fn linger_deadline(&self) -> Option<Monotonic> {
        self.linger.map(|Linger { until, look_at, .. }| until.min(look_at))
    }

    /// Ends connections shortly after an answer, and at last all that have not moved.
    ///
    /// An end can meet a request on its way here, which is an error for a library. So it comes when the
    /// next request is least likely: not with the answer, which the library may follow at once, but a
    /// moment later. Most then see the end before they ask again, and connect anew without an error.
    pub(super) fn tend_linger(&mut self, core: &mut Core) {
        let now = core.now.mono;
        let Some(linger) = &mut self.linger else { return };
        let Linger { until, sends_away_from, look_at, .. } = *linger;
        if now >= until {
            self.end_linger(core);
        } else if now >= look_at {
            linger.look_at = now.plus(QUIET);
            self.close_where(core, |session| {
                session.outlived_role
                    && session.waiting.is_none()
                    && session.passed_on == 0
                    && session.pending.is_none()
                    && !session.outbox.is_holding()
                    && session.active_at >= sends_away_from
                    && now >= session.active_at.plus(QUIET)
            });
        }
    }

    /// Ends the connections that have not moved, once their last reply has left.
    fn end_linger(&mut self, core: &mut Core) {
        self.linger = None;
        self.close_where(core, |session| session.outlived_role && session.passed_on == 0);
    }
}

/// Its request is still in the input, or it is the person who asked for the change.
fn may_stay(session: &Session) -> bool {
    matches!(
        session.waiting.as_deref(),
        Some(waiting) if matches!(waiting.what, What::Held | What::Answer)
    )
}

/// It can be carried out by somebody else, alone.
fn is_whole(session: &Session, runnable: Runnable) -> bool {
    runnable.touches_data() && !runnable.is(Flags::BLOCKING) && session.transaction.is_none()
}
