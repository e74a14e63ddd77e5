//! Runs scripts: what one may call, and that all that it wrote is one record.
//!
//! A switch keeps all of a script or nothing, and nobody sees half of one. An error in it takes nothing back, as in Redis.

use std::time::Duration;

use tandem_resp::{Args, Proto, Reply, parse_i64};
use tandem_script::{Host, Invocation, Limits, Scripts, Sha};
use tandem_store::Flags;
use tandem_types::Lsn;

use crate::clients::{refusal_by_role, refusal_text};
use crate::runnable::Runnable;
use crate::session::Session;
use crate::session_commands::Visit;
use crate::{Caller, Clients, Core, Operation, Port, Severity};

/// What of the connection and the server a script may use besides data.
const OF_SESSION: [&str; 5] = ["echo", "ping", "publish", "select", "time"];

/// Bytes of texts that a peer is told of again when it is back.
const TOLD_AGAIN_BYTES_MAX: usize = 1 << 20;

/// How a script is named.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum By {
    /// By its text.
    Text,
    /// By the digest of its text.
    Sha,
}

/// How a script is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) by: By,
    /// It must not write.
    pub(crate) read_only: bool,
    /// Where the client came in.
    pub(crate) port: Port,
    pub(crate) proto: Proto,
    /// A group is open already (`EXEC`).
    pub(crate) in_group: bool,
}

/// What the reply to a script waits for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waits {
    /// The records that the reply depends on end here.
    pub(crate) seen: Lsn,
    /// The record that the script wrote ends here.
    pub(crate) wrote: Option<Lsn>,
}

/// The words of a script's run.
struct Words<'a> {
    script: &'a [u8],
    keys: Args<'a>,
    arguments: Args<'a>,
}

impl<'a> Words<'a> {
    fn of(args: &Args<'a>) -> Result<Self, &'static str> {
        let count = parse_i64(args.get(2)).ok_or("ERR value is not an integer or out of range")?;
        let count = usize::try_from(count).map_err(|_| "ERR Number of keys can't be negative")?;
        let end = count.checked_add(3).filter(|end| *end <= args.len());
        let end = end.ok_or("ERR Number of keys can't be greater than number of args")?;
        Ok(Self { script: args.get(1), keys: args.part(3, end), arguments: args.tail(end) })
    }
}

impl Clients {
    /// How long a script may run now: those of one transaction share the time of one.
    fn script_time(&self, core: &Core, in_group: bool) -> Duration {
        let whole = core.settings.limits.script_time;
        self.script_time_left.filter(|_| in_group).unwrap_or(whole)
    }

    /// The peer's clients run this.
    pub(crate) fn learn_script(&mut self, core: &Core, text: &[u8]) {
        // One that does not compile here is of another program; whoever runs it is told.
        self.scripts(core).learn(text).ok();
    }

    /// A peer is there that may know none of them.
    pub(crate) fn tell_scripts_again(&mut self) {
        if let Some(scripts) = &mut self.scripts {
            scripts.tell_again(TOLD_AGAIN_BYTES_MAX);
        }
    }

    pub(crate) fn has_fresh_scripts(&self) -> bool {
        self.scripts.as_ref().is_some_and(|scripts| scripts.has_fresh())
    }

    pub(crate) fn take_fresh_scripts(&mut self) -> Vec<Box<[u8]>> {
        self.scripts.as_mut().map(|scripts| scripts.take_fresh()).unwrap_or_default()
    }

    /// The scripts that are known here.
    pub(crate) fn scripts(&mut self, core: &Core) -> &mut Scripts {
        let limits = &core.settings.limits;
        let stopwatch = self.stopwatch();
        self.scripts.get_or_insert_with(|| {
            Box::new(Scripts::new(Limits {
                memory_bytes_max: limits.script_memory_bytes_max,
                time: limits.script_time,
                stopwatch,
            }))
        })
    }

