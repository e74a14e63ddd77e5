//! `DEBUG`, for tests only.

use std::time::Duration;

use tandem_resp::{Args, parse_f64};

use super::{Visit, is};
use crate::session::{Waiting, What};

pub(super) fn debug(visit: &mut Visit<'_>, args: &Args<'_>) {
    if !visit.core.settings.debug_commands {
        return visit.reply().error(
            "ERR DEBUG command not allowed. It is for tests and must be enabled in the configuration.",
        );
    }
    let word = args.get(1);
    if is(word, "sleep") && args.len() == 3 {
        sleep(visit, args.get(2));
    } else if is(word, "set-active-expire") || is(word, "quicklist-packed-threshold") {
        visit.reply().ok();
    } else {
        visit.unknown_subcommand(args);
    }
}

/// Only this client sleeps: a node never stands still on request.
fn sleep(visit: &mut Visit<'_>, word: &[u8]) {
    let seconds = parse_f64(word).filter(|seconds| (0.0..=3600.0).contains(seconds));
    let Some(seconds) = seconds else {
        return visit.reply().error("ERR value is not a valid float");
    };
    if visit.in_exec {
        return visit.reply().ok();
    }
    let now = visit.core.now.mono;
    let until = Some(now.plus(Duration::from_secs_f64(seconds)));
    visit.clients.blocked.add_deadline(visit.session.conn, until);
    visit.session.waiting = Some(Box::new(Waiting { what: What::Sleep, until }));
}
