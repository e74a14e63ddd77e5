//! The disk's side of saved writes: receiving, sending, reading and deciding, on a thread of its own.

use std::io;

use tandem_disk::{Access, Disk, DiskFile};
use tandem_types::WallMillis;

use super::catalogue::{make_dir, make_room, used_bytes, write_decision};
use super::file::{SavedFile, read_entry, read_file, read_text};
use super::{DIR, Decision, Entry, PART_BYTES, SUFFIX, is_id, path};

/// How the name of a file ends that is coming in.
const PART: &str = ".part.tmp";
/// Bytes of lines shown at once.
const SHOWN_BYTES_MAX: usize = 4 << 20;

/// Work on saved writes, done in order beside the data thread.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum ConflictOrder {
    /// The peer has this file: say how much of it is here.
    Look {
        /// Which.
        id: String,
        /// Its length.
        bytes: u64,
    },
    /// A part of it came.
    Append {
        /// Which.
        id: String,
        /// Length of the whole.
        total: u64,
        /// Where the part begins.
        offset: u64,
        /// The part.
        bytes: Vec<u8>,
    },
    /// Read a part, to be sent.
    Read {
        /// Which.
        id: String,
        /// From where.
        offset: u64,
    },
    /// Read a whole file, to decide on it.
    Load {
        /// Which.
        id: String,
    },
    /// Read the lines, for people.
    Lines {
        /// Which.
        id: String,
    },
    /// Make a decision durable.
    Decide {
        /// Which.
        id: String,
        /// What.
        decision: Decision,
        /// Whose word it is.
        note: String,
        /// When.
        now: WallMillis,
    },
}

/// How much of a peer's file is here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Held {
    /// All of it, checked and durable.
    Whole(Box<Entry>),
    /// This many bytes.
    Part(u64),
    /// It cannot be taken: why.
    Refused(String),
}

/// What came of an order.
#[derive(Clone, Debug)]
pub enum ConflictNews {
    /// To [`ConflictOrder::Look`] and [`ConflictOrder::Append`].
    Held {
        /// Which.
        id: String,
        /// How much.
        held: Held,
        /// Decided files that were removed to make room.
        freed: Vec<String>,
    },
    /// The log thread has saved records that a full copy replaces.
    Saved(Box<Entry>),
    /// To [`ConflictOrder::Read`].
    Part {
        /// Which.
        id: String,
        /// From where.
        offset: u64,
        /// The part, or why there is none.
        bytes: Result<Vec<u8>, String>,
    },
    /// To [`ConflictOrder::Load`].
    Loaded {
        /// Which.
        id: String,
        /// The file, or why it cannot be used.
        file: Result<Box<SavedFile>, String>,
    },
    /// To [`ConflictOrder::Lines`].
    Lines {
        /// Which.
        id: String,
        /// The lines, and whether there are more.
        lines: Result<(Vec<String>, bool), String>,
    },
    /// To [`ConflictOrder::Decide`].
    Decided {
        /// Which.
        id: String,
        /// What.
        decision: Decision,
        /// Why it could not be written.
        trouble: Option<String>,
    },
}

/// Carries out orders on one data directory.
#[derive(Clone, Debug)]
pub struct Desk<D> {
    disk: D,
    bytes_max: u64,
}

impl<D: Disk> Desk<D> {
    /// For this directory; all files together take `bytes_max` at most.
    pub const fn new(disk: D, bytes_max: u64) -> Self {
        Self { disk, bytes_max }
    }

    /// Does what is asked; may take as long as the disk takes.
    pub fn carry_out(&self, order: ConflictOrder) -> ConflictNews {
        match order {
            ConflictOrder::Look { id, bytes } => {
                let (held, freed) = self.look(&id, bytes);
                ConflictNews::Held { id, held, freed }
            }
            ConflictOrder::Append { id, total, offset, bytes } => {
                let held = self.append(&id, total, offset, &bytes);
                ConflictNews::Held { id, held, freed: Vec::new() }
            }
            ConflictOrder::Read { id, offset } => {
                let bytes = self.part(&id, offset).map_err(|error| error.to_string());
                ConflictNews::Part { id, offset, bytes }
            }
            ConflictOrder::Load { id } => {
                let file = read_file(&self.disk, &id, SUFFIX).map(Box::new);
                ConflictNews::Loaded { id, file }
            }
            ConflictOrder::Lines { id } => {
                let lines = read_text(&self.disk, &id, SUFFIX).map(|text| lines_of(&text));
                ConflictNews::Lines { id, lines }
            }
            ConflictOrder::Decide { id, decision, note, now } => {
                let done = write_decision(&self.disk, &id, decision, (&note, now));
                let trouble = done.err().map(|error| error.to_string());
                ConflictNews::Decided { id, decision, trouble }
            }
        }
    }

