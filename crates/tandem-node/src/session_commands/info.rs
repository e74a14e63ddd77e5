//! `INFO`: Redis' sections and keys (dashboards read them), and a section of our own.

use std::fmt::Write;

use tandem_resp::Args;
use tandem_types::{DbIndex, Role};

use super::Visit;
use super::role::{primary_of, split};
use crate::clients::to_u64;
use crate::session::Session;
use crate::{Core, Port, Topology};

/// What libraries are told; they pick their commands by it.
pub(super) const REDIS_VERSION: &str = "7.2.4";

type Section = fn(&Visit<'_>, &mut String);

/// Name, whether it is shown without being asked for, and what writes it.
const SECTIONS: &[(&str, bool, Section)] = &[
    ("server", true, server),
    ("clients", true, clients),
    ("memory", true, memory),
    ("persistence", true, persistence),
    ("stats", true, stats),
    ("replication", true, replication),
    ("cpu", true, cpu),
    ("modules", true, modules),
    ("commandstats", false, command_stats),
    ("errorstats", true, error_stats),
    ("cluster", true, cluster),
    ("keyspace", true, keyspace),
    ("tandem", true, tandem),
];

pub(super) fn info(visit: &mut Visit<'_>, args: &Args<'_>) {
    let asked: Vec<Vec<u8>> = args.iter().skip(1).map(<[u8]>::to_ascii_lowercase).collect();
    let has = |name: &str| asked.iter().any(|word| word == name.as_bytes());
    let all = has("all") || has("everything");
    let default = asked.is_empty() || has("default");
    let mut text = String::with_capacity(4096);
    for (name, is_default, write) in SECTIONS {
        if all || (default && *is_default) || has(name) {
            if !text.is_empty() {
                text.push_str("\r\n");
            }
            write(visit, &mut text);
        }
    }
    visit.reply().verbatim(*b"txt", text.as_bytes());
}

/// Appends `key:value`.
macro_rules! line {
    ($out:expr, $key:literal, $($value:tt)+) => {
        // Writing to a String cannot fail.
        write!($out, concat!($key, ":{}\r\n"), format_args!($($value)+)).unwrap_or_default()
    };
}

/// The role in the words of the contract.
pub(super) fn role_word(core: &Core) -> &'static str {
    let replica = core.settings.topology == Topology::PrimaryReplica;
    match core.view.role {
        Role::Standby if replica => "replica",
        role => role.word(),
    }
}

fn server(visit: &Visit<'_>, out: &mut String) {
    let facts = &visit.clients.facts;
    let now = visit.core.now;
    let uptime = now.mono.since(facts.started).as_secs();
    let port = match visit.session.info.port {
        Port::Client => facts.client_port,
        Port::Read => facts.read_port,
    };
    out.push_str("# Server\r\n");
    line!(out, "redis_version", "{REDIS_VERSION}");
    line!(out, "redis_git_sha1", "00000000");
    line!(out, "redis_git_dirty", "0");
    line!(out, "redis_build_id", "tandem");
    line!(out, "redis_mode", "standalone");
    line!(out, "tandem_version", "{}", facts.version);
    line!(out, "os", "{}", facts.os);
    line!(out, "arch_bits", "{}", usize::BITS);
    line!(out, "multiplexing_api", "epoll");
    line!(out, "process_id", "{}", facts.pid);
    line!(out, "run_id", "{}", facts.run_id);
    line!(out, "tcp_port", "{port}");
    line!(out, "server_time_usec", "{}", now.wall.get().saturating_mul(1000));
    line!(out, "uptime_in_seconds", "{uptime}");
    line!(out, "uptime_in_days", "{}", uptime / 86_400);
    line!(out, "hz", "10");
    line!(out, "configured_hz", "10");
    line!(out, "executable", "{}", facts.executable);
    line!(out, "config_file", "{}", facts.config_file);
}

fn clients(visit: &Visit<'_>, out: &mut String) {
    let clients = &visit.clients;
    let pubsub = clients.sessions.iter().filter(|session| session.is_subscriber()).count();
    let watching = clients.sessions.iter().filter(|session| !session.watched.is_empty()).count();
    out.push_str("# Clients\r\n");
    line!(out, "connected_clients", "{}", clients.connected());
    line!(out, "cluster_connections", "0");
    line!(out, "maxclients", "{}", visit.core.settings.limits.clients_max);
    line!(out, "blocked_clients", "{}", clients.blocked_count());
    line!(out, "tracking_clients", "0");
    line!(out, "pubsub_clients", "{pubsub}");
    line!(out, "watching_clients", "{watching}");
    line!(out, "clients_in_timeout_table", "{}", clients.blocked_count());
    line!(out, "total_blocking_keys", "{}", clients.blocked.key_count());
}

