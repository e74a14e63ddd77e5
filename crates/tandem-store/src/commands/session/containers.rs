//! Rows of subcommands: `CLIENT ID`, `CONFIG GET` and the like.

use super::{ADMIN, FAST, SUBSCRIBE};
use crate::command::{Command, Flags, Group};

/// A subcommand of the group of its command.
const fn sub(name: &'static str, arity: i32, flags: Flags, summary: &'static str) -> Command {
    Command { name, arity, flags, summary, ..Command::of(Group::Server) }
}

pub(super) const CLIENT: &[Command] = &[
    sub(
        "client|caching",
        3,
        FAST,
        "Instructs the server whether to track the keys in the next request.",
    ),
    sub("client|getname", 2, FAST, "Returns the name of the connection."),
    sub(
        "client|getredir",
        2,
        FAST,
        "Returns the client ID to which the connection's tracking notifications are redirected.",
    ),
    sub("client|help", 2, FAST, "Returns helpful text about the different subcommands."),
    sub("client|id", 2, FAST, "Returns the unique client ID of the connection."),
    sub("client|info", 2, FAST, "Returns information about the connection."),
    sub("client|kill", -3, ADMIN, "Terminates open connections."),
    sub("client|list", -2, ADMIN, "Lists open connections."),
    sub("client|maint_notifications", -3, FAST, "Asks for MOVING pushes when the primary changes."),
    sub("client|no-evict", 3, ADMIN, "Sets the client eviction mode of the connection."),
    sub(
        "client|no-touch",
        3,
        FAST,
        "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
    ),
    sub("client|pause", -3, ADMIN, "Suspends commands processing."),
    sub("client|reply", 3, FAST, "Instructs the server whether to reply to commands."),
    sub("client|setinfo", 4, FAST, "Sets information specific to the client or connection."),
    sub("client|setname", 3, FAST, "Sets the connection name."),
    sub(
        "client|tracking",
        -3,
        FAST,
        "Controls server-assisted client-side caching for the connection.",
    ),
    sub(
        "client|trackinginfo",
        2,
        FAST,
        "Returns information about server-assisted client-side caching for the connection.",
    ),
    sub(
        "client|unblock",
        -3,
        ADMIN,
        "Unblocks a client blocked by a blocking command from a different connection.",
    ),
    sub("client|unpause", 2, ADMIN, "Resumes processing commands from paused clients."),
];

pub(super) const PUBSUB: &[Command] = &[
    sub("pubsub|channels", -2, SUBSCRIBE, "Returns the active channels."),
    sub("pubsub|help", 2, FAST, "Returns helpful text about the different subcommands."),
    sub("pubsub|numpat", 2, SUBSCRIBE, "Returns a count of unique pattern subscriptions."),
    sub("pubsub|numsub", -2, SUBSCRIBE, "Returns a count of subscribers to channels."),
];

pub(super) const CONFIG: &[Command] = &[
    sub("config|get", -3, ADMIN, "Returns the effective values of configuration parameters."),
    sub("config|help", 2, FAST, "Returns helpful text about the different subcommands."),
    sub("config|resetstat", 2, ADMIN, "Resets the server's statistics."),
    sub("config|rewrite", 2, ADMIN, "Refused: the configuration file belongs to people."),
    sub("config|set", -4, ADMIN, "Sets configuration parameters in-flight."),
];

pub(super) const ACL: &[Command] = &[
    sub("acl|cat", -2, FAST, "Lists the ACL categories, or the commands inside a category."),
    sub("acl|deluser", -3, ADMIN, "Deletes ACL users, and terminates their connections."),
    sub(
        "acl|dryrun",
        -4,
        ADMIN,
        "Simulates the execution of a command by a user, without executing the command.",
    ),
    sub(
        "acl|genpass",
        -2,
        FAST,
        "Generates a pseudorandom, secure password that can be used to identify ACL users.",
    ),
    sub("acl|getuser", 3, ADMIN, "Lists the ACL rules of a user."),
    sub("acl|help", 2, FAST, "Returns helpful text about the different subcommands."),
    sub("acl|list", 2, ADMIN, "Dumps the effective rules in ACL file format."),
    sub("acl|log", -2, ADMIN, "Lists recent security events generated due to ACL rules."),
    sub("acl|setuser", -3, ADMIN, "Creates and modifies an ACL user and its rules."),
    sub("acl|users", 2, ADMIN, "Lists all ACL users."),
    sub("acl|whoami", 2, FAST, "Returns the authenticated username of the current connection."),
];

