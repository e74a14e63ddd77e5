//! From bytes to carried-out commands.

use tandem_resp::{Args, OwnedArgs, Parsed, Parser, ProtocolError};
use tandem_store::{BlockRequest, Command, Flags, Need, Outcome};

use super::Clients;
use super::admission::Admission;
use super::warming::warm;
use crate::runnable::Runnable;
use crate::session::{Pending, Queued, ReplyMode, Session, Waiting, What};
use crate::session_commands::Visit;
use crate::slow_log::{SlowEntry, shortened};
use crate::{Caller, Core, Operation};

/// Input that may wait behind a blocked request before the client is read no more.
const WAITING_INPUT_BYTES_MAX: usize = 1 << 20;

/// Replies of one pipeline are checked against the limits from here on.
const OUTPUT_CHECK_BYTES: usize = 64 << 10;

/// A client that is owed this much is not served any further until it has read.
const DRAIN_FROM_BYTES: usize = 4 << 20;

/// Commands begun in one turn take so long, and the last of them as long as it takes: meanwhile the peer hears nothing.
const TURN_NANOS_MAX: u64 = 20_000_000;

/// How far a run got.
struct Ran {
    /// Bytes carried out.
    consumed: usize,
    /// There is nothing more to do before there are this many bytes after those.
    need: usize,
}

/// Whether conflicts are asked for that only the files hold; then the node looks there, and the client waits.
fn asks_files(core: &mut Core, session: &mut Session, args: &Args<'_>) -> bool {
    let filter = tandem_store::ConflictFilter::parse(args);
    let Some(filter) = filter.filter(|filter| core.store.older_conflicts(filter).is_some()) else {
        return false;
    };
    core.operations.push_back(Operation::ReadConflicts { conn: session.conn, filter });
    session.waiting = Some(Box::new(Waiting { what: What::Answer, until: None }));
    true
}

/// Whether a conflict is to be decided that only the files hold: then the node looks there, and the command
/// waits in the input.
fn asks_file_of_one(core: &mut Core, session: &mut Session, args: &Args<'_>) -> bool {
    let id = args.opt(1).and_then(tandem_store::ConflictId::parse);
    let Some(id) = id.filter(|id| core.store.must_recall_conflict(*id)) else { return false };
    core.operations.push_back(Operation::RecallConflict { conn: session.conn, id });
    session.waiting = Some(Box::new(Waiting { what: What::Answer, until: None }));
    true
}

/// What follows a command.
enum Flow {
    /// The next one.
    Next,
    /// It was not carried out and waits in the input.
    Hold,
}

impl Clients {
    /// Carries out what came from a client, as far as it is whole.
    pub(super) fn feed(&mut self, core: &mut Core, session: &mut Session, bytes: &[u8]) {
        if let Some(pending) = &mut session.pending {
            pending.bytes.extend_from_slice(bytes);
            if pending.bytes.len() > core.settings.limits.query_buffer_bytes_max {
                self.stats.query_limit_disconnections += 1;
                self.close(core, session);
                return;
            }
            self.run_pending(core, session);
            return;
        }
        let mut parser = std::mem::take(&mut self.parser);
        let ran = self.run(core, session, bytes, &mut parser);
        let rest = bytes.get(ran.consumed..).unwrap_or_default();
        if rest.is_empty() || session.closing {
            parser.reset();
            self.parser = parser;
        } else {
            session.pending =
                Some(Box::new(Pending { bytes: rest.to_vec(), parser, need: ran.need }));
        }
    }

    /// Goes on with input that waited.
    fn run_pending(&mut self, core: &mut Core, session: &mut Session) {
        if session.waiting.is_some() {
            let waiting_bytes = session.pending.as_ref().map_or(0, |pending| pending.bytes.len());
            if waiting_bytes > WAITING_INPUT_BYTES_MAX {
                Self::pause_reading(core, session, true);
            }
            return;
        }
        Self::pause_reading(core, session, false);
        let Some(mut pending) = session.pending.take() else { return };
        if pending.bytes.len() >= pending.need {
            let mut parser = std::mem::take(&mut pending.parser);
            let ran = self.run(core, session, &pending.bytes, &mut parser);
            pending.consume(ran.consumed);
            pending.need = ran.need;
            pending.parser = parser;
        }
        if !pending.bytes.is_empty() && !session.closing {
            session.pending = Some(pending);
        }
    }

