//! Ends waits: a key was touched, a position moved, an answer came, the time is up.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tandem_resp::Proto;
use tandem_store::{Need, Outcome, TimeoutReply, Touched};
use tandem_types::{DbIndex, LogPosition, Lsn};

use super::Clients;
use crate::runnable::Runnable;
use crate::scripting::{By, Run};
use crate::session::{Session, What};
use crate::{Caller, ConnId, ConnInfo, Core};

/// The address of a client that is connected to the peer.
const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

impl Clients {
    /// Keys of interest were touched: watches break, and blocked clients get their turn, in the order they
    /// came, until nothing is touched any more. `current` is the session that acts.
    #[inline]
    pub(super) fn serve_touched(&mut self, core: &mut Core, mut current: Option<&mut Session>) {
        loop {
            core.store.drain_touched(&mut self.touched);
            if self.touched.is_empty() {
                return;
            }
            let touched = std::mem::take(&mut self.touched);
            for Touched { db, key, breaks_watches } in &touched {
                if *breaks_watches {
                    self.break_watches(*db, key, current.as_deref_mut());
                }
                self.serve_key(core, *db, key);
            }
            self.touched = touched;
            self.touched.clear();
        }
    }

    fn break_watches(&mut self, db: DbIndex, key: &[u8], current: Option<&mut Session>) {
        let Some(conns) = self.watchers[db.index()].get(key) else { return };
        for &conn in conns {
            if let Some(session) = self.sessions.get_mut(conn) {
                session.watch_broken = true;
            }
        }
        if let Some(session) = current
            && conns.contains(&session.conn)
        {
            session.watch_broken = true;
        }
    }

    fn serve_key(&mut self, core: &mut Core, db: DbIndex, key: &[u8]) {
        let mut passed_over = 0;
        while let Some(conn) = self.blocked.waiter_for(db, key, passed_over) {
            passed_over += 1;
            let need = self.sessions.get_mut(conn).and_then(|session| session.need_of(key));
            if !core.store.has_for(db, key, need, core.now.wall) {
                // Once the key is empty again, the rest need not try.
                if !self.blocked.has_curious() && !core.store.exists(db, key, core.now.wall) {
                    return;
                }
                continue;
            }
            if let Some(mut session) = self.sessions.take(conn) {
                self.try_again(core, &mut session);
                passed_over -= usize::from(session.waiting.is_none());
                self.settle(core, session);
            }
        }
    }

    /// Runs the command of a client that waits for keys once more.
    fn try_again(&mut self, core: &mut Core, session: &mut Session) {
        let Some(waiting) = session.waiting.take() else { return };
        let What::Keys { command, words, db, .. } = &waiting.what else {
            session.waiting = Some(waiting);
            return;
        };
        let caller = Caller { db: *db, proto: session.proto, deny_blocking: false, woken: true };
        let start = session.outbox.end();
        let executed = core.execute(command, &words.args(), caller, session.outbox.bytes_mut());
        match executed.outcome {
            Outcome::Block(_) => session.waiting = Some(waiting),
            Outcome::Done => {
                session.outbox.depend_on(executed.wait, core.executed_at());
                if executed.wrote {
                    session.has_written(core, executed.wait);
                }
                self.stats.served_blocked += 1;
                let name = command.name;
                session.waiting = Some(waiting);
                self.end_wait(core, session);
                let failed = self.count_error(session, start);
                self.command_stats.of(name).failed += u64::from(failed);
                Self::end_reply(session, start);
            }
        }
    }

    /// Looks at those who wait for positions.
    pub(super) fn serve_positions(&mut self, core: &mut Core) {
        for conn in self.blocked.position_waiters() {
            let Some(mut session) = self.sessions.take(conn) else { continue };
            self.serve_position(core, &mut session, false);
            self.settle(core, session);
        }
    }

