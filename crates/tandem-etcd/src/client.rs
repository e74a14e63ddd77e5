//! A node's way to etcd: one member at a time, the next one when it fails, without being asked.
//!
//! A conversation has three connections to the same member, so that no answer waits for another: signs of
//! life, record, watch. If one of them fails, all are given up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tandem_switch::{MediatorEvent, MediatorRequest, MediatorView, Outcome};
use tandem_types::{Monotonic, NodeId};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::http::Door;
use crate::keys::Keys;
use crate::known::Known;
use crate::login::{Asker, Login};
use crate::presence::Presences;
use crate::record::{self, Terms};
use crate::trouble::Trouble;
use crate::watch::Watch;
use crate::work::{Question, Wish, Work};

/// Between two tries; an etcd that is back is found soon.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LONGEST: Duration = Duration::from_millis(500);

/// What a node knows of its etcd.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Members, `host:port` each; the first that answers is used.
    pub endpoints: Vec<String>,
    /// The pair's name.
    pub pair: String,
    /// This node.
    pub node: NodeId,
    /// How long a presence lasts, at least; etcd counts in whole seconds.
    pub session: Duration,
    /// Who this node is to etcd; `None`: it asks nobody.
    pub login: Option<Login>,
    /// Encrypts the connections.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// The node's own clock.
    pub now: fn() -> Monotonic,
}

impl ClientSettings {
    /// A sign of life that is not answered by then leaves time to give it to another member before the
    /// presence ends.
    fn vouch_time_max(&self) -> Duration {
        (self.session * 3 / 8).clamp(Duration::from_millis(250), Duration::from_secs(5))
    }

    /// With TLS, on a busy machine.
    fn connect_time_max(&self) -> Duration {
        self.vouch_time_max().max(Duration::from_secs(1))
    }

    fn answer_time_max(&self) -> Duration {
        self.session.clamp(Duration::from_millis(500), Duration::from_secs(5))
    }
}

/// A running client.
#[derive(Debug)]
pub struct Client {
    requests: mpsc::UnboundedSender<MediatorRequest>,
}

impl Client {
    /// Starts it on `runtime`. It ends, after all that was asked is sent, when the client is dropped.
    pub fn start(
        runtime: &Handle,
        settings: ClientSettings,
        tell: impl FnMut(MediatorEvent) + Send + 'static,
    ) -> (Self, JoinHandle<()>) {
        let (requests, asked) = mpsc::unbounded_channel();
        let keys = Keys::new(&settings.pair);
        let ClientSettings { node, session, now, .. } = settings;
        let task = Task {
            asked,
            teller: Teller(Mutex::new(Box::new(tell))),
            work: Work::default(),
            known: Known::new(keys.clone()),
            presences: Presences::new(keys.clone(), node, session, now),
            keys,
            settings,
        };
        (Self { requests }, runtime.spawn(task.run()))
    }

    /// Asks; never blocks.
    pub fn ask(&self, request: MediatorRequest) {
        // The task ends only after this.
        let _sent = self.requests.send(request);
    }
}

struct Teller(Mutex<Box<dyn FnMut(MediatorEvent) + Send>>);

impl Teller {
    fn tell(&self, event: MediatorEvent) {
        let mut tell = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (tell)(event);
    }

    fn outcome(&self, number: u64, outcome: Outcome) {
        self.tell(MediatorEvent::Outcome { number, outcome });
    }

    fn unknown(&self, number: u64, reason: &str) {
        self.outcome(number, Outcome::Unknown { reason: reason.to_owned() });
    }
}

struct Task {
    settings: ClientSettings,
    keys: Keys,
    asked: mpsc::UnboundedReceiver<MediatorRequest>,
    teller: Teller,
    work: Work,
    known: Known,
    presences: Presences,
}

/// The connections to one member, and what it said first.
struct Conversation {
    record: Asker,
    presence: Asker,
    watch: Watch,
    view: MediatorView,
}

impl Task {
    async fn run(mut self) {
        let mut retry = RETRY_FIRST;
        let endpoints = self.settings.endpoints.clone();
        for endpoint in endpoints.iter().cycle() {
            let trouble = match self.open(endpoint).await {
                Ok(conversation) => {
                    retry = RETRY_FIRST;
                    match self.talk(endpoint, conversation).await {
                        Ok(()) => return,
                        Err(trouble) => trouble,
                    }
                }
                Err(trouble) => trouble,
            };
            let why = format!("{endpoint}: {trouble}");
            self.lost(&why);
            if self.rest(retry, &why).await {
                return;
            }
            retry = (retry * 2).min(RETRY_LONGEST);
        }
    }