    /// The first thing in a turn: whose input was put off in the one before comes first.
    pub(super) fn begin_turn(&mut self, core: &mut Core) {
        if std::mem::replace(&mut self.turn_begun, true) {
            return;
        }
        self.turn_nanos = 0;
        for conn in std::mem::take(&mut self.resumes) {
            let Some(session) = self.sessions.get_mut(conn) else { continue };
            if matches!(session.waiting.as_deref(), Some(waiting) if matches!(waiting.what, What::Turn))
            {
                session.waiting = None;
                self.ready.push_back(conn);
            }
        }
        self.run_ready(core);
    }

    /// Goes on with the input of clients whose wait is over.
    pub(super) fn run_ready(&mut self, core: &mut Core) {
        while let Some(conn) = self.ready.pop_front() {
            if let Some(mut session) = self.sessions.take(conn) {
                if !session.closing {
                    self.run_pending(core, &mut session);
                }
                self.settle(core, session);
            }
        }
    }

    fn run(
        &mut self,
        core: &mut Core,
        session: &mut Session,
        bytes: &[u8],
        parser: &mut Parser,
    ) -> Ran {
        let mut consumed = 0;
        let mut warmed_to = 0;
        self.measured_to = None;
        while !session.closing && session.waiting.is_none() {
            if self.turn_nanos > TURN_NANOS_MAX {
                // The peer, the mediator and the clock come first.
                session.waiting = Some(Box::new(Waiting { what: What::Turn, until: None }));
                self.put_off.push(session.conn);
                break;
            }
            let rest = bytes.get(consumed..).unwrap_or_default();
            if consumed >= warmed_to {
                warmed_to = consumed + warm(core, session, rest);
            }
            match parser.parse(rest, session.limits()) {
                Ok(Parsed::Incomplete { need }) => return Ran { consumed, need },
                Ok(Parsed::Empty { consumed: empty }) => consumed += empty,
                Ok(Parsed::Command { consumed: request }) => {
                    match self.command(core, session, &parser.args(rest)) {
                        Flow::Next => {
                            consumed += request;
                            if session.outbox.unsent_bytes() > OUTPUT_CHECK_BYTES {
                                self.limit_output(core, session);
                                wait_until_drained(session);
                            }
                        }
                        Flow::Hold => break,
                    }
                }
                Err(error) => {
                    self.protocol_error(core, session, error);
                    break;
                }
            }
        }
        Ran { consumed, need: 0 }
    }

    fn protocol_error(&mut self, core: &mut Core, session: &mut Session, error: ProtocolError) {
        self.stats.protocol_errors += 1;
        if session.passed_on > 0 {
            // An error now would be taken for the answer to what was passed on, whose outcome is unknown.
            return self.close(core, session);
        }
        let start = session.outbox.end();
        session.reply().error_fmt(format_args!("ERR {error}"));
        self.count_error(session, start);
        self.close(core, session);
    }

    /// Carries out one command.
    fn command(&mut self, core: &mut Core, session: &mut Session, args: &Args<'_>) -> Flow {
        let found = Runnable::of_words(args);
        let within = match found {
            Some(Runnable::Session(command)) if command.name == "tandem" => {
                Runnable::within_tandem(args)
            }
            _ => None,
        };
        if let Some((runnable, words)) = &within {
            return self.found(core, session, Some(*runnable), &words.args());
        }
        self.found(core, session, found, args)
    }

