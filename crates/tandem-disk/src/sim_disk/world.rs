//! Everything a simulated disk holds, behind the lock.

use std::collections::BTreeMap;
use std::io;

use super::directory::{Change, Directory, Target};
use super::fault::{Fault, Keep, power_is_off};
use super::inode::{BLOCK_BYTES, Inode, blocks};
use crate::{DirEntry, EntryKind, split_name};

const ROOT: u64 = 0;

#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) capacity: Option<u64>,
    pub(super) operations: u64,
    pub(super) faults: BTreeMap<u64, Fault>,
    pub(super) power_off_after: Option<u64>,
    /// Rises with every restart; a handle of an earlier boot is dead.
    pub(super) boot: u64,
    random: u64,
    next_id: u64,
    inodes: BTreeMap<u64, Inode>,
    directories: BTreeMap<u64, Directory>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            capacity: None,
            operations: 0,
            faults: BTreeMap::new(),
            power_off_after: None,
            boot: 0,
            random: seed,
            next_id: ROOT + 1,
            inodes: BTreeMap::new(),
            directories: BTreeMap::from([(ROOT, Directory::default())]),
        }
    }

    pub(super) fn begin(&mut self) -> io::Result<()> {
        if self.power_off_after.is_some_and(|limit| self.operations >= limit) {
            return Err(power_is_off());
        }
        let number = self.operations;
        self.operations += 1;
        match self.faults.remove(&number) {
            Some(fault) => Err(fault.error()),
            None => Ok(()),
        }
    }

    pub(super) fn used_bytes(&self) -> u64 {
        let named = self.directories.values().flat_map(|dir| dir.entries.values());
        named
            .map(|target| match target {
                Target::File(id) => self.inodes.get(id).map_or(0, |inode| inode.reserved),
                Target::Directory(_) => 0,
            })
            .sum()
    }

    pub(super) fn pending_units(&self) -> usize {
        let names: usize = self.directories.values().map(|dir| dir.pending.len()).sum();
        let data: usize = self.inodes.values().map(|inode| inode.pending.len()).sum();
        names + data
    }

    pub(super) fn crash(&mut self, keep: Keep) {
        let mut number = 0u64;
        let mut random = self.random;
        let mut decide = || {
            let kept = match keep {
                Keep::Nothing => false,
                Keep::Everything => true,
                Keep::Mask(mask) => number < 64 && mask >> number & 1 == 1,
                Keep::Random { chance } => draw(&mut random) % 256 < u64::from(chance),
            };
            number += 1;
            kept
        };
        for directory in self.directories.values_mut() {
            directory.crash(&mut decide);
        }
        for inode in self.inodes.values_mut() {
            inode.crash(&mut decide);
        }
        self.random = random;
        self.forget_unnamed();
        self.faults.clear();
        self.power_off_after = None;
        self.restart();
    }

    pub(super) fn restart(&mut self) {
        self.boot += 1;
    }

    pub(super) fn reseed(&mut self, seed: u64) {
        self.random = seed;
    }

    /// After a crash, what no name leads to is free space.
    fn forget_unnamed(&mut self) {
        let mut files = Vec::new();
        let mut dirs = vec![ROOT];
        let mut at = 0;
        while let Some(id) = dirs.get(at).copied() {
            for target in self.directories.get(&id).into_iter().flat_map(|dir| dir.entries.values())
            {
                match target {
                    Target::File(id) => files.push(*id),
                    Target::Directory(id) => dirs.push(*id),
                }
            }
            at += 1;
        }
        self.inodes.retain(|id, _| files.contains(id));
        self.directories.retain(|id, _| dirs.contains(id));
    }

    fn directory_id(&self, dir: &str) -> io::Result<u64> {
        if dir.is_empty() {
            return Ok(ROOT);
        }
        match self.directories.get(&ROOT).and_then(|root| root.entries.get(dir)) {
            Some(Target::Directory(id)) => Ok(*id),
            Some(Target::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn directory(&mut self, dir: &str) -> io::Result<&mut Directory> {
        let id = self.directory_id(dir)?;
        self.directories.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn target(&self, name: &str) -> io::Result<Target> {
        let (dir, file) = split_name(name)?;
        let id = self.directory_id(dir)?;
        let target = self.directories.get(&id).and_then(|dir| dir.entries.get(file));
        target.copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn find(&self, name: &str) -> io::Result<u64> {
        match self.target(name)? {
            Target::File(id) => Ok(id),
            Target::Directory(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn inode_mut(&mut self, name: &str) -> io::Result<&mut Inode> {
        let id = self.find(name)?;
        self.inode(id)
    }

    fn inode(&mut self, id: u64) -> io::Result<&mut Inode> {
        self.inodes.get_mut(&id).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&mut self, dir: &str, change: Change) -> io::Result<()> {
        self.directory(dir)?.change(change);
        Ok(())
    }

    fn fresh_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn must_be_free(&self, name: &str) -> io::Result<()> {
        match self.target(name) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub(super) fn create(&mut self, name: &str) -> io::Result<u64> {
        let (dir, file) = split_name(name)?;
        self.must_be_free(name)?;
        let id = self.fresh_id();
        self.change(dir, vec![(file.to_owned(), Some(Target::File(id)))])?;
        self.inodes.insert(id, Inode::default());
        Ok(id)
    }

    pub(super) fn put(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let (dir, file) = split_name(name)?;
        let id = match self.find(name) {
            Ok(id) => id,
            Err(_) => self.create(name)?,
        };
        let (dir, file) = (self.directory(dir)?, file.to_owned());
        dir.medium.insert(file, Target::File(id));
        let reserved = blocks(bytes.len());
        *self.inode(id)? =
            Inode { cache: bytes.to_vec(), medium: bytes.to_vec(), pending: Vec::new(), reserved };
        Ok(())
    }

    pub(super) fn list(&self, dir: &str) -> io::Result<Vec<DirEntry>> {
        let id = self.directory_id(dir)?;
        let entries = self.directories.get(&id).into_iter().flat_map(|dir| &dir.entries);
        let entry = |(name, target): (&String, &Target)| DirEntry {
            name: name.clone(),
            kind: match target {
                Target::File(_) => EntryKind::File,
                Target::Directory(_) => EntryKind::Directory,
            },
        };
        Ok(entries.map(entry).collect())
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let (dir, old) = split_name(from)?;
        let (_, new) = split_name(to)?;
        let target = self.target(from)?;
        let change = vec![(old.to_owned(), None), (new.to_owned(), Some(target))];
        self.change(dir, change)
    }

    pub(super) fn remove(&mut self, name: &str) -> io::Result<()> {
        let (dir, file) = split_name(name)?;
        self.find(name)?;
        self.change(dir, vec![(file.to_owned(), None)])
    }

    pub(super) fn create_dir(&mut self, dir: &str) -> io::Result<()> {
        self.must_be_free(dir)?;
        let id = self.fresh_id();
        self.directories.insert(id, Directory::default());
        self.change("", vec![(dir.to_owned(), Some(Target::Directory(id)))])
    }

    pub(super) fn remove_dir(&mut self, dir: &str) -> io::Result<()> {
        if !self.directory(dir)?.entries.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.change("", vec![(dir.to_owned(), None)])
    }

    pub(super) fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        self.directory(dir)?.sync();
        Ok(())
    }

    pub(super) fn write(&mut self, id: u64, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = place(offset)?;
        let end = offset.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        let room = self.room_for(id, blocks(end))?;
        if room {
            self.inode(id)?.write(offset, bytes);
            return Ok(());
        }
        // What still fits is written, as a real file system does.
        let reserved = place(self.inode(id)?.reserved)?;
        if let Some(part) = reserved.checked_sub(offset).and_then(|fits| bytes.get(..fits)) {
            self.inode(id)?.write(offset, part);
        }
        Err(io::ErrorKind::StorageFull.into())
    }

    pub(super) fn preallocate(&mut self, id: u64, len: u64) -> io::Result<()> {
        let wanted = blocks(place(len)?);
        if !self.room_for(id, wanted)? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let len = place(len)?;
        let inode = self.inode(id)?;
        if len > inode.cache.len() {
            inode.set_len(len);
        }
        inode.reserved = inode.reserved.max(wanted);
        Ok(())
    }

    fn room_for(&mut self, id: u64, wanted: u64) -> io::Result<bool> {
        let more = wanted.saturating_sub(self.inode(id)?.reserved);
        debug_assert!(more % BLOCK_BYTES == 0, "{more} bytes are not whole blocks");
        Ok(more == 0 || self.capacity.is_none_or(|limit| self.used_bytes() + more <= limit))
    }

    pub(super) fn read(&mut self, id: u64, offset: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let cache = &self.inode(id)?.cache;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(cache.len());
        let count = bytes.len().min(cache.len() - start);
        bytes[..count].copy_from_slice(&cache[start..start + count]);
        Ok(count)
    }

    pub(super) fn set_len(&mut self, id: u64, len: u64) -> io::Result<()> {
        let len = place(len)?;
        self.inode(id)?.set_len(len);
        Ok(())
    }

    pub(super) fn len(&mut self, id: u64) -> io::Result<u64> {
        Ok(self.inode(id)?.cache.len() as u64)
    }

    pub(super) fn sync(&mut self, id: u64) -> io::Result<()> {
        self.inode(id)?.sync();
        Ok(())
    }

    pub(super) fn lose_pending(&mut self, id: u64) {
        if let Some(inode) = self.inodes.get_mut(&id) {
            inode.pending.clear();
        }
    }
}

fn place(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

/// `SplitMix64`: one step.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut x = *state;
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
