//! The threads beside the data thread, and the queues that lead to them.
//!
//! | thread | does | answers |
//! |---|---|---|
//! | log | writes and syncs batches, saves the state, trims | `LogProgress`, `StateSaved`, ... |
//! | log-reader | reads old records for a peer that catches up | `LogRead`, `LogGone` |
//! | snapshot | writes slots to a snapshot file | `ChunksWritten`, `SnapshotFinished`, ... |
//! | scrub | reads closed segments and snapshots, slowly | `Scrubbed` |
//! | conflicts | receives, sends and reads files of saved writes | `Conflicts` |
//! | merge-log | writes and reads what merging decided | `MergeLog` |
//! | reaper | frees what is large | - |
//!
//! Queues are unbounded in form and bounded in fact: the node counts unacknowledged bytes, chunks in
//! flight and reads, and stops giving when there are too many.

pub(crate) mod conflicts;
pub(crate) mod log;
pub(crate) mod log_reader;
pub(crate) mod merge_log;
pub(crate) mod reaper;
pub(crate) mod scrub;
pub(crate) mod snapshot;

use std::io;
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};

use tandem_log::Batch;
use tandem_node::{ConflictOrder, Input, MergeLogOrder, Output, SnapshotCommand};

use crate::inbox::{Mail, Outbox};
use log::LogOrder;
use log_reader::ReadOrder;
use reaper::Garbage;
use scrub::ScrubOrder;

/// Queues to the workers of one boot.
pub(crate) struct Workers {
    /// To the log thread.
    pub log: Sender<LogOrder>,
    /// To the log reader.
    pub reader: Sender<ReadOrder>,
    /// To the snapshot thread.
    pub snapshot: Sender<SnapshotCommand>,
    /// To the scrub thread.
    pub scrub: Sender<ScrubOrder>,
    /// To the thread for saved writes.
    pub conflicts: Sender<ConflictOrder>,
    /// To the thread for what merging decided.
    pub merge_log: Sender<MergeLogOrder>,
    /// To the reaper.
    pub reaper: Sender<Garbage>,
    /// Their threads, in the order in which they are waited for.
    pub threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Passes an output on to whom it concerns. A worker that is gone has said why by mail.
    pub(crate) fn give(&self, output: Output) {
        let given = match output {
            Output::Log(command) => self.log.send(LogOrder::Do(command)).is_ok(),
            Output::SaveRecords { from } => self.log.send(LogOrder::SaveRecords { from }).is_ok(),
            Output::Snapshot(command) => self.snapshot.send(command).is_ok(),
            Output::ReadLog { from, until, bytes_max } => {
                self.reader.send(ReadOrder::Records { from, until, bytes_max }).is_ok()
            }
            Output::ReadSince { from, until, bytes_max } => {
                self.reader.send(ReadOrder::Since { from, until, bytes_max }).is_ok()
            }
            Output::Conflicts(order) => self.conflicts.send(order).is_ok(),
            Output::MergeLog(order) => self.merge_log.send(order).is_ok(),
            Output::LookUpChain { lsn } => self.reader.send(ReadOrder::Chain { lsn }).is_ok(),
            Output::Scrub { generation, pair } => {
                self.scrub.send(ScrubOrder { generation, pair }).is_ok()
            }
            Output::Garbage(garbage) => self.reaper.send(Garbage::Values(garbage)).is_ok(),
            Output::DropStore(store) => self.reaper.send(Garbage::Store(store)).is_ok(),
            other => unreachable!("not a worker's: {other:?}"),
        };
        if !given {
            tracing::debug!("a worker is gone");
        }
    }

    /// No threads: whatever is given is dropped.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        let (log, reader) = (std::sync::mpsc::channel().0, std::sync::mpsc::channel().0);
        let (snapshot, reaper) = (std::sync::mpsc::channel().0, std::sync::mpsc::channel().0);
        let scrub = std::sync::mpsc::channel().0;
        let conflicts = std::sync::mpsc::channel().0;
        let merge_log = std::sync::mpsc::channel().0;
        Self { log, reader, snapshot, scrub, conflicts, merge_log, reaper, threads: Vec::new() }
    }

    /// Lets every worker finish what it was given, and waits for that.
    pub(crate) fn stop(self) {
        let Self { log, reader, snapshot, scrub, conflicts, merge_log, reaper, threads } = self;
        drop((log, reader, snapshot, scrub, conflicts, merge_log, reaper));
        for thread in threads {
            // A worker that panicked has ended the process (release), or failed its test.
            drop(thread.join());
        }
    }
}

/// How a worker of one boot reports.
#[derive(Clone)]
pub(crate) struct Reporter {
    life: u32,
    outbox: Outbox,
}

impl Reporter {
    /// For the workers of boot `life`.
    pub(crate) const fn new(life: u32, outbox: Outbox) -> Self {
        Self { life, outbox }
    }

    /// Tells the node. When the data thread is gone nobody needs to know.
    pub(crate) fn tell(&self, input: Input<'static>) {
        self.outbox.send(Mail::Worker { life: self.life, input }).ok();
    }

    /// Tells the node how far the log is, and gives batches back.
    pub(crate) fn written(&self, batches: Vec<Batch>, progress: Input<'static>) {
        self.outbox.send(Mail::Written { life: self.life, batches, progress }).ok();
    }
}

/// Starts a worker's thread.
pub(crate) fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}
