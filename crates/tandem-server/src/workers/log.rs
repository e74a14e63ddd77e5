//! The log thread: group commit.
//!
//! What arrived while the last sync ran is written and synced together. Order is kept strictly; the
//! first failure is reported once, and after it nothing is written any more (design.md 2: a second sync
//! returns success although the bytes are gone).

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tandem_disk::Disk;
use tandem_log::{Batch, LogOptions, Room, SegmentWriter, StateError, WriteError};
use tandem_node::{ConflictNews, Fsync, Input, LogCommand, LogFault, LogPlace, Saved, Settings};
use tandem_types::{Lsn, PairId, error_chain};

use super::{Reporter, log_reader};
use crate::boot::generation::{self, GenerationError};
use crate::clock;

/// How often a full disk is tried again.
const RETRY_EVERY: Duration = Duration::from_millis(500);
/// Rest between groups when nobody waits for the disk (`Fsync::Never`): one wake-up instead of one per
/// turn of the event loop saves 15 % of a SET's processor time at pipeline depth 1.
const REST: Duration = Duration::from_millis(1);
/// Batches of turns are joined up to this: beyond it a write's fixed cost no longer counts, a copy does.
const JOINED_BYTES_MAX: usize = 64 << 10;
/// Quiet time after which the log is marked as durable to its end (`SegmentWriter::mark`).
const MARK_AFTER: Duration = Duration::from_millis(500);

/// What is said of a full disk.
const NO_SEGMENT: &str = "no space for the next log segment";

/// What the log thread is told.
pub(crate) enum LogOrder {
    /// As the node says.
    Do(LogCommand),
    /// Save the records from here on aside: they are about to be replaced.
    SaveRecords {
        /// The first one.
        from: Lsn,
    },
}

/// A log that was recovered and opened.
pub(crate) struct OpenLog<D: Disk> {
    /// The data directory.
    pub disk: D,
    /// The directory of the generation in use.
    pub dir: String,
    /// The pair its records belong to.
    pub pair: PairId,
    /// How segments are laid out.
    pub options: LogOptions,
    /// The log.
    pub writer: SegmentWriter<D>,
    /// The reader of the same log.
    pub reader: log_reader::Shared<D>,
}

/// The log thread's state.
pub(crate) struct LogThread<D: Disk> {
    disk: D,
    dir: String,
    pair: PairId,
    writer: SegmentWriter<D>,
    options: LogOptions,
    fsync: Fsync,
    settings: Settings,
    /// Bytes of log kept for a returning peer.
    retention_bytes: u64,
    reporter: Reporter,
    reader: log_reader::Shared<D>,
    /// Work in order.
    queue: VecDeque<LogOrder>,
    /// Written and not yet reported.
    written: Vec<Batch>,
    /// The disk is full; the first order of the queue waits.
    full: bool,
    /// The node thinks that the disk is full.
    told_full: bool,
    synced_at: Instant,
    /// Something was written after the last sync.
    unsynced: bool,
    /// Something was synced after the last mark.
    unmarked: bool,
}

/// Tells people where records that were not kept in the log are.
pub(crate) fn report_saved(saved: &Saved) {
    if let Saved { file: Some(file), records, .. } = saved {
        tracing::warn!("{records} records that the pair does not have are kept in {file}");
    }
}

/// Why the log thread gives up.
struct Failed(String);

impl From<GenerationError> for Failed {
    fn from(error: GenerationError) -> Self {
        Self(error_chain(&error))
    }
}

impl From<WriteError> for Failed {
    fn from(error: WriteError) -> Self {
        Self(error_chain(&error))
    }
}

impl<D: Disk> LogThread<D> {
    /// A log thread for `log`.
    pub(crate) fn new(log: OpenLog<D>, settings: &Settings, reporter: Reporter) -> Self {
        let OpenLog { disk, dir, pair, options, writer, reader } = log;
        Self {
            disk,
            dir,
            pair,
            writer,
            options,
            fsync: settings.fsync,
            settings: settings.clone(),
            retention_bytes: settings.log_retention_bytes,
            reporter,
            reader,
            queue: VecDeque::new(),
            written: Vec::new(),
            full: false,
            told_full: false,
            synced_at: Instant::now(),
            unsynced: false,
            unmarked: false,
        }
    }

