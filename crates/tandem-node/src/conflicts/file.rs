//! A conflict file: its first and last line, writing it with a checksum, reading it back.

use std::collections::BTreeMap;
use std::io;

use serde_json::{Value, json};
use tandem_disk::{Access, Disk, DiskFile};
use tandem_types::{Chain, DbIndex, Lsn};

use super::lines::{Image, chain_of, hex, number_of, unescape};
use super::{DIR, Entry, PART_BYTES, path};

/// Version of the files; raised when an older program could misread newer ones. Files without one are of
/// a version that saved no images: they can be shown and discarded.
const FORMAT: u64 = 2;
/// The first and the last line are shorter than this.
const EDGE_BYTES: usize = 4096;

/// One saved record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SavedRecord {
    /// Its position in the loser's log.
    pub lsn: Lsn,
    /// Its effects.
    pub payload: Vec<u8>,
}

/// What a key was at the fork, and what the saved records made of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeyImages {
    /// At the fork.
    pub fork: Option<Image>,
    /// After the saved records.
    pub lost: Option<Image>,
    /// All of that value, as [`tandem_store::Effect::Restore`] carries it; `None`: there is none, it is too
    /// long, or an earlier build saved the file.
    pub whole: Option<Vec<u8>>,
}

/// A whole file in memory.
#[derive(Clone, Debug, Default)]
pub struct SavedFile {
    /// What its edges say.
    pub entry: Entry,
    /// The records, in order.
    pub records: Vec<SavedRecord>,
    /// The keys they wrote to, if images could be made.
    pub images: BTreeMap<(DbIndex, Vec<u8>), KeyImages>,
}

/// The first line's facts.
#[derive(Clone, Debug)]
pub(super) struct Heading<'a> {
    pub(super) node: &'a str,
    pub(super) from: Lsn,
    pub(super) epoch: u64,
    pub(super) chain: Chain,
    pub(super) saved_at_ms: u64,
}

impl Heading<'_> {
    pub(super) fn to_json(&self) -> Value {
        json!({
            "what": "records that this node had and the pair's history lacks",
            "format": FORMAT,
            "node": self.node,
            "from_lsn": self.from.next().get(),
            "epoch": self.epoch,
            "chain": hex(self.chain.get()),
            "saved_at_ms": self.saved_at_ms,
        })
    }
}

/// What the last line counts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) records: u64,
    pub(super) keys: u64,
    /// The state at the fork could be made from snapshot and log.
    pub(super) images: bool,
}

/// A file being written: lines, with a checksum over all of them.
pub(super) struct Writer<D: Disk> {
    file: D::File,
    name: String,
    buffer: Vec<u8>,
    offset: u64,
    crc: u32,
    bytes_max: u64,
}

/// Why a file is not written on.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteFault {
    /// The disk said so.
    #[error("write {name}")]
    Io { name: String, source: io::Error },
    /// The bound on all files together would be passed.
    #[error("more than {bytes_max} bytes")]
    Room { bytes_max: u64 },
}

impl<D: Disk> Writer<D> {
    /// A new file that may become `bytes_max` long.
    pub(super) fn create(disk: &D, name: &str, bytes_max: u64) -> io::Result<Self> {
        let file = disk.create(name)?;
        let name = name.to_owned();
        Ok(Self { file, name, buffer: Vec::new(), offset: 0, crc: 0, bytes_max })
    }

    pub(super) fn line(&mut self, value: &Value) -> Result<(), WriteFault> {
        self.buffer.extend_from_slice(value.to_string().as_bytes());
        self.buffer.push(b'\n');
        if self.buffer.len() >= PART_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), WriteFault> {
        let length = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        if self.offset.saturating_add(length) > self.bytes_max {
            return Err(WriteFault::Room { bytes_max: self.bytes_max });
        }
        self.file
            .write_at(self.offset, &self.buffer)
            .map_err(|source| WriteFault::Io { name: self.name.clone(), source })?;
        self.crc = crc32c::crc32c_append(self.crc, &self.buffer);
        self.offset += length;
        self.buffer.clear();
        Ok(())
    }

    /// Writes the last line and makes the file durable under its temporary name.
    pub(super) fn finish(
        mut self,
        end: Lsn,
        chain: Chain,
        counts: Counts,
    ) -> Result<(), WriteFault> {
        self.flush()?;
        let crc = format!("{:08x}", self.crc);
        self.line(&json!({
            "end_lsn": end.get(), "chain": hex(chain.get()), "records": counts.records,
            "keys": counts.keys, "images": counts.images, "crc32c": crc,
        }))?;
        self.flush()?;
        let name = self.name;
        self.file.sync_data().map_err(|source| WriteFault::Io { name, source })
    }
}

