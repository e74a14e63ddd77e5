//! One file per pair, replaced atomically and durable before anybody hears of it.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tandem_switch::{Record, RecordState, Revision};

use crate::wire;

const MAGIC: &[u8; 8] = b"TNDMWIT1";
/// A record has some hundred bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Why a record was not replaced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// The disk is full: what was kept before still is, and nothing else.
    #[error("{source}: its disk is full")]
    NoSpace {
        /// What the system said.
        source: io::Error,
    },
    /// Which of the two is on disk is not known: a process that starts anew reads it.
    #[error("{0}")]
    Unknown(io::Error),
}

/// The witness' directory, locked by this process.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    _lock: File,
}

/// The directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("the witness' directory {dir} is in use by another process; stop that one first")]
    InUse {
        /// The directory.
        dir: PathBuf,
    },
    /// The system refuses.
    #[error("{op} {path}: {source}")]
    Io {
        /// What was being done.
        op: &'static str,
        /// To what.
        path: PathBuf,
        /// How it failed.
        source: io::Error,
    },
}

impl StoreError {
    pub(crate) fn list(dir: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = dir.to_owned();
        move |source| Self::Io { op: "list", path, source }
    }
}

impl Store {
    /// Makes and locks the directory.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let failed = |op: &'static str| {
            let path = dir.to_owned();
            move |source| StoreError::Io { op, path, source }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("make"))?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(dir.join("LOCK"))
            .map_err(failed("lock"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StoreError::InUse { dir: dir.to_owned() }),
            Err(error) => Err(failed("lock")(error.into())),
        }
    }

    /// What is kept for a pair. A name has letters, digits, `-` and `_` only: it was checked.
    pub(crate) fn read(&self, pair: &str) -> RecordState {
        let path = self.file(pair);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)) {
            Ok(_) => match decode(&bytes) {
                Some((revision, record)) => RecordState::Present { revision, record },
                None => RecordState::Unreadable {
                    reason: format!(
                        "the witness' file {} is damaged or of another version: move it away, and the \
                         nodes write the record anew once both are here",
                        path.display()
                    ),
                },
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => RecordState::Absent,
            Err(error) => {
                let path = path.display();
                RecordState::Unreadable {
                    reason: format!("the witness cannot read its file {path}: {error}"),
                }
            }
        }
    }

    /// What is wrong with the records of this directory, for people.
    pub(crate) fn unreadable(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let Some(pair) = name.to_str().and_then(|name| name.strip_suffix(".record")) else {
                continue;
            };
            if let RecordState::Unreadable { reason } = self.read(pair) {
                found.push(reason);
            }
        }
        Ok(found)
    }

    /// Replaces it, durably.
    pub(crate) fn write(
        &self,
        pair: &str,
        revision: Revision,
        record: &Record,
    ) -> Result<(), WriteError> {
        let new = self.dir.join(format!("{pair}.new"));
        if let Err(source) = self.replace(pair, &new, &encode(revision, record)) {
            if !matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
                return Err(WriteError::Unknown(source));
            }
            // Nothing was replaced, and the next try needs the little room that this one took.
            let _removed = fs::remove_file(&new);
            return Err(WriteError::NoSpace { source });
        }
        // From here on the new record may be found after a crash, or not: no error is harmless.
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(WriteError::Unknown)
    }

    /// Until it has been renamed, the new file means nothing.
    fn replace(&self, pair: &str, new: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file =
            File::options().create(true).truncate(true).write(true).mode(0o600).open(new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(new, self.file(pair))
    }

    fn file(&self, pair: &str) -> PathBuf {
        self.dir.join(format!("{pair}.record"))
    }
}

/// `| "TNDMWIT1" | crc32c u32 of the rest | revision, record |`
fn encode(revision: Revision, record: &Record) -> Vec<u8> {
    let body = wire::encode_kept(revision, record);
    [&MAGIC[..], &crc32c::crc32c(&body).to_le_bytes(), &body].concat()
}

fn decode(bytes: &[u8]) -> Option<(Revision, Record)> {
    let (sum, body) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    (u32::from_le_bytes(*sum) == crc32c::crc32c(body)).then_some(())?;
    wire::decode_kept(body).ok()
}

#[cfg(test)]
mod tests {
    use tandem_types::NodeId;

    use super::*;
    use crate::wire::tests::record;

    #[test]
    fn a_record_is_read_as_written_and_every_flipped_bit_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert!(matches!(Store::open(folder.path()), Err(StoreError::InUse { .. })));
        assert_eq!(store.read("main"), RecordState::Absent);
        let revision = Revision { life: 3, version: 4 };
        store.write("main", revision, &record(5, NodeId::B)).unwrap();
        let want = RecordState::Present { revision, record: record(5, NodeId::B) };
        assert_eq!(store.read("main"), want);
        let good = fs::read(store.file("main")).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(store.file("main"), bad).unwrap();
            assert!(matches!(store.read("main"), RecordState::Unreadable { .. }), "{at}");
        }
    }
}
