//! What `INFO` says of the process: name, memory, processor time.

use std::net::SocketAddr;

use tandem_node::Facts;

use crate::clock;
use crate::link::random_bytes;

/// Clock ticks per second in `/proc/self/stat`: 100 on every Linux (`USER_HZ` is part of its ABI).
const TICK_US: u64 = 1_000_000 / 100;

/// What does not change.
pub(crate) fn gather(config_file: &str, client: SocketAddr, read: Option<SocketAddr>) -> Facts {
    let now = clock::now();
    let run_id = random_bytes::<20>().unwrap_or([0; 20]);
    let uname = rustix::system::uname();
    let os = [uname.sysname(), uname.release(), uname.machine()].map(|it| it.to_string_lossy());
    let system = rustix::system::sysinfo();
    Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        client_port: client.port(),
        read_port: read.map_or(0, |read| read.port()),
        started: now.mono,
        started_wall: now.wall,
        executable: std::env::current_exe()
            .map(|path| path.display().to_string())
            .unwrap_or_default(),
        config_file: config_file.to_owned(),
        run_id: run_id.map(|byte| format!("{byte:02x}")).concat(),
        os: os.join(" "),
        system_memory_bytes: system.totalram.saturating_mul(u64::from(system.mem_unit)),
        ..Facts::default()
    }
}

/// What changes: one small read from `/proc`, about 10 us.
pub(crate) fn refresh(facts: &mut Facts) {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return };
    let Some(usage) = parse(&stat) else { return };
    facts.cpu_user_us = usage.user_ticks.saturating_mul(TICK_US);
    facts.cpu_system_us = usage.system_ticks.saturating_mul(TICK_US);
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(4096);
    facts.rss_bytes = usage.resident_pages.saturating_mul(page);
    facts.rss_peak_bytes = facts.rss_peak_bytes.max(facts.rss_bytes);
}

#[derive(Debug, Eq, PartialEq)]
struct Usage {
    user_ticks: u64,
    system_ticks: u64,
    resident_pages: u64,
}

/// Reads proc(5)'s `stat`: fields 14, 15 and 24, counted from 1; the second is a name in parentheses
/// that may hold anything.
fn parse(stat: &str) -> Option<Usage> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let mut number = |skip: usize| fields.nth(skip)?.parse().ok();
    Some(Usage { user_ticks: number(11)?, system_ticks: number(0)?, resident_pages: number(8)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processes_own_usage_is_read() {
        let line = "12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 111 222 15 16 17 18 19 20 21 22 333 24 25";
        let want = Usage { user_ticks: 111, system_ticks: 222, resident_pages: 333 };
        assert_eq!(parse(line), Some(want));
        let mut facts = gather("file", "127.0.0.1:1".parse().unwrap(), None);
        refresh(&mut facts);
        assert!(facts.rss_bytes > 100_000 && facts.system_memory_bytes > facts.rss_bytes);
        assert_eq!(facts.run_id.len(), 40);
    }
}
