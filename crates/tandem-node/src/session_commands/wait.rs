//! `WAIT` and `WAITAOF`: until the last write of this connection is on more disks.

use std::time::Duration;

use tandem_resp::{Args, parse_i64};
use tandem_types::Role;

use super::Visit;
use crate::clients::{copies, write_copies};
use crate::session::{Waiting, What};

pub(super) fn wait(visit: &mut Visit<'_>, args: &Args<'_>) {
    if visit.core.view.role != Role::Primary {
        return visit.reply().error(
            "ERR WAIT cannot be used with replica instances. Please also note that writes to replicas \
             are just local and are not propagated.",
        );
    }
    let Some(replicas) = parse_i64(args.get(1)) else { return visit.not_an_integer() };
    let replicas = u32::try_from(replicas.max(0)).unwrap_or(u32::MAX);
    let Some(timeout) = timeout(visit, args.get(2)) else { return };
    begin(visit, None, replicas, timeout);
}

pub(super) fn waitaof(visit: &mut Visit<'_>, args: &Args<'_>) {
    let local = match parse_i64(args.get(1)) {
        Some(local @ (0 | 1)) => u32::from(local == 1),
        Some(_) => {
            return visit.reply().error("ERR value is out of range, must be between 0 and 1");
        }
        None => return visit.not_an_integer(),
    };
    let Some(replicas) = parse_i64(args.get(2)) else { return visit.not_an_integer() };
    let Ok(replicas) = u32::try_from(replicas) else {
        return visit.reply().error("ERR value is out of range, must be positive");
    };
    let Some(timeout) = timeout(visit, args.get(3)) else { return };
    if visit.core.view.role != Role::Primary {
        return visit.reply().error(
            "ERR WAITAOF cannot be used with replica instances. Please also note that writes to \
             replicas are just local and are not propagated.",
        );
    }
    begin(visit, Some(local), replicas, timeout);
}

/// Milliseconds; zero is for ever.
pub(super) fn timeout(visit: &mut Visit<'_>, word: &[u8]) -> Option<Duration> {
    let Some(ms) = parse_i64(word) else {
        visit.reply().error("ERR timeout is not an integer or out of range");
        return None;
    };
    let Ok(ms) = u64::try_from(ms) else {
        visit.reply().error("ERR timeout is negative");
        return None;
    };
    Some(Duration::from_millis(ms))
}

fn begin(visit: &mut Visit<'_>, local: Option<u32>, replicas: u32, timeout: Duration) {
    let position = visit.session.last_write;
    let have = copies(visit.core, position, local.is_some());
    let enough = have.replicas >= replicas && local.is_none_or(|wanted| have.local >= wanted);
    if enough || visit.in_exec {
        return write_copies(visit.session, have, local.is_some());
    }
    let now = visit.core.now.mono;
    let until = (!timeout.is_zero()).then(|| now.plus(timeout));
    visit.clients.blocked.add_position(visit.session.conn);
    visit.clients.blocked.add_deadline(visit.session.conn, until);
    let what = What::Copies { local, replicas, position };
    visit.session.waiting = Some(Box::new(Waiting { what, until }));
}
