//! What clients did to one key and when, as the linearizability checkers read it.

/// Nanoseconds of the test driver's own monotonic clock since the test began.
pub type Nanos = u64;

/// How a call ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// A success reply came at this time.
    Returned(Nanos),
    /// Time-out, closed connection or `-UNKNOWNRESULT`: it may take effect once at any later time,
    /// or never.
    Unknown,
}

impl Outcome {
    /// When the reply came; the end of time if none did.
    pub fn returned_at(self) -> Nanos {
        match self {
            Self::Returned(at) => at,
            Self::Unknown => Nanos::MAX,
        }
    }
}

/// One call. Calls that ended in a definite error are left out of a history: if such a call took
/// effect after all, it shows as a value that nobody wrote.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Operation<A> {
    /// Just before the request was written to the socket.
    pub called_at: Nanos,
    /// Just after its reply was read.
    pub outcome: Outcome,
    /// What was asked, and for a returned call what was answered.
    pub action: A,
}

/// A register: written with values that are unique in the history, and read.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RegisterAction {
    /// Wrote this value.
    Write(u64),
    /// Read this value; `None` is the absent key, how every register begins.
    Read(Option<u64>),
}
