//! Writes that the pair's history lacks: saved as readable lines before anything is cut.
//!
//! One file per fork, `conflicts/<time>-<epoch>-<lsn>.jsonl`: a first line that says what this is, then
//! one line per effect. Bytes that are not printable ASCII are written `\xNN` (and `\` as `\\`), so that
//! every value can be read back.

use std::io;

use serde_json::json;
use tandem_disk::{Disk, DiskFile, EntryKind};
use tandem_log::{RecordKind, RecordView, check_log, cut};
use tandem_snapshot::remove_beyond;
use tandem_store::{Effects, describe};
use tandem_types::{Chain, Lsn, PairId, WallMillis};

/// How the files' names end.
const SUFFIX: &str = ".jsonl";
/// The directory for the files.
const DIR: &str = "conflicts";
/// Lines are written in pieces of about this size.
const PIECE_BYTES: usize = 256 << 10;

/// What was saved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Saved {
    /// The file, below the data directory; `None`: there was nothing to save.
    pub file: Option<String>,
    /// Records saved.
    pub records: u64,
}

/// Why nothing was saved or cut.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The disk failed or is full; nothing was cut. Free space, then start the node again.
    #[error("{op} {file}")]
    Io {
        /// What was being done.
        op: &'static str,
        /// To which file.
        file: String,
        /// How it failed.
        source: io::Error,
    },
    /// The log is damaged: a full copy is needed, the files stay.
    #[error("read the log: {0}")]
    Log(#[from] tandem_log::RecoverError),
    /// The log could not be cut.
    #[error(transparent)]
    Cut(#[from] tandem_log::CutError),
    /// The log's running checksum differs from the primary's at the common point: one of the two is
    /// damaged. Nothing was cut; a full copy replaces the data, these files are set aside.
    #[error("the log's running checksum at {at} is {ours}, the primary's is {theirs}")]
    Chain {
        /// The common point.
        at: Lsn,
        /// This node's.
        ours: Chain,
        /// The primary's.
        theirs: Chain,
    },
}

impl SaveError {
    fn io(op: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { op, file: file.to_owned(), source }
    }
}

/// Saves the records from `to` on, then cuts the log there. The log's writer must be closed.
///
/// Snapshots that reflect anything past `to` are removed after the log is cut.
///
/// # Errors
/// See [`SaveError`]; unless it is [`SaveError::Cut`], nothing was cut.
pub fn save_and_cut<D: Disk>(
    disk: &D,
    dir: &str,
    pair: PairId,
    to: Lsn,
    chain: Chain,
    now: WallMillis,
) -> Result<Saved, SaveError> {
    let saved = save(disk, dir, pair, to, Some(chain), now)?;
    remove_beyond(disk, dir, to).map_err(SaveError::io("remove snapshots in", dir))?;
    cut(disk, dir, to)?;
    Ok(saved)
}

/// Saves the records from `from` on; the log stays as it is.
///
/// # Errors
/// See [`SaveError`].
pub fn save_records<D: Disk>(
    disk: &D,
    dir: &str,
    pair: PairId,
    from: Lsn,
    now: WallMillis,
) -> Result<Saved, SaveError> {
    save(disk, dir, pair, from, None, now)
}

/// Files of saved writes that wait for a decision.
///
/// # Errors
/// The directory cannot be read.
pub fn open_conflicts<D: Disk>(disk: &D) -> io::Result<u64> {
    let files = match disk.list(DIR) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        listed => listed?,
    };
    let open = files
        .iter()
        .filter(|entry| entry.kind == EntryKind::File && entry.name.ends_with(SUFFIX))
        .count();
    Ok(u64::try_from(open).unwrap_or(u64::MAX))
}

fn save<D: Disk>(
    disk: &D,
    dir: &str,
    pair: PairId,
    from: Lsn,
    chain: Option<Chain>,
    now: WallMillis,
) -> Result<Saved, SaveError> {
    match disk.create_dir(DIR) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(SaveError::io("create", DIR)(error));
        }
        Ok(()) | Err(_) => {}
    }
    let mut file = Lines::new(disk, now);
    let mut chain_at = None;
    let mut trouble = None;
    let check = check_log(disk, dir, pair, &mut |record| {
        if record.lsn < from {
            return Ok(());
        }
        if record.lsn == from {
            chain_at = Some(record.chain_before);
        }
        file.record(record).map_err(|error| {
            trouble = Some(error);
            "the lines could not be written".into()
        })
    });
    if let Some(trouble) = trouble {
        return Err(trouble);
    }
    if let Some(error) = check.error {
        return Err(error.into());
    }
    let ours = chain_at.unwrap_or(check.tip.chain);
    if let Some(theirs) = chain
        && ours != theirs
        && check.tip.end >= from
    {
        file.discard()?;
        return Err(SaveError::Chain { at: from, ours, theirs });
    }
    file.finish()
}