    /// Runs the script of an `EVAL` or its kin and writes the reply.
    pub(crate) fn run_script(
        &mut self,
        core: &mut Core,
        session: &mut Session,
        run: Run,
        args: &Args<'_>,
        reply: &mut Vec<u8>,
    ) -> Waits {
        let words = match Words::of(args) {
            Ok(words) => words,
            Err(text) => {
                Reply::new(reply, run.proto).error(text);
                return Waits::default();
            }
        };
        let scripts = self.scripts(core);
        let sha = match run.by {
            By::Text => scripts.load(words.script).map_err(|error| error.to_string()),
            By::Sha => Sha::parse(words.script)
                .filter(|sha| scripts.knows(*sha))
                .ok_or_else(|| tandem_script::ScriptError::Unknown.to_string()),
        };
        let sha = match sha {
            Ok(sha) => sha,
            Err(text) => {
                Reply::new(reply, run.proto).error(&text);
                return Waits::default();
            }
        };
        let read_only = run.read_only || scripts.writes_nothing(sha) == Some(true);
        // No script runs another one, so that nobody misses them meanwhile.
        let Some(scripts) = self.scripts.take() else { return Waits::default() };
        if !run.in_group {
            core.begin_group();
        }
        let db_before = session.db;
        let mut calls =
            Calls { core, clients: self, session, run: Run { read_only, ..run }, seen: Lsn::ZERO };
        let time = calls.clients.script_time(calls.core, run.in_group);
        let began = calls.clients.stopwatch().map(|stopwatch| stopwatch());
        let Words { keys, arguments, .. } = words;
        let invocation = Invocation { keys, arguments, proto: run.proto, time };
        scripts.run(sha, &invocation, &mut calls, reply);
        let Calls { core, clients, session, seen, .. } = calls;
        clients.scripts = Some(scripts);
        if let (Some(began), Some(stopwatch), true) = (began, clients.stopwatch(), run.in_group) {
            let took = Duration::from_nanos(stopwatch().saturating_sub(began));
            clients.script_time_left = Some(time.saturating_sub(took));
        }
        // A database that the script selected was its own.
        session.db = db_before;
        let wrote = if run.in_group { None } else { core.end_group() };
        Waits { seen: wrote.map_or(seen, |end| end.max(seen)), wrote }
    }
}

/// What a running script calls.
struct Calls<'a> {
    core: &'a mut Core,
    clients: &'a mut Clients,
    /// Whose script it is.
    session: &'a mut Session,
    run: Run,
    seen: Lsn,
}

impl Calls<'_> {
    /// The command of these words, or why the script may not use it.
    fn admit(&self, words: &Args<'_>) -> Result<Runnable, String> {
        let Some(runnable) = Runnable::of_words(words) else {
            return Err("ERR Unknown Redis command called from script".to_owned());
        };
        let refused = "ERR This Redis command is not allowed from script";
        let name = runnable.name();
        let flags = runnable.flags();
        match runnable {
            Runnable::Data(_) if flags.has(Flags::NOSCRIPT) => return Err(refused.to_owned()),
            Runnable::Session(_) if !OF_SESSION.contains(&name) => return Err(refused.to_owned()),
            Runnable::Data(_) | Runnable::Session(_) => {}
        }
        if !runnable.takes(words.len()) {
            return Err("ERR Wrong number of args calling Redis command from script".to_owned());
        }
        if matches!(name, "xread" | "xreadgroup") && asks_to_wait(words) {
            let name = String::from_utf8_lossy(words.name());
            return Err(format!(
                "ERR {name} command is not allowed with BLOCK option from scripts"
            ));
        }
        let writes = flags.has(Flags::WRITE) || flags.has(Flags::MAY_REPLICATE);
        if writes && self.run.read_only {
            return Err("ERR Write commands are not allowed from read-only scripts.".to_owned());
        }
        if let Some(refusal) = refusal_by_role(self.core, self.run.port, runnable) {
            return Err(refusal_text(self.core, refusal));
        }
        Ok(runnable)
    }
}

/// Whether `BLOCK` is among the options, which stand before `STREAMS`.
fn asks_to_wait(words: &Args<'_>) -> bool {
    let options = words.iter().take_while(|word| !word.eq_ignore_ascii_case(b"streams"));
    options.skip(1).any(|word| word.eq_ignore_ascii_case(b"block"))
}

impl Host for Calls<'_> {
    fn call(&mut self, words: &Args<'_>, proto: Proto, reply: &mut Vec<u8>) {
        let runnable = match self.admit(words) {
            Ok(runnable) => runnable,
            Err(text) => return Reply::new(reply, proto).error(&text),
        };
        self.clients.stats.commands += 1;
        self.clients.command_stats.of(runnable.name()).calls += 1;
        match runnable {
            Runnable::Data(command) => {
                let db = self.session.db;
                let caller = Caller { db, proto, deny_blocking: true, woken: false };
                let executed = self.core.execute(command, words, caller, reply);
                self.seen = self.seen.max(executed.wait);
            }
            Runnable::Session(command) => {
                let session = &mut *self.session;
                let start = session.outbox.end();
                let (core, clients) = (&mut *self.core, &mut *self.clients);
                let mut visit = Visit { core, clients, session, in_exec: true };
                (command.run)(&mut visit, words);
                reply.extend_from_slice(session.outbox.since(start));
                session.outbox.truncate(start);
            }
        }
    }

    fn log(&mut self, level: i64, text: &str) {
        let severity = match level {
            3.. => Severity::Warn,
            2 => Severity::Note,
            // Nobody reads those of a server.
            _ => return,
        };
        let text = format!("a script says: {text}");
        self.core.operations.push_back(Operation::Say { severity, text });
    }
}
