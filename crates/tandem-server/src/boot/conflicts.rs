//! Records that this node has and the pair does not: kept in `conflicts/` before they are cut.
//!
//! A file holds the records as they stood in the log, one after the other; each has its own checksum,
//! LSN and epoch. Its name says from where on they diverged.

use std::io;

use tandem_disk::{Disk, DiskFile};
use tandem_log::{LogReader, ReadError};
use tandem_types::Lsn;

/// The directory.
const DIR: &str = "conflicts";
/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;

/// Why records were not saved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConflictError {
    /// The disk failed, or is full.
    #[error("{op} {name}")]
    Disk {
        /// What was being done.
        op: &'static str,
        /// To what.
        name: String,
        /// How it failed.
        source: io::Error,
    },
    /// The log cannot be read.
    #[error("read the records to keep")]
    Read(#[from] ReadError),
}

/// Saves the records from `from` up to `end`, durably; returns the file's name, `None` if there are none.
pub(crate) fn save<D: Disk>(
    disk: &D,
    reader: &mut LogReader<D>,
    from: Lsn,
    end: Lsn,
) -> Result<Option<String>, ConflictError> {
    if from >= end {
        return Ok(None);
    }
    let failed = |op, name: &str| {
        let name = name.to_owned();
        move |source| ConflictError::Disk { op, name, source }
    };
    match disk.create_dir(DIR) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(failed("create", DIR))?,
    }
    let (name, file) = create(disk, from).map_err(failed("create a file in", DIR))?;
    let mut bytes = Vec::new();
    let (mut next, mut offset) = (from, 0);
    while next < end {
        bytes.clear();
        next = reader.read(next, end, COPY_BYTES, &mut bytes)?;
        if bytes.is_empty() {
            break; // the log ends earlier than it said
        }
        file.write_at(offset, &bytes).map_err(failed("write", &name))?;
        offset += bytes.len() as u64;
    }
    file.sync_data().map_err(failed("sync", &name))?;
    disk.sync_dir(DIR).map_err(failed("sync", DIR))?;
    disk.sync_dir("").map_err(failed("sync", "the data directory"))?;
    Ok(Some(name))
}

/// The first free name for records from `from` on.
fn create<D: Disk>(disk: &D, from: Lsn) -> io::Result<(String, D::File)> {
    for number in 0_u32.. {
        let name = format!("{DIR}/{:020}-{number}.records", from.get());
        match disk.create(&name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created.map(|file| (name, file)),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}
