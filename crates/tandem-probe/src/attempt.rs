//! One attempt: a sign of life, a write, the same value read back; and what each way to fail means.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use tandem_resp::{Value, parse_u64, write_request};
use tandem_switch::{OwnTrouble, Probed};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::{Instant, timeout, timeout_at};

use crate::connection::{ConnectError, Connection, refuses_certificate};
use crate::{Input, ProberSettings};

/// Connections that wait for the next attempt.
const IDLE_MAX: usize = 2;
/// Without `slow_after`: after so many times the silence that counts, an answer is not waited for.
const WAITS: u32 = 3;

/// Makes attempts.
#[derive(Clone)]
pub(crate) struct Attempts {
    settings: Arc<ProberSettings>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Attempts {
    pub(crate) fn new(settings: ProberSettings) -> Self {
        Self { settings: Arc::new(settings), idle: Arc::default() }
    }

    pub(crate) fn settings(&self) -> &ProberSettings {
        &self.settings
    }

    /// Begins attempt `number`; how it ends goes to `ended`. What `oldest` or a later one wrote may be read.
    pub(crate) fn begin(&self, number: u64, oldest: u64, ended: UnboundedSender<Input>) {
        let attempts = self.clone();
        tokio::spawn(async move {
            let probed = attempts.run(number, oldest).await;
            // The prober may have ended.
            ended.send(Input::Ended { number, probed }).ok();
        });
    }

    async fn run(&self, number: u64, oldest: u64) -> Probed {
        let begun = Instant::now();
        if let Some(connection) = self.take_idle()
            && let Some(probed) = self.talk(connection, begun, number, oldest).await
        {
            return probed;
        }
        // No idle connection, or it was closed meanwhile: what a new one gives counts.
        let opened = timeout_at(begun + self.settings.silence, Connection::open(&self.settings));
        match opened.await {
            Err(_) => Probed::Silent,
            Ok(Err(error)) => of_connecting(&error),
            Ok(Ok(connection)) => {
                self.talk(connection, begun, number, oldest).await.unwrap_or(Probed::Refused)
            }
        }
    }

    /// `None`: the connection was closed before anything was answered.
    async fn talk(
        &self,
        mut connection: Connection,
        begun: Instant,
        number: u64,
        oldest: u64,
    ) -> Option<Probed> {
        let sign = async {
            connection.send(&sign_of_life()).await?;
            connection.reply().await
        };
        match timeout_at(begun + self.settings.silence, sign).await {
            Err(_) => return Some(Probed::Silent),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                return Some(of_socket(&error));
            }
            Ok(Err(_)) => return None,
            Ok(Ok(Value::Error(text))) => return Some(of_error(&text)),
            Ok(Ok(_)) => {}
        }
        let patience = self.settings.slow_after.unwrap_or(self.settings.silence * WAITS);
        let answered = timeout(
            patience.saturating_sub(begun.elapsed()),
            self.answers(&mut connection, number, oldest),
        );
        let probed = match answered.await {
            Err(_) if self.settings.slow_after.is_some() => Probed::Slow,
            // It lives, and slowness does not count.
            Err(_) => return Some(answered_in(begun.elapsed(), false)),
            Ok(Err(error)) if error.kind() == io::ErrorKind::InvalidData => of_socket(&error),
            Ok(Err(_)) => Probed::Refused,
            Ok(Ok(None)) => answered_in(begun.elapsed(), self.settings.write),
            Ok(Ok(Some(failure))) => failure,
        };
        if let Probed::Answered { .. } = probed {
            self.give_back(connection);
        }
        Some(probed)
    }

    fn request(&self, number: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.settings.write {
            let value = format!("{:016x}-{number}", self.settings.nonce);
            write_request(&mut bytes, &[b"TANDEM.PROBESET", value.as_bytes()]);
        }
        write_request(&mut bytes, &[b"TANDEM.PROBEGET"]);
        bytes
    }

    /// Asks, and reads what comes; `None`: all is as it should be.
    async fn answers(
        &self,
        connection: &mut Connection,
        number: u64,
        oldest: u64,
    ) -> io::Result<Option<Probed>> {
        connection.send(&self.request(number)).await?;
        if self.settings.write {
            match connection.reply().await? {
                Value::Error(text) => return Ok(Some(of_error(&text))),
                Value::Simple(text) if text == b"OK" => {}
                _ => return Ok(Some(Probed::Wrong)),
            }
        }
        Ok(match connection.reply().await? {
            Value::Error(text) => Some(of_error(&text)),
            Value::Bulk(value) if !self.settings.write || self.is_ours(&value, oldest) => None,
            _ => Some(Probed::Wrong),
        })
    }

