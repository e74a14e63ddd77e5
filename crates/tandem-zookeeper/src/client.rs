//! A node's way to the ensemble: one connection at a time, opened again without being asked.

use std::sync::Arc;
use std::time::Duration;

use tandem_switch::{MediatorEvent, MediatorRequest, MediatorView, Outcome, Presence};
use tandem_types::{Monotonic, NodeId};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::connection::{Connection, Login};
use crate::error::Broken;
use crate::pair::Place;
use crate::session::Session;
use crate::view::look;

/// Between two tries; an ensemble that is back is found soon.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LONGEST: Duration = Duration::from_millis(500);

/// What a node knows of its ensemble.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// `host:port` of the members; the first that answers is used.
    pub endpoints: Vec<String>,
    /// The pair's name.
    pub pair: String,
    /// This node.
    pub node: NodeId,
    /// How long a presence lasts.
    pub session: Duration,
    /// Logs in, and keeps others from changing what is the pair's.
    pub login: Option<Login>,
    /// Encrypts the connection.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The node's own clock.
    pub now: fn() -> Monotonic,
}

/// A running client.
#[derive(Debug)]
pub struct Client {
    requests: mpsc::UnboundedSender<MediatorRequest>,
}

type Tell = Box<dyn FnMut(MediatorEvent) + Send>;

impl Client {
    /// Starts it on `runtime`. It ends, after all that was asked is sent, when the client is dropped.
    pub fn start(
        runtime: &Handle,
        settings: ClientSettings,
        tell: impl FnMut(MediatorEvent) + Send + 'static,
    ) -> (Self, JoinHandle<()>) {
        let (requests, asked) = mpsc::unbounded_channel();
        let is_owned = settings.login.is_some();
        let task = Task {
            place: Place::new(&settings.pair, settings.node, is_owned, settings.now),
            settings,
            asked,
            tell: Box::new(tell),
            session: Session::default(),
            heard: Instant::now(),
            vouched: Instant::now(),
            open: None,
            warned: None,
        };
        (Self { requests }, runtime.spawn(task.run()))
    }

    /// Asks; never blocks.
    pub fn ask(&self, request: MediatorRequest) {
        // The task ends only after this.
        let _sent = self.requests.send(request);
    }
}

struct Task {
    settings: ClientSettings,
    asked: mpsc::UnboundedReceiver<MediatorRequest>,
    tell: Tell,
    place: Place,
    session: Session,
    /// When the ensemble last answered: nothing is said to it in between.
    heard: Instant,
    /// When the node last vouched for itself.
    vouched: Instant,
    /// The change that is under way.
    open: Option<u64>,
    /// The session time that the log was told of.
    warned: Option<Duration>,
}

/// Why a conversation ended.
enum End {
    /// Nobody asks any more.
    Done,
    Broken(Broken),
}

impl Task {
    async fn run(mut self) {
        let mut retry = RETRY_FIRST;
        let endpoints = self.settings.endpoints.clone();
        for endpoint in endpoints.iter().cycle() {
            self.give_up_session();
            let asked = self.settings.session;
            let tls = self.settings.tls.as_ref();
            let opened = Connection::open(endpoint, tls, &mut self.session, asked).await;
            let broken = match opened {
                Ok(mut connection) => {
                    self.heard = Instant::now();
                    let end = self.talk(endpoint, &mut connection, &mut retry).await;
                    self.session.seen = connection.seen;
                    match end {
                        End::Done => return,
                        End::Broken(broken) => broken,
                    }
                }
                Err(broken) => broken,
            };
            if matches!(broken, Broken::Expired) {
                self.forget_session();
            }
            let why = broken.to_string();
            self.lost(&format!("{endpoint}: {why}"));
            if self.rest(retry, &why).await {
                return;
            }
            retry = (retry * 2).min(RETRY_LONGEST);
        }
    }

    async fn talk(
        &mut self,
        endpoint: &str,
        connection: &mut Connection,
        retry: &mut Duration,
    ) -> End {
        if let Err(broken) = self.begin(endpoint, connection).await {
            return End::Broken(broken);
        }
        *retry = RETRY_FIRST;
        loop {
            let due = self.due();
            let step = tokio::select! {
                // What waits goes first: time has not run out on a node that has vouched.
                biased;
                request = self.asked.recv() => match request {
                    None => {
                        if !self.place.is_present() {
                            // The ensemble need not wait for what has no meaning; it is no loss if it does.
                            let _closed = connection.close().await;
                        }
                        return End::Done;
                    }
                    Some(request) => self.handle(request, connection).await,
                },
                news = connection.idle() => news,
                () = sleep_until(due) => self.tend(connection).await,
            };
            let step = match step {
                Ok(()) if connection.changed => self.push(connection).await,
                step => step,
            };
            if let Err(broken) = step {
                return End::Broken(broken);
            }
        }
    }

    async fn begin(&mut self, endpoint: &str, connection: &mut Connection) -> Result<(), Broken> {
        if let Some(login) = &self.settings.login {
            connection.login(login).await?;
        }
        self.warn_of_long_session();
        self.place.prepare(connection).await?;
        let seen = self.place.look(connection).await?;
        self.heard = Instant::now();
        if self.forget_asked("the ensemble was not reached when it was asked for") {
            self.place.leave(connection).await?;
        }
        (self.tell)(MediatorEvent::Up { endpoint: endpoint.to_owned() });
        (self.tell)(MediatorEvent::View(seen.view));
        Ok(())
    }