/// The file being written, created with the first record.
struct Lines<'d, D: Disk> {
    disk: &'d D,
    now: WallMillis,
    file: Option<(String, D::File)>,
    buffer: Vec<u8>,
    offset: u64,
    records: u64,
}

impl<'d, D: Disk> Lines<'d, D> {
    const fn new(disk: &'d D, now: WallMillis) -> Self {
        Self { disk, now, file: None, buffer: Vec::new(), offset: 0, records: 0 }
    }

    fn record(&mut self, record: &RecordView<'_>) -> Result<(), SaveError> {
        if record.kind == RecordKind::Effects && record.payload.is_empty() {
            return Ok(()); // A probe's: it changed nothing, and nobody can want it back.
        }
        if self.file.is_none() {
            self.begin(record)?;
        }
        self.records += 1;
        if record.kind == RecordKind::EpochStart {
            self.line(&json!({ "lsn": record.lsn.next().get(), "epoch": record.epoch.get(), "op": "EPOCH" }));
        } else {
            self.effects(record);
        }
        if self.buffer.len() >= PIECE_BYTES { self.flush() } else { Ok(()) }
    }

    fn begin(&mut self, record: &RecordView<'_>) -> Result<(), SaveError> {
        let (epoch, lsn) = (record.epoch, record.lsn);
        let stem = format!("{DIR}/{}-{epoch}-{lsn}", self.now.get());
        let mut name = format!("{stem}.jsonl");
        for attempt in 1.. {
            match self.disk.create(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    name = format!("{stem}-{attempt}.jsonl");
                }
                created => {
                    let file = created.map_err(SaveError::io("create", &name))?;
                    self.file = Some((name, file));
                    break;
                }
            }
        }
        self.line(&json!({
            "what": "records that this node had and the pair's history lacks",
            "from_lsn": lsn.next().get(),
            "epoch": epoch.get(),
            "saved_at_ms": self.now.get(),
        }));
        Ok(())
    }

    fn effects(&mut self, record: &RecordView<'_>) {
        let (lsn, epoch) = (record.lsn.next().get(), record.epoch.get());
        let at_ms = record.stamp.wall().get();
        let damaged = |error: &dyn std::fmt::Display| {
            json!({
                "lsn": lsn, "epoch": epoch, "time_ms": at_ms,
                "error": error.to_string(), "raw": escape(record.payload),
            })
        };
        let mut effects = match Effects::new(record.payload) {
            Ok(effects) => effects,
            Err(error) => return self.line(&damaged(&error)),
        };
        loop {
            match effects.read() {
                Ok(None) => return,
                Err(error) => return self.line(&damaged(&error)),
                Ok(Some(located)) => {
                    let words = describe(&located);
                    let args: Vec<String> = words.args.iter().map(|arg| escape(arg)).collect();
                    self.line(&json!({
                        "lsn": lsn, "epoch": epoch, "time_ms": at_ms, "db": words.db.get(),
                        "op": words.op, "key": words.key.map(escape), "args": args,
                    }));
                }
            }
        }
    }

    fn line(&mut self, value: &serde_json::Value) {
        self.buffer.extend_from_slice(value.to_string().as_bytes());
        self.buffer.push(b'\n');
    }

    fn flush(&mut self) -> Result<(), SaveError> {
        let Some((name, file)) = &self.file else { return Ok(()) };
        file.write_at(self.offset, &self.buffer).map_err(SaveError::io("write", name))?;
        self.offset += u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        self.buffer.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Saved, SaveError> {
        self.flush()?;
        let Some((name, file)) = self.file else { return Ok(Saved { file: None, records: 0 }) };
        file.sync_data().map_err(SaveError::io("sync", &name))?;
        self.disk.sync_dir(DIR).map_err(SaveError::io("sync", DIR))?;
        self.disk.sync_dir("").map_err(SaveError::io("sync", "the data directory"))?;
        Ok(Saved { file: Some(name), records: self.records })
    }

    fn discard(self) -> Result<(), SaveError> {
        match self.file {
            Some((name, _)) => self.disk.remove(&name).map_err(SaveError::io("remove", &name)),
            None => Ok(()),
        }
    }
}

/// Bytes as text that can be read back.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        match byte {
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(byte)),
            _ => {
                text.push_str("\\x");
                for digit in [byte >> 4, byte & 15] {
                    text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn unprintable_bytes_are_escaped_and_nothing_is_lost() {
        assert_eq!(escape(b"a\\b\xff\n "), "a\\\\b\\xff\\x0a ");
    }
}