pub(super) const SLOWLOG: &[Command] = &[
    sub("slowlog|get", -2, ADMIN, "Returns the slow log's entries."),
    sub("slowlog|help", 2, FAST, "Returns helpful text about the different subcommands."),
    sub("slowlog|len", 2, ADMIN, "Returns the number of entries in the slow log."),
    sub("slowlog|reset", 2, ADMIN, "Clears all entries from the slow log."),
];

pub(super) const LATENCY: &[Command] = &[
    sub("latency|doctor", 2, ADMIN, "Returns a human-readable latency analysis report."),
    sub("latency|help", 2, FAST, "Returns helpful text about the different subcommands."),
    sub(
        "latency|histogram",
        -2,
        ADMIN,
        "Returns the cumulative distribution of latencies of a subset or all commands.",
    ),
    sub("latency|history", 3, ADMIN, "Returns timestamp-latency samples for an event."),
    sub("latency|latest", 2, ADMIN, "Returns the latest latency samples for all events."),
    sub("latency|reset", -2, ADMIN, "Resets the latency data for one or more events."),
];

pub(super) const MODULE: &[Command] = &[
    sub("module|help", 2, FAST, "Returns helpful text about the different subcommands."),
    sub("module|list", 2, ADMIN, "Returns all loaded modules."),
];

pub(super) const TANDEM: &[Command] = &[
    sub("tandem|status", 2, FAST, "Returns this node's role, positions, lag and peer."),
    sub("tandem|position", 2, FAST, "Returns epoch and LSN of this connection's last write."),
    sub(
        "tandem|waitpos",
        5,
        Flags::BLOCKING,
        "Waits until this node has applied a position, to read one's own writes.",
    ),
    sub("tandem|promote", -2, ADMIN, "Makes this node the primary."),
    sub("tandem|switch", -2, ADMIN, "Starts a planned switch."),
    sub("tandem|confirm", -2, ADMIN, "Carries out a pending decision."),
    sub("tandem|reject", -2, ADMIN, "Drops a pending decision."),
    sub("tandem|pause", -2, ADMIN, "Suspends automatic decisions."),
    sub("tandem|resume", 2, ADMIN, "Resumes automatic decisions."),
    sub("tandem|verify", -2, ADMIN, "Compares the data of the two nodes."),
    sub(
        "tandem|conflicts",
        -2,
        ADMIN,
        "Lists, shows, applies or discards a returned primary's writes.",
    ),
    sub("tandem|pp", -3, ADMIN, "Policies and conflicts of two writers."),
    sub("tandem|bc", -3, FAST, "Counters that two writers never oversell."),
    sub("tandem|seq", -3, FAST, "Ids that two writers never give twice."),
    sub("tandem|help", 2, FAST, "Returns helpful text about the different subcommands."),
];

/// A subcommand of `SCRIPT`.
const fn script(name: &'static str, arity: i32, flags: Flags, summary: &'static str) -> Command {
    Command { name, arity, flags, summary, ..Command::of(Group::Scripting) }
}

pub(super) const SCRIPT: &[Command] = &[
    script("script|debug", 3, Flags::NOSCRIPT, "Sets the debug mode of server-side Lua scripts."),
    script(
        "script|exists",
        -3,
        Flags::NOSCRIPT,
        "Determines whether server-side Lua scripts exist in the script cache.",
    ),
    script(
        "script|flush",
        -2,
        Flags::NOSCRIPT,
        "Removes all server-side Lua scripts from the script cache.",
    ),
    script(
        "script|help",
        2,
        Flags::LOADING.and(Flags::STALE),
        "Returns helpful text about the different subcommands.",
    ),
    script(
        "script|kill",
        2,
        Flags::NOSCRIPT.and(Flags::ALLOW_BUSY),
        "Terminates a server-side Lua script during execution.",
    ),
    script(
        "script|load",
        3,
        Flags::NOSCRIPT.and(Flags::STALE),
        "Loads a server-side Lua script to the script cache.",
    ),
];