fn memory(visit: &Visit<'_>, out: &mut String) {
    let facts = &visit.clients.facts;
    let used = to_u64(visit.core.store.used_memory());
    let maxmemory = visit.core.store.settings().maxmemory_bytes;
    let rss = facts.rss_bytes.max(used);
    let peak = facts.rss_peak_bytes.max(rss);
    let clients: usize = visit.clients.sessions.iter().map(Session::memory_bytes).sum();
    out.push_str("# Memory\r\n");
    line!(out, "used_memory", "{used}");
    line!(out, "used_memory_human", "{}", human(used));
    line!(out, "used_memory_rss", "{rss}");
    line!(out, "used_memory_rss_human", "{}", human(rss));
    line!(out, "used_memory_peak", "{peak}");
    line!(out, "used_memory_peak_human", "{}", human(peak));
    line!(out, "used_memory_dataset", "{used}");
    line!(out, "total_system_memory", "{}", facts.system_memory_bytes);
    line!(out, "total_system_memory_human", "{}", human(facts.system_memory_bytes));
    let scripts = visit.clients.scripts.as_deref();
    let of_scripts = scripts.map_or(0, tandem_script::Scripts::memory_bytes);
    line!(out, "used_memory_lua", "{of_scripts}");
    line!(out, "used_memory_vm_eval", "{of_scripts}");
    line!(out, "number_of_cached_scripts", "{}", scripts.map_or(0, tandem_script::Scripts::count));
    line!(out, "maxmemory", "{maxmemory}");
    line!(out, "maxmemory_human", "{}", human(maxmemory));
    line!(out, "maxmemory_policy", "noeviction");
    line!(out, "mem_fragmentation_ratio", "{}", ratio(rss, used));
    line!(out, "mem_clients_normal", "{clients}");
    line!(out, "mem_allocator", "mimalloc");
    line!(out, "lazyfree_pending_objects", "0");
}

fn persistence(visit: &Visit<'_>, out: &mut String) {
    let (saves, now) = (&visit.core.saves, visit.core.now);
    let unsaved = visit.core.positions.appended_end.records_since(saves.start()).unwrap_or(0);
    let shown = |seconds: Option<u64>| seconds.map_or("-1".to_owned(), |it| it.to_string());
    let running = saves.running().map(|since| now.mono.since(since.mono).as_secs());
    out.push_str("# Persistence\r\n");
    line!(out, "loading", "0");
    line!(out, "async_loading", "0");
    line!(out, "rdb_changes_since_last_save", "{unsaved}");
    line!(out, "rdb_bgsave_in_progress", "{}", u8::from(saves.is_running()));
    line!(out, "rdb_last_save_time", "{}", saves.last().get() / 1000);
    line!(out, "rdb_last_bgsave_status", "{}", if saves.has_failed() { "err" } else { "ok" });
    line!(out, "rdb_last_bgsave_time_sec", "{}", shown(saves.seconds()));
    line!(out, "rdb_current_bgsave_time_sec", "{}", shown(running));
    line!(out, "rdb_saves", "{}", saves.count());
    line!(out, "aof_enabled", "1");
    line!(out, "aof_rewrite_in_progress", "0");
    line!(out, "aof_last_bgrewrite_status", "ok");
    let log = visit.core.view.writes == Some(crate::Refusal::Disk);
    line!(out, "aof_last_write_status", "{}", if log { "err" } else { "ok" });
}

