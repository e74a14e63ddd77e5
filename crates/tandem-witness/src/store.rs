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
                    reason: format!("{} is damaged or of another version", path.display()),
                },
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => RecordState::Absent,
            Err(error) => {
                RecordState::Unreadable { reason: format!("read {}: {error}", path.display()) }
            }
        }
    }

    /// Replaces it, durably.
    pub(crate) fn write(&self, pair: &str, revision: Revision, record: &Record) -> io::Result<()> {
        let new = self.dir.join(format!("{pair}.new"));
        let mut file =
            File::options().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
        file.write_all(&encode(revision, record))?;
        file.sync_all()?;
        fs::rename(&new, self.file(pair))?;
        File::open(&self.dir)?.sync_all()
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
