//! Writes that the pair's history lacks: saved on both machines before anything is cut, then decided on.
//!
//! ```text
//!   loser                                                       new primary
//!   CutBack --> save (boots in place: log, images)
//!           --> offer, parts, one at a time  ------------------> written, checked, synced
//!           <------------------------------------------- whole
//!           --> cut the log, boot again, follow                  list, diff, apply, discard
//! ```
//! One file per fork, `conflicts/<time>-<epoch>-<lsn>.jsonl` (docs/formats/conflict.md), and beside it, once
//! somebody has decided, `<time>-<epoch>-<lsn>.decided`. This module knows files and what is in them;
//! `node/conflicts.rs` moves them between the nodes, `node/deciding.rs` applies them.
//!
//! **Invariant:** nothing is cut before its file is whole on both disks, or a person has decided on it.
//! **Invariant:** an undecided file is never removed.

mod authors;
mod capture;
mod catalogue;
mod desk;
mod file;
mod lines;
mod listing;
mod save_error;
mod since;
mod talk;
#[cfg(test)]
mod tests;
mod units;

use tandem_types::{Chain, Lsn};

pub use authors::Authors;
pub use capture::{Acked, Fork, LogPlace, Saved, cut_fork, save_fork, save_records};
pub use catalogue::catalogue;
pub(crate) use catalogue::discard_temporary;
pub use desk::{ConflictNews, ConflictOrder, Desk, Held};
pub use file::{KeyImages, SavedFile, SavedRecord};
pub use lines::Image;
pub(crate) use lines::{escape, unescape};
pub use save_error::SaveError;
pub(crate) use since::Since;
pub(crate) use talk::Said;
pub(crate) use units::{Class, Current, KeyOf, Unit, classes, units};

/// The directory of the files.
const DIR: &str = "conflicts";
/// How the files' names end.
const SUFFIX: &str = ".jsonl";
/// How the name of a decision ends.
const DECIDED: &str = ".decided";
/// Bytes of a file that travel in one message.
pub(crate) const PART_BYTES: usize = 256 << 10;
/// Bytes of a value that a file holds whole, so that a person can have it back: a longer one is only shown.
pub(crate) const WHOLE_BYTES_MAX: usize = 1 << 20;
/// The hash that marks what was applied: `<prefix><id>`, a field per unit.
pub(crate) const MARKS: &str = "tandem:conflicts:";

/// What was decided on a file.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Decision {
    /// Given up.
    Discarded,
    /// Written again, as far as it could be.
    Applied,
}

impl Decision {
    /// The word in files and answers.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Discarded => "discarded",
            Self::Applied => "applied",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Discarded, Self::Applied].into_iter().find(|it| it.word() == word)
    }
}

/// One file, as its first and last lines tell.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Entry {
    /// `<time>-<epoch>-<lsn>`: the file's name without its ending.
    pub id: String,
    /// Its length.
    pub bytes: u64,
    /// The node that had the records.
    pub node: String,
    /// The fork: the first record saved.
    pub from: Lsn,
    /// After the last record saved.
    pub end: Lsn,
    /// Epoch of the first record.
    pub epoch: u64,
    /// Running checksum at the fork.
    pub chain_from: Chain,
    /// And at the end.
    pub chain_end: Chain,
    /// Records saved.
    pub records: u64,
    /// Keys that they wrote to.
    pub keys: u64,
    /// When it was saved, milliseconds since 1970.
    pub saved_at_ms: u64,
    /// The state at the fork could be made from snapshot and log: a cut there leaves data that starts.
    pub images: bool,
    /// It is whole and of a version that can be applied.
    pub whole: bool,
    /// What was decided.
    pub decision: Option<Decision>,
}

/// Whether this may be the name of a file here: it comes from the peer or from a person.
pub(crate) fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    !id.is_empty() && id.len() <= 100 && id.bytes().all(plain)
}

fn path(id: &str, suffix: &str) -> String {
    format!("{DIR}/{id}{suffix}")
}
