//! May this client run this command now?

use tandem_resp::Args;
use tandem_store::Flags;

use super::{Clients, is_starting};
use crate::runnable::Runnable;
use crate::session::Session;
use crate::{Core, Port, Refusal};

/// What becomes of a command.
pub(super) enum Admission {
    Run,
    /// The reply says why not.
    Refused,
    /// It joins the open transaction.
    Queue,
    /// It waits in the input.
    Hold,
    /// The primary runs it.
    Forward,
}

impl Clients {
    /// Checks in the order of Redis' `processCommand`.
    #[inline]
    pub(super) fn admit(
        &mut self,
        core: &mut Core,
        session: &mut Session,
        runnable: Runnable,
        args: &Args<'_>,
    ) -> Admission {
        if !runnable.takes(args.len()) {
            let name = runnable.name();
            if name == "exec" {
                session.transaction = None;
                self.unwatch_all(core, session);
                return self.refuse_text(
                    session,
                    "EXECABORT Transaction discarded because of: wrong number of arguments for \
                     'exec' command",
                );
            }
            return self.refuse(session, |session| {
                session
                    .reply()
                    .error_fmt(format_args!("ERR wrong number of arguments for '{name}' command"));
            });
        }
        if !session.authenticated && !runnable.is(Flags::NO_AUTH) {
            return self.refuse_text(session, "NOAUTH Authentication required.");
        }
        if let Runnable::Data(command) = runnable
            && core.store.is_out_of_memory(command)
        {
            return self.refuse_text(session, OUT_OF_MEMORY);
        }
        let writes = runnable.is(Flags::WRITE);
        if let Some(refusal) = self.refusal(core, session, runnable) {
            if is_about_role(refusal) && is_starting(core) && session.info.port == Port::Client {
                return Admission::Hold;
            }
            if passes_writes_on(core, session, runnable, refusal) {
                return self.pass_on(core, session);
            }
            if is_about_role(refusal)
                && let Some(admission) = self.admit_lingering(core, session, runnable)
            {
                return admission;
            }
            let text = refusal_text(core, refusal);
            self.refuse_text(session, &text);
            if session.outlived_role {
                // Libraries that only get errors keep asking here; a closed connection makes them
                // look for the primary. Others stay: what they sent behind this would be of unknown
                // outcome, and is refused as surely.
                self.close(core, session);
            }
            return Admission::Refused;
        }
        if session.is_subscriber() && session.proto == tandem_resp::Proto::Resp2 {
            let name = runnable.name();
            if !SUBSCRIBER_COMMANDS.contains(&name) {
                return self.refuse(session, |session| {
                    session.reply().error_fmt(format_args!(
                        "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING \
                         / QUIT / RESET are allowed in this context"
                    ));
                });
            }
        }
        if let Some(transaction) = &session.transaction {
            if !IMMEDIATE_COMMANDS.contains(&runnable.name()) {
                if runnable.is(Flags::NO_MULTI) {
                    let text = "ERR Command not allowed inside a transaction";
                    return self.refuse_text(session, text);
                }
                return match runnable.wrong_subcommand(args) {
                    Some(text) => self.refuse_text(session, &text),
                    None => Admission::Queue,
                };
            }
            let writes = transaction.writes && runnable.name() == "exec";
            if (writes && self.is_write_held(core)) || self.is_all_held(core) {
                return Admission::Hold;
            }
            return Admission::Run;
        }
        let may_write = writes || runnable.is(Flags::MAY_REPLICATE);
        if may_write && self.is_write_held(core) && !is_only_paused(core, runnable) {
            return Admission::Hold;
        }
        if self.is_all_held(core) && !ignores_pause(runnable) {
            return Admission::Hold;
        }
        Admission::Run
    }

    /// Why the node's role forbids it, if it does.
    #[inline]
    fn refusal(&self, core: &Core, session: &Session, runnable: Runnable) -> Option<Refusal> {
        // Who passed a write on must not read what this follower has not applied yet.
        let elsewhere = self.is_elsewhere(session, runnable).then_some(Refusal::Standby);
        elsewhere.or_else(|| refusal(core, session, runnable))
    }

    /// Whether this goes to the primary as well, right behind what this client already sent there.
    pub(super) fn may_follow(
        &self,
        core: &Core,
        session: &Session,
        runnable: Runnable,
        args: &Args<'_>,
    ) -> bool {
        let Runnable::Data(command) = runnable else { return false };
        let fits = runnable.takes(args.len()) && !core.store.is_out_of_memory(command);
        let Some(refusal) = self.refusal(core, session, runnable).filter(|_| fits) else {
            return false;
        };
        session.passed_on < PASSED_ON_MAX
            && session.returned.is_empty()
            && session.passed_on_bytes < PASSED_ON_BYTES_MAX
            && (passes_writes_on(core, session, runnable, refusal)
                || (is_about_role(refusal) && self.lingers_beyond(session, runnable)))
    }

    /// What becomes of a command that the primary is to run.
    pub(super) fn pass_on(&mut self, core: &Core, session: &mut Session) -> Admission {
        if self.awaits_another_try(core) {
            Admission::Hold
        } else if self.tried_long_enough(core) {
            let text = refusal_text(core, Refusal::NotPrimary);
            self.refuse_text(session, &text)
        } else {
            Admission::Forward
        }
    }