    /// Works until nobody is left to order.
    pub(crate) fn run(mut self, orders: &Receiver<LogOrder>) {
        if let Err(Failed(message)) = self.serve(orders) {
            self.reporter.tell(Input::LogFault(LogFault::Failed { message }));
            // Nothing that comes now is written; it stays unacknowledged.
            while orders.recv().is_ok() {}
        }
    }

    fn serve(&mut self, orders: &Receiver<LogOrder>) -> Result<(), Failed> {
        self.prepare()?;
        loop {
            match self.wait(orders) {
                Ok(command) => self.queue.push_back(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.work()?;
                    return Ok(self.writer.close()?);
                }
            }
            self.queue.extend(orders.try_iter());
            self.work()?;
            if self.fsync == Fsync::Never {
                thread::sleep(REST);
            }
        }
    }

    /// The next command, or the time for what is done without one.
    fn wait(&self, orders: &Receiver<LogOrder>) -> Result<LogOrder, RecvTimeoutError> {
        let interval = match self.fsync {
            Fsync::Interval(every) if self.unsynced => {
                Some(every.saturating_sub(self.synced_at.elapsed()))
            }
            _ => None,
        };
        let low = self.full || self.writer.room() == Room::Low;
        let retry = low.then_some(RETRY_EVERY);
        let mark = self.unmarked.then_some(MARK_AFTER);
        match [interval, retry, mark].into_iter().flatten().min() {
            Some(timeout) => orders.recv_timeout(timeout),
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Does all that is queued, as far as the disk has room.
    fn work(&mut self) -> Result<(), Failed> {
        if self.queue.is_empty() {
            return self.idle();
        }
        while let Some(command) = self.queue.pop_front() {
            match command {
                LogOrder::Do(LogCommand::Write(mut batch)) => {
                    self.join_following(&mut batch);
                    match self.writer.write(&mut batch) {
                        Ok(()) => {
                            self.unsynced = true;
                            self.written.push(batch);
                        }
                        Err(WriteError::Full) => {
                            self.queue.push_front(LogOrder::Do(LogCommand::Write(batch)));
                            self.commit()?;
                            self.tell_full(NO_SEGMENT);
                            return Ok(());
                        }
                        Err(failed) => return Err(failed.into()),
                    }
                }
                // The next one holds all that this one does, and vouches for both.
                LogOrder::Do(LogCommand::SaveState { .. }) if self.state_follows() => {}
                LogOrder::Do(LogCommand::SaveState { seq, state }) => {
                    self.commit()?;
                    match tandem_log::save_state(&self.disk, &state) {
                        Ok(()) => self.reporter.tell(Input::StateSaved { seq }),
                        Err(StateError::Full { .. }) => {
                            let again = LogCommand::SaveState { seq, state };
                            self.queue.push_front(LogOrder::Do(again));
                            self.tell_full("no space for the state file");
                            return Ok(());
                        }
                        Err(error) => return Err(Failed(error_chain(&error))),
                    }
                }
                LogOrder::Do(other) => {
                    self.commit()?;
                    self.order(other)?;
                }
                LogOrder::SaveRecords { from } => {
                    self.commit()?;
                    self.save_records(from)?;
                }
            }
        }
        self.full = false;
        self.commit()?;
        self.prepare()
    }

    /// Whether the next order replaces the state file too: each time costs two syncs.
    fn state_follows(&self) -> bool {
        matches!(self.queue.front(), Some(LogOrder::Do(LogCommand::SaveState { .. })))
    }

    /// Makes one batch of `batch` and the small ones that follow it: one write instead of many.
    fn join_following(&mut self, batch: &mut Batch) {
        while let Some(LogOrder::Do(LogCommand::Write(next))) = self.queue.front_mut() {
            if batch.records().len() + next.records().len() > JOINED_BYTES_MAX {
                return;
            }
            batch.join(next);
            if let Some(LogOrder::Do(LogCommand::Write(emptied))) = self.queue.pop_front() {
                self.written.push(emptied);
            }
        }
    }

    /// Nothing was ordered for a while.
    fn idle(&mut self) -> Result<(), Failed> {
        self.commit()?;
        if self.writer.room() == Room::Low {
            self.prepare()?;
        }
        if self.unmarked && !self.unsynced {
            self.writer.mark()?;
            self.unmarked = false;
        }
        Ok(())
    }

    /// Ends a group: syncs as the policy says, and reports.
    fn commit(&mut self) -> Result<(), Failed> {
        let due = match self.fsync {
            Fsync::Always => true,
            Fsync::Interval(every) => self.synced_at.elapsed() >= every,
            Fsync::Never => false,
        };
        let sync = due && self.unsynced;
        if sync {
            self.writer.sync()?;
            self.synced_at = Instant::now();
            self.unsynced = false;
            self.unmarked = true;
        }
        if sync || !self.written.is_empty() {
            let progress = self.progress();
            self.reporter.written(std::mem::take(&mut self.written), progress);
        }
        Ok(())
    }

    /// Has a spare segment made while there is time; says so if there is no room for one.
    fn prepare(&mut self) -> Result<(), Failed> {
        match self.writer.prepare()? {
            Room::Low => self.tell_full(NO_SEGMENT),
            // Writes were refused, so no batch comes that could tell the node.
            Room::Ample if self.told_full && self.queue.is_empty() => {
                self.full = false;
                self.told_full = false;
                self.reporter.tell(self.progress());
            }
            Room::Ample => {}
        }
        Ok(())
    }

    fn tell_full(&mut self, message: &str) {
        self.full = true;
        self.told_full = true;
        let message = message.to_owned();
        self.reporter.tell(Input::LogFault(LogFault::Full { message }));
    }

    fn order(&mut self, command: LogCommand) -> Result<(), Failed> {
        match command {
            LogCommand::Write(_) | LogCommand::SaveState { .. } => {
                unreachable!("done by `work`, as it may have to wait for space")
            }
            LogCommand::Sync => {
                self.writer.sync()?;
                self.synced_at = Instant::now();
                self.unsynced = false;
                self.reporter.written(Vec::new(), self.progress());
            }
            LogCommand::SetPair { pair_id } => {
                self.pair = pair_id;
                self.writer.set_pair(pair_id);
            }
            LogCommand::StartGeneration { generation, tip, pair_id, history } => {
                self.dir = generation::create(&self.disk, generation)?;
                self.pair = pair_id;
                let begin = generation::Beginning { pair: pair_id, tip, history: &history };
                self.writer = generation::begin_log(&self.disk, &self.dir, begin, self.options)?;
                *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = self.writer.reader();
                self.writer.prepare()?;
            }
            LogCommand::KeepGeneration { generation } => {
                generation::keep(&self.disk, generation)?;
            }
            LogCommand::RemoveOtherGenerations { generation, set_aside } => {
                generation::remove_others(&self.disk, generation, set_aside)?;
            }
            LogCommand::Retain { needed_from } => {
                let held_from = self.writer.holds_from(self.retention_bytes);
                self.writer.retain(needed_from.min(held_from))?;
                let (oldest, bytes) = (self.writer.oldest(), self.writer.total_bytes());
                self.reporter.tell(Input::LogTrimmed { oldest, bytes });
            }
        }
        Ok(())
    }

    fn save_records(&mut self, from: Lsn) -> Result<(), Failed> {
        let now = clock::now().wall;
        let place = LogPlace { dir: &self.dir, pair: self.pair };
        match tandem_node::save_records(&self.disk, place, &self.settings, from, now) {
            Ok(saved) => {
                report_saved(&saved);
                if let Some(entry) = saved.entry {
                    self.reporter.tell(Input::Conflicts(ConflictNews::Saved(entry)));
                }
            }
            // Better out of the pair than without these records.
            Err(error) => return Err(Failed(error_chain(&error))),
        }
        Ok(())
    }

    /// How far the log is. Durable is what the policy promises to be: with `interval` and `never` a
    /// record counts once the system has it, or neither node could ever vouch for it.
    fn progress(&self) -> Input<'static> {
        let written_end = self.writer.tip().end;
        let durable_end = match self.fsync {
            Fsync::Always => self.writer.durable_end(),
            Fsync::Interval(_) | Fsync::Never => written_end,
        };
        Input::LogProgress { written_end, durable_end, room: !self.told_full }
    }
}

#[cfg(test)]
mod tests;
