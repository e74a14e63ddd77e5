//! A light load that knows what was acknowledged, and so can tell what was lost.
//!
//! Each writer counts up a key of its own. The number it was last told is acknowledged; if it ever finds a
//! lower one, the difference was lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::demo::resp::{Connection, Reply};

const WRITERS: u64 = 8;
/// Between two writes of one writer: some hundred writes per second in all.
const PAUSE: Duration = Duration::from_millis(10);
/// Before trying the other node.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Figures {
    acknowledged: AtomicU64,
    errors: AtomicU64,
    lost: AtomicU64,
    stop: AtomicBool,
}

pub(crate) struct Load {
    figures: Arc<Figures>,
    writers: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(ports: [u16; 2]) -> Self {
        let figures = Arc::new(Figures::default());
        let writers = (0..WRITERS)
            .map(|number| {
                let figures = Arc::clone(&figures);
                thread::spawn(move || Writer::new(number, ports, figures).run())
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

    pub(crate) fn stop(self) {
        self.figures.stop.store(true, Ordering::Relaxed);
        for writer in self.writers {
            // A writer that panicked is already on the terminal.
            let _ended = writer.join();
        }
    }
}

struct Writer {
    key: String,
    ports: [u16; 2],
    /// The number last acknowledged.
    last: u64,
    figures: Arc<Figures>,
}

impl Writer {
    fn new(number: u64, ports: [u16; 2], figures: Arc<Figures>) -> Self {
        Self { key: format!("demo:counter:{number}"), ports, last: 0, figures }
    }

    fn run(mut self) {
        let mut ports = self.ports.into_iter().cycle();
        while !self.stopped() {
            let Some(port) = ports.next() else { return };
            if let Ok(mut connection) = Connection::open(port) {
                self.write(&mut connection);
            }
            thread::sleep(RETRY_PAUSE);
        }
    }

    fn stopped(&self) -> bool {
        self.figures.stop.load(Ordering::Relaxed)
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
                if self.last > 0 && !is_redirection(&reply) {
                    self.figures.errors.fetch_add(1, Ordering::Relaxed);
                }
                return;
            };
            self.acknowledged(count);
            thread::sleep(PAUSE);
        }
    }

    fn acknowledged(&mut self, count: u64) {
        // A higher number than expected: a write whose reply never came was done after all.
        self.figures.lost.fetch_add((self.last + 1).saturating_sub(count), Ordering::Relaxed);
        self.figures.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.last = count;
    }
}

/// A follower's refusal is how the primary is found, not an error that a user would see.
fn is_redirection(reply: &std::io::Result<Reply>) -> bool {
    let Ok(Reply::Error(text)) = reply else { return false };
    ["READONLY", "STANDBY", "NOTPRIMARY", "LOADING"].iter().any(|word| text.starts_with(word))
}