    fn found(
        &mut self,
        core: &mut Core,
        session: &mut Session,
        found: Option<Runnable>,
        args: &Args<'_>,
    ) -> Flow {
        // What is answered here must not be answered before what was asked earlier.
        if session.passed_on > 0
            && !found.is_some_and(|runnable| self.may_follow(core, session, runnable, args))
        {
            session.waiting = Some(Box::new(Waiting { what: What::Forwarded, until: None }));
            return Flow::Hold;
        }
        let Some(runnable) = found else {
            self.unknown(core, session, args);
            return Flow::Next;
        };
        match self.admit(core, session, runnable, args) {
            Admission::Run => {}
            Admission::Refused => {
                self.command_stats.of(runnable.name()).rejected += 1;
                if let Some(transaction) = &mut session.transaction {
                    transaction.aborted = true;
                }
                return Flow::Next;
            }
            Admission::Queue => {
                queue(session, runnable, args);
                let queued = session.transaction.as_ref().map_or(0, |queue| queue.bytes);
                if queued > core.settings.limits.query_buffer_bytes_max {
                    self.stats.query_limit_disconnections += 1;
                    self.close(core, session);
                }
                return Flow::Next;
            }
            Admission::Hold => {
                self.hold(session);
                return Flow::Hold;
            }
            Admission::Forward => {
                forward(core, session, args);
                return Flow::Next;
            }
        }
        if runnable.name() == "pp.resolve" && asks_file_of_one(core, session, args) {
            return Flow::Hold;
        }
        let start = session.outbox.end();
        if !self.monitors.is_empty() && !runnable.is(Flags::SKIP_MONITOR) {
            self.feed_monitors(core, session, args);
        }
        let began = self.measured_to.or_else(|| self.stopwatch.map(|stopwatch| stopwatch()));
        match runnable {
            Runnable::Data(command)
                if command.name == "pp.conflicts" && asks_files(core, session, args) => {}
            Runnable::Data(command) => self.data_command(core, session, command, args),
            Runnable::Session(command) => {
                session.last_command = runnable.shown_name(args);
                (command.run)(&mut Visit { core, clients: self, session, in_exec: false }, args);
            }
        }
        self.account(core, session, runnable, args, start, began);
        // What a subscription says are messages, and messages come also to those who want no replies.
        let confirms = ["subscribe", "psubscribe", "unsubscribe", "punsubscribe"];
        if confirms.contains(&runnable.name()) {
            Self::next_reply_mode(session);
        } else {
            Self::end_reply(session, start);
        }
        self.serve_touched(core, Some(session));
        Flow::Next
    }

    fn data_command(
        &mut self,
        core: &mut Core,
        session: &mut Session,
        command: &'static Command,
        args: &Args<'_>,
    ) {
        session.last_command = command.name;
        let caller =
            Caller { db: session.db, proto: session.proto, deny_blocking: false, woken: false };
        let executed = core.execute(command, args, caller, session.outbox.bytes_mut());
        session.outbox.depend_on(executed.wait, core.executed_at());
        if executed.wrote {
            session.has_written(core, executed.wait);
        }
        match executed.outcome {
            Outcome::Done => {}
            Outcome::Block(request) => self.block(core, session, command, args, request),
        }
    }

    /// Lets a client wait for keys.
    fn block(
        &mut self,
        core: &mut Core,
        session: &mut Session,
        command: &'static Command,
        args: &Args<'_>,
        request: BlockRequest,
    ) {
        let BlockRequest { keys, timeout_ms, on_timeout, words, needs } = request;
        let now = core.now.mono;
        let until = timeout_ms.map(|ms| now.plus(std::time::Duration::from_millis(ms)));
        for key in &keys {
            core.store.interest_add(session.db, key);
        }
        self.blocked.add_keys(session.conn, session.db, &keys, needs.iter().any(Need::is_curious));
        self.blocked.add_deadline(session.conn, until);
        let words = match words {
            None => OwnedArgs::copy_of(args),
            Some(words) => words.iter().map(|word| &**word).collect(),
        };
        let db = session.db;
        let what = What::Keys { command, words, db, keys, on_timeout, needs };
        session.waiting = Some(Box::new(Waiting { what, until }));
    }

    /// Leaves a request in the input until a pause ends.
    pub(super) fn hold(&mut self, session: &mut Session) {
        self.blocked.add_held(session.conn);
        session.waiting = Some(Box::new(Waiting { what: What::Held, until: None }));
    }

