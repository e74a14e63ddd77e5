//! One node of a pair, as a mediator sees it: asks, and keeps what it hears. Knows no kind of mediator.

use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tandem_switch::{
    Acknowledge, BootId, Change, MediatorEvent, MediatorRequest, MediatorView, Outcome, Presence,
    Record, RecordState, Revision,
};
use tandem_types::{Epoch, ForkId, Incarnation, Monotonic, NodeId, Pair, PairId, Role};

pub(crate) const SESSION: Duration = Duration::from_secs(2);
/// Nothing takes this long, also on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) type Tell = Box<dyn FnMut(MediatorEvent) + Send>;

/// What the cases need of a mediator that runs.
pub(crate) trait Mediator {
    /// A client of `node`; it ends when what is given back is dropped.
    fn connect(&self, node: NodeId, tell: Tell) -> Box<dyn FnMut(MediatorRequest)>;
    /// Accepts connections, and answers nothing.
    fn pause(&mut self);
    fn resume(&mut self);
    fn kill(&mut self);
    /// Starts what was killed, with its data.
    fn restart(&mut self);
    /// Loses its data.
    fn wipe(&mut self);
}

pub(crate) fn now() -> Monotonic {
    static START: OnceLock<Instant> = OnceLock::new();
    let nanos = START.get_or_init(Instant::now).elapsed().as_nanos();
    Monotonic::from_nanos(u64::try_from(nanos).expect("a test is short"))
}

pub(crate) struct Side {
    pub(crate) node: NodeId,
    ask: Box<dyn FnMut(MediatorRequest)>,
    told: Receiver<MediatorEvent>,
    /// Said again and again while waiting, as the switch does.
    vouches: Option<Presence>,
    vouched: Instant,
    numbers: u64,
    pub(crate) view: Option<MediatorView>,
    /// When the latest confirmed sign of life was sent.
    pub(crate) renewed: Option<Monotonic>,
}

impl Side {
    pub(crate) fn connect(mediator: &dyn Mediator, node: NodeId) -> Self {
        Self::with(node, |tell| mediator.connect(node, tell))
    }

    pub(crate) fn with(
        node: NodeId,
        connect: impl FnOnce(Tell) -> Box<dyn FnMut(MediatorRequest)>,
    ) -> Self {
        let (tell, told) = channel();
        let tell: Tell = Box::new(move |event| {
            // The test may be over.
            tell.send(event).ok();
        });
        Self {
            node,
            ask: connect(tell),
            told,
            vouches: None,
            vouched: Instant::now(),
            numbers: 0,
            view: None,
            renewed: None,
        }
    }

    /// Connected, and shown what there is.
    pub(crate) fn up(mediator: &dyn Mediator, node: NodeId) -> Self {
        let mut side = Self::connect(mediator, node);
        side.wait_up();
        side
    }

    pub(crate) fn ask(&mut self, request: MediatorRequest) {
        (self.ask)(request);
    }

    pub(crate) fn wait_up(&mut self) {
        self.until("up", |event| matches!(event, MediatorEvent::Up { .. }));
        self.until("the first view", |event| matches!(event, MediatorEvent::View(_)));
    }

    pub(crate) fn wait_down(&mut self) -> String {
        match self.until("down", |event| matches!(event, MediatorEvent::Down { .. })) {
            MediatorEvent::Down { reason } => reason,
            other => unreachable!("{other:?}"),
        }
    }

    /// The next event that fits; signs of life go on meanwhile.
    pub(crate) fn until(
        &mut self,
        what: &str,
        fits: impl Fn(&MediatorEvent) -> bool,
    ) -> MediatorEvent {
        let start = Instant::now();
        let mut seen = Vec::new();
        loop {
            assert!(
                start.elapsed() < PATIENCE,
                "node {:?} waits for: {what}\n{seen:#?}",
                self.node
            );
            if let Some(event) = self.next(SESSION / 4) {
                if fits(&event) {
                    return event;
                }
                seen.push(event);
            }
        }
    }

