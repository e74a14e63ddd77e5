//! What a process group and its children have used of the processor, and which sockets they own: from `/proc`.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// User and system time of all threads of all processes in the group that `leader` leads, and of their children.
pub(crate) fn time_of_group(leader: u32) -> anyhow::Result<Duration> {
    let ticks: u64 = group(leader)?.iter().filter_map(|&pid| ticks_of(pid)).sum();
    let per_second = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_micros(ticks * 1_000_000 / per_second))
}

/// Resident memory of the group, in KiB.
pub(crate) fn resident_kib_of_group(leader: u32) -> anyhow::Result<u64> {
    let of = |pid: u32| -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Ok(group(leader)?.into_iter().filter_map(of).sum())
}

/// True if a process of the group listens on `port` of IPv4.
pub(crate) fn owns_port(leader: u32, port: u16) -> anyhow::Result<bool> {
    let table = fs::read_to_string("/proc/net/tcp").context("read /proc/net/tcp")?;
    let wanted = format!(":{port:04X}");
    let inodes: BTreeSet<&str> = table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (local, state) = (fields.get(1)?, fields.get(3)?);
            // 0A is TCP_LISTEN in include/net/tcp_states.h.
            (local.ends_with(&wanted) && *state == "0A").then(|| fields.get(9).copied())?
        })
        .collect();
    for pid in group(leader)? {
        let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { continue };
        for file in files.flatten() {
            let Ok(target) = fs::read_link(file.path()) else { continue };
            let target = target.to_string_lossy();
            let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
            if inode.is_some_and(|inode| inodes.contains(inode)) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// All processes whose group is `leader`, and their children: a supervisor gives its node a group of its own.
fn group(leader: u32) -> anyhow::Result<Vec<u32>> {
    let (mut found, mut others) = (Vec::new(), Vec::new());
    for entry in fs::read_dir("/proc").context("read /proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if stat_field(pid, 5) == Some(u64::from(leader)) {
            found.push(pid);
        } else {
            others.push(pid);
        }
    }
    let members: BTreeSet<u64> = found.iter().copied().map(u64::from).collect();
    others.retain(|pid| stat_field(*pid, 4).is_some_and(|parent| members.contains(&parent)));
    found.extend(others);
    Ok(found)
}

fn ticks_of(pid: u32) -> Option<u64> {
    Some(stat_field(pid, 14)? + stat_field(pid, 15)?)
}

/// Field `number` of `/proc/PID/stat`, counted from 1 as in proc(5).
fn stat_field(pid: u32, number: usize) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in field 2 may hold spaces and brackets: start after its last bracket, at field 3.
    let rest = stat.get(stat.rfind(')')? + 2..)?;
    rest.split(' ').nth(number.checked_sub(3)?)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_group_is_found_and_uses_time() {
        let me = std::process::id();
        let group_id = u32::try_from(stat_field(me, 5).unwrap()).unwrap();
        assert!(group(group_id).unwrap().contains(&me));
        assert!(resident_kib_of_group(group_id).unwrap() > 0);
    }

    #[test]
    fn a_port_belongs_to_who_listens_on_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let group_id = u32::try_from(stat_field(std::process::id(), 5).unwrap()).unwrap();
        assert!(owns_port(group_id, port).unwrap());
        drop(listener);
        assert!(!owns_port(group_id, port).unwrap());
    }
}
