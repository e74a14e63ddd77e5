//! A client whose next request must wait, and for what.

use tandem_resp::OwnedArgs;
use tandem_store::{Command, Need, TimeoutReply};
use tandem_types::{DbIndex, LogPosition, Lsn, Monotonic, Pair};

/// A client that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) what: What,
    /// When it gives up; `None`: never.
    pub(crate) until: Option<Monotonic>,
}

/// What a client waits for.
#[derive(Debug)]
pub(crate) enum What {
    /// A key to be touched, then the command runs again (`BLPOP` and the like).
    Keys {
        command: &'static Command,
        words: OwnedArgs,
        db: DbIndex,
        keys: Vec<Box<[u8]>>,
        on_timeout: TimeoutReply,
        /// What it needs of each key; empty: to be there.
        needs: Vec<Need>,
    },
    /// Its last write to reach disks: `WAIT` (`local` is `None`) and `WAITAOF`.
    Copies { local: Option<u32>, replicas: u32, position: LogPosition },
    /// `TANDEM WAITPOS`.
    Position(LogPosition),
    /// `TANDEM PP WAITVECTOR`: to see that much of what either of two writers wrote.
    Vector(Pair<Lsn>),
    /// The node's answer to an operation.
    Answer,
    /// The primary's replies to everything that was passed on.
    Forwarded,
    /// `CLIENT PAUSE`, or a planned change of primary: the request is still in the input.
    Held,
    /// `DEBUG SLEEP`.
    Sleep,
    /// The next turn: this one has taken long enough.
    Turn,
    /// Its own replies to leave: it pipelines faster than it reads.
    Drained,
}