    /// What is heard within `time`.
    pub(crate) fn next(&mut self, time: Duration) -> Option<MediatorEvent> {
        if let Some(presence) = self.vouches
            && self.vouched.elapsed() >= SESSION / 4
        {
            self.vouched = Instant::now();
            self.ask(MediatorRequest::Vouch(presence));
        }
        match self.told.recv_timeout(time) {
            Ok(event) => {
                match &event {
                    MediatorEvent::View(view) => self.view = Some(view.clone()),
                    MediatorEvent::Renewed { sent } => self.renewed = Some(*sent),
                    _ => {}
                }
                Some(event)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the client has ended"),
        }
    }

    /// A sign of life now, and from now on while waiting.
    pub(crate) fn vouch(&mut self, presence: Presence) -> Monotonic {
        self.vouches = Some(presence);
        let asked = now();
        self.ask(MediatorRequest::Vouch(presence));
        let event = self.until(
            "a confirmed sign of life",
            move |event| matches!(event, MediatorEvent::Renewed { sent } if *sent >= asked),
        );
        let MediatorEvent::Renewed { sent } = event else { unreachable!("{event:?}") };
        sent
    }

    /// A sign of life that nobody may hear.
    pub(crate) fn vouch_unheard(&mut self, presence: Presence) {
        self.ask(MediatorRequest::Vouch(presence));
    }

    pub(crate) fn stop_vouching(&mut self) {
        self.vouches = None;
    }

    /// A view that was asked for from now on.
    pub(crate) fn read(&mut self) -> MediatorView {
        let since = now();
        self.ask(MediatorRequest::Read);
        let fresh = move |event: &MediatorEvent| matches!(event, MediatorEvent::View(view) if view.asked.is_some_and(|at| at >= since));
        let MediatorEvent::View(view) = self.until("a view", fresh) else { unreachable!() };
        view
    }

    /// Waits, without asking, until it is shown something that fits.
    pub(crate) fn shown(
        &mut self,
        what: &str,
        fits: impl Fn(&MediatorView) -> bool,
    ) -> MediatorView {
        if let Some(view) = self.view.clone().filter(&fits) {
            return view;
        }
        let event =
            self.until(what, |event| matches!(event, MediatorEvent::View(view) if fits(view)));
        let MediatorEvent::View(view) = event else { unreachable!("{event:?}") };
        view
    }

    pub(crate) fn send(&mut self, change: Change) -> u64 {
        self.numbers += 1;
        let number = self.numbers;
        self.ask(MediatorRequest::Change { number, change });
        number
    }

    pub(crate) fn outcome(&mut self, wanted: u64) -> Outcome {
        let fits = move |event: &MediatorEvent| matches!(event, MediatorEvent::Outcome { number, .. } if *number == wanted);
        let event = self.until("an outcome", fits);
        let MediatorEvent::Outcome { outcome, .. } = event else { unreachable!("{event:?}") };
        outcome
    }

    pub(crate) fn change(&mut self, change: Change) -> Outcome {
        let number = self.send(change);
        self.outcome(number)
    }

    pub(crate) fn wins(&mut self, change: Change) -> Revision {
        match self.change(change) {
            Outcome::Won { revision } => revision,
            other => panic!("{change:?} should win: {other:?}"),
        }
    }

    pub(crate) fn loses(&mut self, change: Change) -> MediatorView {
        match self.change(change) {
            Outcome::Lost(view) => view,
            other => panic!("{change:?} should lose: {other:?}"),
        }
    }
}

pub(crate) fn boot(node: NodeId, boot: u64) -> BootId {
    BootId { incarnation: Incarnation::new(0xd0 + u64::from(node.as_byte())), boot }
}

pub(crate) fn presence(node: NodeId, number: u64) -> Presence {
    Presence {
        boot: boot(node, number),
        pair_id: PairId::new(42),
        epoch_seen: Epoch::new(1),
        role: Role::Standby,
    }
}

pub(crate) fn record(epoch: u64, primary: NodeId) -> Record {
    Record {
        pair_id: PairId::new(42),
        epoch: Epoch::new(epoch),
        fork: ForkId::new(epoch * 1_000 + u64::from(primary.as_byte())),
        primary,
        primary_boot: boot(primary, 1),
        members: Pair { a: Some(Incarnation::new(1)), b: Some(Incarnation::new(2)) },
        strength: Acknowledge::Durable,
    }
}

pub(crate) fn first() -> Change {
    Change { expect: None, record: record(1, NodeId::A), unless_present: None }
}

pub(crate) fn after(expect: Revision, record: Record) -> Change {
    Change { expect: Some(expect), record, unless_present: None }
}

pub(crate) fn is_present(view: &MediatorView, presence: Presence, node: NodeId) -> bool {
    view.present[node] == Some(presence)
}

/// Whether a view has this record.
pub(crate) fn shows(view: &MediatorView, wanted: Record) -> bool {
    matches!(view.record, RecordState::Present { record, .. } if record == wanted)
}

/// The record of a view, which must have one.
pub(crate) fn recorded(view: &MediatorView) -> (Revision, Record) {
    match &view.record {
        RecordState::Present { revision, record } => (*revision, *record),
        other => panic!("{other:?}"),
    }
}
