//! Commands of the connection and the server: one row each, with the function that runs it.

mod acl;
pub(crate) mod auth;
pub(crate) mod client;
mod client_kill;
mod client_list;
mod config;
mod connection;
mod debug;
pub(crate) mod hello;
mod help;
mod info;
mod latency;
mod pp;
mod probe;
mod pubsub;
mod role;
mod script;
mod server;
mod slowlog;
mod tandem;
mod transaction;
mod wait;

use std::sync::LazyLock;

use tandem_resp::{Args, Reply};
use tandem_store::Flags;

use crate::session::Session;
use crate::{Clients, Core};

/// One command of one client, with all it may act on.
pub(crate) struct Visit<'a> {
    pub(crate) core: &'a mut Core,
    /// All other clients.
    pub(crate) clients: &'a mut Clients,
    pub(crate) session: &'a mut Session,
    /// It runs as part of `EXEC`: nothing may wait.
    pub(crate) in_exec: bool,
}

impl Visit<'_> {
    /// A writer to the client.
    pub(crate) fn reply(&mut self) -> Reply<'_> {
        self.session.reply()
    }

    /// `wrong number of arguments`, in Redis' words; a subcommand is named `config|get`.
    pub(crate) fn wrong_arity(&mut self, name: &str) {
        self.reply().error_fmt(format_args!("ERR wrong number of arguments for '{name}' command"));
    }

    /// `unknown subcommand`, in Redis' words.
    pub(crate) fn unknown_subcommand(&mut self, args: &Args<'_>) {
        let mut text = b"ERR unknown subcommand '".to_vec();
        let word = args.get(1);
        text.extend_from_slice(word.get(..128).unwrap_or(word));
        text.extend_from_slice(b"'. Try ");
        text.extend(args.name().iter().map(u8::to_ascii_uppercase));
        text.extend_from_slice(b" HELP.");
        self.reply().error_bytes(&text);
    }

    /// Words that no subcommand takes: of one in `subcommands` there are too few or too many, or it is none.
    pub(crate) fn no_subcommand(&mut self, args: &Args<'_>, subcommands: &[&str]) {
        let word = args.get(1);
        let is_it = |full: &&&str| full.split_once('|').is_some_and(|(_, name)| is(word, name));
        match subcommands.iter().find(is_it) {
            Some(full) => self.wrong_arity(full),
            None => self.unknown_subcommand(args),
        }
    }

    pub(crate) fn syntax_error(&mut self) {
        self.reply().error("ERR syntax error");
    }

    pub(crate) fn not_an_integer(&mut self) {
        self.reply().error("ERR value is not an integer or out of range");
    }
}

/// Whether `word` is `name` in any case.
pub(crate) fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

/// One row.
#[derive(Debug)]
pub(crate) struct SessionCommand {
    /// Lower case.
    pub(crate) name: &'static str,
    /// Number of words, the name included; negative: at least that many.
    pub(crate) arity: i32,
    pub(crate) flags: Flags,
    /// `config|get` and the like, for statistics and `CLIENT LIST`.
    pub(crate) subcommands: &'static [&'static str],
    pub(crate) run: fn(&mut Visit<'_>, &Args<'_>),
}

impl SessionCommand {
    #[inline]
    pub(crate) fn takes(&self, words: usize) -> bool {
        let words = i32::try_from(words).unwrap_or(i32::MAX);
        if self.arity >= 0 { words == self.arity } else { words >= -self.arity }
    }

    /// The name with the subcommand that these words name.
    pub(crate) fn subcommand_name(&self, args: &Args<'_>) -> Option<&'static str> {
        let wanted = args.opt(1)?;
        self.subcommands
            .iter()
            .copied()
            .find(|full| full.split_once('|').is_some_and(|(_, name)| is(wanted, name)))
    }
}

/// The command of this name, in any case.
#[inline]
pub(crate) fn session_command(name: &[u8]) -> Option<&'static SessionCommand> {
    let mut at = place(name);
    while let Some(row) = INDEX.get(at).copied().flatten() {
        if name.eq_ignore_ascii_case(row.name.as_bytes()) {
            return Some(row);
        }
        at = (at + 1) % PLACES;
    }
    None
}

/// A power of two, far more than twice the number of rows.
const PLACES: usize = 256;

/// The rows by name, each at its place or the next free one.
static INDEX: LazyLock<Vec<Option<&'static SessionCommand>>> = LazyLock::new(|| {
    let mut index: Vec<Option<&'static SessionCommand>> = vec![None; PLACES];
    for row in TABLE {
        let mut at = place(row.name.as_bytes());
        while index.get(at).copied().flatten().is_some() {
            at = (at + 1) % PLACES;
        }
        if let Some(free) = index.get_mut(at) {
            *free = Some(row);
        }
    }
    index
});

/// Where a name is looked for first: FNV-1a over its first letters in lower case.
fn place(name: &[u8]) -> usize {
    let hash = name.iter().take(16).fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte | 0x20)).wrapping_mul(0x0100_0193)
    });
    usize::from((hash ^ (hash >> 15)).to_le_bytes()[0])
}

const fn row(
    name: &'static str,
    arity: i32,
    flags: Flags,
    run: fn(&mut Visit<'_>, &Args<'_>),
) -> SessionCommand {
    SessionCommand { name, arity, flags, subcommands: &[], run }
}

const fn parent(
    name: &'static str,
    flags: Flags,
    subcommands: &'static [&'static str],
    run: fn(&mut Visit<'_>, &Args<'_>),
) -> SessionCommand {
    SessionCommand { name, arity: -2, flags, subcommands, run }
}