    async fn handle(
        &mut self,
        request: MediatorRequest,
        connection: &mut Connection,
    ) -> Result<(), Broken> {
        match request {
            MediatorRequest::Vouch(presence) => self.vouch(presence, connection).await?,
            MediatorRequest::Leave => self.place.leave(connection).await?,
            MediatorRequest::Read => {
                connection.changed = false;
                let seen = self.place.look(connection).await?;
                (self.tell)(MediatorEvent::View(seen.view));
            }
            MediatorRequest::Change { number, change } => {
                self.open = Some(number);
                let outcome = self.place.change(connection, &change).await?;
                self.open = None;
                (self.tell)(MediatorEvent::Outcome { number, outcome });
            }
        }
        self.heard = Instant::now();
        Ok(())
    }

    async fn vouch(
        &mut self,
        presence: Presence,
        connection: &mut Connection,
    ) -> Result<(), Broken> {
        self.vouched = Instant::now();
        let sent = (self.settings.now)();
        self.place.vouch(connection, self.session.id, presence).await?;
        (self.tell)(MediatorEvent::Renewed { sent });
        Ok(())
    }

    /// Something has changed, and nobody asked.
    async fn push(&mut self, connection: &mut Connection) -> Result<(), Broken> {
        connection.changed = false;
        let seen = look(connection, &self.place.tree, None).await?;
        let view: MediatorView = seen.view;
        (self.tell)(MediatorEvent::View(view));
        self.heard = Instant::now();
        Ok(())
    }

    /// What time demands: the end of a presence that nobody vouches for, or a sign of life of a session
    /// that has none to keep.
    async fn tend(&mut self, connection: &mut Connection) -> Result<(), Broken> {
        if self.place.is_present() {
            tracing::warn!("this node does not vouch for itself any more: its presence ends");
            self.place.leave(connection).await?;
        } else {
            connection.ping().await?;
        }
        self.heard = Instant::now();
        Ok(())
    }

    fn due(&self) -> Instant {
        if self.place.is_present() {
            // Only the node itself keeps it: a wedged one must not stay.
            self.vouched_until()
        } else {
            self.heard + self.session.granted / 3
        }
    }

    /// The end of the presence takes a moment, and that is part of the session.
    fn vouched_until(&self) -> Instant {
        self.vouched + self.settings.session * 7 / 8
    }

    /// Before it is gone on with: doing so would keep a presence that nobody vouches for.
    fn give_up_session(&mut self) {
        let is_unwanted = self.place.is_present() && Instant::now() >= self.vouched_until();
        // Also a session that must have ended, however the members explain that they do not have it.
        let is_over = self.heard.elapsed() > self.session.granted * 2;
        if is_unwanted || is_over {
            self.forget_session();
        }
    }

    fn forget_session(&mut self) {
        self.session = Session::default();
        self.place.forget();
    }

    fn warn_of_long_session(&mut self) {
        let (asked, granted) = (self.settings.session, self.session.granted);
        if granted > asked && self.warned != Some(granted) {
            self.warned = Some(granted);
            tracing::warn!(
                "the ensemble's shortest session is {granted:?}: a node that freezes or loses its power is \
                 missed that late, not after `switch.mediator.session` = {asked:?}; a smaller tickTime or \
                 minSessionTimeout there would help"
            );
        }
    }

    /// The conversation is over: what was asked may have been done or not.
    fn lost(&mut self, why: &str) {
        (self.tell)(MediatorEvent::Down { reason: why.to_owned() });
        if let Some(number) = self.open.take() {
            self.unknown(number, why);
        }
    }

    fn unknown(&mut self, number: u64, why: &str) {
        let outcome = Outcome::Unknown { reason: why.to_owned() };
        (self.tell)(MediatorEvent::Outcome { number, outcome });
    }

    /// What was asked before the ensemble was reached was asked of nobody: an old sign of life is none, and
    /// the switch asks anew. `true`: the node wants to be present no more.
    fn forget_asked(&mut self, why: &str) -> bool {
        let mut leaves = false;
        while let Ok(request) = self.asked.try_recv() {
            match request {
                MediatorRequest::Change { number, .. } => self.unknown(number, why),
                MediatorRequest::Leave => leaves = true,
                MediatorRequest::Vouch(_) | MediatorRequest::Read => {}
            }
        }
        leaves
    }

    /// Waits before the next try; `true`: nobody asks any more. What is asked meanwhile goes nowhere.
    async fn rest(&mut self, time: Duration, why: &str) -> bool {
        let until = Instant::now() + time;
        loop {
            tokio::select! {
                request = self.asked.recv() => match request {
                    None => return true,
                    Some(MediatorRequest::Change { number, .. }) => self.unknown(number, why),
                    // Wanted no more: nothing may keep it.
                    Some(MediatorRequest::Leave) => self.forget_session(),
                    Some(MediatorRequest::Vouch(_) | MediatorRequest::Read) => {}
                },
                () = sleep_until(until) => return false,
            }
        }
    }
}
