//! Rows of the commands that a connection's session runs (`tandem-node`): here for `COMMAND`, rights
//! and reference, which come from this one table.

mod containers;

use containers::{ACL, CLIENT, CONFIG, LATENCY, MODULE, PUBSUB, SCRIPT, SLOWLOG, TANDEM};

use crate::command::{Categories, Command, Flags, Group, KeySpec};

/// Any time: while loading, on a stale replica, not in scripts.
const ANY_TIME: Flags = Flags::LOADING.and(Flags::STALE).and(Flags::NOSCRIPT);
const ADMIN: Flags = ANY_TIME.and(Flags::ADMIN);
const FAST: Flags = ANY_TIME.and(Flags::FAST);
/// Before `AUTH` too.
const OPEN: Flags = FAST.and(Flags::NO_AUTH).and(Flags::ALLOW_BUSY);
const SUBSCRIBE: Flags = ANY_TIME.and(Flags::PUBSUB);
/// Runs commands: which, it says itself.
const SCRIPT_RUN: Flags = Flags::NOSCRIPT
    .and(Flags::STALE)
    .and(Flags::SKIP_MONITOR)
    .and(Flags::MAY_REPLICATE)
    .and(Flags::MOVABLEKEYS);
/// Runs commands that write nothing.
const SCRIPT_READ: Flags = Flags::NOSCRIPT
    .and(Flags::READONLY)
    .and(Flags::STALE)
    .and(Flags::SKIP_MONITOR)
    .and(Flags::MOVABLEKEYS);

const fn row(
    name: &'static str,
    arity: i32,
    flags: Flags,
    group: Group,
    since: &'static str,
    summary: &'static str,
) -> Command {
    Command { name, arity, flags, since, summary, ..Command::of(group) }
}

const fn scripted(
    name: &'static str,
    flags: Flags,
    since: &'static str,
    summary: &'static str,
) -> Command {
    Command {
        keys: KeySpec::counted_at_second(),
        ..row(name, -3, flags, Group::Scripting, since, summary)
    }
}

const fn with_subs(row: Command, subcommands: &'static [Command]) -> Command {
    Command { subcommands, ..row }
}

const fn with_categories(row: Command, categories: Categories) -> Command {
    Command { categories, ..row }
}

