//! A process and all that it started, whatever groups they made for themselves.
//!
//! `tandem serve` is two processes, and the node's has a group of its own: a signal to the group of the
//! one that was started reaches only the supervisor. A machine that freezes or loses power takes all.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// `root` and its descendants, parents before children.
pub fn members(root: u32) -> Vec<u32> {
    let parents = parents();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found
}

/// Stops all of them: whoever starts others first, until nobody new is found.
pub fn freeze(root: u32) -> Vec<u32> {
    let mut stopped: Vec<u32> = Vec::new();
    loop {
        let new: Vec<u32> =
            members(root).into_iter().filter(|pid| !stopped.contains(pid)).collect();
        if new.is_empty() {
            return stopped;
        }
        for &pid in &new {
            signal(pid, Signal::STOP);
        }
        stopped.extend(new);
    }
}

/// `kill -9` of all of them as if at one instant: nobody sees another one end and acts on it.
///
/// Children of `root` are gone afterwards; `root` is its parent's to wait for.
pub fn kill(root: u32) {
    let all = freeze(root);
    for &pid in &all {
        signal(pid, Signal::KILL);
    }
    for &pid in all.iter().filter(|&&pid| pid != root) {
        wait::until_true("a killed process is gone", Duration::from_secs(10), || is_gone(pid));
    }
}

/// Sends `signal`; a process that has ended meanwhile is none to complain about.
pub fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        kill_process(pid, signal).ok();
    }
}

/// Ended with every thread, so that its files, locks and ports are free; it may still be a zombie.
pub fn is_gone(pid: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
    let zombie = stat(pid).is_none_or(|(state, _)| state == 'Z');
    zombie && threads <= 1
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let Ok(folder) = fs::read_dir("/proc") else { return Vec::new() };
    folder
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?.1)))
        .collect()
}

/// State and parent, as `/proc/PID/stat` says; its second field may hold blanks and brackets.
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let state = words.next()?.chars().next()?;
    Some((state, words.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_child_in_a_group_of_its_own_is_frozen_and_killed_with_its_parent() {
        let words = ["-c", "set -m; sleep 100 & wait"];
        let mut parent = Command::new("bash").args(words).spawn().expect("bash starts");
        let child = wait::until("the child runs", Duration::from_secs(5), || {
            members(parent.id()).get(1).copied().ok_or("none yet")
        });
        assert_eq!(freeze(parent.id()), [parent.id(), child]);
        wait::until_true("both stand still", Duration::from_secs(5), || {
            [parent.id(), child].iter().all(|&pid| stat(pid).is_some_and(|it| it.0 == 'T'))
        });
        kill(parent.id());
        assert!(!parent.wait().expect("a child can be waited for").success());
        assert!(is_gone(child));
    }
}
