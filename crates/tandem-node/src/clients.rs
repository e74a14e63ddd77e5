//! All clients of the node: what they send is carried out here, and what they are owed waits here.
//!
//! ```text
//! received -> parse in place -> admit (auth, role, limits) -> Core::execute / session command
//!          -> reply into the session's outbox -> gate -> dirty list -> writable
//! ```
//! Invariant: no byte of a reply becomes writable before `commit_end` has reached every record that the
//! reply, or one before it on the same connection, depends on.
//!
//! **Not here:** sockets (`tandem-server`), what data commands do (`tandem-store`).

mod admission;
mod backlog;
mod closing;
mod delivery;
mod lingering;
mod moving;
mod running;
mod serving;
mod sweep;
mod turned_away;
mod warming;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tandem_resp::Parser;
use tandem_store::Touched;
use tandem_types::{DB_COUNT, Lsn, Monotonic};

use crate::blocked::Blocked;
use crate::command_stats::CommandStats;
use crate::facts::{Facts, Stopwatch};
use crate::latency::Latency;
use crate::pubsub::PubSub;
use crate::session::{Gate, Session, What};
use crate::sessions::Sessions;
use crate::slow_log::SlowLog;
use crate::{ConnId, ConnInfo, Core, Foyer, Output};

pub(crate) use admission::{OUT_OF_MEMORY, refusal_by_role, refusal_text};
pub(crate) use closing::output_limit;
pub(crate) use serving::{copies, has_reached, write_copies};

/// Counters since the start (or `CONFIG RESETSTAT`).
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientStats {
    /// Connections accepted.
    pub connections: u64,
    /// Connections refused because there were too many.
    pub rejected_connections: u64,
    /// Commands that ran.
    pub commands: u64,
    /// Bytes read.
    pub input_bytes: u64,
    /// Bytes written.
    pub output_bytes: u64,
    /// Wrong passwords.
    pub auth_failures: u64,
    /// Error replies.
    pub error_replies: u64,
    /// Clients closed because they did not take their replies.
    pub output_limit_disconnections: u64,
    /// Clients closed because their request grew too long.
    pub query_limit_disconnections: u64,
    /// Protocol errors.
    pub protocol_errors: u64,
    /// Clients that were unblocked by a key, not by time.
    pub served_blocked: u64,
    /// Commands per second, measured over the last second.
    pub commands_per_second: u64,
    /// Bytes read per second.
    pub input_bytes_per_second: u64,
    /// Bytes written per second.
    pub output_bytes_per_second: u64,
}

/// Until when `CLIENT PAUSE` holds commands back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause {
    pub(crate) until: Monotonic,
    /// Reads too.
    pub(crate) all: bool,
}

/// All clients of the node.
#[derive(Debug)]
pub struct Clients {
    pub(crate) sessions: Sessions,
    pub(crate) blocked: Blocked,
    pub(crate) pubsub: PubSub,
    /// Who watches which key.
    pub(crate) watchers: [BTreeMap<Box<[u8]>, BTreeSet<ConnId>>; DB_COUNT as usize],
    pub(crate) monitors: BTreeSet<ConnId>,
    pub(crate) stats: ClientStats,
    pub(crate) command_stats: CommandStats,
    /// Error replies by their first word.
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) slow_log: SlowLog,
    pub(crate) latency: Latency,
    pub(crate) facts: Facts,
    pub(crate) pause: Option<Pause>,
    stopwatch: Option<Stopwatch>,
    /// Made when the first script comes; away while one runs.
    pub(crate) scripts: Option<Box<tandem_script::Scripts>>,
    /// What is left for the scripts of the transaction that runs.
    pub(crate) script_time_left: Option<std::time::Duration>,
    /// How long commands have taken in this turn.
    turn_nanos: u64,
    /// Something was carried out in this turn.
    turn_begun: bool,
    /// Whose input goes on in the next turn, and in this one.
    put_off: Vec<ConnId>,
    resumes: Vec<ConnId>,
    /// The stopwatch when the last command of the current pipeline ended.
    measured_to: Option<u64>,
    /// Reused for requests that arrive whole.
    parser: Parser,
    /// Connections that got bytes that may leave since the last flush.
    dirty: Vec<ConnId>,
    /// Connections with held replies.
    gated: Vec<ConnId>,
    /// Connections whose wait is over and whose input goes on.
    ready: VecDeque<ConnId>,
    /// Reused.
    touched: Vec<Touched>,
    last_id: u64,
    /// The role was handed over a moment ago.
    linger: Option<lingering::Linger>,
    /// The primary takes nothing from here just now.
    turned_away: Option<turned_away::TurnedAway>,
    /// Of the last `MOVING` message.
    moving_number: i64,
    backlog: backlog::Backlog,
    sweep: sweep::Sweep,
    /// `commit_end` when held replies were last looked at.
    released_to: Gate,
}

