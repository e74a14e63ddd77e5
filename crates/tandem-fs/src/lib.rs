//! The real disk behind [`tandem_disk::Disk`]: one data directory, locked, readable by its owner only.
//!
//! Files are created with mode 0600 and directories with 0700, and no symbolic link below the directory
//! is followed. `fdatasync` is what [`DiskFile::sync_data`] calls: it also writes the length.
//!
//! **Not here:** what the files mean.
#![forbid(unsafe_code)]

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, OFlags, fallocate, statvfs};
use tandem_disk::{Access, DirEntry, Disk, DiskFile, DiskSpace, EntryKind, split_name};

/// Name of the file that says which process uses the directory.
const LOCK_NAME: &str = "LOCK";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error(
        "the data directory {dir} is in use by another process: stop that one first, or give this node a directory of its own"
    )]
    InUse {
        /// The directory.
        dir: String,
    },
    /// It does not exist and may not be created, or is not a directory that can be used.
    #[error("{op} {path}: {source}")]
    Io {
        /// What was being done.
        op: &'static str,
        /// To what.
        path: String,
        /// How it failed.
        source: io::Error,
    },
}

/// A directory of the real file system.
#[derive(Clone, Debug)]
pub struct FsDisk {
    root: Arc<PathBuf>,
    /// Keeps the directory locked as long as any clone lives.
    _lock: Option<Arc<File>>,
}

/// A file of the real file system.
#[derive(Debug)]
pub struct FsFile(File);

impl FsDisk {
    /// Opens (and creates, with its parents) a data directory for this process alone.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(root: &Path) -> Result<Self, OpenError> {
        let fail = |op| {
            let path = root.display().to_string();
            move |source| OpenError::Io { op, path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)
            .map_err(fail("create the data directory"))?;
        let lock_path = root.join(LOCK_NAME);
        let lock = options(true)
            .create(true)
            .truncate(false)
            .open(&lock_path)
            .map_err(fail("open the lock file of"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse { dir: root.display().to_string() });
            }
            Err(TryLockError::Error(source)) => return Err(fail("lock")(source)),
        }
        Ok(Self { root: Arc::new(root.to_owned()), _lock: Some(Arc::new(lock)) })
    }

    /// Opens a directory that is only looked at: nothing is locked, nothing created.
    ///
    /// # Errors
    /// It is not a directory that can be read.
    pub fn open_to_read(root: &Path) -> Result<Self, OpenError> {
        let fail = |source| OpenError::Io {
            op: "read the data directory",
            path: root.display().to_string(),
            source,
        };
        std::fs::read_dir(root).map_err(fail)?;
        Ok(Self { root: Arc::new(root.to_owned()), _lock: None })
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn path(&self, name: &str) -> io::Result<PathBuf> {
        if name.is_empty() {
            return Ok(self.root.as_ref().clone());
        }
        let (dir, _) = split_name(name)?;
        // O_NOFOLLOW covers only the last part of a path.
        if !dir.is_empty() && !self.root.join(dir).symlink_metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(self.root.join(name))
    }
}

/// How files are opened: for their owner, never through a link.
fn options(write: bool) -> OpenOptions {
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.read(true).write(write).mode(0o600).custom_flags(no_follow);
    options
}

impl Disk for FsDisk {
    type File = FsFile;

    fn create(&self, name: &str) -> io::Result<FsFile> {
        options(true).create_new(true).open(self.path(name)?).map(FsFile)
    }

    fn open(&self, name: &str, access: Access) -> io::Result<FsFile> {
        let file = options(access == Access::Write).open(self.path(name)?)?;
        if file.metadata()?.is_file() {
            Ok(FsFile(file))
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "this is not a plain file"))
        }
    }

    fn list(&self, dir: &str) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(self.path(dir)?)? {
            let entry = entry?;
            // A name that is no text is none of ours.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let kind = entry.file_type()?;
            let kind = if kind.is_file() {
                EntryKind::File
            } else if kind.is_dir() {
                EntryKind::Directory
            } else {
                EntryKind::Other
            };
            entries.push(DirEntry { name, kind });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path(from)?, self.path(to)?)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path(name)?)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(self.path(dir)?)
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        std::fs::remove_dir(self.path(dir)?)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        File::open(self.path(dir)?)?.sync_all()
    }

    fn space(&self) -> io::Result<DiskSpace> {
        let space = statvfs(self.root.as_path())?;
        Ok(DiskSpace {
            free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
            total_bytes: space.f_blocks.saturating_mul(space.f_frsize),
        })
    }
}

impl DiskFile for FsFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(u64::try_from(done).unwrap_or(u64::MAX));
            match self.0.read_at(rest, at) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        match fallocate(&self.0, FallocateFlags::empty(), 0, len) {
            Ok(()) => Ok(()),
            Err(error) if error == rustix::io::Errno::OPNOTSUPP => self.fill(len),
            Err(error) => Err(error.into()),
        }
    }

    fn len(&self) -> io::Result<u64> {
        self.0.metadata().map(|metadata| metadata.len())
    }
}

