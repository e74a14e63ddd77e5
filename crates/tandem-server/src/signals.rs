//! SIGTERM and SIGINT end the node in an orderly way, SIGHUP reads the certificates again.

use std::io;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::AdminHandle;

/// Starts a thread that turns signals into mail. A second SIGTERM or SIGINT ends the process at once.
///
/// # Errors
/// The signals are taken (two handlers in one process), or no thread can be made.
pub(crate) fn watch(admin: AdminHandle) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let watch = move || {
        let mut asked = false;
        for signal in &mut signals {
            let sent = if signal == SIGHUP {
                admin.reload_certificates()
            } else if asked {
                signal_hook::low_level::exit(128 + signal);
            } else {
                asked = true;
                tracing::info!("asked to stop by signal {signal}");
                admin.shut_down()
            };
            if sent.is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(watch)?;
    Ok(())
}