    fn unknown(&mut self, core: &mut Core, session: &mut Session, args: &Args<'_>) {
        let name = args.name();
        if name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:") {
            // A browser was made to send a request here (cross-protocol scripting).
            session.outbox.drop_held();
            self.close(core, session);
            return;
        }
        let start = session.outbox.end();
        let mut text = b"ERR unknown command '".to_vec();
        text.extend_from_slice(name.get(..128).unwrap_or(name));
        text.extend_from_slice(b"', with args beginning with: ");
        let mut room = 128_usize;
        for word in args.iter().skip(1) {
            if room == 0 {
                break;
            }
            let shown = word.get(..room).unwrap_or(word);
            room -= shown.len();
            text.push(b'\'');
            text.extend_from_slice(shown);
            text.extend_from_slice(b"' ");
        }
        session.reply().error_bytes(&text);
        if let Some(transaction) = &mut session.transaction {
            transaction.aborted = true;
        }
        self.count_error(session, start);
        Self::end_reply(session, start);
    }

    /// Counts a run, and keeps it if it was slow.
    fn account(
        &mut self,
        core: &Core,
        session: &mut Session,
        runnable: Runnable,
        args: &Args<'_>,
        start: usize,
        began: Option<u64>,
    ) {
        self.stats.commands += 1;
        let failed = self.count_error(session, start);
        // One reading between two commands of a pipeline is enough for both.
        self.measured_to = self.stopwatch.map(|stopwatch| stopwatch());
        let nanos = match (self.measured_to, began) {
            (Some(ended), Some(began)) => ended.saturating_sub(began),
            _ => 0,
        };
        self.turn_nanos = self.turn_nanos.saturating_add(nanos);
        let count = self.command_stats.of(runnable.name());
        count.calls += 1;
        count.nanos += nanos;
        count.failed += u64::from(failed);
        let threshold = core.settings.slowlog_slower_than_us;
        let Ok(threshold) = u64::try_from(threshold) else { return };
        let micros = nanos / 1000;
        if began.is_some() && micros >= threshold && !runnable.is(Flags::SKIP_SLOWLOG) {
            let entry = SlowEntry {
                id: 0,
                at: core.now.wall,
                micros: i64::try_from(micros).unwrap_or(i64::MAX),
                words: shortened(args),
                address: session.info.peer.to_string(),
                name: session.identity.name.clone(),
            };
            self.slow_log.push(entry, core.settings.slowlog_entries_max);
        }
        self.latency.command(core.now.wall, micros);
    }

    /// Counts the error that starts at `start` of the output, if there is one.
    pub(crate) fn count_error(&mut self, session: &Session, start: usize) -> bool {
        if session.outbox.byte(start) != Some(b'-') {
            return false;
        }
        self.stats.error_replies += 1;
        let text = session.outbox.since(start);
        let word = text.get(1..).unwrap_or_default().split(|byte| matches!(byte, b' ' | b'\r'));
        let word = String::from_utf8_lossy(word.into_iter().next().unwrap_or_default());
        // Words are ours, but a bound costs nothing.
        if let Some(count) = self.errors.get_mut(&*word) {
            *count += 1;
        } else if self.errors.len() < 128 {
            self.errors.insert(word.into_owned(), 1);
        }
        true
    }

    /// Takes the reply back if the client wants none.
    pub(super) fn end_reply(session: &mut Session, start: usize) {
        let quiet = session.reply_mode != ReplyMode::On;
        if quiet && !session.closing {
            session.outbox.truncate(start);
        }
        Self::next_reply_mode(session);
    }

    const fn next_reply_mode(session: &mut Session) {
        session.reply_mode = match session.reply_mode {
            ReplyMode::SkipNext => ReplyMode::Skip,
            ReplyMode::Skip => ReplyMode::On,
            mode @ (ReplyMode::On | ReplyMode::Off) => mode,
        };
    }
}

/// Nothing more is carried out for a client until it has taken most of what it is owed: what it sent
/// stays in its input, and at last in its socket.
fn wait_until_drained(session: &mut Session) {
    if session.outbox.unsent_bytes() > DRAIN_FROM_BYTES && session.waiting.is_none() {
        session.waiting = Some(Box::new(Waiting { what: What::Drained, until: None }));
    }
}

fn queue(session: &mut Session, runnable: Runnable, args: &Args<'_>) {
    if let Some(transaction) = &mut session.transaction {
        let words = OwnedArgs::copy_of(args);
        transaction.bytes += words.memory_bytes() + size_of::<Queued>();
        transaction.writes |= runnable.is(Flags::WRITE) || runnable.may_write_by_script();
        transaction.touches_data |= runnable.touches_data();
        transaction.queue.push(Queued { runnable, words });
    }
    session.reply().simple("QUEUED");
}

/// Passes a command on to the primary; the reply comes later.
fn forward(core: &mut Core, session: &mut Session, args: &Args<'_>) {
    let words: Vec<&[u8]> = args.iter().collect();
    let mut command = Vec::with_capacity(args.payload_bytes() + 16 * (args.len() + 1));
    tandem_resp::write_request(&mut command, &words);
    let (conn, db, proto) = (session.conn, session.db, session.proto);
    core.operations.push_back(Operation::Forward { conn, db, proto, command });
    session.passed_on += 1;
    session.passed_on_bytes += args.payload_bytes();
}