impl FsFile {
    /// Reserves space on a file system that cannot do it by itself.
    fn fill(&self, len: u64) -> io::Result<()> {
        let zeros = vec![0; 1 << 20];
        let mut at = self.len()?;
        while at < len {
            let count = (len - at).min(1 << 20);
            let piece = usize::try_from(count).ok().and_then(|count| zeros.get(..count));
            self.write_at(at, piece.unwrap_or_default())?;
            at += count;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tandem_log::{
        Appender, LogOptions, NodeState, RecordKind, RecordMeta, RecoverOptions, Room,
        SegmentWriter, Tip, Verify, create_log, load_state, recover, save_state,
    };
    use tandem_types::{Epoch, EpochHistory, ForkId, Lsn, NodeId, PairId, Stamp};

    use super::*;

    #[test]
    fn a_directory_belongs_to_one_process_and_to_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("data");
        let disk = FsDisk::open(&root).unwrap();
        assert!(matches!(FsDisk::open(&root), Err(OpenError::InUse { .. })));
        assert_eq!(root.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        let file = disk.create("state").unwrap();
        file.write_at(3, b"abc").unwrap();
        assert_eq!(root.join("state").metadata().unwrap().permissions().mode() & 0o777, 0o600);
        drop(disk);
        FsDisk::open(&root).unwrap();
    }

    #[test]
    fn files_are_written_read_preallocated_and_renamed() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FsDisk::open(dir.path()).unwrap();
        disk.create_dir("gen-0").unwrap();
        let file = disk.create("gen-0/a").unwrap();
        assert!(disk.create("gen-0/a").is_err(), "an existing name");
        file.preallocate(4096).unwrap();
        file.write_at(4090, b"0123456789").unwrap();
        file.sync_data().unwrap();
        assert_eq!(file.len().unwrap(), 4100);
        let mut bytes = [1; 16];
        assert_eq!(file.read_at(4088, &mut bytes).unwrap(), 12);
        assert_eq!(&bytes[..12], b"\0\x000123456789");
        disk.rename("gen-0/a", "gen-0/b").unwrap();
        disk.sync_dir("gen-0").unwrap();
        let names: Vec<_> =
            disk.list("gen-0").unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names, ["b"]);
        disk.remove("gen-0/b").unwrap();
        disk.remove_dir("gen-0").unwrap();
        assert!(disk.space().unwrap().total_bytes > 0);
    }

    #[test]
    fn no_symbolic_link_is_followed_and_no_name_leaves_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FsDisk::open(dir.path()).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("link")).unwrap();
        assert!(disk.open("link", Access::Read).is_err());
        assert!(disk.open("../x", Access::Read).is_err());
        assert!(disk.open("/etc/hostname", Access::Read).is_err());
        std::os::unix::fs::symlink("/etc", dir.path().join("gen-1")).unwrap();
        assert!(disk.open("gen-1/hostname", Access::Read).is_err());
        assert!(disk.create("gen-1/new").is_err());
    }

    #[test]
    fn a_log_and_its_state_come_back_from_a_real_disk() {
        let dir = tempfile::tempdir().unwrap();
        let disk = FsDisk::open(dir.path()).unwrap();
        let pair = PairId::new(5);
        disk.create_dir("gen-0").unwrap();
        create_log(&disk, "gen-0", pair, Tip::EMPTY, &EpochHistory::new()).unwrap();
        let options = RecoverOptions { pair, from: Lsn::ZERO, verify: Verify::Everything };
        let meta =
            RecordMeta { epoch: Epoch::new(1), stamp: Stamp::new(1), seen: 0, origin: NodeId::A };
        let mut appender = Appender::new(Tip::EMPTY);
        appender.start_epoch(ForkId::new(1), meta);
        let mut records = 0;
        for round in 1..4u8 {
            let recovered = recover(&disk, "gen-0", &options, &mut |_| Ok(())).unwrap();
            let layout = LogOptions { segment_bytes: 64 << 10 };
            let mut writer = SegmentWriter::open(disk.clone(), &recovered, layout);
            assert_eq!(writer.prepare().unwrap(), Room::Ample);
            for size in (0..30).map(|step| step * 1000) {
                appender.append(RecordKind::Effects, &vec![round; size], meta).unwrap();
                let mut batch = appender.take_batch().unwrap();
                writer.write(&mut batch).unwrap();
                writer.sync().unwrap();
                records += 1;
            }
            let mut bytes = Vec::new();
            let (mut reader, end) = (writer.reader(), writer.tip().end);
            let read = reader.read(Lsn::new(records), end, 1 << 20, &mut bytes).unwrap();
            assert_eq!(read, appender.appended_end());
            // Every second time without saying goodbye.
            if round % 2 == 0 {
                writer.close().unwrap();
            }
            let state = NodeState { boots: u64::from(round), ..NodeState::default() };
            save_state(&disk, &state).unwrap();
            assert_eq!(load_state(&disk).unwrap(), Some(state));
        }
        let recovered = recover(&disk, "gen-0", &options, &mut |_| Ok(())).unwrap();
        assert_eq!(recovered.tip(), appender.tip());
    }
}
