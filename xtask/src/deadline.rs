//! An end for what may hang: a command and everything it started is killed when its time is over.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::shell;

/// Watches one process until it is [`Deadline::met`].
pub(crate) struct Deadline {
    done: Sender<()>,
    watcher: JoinHandle<bool>,
}

impl Deadline {
    /// From now on `process` has `limit`.
    pub(crate) fn start(process: u32, limit: Duration) -> Self {
        let (done, waits) = mpsc::channel();
        let watcher = thread::spawn(move || {
            let over = waits.recv_timeout(limit) == Err(RecvTimeoutError::Timeout);
            if over {
                kill_tree(process);
            }
            over
        });
        Self { done, watcher }
    }

    /// The process has ended. Whether it was killed.
    pub(crate) fn met(self) -> bool {
        // The watcher no longer listens once it has killed.
        let _told = self.done.send(());
        self.watcher.join().unwrap_or(true)
    }
}

/// Children first stop being started when their parents are gone, so the oldest go first.
fn kill_tree(root: u32) {
    let mut doomed = vec![root];
    let parents = parents();
    let mut next = 0;
    while let Some(parent) = doomed.get(next).copied() {
        next += 1;
        doomed.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(child, _)| *child));
    }
    let mut kill = Command::new("kill");
    kill.arg("-KILL").args(doomed.iter().map(u32::to_string));
    if let Err(error) = shell::run(kill) {
        // Some of them ended by themselves meanwhile.
        println!("kill: {error}");
    }
}

/// Every process and its parent.
fn parents() -> BTreeMap<u32, u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let of = |process: u32| {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        // The name in parentheses may hold anything; state and parent follow it.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|process| Some((process, of(process)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hangs_is_killed_with_its_children() -> std::io::Result<()> {
        let mut shell = Command::new("sh").args(["-c", "sleep 1000 & wait"]).spawn()?;
        let deadline = Deadline::start(shell.id(), Duration::from_millis(50));
        assert!(!shell.wait()?.success());
        assert!(deadline.met());
        assert!(!parents().values().any(|parent| *parent == shell.id()));
        Ok(())
    }

    #[test]
    fn what_ends_in_time_is_left_alone() -> std::io::Result<()> {
        let mut shell = Command::new("true").spawn()?;
        let deadline = Deadline::start(shell.id(), Duration::from_secs(1000));
        assert!(shell.wait()?.success());
        assert!(!deadline.met());
        Ok(())
    }
}
