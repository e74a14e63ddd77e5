//! `MULTI` and `WATCH`: commands that wait for `EXEC`, keys that must not change until then.

use tandem_resp::OwnedArgs;
use tandem_types::DbIndex;

use crate::runnable::Runnable;

/// One queued command.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) runnable: Runnable,
    pub(crate) words: OwnedArgs,
}

/// Commands between `MULTI` and `EXEC`.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) queue: Vec<Queued>,
    /// A command could not be queued: `EXEC` will refuse.
    pub(crate) aborted: bool,
    /// A queued command may write.
    pub(crate) writes: bool,
    /// A queued command reads or writes keys.
    pub(crate) touches_data: bool,
    /// Memory of the queue.
    pub(crate) bytes: usize,
}

/// One watched key.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Watched {
    pub(crate) db: DbIndex,
    pub(crate) key: Box<[u8]>,
    /// It had expired already when it was watched: its removal is no change.
    pub(crate) was_expired: bool,
}
