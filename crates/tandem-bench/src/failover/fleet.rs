//! Clients that write all the time and find the primary through the Sentinels: the same script for every
//! system that is measured. One thread and one poll for all of them, so that they leave the processors to
//! the servers.

mod client;
pub(super) mod directory;
mod window;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mio::{Events, Poll, Token, Waker};

use self::client::Client;
pub(super) use self::client::Manner;
use self::directory::Directory;
pub(super) use self::window::Window;
use super::process::wait_until;

/// Everything is looked at no less often.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const WAKER: Token = Token(usize::MAX);

/// Running clients.
pub(super) struct Fleet {
    window: Arc<Mutex<Window>>,
    stop: Arc<AtomicBool>,
    clients: JoinHandle<anyhow::Result<Vec<Vec<u32>>>>,
}

impl Fleet {
    /// Starts the clients; their keys are `prefix` and a number.
    pub(super) fn start(
        manner: Manner,
        sentinels: &[SocketAddr],
        prefix: &str,
    ) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let now = Instant::now();
        let clients = (0..manner.clients).map(|it| Client::new(it, key(prefix, it), now)).collect();
        let window = Arc::new(Mutex::new(Window::new(now)));
        let stop = Arc::new(AtomicBool::new(false));
        let (directory, watchers) = Directory::start(sentinels, waker);
        let run = Run {
            poll,
            clients,
            manner,
            directory,
            watchers,
            window: Arc::clone(&window),
            stop: Arc::clone(&stop),
        };
        Ok(Self { window, stop, clients: thread::spawn(move || run.run()) })
    }

    /// What was seen since the last mark.
    pub(super) fn window(&self) -> Window {
        lock(&self.window).clone()
    }

    /// Everything counts from now on.
    pub(super) fn mark(&self) -> Instant {
        let now = Instant::now();
        *lock(&self.window) = Window::new(now);
        now
    }

    /// Waits until this many more writes are acknowledged.
    pub(super) fn wait_for(&self, writes: u64, longest: Duration) -> anyhow::Result<()> {
        let want = self.window().acknowledged + writes;
        wait_until("the clients' writes are acknowledged", longest, || {
            let seen = self.window();
            anyhow::ensure!(seen.acknowledged >= want, "{seen:?}");
            Ok(())
        })
    }

    /// Ends the clients; returns the numbers that each was acknowledged.
    pub(super) fn stop(self) -> anyhow::Result<Vec<Vec<u32>>> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.join().map_err(|_| anyhow::anyhow!("the clients' thread panicked"))?
    }
}

/// The key of a client.
pub(super) fn key(prefix: &str, client: usize) -> String {
    format!("{prefix}:{client}")
}

fn lock(window: &Mutex<Window>) -> MutexGuard<'_, Window> {
    // Counters only: whole also if a holder panicked.
    window.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread of all clients.
struct Run {
    poll: Poll,
    clients: Vec<Client>,
    manner: Manner,
    directory: Arc<Directory>,
    watchers: Vec<JoinHandle<()>>,
    window: Arc<Mutex<Window>>,
    stop: Arc<AtomicBool>,
}

impl Run {
    fn run(mut self) -> anyhow::Result<Vec<Vec<u32>>> {
        let mut events = Events::with_capacity(256);
        while !self.stop.load(Ordering::Relaxed) {
            let wake_at = self.tend();
            let wait = wake_at.saturating_duration_since(Instant::now()).min(LOOK_EVERY);
            // Rounded up to whole milliseconds by the system call: a shorter wait would spin.
            self.poll.poll(&mut events, Some(wait.max(Duration::from_millis(1))))?;
            let now = Instant::now();
            let mut window = lock(&self.window);
            for event in &events {
                if event.token() == WAKER {
                    continue;
                }
                let Token(number) = event.token();
                let place = if number < client::LEFT { number } else { number - client::LEFT };
                let client = self.clients.get_mut(place).context("unknown token")?;
                if place == number {
                    client.ready(now, self.manner.rest, &mut window);
                } else {
                    client.left_ready(now, &mut window);
                }
            }
        }
        self.directory.stop();
        for watcher in self.watchers {
            // A panic there is already on the terminal.
            watcher.join().ok();
        }
        Ok(self.clients.into_iter().map(|client| client.acknowledged).collect())
    }

    /// Does what is due; returns when something is due again.
    fn tend(&mut self) -> Instant {
        let now = Instant::now();
        let news = self.directory.news();
        let mut window = lock(&self.window);
        let mut wake_at = now + LOOK_EVERY;
        for client in &mut self.clients {
            let registry = self.poll.registry();
            let due = client.tend(now, &self.manner, &news, registry, &mut window);
            wake_at = due.map_or(wake_at, |due| wake_at.min(due));
        }
        self.directory.set_wanted(!self.clients.iter().all(Client::is_connected));
        wake_at
    }
}