    fn refuse_text(&mut self, session: &mut Session, text: &str) -> Admission {
        self.refuse(session, |session| session.reply().error(text))
    }

    #[cold]
    fn refuse(&mut self, session: &mut Session, write: impl FnOnce(&mut Session)) -> Admission {
        let start = session.outbox.end();
        write(session);
        self.count_error(session, start);
        Self::end_reply(session, start);
        Admission::Refused
    }

    #[inline]
    fn is_write_held(&self, core: &Core) -> bool {
        core.view.hold_writes || self.pause.is_some_and(|pause| core.now.mono < pause.until)
    }

    #[inline]
    fn is_all_held(&self, core: &Core) -> bool {
        self.pause.is_some_and(|pause| pause.all && core.now.mono < pause.until)
    }
}

/// Somebody paused the clients, and this is about something else.
#[cold]
fn is_only_paused(core: &Core, runnable: Runnable) -> bool {
    !core.view.hold_writes && ignores_pause(runnable)
}

/// What a pause of the clients does not hold: the way to end it, and the peer's probes, which would take
/// the pause for a failure.
#[cold]
fn ignores_pause(runnable: Runnable) -> bool {
    ["client", "tandem.probeget", "tandem.probeset"].contains(&runnable.name())
}

/// Commands of one client that may be on their way to the primary: enough that a pipeline does not wait
/// for the disks once per command, and too few for a crowd of clients to fill the primary's queue.
const PASSED_ON_MAX: usize = 64;
/// Bytes of them: more of one client waits until all of them are answered.
const PASSED_ON_BYTES_MAX: usize = 1 << 20;

/// A replica that serves its clients' writes through the primary.
fn passes_writes_on(core: &Core, session: &Session, runnable: Runnable, refusal: Refusal) -> bool {
    refusal == Refusal::ReadOnly
        && core.view.forward_writes
        && session.info.port == Port::Client
        && session.transaction.is_none()
        && (runnable.is(Flags::WRITE) || runnable.may_write_by_script())
        && !runnable.is(Flags::BLOCKING)
}

/// Another node would not refuse it.
const fn is_about_role(refusal: Refusal) -> bool {
    matches!(refusal, Refusal::Standby | Refusal::ReadOnly | Refusal::NotPrimary | Refusal::Stale)
}

pub(crate) const OUT_OF_MEMORY: &str = "OOM command not allowed when used memory > 'maxmemory'.";

/// What a RESP2 client may send while it gets messages.
const SUBSCRIBER_COMMANDS: [&str; 7] =
    ["ping", "subscribe", "psubscribe", "unsubscribe", "punsubscribe", "quit", "reset"];

/// What runs at once inside `MULTI`.
const IMMEDIATE_COMMANDS: [&str; 6] = ["exec", "discard", "multi", "watch", "quit", "reset"];

/// Why the node's role forbids a command, if it does.
#[inline]
fn refusal(core: &Core, session: &Session, runnable: Runnable) -> Option<Refusal> {
    let port = session.info.port;
    let refusal = refusal_by_role(core, port, runnable);
    if refusal.is_none() && runnable.may_write_by_script() && port == Port::Client {
        // What it will write nobody knows before: all of it goes where writes go.
        return core.view.writes.filter(|it| *it == Refusal::ReadOnly && core.view.forward_writes);
    }
    refusal
}

/// The same of what comes in at `port`.
#[inline]
pub(crate) fn refusal_by_role(core: &Core, port: Port, runnable: Runnable) -> Option<Refusal> {
    let flags = runnable.flags();
    let reads = flags.has(Flags::READONLY) || flags.has(Flags::PUBSUB);
    match port {
        Port::Client if flags.has(Flags::WRITE) => core.view.writes,
        Port::Client if reads => core.view.reads,
        Port::Read if flags.has(Flags::WRITE) => Some(Refusal::ReadOnly),
        Port::Read if reads => core.view.read_port_reads,
        Port::Client | Port::Read => None,
    }
}

/// What a refused client is told: the first word is what libraries look at.
pub(crate) fn refusal_text(core: &Core, refusal: Refusal) -> String {
    let view = &core.view;
    let waiting = view.waiting_for.as_deref().unwrap_or("see tandem why");
    match refusal {
        Refusal::Standby => match &view.primary_address {
            Some(address) => {
                format!("STANDBY this node does not serve clients; the primary is {address}")
            }
            None => "STANDBY this node does not serve clients; no primary is known".to_owned(),
        },
        Refusal::ReadOnly => "READONLY You can't write against a read only replica.".to_owned(),
        Refusal::Stale => {
            "STALE this replica's data is older than replication.max_staleness allows".to_owned()
        }
        Refusal::Loading => "LOADING this node has no data yet; it is being copied".to_owned(),
        Refusal::NotPrimary => {
            format!("NOTPRIMARY this node may not answer as primary now: {waiting}")
        }
        Refusal::NoReplicas => {
            "NOREPLICAS Not enough good replicas to write: the peer is not in sync and \
             replication.without_peer is \"refuse\""
                .to_owned()
        }
        Refusal::Disk => {
            format!("MISCONF writes are off because the log cannot be written: {waiting}")
        }
    }
}
