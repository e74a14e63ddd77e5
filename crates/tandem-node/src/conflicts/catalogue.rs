//! What is in `conflicts/`: the entries, the decisions, and the room that is left.

use std::io;

use serde_json::json;
use tandem_disk::{Access, Disk, DiskFile, EntryKind};
use tandem_types::WallMillis;

use super::capture::TEMPORARY;
use super::file::read_entry;
use super::save_error::SaveError;
use super::{DECIDED, DIR, Decision, Entry, SUFFIX, is_id, path};

/// A decision is one short line.
const DECISION_BYTES_MAX: u64 = 4096;

/// Every file, oldest first.
///
/// # Errors
/// The disk failed.
pub fn catalogue<D: Disk>(disk: &D) -> io::Result<Vec<Entry>> {
    let files = match disk.list(DIR) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed?,
    };
    let mut entries = Vec::new();
    for file in files.iter().filter(|file| file.kind == EntryKind::File) {
        let Some(id) = file.name.strip_suffix(SUFFIX).filter(|id| is_id(id)) else { continue };
        let mut entry = read_entry(disk, id, SUFFIX)?;
        entry.decision = read_decision(disk, id)?;
        entries.push(entry);
    }
    Ok(entries)
}

/// Removes what a crash left half written: nothing was cut on the strength of it.
pub(crate) fn discard_temporary<D: Disk>(disk: &D) -> io::Result<()> {
    let files = match disk.list(DIR) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed?,
    };
    for file in files.iter().filter(|file| file.name.ends_with(TEMPORARY)) {
        disk.remove(&format!("{DIR}/{}", file.name))?;
    }
    Ok(())
}

fn read_decision<D: Disk>(disk: &D, id: &str) -> io::Result<Option<Decision>> {
    let file = match disk.open(&path(id, DECIDED), Access::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let line: serde_json::Value =
        serde_json::from_slice(&file.read_all(DECISION_BYTES_MAX)?).unwrap_or_default();
    Ok(line.get("decision").and_then(serde_json::Value::as_str).and_then(Decision::from_word))
}

/// Makes a decision durable, whole or not at all.
///
/// # Errors
/// The disk failed; the file is still undecided.
pub(super) fn write_decision<D: Disk>(
    disk: &D,
    id: &str,
    decision: Decision,
    (note, now): (&str, WallMillis),
) -> io::Result<()> {
    let line = json!({ "decision": decision.word(), "by": note, "at_ms": now.get() });
    let (name, temporary) = (path(id, DECIDED), path(id, ".decision.tmp"));
    match disk.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = disk.create(&temporary)?;
    file.write_at(0, format!("{line}\n").as_bytes())?;
    file.sync_data()?;
    disk.rename(&temporary, &name)?;
    disk.sync_dir(DIR)
}

pub(super) fn make_dir<D: Disk>(disk: &D) -> Result<(), SaveError> {
    match disk.create_dir(DIR) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(SaveError::io("create", DIR)(error)),
        Ok(()) => disk.sync_dir("").map_err(SaveError::io("sync", "the data directory")),
    }
}

/// Bytes of all files.
pub(super) fn used_bytes<D: Disk>(disk: &D) -> Result<u64, SaveError> {
    let entries = catalogue(disk).map_err(SaveError::io("list", DIR))?;
    Ok(entries.iter().map(|entry| entry.bytes).sum())
}

/// Removes decided files, oldest first, until `wanted` bytes more fit under the bound, or half of it is
/// free when nobody knows how much will come. Undecided ones stay, whatever happens.
///
/// Returns what was removed.
pub(super) fn make_room<D: Disk>(
    disk: &D,
    wanted: u64,
    bytes_max: u64,
) -> Result<Vec<String>, SaveError> {
    let entries = catalogue(disk).map_err(SaveError::io("list", DIR))?;
    let mut used: u64 = entries.iter().map(|entry| entry.bytes).sum();
    let wanted = if wanted == 0 { bytes_max / 2 } else { wanted };
    let mut removed = Vec::new();
    for entry in entries.iter().filter(|entry| entry.decision.is_some()) {
        if used.saturating_add(wanted) <= bytes_max {
            break;
        }
        // The file first: a decision without a file is nothing, a file without it would be open again.
        for suffix in [SUFFIX, DECIDED] {
            let name = path(&entry.id, suffix);
            disk.remove(&name).map_err(SaveError::io("remove", &name))?;
        }
        used -= entry.bytes;
        removed.push(entry.id.clone());
    }
    if !removed.is_empty() {
        disk.sync_dir(DIR).map_err(SaveError::io("sync", DIR))?;
    }
    Ok(removed)
}
