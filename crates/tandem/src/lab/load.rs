//! The clients: they know both addresses, follow whoever serves, and write down what became of each write.
//!
//! Every write has a key and a value of its own; every fourth counts up one counter that all share. A write
//! whose answer never came is not tried again: a real client could not know either. What they wrote down is
//! judged by [`super::audit`].

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::probe::{Connection, Reply, is_redirection};

/// Clients that write: every other one begins at the second node.
pub(crate) const WRITERS: usize = 4;
/// An answer that takes longer is given up, and the other address tried.
pub(crate) const ANSWER_TIME_MAX: Duration = Duration::from_millis(500);
/// The shortest and the longest time between two requests of one client. They vary, as people's do: a node that
/// ends its connections in a planned change does so some milliseconds after an answer, and clients that all
/// rest for just as long would meet that end every time.
pub(crate) const REST_MS: [u64; 2] = [5, 25];
/// Before the other address is tried.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// A client whose last answer is younger than this is being served.
const SERVED: Duration = Duration::from_millis(250);
/// One write in so many counts up.
const COUNT_EVERY: usize = 4;
/// What all of them count up.
pub(crate) const COUNTER: &str = "lab:counter";
/// What the reader reads.
const READ_KEY: &str = COUNTER;

/// What became of a write.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// The client was told that it is done.
    Acknowledged,
    /// The client was told that it is not done, and never will be.
    Refused,
    /// No answer, or one that says that nobody knows.
    Unknown,
}

/// What one writer knows in the end: the outcome of its writes, by number.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    pub(crate) writer: usize,
    pub(crate) writes: Vec<Outcome>,
    /// Failed requests that an application would see: not those that only say who is primary.
    pub(crate) errors: u64,
}

impl Journal {
    /// Key and value of a write.
    pub(crate) fn key(writer: usize, number: usize) -> String {
        format!("lab:{writer}:{number}")
    }

    /// The value that belongs to [`Self::key`].
    pub(crate) fn value(writer: usize, number: usize) -> String {
        format!("v{writer}.{number}")
    }

    /// Whether that write counts up instead of writing a key.
    pub(crate) const fn counts(number: usize) -> bool {
        number % COUNT_EVERY == COUNT_EVERY - 1
    }
}

/// Answers of one client over time.
#[derive(Debug)]
struct Pulse {
    answered: AtomicU64,
    gaps: Mutex<(Instant, Duration)>,
}

impl Pulse {
    fn new() -> Self {
        Self { answered: AtomicU64::new(0), gaps: Mutex::new((Instant::now(), Duration::ZERO)) }
    }

    fn beat(&self) {
        let mut gaps = self.gaps();
        let (last, longest) = *gaps;
        *gaps = (Instant::now(), longest.max(last.elapsed()));
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn gaps(&self) -> std::sync::MutexGuard<'_, (Instant, Duration)> {
        // Two plain values: whole also if a client panicked.
        self.gaps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn silent_for(&self) -> Duration {
        self.gaps().0.elapsed()
    }

    fn longest(&self) -> Duration {
        let (last, longest) = *self.gaps();
        longest.max(last.elapsed())
    }
}

/// Running clients.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    parted: Arc<AtomicBool>,
    pulses: Vec<Arc<Pulse>>,
    reads: Arc<Pulse>,
    writers: Vec<JoinHandle<Journal>>,
    reader: JoinHandle<()>,
}