    /// Answers a `WAIT`, `WAITAOF` or `TANDEM WAITPOS` if it is fulfilled, or in any case if `time_is_up`.
    fn serve_position(&mut self, core: &mut Core, session: &mut Session, time_is_up: bool) {
        let Some(waiting) = &session.waiting else { return };
        let start = session.outbox.end();
        match waiting.what {
            What::Copies { local, replicas, position } => {
                let have = copies(core, position, local.is_some());
                let enough =
                    have.replicas >= replicas && local.is_none_or(|wanted| have.local >= wanted);
                if !enough && !time_is_up {
                    return;
                }
                write_copies(session, have, local.is_some());
            }
            What::Position(position) => {
                if has_reached(core, position) {
                    session.reply().ok();
                } else if time_is_up {
                    session.reply().error("TIMEOUT this node has not reached that position yet");
                } else {
                    return;
                }
            }
            What::Vector(wanted) => {
                if core.has_seen(wanted) {
                    session.reply().ok();
                } else if time_is_up {
                    session.reply().error("TIMEOUT this node has not seen all of that yet");
                } else {
                    return;
                }
            }
            What::Keys { .. }
            | What::Answer
            | What::Forwarded
            | What::Held
            | What::Sleep
            | What::Drained
            | What::Turn => return,
        }
        self.end_wait(core, session);
        Self::end_reply(session, start);
    }

    /// The time of a waiting client is up.
    pub(super) fn time_is_up(&mut self, core: &mut Core, session: &mut Session) {
        let start = session.outbox.end();
        match session.waiting.as_deref().map(|waiting| &waiting.what) {
            Some(What::Keys { on_timeout, .. }) => match on_timeout {
                TimeoutReply::Null => session.reply().null(),
                TimeoutReply::NullArray => session.reply().null_array(),
                TimeoutReply::RunAgain => self.run_at_last(core, session),
            },
            Some(What::Copies { .. } | What::Position(_) | What::Vector(_)) => {
                self.serve_position(core, session, true);
                return;
            }
            Some(What::Sleep) => session.reply().ok(),
            Some(What::Answer | What::Forwarded | What::Held | What::Drained | What::Turn)
            | None => return,
        }
        self.end_wait(core, session);
        Self::end_reply(session, start);
    }

    /// The time of a client is up that waits for rights or ids: its command says what there is.
    fn run_at_last(&mut self, core: &mut Core, session: &mut Session) {
        let Some(waiting) = session.waiting.take() else { return };
        if let What::Keys { command, words, db, .. } = &waiting.what {
            let caller = Caller { db: *db, proto: session.proto, deny_blocking: true, woken: true };
            let start = session.outbox.end();
            let executed = core.execute(command, &words.args(), caller, session.outbox.bytes_mut());
            session.outbox.depend_on(executed.wait, core.executed_at());
            if executed.wrote {
                session.has_written(core, executed.wait);
            }
            self.count_error(session, start);
        }
        session.waiting = Some(waiting);
    }

    /// The node's answer to an operation of this client: a line, or an error with its code word.
    pub fn answer(&mut self, core: &mut Core, conn: ConnId, answer: Result<&str, &str>) {
        self.answer_by(core, conn, |session| match answer {
            Ok(line) => session.reply().simple(line),
            Err(line) => session.reply().error(line),
        });
    }

    /// The same, of what this node has just written: once the records before `wait` are safe.
    pub fn answer_after(&mut self, core: &mut Core, conn: ConnId, wait: Lsn, line: &str) {
        let executed = core.executed_at();
        self.answer_by(core, conn, |session| {
            session.reply().simple(line);
            session.outbox.depend_on(wait, executed);
        });
    }

    fn answer_by(&mut self, core: &mut Core, conn: ConnId, write: impl FnOnce(&mut Session)) {
        self.wait_ended(core, conn, |clients, session| {
            let start = session.outbox.end();
            write(session);
            clients.count_error(session, start);
            Self::end_reply(session, start);
        });
    }

    /// What the command at the head of this client's input waited for is there.
    pub fn go_on(&mut self, core: &mut Core, conn: ConnId) {
        self.wait_ended(core, conn, |_, _| {});
    }

    fn wait_ended(
        &mut self,
        core: &mut Core,
        conn: ConnId,
        write: impl FnOnce(&mut Self, &mut Session),
    ) {
        let Some(mut session) = self.sessions.take(conn) else { return };
        if matches!(session.waiting.as_deref(), Some(waiting) if matches!(waiting.what, What::Answer))
        {
            write(self, &mut session);
            self.end_wait(core, &mut session);
        }
        self.settle(core, session);
        self.run_ready(core);
    }

    /// The node's answer to an operation of this client, in lines.
    pub fn answer_lines(&mut self, core: &mut Core, conn: ConnId, lines: &[String]) {
        self.answer_by(core, conn, |session| write_lines(session, lines));
    }

