//! One file per pair, replaced atomically and durable before anybody hears of it.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use tandem_switch::{Record, RecordState, Revision};

use crate::origin::{ORIGIN_BYTES, Origin};
use crate::wire;

const MAGIC: &[u8; 8] = b"TNDMWIT2";
/// The first: it says nothing of where it was written. Still read.
const MAGIC_1: &[u8; 8] = b"TNDMWIT1";
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

    /// What is kept for a pair. A name has letters, digits, `-` and `_` only: it was checked. A file that is not
    /// known to be the one that was written begins another life of the record: it may be older than what the
    /// nodes have seen of this one.
    pub(crate) fn read(&self, pair: &str) -> RecordState {
        let path = self.file(pair);
        match self.look(&path) {
            Ok((bytes, origin)) => match decode(&bytes) {
                Some((kept, written)) if written == Some(origin.encode()) => {
                    let (revision, record) = kept;
                    RecordState::Present { revision, record }
                }
                Some(((revision, record), _)) => self.begin_life(pair, revision, record),
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

    fn look(&self, path: &Path) -> io::Result<(Vec<u8>, Origin)> {
        let mut file = File::open(path)?;
        let mut bytes = Vec::new();
        (&mut file).take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok((bytes, Origin::of(&file, &File::open(&self.dir)?)?))
    }

    /// What was copied says what it said, and no node takes it for what it saw last.
    fn begin_life(&self, pair: &str, copied: Revision, record: Record) -> RecordState {
        let path = self.file(pair).display().to_string();
        let begun = new_life().map_err(WriteError::Unknown).and_then(|life| {
            let revision = Revision { life, ..copied };
            self.write(pair, revision, &record).map(|()| revision)
        });
        match begun {
            Ok(revision) => {
                tracing::warn!(
                    "the file {path} is a copy (a backup that was brought back, a new disk) or of an earlier \
                     version: the nodes are told that it may be older than what they have seen"
                );
                RecordState::Present { revision, record }
            }
            Err(error) => RecordState::Unreadable {
                reason: format!(
                    "the witness' file {path} is a copy or of an earlier version, and to use it the witness \
                     must write it anew, which fails: {error}"
                ),
            },
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
        if let Err(source) = self.replace(pair, &new, revision, record) {
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
    fn replace(
        &self,
        pair: &str,
        new: &Path,
        revision: Revision,
        record: &Record,
    ) -> io::Result<()> {
        let mut file =
            File::options().create(true).truncate(true).write(true).mode(0o600).open(new)?;
        let origin = Origin::of(&file, &File::open(&self.dir)?)?;
        file.write_all(&encode(revision, record, origin))?;
        file.sync_all()?;
        fs::rename(new, self.file(pair))
    }

    fn file(&self, pair: &str) -> PathBuf {
        self.dir.join(format!("{pair}.record"))
    }
}

/// `| "TNDMWIT2" | crc32c u32 of the rest | origin | revision, record |`
fn encode(revision: Revision, record: &Record, origin: Origin) -> Vec<u8> {
    let body = [&origin.encode()[..], &wire::encode_kept(revision, record)].concat();
    [&MAGIC[..], &crc32c::crc32c(&body).to_le_bytes(), &body].concat()
}

type Kept = (Revision, Record);

/// What is kept, and where it was written, if it says so.
fn decode(bytes: &[u8]) -> Option<(Kept, Option<[u8; ORIGIN_BYTES]>)> {
    let (sum, body) = bytes.split_at_checked(MAGIC.len())?.1.split_first_chunk()?;
    (u32::from_le_bytes(*sum) == crc32c::crc32c(body)).then_some(())?;
    if bytes.starts_with(MAGIC_1) {
        return Some((wire::decode_kept(body).ok()?, None));
    }
    let (origin, kept) = body.split_first_chunk()?;
    let kept = wire::decode_kept(kept).ok()?;
    bytes.starts_with(MAGIC).then_some((kept, Some(*origin)))
}

/// Names one life of a record.
pub(crate) fn new_life() -> io::Result<u64> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from_le_bytes(bytes))
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

    fn life(store: &Store) -> u64 {
        let RecordState::Present { revision, record: found } = store.read("main") else {
            unreachable!("it is kept")
        };
        assert_eq!((revision.version, found), (4, record(5, NodeId::B)), "only the life changes");
        revision.life
    }

    #[test]
    fn a_copy_is_of_another_life_and_the_original_of_the_same_however_often_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("w");
        let backup = folder.path().join("backup");
        let copy = |from: &Path, to: &Path| {
            let done = std::process::Command::new("cp").arg("-aT").args([from, to]).status();
            assert!(done.unwrap().success());
        };
        let store = Store::open(&dir).unwrap();
        store.write("main", Revision { life: 3, version: 4 }, &record(5, NodeId::B)).unwrap();
        assert_eq!(life(&store), 3);
        copy(&dir, &backup);
        store.write("main", Revision { life: 3, version: 5 }, &record(6, NodeId::A)).unwrap();
        drop(store);

        // In the place of what is there.
        copy(&backup, &dir);
        let store = Store::open(&dir).unwrap();
        let second = life(&store);
        assert_ne!(second, 3);
        assert_eq!(life(&store), second, "one copy, one life");
        drop(store);
        let moved = folder.path().join("moved");
        fs::rename(&dir, &moved).unwrap();
        assert_eq!(life(&Store::open(&moved).unwrap()), second, "it was not copied");

        // The whole directory, with files that are the very same ones.
        let linked = std::process::Command::new("cp").arg("-alT").args([&moved, &dir]).status();
        assert!(linked.unwrap().success());
        let third = life(&Store::open(&dir).unwrap());
        assert!(third != second && third != 3);
        // Kept beside it with its own name, and not copied.
        assert_eq!(life(&Store::open(&moved).unwrap()), second);
    }

    #[test]
    fn a_file_of_the_first_version_is_read_and_begins_another_life() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let body = wire::encode_kept(Revision { life: 3, version: 4 }, &record(5, NodeId::B));
        let sum = crc32c::crc32c(&body).to_le_bytes();
        fs::write(store.file("main"), [&MAGIC_1[..], &sum, &body].concat()).unwrap();
        let begun = life(&store);
        assert_ne!(begun, 3, "whether it is the one that was written, it does not say");
        assert_eq!(life(&store), begun);
        assert!(fs::read(store.file("main")).unwrap().starts_with(MAGIC));
    }

    #[test]
    fn a_copy_that_cannot_be_written_anew_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.write("main", Revision { life: 3, version: 4 }, &record(5, NodeId::B)).unwrap();
        let bytes = fs::read(store.file("main")).unwrap();
        fs::remove_file(store.file("main")).unwrap();
        fs::write(store.file("main"), bytes).unwrap();
        std::os::unix::fs::symlink("/dev/full", store.dir.join("main.new")).unwrap();
        let RecordState::Unreadable { reason } = store.read("main") else {
            unreachable!("there is no room for it")
        };
        assert!(reason.contains("disk is full"), "{reason}");
        assert_ne!(life(&store), 3, "the room is there again");
    }
}
