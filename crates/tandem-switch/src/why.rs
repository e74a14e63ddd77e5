//! Why a node waits, what forcing would cost, and how much a promotion could lose.

use std::fmt;
use std::time::Duration;

/// Acknowledged writes that a promotion of this node could lose.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Gap {
    /// None: this node is a durable member of the in-sync set.
    Zero,
    /// As last heard: the primary had this many records that are not on this disk, and may have
    /// written more since.
    AtLeast {
        /// Records.
        records: u64,
        /// Since the last contact; `None`: not since this process began.
        silent: Option<Duration>,
    },
    /// Nothing is known.
    Unknown,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero => f.write_str("no acknowledged write is missing here"),
            Self::AtLeast { records, silent: Some(silent) } => write!(
                f,
                "{records} records of the primary are missing here as of {} ms ago, and it may have written more since",
                silent.as_millis()
            ),
            Self::AtLeast { records, silent: None } => {
                write!(f, "at least {records} records of the primary are missing here")
            }
            Self::Unknown => f.write_str("it is not known how many writes are missing here"),
        }
    }
}

/// What a node is waiting for (`tandem why`, R13).
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Why {
    /// One sentence: how things are.
    pub now: String,
    /// The fact that is missing; `None`: nothing is waited for.
    pub waiting_for: Option<String>,
    /// Who can supply it.
    pub who: Option<String>,
    /// Timers that run, with the time left on each.
    pub timers: Vec<Timer>,
    /// What a person could do instead, and what it would cost.
    pub forcing: Option<String>,
}

/// One running timer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Timer {
    /// What ends with it.
    pub name: &'static str,
    /// Time left.
    pub left: Duration,
}

impl Why {
    /// Nothing is waited for.
    pub(crate) fn now(now: &str) -> Self {
        Self { now: now.to_owned(), ..Self::default() }
    }

    /// One fact is missing.
    pub(crate) fn waits(now: &str, waiting_for: &str, who: &str) -> Self {
        Self {
            now: now.to_owned(),
            waiting_for: Some(waiting_for.to_owned()),
            who: Some(who.to_owned()),
            ..Self::default()
        }
    }
}
