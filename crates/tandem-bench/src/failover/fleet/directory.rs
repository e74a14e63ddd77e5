//! Where the primary is, as the Sentinels say: what a Sentinel-aware client library knows.
//!
//! Per Sentinel one thread that listens for `+switch-master`, as go-redis, Jedis, Lettuce and node-redis
//! do, and one that asks for the address while some client has lost its server.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mio::Waker;
use tandem_resp::Value;

use crate::failover::ask::Asker;

/// The name that every Sentinel-aware client starts with.
pub(in crate::failover) const MASTER_NAME: &str = "mymaster";
/// A Sentinel that takes longer is asked anew.
const ANSWER_TIME_MAX: Duration = Duration::from_millis(250);
/// Between two questions while a client has no server, and between two tries to reach a Sentinel.
const ASK_EVERY: Duration = Duration::from_millis(10);

/// What the threads share with the clients.
pub(super) struct Directory {
    answers: Mutex<Vec<Option<Answer>>>,
    /// Some client has lost its server.
    wanted: AtomicBool,
    stop: AtomicBool,
    waker: Waker,
}

/// What all Sentinels together say.
pub(super) struct News {
    /// Where the primary may be, the latest answer first.
    pub(super) addresses: Vec<SocketAddr>,
    /// When that answer was new.
    pub(super) since: Option<Instant>,
}

/// What one Sentinel last said.
#[derive(Clone, Copy, Debug)]
struct Answer {
    primary: SocketAddr,
    /// Since when it says so.
    since: Instant,
}

impl Directory {
    /// Starts asking; `waker` is woken at news.
    pub(super) fn start(
        sentinels: &[SocketAddr],
        waker: Waker,
    ) -> (Arc<Self>, Vec<JoinHandle<()>>) {
        let directory = Arc::new(Self {
            answers: Mutex::new(vec![None; sentinels.len()]),
            wanted: AtomicBool::new(true),
            stop: AtomicBool::new(false),
            waker,
        });
        let mut threads = Vec::new();
        for (index, &sentinel) in sentinels.iter().enumerate() {
            let shared = Arc::clone(&directory);
            threads.push(thread::spawn(move || shared.keep(index, sentinel, Self::listen)));
            let shared = Arc::clone(&directory);
            threads.push(thread::spawn(move || shared.keep(index, sentinel, Self::inquire)));
        }
        (directory, threads)
    }

    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Says whether a client is without a server.
    pub(super) fn set_wanted(&self, wanted: bool) {
        self.wanted.store(wanted, Ordering::Relaxed);
    }

    /// The addresses to try, the latest news first, and since when that is known.
    pub(super) fn news(&self) -> News {
        let mut answers: Vec<Answer> = self.answers().iter().flatten().copied().collect();
        answers.sort_by_key(|answer| std::cmp::Reverse(answer.since));
        let mut news = News { since: answers.first().map(|it| it.since), addresses: Vec::new() };
        for answer in answers {
            if !news.addresses.contains(&answer.primary) {
                news.addresses.push(answer.primary);
            }
        }
        news
    }

    fn answers(&self) -> MutexGuard<'_, Vec<Option<Answer>>> {
        // Plain values, whole also if a holder panicked.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn heard(&self, index: usize, primary: SocketAddr) {
        let mut answers = self.answers();
        let Some(answer) = answers.get_mut(index) else { return };
        if answer.is_none_or(|known| known.primary != primary) {
            *answer = Some(Answer { primary, since: Instant::now() });
            drop(answers);
            // Without it the clients notice a little later.
            self.waker.wake().ok();
        }
    }

    /// Does `work` again and again, each time on a new connection: a Sentinel may be gone for a while.
    fn keep(
        &self,
        index: usize,
        sentinel: SocketAddr,
        work: fn(&Self, usize, &mut Asker) -> anyhow::Result<()>,
    ) {
        while !self.stopped() {
            if let Ok(mut asker) = Asker::connect(sentinel, ANSWER_TIME_MAX) {
                // It ends only by an error: the Sentinel is gone or frozen.
                work(self, index, &mut asker).ok();
            }
            thread::sleep(ASK_EVERY);
        }
    }

    fn listen(&self, index: usize, asker: &mut Asker) -> anyhow::Result<()> {
        asker.ask(&["SUBSCRIBE", "+switch-master"])?;
        while !self.stopped() {
            // Silence is usual here; a Sentinel that has gone closes the connection or does not answer
            // this, which is what a library's keep-alive is for.
            let message = match asker.reply() {
                Ok(message) => message,
                Err(error) if is_silence(&error) => asker.ask(&["PING"])?,
                Err(error) => return Err(error),
            };
            if let Some(primary) = switched_to(&message) {
                self.heard(index, primary);
            }
        }
        Ok(())
    }

    fn inquire(&self, index: usize, asker: &mut Asker) -> anyhow::Result<()> {
        while !self.stopped() {
            if self.wanted.load(Ordering::Relaxed) {
                let reply = asker.ask(&["SENTINEL", "get-master-addr-by-name", MASTER_NAME])?;
                let parts = reply.as_list().context("no address")?;
                let [host, port] = parts else { anyhow::bail!("no address") };
                self.heard(index, address(host, port).context("no address")?);
            }
            thread::sleep(ASK_EVERY);
        }
        Ok(())
    }
}

fn is_silence(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|error| {
        matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
    })
}

fn address(host: &Value, port: &Value) -> Option<SocketAddr> {
    format!("{}:{}", host.as_str()?, port.as_str()?).parse().ok()
}

/// The new address in a message "NAME OLDHOST OLDPORT NEWHOST NEWPORT".
fn switched_to(message: &Value) -> Option<SocketAddr> {
    let [kind, _channel, text] = message.as_list()? else { return None };
    if kind.as_str()? != "message" {
        return None;
    }
    let words: Vec<&str> = text.as_str()?.split(' ').collect();
    let [name, _, _, host, port] = words.as_slice() else { return None };
    (*name == MASTER_NAME).then(|| format!("{host}:{port}").parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: &str, text: &str) -> Value {
        let parts = [kind, "+switch-master", text];
        Value::Array(parts.map(|part| Value::Bulk(part.as_bytes().to_vec())).to_vec())
    }

    #[test]
    fn only_a_message_about_our_primary_tells_its_new_address() {
        let text = "mymaster 127.0.0.1 1 127.0.0.1 2";
        let told = switched_to(&message("message", text));
        assert_eq!(told, Some("127.0.0.1:2".parse().unwrap()));
        assert_eq!(switched_to(&message("subscribe", text)), None);
        assert_eq!(switched_to(&message("message", "other 127.0.0.1 1 127.0.0.1 2")), None);
        assert_eq!(switched_to(&Value::Simple(b"PONG".to_vec())), None);
    }
}
