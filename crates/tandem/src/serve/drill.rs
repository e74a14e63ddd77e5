//! The node's part of a drill: being killed, being cut off.

use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};
use tandem_admin::{DoneView, RefusedView};
use tandem_server::AdminHandle;

use crate::serve::cut::Cut;

/// The answer must leave first.
const KILL_AFTER: Duration = Duration::from_millis(20);
/// Longer would be no drill.
const ISOLATION_TIME_MAX: Duration = Duration::from_mins(10);

/// Ends this process as `kill -9` does, just after the answer.
pub(crate) fn kill_soon() -> DoneView {
    let pid = getpid();
    tracing::warn!("a drill kills this process");
    thread::spawn(move || {
        thread::sleep(KILL_AFTER);
        if let Err(error) = kill_process(pid, Signal::KILL) {
            tracing::error!("the drill could not kill this process: {error}");
        }
    });
    DoneView {
        message: format!("process {} is killed", pid.as_raw_nonzero()),
        ..DoneView::default()
    }
}

/// Cuts the node off from peer and mediator for a while.
pub(crate) fn isolate(
    admin: &AdminHandle,
    cut: &Cut,
    millis: u64,
) -> Result<DoneView, RefusedView> {
    let time = Duration::from_millis(millis);
    if time.is_zero() || time > ISOLATION_TIME_MAX {
        return Err(RefusedView {
            what: "no drill was done".to_owned(),
            why: format!("{millis} ms is no time for it"),
            todo: format!("give 1 to {} ms", ISOLATION_TIME_MAX.as_millis()),
            ..RefusedView::default()
        });
    }
    cut.cut(time);
    if admin.isolate(time).is_err() {
        return Err(RefusedView {
            what: "no drill was done".to_owned(),
            why: "the node is shutting down".to_owned(),
            ..RefusedView::default()
        });
    }
    let message = format!("no link and no mediator for {millis} ms");
    Ok(DoneView { message, ..DoneView::default() })
}