fn stats(visit: &Visit<'_>, out: &mut String) {
    let clients = visit.clients.stats();
    let store = visit.core.store.stats();
    let pubsub = &visit.clients.pubsub;
    let kilobytes = |bytes: u64| ratio(bytes, 1024);
    out.push_str("# Stats\r\n");
    line!(out, "total_connections_received", "{}", clients.connections);
    line!(out, "total_commands_processed", "{}", clients.commands);
    line!(out, "instantaneous_ops_per_sec", "{}", clients.commands_per_second);
    line!(out, "total_net_input_bytes", "{}", clients.input_bytes);
    line!(out, "total_net_output_bytes", "{}", clients.output_bytes);
    line!(out, "instantaneous_input_kbps", "{}", kilobytes(clients.input_bytes_per_second));
    line!(out, "instantaneous_output_kbps", "{}", kilobytes(clients.output_bytes_per_second));
    line!(out, "rejected_connections", "{}", clients.rejected_connections);
    line!(out, "sync_full", "{}", visit.core.streams.copies_sent);
    line!(out, "sync_partial_ok", "{}", visit.core.streams.partial_sent);
    line!(out, "sync_partial_err", "0");
    line!(out, "expired_keys", "{}", store.expired_keys);
    line!(out, "evicted_keys", "0");
    line!(out, "evicted_clients", "0");
    line!(out, "keyspace_hits", "{}", store.hits);
    line!(out, "keyspace_misses", "{}", store.misses);
    line!(out, "pubsub_channels", "{}", pubsub.channel_count());
    line!(out, "pubsub_patterns", "{}", pubsub.pattern_count());
    line!(out, "pubsubshard_channels", "0");
    line!(out, "latest_fork_usec", "0");
    line!(out, "total_forks", "0");
    line!(out, "migrate_cached_sockets", "0");
    line!(out, "total_error_replies", "{}", clients.error_replies);
    line!(out, "acl_access_denied_auth", "{}", clients.auth_failures);
    line!(
        out,
        "client_output_buffer_limit_disconnections",
        "{}",
        clients.output_limit_disconnections
    );
    line!(
        out,
        "client_query_buffer_limit_disconnections",
        "{}",
        clients.query_limit_disconnections
    );
}

/// The read port says "slave" whatever the role, so that libraries keep reading there.
fn replication(visit: &Visit<'_>, out: &mut String) {
    let core = &*visit.core;
    let at = core.positions;
    out.push_str("# Replication\r\n");
    if core.view.role == Role::Primary && visit.session.info.port == Port::Client {
        line!(out, "role", "master");
        line!(out, "connected_slaves", "{}", usize::from(core.view.peer_connected));
        if core.view.peer_connected {
            let (host, port) = split(&core.settings.client_addresses[core.settings.node.peer()]);
            let state = if core.view.peer_in_sync { "online" } else { "wait_bgsave" };
            let offset = at.peer_received_end;
            line!(out, "slave0", "ip={host},port={port},state={state},offset={offset},lag=0");
        }
    } else {
        let (host, port) = primary_of(visit);
        let up = core.view.peer_connected || core.view.role == Role::Primary;
        line!(out, "role", "slave");
        line!(out, "master_host", "{host}");
        line!(out, "master_port", "{port}");
        line!(out, "master_link_status", "{}", if up { "up" } else { "down" });
        line!(out, "master_last_io_seconds_ago", "{}", if up { "0" } else { "-1" });
        line!(out, "master_sync_in_progress", "0");
        line!(out, "slave_read_repl_offset", "{}", at.appended_end);
        line!(out, "slave_repl_offset", "{}", at.applied_end);
        line!(out, "slave_priority", "100");
        line!(out, "slave_read_only", "1");
        line!(out, "replica_announced", "1");
        line!(out, "connected_slaves", "0");
    }
    line!(out, "master_failover_state", "no-failover");
    line!(out, "master_replid", "{}", visit.clients.facts.run_id);
    line!(out, "master_replid2", "0000000000000000000000000000000000000000");
    line!(out, "master_repl_offset", "{}", at.appended_end);
    line!(out, "second_repl_offset", "-1");
    line!(out, "repl_backlog_active", "1");
    line!(out, "repl_backlog_size", "{}", core.settings.log_retention_bytes);
}

fn cpu(visit: &Visit<'_>, out: &mut String) {
    let facts = &visit.clients.facts;
    let seconds = |us: u64| format!("{}.{:06}", us / 1_000_000, us % 1_000_000);
    out.push_str("# CPU\r\n");
    line!(out, "used_cpu_sys", "{}", seconds(facts.cpu_system_us));
    line!(out, "used_cpu_user", "{}", seconds(facts.cpu_user_us));
    line!(out, "used_cpu_sys_children", "0.000000");
    line!(out, "used_cpu_user_children", "0.000000");
}

fn modules(_visit: &Visit<'_>, out: &mut String) {
    out.push_str("# Modules\r\n");
}

fn command_stats(visit: &Visit<'_>, out: &mut String) {
    out.push_str("# Commandstats\r\n");
    for count in visit.clients.command_counts() {
        let micros = count.nanos / 1000;
        write!(
            out,
            "cmdstat_{}:calls={},usec={micros},usec_per_call={},rejected_calls={},failed_calls={}\r\n",
            count.name,
            count.calls,
            ratio(micros, count.calls.max(1)),
            count.rejected,
            count.failed
        )
        .unwrap_or_default();
    }
}