    /// Attempts overlap: what another one wrote meanwhile is as good, what was written before is not.
    fn is_ours(&self, value: &[u8], oldest: u64) -> bool {
        let nonce = format!("{:016x}-", self.settings.nonce);
        let number = value.strip_prefix(nonce.as_bytes()).and_then(parse_u64);
        number.is_some_and(|number| number >= oldest)
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }
}

/// Answered at once, if it is asked alone: what is asked together is answered together, when the last of it
/// is safe. `CLIENT` is also what a pause of the clients does not hold.
fn sign_of_life() -> Vec<u8> {
    let mut bytes = Vec::new();
    write_request(&mut bytes, &[b"CLIENT", b"ID"]);
    bytes
}

const fn answered_in(round_trip: Duration, wrote: bool) -> Probed {
    Probed::Answered { round_trip, wrote }
}

/// What a failure to connect says: of the primary, or of this node.
fn of_connecting(error: &ConnectError) -> Probed {
    match error {
        ConnectError::Socket(error) => of_socket(error),
        ConnectError::Handshake(error) => {
            tracing::warn!("the primary's certificate: {error}");
            Probed::Unsure(OwnTrouble::Login)
        }
        ConnectError::Login(text) => match of_error(text.as_bytes()) {
            Probed::Error => {
                tracing::warn!("the primary does not accept the password: {text}");
                Probed::Unsure(OwnTrouble::Login)
            }
            other => other,
        },
    }
}

fn of_socket(error: &io::Error) -> Probed {
    if refuses_certificate(error) {
        tracing::warn!("the primary does not accept this node's certificate: {error}");
        return Probed::Unsure(OwnTrouble::Login);
    }
    match Errno::from_io_error(error) {
        // No route: this node's own interface is down. No socket: this node's own limit.
        Some(
            Errno::NETUNREACH
            | Errno::NETDOWN
            | Errno::ADDRNOTAVAIL
            | Errno::MFILE
            | Errno::NFILE
            | Errno::NOBUFS
            | Errno::NOMEM
            | Errno::PERM
            | Errno::ACCESS,
        ) => Probed::Unsure(OwnTrouble::Network),
        // Nobody on the wire answers for that address.
        Some(Errno::HOSTUNREACH | Errno::TIMEDOUT | Errno::HOSTDOWN) => Probed::Silent,
        Some(_) => Probed::Refused,
        None if error.kind() == io::ErrorKind::UnexpectedEof => Probed::Refused,
        None if error.kind() == io::ErrorKind::InvalidData => Probed::Wrong,
        // The name is not known here.
        None => Probed::Unsure(OwnTrouble::Network),
    }
}

fn of_error(text: &[u8]) -> Probed {
    let starts = |word: &str| text.starts_with(word.as_bytes());
    if starts("ERR max number of clients") {
        // It lives, and serves others: so many that a switch would only move the crowd.
        return answered_in(Duration::ZERO, false);
    }
    if starts("NOAUTH") || starts("WRONGPASS") || starts("DENIED") || starts("NOPERM") {
        return Probed::Unsure(OwnTrouble::Login);
    }
    Probed::Error
}

#[cfg(test)]
mod tests {
    mod certificates;

    use super::*;

    #[test]
    fn what_is_this_nodes_own_trouble_says_nothing_of_the_primary() {
        let own = |errno: Errno| of_socket(&io::Error::from(errno));
        for (errno, want) in [
            (Errno::CONNREFUSED, Probed::Refused),
            (Errno::CONNRESET, Probed::Refused),
            (Errno::HOSTUNREACH, Probed::Silent),
            (Errno::NETUNREACH, Probed::Unsure(OwnTrouble::Network)),
            (Errno::MFILE, Probed::Unsure(OwnTrouble::Network)),
        ] {
            assert_eq!(own(errno), want, "{errno:?}");
        }
        for (text, want) in [
            ("NOREPLICAS Not enough good replicas", Probed::Error),
            ("MISCONF disk", Probed::Error),
            ("LOADING", Probed::Error),
            ("WRONGPASS invalid", Probed::Unsure(OwnTrouble::Login)),
            ("NOAUTH Authentication required.", Probed::Unsure(OwnTrouble::Login)),
            ("ERR max number of clients reached", answered_in(Duration::ZERO, false)),
        ] {
            assert_eq!(of_error(text.as_bytes()), want, "{text}");
        }
    }
}
