//! Bits that flip where nobody looks: on a disk, and in the memory of a running process.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use crate::node::Node;

/// Where a byte was flipped, and what the file held before.
#[derive(Clone, Debug)]
pub struct Flipped {
    /// The file.
    pub file: PathBuf,
    /// Its name below the data directory.
    pub name: String,
    /// All its bytes, as they are since.
    pub bytes: Vec<u8>,
}

impl Flipped {
    /// The directory in which a node keeps the file's generation once it has found the damage.
    pub fn aside(&self) -> String {
        let generation = self.name.split('/').next().unwrap_or_default();
        generation.replacen("gen-", "damaged-", 1)
    }
}

/// The newest generation of a data directory.
#[track_caller]
pub fn generation(data: &Path) -> PathBuf {
    let number = |path: &PathBuf| -> Option<u64> {
        path.file_name()?.to_str()?.strip_prefix("gen-")?.parse().ok()
    };
    let entries = fs::read_dir(data).expect("the data directory can be read");
    let all = entries.filter_map(|entry| Some(entry.ok()?.path()));
    all.filter_map(|path| Some((number(&path)?, path))).max().expect("there is a generation").1
}

/// The files of the newest generation whose names end so, oldest first.
#[track_caller]
pub fn files(data: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(generation(data)).expect("the generation can be read");
    let mut files: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.ends_with(ending) && !name.starts_with("damaged-")
        })
        .collect();
    files.sort();
    files
}

/// Flips one bit in the middle of the oldest such file.
#[track_caller]
pub fn flip(node: &Node, ending: &str) -> Flipped {
    let data = node.data();
    let file = files(data, ending).into_iter().next().expect("there is such a file");
    let handle = OpenOptions::new().read(true).write(true).open(&file).expect("opened");
    let at = handle.metadata().expect("it has a length").len() / 2;
    let mut byte = [0];
    handle.read_exact_at(&mut byte, at).expect("read");
    handle.write_all_at(&[byte[0] ^ 0x20], at).expect("written");
    handle.sync_all().expect("synced");
    let bytes = fs::read(&file).expect("read");
    let name = file.strip_prefix(data).expect("it is in there").display().to_string();
    Flipped { file, name, bytes }
}

/// Replaces `old` by `new`, of the same length, wherever it is in the memory of the process; says how often.
pub fn overwrite_memory(pid: u32, old: &[u8], new: &[u8]) -> io::Result<usize> {
    assert_eq!(old.len(), new.len());
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = OpenOptions::new().read(true).write(true).open(format!("/proc/{pid}/mem"))?;
    let mut count = 0;
    for line in maps.lines() {
        let mut words = line.split(' ');
        let (Some(range), Some(rights)) = (words.next(), words.next()) else { continue };
        let Some((start, end)) = range.split_once('-') else { continue };
        let parse = |text| u64::from_str_radix(text, 16).map_err(io::Error::other);
        if rights.starts_with("rw") {
            count += overwrite_range(&memory, parse(start)?..parse(end)?, old, new)?;
        }
    }
    Ok(count)
}

fn overwrite_range(
    memory: &File,
    range: std::ops::Range<u64>,
    old: &[u8],
    new: &[u8],
) -> io::Result<usize> {
    const PIECE: u64 = 16 << 20;
    let (mut count, mut at) = (0, range.start);
    while at < range.end {
        // Pieces overlap, so that nothing is missed between two of them.
        let overlap = u64::try_from(old.len()).map_err(io::Error::other)?;
        let length = (PIECE + overlap).min(range.end - at);
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        // Some of what is mapped cannot be read.
        if memory.read_exact_at(&mut bytes, at).is_ok() {
            let mut from = 0;
            while let Some(found) = find(&bytes[from..], old) {
                let place = at + u64::try_from(from + found).map_err(io::Error::other)?;
                memory.write_all_at(new, place)?;
                count += 1;
                from += found + old.len();
            }
        }
        at += PIECE;
    }
    Ok(count)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let first = *wanted.first()?;
    let mut from = 0;
    loop {
        from += bytes[from..].iter().position(|&byte| byte == first)?;
        if bytes[from..].starts_with(wanted) {
            return Some(from);
        }
        from += 1;
    }
}