    /// The same, of what this node has just written: once the records before `wait` are safe.
    pub fn answer_lines_after(
        &mut self,
        core: &mut Core,
        conn: ConnId,
        wait: Lsn,
        lines: &[String],
    ) {
        let executed = core.executed_at();
        self.answer_by(core, conn, |session| {
            write_lines(session, lines);
            session.outbox.depend_on(wait, executed);
        });
    }

    /// Conflicts, as `TANDEM PP CONFLICTS` shows them.
    pub fn answer_conflicts(
        &mut self,
        core: &mut Core,
        conn: ConnId,
        entries: &[tandem_store::ConflictEntry],
    ) {
        let names = core.settings.names.clone();
        self.answer_by(core, conn, |session| {
            tandem_store::show_conflicts(entries, &names, &mut session.reply());
        });
    }

    /// The primary's reply to a forwarded write, in the protocol of the client; `None`: nobody knows
    /// whether it was carried out, so the connection ends without an answer.
    pub fn forwarded(&mut self, core: &mut Core, conn: ConnId, reply: Option<&[u8]>) {
        let Some(mut session) = self.sessions.take(conn) else { return };
        if session.passed_on > 0 && !session.closing {
            session.passed_on -= 1;
            // After one that was not done nothing is: whoever says so cannot be believed.
            if let Some(encoded) = reply.filter(|_| session.returned.is_empty()) {
                self.turned_away = None;
                self.forward_answered(core, &mut session, encoded);
            } else {
                self.close(core, &mut session);
            }
        }
        self.settle(core, session);
        self.run_ready(core);
    }

    fn forward_answered(&mut self, core: &mut Core, session: &mut Session, encoded: &[u8]) {
        let start = session.outbox.end();
        session.reply().raw(encoded);
        self.count_error(session, start);
        Self::end_reply(session, start);
        if session.passed_on > 0 {
            return;
        }
        session.passed_on_bytes = 0;
        session.active_at = core.now.mono;
        if matches!(session.waiting.as_deref(), Some(waiting) if matches!(waiting.what, What::Forwarded))
        {
            self.end_wait(core, session);
        }
        if session.outlived_role && self.linger.is_none() {
            self.close(core, session);
        }
    }

    /// Runs a write that the peer passed on, as if a client of this node had sent it. The reply is in
    /// `reply`; it may be sent once `commit_end` has reached the result.
    pub fn run_forwarded(
        &mut self,
        core: &mut Core,
        db: DbIndex,
        proto: Proto,
        request: &[u8],
        reply: &mut Vec<u8>,
    ) -> Lsn {
        let mut parser = tandem_resp::Parser::new();
        let parsed = parser.parse(request, &tandem_resp::Limits::NORMAL);
        let args = parser.args(request);
        let mut writer = tandem_resp::Reply::new(reply, proto);
        let found = match parsed {
            Ok(tandem_resp::Parsed::Command { .. }) => Runnable::of_words(&args),
            _ => None,
        };
        let command = match found {
            Some(Runnable::Data(command)) => command,
            Some(script) if script.touches_data() && script.takes(args.len()) => {
                return self.run_forwarded_script(core, db, proto, script, &args, reply);
            }
            _ => {
                writer.error("ERR the peer forwarded something that is no command");
                return Lsn::ZERO;
            }
        };
        if !command.takes(args.len()) {
            writer.error_fmt(format_args!(
                "ERR wrong number of arguments for '{}' command",
                command.name
            ));
            return Lsn::ZERO;
        }
        let writes = command.flags.has(tandem_store::Flags::WRITE);
        if let Some(refusal) = if writes { core.view.writes } else { core.view.reads } {
            writer.error(&super::refusal_text(core, refusal));
            return Lsn::ZERO;
        }
        let caller = Caller { db, proto, deny_blocking: true, woken: false };
        let executed = core.execute(command, &args, caller, reply);
        self.serve_touched(core, None);
        self.run_ready(core);
        executed.wait
    }