impl Load {
    /// Starts the clients; those that begin at one place only begin at `first`.
    pub(crate) fn start(addresses: &[String; 2], first: usize, both_sides: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let parted = Arc::new(AtomicBool::new(false));
        let (mut pulses, mut writers) = (Vec::new(), Vec::new());
        let way = |begin: usize, side: usize| Way {
            addresses: addresses.clone(),
            at: begin,
            side,
            parted: Arc::clone(&parted),
        };
        for number in 0..WRITERS {
            let pulse = Arc::new(Pulse::new());
            let begin = if both_sides { number % 2 } else { first };
            let journal = Journal { writer: number, ..Journal::default() };
            let writer = Writer {
                way: way(begin, if number % 2 == 0 { first } else { 1 - first }),
                stop: Arc::clone(&stop),
                pulse: Arc::clone(&pulse),
                journal,
            };
            pulses.push(pulse);
            writers.push(thread::spawn(move || writer.run()));
        }
        let reads = Arc::new(Pulse::new());
        let (mut read_way, pulse, ended) =
            (way(first, first), Arc::clone(&reads), Arc::clone(&stop));
        let reader = thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                read(&mut read_way, &pulse, &ended);
                read_way.other();
            }
        });
        Self { stop, parted, pulses, reads, writers, reader }
    }

    /// Every client has been served so many times, and is being served.
    pub(crate) fn flows(&self, times: u64) -> bool {
        self.pulses.iter().chain([&self.reads]).all(|pulse| {
            pulse.answered.load(Ordering::Relaxed) >= times && pulse.silent_for() < SERVED
        })
    }

    /// Half of the clients reach only the first node from now on, half only the other; or all reach both.
    pub(crate) fn part(&self, parted: bool) {
        self.parted.store(parted, Ordering::Relaxed);
    }

    /// How long some writer has not been acknowledged anything.
    pub(crate) fn longest_silence(&self) -> Duration {
        self.pulses.iter().map(|pulse| pulse.silent_for()).max().unwrap_or_default()
    }

    /// How long no writer has been acknowledged anything.
    pub(crate) fn silent_for(&self) -> Duration {
        self.pulses.iter().map(|pulse| pulse.silent_for()).min().unwrap_or_default()
    }

    /// What is longer counts from now on; a time without an answer that lasts counts whole.
    pub(crate) fn forget_gaps(&self) {
        for pulse in self.pulses.iter().chain([&self.reads]) {
            pulse.gaps().1 = Duration::ZERO;
        }
    }

    /// The longest time that any one writer waited for an acknowledgement.
    pub(crate) fn longest_without_writes(&self) -> Duration {
        self.pulses.iter().map(|pulse| pulse.longest()).max().unwrap_or_default()
    }

    /// The longest time that the reader waited for an answer.
    pub(crate) fn longest_without_reads(&self) -> Duration {
        self.reads.longest()
    }

    /// Ends the clients.
    pub(crate) fn stop(self) -> Vec<Journal> {
        self.stop.store(true, Ordering::Relaxed);
        // One that panicked is on the terminal, and the whole process ends.
        let _ended = self.reader.join();
        self.writers.into_iter().filter_map(|writer| writer.join().ok()).collect()
    }
}

/// The addresses, and which of them is tried next.
struct Way {
    addresses: [String; 2],
    at: usize,
    /// The only node that is reached while the sites are parted.
    side: usize,
    parted: Arc<AtomicBool>,
}

impl Way {
    fn open(&mut self) -> std::io::Result<Connection> {
        if self.is_parted() {
            self.at = self.side;
        }
        let address = self.addresses.get(self.at).map_or("", String::as_str);
        Connection::open(address, ANSWER_TIME_MAX, None)
    }

    /// Whether the node it has a connection to is out of reach.
    fn is_parted(&self) -> bool {
        self.at != self.side && self.parted.load(Ordering::Relaxed)
    }

    fn other(&mut self) {
        self.at = 1 - self.at;
        thread::sleep(RETRY_PAUSE);
    }
}

struct Writer {
    way: Way,
    stop: Arc<AtomicBool>,
    pulse: Arc<Pulse>,
    journal: Journal,
}

impl Writer {
    fn run(mut self) -> Journal {
        while !self.stopped() {
            if let Ok(mut connection) = self.way.open() {
                // As libraries do: a connection that was ended at rest is not used any more, and no error.
                while self.may_go_on(&connection) && self.write(&mut connection) {
                    thread::sleep(rest(self.journal.writer, self.journal.writes.len()));
                }
            }
            self.way.other();
        }
        self.journal
    }

