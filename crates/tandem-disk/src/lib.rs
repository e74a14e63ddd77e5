//! What the log and the snapshots need of a disk, and a simulated disk that crashes.
//!
//! A [`Disk`] is one directory with at most one level of subdirectories. Names are `"state"` or
//! `"gen-1/00000000000000000000.log"`; the empty name is the directory itself where a directory is meant.
//!
//! What a caller may rely on, and nothing more (tried on ext4 and xfs, see `docs/formats/log.md`):
//!
//! | after | survives a power cut |
//! |---|---|
//! | [`DiskFile::write_at`] returned | nothing: any subset of its 512-byte sectors may |
//! | [`DiskFile::sync_data`] returned `Ok` | everything written to the file before, and its length |
//! | [`DiskFile::sync_data`] returned an error | nothing is known, ever: never sync that file again |
//! | create, rename, remove returned | either of the two states |
//! | [`Disk::sync_dir`] returned `Ok` | every create, rename and remove in that directory before |
//!
//! **Not here:** the real disk (`tandem-fs`), and any idea of what the bytes mean.
#![forbid(unsafe_code)]

mod name;
mod sim_disk;

use std::io;

pub use name::{NameError, split_name};
pub use sim_disk::{Fault, Keep, SimDisk, SimFile};

/// The unit that a disk writes whole or not at all. The log aligns to it.
pub const SECTOR_BYTES: usize = 512;

/// How a file is opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Access {
    /// Only for reading.
    Read,
    /// For reading and writing.
    Write,
}

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum EntryKind {
    /// A plain file.
    File,
    /// A subdirectory.
    Directory,
    /// Anything else (a symbolic link, a socket): never opened, never removed.
    Other,
}

/// One entry of a directory.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DirEntry {
    /// Its name within the directory.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// Space of the file system that holds the directory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DiskSpace {
    /// Bytes that can still be written.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
}

/// A directory on a disk. Clones are handles to the same directory, for use by several threads.
pub trait Disk: Clone {
    /// An open file.
    type File: DiskFile;

    /// Creates an empty file for reading and writing; an existing name is an error.
    ///
    /// The name survives a power cut only after [`Self::sync_dir`].
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens an existing file; never follows a symbolic link.
    fn open(&self, name: &str, access: Access) -> io::Result<Self::File>;

    /// What the directory holds, sorted by name. `dir` is `""` or the name of a subdirectory.
    fn list(&self, dir: &str) -> io::Result<Vec<DirEntry>>;

    /// Gives a file another name in the same directory, replacing what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Creates a subdirectory; an existing name is an error.
    fn create_dir(&self, dir: &str) -> io::Result<()>;

    /// Removes an empty subdirectory.
    fn remove_dir(&self, dir: &str) -> io::Result<()>;

    /// Makes every create, rename and remove in the directory survive a power cut.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;

    /// How much space is left.
    fn space(&self) -> io::Result<DiskSpace>;
}

/// An open file. Offsets are explicit, so that one handle can be shared.
#[expect(
    clippy::len_without_is_empty,
    reason = "the length of a file costs a system call and may fail"
)]
pub trait DiskFile {
    /// Writes all of `bytes` at `offset`. After an error any part of them may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Reads into `bytes` from `offset`; fewer than asked for only at the end of the file.
    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize>;

    /// Makes the content and the length survive a power cut.
    ///
    /// After an error the file must never be synced again: the kernel reports a failed write-back once,
    /// and then calls the same pages clean.
    fn sync_data(&self) -> io::Result<()>;

    /// Cuts the file, or extends it with zeros that take no space.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Reserves space for the first `len` bytes, so that writing them cannot run out of space, and
    /// extends the file with zeros up to `len` if it is shorter.
    ///
    /// After an error ([`io::ErrorKind::StorageFull`]) some space may have been taken: remove the file.
    fn preallocate(&self, len: u64) -> io::Result<()>;

    /// The length now.
    fn len(&self) -> io::Result<u64>;

    /// Fills `bytes` from `offset`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before.
    fn read_exact_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        if self.read_at(offset, bytes)? == bytes.len() {
            Ok(())
        } else {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "file ends too early"))
        }
    }

    /// The whole file, if it is no longer than `len_max`.
    ///
    /// # Errors
    /// [`io::ErrorKind::FileTooLarge`] if it is longer: nothing is allocated for it.
    fn read_all(&self, len_max: u64) -> io::Result<Vec<u8>> {
        let len = self.len()?;
        if len > len_max {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "file is too long"));
        }
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut bytes = vec![0; len];
        self.read_exact_at(0, &mut bytes)?;
        Ok(bytes)
    }
}