pub(crate) const ROWS: &[Command] = &[
    row("auth", -2, OPEN, Group::Connection, "1.0.0", "Authenticates the connection."),
    row("hello", -1, OPEN, Group::Connection, "6.0.0", "Handshakes with the server."),
    row("quit", -1, OPEN, Group::Connection, "1.0.0", "Closes the connection."),
    row("reset", 1, OPEN, Group::Connection, "6.2.0", "Resets the connection."),
    row(
        "ping",
        -1,
        Flags::FAST,
        Group::Connection,
        "1.0.0",
        "Returns the server's liveliness response.",
    ),
    row(
        "echo",
        2,
        Flags::FAST.and(Flags::LOADING).and(Flags::STALE),
        Group::Connection,
        "1.0.0",
        "Returns the given string.",
    ),
    row(
        "select",
        2,
        Flags::FAST.and(Flags::LOADING).and(Flags::STALE),
        Group::Connection,
        "1.0.0",
        "Changes the selected database.",
    ),
    with_subs(
        row(
            "client",
            -2,
            Flags::NONE,
            Group::Connection,
            "2.4.0",
            "A container for client connection commands.",
        ),
        CLIENT,
    ),
    row("readonly", 1, FAST, Group::Connection, "3.0.0", "Allows reads on a replica."),
    row("readwrite", 1, FAST, Group::Connection, "3.0.0", "Undoes READONLY."),
    row(
        "multi",
        1,
        FAST.and(Flags::ALLOW_BUSY),
        Group::Transactions,
        "1.2.0",
        "Starts a transaction.",
    ),
    scripted("eval", SCRIPT_RUN, "2.6.0", "Executes a server-side Lua script."),
    scripted("evalsha", SCRIPT_RUN, "2.6.0", "Executes a server-side Lua script by SHA1 digest."),
    scripted("eval_ro", SCRIPT_READ, "7.0.0", "Executes a read-only server-side Lua script."),
    scripted(
        "evalsha_ro",
        SCRIPT_READ,
        "7.0.0",
        "Executes a read-only server-side Lua script by SHA1 digest.",
    ),
    with_subs(
        row(
            "script",
            -2,
            Flags::NONE,
            Group::Scripting,
            "2.6.0",
            "A container for Lua scripts management commands.",
        ),
        SCRIPT,
    ),
    row(
        "exec",
        1,
        ANY_TIME.and(Flags::SKIP_SLOWLOG),
        Group::Transactions,
        "1.2.0",
        "Executes all commands in a transaction.",
    ),
    row(
        "discard",
        1,
        FAST.and(Flags::ALLOW_BUSY),
        Group::Transactions,
        "2.0.0",
        "Discards a transaction.",
    ),
    Command {
        keys: KeySpec::ALL,
        complexity: "O(1) for every key.",
        ..row(
            "watch",
            -2,
            FAST.and(Flags::ALLOW_BUSY).and(Flags::NO_MULTI),
            Group::Transactions,
            "2.2.0",
            "Monitors changes to keys to determine the execution of a transaction.",
        )
    },
    row(
        "unwatch",
        1,
        FAST.and(Flags::ALLOW_BUSY),
        Group::Transactions,
        "2.2.0",
        "Forgets about watched keys of a transaction.",
    ),
    row(
        "publish",
        3,
        Flags::PUBSUB
            .and(Flags::LOADING)
            .and(Flags::STALE)
            .and(Flags::FAST)
            .and(Flags::MAY_REPLICATE),
        Group::Pubsub,
        "2.0.0",
        "Posts a message to a channel.",
    ),
    row(
        "subscribe",
        -2,
        SUBSCRIBE,
        Group::Pubsub,
        "2.0.0",
        "Listens for messages published to channels.",
    ),
    row(
        "unsubscribe",
        -1,
        SUBSCRIBE,
        Group::Pubsub,
        "2.0.0",
        "Stops listening to messages posted to channels.",
    ),
    row(
        "psubscribe",
        -2,
        SUBSCRIBE,
        Group::Pubsub,
        "2.0.0",
        "Listens for messages published to channels that match one or more patterns.",
    ),
    row(
        "punsubscribe",
        -1,
        SUBSCRIBE,
        Group::Pubsub,
        "2.0.0",
        "Stops listening to messages published to channels that match one or more patterns.",
    ),
    with_subs(
        row("pubsub", -2, Flags::NONE, Group::Pubsub, "2.8.0", "A container for Pub/Sub commands."),
        PUBSUB,
    ),
    row(
        "wait",
        3,
        Flags::BLOCKING,
        Group::Generic,
        "3.0.0",
        "Blocks until the asynchronous replication of all preceding write commands sent by the connection is completed.",
    ),
    row(
        "waitaof",
        4,
        Flags::BLOCKING,
        Group::Generic,
        "7.2.0",
        "Blocks until all of the preceding write commands sent by the connection are written to the log of the primary and/or replicas.",
    ),
    with_categories(
        row(
            "info",
            -1,
            Flags::LOADING.and(Flags::STALE),
            Group::Server,
            "1.0.0",
            "Returns information and statistics about the server.",
        ),
        Categories::DANGEROUS,
    ),
    row(
        "time",
        1,
        Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
        Group::Server,
        "2.6.0",
        "Returns the server time.",
    ),
    with_categories(
        row("role", 1, FAST, Group::Server, "2.8.12", "Returns the replication role."),
        Categories::ADMIN.and(Categories::DANGEROUS),
    ),
    with_subs(
        row(
            "config",
            -2,
            Flags::NONE,
            Group::Server,
            "2.0.0",
            "A container for server configuration commands.",
        ),
        CONFIG,
    ),
    with_subs(
        row(
            "acl",
            -2,
            Flags::NONE,
            Group::Server,
            "6.0.0",
            "A container for Access List Control commands.",
        ),
        ACL,
    ),
    with_subs(
        row(
            "slowlog",
            -2,
            Flags::NONE,
            Group::Server,
            "2.2.12",
            "A container for slow log commands.",
        ),
        SLOWLOG,
    ),
    with_subs(
        row(
            "latency",
            -2,
            Flags::NONE,
            Group::Server,
            "2.8.13",
            "A container for latency diagnostics commands.",
        ),
        LATENCY,
    ),
    with_subs(
        row("module", -2, Flags::NONE, Group::Server, "4.0.0", "A container for module commands."),
        MODULE,
    ),
    with_subs(
        row(
            "cluster",
            -2,
            Flags::NONE,
            Group::Server,
            "3.0.0",
            "A container for cluster commands; this server has none.",
        ),
        &[],
    ),
    row(
        "monitor",
        1,
        ADMIN,
        Group::Server,
        "1.0.0",
        "Listens for all requests received by the server in real-time.",
    ),
    row(
        "lastsave",
        1,
        Flags::LOADING.and(Flags::STALE).and(Flags::FAST),
        Group::Server,
        "1.0.0",
        "Returns the Unix timestamp of the last snapshot.",
    ),
    row(
        "save",
        1,
        Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_MULTI),
        Group::Server,
        "1.0.0",
        "Saves a snapshot.",
    ),
    row(
        "bgsave",
        -1,
        Flags::ADMIN.and(Flags::NOSCRIPT),
        Group::Server,
        "1.0.0",
        "Saves a snapshot in the background.",
    ),
    row(
        "bgrewriteaof",
        1,
        Flags::ADMIN.and(Flags::NOSCRIPT),
        Group::Server,
        "1.0.0",
        "Saves a snapshot in the background, so that the log before it can go.",
    ),
    row(
        "shutdown",
        -1,
        ADMIN.and(Flags::NO_MULTI).and(Flags::ALLOW_BUSY),
        Group::Server,
        "1.0.0",
        "Hands over, if this is the primary, and stops the server.",
    ),
    row(
        "failover",
        -1,
        Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::STALE),
        Group::Server,
        "6.2.0",
        "Starts a planned switch to the other node.",
    ),
    row(
        "replicaof",
        3,
        Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::STALE),
        Group::Server,
        "5.0.0",
        "Refused: the pair decides who follows whom.",
    ),
    row(
        "slaveof",
        3,
        Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::STALE),
        Group::Server,
        "1.0.0",
        "Refused: the pair decides who follows whom.",
    ),
    row("debug", -2, ADMIN, Group::Server, "1.0.0", "A container for debugging commands."),
    with_subs(
        row(
            "tandem",
            -2,
            Flags::NONE,
            Group::Tandem,
            "7.2.0",
            "A container for the commands that only Tandem has.",
        ),
        TANDEM,
    ),
];
