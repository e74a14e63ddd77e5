//! A light load that knows what was acknowledged, and so can tell what was lost.
//!
//! Each writer counts up a key of its own. The number it was last told is acknowledged; if it ever finds a
//! lower one, the difference was lost. The longest time in which no writer was acknowledged anything is
//! the pause that a switch costs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::probe::resp::{Connection, Reply};

/// How the writers behave.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// `host:port` of both nodes' client ports.
    pub(crate) addresses: [String; 2],
    /// What their keys begin with; a number follows.
    pub(crate) key_prefix: String,
    /// How many write at once.
    pub(crate) writers: u64,
    /// Between two writes of one writer.
    pub(crate) pause: Duration,
    /// Before trying the other node.
    pub(crate) retry_pause: Duration,
    /// A reply that takes longer is given up.
    pub(crate) answer_time_max: Duration,
    /// What the nodes ask for.
    pub(crate) password: Option<String>,
    /// Every other writer begins at the second node: both accept writes.
    pub(crate) both_sides: bool,
    /// Remove the keys at the end.
    pub(crate) clean_up: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Receipt {
    /// Acknowledged writes.
    pub(crate) acknowledged: u64,
    /// Of these, gone.
    pub(crate) lost: u64,
    /// Writers whose last value could not be read back: nothing is known of them.
    pub(crate) unverified: u64,
}

#[derive(Debug)]
struct Figures {
    acknowledged: AtomicU64,
    errors: AtomicU64,
    lost: AtomicU64,
    stop: AtomicBool,
    gaps: Mutex<Gaps>,
    last_error: Mutex<String>,
}

/// Times between acknowledgements, all writers together.
#[derive(Debug)]
struct Gaps {
    last: Instant,
    longest: Duration,
}

/// Running writers.
pub(crate) struct Load {
    figures: Arc<Figures>,
    writers: Vec<JoinHandle<bool>>,
}

impl Load {
    pub(crate) fn start(manner: &Manner) -> Self {
        let figures = Arc::new(Figures {
            acknowledged: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            gaps: Mutex::new(Gaps { last: Instant::now(), longest: Duration::ZERO }),
            last_error: Mutex::default(),
        });
        let writers = (0..manner.writers)
            .map(|number| {
                let mut manner = manner.clone();
                if manner.both_sides && number % 2 == 1 {
                    manner.addresses.swap(0, 1);
                }
                let writer = Writer {
                    key: format!("{}{number}", manner.key_prefix),
                    manner,
                    last: 0,
                    figures: Arc::clone(&figures),
                };
                thread::spawn(move || writer.run())
            })
            .collect();
        Self { figures, writers }
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.figures.acknowledged.load(Ordering::Relaxed)
    }

    pub(crate) fn errors(&self) -> u64 {
        self.figures.errors.load(Ordering::Relaxed)
    }

    pub(crate) fn lost(&self) -> u64 {
        self.figures.lost.load(Ordering::Relaxed)
    }

    /// What the writers were last told instead of an acknowledgement.
    pub(crate) fn last_error(&self) -> String {
        self.figures.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The longest time without an acknowledged write since [`Self::forget_gaps`], up to now.
    pub(crate) fn longest_gap(&self) -> Duration {
        let gaps = self.figures.gaps();
        gaps.longest.max(gaps.last.elapsed())
    }

    /// What is longer counts from now on; one that lasts counts whole.
    pub(crate) fn forget_gaps(&self) {
        self.figures.gaps().longest = Duration::ZERO;
    }

    /// How long nothing has been acknowledged until now.
    pub(crate) fn silent_for(&self) -> Duration {
        self.figures.gaps().last.elapsed()
    }

    /// Ends the writers, each after it has read its last value back.
    pub(crate) fn stop(self) -> Receipt {
        self.figures.stop.store(true, Ordering::Relaxed);
        let mut unverified = 0;
        for writer in self.writers {
            // A writer that panicked is already on the terminal.
            let verified = writer.join().unwrap_or(false);
            unverified += u64::from(!verified);
        }
        Receipt {
            acknowledged: self.figures.acknowledged.load(Ordering::Relaxed),
            lost: self.figures.lost.load(Ordering::Relaxed),
            unverified,
        }
    }
}

impl Figures {
    fn gaps(&self) -> std::sync::MutexGuard<'_, Gaps> {
        // Two plain values: whole also if a writer panicked.
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acknowledged(&self) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        let mut gaps = self.gaps();
        gaps.longest = gaps.longest.max(gaps.last.elapsed());
        gaps.last = Instant::now();
    }
}

struct Writer {
    key: String,
    manner: Manner,
    /// The number last acknowledged.
    last: u64,
    figures: Arc<Figures>,
}

/// How often the last value is asked for at the end, over all nodes.
const VERIFY_TRIES: usize = 40;