impl Clients {
    /// No clients yet. Without a stopwatch nothing is slow and the slow log stays empty.
    pub fn new(facts: Facts, stopwatch: Option<Stopwatch>) -> Self {
        Self {
            sessions: Sessions::default(),
            blocked: Blocked::default(),
            pubsub: PubSub::default(),
            watchers: Default::default(),
            monitors: BTreeSet::new(),
            stats: ClientStats::default(),
            command_stats: CommandStats::default(),
            errors: BTreeMap::new(),
            slow_log: SlowLog::default(),
            latency: Latency::default(),
            facts,
            pause: None,
            stopwatch,
            scripts: None,
            script_time_left: None,
            turn_nanos: 0,
            turn_begun: false,
            put_off: Vec::new(),
            resumes: Vec::new(),
            measured_to: None,
            parser: Parser::new(),
            dirty: Vec::new(),
            gated: Vec::new(),
            ready: VecDeque::new(),
            touched: Vec::new(),
            last_id: 0,
            linger: None,
            turned_away: None,
            moving_number: 0,
            backlog: backlog::Backlog::default(),
            sweep: sweep::Sweep::default(),
            released_to: Gate { commit_end: Lsn::ZERO, executed_by: Monotonic::ZERO },
        }
    }

    pub(crate) const fn stopwatch(&self) -> Option<Stopwatch> {
        self.stopwatch
    }

    /// A client connected.
    pub fn accepted(&mut self, core: &mut Core, conn: ConnId, info: ConnInfo) {
        self.stats.connections += 1;
        self.last_id += 1;
        let mut session = Box::new(Session::new(conn, self.last_id, info, core.now.mono));
        session.authenticated = core.settings.password.is_none();
        // Sent here by what was true until just now: as good as here before.
        session.outlived_role = self.linger.is_some() && session.info.port == crate::Port::Client;
        let refused = if self.sessions.len() >= core.settings.limits.clients_max {
            self.stats.rejected_connections += 1;
            Some("ERR max number of clients reached")
        } else if core.settings.protected_mode && !info.peer.ip().is_loopback() {
            Some(PROTECTED_TEXT)
        } else {
            None
        };
        self.sessions.insert(session);
        if let Some(text) = refused
            && let Some(mut session) = self.sessions.take(conn)
        {
            session.reply().error(text);
            self.close(core, &mut session);
            self.settle(core, session);
        }
    }

    /// A client that is here already settled this before there was a node.
    pub fn take_over(&mut self, conn: ConnId, foyer: Foyer) {
        let Some(session) = self.sessions.get_mut(conn) else { return };
        session.authenticated = foyer.authenticated;
        session.db = foyer.db;
        session.proto = foyer.proto;
        session.identity = foyer.identity;
    }

    /// Bytes came from a client.
    pub fn received(&mut self, core: &mut Core, conn: ConnId, bytes: &[u8]) {
        self.begin_turn(core);
        let Some(mut session) = self.sessions.take(conn) else { return };
        if !session.closing {
            session.active_at = core.now.mono;
            self.stats.input_bytes += to_u64(bytes.len());
            self.feed(core, &mut session, bytes);
            self.seal(core, &mut session);
            self.limit_backlog(core, &mut session);
        }
        self.settle(core, session);
        self.run_ready(core);
    }

    /// A connection ended, by either side.
    pub fn closed(&mut self, core: &mut Core, conn: ConnId) {
        if let Some(mut session) = self.sessions.remove(conn) {
            self.forget(core, &mut session);
        }
    }

    /// `commit_end` or what the peer has moved: lets replies go and ends waits.
    pub fn committed(&mut self, core: &mut Core) {
        let gate = core.gate();
        if gate != self.released_to {
            self.released_to = gate;
            self.shrink_backlog(core);
            let Self { gated, sessions, dirty, .. } = self;
            gated.retain(|&conn| {
                let Some(session) = sessions.get_mut(conn) else { return false };
                if session.outbox.release(gate) && !session.dirty {
                    session.dirty = true;
                    dirty.push(conn);
                }
                session.gated = session.outbox.is_holding();
                if session.closing && !session.gated && !session.close_told {
                    session.close_told = true;
                    core.out.push(Output::Close { conn });
                }
                session.gated
            });
        }
        if self.blocked.has_position_waiters() {
            self.serve_positions(core);
            self.run_ready(core);
        }
    }

    /// The last call of a turn: whose input was put off goes on in the next one.
    pub fn end_of_turn(&mut self, core: &mut Core) {
        self.begin_turn(core);
        self.turn_begun = false;
        self.resumes.append(&mut self.put_off);
        self.look_again(core);
    }

    /// What changed without a client's doing (a follower's key space, the role, a pause that ended) reaches the clients
    /// that wait for it.
    pub(crate) fn look_again(&mut self, core: &mut Core) {
        self.serve_touched(core, None);
        if self.blocked.has_held() && !self.is_holding_back(core) {
            for conn in self.blocked.take_held() {
                if let Some(session) = self.sessions.get_mut(conn) {
                    session.waiting = None;
                    self.ready.push_back(conn);
                }
            }
        }
        self.run_ready(core);
        self.mark_backlog(core);
        if core.gate() != self.released_to || self.blocked.has_position_waiters() {
            self.committed(core);
        }
    }

