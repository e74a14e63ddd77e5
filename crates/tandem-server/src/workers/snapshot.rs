//! The snapshot thread: writes slots to a file, as fast as the disk takes them.

use std::io;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use tandem_disk::Disk;
use tandem_node::{Input, SnapshotCommand, damaged_file_name, generation_name};
use tandem_snapshot::{Chunk, Header, SnapshotWriter, prune};

use super::Reporter;

/// Snapshots kept: if the newest turns out to be unreadable, the one before and a longer log serve.
const KEEP: usize = 2;
/// The log thread makes the directory of a new generation; it may have a queue before that.
const DIRECTORY_WAIT_MAX: Duration = Duration::from_secs(30);

/// Writes until nobody is left to order.
pub(crate) fn run<D: Disk>(orders: &Receiver<SnapshotCommand>, disk: &D, reporter: &Reporter) {
    let mut job = Job { disk, file: None };
    for order in orders {
        match job.carry_out(order) {
            Ok(Some(answer)) => reporter.tell(answer),
            Ok(None) => {}
            Err(error) => {
                // What still comes for this file is dropped, until the next begins.
                job.file = None;
                reporter.tell(Input::SnapshotFailed { message: error.to_string() });
            }
        }
    }
}

struct Job<'d, D: Disk> {
    disk: &'d D,
    file: Option<(String, SnapshotWriter<D>)>,
}

impl<D: Disk> Job<'_, D> {
    fn carry_out(&mut self, order: SnapshotCommand) -> io::Result<Option<Input<'static>>> {
        match order {
            SnapshotCommand::Begin { generation, header } => {
                let dir = generation_name(generation);
                let writer = self.begin(&dir, &header)?;
                self.file = Some((dir, writer));
                Ok(None)
            }
            SnapshotCommand::Chunk { lsn, first, last, bytes } => {
                let Some((_, writer)) = &mut self.file else { return Ok(None) };
                writer.chunk(&Chunk { lsn, first, last, bytes: &bytes })?;
                Ok(Some(Input::ChunksWritten { bytes: bytes.len() }))
            }
            SnapshotCommand::Finish { end } => {
                let Some((dir, writer)) = self.file.take() else { return Ok(None) };
                let name = writer.finish(end)?;
                let kept = prune(self.disk, &dir, KEEP)?;
                let oldest_start = kept.last().map_or(name.start, |oldest| oldest.start);
                let (start, name) = (name.start, name.to_string());
                Ok(Some(Input::SnapshotFinished { start, oldest_start, name }))
            }
            SnapshotCommand::SetAside { generation, name } => {
                let dir = generation_name(generation);
                let (from, to) =
                    (format!("{dir}/{name}"), format!("{dir}/{}", damaged_file_name(&name)));
                match self.disk.rename(&from, &to).and_then(|()| self.disk.sync_dir(&dir)) {
                    Ok(()) => Ok(Some(Input::SnapshotSetAside { kept: to })),
                    // A newer snapshot has taken its place meanwhile.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => {
                        tracing::warn!("set {from} aside: {error}");
                        Ok(None)
                    }
                }
            }
            SnapshotCommand::Abort => {
                self.file = None;
                Ok(None)
            }
        }
    }

    fn begin(&self, dir: &str, header: &Header) -> io::Result<SnapshotWriter<D>> {
        let start = Instant::now();
        loop {
            match SnapshotWriter::begin(self.disk.clone(), dir, header) {
                Err(error)
                    if error.kind() == io::ErrorKind::NotFound
                        && start.elapsed() < DIRECTORY_WAIT_MAX =>
                {
                    thread::sleep(Duration::from_millis(5));
                }
                begun => return begun,
            }
        }
    }
}
