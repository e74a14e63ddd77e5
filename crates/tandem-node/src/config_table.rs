//! Redis' configuration parameters as this server has them: real ones, and fixed ones that tools ask for.

use tandem_resp::parse_i64;
use tandem_store::Settings;

use crate::clients::Clients;
use crate::{Core, Fsync};

/// One parameter.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    value: Value,
}

#[derive(Debug)]
enum Value {
    /// Always this; setting it to this is no error.
    Fixed(&'static str),
    /// Tunes what works otherwise here, or by itself: any value is taken and changes nothing.
    Tuning(&'static str),
    /// Read from the node; setting it to what it is already is no error.
    Shown(fn(&Core, &Clients) -> String),
    /// An integer between two bounds.
    Number {
        min: i64,
        max: i64,
        get: fn(&Core, &Clients) -> i64,
        set: fn(&mut Core, &mut Clients, i64),
    },
    /// Bytes, with units.
    Memory { get: fn(&Core) -> u64, set: fn(&mut Core, u64) },
    /// Three limits for each kind of client.
    OutputLimits,
}

impl Parameter {
    /// The value as `CONFIG GET` shows it.
    pub(crate) fn shown(&self, core: &Core, clients: &Clients) -> String {
        match self.value {
            Value::Fixed(text) | Value::Tuning(text) => text.to_owned(),
            Value::Shown(get) => get(core, clients),
            Value::Number { get, .. } => get(core, clients).to_string(),
            Value::Memory { get, .. } => get(core).to_string(),
            Value::OutputLimits => output_limits(core),
        }
    }

    /// Sets the value from `CONFIG SET`.
    ///
    /// # Errors
    /// In Redis' words.
    pub(crate) fn set(
        &self,
        core: &mut Core,
        clients: &mut Clients,
        text: &[u8],
    ) -> Result<(), &'static str> {
        match self.value {
            Value::Fixed(_) | Value::Shown(_) => {
                let same = text.eq_ignore_ascii_case(self.shown(core, clients).as_bytes());
                if same { Ok(()) } else { Err("can't set immutable config") }
            }
            Value::Tuning(_) => Ok(()),
            Value::Number { min, max, set, .. } => {
                let number =
                    parse_i64(text).ok_or("argument couldn't be parsed into an integer")?;
                if !(min..=max).contains(&number) {
                    return Err("argument must be between the bounds of this parameter");
                }
                set(core, clients, number);
                Ok(())
            }
            Value::Memory { set, .. } => {
                set(core, parse_memory(text).ok_or("argument must be a memory value")?);
                Ok(())
            }
            Value::OutputLimits => set_output_limits(core, text),
        }
    }
}

const fn fixed(name: &'static str, text: &'static str) -> Parameter {
    Parameter { name, value: Value::Fixed(text) }
}

const fn tuning(name: &'static str, text: &'static str) -> Parameter {
    Parameter { name, value: Value::Tuning(text) }
}

const fn shown(name: &'static str, get: fn(&Core, &Clients) -> String) -> Parameter {
    Parameter { name, value: Value::Shown(get) }
}

/// How long a script may run; here it is stopped then.
fn script_millis(core: &Core) -> String {
    core.settings.limits.script_time.as_millis().to_string()
}

/// A threshold of the store: how many of something, at most.
macro_rules! threshold {
    ($name:literal, $field:ident) => {
        Parameter {
            name: $name,
            value: Value::Number {
                min: 0,
                max: i64::MAX,
                get: |core, _| i64::try_from(limits(core).$field).unwrap_or(i64::MAX),
                set: |core, _, number| {
                    store(core).limits.$field = u64::try_from(number).unwrap_or_default();
                },
            },
        }
    };
}

macro_rules! number {
    ($name:literal, $min:expr, $max:expr, $get:expr, $set:expr) => {
        Parameter {
            name: $name,
            value: Value::Number { min: $min, max: $max, get: $get, set: $set },
        }
    };
}

/// All parameters, by name.
pub(crate) static TABLE: &[Parameter] = &[
    tuning("activedefrag", "no"),
    tuning("activerehashing", "yes"),
    tuning("aof-use-rdb-preamble", "yes"),
    fixed("appendonly", "yes"),
    shown("appendfsync", |core, _| {
        match core.settings.fsync {
            Fsync::Always => "always",
            Fsync::Interval(_) => "everysec",
            Fsync::Never => "no",
        }
        .to_owned()
    }),
    tuning("auto-aof-rewrite-percentage", "0"),
    fixed("bind-source-addr", ""),
    shown("busy-reply-threshold", |core, _| script_millis(core)),
    Parameter { name: "client-output-buffer-limit", value: Value::OutputLimits },
    Parameter {
        name: "client-query-buffer-limit",
        value: Value::Memory {
            get: |core| bytes(core.settings.limits.query_buffer_bytes_max),
            set: |core, value| core.settings.limits.query_buffer_bytes_max = size(value),
        },
    },
    fixed("cluster-enabled", "no"),
    fixed("databases", "16"),
    fixed("daemonize", "no"),
    fixed("dbfilename", ""),
    shown("dir", |core, _| core.settings.data_dir.clone()),
    threshold!("hash-max-listpack-entries", hash_max_listpack_entries),
    threshold!("hash-max-listpack-value", hash_max_listpack_value),
    threshold!("hash-max-ziplist-entries", hash_max_listpack_entries),
    threshold!("hash-max-ziplist-value", hash_max_listpack_value),
    tuning("hll-sparse-max-bytes", "3000"),
    tuning("hz", "10"),
    fixed("io-threads", "1"),
    number!(
        "latency-monitor-threshold",
        0,
        i64::MAX,
        |_, clients| i64::try_from(clients.latency.threshold_ms).unwrap_or(i64::MAX),
        |_, clients, ms| clients.latency.threshold_ms = u64::try_from(ms).unwrap_or_default()
    ),
    tuning("lazyfree-lazy-eviction", "yes"),
    tuning("lazyfree-lazy-expire", "yes"),
    tuning("lazyfree-lazy-server-del", "yes"),
    tuning("lazyfree-lazy-user-del", "yes"),
    tuning("lazyfree-lazy-user-flush", "yes"),
    tuning("lfu-decay-time", "1"),
    tuning("lfu-log-factor", "10"),
    tuning("list-compress-depth", "0"),
    number!(
        "list-max-listpack-size",
        -5,
        i64::MAX,
        |core, _| limits(core).list_max_listpack_size,
        |core, _, number| store(core).limits.list_max_listpack_size = number
    ),
    number!(
        "list-max-ziplist-size",
        -5,
        i64::MAX,
        |core, _| limits(core).list_max_listpack_size,
        |core, _, number| store(core).limits.list_max_listpack_size = number
    ),
    fixed("logfile", ""),
    fixed("loglevel", "notice"),
    shown("lua-time-limit", |core, _| script_millis(core)),
    number!(
        "maxclients",
        1,
        1_000_000,
        |core, _| i64::try_from(core.settings.limits.clients_max).unwrap_or(i64::MAX),
        |core, _, number| {
            core.settings.limits.clients_max = usize::try_from(number).unwrap_or(usize::MAX);
        }
    ),
    Parameter {
        name: "maxmemory",
        value: Value::Memory {
            get: |core| core.store.settings().maxmemory_bytes,
            set: |core, value| {
                core.settings.limits.maxmemory = value;
                store(core).maxmemory_bytes = value;
            },
        },
    },
    fixed("maxmemory-clients", "0"),
    fixed("maxmemory-eviction-tenacity", "10"),
    fixed("maxmemory-policy", "noeviction"),
    tuning("maxmemory-samples", "5"),
    fixed("min-replicas-max-lag", "10"),
    fixed("min-replicas-to-write", "0"),
    fixed("min-slaves-max-lag", "10"),
    fixed("min-slaves-to-write", "0"),
    fixed("notify-keyspace-events", ""),
    shown("port", |_, clients| clients.facts.client_port.to_string()),
    Parameter {
        name: "proto-max-bulk-len",
        value: Value::Memory {
            get: |core| core.store.settings().string_bytes_max,
            // Requests are limited to 512 MiB by the parser whatever is set here.
            set: |core, value| store(core).string_bytes_max = value.clamp(1 << 20, 512 << 20),
        },
    },
    shown("protected-mode", |core, _| {
        if core.settings.protected_mode { "yes" } else { "no" }.to_owned()
    }),
    tuning("rdbcompression", "no"),
    fixed("repl-backlog-size", "1048576"),
    tuning("repl-diskless-sync", "yes"),
    fixed("replica-priority", "100"),
    fixed("replica-read-only", "yes"),
    fixed("replica-serve-stale-data", "yes"),
    fixed("requirepass", ""),
    fixed("save", ""),
    threshold!("set-max-intset-entries", set_max_intset_entries),
    threshold!("set-max-listpack-entries", set_max_listpack_entries),
    threshold!("set-max-listpack-value", set_max_listpack_value),
    fixed("slave-read-only", "yes"),
    fixed("slave-serve-stale-data", "yes"),
    number!(
        "slowlog-log-slower-than",
        -1,
        i64::MAX,
        |core, _| core.settings.slowlog_slower_than_us,
        |core, _, number| core.settings.slowlog_slower_than_us = number
    ),
    number!(
        "slowlog-max-len",
        0,
        100_000,
        |core, _| i64::try_from(core.settings.slowlog_entries_max).unwrap_or(i64::MAX),
        |core, _, number| {
            core.settings.slowlog_entries_max = usize::try_from(number).unwrap_or_default();
        }
    ),
    Parameter {
        name: "stream-node-max-bytes",
        value: Value::Memory {
            get: |core| limits(core).stream_node_max_bytes,
            set: |core, value| store(core).limits.stream_node_max_bytes = value,
        },
    },
    threshold!("stream-node-max-entries", stream_node_max_entries),
    fixed("supervised", "no"),
    fixed("tcp-keepalive", "300"),
    number!(
        "timeout",
        0,
        i64::MAX / 1_000_000_000,
        |core, _| i64::try_from(core.settings.limits.idle_timeout.as_secs()).unwrap_or(i64::MAX),
        |core, _, seconds| {
            let seconds = u64::try_from(seconds).unwrap_or_default();
            core.settings.limits.idle_timeout = std::time::Duration::from_secs(seconds);
        }
    ),
    fixed("unixsocket", ""),
    threshold!("zset-max-listpack-entries", zset_max_listpack_entries),
    threshold!("zset-max-listpack-value", zset_max_listpack_value),
    threshold!("zset-max-ziplist-entries", zset_max_listpack_entries),
    threshold!("zset-max-ziplist-value", zset_max_listpack_value),
];

const fn limits(core: &Core) -> &tandem_store::Limits {
    &core.store.settings().limits
}

const fn store(core: &mut Core) -> &mut Settings {
    core.store.settings_mut()
}

fn bytes(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// A number with an optional unit: `1k` is 1000, `1kb` is 1024, up to `gb`.
pub(crate) fn parse_memory(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match &*unit.to_ascii_lowercase() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1_000_000,
        b"mb" => 1 << 20,
        b"g" => 1_000_000_000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    number.checked_mul(factor)
}

fn output_limits(core: &Core) -> String {
    let limits = &core.settings.limits;
    format!(
        "normal {} 0 0 slave 0 0 0 pubsub {} {} 60",
        limits.output_normal_bytes_max,
        limits.output_pubsub_bytes_max,
        limits.output_pubsub_bytes_max / 4
    )
}

/// Only the hard limits can be changed; soft ones follow (a quarter, for a minute, for listeners).
fn set_output_limits(core: &mut Core, text: &[u8]) -> Result<(), &'static str> {
    const WRONG: &str = "Wrong number of arguments in buffer limit configuration.";
    let words: Vec<&[u8]> =
        text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect();
    if words.is_empty() || !words.len().is_multiple_of(4) {
        return Err(WRONG);
    }
    let mut limits = core.settings.limits;
    for group in words.chunks_exact(4) {
        let [class, hard, soft, seconds] = group else { return Err(WRONG) };
        let hard = parse_memory(hard).ok_or("Error in hard, soft or soft_seconds setting")?;
        if parse_memory(soft).is_none() || parse_i64(seconds).is_none_or(|seconds| seconds < 0) {
            return Err(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
            );
        }
        match &*class.to_ascii_lowercase() {
            b"normal" => limits.output_normal_bytes_max = size(hard),
            b"pubsub" => limits.output_pubsub_bytes_max = size(hard),
            // The peer's link has flow control of its own.
            b"slave" | b"replica" => {}
            _ => return Err("Invalid client class specified in buffer limit configuration."),
        }
    }
    core.settings.limits = limits;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_units() {
        for (text, want) in [
            ("0", Some(0)),
            ("100", Some(100)),
            ("1k", Some(1000)),
            ("1KB", Some(1024)),
            ("2gb", Some(2 << 30)),
            ("3b", Some(3)),
            ("", None),
            ("mb", None),
            ("1tb", None),
            ("-1", None),
            ("99999999999gb", None),
        ] {
            assert_eq!(parse_memory(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
    }
}
