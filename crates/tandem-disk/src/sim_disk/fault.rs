//! What can go wrong with one operation, and what a crash keeps.

use std::fmt;
use std::io;

/// How a planned operation fails.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The operation does nothing and returns an error of this kind.
    Error(io::ErrorKind),
    /// A write puts only its first bytes down and then fails; any other operation just fails.
    ShortWrite {
        /// How many bytes it writes.
        bytes: usize,
        /// The error that it returns.
        kind: io::ErrorKind,
    },
    /// A sync fails, and what it should have written is dropped: reads go on showing it until a crash,
    /// and the next sync returns `Ok` without writing it (as Linux does). Other operations just fail.
    LostSync,
}

impl Fault {
    pub(super) fn error(self) -> io::Error {
        let kind = match self {
            Self::Error(kind) | Self::ShortWrite { kind, .. } => kind,
            Self::LostSync => io::ErrorKind::Other,
        };
        io::Error::new(kind, Planned(self))
    }
}

/// Which pending units a crash keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keep {
    /// None: only what was synced survives.
    Nothing,
    /// All, as if everything had been synced just in time.
    Everything,
    /// The n-th unit survives if bit n is set; units from the 64th on do not.
    Mask(u64),
    /// Each unit survives with this chance in 256, drawn from the disk's seed.
    Random {
        /// 0 keeps nothing, 255 nearly everything.
        chance: u8,
    },
}

/// Carries the plan inside the error, so that the operation that meets it can act on it.
#[derive(Debug)]
struct Planned(Fault);

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "planned fault {:?}", self.0)
    }
}

impl std::error::Error for Planned {}

fn planned(error: &io::Error) -> Option<Fault> {
    error.get_ref()?.downcast_ref::<Planned>().map(|planned| planned.0)
}

/// How many bytes a write that meets this error still puts down.
pub(super) fn short_write(error: &io::Error) -> Option<usize> {
    match planned(error)? {
        Fault::ShortWrite { bytes, .. } => Some(bytes),
        Fault::Error(_) | Fault::LostSync => None,
    }
}

/// Whether a sync that meets this error drops what was pending.
pub(super) fn is_lost_sync(error: &io::Error) -> bool {
    planned(error) == Some(Fault::LostSync)
}

pub(super) fn power_is_off() -> io::Error {
    io::Error::other("the simulated machine has no power")
}

pub(super) fn dead_handle() -> io::Error {
    io::Error::other("this handle was opened before the simulated restart")
}