/// What the file's edges say.
///
/// # Errors
/// The disk failed. A file that is not whole is an entry that is not whole.
pub(super) fn read_entry<D: Disk>(disk: &D, id: &str, suffix: &str) -> io::Result<Entry> {
    let file = disk.open(&path(id, suffix), Access::Read)?;
    let bytes = file.len()?;
    let mut entry = Entry { id: id.to_owned(), bytes, ..Entry::default() };
    let (head, tail) = edges(&file, bytes)?;
    let heading = line_of(head.split(|byte| *byte == b'\n').next());
    if let Some(heading) = &heading {
        head_entry(&mut entry, heading);
    }
    let last = tail.strip_suffix(b"\n").and_then(|tail| tail.rsplit(|byte| *byte == b'\n').next());
    if let Some(footing) = line_of(last)
        && number_of(heading.as_ref().and_then(|it| it.get("format"))) == Some(FORMAT)
    {
        tail_entry(&mut entry, &footing);
    }
    Ok(entry)
}

/// The first and the last bytes.
fn edges<F: DiskFile>(file: &F, bytes: u64) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = vec![0; EDGE_BYTES];
    let length = file.read_at(0, &mut head)?;
    head.truncate(length);
    let from = bytes.saturating_sub(u64::try_from(EDGE_BYTES).unwrap_or(u64::MAX));
    let mut tail = vec![0; EDGE_BYTES];
    let length = file.read_at(from, &mut tail)?;
    tail.truncate(length);
    Ok((head, tail))
}

fn line_of(bytes: Option<&[u8]>) -> Option<Value> {
    serde_json::from_slice(bytes?).ok()
}

fn head_entry(entry: &mut Entry, line: &Value) {
    let number = |name: &str| number_of(line.get(name)).unwrap_or(0);
    line.get("node").and_then(Value::as_str).unwrap_or_default().clone_into(&mut entry.node);
    entry.from = Lsn::new(number("from_lsn").saturating_sub(1));
    entry.epoch = number("epoch");
    entry.saved_at_ms = number("saved_at_ms");
    entry.chain_from = chain_of(line.get("chain")).unwrap_or(Chain::EMPTY);
}

fn tail_entry(entry: &mut Entry, line: &Value) {
    let number = |name: &str| number_of(line.get(name));
    let (Some(end), Some(records), Some(chain)) =
        (number("end_lsn"), number("records"), chain_of(line.get("chain")))
    else {
        return;
    };
    entry.end = Lsn::new(end);
    entry.records = records;
    entry.keys = number("keys").unwrap_or(0);
    entry.chain_end = chain;
    entry.images = line.get("images").and_then(Value::as_bool).unwrap_or(false);
    entry.whole = line.get("crc32c").is_some();
}

/// Reads a whole file and checks it.
///
/// # Errors
/// Why it cannot be used, in words.
pub(super) fn read_file<D: Disk>(disk: &D, id: &str, suffix: &str) -> Result<SavedFile, String> {
    let text = read_text(disk, id, suffix)?;
    let entry = read_entry(disk, id, suffix)
        .map_err(|error| format!("read {DIR}/{id}{suffix}: {error}"))?;
    if !entry.whole {
        return Err("the file was saved by an earlier version, or is not whole: it can be shown and discarded, not applied".to_owned());
    }
    let mut file = SavedFile { entry, ..SavedFile::default() };
    let mut lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).peekable();
    while let Some(line) = lines.next() {
        let value = line_of(Some(line)).ok_or("a line is not JSON")?;
        if lines.peek().is_none() {
            let body = text.len() - line.len() - 1;
            let sum = format!("{:08x}", crc32c::crc32c(text.get(..body).unwrap_or_default()));
            if value.get("crc32c").and_then(Value::as_str) != Some(&sum) {
                return Err("the file's checksum is wrong: it was damaged or edited".to_owned());
            }
        } else {
            take_line(&mut file, &value)?;
        }
    }
    Ok(file)
}

/// The bytes of a file.
pub(super) fn read_text<D: Disk>(disk: &D, id: &str, suffix: &str) -> Result<Vec<u8>, String> {
    let name = path(id, suffix);
    let read = disk.open(&name, Access::Read).and_then(|file| file.read_all(u64::MAX));
    read.map_err(|error| format!("read {name}: {error}"))
}

fn take_line(file: &mut SavedFile, line: &Value) -> Result<(), String> {
    let bytes = |name: &str| line.get(name).and_then(Value::as_str).and_then(unescape);
    if let Some(payload) = bytes("record") {
        let lsn = number_of(line.get("lsn")).and_then(|lsn| lsn.checked_sub(1));
        let lsn = Lsn::new(lsn.ok_or("a record without its LSN")?);
        file.records.push(SavedRecord { lsn, payload });
    }
    if line.get("at_fork").is_some() {
        let db = number_of(line.get("db")).and_then(|db| u8::try_from(db).ok());
        let db = db.and_then(DbIndex::new).ok_or("a key without its database")?;
        let key = bytes("key").ok_or("a key that cannot be read")?;
        let image = |name: &str| line.get(name).and_then(Image::from_json);
        let images =
            KeyImages { fork: image("at_fork"), lost: image("lost"), whole: bytes("whole") };
        file.images.insert((db, key), images);
    }
    Ok(())
}
