//! `TANDEM.PROBESET` and `TANDEM.PROBEGET`: how a standby tries the primary as its client.
//!
//! The value is no key: no command lists, counts, expires, flushes or saves it, and no `MONITOR` shows it.
//! Its write goes the way of every write (role, log, both disks, the gate of replies), and so does its read.

use tandem_resp::Args;
use tandem_types::Role;

use super::Visit;
use crate::clients::refusal_text;
use crate::{Port, Refusal};

/// Longer ones are nobody's probe.
const VALUE_BYTES_MAX: usize = 64;

/// `TANDEM.PROBESET value`.
pub(super) fn set(visit: &mut Visit<'_>, args: &Args<'_>) {
    let value = args.get(1);
    if value.len() > VALUE_BYTES_MAX {
        return visit.reply().error("ERR a probe's value has at most 64 bytes");
    }
    if let Some(text) = refusal(visit, visit.core.view.writes) {
        return visit.reply().error(&text);
    }
    let end = visit.core.write_probe(value);
    let executed = visit.core.executed_at();
    visit.session.outbox.depend_on(end, executed);
    visit.reply().ok();
}

/// `TANDEM.PROBEGET`.
pub(super) fn get(visit: &mut Visit<'_>, _args: &Args<'_>) {
    if let Some(text) = refusal(visit, visit.core.view.reads) {
        return visit.reply().error(&text);
    }
    let executed = visit.core.executed_at();
    let (value, end) = visit.core.read_probe();
    let value = value.to_vec();
    visit.session.outbox.depend_on(end, executed);
    visit.reply().bulk(&value);
}

/// Only the primary answers, and only where clients are served.
fn refusal(visit: &Visit<'_>, right: Option<Refusal>) -> Option<String> {
    let core = &*visit.core;
    let refusal = if visit.session.info.port == Port::Read {
        Some(Refusal::ReadOnly)
    } else if core.view.role == Role::Primary {
        right
    } else {
        core.view.writes.or(Some(Refusal::NotPrimary))
    };
    refusal.map(|refusal| refusal_text(core, refusal))
}