    fn terms(&self) -> Terms {
        Terms { now: self.settings.now, limit: self.settings.answer_time_max() }
    }

    /// Everything that must work before it is said that etcd is there.
    async fn open(&mut self, endpoint: &str) -> Result<Conversation, Trouble> {
        let door = Door { endpoint: endpoint.to_owned(), tls: self.settings.tls.clone() };
        let (login, limit) = (self.settings.login.as_ref(), self.settings.connect_time_max());
        let mut record = Asker::open(&door, login, None, limit).await?;
        let presence = Asker::open(&door, login, record.token(), limit).await?;
        let watch = Asker::open(&door, login, record.token(), limit).await?;
        let terms = self.terms();
        let watch = Watch::start(watch, &self.keys, terms.limit).await?;
        let view = record::read(&mut self.known, &mut record, terms).await?;
        Ok(Conversation { record, presence, watch, view })
    }

    /// Until it fails, or nobody asks any more.
    async fn talk(&mut self, endpoint: &str, conversation: Conversation) -> Result<(), Trouble> {
        let Conversation { mut record, mut presence, mut watch, view } = conversation;
        let terms = self.terms();
        let vouch_time_max = self.settings.vouch_time_max();
        let Self { asked, teller, work, known, presences, .. } = self;
        // What was asked before was asked of nobody; an old sign of life is none.
        while let Ok(request) = asked.try_recv() {
            refuse(teller, &request, "etcd was not reached when it was asked for");
        }
        teller.tell(MediatorEvent::Up { endpoint: endpoint.to_owned() });
        teller.tell(MediatorEvent::View(view));
        let (teller, work) = (&*teller, &*work);
        let done = async {
            tokio::try_join!(
                keep_present(presences, &mut presence, work, teller, vouch_time_max),
                keep_record(known, &mut record, work, teller, terms),
            )
        };
        let take = async {
            while let Some(request) = asked.recv().await {
                if let Some(number) = work.add(request) {
                    teller.unknown(number, "too many changes wait for etcd");
                }
            }
            work.close();
            std::future::pending::<()>().await;
        };
        let hear = async {
            loop {
                if let Err(trouble) = watch.changed().await {
                    return trouble;
                }
                work.look_again();
            }
        };
        tokio::select! {
            ended = done => ended.map(|_| ()),
            trouble = hear => Err(trouble),
            () = take => Ok(()),
        }
    }

    /// The conversation is over: what was asked may have been done or not.
    fn lost(&mut self, why: &str) {
        self.teller.tell(MediatorEvent::Down { reason: why.to_owned() });
        for number in self.work.unanswered() {
            self.teller.unknown(number, why);
        }
    }

    /// Waits before the next try; `true`: nobody asks any more. What is asked meanwhile goes nowhere.
    async fn rest(&mut self, time: Duration, why: &str) -> bool {
        let until = Instant::now() + time;
        loop {
            tokio::select! {
                request = self.asked.recv() => match request {
                    None => return true,
                    Some(request) => refuse(&self.teller, &request, why),
                },
                () = sleep_until(until) => return false,
            }
        }
    }
}

/// A request that goes nowhere.
fn refuse(teller: &Teller, request: &MediatorRequest, why: &str) {
    if let MediatorRequest::Change { number, .. } = request {
        teller.unknown(*number, why);
    }
}

async fn keep_present(
    presences: &mut Presences,
    asker: &mut Asker,
    work: &Work,
    teller: &Teller,
    limit: Duration,
) -> Result<(), Trouble> {
    while let Some(wish) = work.wish().await {
        match wish {
            Wish::Leave => presences.leave(asker, limit).await?,
            Wish::Vouch(presence) => {
                if let Some(sent) = presences.vouch(asker, &presence, limit).await? {
                    teller.tell(MediatorEvent::Renewed { sent });
                }
            }
        }
    }
    Ok(())
}

async fn keep_record(
    known: &mut Known,
    asker: &mut Asker,
    work: &Work,
    teller: &Teller,
    terms: Terms,
) -> Result<(), Trouble> {
    while let Some(question) = work.question().await {
        match question {
            Question::Read => {
                let view = record::read(known, asker, terms).await?;
                teller.tell(MediatorEvent::View(view));
            }
            Question::Change(number, change) => {
                let outcome = record::change(known, asker, &change, terms).await?;
                work.answered();
                teller.outcome(number, outcome);
            }
        }
    }
    Ok(())
}