    fn look(&self, id: &str, bytes: u64) -> (Held, Vec<String>) {
        if !is_id(id) {
            return (Held::Refused("its name is not one of ours".to_owned()), Vec::new());
        }
        match read_entry(&self.disk, id, SUFFIX) {
            // Its bytes were synced before it got its name; the name may not be yet.
            Ok(entry) if entry.whole => match self.disk.sync_dir(DIR) {
                Ok(()) => return (Held::Whole(Box::new(entry)), Vec::new()),
                Err(error) => return (Held::Refused(error.to_string()), Vec::new()),
            },
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return (Held::Refused(error.to_string()), Vec::new());
            }
            Ok(_) | Err(_) => {}
        }
        let room = make_dir(&self.disk)
            .and_then(|()| make_room(&self.disk, bytes, self.bytes_max))
            .and_then(|freed| Ok((used_bytes(&self.disk)?, freed)));
        match room {
            Err(error) => (Held::Refused(error.to_string()), Vec::new()),
            Ok((used, freed)) if used.saturating_add(bytes) > self.bytes_max => {
                let why = format!(
                    "the saved writes in its {DIR}/ would take more than `switch.conflicts_max` = {} bytes: decide on them (tandem conflicts list)",
                    self.bytes_max
                );
                (Held::Refused(why), freed)
            }
            Ok((_, freed)) => match self.part_length(id) {
                Ok(length) => (Held::Part(length.min(bytes)), freed),
                Err(error) => (Held::Refused(error.to_string()), freed),
            },
        }
    }

    /// How much of it an earlier connection has brought.
    fn part_length(&self, id: &str) -> io::Result<u64> {
        match self.disk.open(&path(id, PART), Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            opened => opened?.len(),
        }
    }

    fn append(&self, id: &str, total: u64, offset: u64, bytes: &[u8]) -> Held {
        if !is_id(id) || total > self.bytes_max {
            return Held::Refused("it is no file that was announced".to_owned());
        }
        match self.try_append(id, total, offset, bytes) {
            Ok(held) => held,
            Err(error) => {
                // A part whose bytes are unknown is no beginning to go on from.
                drop(self.disk.remove(&path(id, PART)));
                Held::Refused(error.to_string())
            }
        }
    }

    fn try_append(&self, id: &str, total: u64, offset: u64, bytes: &[u8]) -> io::Result<Held> {
        let name = path(id, PART);
        let file = match self.disk.open(&name, Access::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.disk.create(&name)?,
            opened => opened?,
        };
        let length = file.len()?;
        if offset != length {
            return Ok(Held::Part(length));
        }
        file.write_at(offset, bytes)?;
        let length = length.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if length < total {
            return Ok(Held::Part(length));
        }
        file.sync_data()?;
        drop(file);
        // Read back: the answer means that the peer may cut.
        match read_file(&self.disk, id, PART) {
            Ok(read) => {
                self.disk.rename(&name, &path(id, SUFFIX))?;
                self.disk.sync_dir(DIR)?;
                Ok(Held::Whole(Box::new(read.entry)))
            }
            Err(why) => {
                self.disk.remove(&name)?;
                Ok(Held::Refused(why))
            }
        }
    }

    fn part(&self, id: &str, offset: u64) -> io::Result<Vec<u8>> {
        let file = self.disk.open(&path(id, SUFFIX), Access::Read)?;
        let mut bytes = vec![0; PART_BYTES];
        let length = file.read_at(offset, &mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }
}

fn lines_of(text: &[u8]) -> (Vec<String>, bool) {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        bytes += line.len();
        if bytes > SHOWN_BYTES_MAX {
            return (lines, true);
        }
        lines.push(String::from_utf8_lossy(line).into_owned());
    }
    (lines, false)
}