    /// The same of a script.
    fn run_forwarded_script(
        &mut self,
        core: &mut Core,
        db: DbIndex,
        proto: Proto,
        runnable: Runnable,
        args: &tandem_resp::Args<'_>,
        reply: &mut Vec<u8>,
    ) -> Lsn {
        let name = runnable.name();
        let read_only = !runnable.may_write_by_script();
        let refusal = if read_only { core.view.reads } else { core.view.writes };
        if let Some(refusal) = refusal {
            tandem_resp::Reply::new(reply, proto).error(&super::refusal_text(core, refusal));
            return Lsn::ZERO;
        }
        let by = if name.starts_with("evalsha") { By::Sha } else { By::Text };
        let (port, conn) = (crate::Port::Client, ConnId::new(u32::MAX, u32::MAX));
        // It is a client of the peer: this one is nobody's.
        let info = ConnInfo { port, peer: NOBODY, local: NOBODY, tls: false };
        let mut session = Session::new(conn, 0, info, core.now.mono);
        (session.db, session.proto) = (db, proto);
        let run = Run { by, read_only, port, proto, in_group: false };
        let waits = self.run_script(core, &mut session, run, args, reply);
        self.serve_touched(core, None);
        self.run_ready(core);
        waits.seen
    }

    /// `CLIENT UNBLOCK`: as if the time were up, or with an error.
    pub(crate) fn unblock(&mut self, core: &mut Core, conn: ConnId, with_error: bool) {
        let Some(mut session) = self.sessions.take(conn) else { return };
        if with_error {
            let start = session.outbox.end();
            session.reply().error("UNBLOCKED client unblocked via CLIENT UNBLOCK");
            self.count_error(&session, start);
            self.end_wait(core, &mut session);
            Self::end_reply(&mut session, start);
        } else {
            self.time_is_up(core, &mut session);
        }
        self.settle(core, session);
    }

    /// The wait is over: takes it out of all lists; the client's input goes on afterwards.
    pub(crate) fn end_wait(&mut self, core: &mut Core, session: &mut Session) {
        self.cancel_wait(core, session);
        session.active_at = core.now.mono;
        self.ready.push_back(session.conn);
    }

    /// Takes a waiting client out of all lists.
    pub(super) fn cancel_wait(&mut self, core: &mut Core, session: &mut Session) {
        let Some(waiting) = session.waiting.take() else { return };
        self.blocked.remove_deadline(session.conn, waiting.until);
        match &waiting.what {
            What::Keys { db, keys, needs, .. } => {
                let curious = needs.iter().any(Need::is_curious);
                self.blocked.remove_keys(session.conn, *db, keys, curious);
                for key in keys {
                    core.store.interest_remove(*db, key);
                }
            }
            What::Copies { .. } | What::Position(_) | What::Vector(_) => {
                self.blocked.remove_position(session.conn);
            }
            What::Held => self.blocked.remove_held(session.conn),
            What::Answer | What::Forwarded | What::Sleep | What::Drained | What::Turn => {}
        }
    }
}

/// How many have a position.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Copies {
    /// 1: durable here.
    pub(crate) local: u32,
    /// 1: the peer has it (`durable`: on disk).
    pub(crate) replicas: u32,
}

/// Who has `position`.
pub(crate) fn copies(core: &Core, position: LogPosition, durable: bool) -> Copies {
    let at = &core.positions;
    let peer_end = if durable { at.peer_durable_end } else { at.peer_received_end };
    // Nothing written means nothing to wait for: a connected peer counts, as in Redis.
    let nothing = position.lsn == Lsn::ZERO;
    Copies {
        local: u32::from(nothing || at.durable_end >= position.lsn),
        replicas: u32::from(core.view.peer_connected && (nothing || peer_end >= position.lsn)),
    }
}

pub(crate) fn write_copies(session: &mut Session, have: Copies, aof: bool) {
    let mut reply = session.reply();
    if aof {
        reply.array(2);
        reply.int(i64::from(have.local));
    }
    reply.int(i64::from(have.replicas));
}

/// Whether a read here sees everything before `position`.
pub(crate) fn has_reached(core: &Core, position: LogPosition) -> bool {
    let at = &core.positions;
    core.view.epoch >= position.epoch
        && at.applied_end >= position.lsn
        && at.commit_end >= position.lsn
}

fn write_lines(session: &mut Session, lines: &[String]) {
    let mut reply = session.reply();
    reply.array(lines.len());
    for line in lines {
        reply.bulk(line.as_bytes());
    }
}