    fn may_go_on(&self, connection: &Connection) -> bool {
        !self.stopped() && !self.way.is_parted() && connection.is_open()
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// One write; whether this node is the one to go on with.
    fn write(&mut self, connection: &mut Connection) -> bool {
        let (writer, number) = (self.journal.writer, self.journal.writes.len());
        let reply = if Journal::counts(number) {
            connection.ask(&["INCR", COUNTER])
        } else {
            let (key, value) = (Journal::key(writer, number), Journal::value(writer, number));
            connection.ask(&["SET", &key, &value])
        };
        let outcome = outcome(&reply);
        self.journal.writes.push(outcome);
        if outcome == Outcome::Acknowledged {
            self.pulse.beat();
            return true;
        }
        if !is_redirection(&reply) {
            self.journal.errors += 1;
        }
        false
    }
}

/// How long a client rests after its request of this number.
fn rest(client: usize, number: usize) -> Duration {
    let [shortest, longest] = REST_MS;
    // Steps that have no common divisor with the range go through all of it.
    let step = u64::try_from(number * 8 + client * 5).unwrap_or_default();
    Duration::from_millis(shortest + step % (longest - shortest + 1))
}

/// Whether a reply says that the write is done, that it is not, or neither.
fn outcome(reply: &std::io::Result<Reply>) -> Outcome {
    match reply {
        Ok(Reply::Text(_)) => Outcome::Acknowledged,
        Ok(Reply::Error(text)) if text.starts_with("UNKNOWNRESULT") => Outcome::Unknown,
        Ok(Reply::Error(_) | Reply::Nil) => Outcome::Refused,
        Err(_) => Outcome::Unknown,
    }
}

/// Reads until this node is not the one to go on with.
fn read(way: &mut Way, pulse: &Pulse, stop: &AtomicBool) {
    let Ok(mut connection) = way.open() else { return };
    while !stop.load(Ordering::Relaxed) && !way.is_parted() && connection.is_open() {
        match connection.ask(&["GET", READ_KEY]) {
            // There may be nothing yet: that is an answer too.
            Ok(Reply::Text(_) | Reply::Nil) => pulse.beat(),
            Ok(Reply::Error(_)) | Err(_) => return,
        }
        thread::sleep(rest(
            0,
            usize::try_from(pulse.answered.load(Ordering::Relaxed)).unwrap_or(0),
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reply_that_says_so_is_an_acknowledgement_and_silence_is_neither() {
        let error = |text: &str| Ok(Reply::Error(text.to_owned()));
        for (reply, want) in [
            (Ok(Reply::Text("OK".to_owned())), Outcome::Acknowledged),
            (error("STANDBY this node does not serve clients"), Outcome::Refused),
            (error("NOREPLICAS not now"), Outcome::Refused),
            (error("UNKNOWNRESULT it may be done"), Outcome::Unknown),
            (Err(std::io::ErrorKind::TimedOut.into()), Outcome::Unknown),
        ] {
            assert_eq!(outcome(&reply), want, "{reply:?}");
        }
    }

    #[test]
    fn the_client_that_waited_longest_is_what_counts() {
        let pulses: Vec<Arc<Pulse>> = (0..2).map(|_| Arc::new(Pulse::new())).collect();
        pulses[1].gaps().1 = Duration::from_secs(7);
        let load = Load {
            stop: Arc::default(),
            parted: Arc::default(),
            pulses,
            reads: Arc::new(Pulse::new()),
            writers: Vec::new(),
            reader: thread::spawn(|| {}),
        };
        assert_eq!(load.longest_without_writes(), Duration::from_secs(7));
        load.forget_gaps();
        assert!(load.longest_without_writes() < Duration::from_secs(3));
        assert!(!load.flows(1), "nobody was served yet");
    }
}
