//! Whether a file is the one that was written, or a copy that a backup brought back.
//!
//! A copy has every byte of the original, and neither its inode number nor its time of birth. So both are
//! kept in the file itself, and those of its directory with them. **Not seen this way:** a whole disk or
//! machine that goes back to a snapshot.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::time::UNIX_EPOCH;

pub(crate) const ORIGIN_BYTES: usize = 32;

/// What a file and its directory are to the file system.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Origin {
    file: Identity,
    dir: Identity,
}

/// No device number: some of them change when the machine starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Identity {
    inode: u64,
    /// In nanoseconds; 0: the file system does not tell.
    born_ns: u64,
}

impl Origin {
    pub(crate) fn of(file: &File, dir: &File) -> io::Result<Self> {
        let file = Identity::of(&file.metadata()?);
        Ok(Self { file, dir: Identity::of(&dir.metadata()?) })
    }

    pub(crate) fn encode(self) -> [u8; ORIGIN_BYTES] {
        let parts = [self.file.inode, self.file.born_ns, self.dir.inode, self.dir.born_ns];
        let mut bytes = [0; ORIGIN_BYTES];
        for (field, part) in bytes.chunks_exact_mut(8).zip(parts) {
            field.copy_from_slice(&part.to_le_bytes());
        }
        bytes
    }
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let born_ns = born.and_then(|it| u64::try_from(it.as_nanos()).ok()).unwrap_or(0);
        Self { inode: metadata.ino(), born_ns }
    }
}
