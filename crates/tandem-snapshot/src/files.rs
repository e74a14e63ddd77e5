//! The snapshot files of one directory: names, order, removal.

use std::fmt;
use std::io;

use tandem_disk::{Disk, EntryKind};
use tandem_types::Lsn;

/// The name while a snapshot is being written.
pub(crate) const TEMPORARY_NAME: &str = "snapshot.tmp";
const PREFIX: &str = "snapshot-";
const SUFFIX: &str = ".snap";

/// One snapshot's name: the stretch of the log that it needs.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SnapshotName {
    /// Replay the log from here.
    pub start: Lsn,
    /// Exact once the log was replayed up to here.
    pub end: Lsn,
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{:020}-{:020}{SUFFIX}", self.start.get(), self.end.get())
    }
}

impl SnapshotName {
    /// Reads a file name; `None` if it is not a snapshot's.
    pub fn parse(name: &str) -> Option<Self> {
        let (start, end) = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.split_once('-')?;
        let parsed =
            Self { start: Lsn::new(start.parse().ok()?), end: Lsn::new(end.parse().ok()?) };
        (parsed.to_string() == name).then_some(parsed)
    }
}

pub(crate) fn path(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

/// The snapshots of a directory, newest first.
///
/// # Errors
/// The directory cannot be read.
pub fn list<D: Disk>(disk: &D, dir: &str) -> io::Result<Vec<SnapshotName>> {
    let mut names: Vec<_> = disk
        .list(dir)?
        .iter()
        .filter(|entry| entry.kind == EntryKind::File)
        .filter_map(|entry| SnapshotName::parse(&entry.name))
        .collect();
    names.sort_by_key(|name| std::cmp::Reverse((name.start, name.end)));
    Ok(names)
}

/// Removes all but the `keep` newest; returns those that are left, newest first.
///
/// # Errors
/// The disk failed.
pub fn prune<D: Disk>(disk: &D, dir: &str, keep: usize) -> io::Result<Vec<SnapshotName>> {
    let mut names = list(disk, dir)?;
    let old = names.split_off(keep.min(names.len()));
    remove(disk, dir, &old)?;
    Ok(names)
}

/// Removes the snapshots that reflect records at or past `cut`: the log is about to be cut there.
///
/// # Errors
/// The disk failed: do not cut.
pub fn remove_beyond<D: Disk>(disk: &D, dir: &str, cut: Lsn) -> io::Result<()> {
    let names = list(disk, dir)?;
    let beyond: Vec<_> = names.into_iter().filter(|name| name.end > cut).collect();
    remove(disk, dir, &beyond)
}

fn remove<D: Disk>(disk: &D, dir: &str, names: &[SnapshotName]) -> io::Result<()> {
    for name in names {
        disk.remove(&path(dir, &name.to_string()))?;
    }
    if names.is_empty() { Ok(()) } else { disk.sync_dir(dir) }
}

/// Removes what a snapshot that was not finished left behind.
///
/// # Errors
/// The disk failed.
pub fn discard_temporary<D: Disk>(disk: &D, dir: &str) -> io::Result<()> {
    match disk.remove(&path(dir, TEMPORARY_NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
