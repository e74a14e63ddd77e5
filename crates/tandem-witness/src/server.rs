//! The witness as a process: connections, one task that owns every pair, files.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tandem_switch::RecordState;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use crate::PairSeen;
use crate::frame::{self, Caller, FrameWriter, Keys, Secret};
use crate::keeper::Keeper;
use crate::store::{Store, StoreError};
use crate::wire::{self, Answer, Request};

/// Connections at once: two per pair, and some that are shaking hands.
const CONNECTIONS_MAX: usize = 4096;
/// Time for TLS and the proof.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);
/// A node is silent for longer only if it is gone: it vouches several times per session.
const SILENT_SESSIONS_MAX: u32 = 10;
/// Answers that wait for a connection that does not read.
const ANSWERS_WAITING_MAX: usize = 256;
const SESSION_MIN: Duration = Duration::from_millis(50);
const SESSION_MAX: Duration = Duration::from_hours(1);

/// What a witness is told.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where nodes reach it.
    pub listen: SocketAddr,
    /// Where the records are.
    pub data_dir: PathBuf,
    /// What nodes must know; empty: nothing.
    pub secret: Secret,
    /// Encrypts the port.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// Where Sentinel clients are answered on this machine; nodes pass it on.
    pub sentinel_port: Option<u16>,
}

/// What the witness knows of each pair by its name, for those who tell clients.
pub type Seen = BTreeMap<String, PairSeen>;

/// Why a witness does not run.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The directory cannot be used.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The address is taken or not this machine's.
    #[error("listen for nodes on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// How it failed.
        source: io::Error,
    },
}

/// A witness whose port is open.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    store: Store,
    settings: ServerSettings,
    show: watch::Sender<Seen>,
}

