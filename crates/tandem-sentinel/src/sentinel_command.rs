//! `SENTINEL ...`.

use tandem_resp::{Args, Reply};

use crate::session::Next;
use crate::{Addr, MasterView, ReplicaView, SentinelView};

const UNKNOWN_MASTER: &str = "ERR No such master with that name";

const HELP: [&str; 12] = [
    "SENTINEL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CKQUORUM <master-name>",
    "    Check whether the Sentinels of a pair are known.",
    "FAILOVER <master-name> [COORDINATED]",
    "    Planned change of primary, without loss.",
    "GET-MASTER-ADDR-BY-NAME <master-name>",
    "    Return the address of the primary.",
    "MASTER <master-name> | MASTERS",
    "    Show one pair, or all.",
    "REPLICAS <master-name> | SENTINELS <master-name>",
    "    Show the replicas, or the other Sentinels, of a pair.",
    "MYID | HELP",
];

/// Changes go through Tandem's own configuration.
const MANAGED: [&[u8]; 10] = [
    b"monitor",
    b"remove",
    b"set",
    b"reset",
    b"flushconfig",
    b"config",
    b"debug",
    b"simulate-failure",
    b"is-master-down-by-addr",
    b"info-cache",
];

/// Answers one; `Next::Failover` leaves the answer to whoever carries it out.
pub(crate) fn answer(view: &SentinelView, args: &Args<'_>, reply: &mut Reply<'_>) -> Next {
    let word = args.get(1).to_ascii_lowercase();
    let named = |reply: &mut Reply<'_>| {
        let found = view.find(args.get(2));
        if found.is_none() {
            reply.error(UNKNOWN_MASTER);
        }
        found
    };
    let words = match word.as_slice() {
        b"get-master-addr-by-name"
        | b"master"
        | b"slaves"
        | b"replicas"
        | b"sentinels"
        | b"ckquorum" => 3..=3,
        b"failover" => 3..=4,
        b"masters" | b"myid" | b"help" => 2..=2,
        _ => 0..=usize::MAX,
    };
    if !words.contains(&args.len()) {
        let word = String::from_utf8_lossy(&word);
        reply
            .error_fmt(format_args!("ERR wrong number of arguments for 'sentinel|{word}' command"));
        return Next::Go;
    }
    match word.as_slice() {
        b"get-master-addr-by-name" => {
            match view.find(args.get(2)).and_then(|master| master.primary.as_ref()) {
                Some(primary) => {
                    reply.array(2);
                    reply.bulk(primary.ip.as_bytes());
                    reply.bulk_int(i64::from(primary.port));
                }
                None => reply.null_array(),
            }
        }
        b"masters" => masters(view, reply),
        b"master" => {
            if let Some(found) = named(reply) {
                master(&String::from_utf8_lossy(args.get(2)), found, reply);
            }
        }
        b"slaves" | b"replicas" => {
            if let Some(found) = named(reply) {
                reply.array(found.replicas.len());
                for one in &found.replicas {
                    replica(found, one, reply);
                }
            }
        }
        b"sentinels" => {
            if let Some(found) = named(reply) {
                reply.array(found.sentinels.len());
                for one in &found.sentinels {
                    sentinel(one, reply);
                }
            }
        }
        b"ckquorum" => {
            if let Some(found) = named(reply) {
                let usable = found.sentinels.len() + 1;
                reply.simple(&format!(
                    "OK {usable} usable Sentinels. Quorum and failover authorization can be reached"
                ));
            }
        }
        b"myid" => reply.bulk(view.me.runid.as_bytes()),
        b"failover" => {
            let option = args.opt(3);
            if option.is_some_and(|option| !option.eq_ignore_ascii_case(b"coordinated")) {
                reply.error("ERR syntax error: only COORDINATED may follow the name");
            } else if let Some(found) = named(reply) {
                return Next::Failover(found.name.clone());
            }
        }
        b"help" => {
            reply.array(HELP.len());
            for line in HELP {
                reply.simple(line);
            }
        }
        managed if MANAGED.contains(&managed) => {
            reply.error("ERR managed by Tandem: see tandem.toml and the command tandem");
        }
        other => {
            let shown = String::from_utf8_lossy(other.get(..128).unwrap_or(other));
            reply.error_fmt(format_args!("ERR unknown subcommand '{shown}'. Try SENTINEL HELP."));
        }
    }
    Next::Go
}

/// Under each of its names: redis-py and redis-rs look for theirs in this list.
fn masters(view: &SentinelView, reply: &mut Reply<'_>) {
    let shown = || view.named().filter(|(_, found)| found.primary.is_some());
    reply.array(shown().count());
    for (name, found) in shown() {
        master(name, found, reply);
    }
}

fn master(name: &str, found: &MasterView, reply: &mut Reply<'_>) {
    let nobody = Addr::default();
    let primary = found.primary.as_ref().unwrap_or(&nobody);
    let flags = if found.down { "master,s_down,o_down" } else { "master" };
    fields(
        reply,
        &[
            ("name", name),
            ("ip", &primary.ip),
            ("port", &primary.port.to_string()),
            ("runid", &primary.runid),
            ("flags", flags),
            ("config-epoch", &found.epoch.to_string()),
            ("num-slaves", &found.replicas.len().to_string()),
            ("num-other-sentinels", &found.sentinels.len().to_string()),
            ("quorum", &(found.sentinels.len().div_ceil(2) + 1).min(2).to_string()),
        ],
    );
}

fn replica(
    of: &MasterView,
    ReplicaView { addr, down, linked }: &ReplicaView,
    reply: &mut Reply<'_>,
) {
    let nobody = Addr::default();
    let primary = of.primary.as_ref().unwrap_or(&nobody);
    fields(
        reply,
        &[
            ("name", &format!("{}:{}", addr.ip, addr.port)),
            ("ip", &addr.ip),
            ("port", &addr.port.to_string()),
            ("runid", &addr.runid),
            ("flags", if *down { "slave,s_down,disconnected" } else { "slave" }),
            ("master-link-status", if *linked { "ok" } else { "err" }),
            ("master-host", &primary.ip),
            ("master-port", &primary.port.to_string()),
            ("slave-priority", "100"),
            ("slave-repl-offset", "0"),
        ],
    );
}

fn sentinel(Addr { ip, port, runid }: &Addr, reply: &mut Reply<'_>) {
    fields(
        reply,
        &[
            ("name", runid),
            ("ip", ip),
            ("port", &port.to_string()),
            ("runid", runid),
            ("flags", "sentinel"),
        ],
    );
}

fn fields(reply: &mut Reply<'_>, fields: &[(&str, &str)]) {
    reply.map(fields.len());
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
}