impl Writer {
    fn run(mut self) -> bool {
        let addresses = self.manner.addresses.clone();
        let mut addresses = addresses.iter().cycle();
        while !self.stopped() {
            let Some(address) = addresses.next() else { break };
            match self.connect(address) {
                Ok(mut connection) => self.write(&mut connection),
                Err(error) => self.trouble(&format!("{address}: {error}")),
            }
            thread::sleep(self.manner.retry_pause);
        }
        self.verify()
    }

    fn connect(&self, address: &str) -> std::io::Result<Connection> {
        Connection::open(address, self.manner.answer_time_max, self.manner.password.as_deref())
    }

    fn stopped(&self) -> bool {
        self.figures.stop.load(Ordering::Relaxed)
    }

    fn trouble(&self, what: &str) {
        let mut last = self.figures.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        what.clone_into(&mut last);
    }

    /// Counts up until the node refuses or is gone.
    fn write(&mut self, connection: &mut Connection) {
        while !self.stopped() {
            let reply = connection.ask(&["INCR", &self.key]);
            let count = match &reply {
                Ok(Reply::Text(text)) => text.parse().ok(),
                Ok(Reply::Nil | Reply::Error(_)) | Err(_) => None,
            };
            let Some(count) = count else {
                if !is_redirection(&reply) {
                    self.trouble(&match &reply {
                        Ok(Reply::Error(text) | Reply::Text(text)) => text.clone(),
                        Ok(Reply::Nil) => "no number".to_owned(),
                        Err(error) => error.to_string(),
                    });
                    if self.last > 0 {
                        self.figures.errors.fetch_add(1, Ordering::Relaxed);
                    }
                }
                return;
            };
            self.acknowledged(count);
            thread::sleep(self.manner.pause);
        }
    }

    fn acknowledged(&mut self, count: u64) {
        // A higher number than expected: a write whose reply never came was done after all.
        self.figures.lost.fetch_add((self.last + 1).saturating_sub(count), Ordering::Relaxed);
        self.figures.acknowledged();
        self.last = count;
    }

    /// Reads the last value back from whoever serves; `false`: nobody told.
    fn verify(&mut self) -> bool {
        if self.last == 0 {
            return true;
        }
        let addresses = self.manner.addresses.clone();
        for address in addresses.iter().cycle().take(VERIFY_TRIES) {
            if let Some(found) = self.read_back(address) {
                self.figures.lost.fetch_add(self.last.saturating_sub(found), Ordering::Relaxed);
                return true;
            }
            thread::sleep(self.manner.retry_pause.max(Duration::from_millis(50)));
        }
        false
    }

    fn read_back(&self, address: &str) -> Option<u64> {
        let mut connection = self.connect(address).ok()?;
        // Only the primary answers this for certain: a replica may be a moment old. It writes nothing new
        // that matters, and is refused by everyone else.
        let found = match connection.ask(&["INCRBY", &self.key, "0"]) {
            Ok(Reply::Text(text)) => text.parse().ok()?,
            _ => return None,
        };
        if self.manner.clean_up {
            // Left behind, it would be an odd key and no more.
            let _removed = connection.ask(&["DEL", &self.key]);
        }
        Some(found)
    }
}

/// A follower's refusal is how the primary is found, not an error that a user would see.
pub(crate) fn is_redirection(reply: &std::io::Result<Reply>) -> bool {
    let Ok(Reply::Error(text)) = reply else { return false };
    ["READONLY", "STANDBY", "NOTPRIMARY", "LOADING"].iter().any(|word| text.starts_with(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> Writer {
        let manner = Manner {
            addresses: ["127.0.0.1:1".to_owned(), "127.0.0.1:2".to_owned()],
            key_prefix: "k".to_owned(),
            writers: 1,
            pause: Duration::ZERO,
            retry_pause: Duration::ZERO,
            answer_time_max: Duration::from_secs(1),
            password: None,
            both_sides: false,
            clean_up: false,
        };
        let load = Load::start(&Manner { writers: 0, ..manner.clone() });
        Writer { key: "k0".to_owned(), manner, last: 0, figures: Arc::clone(&load.figures) }
    }

    #[test]
    fn a_lower_number_than_acknowledged_is_loss_and_a_higher_one_is_not() {
        let mut writer = writer();
        for (count, lost) in [(1, 0), (2, 0), (5, 0), (4, 2), (5, 2)] {
            writer.acknowledged(count);
            assert_eq!(writer.figures.lost.load(Ordering::Relaxed), lost, "after {count}");
        }
    }

    #[test]
    fn the_longest_pause_counts_also_while_it_lasts() {
        let writer = writer();
        let load = Load { figures: Arc::clone(&writer.figures), writers: Vec::new() };
        load.figures.gaps().longest = Duration::from_secs(9);
        assert_eq!(load.longest_gap(), Duration::from_secs(9));
        load.forget_gaps();
        assert!(load.longest_gap() < Duration::from_secs(3));
        load.figures.gaps().last = Instant::now().checked_sub(Duration::from_secs(3)).unwrap();
        assert!(load.longest_gap() >= Duration::from_secs(3));
    }
}
