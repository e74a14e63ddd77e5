//! Keys of a pipeline are fetched into the processor's caches before its commands need them.

use tandem_resp::first_arguments;

use crate::Core;
use crate::session::Session;

/// Keys fetched together: as many as one look of `Store::warm` takes.
const TOGETHER: usize = 16;

/// With fewer keys waiting, fetching ahead costs as much as it saves.
const WAITING_MIN: usize = 3;

/// A key space with fewer keys is in the caches anyway.
const KEYS_MIN: usize = 8 * 1024;

/// Fetches what the next commands of `rest` will look up; returns how many bytes it looked at, which need
/// no other look.
#[inline]
pub(super) fn warm(core: &Core, session: &Session, rest: &[u8]) -> usize {
    if core.store.dbsize(session.db) < KEYS_MIN {
        return rest.len();
    }
    let mut keys: [&[u8]; TOGETHER] = [&[]; TOGETHER];
    let ahead = first_arguments(rest, &mut keys);
    if ahead.found >= WAITING_MIN {
        core.store.warm(session.db, keys.get(..ahead.found).unwrap_or_default());
    }
    if ahead.found == TOGETHER { ahead.bytes } else { rest.len() }
}
