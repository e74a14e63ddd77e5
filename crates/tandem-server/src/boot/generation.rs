//! Generations: `gen-<n>/` holds one log and its snapshots.
//!
//! A full copy is written into a new generation while the old one stays whole; the state file says which
//! one counts. What is left of others is removed, or set aside for people when it was damaged.

use std::io;

use tandem_disk::{Disk, EntryKind};
use tandem_log::{
    LogOptions, RecoverError, RecoverOptions, SegmentWriter, Tip, Verify, create_log, recover,
};
use tandem_node::{generation_name, is_kept, keep_generation, remove_note};
use tandem_types::{EpochHistory, PairId};

/// Why a generation could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GenerationError {
    /// The disk failed.
    #[error("{op} {name}")]
    Disk {
        /// What was being done.
        op: &'static str,
        /// To what.
        name: String,
        /// How it failed.
        source: io::Error,
    },
    /// The log of a new generation cannot be begun.
    #[error("begin the log of a new generation")]
    Log(#[from] RecoverError),
}

impl GenerationError {
    fn disk(op: &'static str, name: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Disk { op, name: name.to_owned(), source }
    }
}

/// Makes the empty directory of generation `number`, durably; returns its name. What an earlier attempt
/// left there is removed.
pub(crate) fn create<D: Disk>(disk: &D, number: u64) -> Result<String, GenerationError> {
    let dir = generation_name(number);
    match disk.create_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => empty(disk, &dir)?,
        made => made.map_err(GenerationError::disk("create", &dir))?,
    }
    disk.sync_dir("").map_err(GenerationError::disk("sync", "the data directory"))?;
    Ok(dir)
}

/// Where and for whom a log begins.
#[derive(Clone, Copy)]
pub(crate) struct Beginning<'a> {
    /// The pair its records belong to.
    pub pair: PairId,
    /// The end of what came before it.
    pub tip: Tip,
    /// The reigns before it.
    pub history: &'a EpochHistory,
}

/// Begins a log without records in the empty directory `dir`.
pub(crate) fn begin_log<D: Disk>(
    disk: &D,
    dir: &str,
    begin: Beginning<'_>,
    options: LogOptions,
) -> Result<SegmentWriter<D>, GenerationError> {
    let Beginning { pair, tip, history } = begin;
    create_log(disk, dir, pair, tip, history)?;
    let wanted = RecoverOptions { pair, from: tip.end, verify: Verify::Everything };
    let recovered = recover(disk, dir, &wanted, &mut |_| Ok(()))?;
    Ok(SegmentWriter::open(disk.clone(), &recovered, options))
}

/// Marks a generation that is for people once it is replaced.
pub(crate) fn keep<D: Disk>(disk: &D, number: u64) -> Result<(), GenerationError> {
    let name = generation_name(number);
    keep_generation(disk, number).map_err(GenerationError::disk("mark", &name))
}

/// Removes every generation but `keep`; with `set_aside` they get a name that is never looked at again.
pub(crate) fn remove_others<D: Disk>(
    disk: &D,
    keep: u64,
    set_aside: bool,
) -> Result<(), GenerationError> {
    let keep = generation_name(keep);
    let entries = disk.list("").map_err(GenerationError::disk("list", "the data directory"))?;
    for entry in entries {
        let is_generation = entry.kind == EntryKind::Directory && entry.name.starts_with("gen-");
        if !is_generation || entry.name == keep {
            continue;
        }
        let files = disk.list(&entry.name).map_err(GenerationError::disk("list", &entry.name))?;
        // A single damaged file that is kept for people keeps the others with it.
        if set_aside || files.iter().any(|file| is_kept(&file.name)) {
            let aside = entry.name.replacen("gen-", "damaged-", 1);
            // A name that is taken from an earlier time keeps its files; so do these.
            if let Err(error) = disk.rename(&entry.name, &aside) {
                tracing::warn!("set {} aside: {error}", entry.name);
            }
        } else {
            empty(disk, &entry.name)?;
            let removed = disk.remove_dir(&entry.name);
            removed.map_err(GenerationError::disk("remove", &entry.name))?;
        }
    }
    disk.sync_dir("").map_err(GenerationError::disk("sync", "the data directory"))?;
    // The copy that was waited for is whole.
    remove_note(disk).map_err(GenerationError::disk("remove", "the repair note"))
}

fn empty<D: Disk>(disk: &D, dir: &str) -> Result<(), GenerationError> {
    for entry in disk.list(dir).map_err(GenerationError::disk("list", dir))? {
        let name = format!("{dir}/{}", entry.name);
        disk.remove(&name).map_err(GenerationError::disk("remove", &name))?;
    }
    disk.sync_dir(dir).map_err(GenerationError::disk("sync", dir))
}
