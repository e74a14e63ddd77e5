//! Keys are fetched into the processor's caches before the commands need them: those of a pipeline, and
//! those of several clients whose requests came together.

use tandem_resp::first_arguments;

use super::Clients;
use crate::session::Session;
use crate::{ConnId, Core};

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

impl Clients {
    /// Fetches what the first request of each of these clients will look up.
    pub(crate) fn foresee<'a>(
        &self,
        core: &Core,
        received: impl Iterator<Item = (ConnId, &'a [u8])>,
    ) {
        let mut keys: [&[u8]; TOGETHER] = [&[]; TOGETHER];
        let mut found = 0;
        let mut db = None;
        for (conn, bytes) in received {
            let Some(session) = self.sessions.get(conn) else { continue };
            let other = db.is_some_and(|db| db != session.db);
            if other || session.pending.is_some() || core.store.dbsize(session.db) < KEYS_MIN {
                continue;
            }
            db = Some(session.db);
            let Some(place) = keys.get_mut(found..=found) else { break };
            found += first_arguments(bytes, place).found;
        }
        if let Some(db) = db
            && found >= 2
        {
            core.store.warm(db, keys.get(..found).unwrap_or_default());
        }
    }
}
