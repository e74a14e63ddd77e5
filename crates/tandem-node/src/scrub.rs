//! Reads what lies on disk and is not in use: closed segments and snapshots. `tandem check` reads the snapshots
//! by the same code.
//!
//! A disk does not tell of a bit that has flipped; a read does, by the checksum. So everything is read now and
//! then, while the peer still has a good copy.
//!
//! **Not here:** when (`Node`), at what pace (the thread that runs it).

use std::io;

use tandem_disk::Disk;
use tandem_log::{RecoverError, check_closed};
use tandem_snapshot::{Finished, ReadError, SnapshotName, list, read};
use tandem_types::PairId;

use crate::snapshots::is_damage;

/// What a scrub read, and what it found.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ScrubReport {
    /// Closed segments that were read.
    pub segments: u64,
    /// Snapshots that were read.
    pub snapshots: u64,
    /// Bytes of records and slots in them.
    pub bytes: u64,
    /// What is damaged.
    pub found: Vec<Finding>,
    /// Why something could not be read at all, in words.
    pub troubles: Vec<String>,
    /// It was called off before its end.
    pub stopped: bool,
}

/// One damaged file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What it is.
    pub what: FoundIn,
    /// File, byte, and what is wrong, in words.
    pub text: String,
}

/// Where damage was found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum FoundIn {
    /// A closed segment of the log.
    Segment,
    /// A snapshot.
    Snapshot {
        /// The file's name in its generation's directory.
        name: String,
    },
}

/// One snapshot, as it was read.
#[derive(Debug)]
pub struct SnapshotCheck {
    /// The file.
    pub name: SnapshotName,
    /// Bytes of slots that were read.
    pub bytes: u64,
    /// What came of it.
    pub read: Result<Finished, ReadError>,
}

/// Reads closed segments and snapshots of the generation in `dir`. `pace` is told of the bytes as they are
/// read; it may wait, and says whether to go on.
pub fn scrub<D: Disk>(
    disk: &D,
    dir: &str,
    pair: PairId,
    pace: &mut dyn FnMut(u64) -> bool,
) -> ScrubReport {
    let mut report = ScrubReport::default();
    match check_closed(disk, dir, pair, pace) {
        Ok(check) => {
            report.segments = check.segments;
            report.bytes = check.bytes;
            report.stopped = check.stopped;
            for error in check.errors {
                note_segment(&mut report, &error);
            }
        }
        Err(error) => note_segment(&mut report, &error),
    }
    if !report.stopped {
        match check_snapshots(disk, dir, pair, pace) {
            Ok(checks) => checks.into_iter().for_each(|check| note_snapshot(&mut report, check)),
            Err(error) => report.troubles.push(format!("list {dir}: {error}")),
        }
    }
    report
}

fn note_segment(report: &mut ScrubReport, error: &RecoverError) {
    match error {
        RecoverError::Damaged(damage) => {
            report.found.push(Finding { what: FoundIn::Segment, text: damage.to_string() });
        }
        RecoverError::Io { source, .. } => report.troubles.push(format!("{error}: {source}")),
        RecoverError::Missing { .. } | RecoverError::Visit { .. } => {
            report.troubles.push(error.to_string());
        }
    }
}

fn note_snapshot(report: &mut ScrubReport, check: SnapshotCheck) {
    let SnapshotCheck { name, bytes, read } = check;
    report.bytes += bytes;
    match read {
        Ok(_) => report.snapshots += 1,
        Err(ReadError::Visit { .. }) => report.stopped = true,
        // A newer one has taken its place meanwhile.
        Err(ReadError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        Err(error) if is_damage(&error) => {
            let (what, text) = (FoundIn::Snapshot { name: name.to_string() }, error.to_string());
            report.found.push(Finding { what, text });
        }
        Err(error) => report.troubles.push(error.to_string()),
    }
}

/// Reads every snapshot in `dir` to its last byte, newest first.
///
/// # Errors
/// The directory cannot be listed.
pub fn check_snapshots<D: Disk>(
    disk: &D,
    dir: &str,
    pair: PairId,
    pace: &mut dyn FnMut(u64) -> bool,
) -> io::Result<Vec<SnapshotCheck>> {
    let mut checks = Vec::new();
    for name in list(disk, dir)? {
        let (mut bytes, mut goes_on) = (0, true);
        let read = read(disk, dir, name, pair, &mut |chunk| {
            let count = u64::try_from(chunk.bytes.len()).unwrap_or(u64::MAX);
            bytes += count;
            goes_on = pace(count);
            if goes_on { Ok(()) } else { Err("called off".to_owned()) }
        });
        checks.push(SnapshotCheck { name, bytes, read });
        if !goes_on {
            break;
        }
    }
    Ok(checks)
}
