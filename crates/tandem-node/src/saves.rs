//! What Redis' clients know as saving: a snapshot that somebody asked for, and what they are told of the last.
//!
//! **Not here:** how a snapshot is taken (`snapshot_job`), when one is due without being asked for (`node`).

use tandem_types::{Lsn, Now, WallMillis};

use crate::ConnId;

/// See the module. Sessions ask; the node begins and ends.
#[derive(Debug)]
pub(crate) struct Saves {
    /// Somebody asked for one that was not begun yet.
    wanted: bool,
    running: Option<Now>,
    /// A full copy is coming in: until it is here there is nothing to save.
    pub(crate) hindered: bool,
    /// Clients that wait for the one that begins next, or runs.
    waiting: Vec<ConnId>,
    /// When the last one that counts was finished; at first, when this process began.
    last: WallMillis,
    /// What it holds at least: the log before this.
    start: Lsn,
    /// How the last one ended, and how many seconds it took.
    failed: bool,
    seconds: Option<u64>,
    /// Finished since this process began.
    count: u64,
}

/// Why none is begun.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum NoSave {
    /// One is being taken.
    Running,
    /// A full copy is coming in.
    Copying,
}

impl Saves {
    /// A process that began at `now` with a log that ends at `log_end`, of which its last records are in no
    /// snapshot.
    pub(crate) const fn new(now: Now, log_end: Lsn, unsaved: u64) -> Self {
        let start = Lsn::new(log_end.get().saturating_sub(unsaved));
        Self {
            wanted: false,
            running: None,
            hindered: false,
            waiting: Vec::new(),
            last: now.wall,
            start,
            failed: false,
            seconds: None,
            count: 0,
        }
    }

    /// Asks for one; `later`: if one is being taken, for another after it.
    pub(crate) fn ask(&mut self, later: bool) -> Result<(), NoSave> {
        if !later && self.is_running() {
            return Err(NoSave::Running);
        }
        if !later && self.hindered {
            return Err(NoSave::Copying);
        }
        self.wanted = true;
        Ok(())
    }

    /// Asks for one and waits for it.
    pub(crate) fn ask_and_wait(&mut self, conn: ConnId) -> Result<(), NoSave> {
        self.ask(false)?;
        self.waiting.push(conn);
        Ok(())
    }

    /// One is being taken, or about to be.
    pub(crate) const fn is_running(&self) -> bool {
        self.wanted || self.running.is_some()
    }

    /// Somebody waits for one to begin.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// One begins.
    pub(crate) const fn begun(&mut self, now: Now) {
        self.wanted = false;
        self.running = Some(now);
    }

    /// One is finished that began at `start` of the log; says who waited for it.
    pub(crate) fn finished(&mut self, now: Now, start: Lsn) -> Vec<ConnId> {
        self.last = now.wall;
        self.start = start;
        self.count += 1;
        self.ended(now, false)
    }

    /// The one that was being taken could not be written; says who waited for it.
    pub(crate) fn failed(&mut self, now: Now) -> Vec<ConnId> {
        self.ended(now, true)
    }

    fn ended(&mut self, now: Now, failed: bool) -> Vec<ConnId> {
        self.failed = failed;
        let Some(since) = self.running.take() else { return Vec::new() };
        self.seconds = Some(now.mono.since(since.mono).as_secs());
        std::mem::take(&mut self.waiting)
    }

    /// The one that was being taken is given up; with `again` another one follows, for whoever waits. Says who
    /// waited in vain.
    pub(crate) fn given_up(&mut self, again: bool) -> Vec<ConnId> {
        self.running = None;
        if again { Vec::new() } else { std::mem::take(&mut self.waiting) }
    }

    /// When the last one that counts was finished.
    pub(crate) const fn last(&self) -> WallMillis {
        self.last
    }

    /// The log before this is in it.
    pub(crate) const fn start(&self) -> Lsn {
        self.start
    }

    /// Whether the last one could not be written.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// How many seconds the last one took.
    pub(crate) const fn seconds(&self) -> Option<u64> {
        self.seconds
    }

    /// When the one that is being taken began.
    pub(crate) const fn running(&self) -> Option<Now> {
        self.running
    }

    /// How many were finished since this process began.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tandem_types::Monotonic;

    use super::*;

    fn at(seconds: u64) -> Now {
        let mono = Monotonic::default().plus(Duration::from_secs(seconds));
        Now { mono, wall: WallMillis::new(1_000_000 + seconds * 1_000) }
    }

    #[test]
    fn one_at_a_time_and_whoever_waits_waits_for_a_whole_one() {
        let conn = ConnId::new(1, 1);
        let mut saves = Saves::new(at(0), Lsn::new(9), 4);
        assert_eq!((saves.last(), saves.start()), (at(0).wall, Lsn::new(5)));
        assert_eq!(saves.ask_and_wait(conn), Ok(()));
        assert_eq!(saves.ask(false), Err(NoSave::Running), "it was not begun yet");
        assert!(saves.is_wanted());
        saves.begun(at(1));
        assert_eq!(saves.ask_and_wait(conn), Err(NoSave::Running));
        assert_eq!(saves.ask(true), Ok(()), "another one after it");
        assert_eq!(saves.finished(at(4), Lsn::new(9)), vec![conn]);
        assert_eq!((saves.last(), saves.start()), (at(4).wall, Lsn::new(9)));
        assert_eq!((saves.seconds(), saves.count(), saves.has_failed()), (Some(3), 1, false));
        assert!(saves.is_wanted() && saves.running().is_none());
        saves.begun(at(5));
        assert!(saves.failed(at(6)).is_empty());
        assert!(saves.has_failed() && saves.last() == at(4).wall);
    }

    #[test]
    fn one_that_is_given_up_answers_whoever_waits() {
        let conn = ConnId::new(1, 1);
        let mut saves = Saves::new(at(0), Lsn::ZERO, 0);
        assert_eq!(saves.ask_and_wait(conn), Ok(()));
        saves.begun(at(1));
        assert!(saves.given_up(true).is_empty(), "it is begun again");
        saves.begun(at(2));
        assert_eq!(saves.given_up(false), vec![conn]);
        saves.hindered = true;
        assert_eq!(saves.ask(false), Err(NoSave::Copying));
        assert_eq!(saves.ask(true), Ok(()));
    }
}