impl Server {
    /// Opens directory and port.
    ///
    /// # Errors
    /// See [`WitnessError`].
    pub async fn open(settings: ServerSettings) -> Result<Self, WitnessError> {
        let store = Store::open(&settings.data_dir)?;
        for reason in store.unreadable().map_err(StoreError::list(&settings.data_dir))? {
            tracing::error!("{reason}");
        }
        let address = settings.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| WitnessError::Listen { address, source })?;
        Ok(Self { listener, store, settings, show: watch::Sender::new(Seen::new()) })
    }

    /// What is known of all pairs that told where they are, now and from now on.
    pub fn seen(&self) -> watch::Receiver<Seen> {
        self.show.subscribe()
    }

    /// Where it listens, with the real port.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves for ever.
    pub async fn run(self) {
        let Self { listener, store, settings, show } = self;
        let (events, inbox) = mpsc::channel(1024);
        tokio::spawn(Witness::new(store, settings.sentinel_port, show).run(inbox));
        let acceptor = settings.tls.clone().map(TlsAcceptor::from);
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut number = 0;
        loop {
            // Never closed, so this cannot fail; ending the loop would be right.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, peer)) => {
                    number += 1;
                    let (acceptor, secret) = (acceptor.clone(), settings.secret.clone());
                    let events = events.clone();
                    tokio::spawn(async move {
                        if let Err(error) = serve(stream, acceptor, secret, number, events).await {
                            tracing::debug!("{peer}: {error}");
                        }
                        drop(place);
                    });
                }
                // Out of file descriptors, or the node has gone: others may still come.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// What the connections tell the one task.
enum Event {
    Came { conn: u64, caller: Caller, answers: mpsc::Sender<(u64, Answer)> },
    Asked { conn: u64, id: u64, request: Request },
    Gone { conn: u64 },
}

async fn serve(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    secret: Secret,
    conn: u64,
    events: mpsc::Sender<Event>,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match acceptor {
        None => talk(stream, secret, conn, events).await,
        Some(acceptor) => {
            let stream = timeout(HANDSHAKE_TIME_MAX, acceptor.accept(stream)).await??;
            talk(stream, secret, conn, events).await
        }
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    mut stream: S,
    secret: Secret,
    conn: u64,
    events: mpsc::Sender<Event>,
) -> io::Result<()> {
    let (caller, keys) =
        timeout(HANDSHAKE_TIME_MAX, frame::welcome(&mut stream, &secret)).await??;
    let silence_max = caller.session.clamp(SESSION_MIN, SESSION_MAX) * SILENT_SESSIONS_MAX;
    let (read, write) = tokio::io::split(stream);
    let (mut reader, writer) = Keys::witness(&keys, read, write);
    let (answers, waiting) = mpsc::channel(ANSWERS_WAITING_MAX);
    let writing = tokio::spawn(write_answers(writer, waiting));
    let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
    events.send(Event::Came { conn, caller, answers }).await.map_err(|_| gone())?;
    let ended = loop {
        let request = match timeout(silence_max, reader.read()).await {
            Ok(Ok(bytes)) => wire::decode_request(&bytes).map_err(io::Error::other),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        match request {
            Ok((id, request)) => {
                events.send(Event::Asked { conn, id, request }).await.map_err(|_| gone())?;
            }
            Err(error) => break error,
        }
        if writing.is_finished() {
            break gone();
        }
    };
    // The task ends with the process only.
    events.send(Event::Gone { conn }).await.map_err(|_| gone())?;
    Err(ended)
}

async fn write_answers<W: AsyncWrite + Unpin>(
    mut writer: FrameWriter<W>,
    mut waiting: mpsc::Receiver<(u64, Answer)>,
) {
    while let Some((id, answer)) = waiting.recv().await {
        if writer.write(&wire::encode_answer(id, &answer)).await.is_err() {
            return;
        }
    }
}

mod change;

/// The one task.
struct Witness {
    store: Store,
    start: Instant,
    pairs: BTreeMap<String, Keeper>,
    conns: BTreeMap<u64, Conn>,
    sentinel_port: Option<u16>,
    show: watch::Sender<Seen>,
    /// Pairs whose last change found no space.
    full: BTreeSet<String>,
}

struct Conn {
    caller: Caller,
    answers: mpsc::Sender<(u64, Answer)>,
    /// Reads that wait until it is known who is absent.
    waiting: Vec<u64>,
}

impl Conn {
    fn answer(&self, id: u64, answer: Answer) {
        // A connection that does not read is as good as gone; its node reads the record again.
        let _sent = self.answers.try_send((id, answer));
    }
}

impl Witness {
    fn new(store: Store, sentinel_port: Option<u16>, show: watch::Sender<Seen>) -> Self {
        let (pairs, conns) = (BTreeMap::new(), BTreeMap::new());
        let full = BTreeSet::new();
        Self { store, start: Instant::now(), pairs, conns, sentinel_port, show, full }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Event>) {
        loop {
            let now = self.now();
            let due = self.pairs.values().filter_map(|pair| pair.deadline(now)).min();
            let wait = async {
                match due {
                    Some(due) => sleep_until(self.start + due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = inbox.recv() => match event {
                    Some(event) => self.handle(event),
                    None => return,
                },
                () = wait => {}
            }
            self.look_at_time();
        }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Came { conn, caller, answers } => self.come(conn, caller, answers),
            Event::Asked { conn, id, request } => self.ask(conn, id, &request),
            Event::Gone { conn } => {
                // Its presence lasts as long as its session: a lost connection proves nothing.
                self.conns.remove(&conn);
            }
        }
    }

    fn come(&mut self, conn: u64, mut caller: Caller, answers: mpsc::Sender<(u64, Answer)>) {
        caller.session = caller.session.clamp(SESSION_MIN, SESSION_MAX);
        let now = self.now();
        if !self.pairs.contains_key(&caller.pair) {
            let record = self.store.read(&caller.pair);
            if let RecordState::Unreadable { reason } = &record {
                tracing::error!("pair {} has no record: {reason}", caller.pair);
            } else {
                tracing::info!("pair {} is known from now on", caller.pair);
            }
            self.pairs.insert(caller.pair.clone(), Keeper::new(record, now, caller.session));
        }
        self.conns.insert(conn, Conn { caller, answers, waiting: Vec::new() });
    }

    fn ask(&mut self, conn: u64, id: u64, request: &Request) {
        let now = self.now();
        let Some(asker) = self.conns.get(&conn) else { return };
        let Caller { pair: name, node, session } = asker.caller.clone();
        self.look_again(&name);
        let Some(asker) = self.conns.get_mut(&conn) else { return };
        let Some(pair) = self.pairs.get_mut(&name) else { return };
        let is_read = matches!(request, Request::Read);
        match request {
            Request::Vouch(presence) => {
                let news = pair.vouch(node, *presence, now + session);
                asker.answer(id, Answer::Renewed);
                if news {
                    self.tell(&name);
                }
            }
            Request::Tell(places) => {
                pair.told(places.clone());
                asker.answer(id, Answer::Told { sentinel_port: self.sentinel_port });
            }
            Request::Leave => {
                if pair.leave(node) {
                    self.tell(&name);
                }
            }
            Request::Read if pair.is_settled(now) => asker.answer(id, Answer::View(pair.view())),
            Request::Read => asker.waiting.push(id),
            Request::Change(change) => {
                let answer = self.change(&name, change);
                let won = matches!(answer, Answer::Won(_));
                if let Some(asker) = self.conns.get(&conn) {
                    asker.answer(id, answer);
                }
                if won {
                    self.tell(&name);
                }
            }
        }
        if !is_read {
            self.show(&name);
        }
    }

    /// Those who tell clients hear of this pair, if something is new.
    fn show(&self, name: &str) {
        let Some(seen) = self.pairs.get(name).and_then(Keeper::seen) else { return };
        self.show.send_if_modified(|known| {
            let news = known.get(name) != Some(&seen);
            if news {
                known.insert(name.to_owned(), seen);
            }
            news
        });
    }

    /// Every node of a pair hears what is known now, if that can be said.
    fn tell(&mut self, name: &str) {
        let now = self.now();
        let Some(pair) = self.pairs.get(name).filter(|pair| pair.is_settled(now)) else { return };
        for conn in self.conns.values_mut().filter(|conn| conn.caller.pair == name) {
            for id in std::mem::take(&mut conn.waiting) {
                conn.answer(id, Answer::View(pair.view()));
            }
            conn.answer(0, Answer::View(pair.view()));
        }
    }

    fn look_at_time(&mut self) {
        let now = self.now();
        let names: Vec<String> = self.pairs.keys().cloned().collect();
        for name in names {
            let Some(pair) = self.pairs.get_mut(&name) else { continue };
            let over = pair.expire(now);
            let settled = pair.is_settled(now);
            let awaited = self
                .conns
                .values()
                .any(|conn| conn.caller.pair == name && !conn.waiting.is_empty());
            if over || (settled && awaited) {
                self.tell(&name);
            }
            if over {
                self.show(&name);
            }
        }
    }
}