fn error_stats(visit: &Visit<'_>, out: &mut String) {
    out.push_str("# Errorstats\r\n");
    for (word, count) in &visit.clients.errors {
        write!(out, "errorstat_{word}:count={count}\r\n").unwrap_or_default();
    }
}

fn cluster(_visit: &Visit<'_>, out: &mut String) {
    out.push_str("# Cluster\r\n");
    line!(out, "cluster_enabled", "0");
}

fn keyspace(visit: &Visit<'_>, out: &mut String) {
    out.push_str("# Keyspace\r\n");
    for db in DbIndex::all() {
        let counts = visit.core.store.counts(db);
        if counts.keys > 0 {
            write!(
                out,
                "db{}:keys={},expires={},avg_ttl=0\r\n",
                db.get(),
                counts.keys,
                counts.expires
            )
            .unwrap_or_default();
        }
    }
}

fn tandem(visit: &Visit<'_>, out: &mut String) {
    let core = &*visit.core;
    let (view, at) = (&core.view, core.positions);
    let flag = |value: bool| if value { "1" } else { "0" };
    out.push_str("# Tandem\r\n");
    line!(out, "tandem_node", "{}", core.settings.name());
    line!(out, "tandem_pair", "{}", core.settings.pair_name);
    line!(out, "tandem_role", "{}", role_word(core));
    line!(out, "tandem_epoch", "{}", view.epoch);
    line!(out, "tandem_primary", "{}", view.primary_address.as_deref().unwrap_or_default());
    line!(out, "tandem_in_sync", "{}", flag(view.peer_in_sync));
    line!(out, "tandem_peer_connected", "{}", flag(view.peer_connected));
    line!(out, "tandem_last_lsn", "{}", at.appended_end);
    line!(out, "tandem_durable_lsn", "{}", at.durable_end);
    line!(out, "tandem_applied_lsn", "{}", at.applied_end);
    line!(out, "tandem_commit_lsn", "{}", at.commit_end);
    line!(out, "tandem_peer_received_lsn", "{}", at.peer_received_end);
    line!(out, "tandem_peer_durable_lsn", "{}", at.peer_durable_end);
    line!(out, "tandem_served_blocked", "{}", visit.clients.stats.served_blocked);
    line!(out, "tandem_protocol_errors", "{}", visit.clients.stats.protocol_errors);
    line!(out, "tandem_waiting_for", "{}", view.waiting_for.as_deref().unwrap_or_default());
    line!(out, "tandem_protected_mode", "{}", flag(core.settings.protected_mode));
    two_writers(core, out);
}

/// What the store keeps beside keys in a pair with two writers.
fn two_writers(core: &Core, out: &mut String) {
    let Some(counts) = core.store.two_writers_counts() else { return };
    line!(out, "pp_link", "{}", if counts.link_up { "up" } else { "down" });
    line!(out, "pp_policies", "{}", counts.policies);
    line!(out, "pp_counters", "{}", counts.counters);
    line!(out, "pp_sequences", "{}", counts.sequences);
    line!(out, "pp_conflicts_kept", "{}", counts.conflicts_kept);
    line!(out, "pp_conflicts_undecided", "{}", counts.conflicts_undecided);
    line!(out, "pp_conflicts_lost", "{}", counts.conflicts_lost);
    line!(out, "pp_conflict_log_bytes", "{}", core.merge_log.bytes);
    let trouble = core.merge_log.trouble.as_deref().unwrap_or("ok");
    line!(out, "pp_conflict_log_status", "{trouble}");
    for (kind, count) in counts.conflicts {
        let kind = kind.replace('-', "_");
        write!(out, "pp_conflicts_{kind}:{count}\r\n").unwrap_or_default();
    }
}

/// Bytes for people, as Redis writes them.
fn human(bytes: u64) -> String {
    const UNITS: [(&str, u32); 4] = [("T", 40), ("G", 30), ("M", 20), ("K", 10)];
    for (unit, shift) in UNITS {
        if bytes >> shift > 0 {
            return format!("{}{unit}", ratio(bytes, 1 << shift));
        }
    }
    format!("{bytes}B")
}

/// `a / b` with two decimals; 0.00 if `b` is 0.
fn ratio(a: u64, b: u64) -> String {
    let hundredths = if b == 0 { 0 } else { u128::from(a) * 100 / u128::from(b) };
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_redis_does() {
        assert_eq!(human(512), "512B");
        assert_eq!(human(1536), "1.50K");
        assert_eq!(human(3 << 30), "3.00G");
        assert_eq!(ratio(1, 3), "0.33");
        assert_eq!(ratio(1, 0), "0.00");
    }
}
