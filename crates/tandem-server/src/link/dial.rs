//! When and where node B dials.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::thread;
use std::time::Duration;

use tandem_types::Monotonic;

use super::backoff::Backoff;
use crate::inbox::{Mail, Outbox};

/// A link that lasted this long was no failure.
pub(super) const LASTED: Duration = Duration::from_secs(3);

/// The dialling side.
pub(crate) struct Dial {
    host: String,
    port: u16,
    outbox: Outbox,
    backoff: Backoff,
    /// When to dial next; `None` while a name is looked up.
    at: Option<Monotonic>,
    /// Addresses still to try, of a name.
    found: Vec<SocketAddr>,
}

impl Dial {
    pub(crate) fn new(host: String, port: u16, outbox: Outbox) -> Self {
        Self { host, port, outbox, backoff: Backoff::default(), at: None, found: Vec::new() }
    }

    /// Dial now.
    pub(crate) const fn at_once(&mut self, now: Monotonic) {
        self.at = Some(now);
    }

    /// When [`Self::next`] has something to do.
    pub(crate) const fn due(&self) -> Option<Monotonic> {
        self.at
    }

    /// The address to dial now, if it is time and known.
    pub(crate) fn next(&mut self, now: Monotonic) -> Option<SocketAddr> {
        if self.at? > now {
            return None;
        }
        let address = match self.host.parse::<IpAddr>() {
            Ok(ip) => Some(SocketAddr::new(ip, self.port)),
            Err(_) => self.found.pop(),
        };
        // Whatever comes of it says when to dial again; this is for the case that nothing does.
        self.at = address.map(|_| now.plus(LASTED));
        if address.is_none() {
            self.look_up();
        }
        address
    }

    /// A name was looked up.
    pub(crate) fn resolved(&mut self, found: Result<Vec<SocketAddr>, String>, now: Monotonic) {
        match found {
            Ok(found) if !found.is_empty() => {
                self.found = found;
                self.at = Some(now);
            }
            Ok(_) => self.failed(now),
            Err(error) => {
                tracing::warn!("look up the peer's name {}: {error}", self.host);
                self.failed(now);
            }
        }
    }

    /// The connection did not come up.
    pub(crate) fn failed(&mut self, now: Monotonic) {
        self.at = Some(now.plus(self.backoff.failed()));
    }

    /// The connection was up from `since` on and is lost.
    pub(crate) fn lost(&mut self, since: Monotonic, now: Monotonic) {
        if now.since(since) >= LASTED {
            self.backoff.succeeded();
        }
        self.failed(now);
    }

    /// Looks the name up on a thread of its own: it may take seconds.
    fn look_up(&self) {
        let (host, port, outbox) = (self.host.clone(), self.port, self.outbox.clone());
        let job = move || {
            let found = (host.as_str(), port).to_socket_addrs();
            let found = found.map(Iterator::collect).map_err(|error| error.to_string());
            // The data thread may be gone.
            outbox.send(Mail::PeerFound(found)).ok();
        };
        if let Err(error) = thread::Builder::new().name("name-lookup".to_owned()).spawn(job) {
            let failed = Mail::PeerFound(Err(error.to_string()));
            self.outbox.send(failed).ok();
        }
    }
}
