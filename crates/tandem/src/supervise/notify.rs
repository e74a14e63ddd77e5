//! What systemd wants to know (`sd_notify(3)`): ready, alive, stopping.
//!
//! The supervisor is the unit's main process, so `NotifyAccess=main` is enough; it says `WATCHDOG=1` only
//! when the node's data thread has just given a sign of life.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

/// More often than any sensible `WatchdogSec` needs, and not with every beat.
const ALIVE_EVERY: Duration = Duration::from_millis(500);
/// While the data is being read: this much more time to start, said again and again.
const STARTING: &str = "EXTEND_TIMEOUT_USEC=30000000";

/// The way to the service manager; silent without one.
pub(super) struct Notify {
    to: Option<(UnixDatagram, SocketAddr)>,
    ready: bool,
    told: Option<Instant>,
}

impl Notify {
    /// As `$NOTIFY_SOCKET` says.
    pub(super) fn from_environment() -> Self {
        Self::to(std::env::var_os("NOTIFY_SOCKET").as_deref())
    }

    fn to(path: Option<&OsStr>) -> Self {
        let open = |path: &OsStr| -> io::Result<_> {
            let address = match path.as_bytes() {
                [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
                path => SocketAddr::from_pathname(OsStr::from_bytes(path))?,
            };
            let socket = UnixDatagram::unbound()?;
            // A service manager that does not listen must not stop the supervisor.
            socket.set_nonblocking(true)?;
            Ok((socket, address))
        };
        let to = path.and_then(|path| match open(path) {
            Ok(to) => Some(to),
            Err(error) => {
                tracing::warn!("$NOTIFY_SOCKET cannot be used: {error}");
                None
            }
        });
        Self { to, ready: false, told: None }
    }

    /// The node gave a sign of life; `serving`: its data is read.
    pub(super) fn alive(&mut self, serving: bool) {
        if serving && !self.ready {
            self.ready = true;
            self.say("READY=1\nSTATUS=the node runs");
        }
        if self.told.is_some_and(|told| told.elapsed() < ALIVE_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        self.say(if self.ready { "WATCHDOG=1" } else { STARTING });
    }

    pub(super) fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=the node hands over and stops");
    }

    fn say(&self, words: &str) {
        if let Some((socket, address)) = &self.to
            && let Err(error) = socket.send_to_addr(words.as_bytes(), address)
        {
            tracing::debug!("tell the service manager: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 200];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    #[test]
    fn the_service_manager_hears_of_start_life_and_stop_in_that_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut notify = Notify::to(Some(path.as_os_str()));
        notify.alive(false);
        assert_eq!(heard(&manager), STARTING);
        notify.alive(true);
        assert!(heard(&manager).starts_with("READY=1\n"));
        notify.told = None;
        notify.alive(true);
        assert_eq!(heard(&manager), "WATCHDOG=1");
        notify.stopping();
        assert!(heard(&manager).starts_with("STOPPING=1\n"));
        Notify::to(None).stopping();
    }

    #[test]
    fn a_socket_of_the_abstract_name_space_is_found() {
        let name = format!("tandem-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        Notify::to(Some(OsStr::new(&format!("@{name}")))).stopping();
        assert!(heard(&manager).starts_with("STOPPING=1\n"));
    }
}
