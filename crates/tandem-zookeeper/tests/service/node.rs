//! A node as a test plays it: it asks, and hears.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tandem_switch::{
    Acknowledge, BootId, Change, MediatorEvent, MediatorRequest, MediatorView, Outcome, Presence,
    Record, RecordState, Revision,
};
use tandem_types::{Epoch, ForkId, Incarnation, Monotonic, NodeId, Pair, PairId, Role};
use tandem_zookeeper::{Client, ClientSettings};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Long enough that a busy machine does not end it, short enough to wait for.
pub(crate) const SESSION: Duration = Duration::from_millis(800);
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Node {
    pub(crate) client: Client,
    pub(crate) task: JoinHandle<()>,
    events: mpsc::UnboundedReceiver<MediatorEvent>,
    pub(crate) presence: Presence,
    which: NodeId,
}

/// The clock that a node gives to its client.
pub(crate) fn now() -> Monotonic {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    Monotonic::ZERO.plus(START.elapsed())
}

pub(crate) fn settings(node: NodeId, endpoints: &[String]) -> ClientSettings {
    ClientSettings {
        endpoints: endpoints.to_vec(),
        pair: "main".to_owned(),
        node,
        session: SESSION,
        login: None,
        tls: None,
        now,
    }
}

pub(crate) fn boot(node: NodeId, boot: u64) -> BootId {
    BootId { incarnation: Incarnation::new(u64::from(node.as_byte()) + 10), boot }
}

pub(crate) fn record(epoch: u64, primary: NodeId) -> Record {
    Record {
        pair_id: PairId::new(5),
        epoch: Epoch::new(epoch),
        fork: ForkId::new(epoch),
        primary,
        primary_boot: boot(primary, 1),
        members: Pair { a: Some(Incarnation::new(10)), b: Some(Incarnation::new(11)) },
        strength: Acknowledge::Durable,
    }
}

pub(crate) fn create() -> Change {
    Change { expect: None, record: record(1, NodeId::A), unless_present: None }
}

pub(crate) fn replace(revision: Revision, epoch: u64, primary: NodeId) -> Change {
    Change { expect: Some(revision), record: record(epoch, primary), unless_present: None }
}

pub(crate) fn state(revision: Revision, record: Record) -> RecordState {
    RecordState::Present { revision, record }
}

impl Node {
    pub(crate) fn start(settings: ClientSettings) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let node = settings.node;
        let tell = move |event| {
            let _sent = sender.send(event);
        };
        let (client, task) = Client::start(&tokio::runtime::Handle::current(), settings, tell);
        let (epoch_seen, role) = (Epoch::new(1), Role::Standby);
        let presence = Presence { boot: boot(node, 1), pair_id: PairId::NONE, epoch_seen, role };
        Self { client, task, events, presence, which: node }
    }

    /// The first node of a test, which waits until it has heard the ensemble.
    pub(crate) async fn up(settings: ClientSettings) -> Self {
        let mut node = Self::start(settings);
        node.hear_up().await;
        node
    }

    pub(crate) async fn next<T>(
        &mut self,
        what: &str,
        wanted: impl Fn(&MediatorEvent) -> Option<T>,
    ) -> T {
        let mut heard = Vec::new();
        let waiting = tokio::time::timeout(PATIENCE, async {
            loop {
                let event = self.events.recv().await.unwrap();
                if let Some(it) = wanted(&event) {
                    return it;
                }
                heard.push(event);
            }
        });
        let done = waiting.await.ok();
        done.unwrap_or_else(|| panic!("node {:?} waits for {what}; heard {heard:#?}", self.which))
    }

    pub(crate) async fn hear_up(&mut self) {
        self.next("up", |event| matches!(event, MediatorEvent::Up { .. }).then_some(())).await;
    }

    pub(crate) async fn hear_down(&mut self) -> String {
        self.next("down", |event| match event {
            MediatorEvent::Down { reason } => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    /// A view that nobody asked for and that is as wanted.
    pub(crate) async fn pushed(&mut self, what: &str, wanted: impl Fn(&MediatorView) -> bool) {
        self.next(what, |event| match event {
            MediatorEvent::View(view) if view.asked.is_none() => wanted(view).then_some(()),
            _ => None,
        })
        .await;
    }

    pub(crate) fn ask_vouch(&self) {
        self.client.ask(MediatorRequest::Vouch(self.presence));
    }

    /// Vouches once, and waits until that is known to have arrived; when it was sent.
    pub(crate) async fn vouch(&mut self) -> Monotonic {
        let asked = now();
        self.ask_vouch();
        self.next("renewed", |event| match event {
            MediatorEvent::Renewed { sent } if *sent >= asked => Some(*sent),
            _ => None,
        })
        .await
    }

    pub(crate) async fn view(&mut self) -> MediatorView {
        let asked = now();
        self.client.ask(MediatorRequest::Read);
        self.next("a view", |event| match event {
            MediatorEvent::View(view) if view.asked >= Some(asked) => Some(view.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) fn ask_change(&self, number: u64, change: Change) {
        self.client.ask(MediatorRequest::Change { number, change });
    }

    pub(crate) async fn outcome(&mut self, wanted: u64) -> Outcome {
        self.next("an outcome", |event| match event {
            MediatorEvent::Outcome { number, outcome } if *number == wanted => {
                Some(outcome.clone())
            }
            _ => None,
        })
        .await
    }

    pub(crate) async fn change(&mut self, change: Change) -> Outcome {
        static LAST: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(100);
        let number = LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.ask_change(number, change);
        self.outcome(number).await
    }

    /// A change that must take effect.
    pub(crate) async fn win(&mut self, change: Change) -> Revision {
        match self.change(change).await {
            Outcome::Won { revision } => revision,
            other => panic!("{other:?}"),
        }
    }

    /// A change that must not.
    pub(crate) async fn lose(&mut self, change: Change) -> MediatorView {
        match self.change(change).await {
            Outcome::Lost(view) => view,
            other => panic!("{other:?}"),
        }
    }
}
