//! A disk in memory that behaves as badly as a real one may, and the same way for the same seed.
//!
//! Two views of everything are kept: what a reader sees (the page cache and the directory cache) and
//! what the medium holds. Between them lie *pending units*: every 512-byte sector of every unsynced
//! write, every unsynced change of a length, every unsynced create, rename or remove. A crash keeps any
//! subset of the pending units ([`SimDisk::crash`]); a sync moves them to the medium.
//!
//! Faults are planned by the number of the operation that they hit ([`SimDisk::plan`]), so a test can
//! first count the operations of a workload and then break each one in turn.

mod directory;
mod fault;
mod inode;
mod world;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::{Access, DirEntry, Disk, DiskFile, DiskSpace, split_name};

pub use fault::{Fault, Keep};
use world::World;

/// A handle to a simulated disk; clones share the disk, [`SimDisk::fork`] copies it.
#[derive(Clone, Debug)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

impl SimDisk {
    /// An empty disk without a limit of space. `seed` decides what [`Keep::Random`] keeps.
    pub fn new(seed: u64) -> Self {
        Self { world: Arc::new(Mutex::new(World::new(seed))) }
    }

    /// Makes what [`Keep::Random`] keeps depend on `seed` from here on.
    pub fn reseed(&self, seed: u64) {
        self.lock().reseed(seed);
    }

    /// Limits the space; files take whole blocks of 4096 bytes.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock().capacity = bytes;
    }

    /// Bytes taken by files that have a name.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes()
    }

    /// Operations done so far: every call of a trait method counts one.
    pub fn operations(&self) -> u64 {
        self.lock().operations
    }

    /// Makes operation number `operation` (counted from 0) fail as `fault` says.
    pub fn plan(&self, operation: u64, fault: Fault) {
        self.lock().faults.insert(operation, fault);
    }

    /// Cuts the power when `operations` operations have been done: every later one fails, until
    /// [`Self::crash`]. `None` takes the plan back.
    pub fn power_off_after(&self, operations: Option<u64>) {
        self.lock().power_off_after = operations;
    }

    /// How many pending units a crash now would decide about.
    pub fn pending_units(&self) -> usize {
        self.lock().pending_units()
    }

    /// The power is cut and comes back: of the pending units those that `keep` names survive, handles
    /// opened before are dead, planned faults are forgotten.
    pub fn crash(&self, keep: Keep) {
        self.lock().crash(keep);
    }

    /// The process dies and starts again while the machine stays up: handles opened before are dead,
    /// the page cache stays, pending units stay pending, and so do plans.
    pub fn restart(&self) {
        self.lock().restart();
    }

    /// An independent copy of the disk in its present state, pending units included.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { world: Arc::new(Mutex::new(self.lock().clone())) }
    }

    /// Flips bits of one byte, in the page cache and on the medium (bit rot).
    ///
    /// # Errors
    /// No such file, or it ends before `offset`.
    pub fn flip(&self, name: &str, offset: u64, mask: u8) -> io::Result<()> {
        self.lock().inode_mut(name)?.flip(offset, mask)
    }

    /// Replaces the content of a file, made if need be, as if it had always been on the medium.
    ///
    /// # Errors
    /// A bad name, or the directory does not exist.
    pub fn put(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.lock().put(name, bytes)
    }

    /// The content of a file as a reader sees it, without counting an operation.
    ///
    /// # Errors
    /// No such file.
    pub fn contents(&self, name: &str) -> io::Result<Vec<u8>> {
        Ok(self.lock().inode_mut(name)?.cache.clone())
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        // A panic while the lock is held is a failed test already; what is left is still consistent.
        self.world.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Counts one operation and says how it fails, if it does.
    fn begin(&self) -> io::Result<MutexGuard<'_, World>> {
        let mut world = self.lock();
        world.begin()?;
        Ok(world)
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn create(&self, name: &str) -> io::Result<SimFile> {
        split_name(name)?;
        let mut world = self.begin()?;
        let inode = world.create(name)?;
        let boot = world.boot;
        drop(world);
        Ok(SimFile { disk: self.clone(), inode, boot, access: Access::Write })
    }

    fn open(&self, name: &str, access: Access) -> io::Result<SimFile> {
        split_name(name)?;
        let world = self.begin()?;
        let inode = world.find(name)?;
        let boot = world.boot;
        drop(world);
        Ok(SimFile { disk: self.clone(), inode, boot, access })
    }

    fn list(&self, dir: &str) -> io::Result<Vec<DirEntry>> {
        self.begin()?.list(dir)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let same_dir = split_name(from)?.0 == split_name(to)?.0;
        let mut world = self.begin()?;
        if !same_dir {
            return Err(io::ErrorKind::CrossesDevices.into());
        }
        world.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        split_name(name)?;
        self.begin()?.remove(name)
    }

    fn create_dir(&self, dir: &str) -> io::Result<()> {
        split_name(dir)?;
        self.begin()?.create_dir(dir)
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        split_name(dir)?;
        self.begin()?.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.begin()?.sync_dir(dir)
    }

    fn space(&self) -> io::Result<DiskSpace> {
        let world = self.begin()?;
        let total_bytes = world.capacity.unwrap_or(u64::MAX);
        Ok(DiskSpace { free_bytes: total_bytes.saturating_sub(world.used_bytes()), total_bytes })
    }
}

/// An open file of a [`SimDisk`].
#[derive(Clone, Debug)]
pub struct SimFile {
    disk: SimDisk,
    inode: u64,
    boot: u64,
    access: Access,
}

impl SimFile {
    fn begin(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.disk.begin()?;
        if world.boot == self.boot { Ok(world) } else { Err(fault::dead_handle()) }
    }

    fn begin_write(&self) -> io::Result<MutexGuard<'_, World>> {
        let world = self.begin()?;
        match self.access {
            Access::Write => Ok(world),
            Access::Read => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut world = match self.begin_write() {
            Ok(world) => world,
            Err(error) => {
                // A short write leaves its first part in the page cache.
                if let Some(part) = fault::short_write(&error) {
                    let mut world = self.disk.lock();
                    world.write(self.inode, offset, bytes.get(..part).unwrap_or(bytes))?;
                }
                return Err(error);
            }
        };
        world.write(self.inode, offset, bytes)
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        self.begin()?.read(self.inode, offset, bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut world = match self.begin_write() {
            Ok(world) => world,
            Err(error) => {
                if fault::is_lost_sync(&error) {
                    self.disk.lock().lose_pending(self.inode);
                }
                return Err(error);
            }
        };
        world.sync(self.inode)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.begin_write()?.set_len(self.inode, len)
    }

    fn preallocate(&self, len: u64) -> io::Result<()> {
        self.begin_write()?.preallocate(self.inode, len)
    }

    fn len(&self) -> io::Result<u64> {
        self.begin()?.len(self.inode)
    }
}

#[cfg(test)]
mod tests;
