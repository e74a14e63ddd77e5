//! What is wrong with a log on disk, and where.

use std::fmt;

use tandem_types::{Lsn, PairId};

use crate::record::BadRecord;

/// A place in a log directory that does not hold what it must.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Damage {
    /// The file, relative to the data directory.
    pub file: String,
    /// The byte in it.
    pub offset: u64,
    /// The record that should be there.
    pub lsn: Lsn,
    /// What is there instead.
    pub what: DamageKind,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} (record {}): {}", self.file, self.offset, self.lsn, self.what)
    }
}

/// Kinds of [`Damage`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DamageKind {
    /// The segment's header is unreadable.
    SegmentHeader,
    /// The segment is of a format version that this program does not know.
    Version(u16),
    /// The segment's name says another first record than its header.
    Name {
        /// The first record by its header.
        header: Lsn,
    },
    /// The segment belongs to another pair.
    Foreign {
        /// That pair.
        pair: PairId,
    },
    /// Segments are missing: this one begins later than the one before ends.
    Gap {
        /// Where this one begins.
        next: Lsn,
    },
    /// This segment begins before the one before it ends.
    Overlap {
        /// Where this one begins.
        next: Lsn,
    },
    /// This segment begins where the one before ends, but of another history.
    OtherHistory,
    /// No frame header where a batch must begin.
    Frame,
    /// A record is damaged.
    Record(BadRecord),
    /// The file ends, or the batch does, in the middle of a record.
    Cut,
    /// A directory or a link has a segment's name.
    NotAFile,
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SegmentHeader => f.write_str("the segment header is damaged"),
            Self::Version(version) => write!(f, "format version {version} is not known"),
            Self::Name { header } => write!(f, "the header says that record {header} is the first"),
            Self::Foreign { pair } => write!(f, "belongs to the pair {pair}"),
            Self::Gap { next } => write!(f, "records are missing up to {next}"),
            Self::Overlap { next } => write!(f, "the next segment begins at {next} already"),
            Self::OtherHistory => f.write_str("continues another history"),
            Self::Frame => f.write_str("no batch where one must begin"),
            Self::Record(bad) => bad.fmt(f),
            Self::Cut => f.write_str("a record is cut off"),
            Self::NotAFile => f.write_str("not a plain file"),
        }
    }
}