const NONE: Flags = Flags::NONE;
const FAST: Flags = Flags::FAST;
const ADMIN: Flags = Flags::ADMIN.and(Flags::SKIP_MONITOR);
const OPEN: Flags = Flags::NO_AUTH.and(Flags::FAST).and(Flags::SKIP_MONITOR);
const SECRET: Flags = OPEN.and(Flags::SKIP_SLOWLOG);
const LISTEN: Flags = Flags::PUBSUB;
const PUBLISH: Flags = Flags::PUBSUB.and(Flags::FAST).and(Flags::MAY_REPLICATE);
/// In `MULTI` it shows as it runs, not when `EXEC` is sent.
const QUIET: Flags = Flags::SKIP_SLOWLOG;

/// Reads data, and may write some: held back as a write is while the role moves.
const SCRIPT: Flags = SCRIPT_READ.and(Flags::MAY_REPLICATE);
const SCRIPT_READ: Flags = Flags::READONLY.and(Flags::NOSCRIPT);
/// Shown nowhere: neither to `MONITOR` nor in the slow log.
const PROBE: Flags =
    Flags::FAST.and(Flags::SKIP_MONITOR).and(Flags::SKIP_SLOWLOG).and(Flags::NO_MULTI);

/// All rows, sorted by name.
static TABLE: &[SessionCommand] = &[
    parent("acl", ADMIN, acl::SUBCOMMANDS, acl::acl),
    row("auth", -2, SECRET, auth::auth),
    row("bgrewriteaof", 1, ADMIN, server::bgrewriteaof),
    row("bgsave", -1, ADMIN, server::bgsave),
    parent("client", NONE, client::SUBCOMMANDS, client::client),
    parent("cluster", NONE, &[], server::cluster),
    parent("config", ADMIN, config::SUBCOMMANDS, config::config),
    parent("debug", ADMIN.and(Flags::NO_MULTI), &[], debug::debug),
    row("discard", 1, FAST, transaction::discard),
    row("echo", 2, FAST, connection::echo),
    row("eval", -3, SCRIPT, script::eval),
    row("eval_ro", -3, SCRIPT_READ, script::eval_ro),
    row("evalsha", -3, SCRIPT, script::evalsha),
    row("evalsha_ro", -3, SCRIPT_READ, script::evalsha_ro),
    row("exec", 1, QUIET, transaction::exec),
    row("failover", -1, ADMIN, role::failover),
    row("hello", -1, SECRET, hello::hello),
    row("info", -1, NONE, info::info),
    row("lastsave", 1, FAST, server::lastsave),
    parent("latency", ADMIN, latency::SUBCOMMANDS, latency::latency),
    row("lolwut", -1, FAST, server::lolwut),
    parent("module", ADMIN, &["module|list", "module|help"], server::module),
    row("monitor", 1, ADMIN, server::monitor),
    row("multi", 1, FAST, transaction::multi),
    row("ping", -1, FAST, connection::ping),
    row("psubscribe", -2, LISTEN, pubsub::psubscribe),
    row("publish", 3, PUBLISH, pubsub::publish),
    parent("pubsub", LISTEN, pubsub::SUBCOMMANDS, pubsub::pubsub),
    row("punsubscribe", -1, NONE, pubsub::punsubscribe),
    row("quit", -1, OPEN, connection::quit),
    row("readonly", 1, FAST, connection::readonly),
    row("readwrite", 1, FAST, connection::readonly),
    row("replicaof", 3, ADMIN, role::replicaof),
    row("reset", 1, OPEN, connection::reset),
    row("role", 1, FAST, role::role),
    row("save", 1, ADMIN.and(Flags::NO_MULTI), server::save),
    parent("script", NONE, script::SUBCOMMANDS, script::script),
    row("select", 2, FAST, connection::select),
    row("shutdown", -1, ADMIN.and(Flags::NO_MULTI), server::shutdown),
    row("slaveof", 3, ADMIN, role::replicaof),
    parent("slowlog", ADMIN, slowlog::SUBCOMMANDS, slowlog::slowlog),
    row("subscribe", -2, LISTEN, pubsub::subscribe),
    parent("tandem", NONE, tandem::SUBCOMMANDS, tandem::tandem),
    row("tandem.probeget", 1, PROBE, probe::get),
    // Held back as a write is, while the role moves.
    row("tandem.probeset", 2, PROBE.and(Flags::MAY_REPLICATE), probe::set),
    row("time", 1, FAST, server::time),
    row("unsubscribe", -1, NONE, pubsub::unsubscribe),
    row("unwatch", 1, FAST, transaction::unwatch),
    row("wait", 3, NONE, wait::wait),
    row("waitaof", 4, NONE, wait::waitaof),
    row("watch", -2, FAST.and(Flags::READONLY), transaction::watch),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_sorted_and_found_in_any_case() {
        assert!(TABLE.is_sorted_by(|a, b| a.name < b.name));
        for row in TABLE {
            let upper = row.name.to_ascii_uppercase();
            assert_eq!(session_command(upper.as_bytes()).unwrap().name, row.name);
        }
        assert!(session_command(b"get").is_none());
        assert!(session_command(b"").is_none());
        assert!(session_command(&[b'x'; 100]).is_none());
    }

    #[test]
    fn what_the_command_table_shows_can_be_run() {
        for command in tandem_store::commands() {
            if matches!(command.handler, tandem_store::Handler::Session) {
                let row = session_command(command.name.as_bytes());
                assert_eq!(row.map(|row| row.arity), Some(command.arity), "{}", command.name);
            }
        }
    }
}
