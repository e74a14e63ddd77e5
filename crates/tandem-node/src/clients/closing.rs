//! Ends connections: on request, over a limit, or because the role is gone.

use super::Clients;
use crate::session::Session;
use crate::{Core, Output, Port};

impl Clients {
    /// Reads nothing more from a client. The connection ends once its replies are safe and have left.
    pub(crate) fn close(&mut self, core: &mut Core, session: &mut Session) {
        if !session.closing {
            session.closing = true;
            self.forget(core, session);
        }
    }

    /// Asks the server to end a closing connection, once nothing is held any more.
    pub(super) fn tell_close(core: &mut Core, session: &mut Session) {
        if session.closing && !session.close_told && !session.outbox.is_holding() {
            session.close_told = true;
            core.out.push(Output::Close { conn: session.conn });
        }
    }

    /// Takes a session out of everything that others would find it by.
    pub(super) fn forget(&mut self, core: &mut Core, session: &mut Session) {
        self.cancel_wait(core, session);
        self.unwatch_all(core, session);
        self.unsubscribe_all(session);
        self.monitors.remove(&session.conn);
        session.monitor = false;
        session.transaction = None;
        session.pending = None;
        session.passed_on = 0;
        session.returned = Vec::new();
    }

    /// The role was lost: what is held is of unknown outcome, so those connections end without an answer,
    /// and so do those that wait, watch or listen, because what they wait for will not happen here.
    /// Everybody else goes on until a command is refused: that error is definite, and the last answer.
    pub fn demoted(&mut self, core: &mut Core) {
        self.forget_backlog(core);
        self.close_where(core, |session| {
            session.outbox.is_holding()
                || session.waits_for_others()
                || session.transaction.is_some()
                || !session.watched.is_empty()
                || session.is_subscriber()
        });
        for session in self.sessions.iter_mut() {
            session.outlived_role |= session.info.port == Port::Client;
        }
    }

    /// Ends every connection of the client port: libraries look for the primary again only when their
    /// connection ends. The read port goes on, whatever the role.
    pub fn close_client_port(&mut self, core: &mut Core) {
        self.close_where(core, |session| {
            session.info.port == Port::Client || session.outbox.is_holding()
        });
    }

    /// Ends every connection, as the process is about to end.
    pub fn close_everyone(&mut self, core: &mut Core) {
        self.close_where(core, |_| true);
    }

    pub(super) fn close_where(&mut self, core: &mut Core, which: impl Fn(&Session) -> bool) {
        for conn in self.sessions.conns() {
            let Some(mut session) = self.sessions.take(conn) else { continue };
            if !session.closing && which(&session) {
                session.outbox.drop_held();
                self.close(core, &mut session);
            }
            self.settle(core, session);
        }
    }

    /// Ends a connection whose client does not take its replies.
    pub(super) fn limit_output(&mut self, core: &mut Core, session: &mut Session) {
        if session.closing {
            return;
        }
        let unsent = session.outbox.unsent_bytes();
        let limit = output_limit(core, session);
        if unsent > limit || session.overflowed {
            self.drop_slow(core, session);
            return;
        }
        // A listener may be above a quarter of its limit for a minute (Redis: 32 MiB, or 8 MiB for 60 s).
        let listens = session.is_subscriber() || session.monitor;
        if listens && unsent > limit / 4 {
            let since = *session.soft_limit_since.get_or_insert(core.now.mono);
            if core.now.mono.since(since) >= SOFT_LIMIT_TIME {
                self.drop_slow(core, session);
            }
        } else {
            session.soft_limit_since = None;
        }
    }

    fn drop_slow(&mut self, core: &mut Core, session: &mut Session) {
        self.stats.output_limit_disconnections += 1;
        session.outbox.drop_all();
        self.close(core, session);
    }

    pub(crate) fn unwatch_all(&mut self, core: &mut Core, session: &mut Session) {
        for watched in session.watched.drain(..) {
            core.store.interest_remove(watched.db, &watched.key);
            let watchers = &mut self.watchers[watched.db.index()];
            if let Some(conns) = watchers.get_mut(&watched.key) {
                conns.remove(&session.conn);
                if conns.is_empty() {
                    watchers.remove(&watched.key);
                }
            }
        }
        session.watch_broken = false;
    }

    pub(crate) fn unsubscribe_all(&mut self, session: &mut Session) {
        for channel in std::mem::take(&mut session.subscriptions.channels) {
            self.pubsub.unsubscribe(session.conn, &channel);
        }
        for pattern in std::mem::take(&mut session.subscriptions.patterns) {
            self.pubsub.unsubscribe_pattern(session.conn, &pattern);
        }
    }
}

/// Bytes of replies that may wait for a client; a stranger gets little, so that nobody can fill the
/// memory before the password (CVE-2025-21605). Zero in the configuration: no bound.
pub(crate) fn output_limit(core: &Core, session: &Session) -> usize {
    let limits = &core.settings.limits;
    let limit = if !session.authenticated {
        STRANGER_OUTPUT_BYTES_MAX
    } else if session.is_subscriber() || session.monitor {
        limits.output_pubsub_bytes_max
    } else {
        limits.output_normal_bytes_max
    };
    if limit == 0 { usize::MAX } else { limit }
}

const STRANGER_OUTPUT_BYTES_MAX: usize = 64 << 10;

const SOFT_LIMIT_TIME: std::time::Duration = std::time::Duration::from_mins(1);