    /// Appends the connections that got bytes that may leave since the last call.
    pub fn take_dirty(&mut self, out: &mut Vec<ConnId>) {
        for &conn in &self.dirty {
            if let Some(session) = self.sessions.get_mut(conn) {
                session.dirty = false;
            }
        }
        out.append(&mut self.dirty);
    }

    /// The bytes that may leave to a client now.
    pub fn writable(&self, conn: ConnId) -> &[u8] {
        self.sessions.get(conn).map_or(&[], |session| session.outbox.writable())
    }

    /// Whether a client that sends no more waits for replies: some may not leave yet, or have not left.
    pub fn owes(&self, conn: ConnId) -> bool {
        self.sessions.get(conn).is_some_and(|session| {
            session.outbox.is_holding()
                || session.passed_on > 0
                || !session.outbox.writable().is_empty()
        })
    }

    /// The first `count` bytes of [`Self::writable`] left.
    pub fn written(&mut self, conn: ConnId, count: usize) {
        if let Some(session) = self.sessions.get_mut(conn) {
            session.outbox.written(count);
            self.stats.output_bytes += to_u64(count);
            let drained = matches!(session.waiting.as_deref(), Some(waiting) if matches!(waiting.what, What::Drained))
                && session.outbox.unsent_bytes() <= DRAIN_TO_BYTES;
            if drained {
                session.waiting = None;
                self.ready.push_back(conn);
            }
        }
    }

    /// Takes the input of a client that is not carried out yet (its node is being replaced).
    pub fn take_unread(&mut self, conn: ConnId) -> Vec<u8> {
        let pending = self.sessions.get_mut(conn).and_then(|session| session.pending.take());
        pending.map_or_else(Vec::new, |pending| pending.bytes)
    }

    /// Whether some client's input can go on in the next turn.
    pub fn wants_turn(&self) -> bool {
        !self.ready.is_empty() || !self.resumes.is_empty()
    }

    /// Connections there are.
    pub const fn connected(&self) -> usize {
        self.sessions.len()
    }

    /// Clients that wait for keys or positions.
    pub fn blocked_count(&self) -> usize {
        self.blocked.count()
    }

    /// Clients whose request waits for a pause or a change of primary to end.
    pub fn held_count(&self) -> usize {
        self.blocked.held_count()
    }

    /// Counters.
    pub const fn stats(&self) -> &ClientStats {
        &self.stats
    }

    /// How often each command ran.
    pub fn command_counts(&self) -> Vec<crate::CommandCount> {
        self.command_stats.shown()
    }

    /// What the process knows; the server keeps it up to date.
    pub const fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The same, to be refreshed.
    pub const fn facts_mut(&mut self) -> &mut Facts {
        &mut self.facts
    }

    /// Whether some command may be held back right now.
    fn is_holding_back(&self, core: &Core) -> bool {
        core.view.hold_writes
            || is_starting(core)
            || self.awaits_new_primary()
            || self.awaits_another_try(core)
            || self.pause.is_some_and(|pause| core.now.mono < pause.until)
    }

    /// Ends what a session did: seals its replies, applies the limits, puts it back.
    pub(crate) fn settle(&mut self, core: &mut Core, mut session: Box<Session>) {
        if !session.deferred.is_empty() {
            let deferred = std::mem::take(&mut session.deferred);
            session.outbox.bytes_mut().extend_from_slice(&deferred);
        }
        self.seal(core, &mut session);
        self.limit_output(core, &mut session);
        Self::tell_close(core, &mut session);
        self.sessions.put(session);
    }

    /// Makes what was written leave as soon as it may.
    fn seal(&mut self, core: &Core, session: &mut Session) {
        if session.outbox.seal(core.gate()) && !session.dirty {
            session.dirty = true;
            self.dirty.push(session.conn);
        }
        if session.outbox.is_holding() && !session.gated {
            session.gated = true;
            self.gated.push(session.conn);
        }
    }

    /// Tells the server to stop reading from a client, or to go on.
    fn pause_reading(core: &mut Core, session: &mut Session, paused: bool) {
        if session.reading_paused != paused {
            session.reading_paused = paused;
            core.out.push(Output::PauseReading { conn: session.conn, paused });
        }
    }
}

/// Whether this node is about to serve, and who connects to it is not refused in the meantime.
pub(crate) fn is_starting(core: &Core) -> bool {
    core.view.starting_until.is_some_and(|until| core.now.mono < until)
}

/// A client that was not served because it did not read goes on from here.
const DRAIN_TO_BYTES: usize = 1 << 20;

/// The answer to strangers, as long as nobody has set a password.
const PROTECTED_TEXT: &str = "DENIED Tandem is in protected mode: no password is set, so only clients \
    on the same machine are served. Set auth.password_file in the configuration, or connect from the \
    machine itself.";

/// A length as a u64: no machine has more memory than that.
pub(crate) fn to_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
