//! After a planned change of primary: who is still connected here is served by the new primary, through
//! this node, until there was time to move.
//!
//! Nothing is passed on before the new primary serves; until then requests wait in the input, where
//! nobody has carried them out. What waits there when the time is up was never sent, so its connection
//! ends without an answer. A request that was passed on is answered, or its outcome is unknown.

use tandem_store::Flags;
use tandem_types::Monotonic;

use super::Clients;
use super::admission::Admission;
use crate::runnable::Runnable;
use crate::session::{Session, What};
use crate::{Core, Port};

/// The time between losing the role to the peer and ending what is left of the connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linger {
    pub(super) until: Monotonic,
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
        let until = core.now.mono.plus(core.settings.linger);
        self.linger = Some(Linger { until, passes_on: false });
    }

    /// This node follows the new primary, so that one serves: what was held is passed on.
    pub fn new_primary_serves(&mut self, core: &mut Core) {
        if let Some(linger) = &mut self.linger {
            linger.passes_on = true;
            self.tell_moving(core);
            self.end_of_turn(core);
        }
    }

    /// Whether requests wait for the new primary to serve.
    pub(super) fn awaits_new_primary(&self) -> bool {
        self.linger.is_some_and(|linger| !linger.passes_on)
    }

    /// Whether this is a data command of a client that was here when the role was handed over.
    #[inline]
    pub(super) fn is_elsewhere(&self, core: &Core, session: &Session, runnable: Runnable) -> bool {
        self.linger.is_some()
            && session.outlived_role
            && core.view.role != tandem_types::Role::Primary
            && matches!(runnable, Runnable::Data(_))
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
        let whole = matches!(runnable, Runnable::Data(_))
            && !runnable.is(Flags::BLOCKING)
            && session.transaction.is_none();
        Some(if !whole {
            self.close(core, session);
            Admission::Refused
        } else if linger.passes_on {
            Admission::Forward
        } else {
            Admission::Hold
        })
    }

    /// Ends the connections that have not moved, once their last reply has left.
    pub(super) fn end_linger(&mut self, core: &mut Core) {
        if self.linger.is_none_or(|linger| core.now.mono < linger.until) {
            return;
        }
        self.linger = None;
        if core.view.role == tandem_types::Role::Primary {
            return; // the role came back: they may stay
        }
        self.close_where(core, |session| session.outlived_role && !is_passed_on(session));
    }
}

/// Its request is still in the input, or it is the person who asked for the change.
fn may_stay(session: &Session) -> bool {
    matches!(
        session.waiting.as_deref(),
        Some(waiting) if matches!(waiting.what, What::Held | What::Answer)
    )
}

fn is_passed_on(session: &Session) -> bool {
    matches!(session.waiting.as_deref(), Some(waiting) if matches!(waiting.what, What::Forwarded))
}
