//! Data in a directory that says nothing of whose it is: never taken for a new directory.

use tandem_disk::{Access, Disk, DiskFile as _, EntryKind, SECTOR_BYTES};

use super::BootError;
use crate::generation::parse_generation_name;

/// Refuses to begin anew over data: the file that says whose it is has gone, the log or a snapshot has not.
///
/// What a first start leaves that was cut off before it had its state file is an empty log: a header.
pub(super) fn refuse_unknown_data<D: Disk>(disk: &D) -> Result<(), BootError> {
    let entries = disk.list("").map_err(BootError::io("list", "the data directory"))?;
    let generations = entries.iter().filter(|entry| {
        entry.kind == EntryKind::Directory && parse_generation_name(&entry.name).is_some()
    });
    for generation in generations {
        let dir = &generation.name;
        for file in disk.list(dir).map_err(BootError::io("list", dir))? {
            let name = format!("{dir}/{}", file.name);
            let open = disk.open(&name, Access::Read).and_then(|file| file.len());
            let bytes = open.map_err(BootError::io("read", &name))?;
            if usize::try_from(bytes).is_ok_and(|bytes| bytes > SECTOR_BYTES) {
                return Err(BootError::NoState { file: name, bytes });
            }
        }
    }
    Ok(())
}
