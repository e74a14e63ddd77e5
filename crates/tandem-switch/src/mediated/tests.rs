//! One rule, one test.

use std::time::Duration;

use tandem_types::{Epoch, ForkId, Incarnation, Lsn, Monotonic, NodeId, Pair, PairId, Role};

use super::Mediated;
use crate::message::{Greeting, PeerMessage};
use crate::{
    Acknowledge, Automatic, BootFacts, Event, FollowerEnds, Gap, InSyncSet, Input, MediatorEvent,
    MediatorRequest, MediatorView, NodeState, Outcome, Output, OwnEnds, Presence, ReadRight,
    Record, RecordState, Reign, Revision, Settings,
};

const OWN: Incarnation = Incarnation::new(1);
const THEIRS: Incarnation = Incarnation::new(2);
const PAIR: PairId = PairId::new(8);
const BOTH: Pair<Option<Incarnation>> = Pair { a: Some(OWN), b: Some(THEIRS) };
const ONLY_OWN: Pair<Option<Incarnation>> = Pair { a: Some(OWN), b: None };

const fn revision(life: u64, version: u64) -> Revision {
    Revision { life, version }
}

/// A brain whose disk and log do at once what they are told.
struct Node {
    brain: Mediated,
    now: Monotonic,
    own: OwnEnds,
    /// Changes of the record that nobody has answered.
    asked: Vec<u64>,
    said: Vec<PeerMessage>,
    /// Changes that failed, as they were told to people.
    failed: Vec<String>,
}

impl Node {
    fn new() -> Self {
        let mut state = NodeState::new(OWN);
        state.boot = 1;
        Self::started(&state)
    }

    fn started(state: &NodeState) -> Self {
        let settings = Settings {
            node: NodeId::A,
            names: Pair { a: "a".into(), b: "b".into() },
            initial_primary: NodeId::A,
            acknowledge: Acknowledge::Durable,
            failure_timeout: Duration::from_secs(1),
            hold: Duration::from_secs(2),
            automatic: Automatic::default(),
        };
        let now = Monotonic::from_millis(10_000);
        let facts = BootFacts { starts_in_window: 1 };
        let brain = Mediated::new(settings, *state, facts, 7, now);
        Self {
            brain,
            now,
            own: OwnEnds::default(),
            asked: Vec::new(),
            said: Vec::new(),
            failed: Vec::new(),
        }
    }

    fn step(&mut self, input: Input) {
        let mut out = Vec::new();
        self.brain.step(self.now, self.own, input, &mut out);
        for output in out {
            match output {
                Output::Persist { version, .. } => self.step(Input::Persisted { version }),
                Output::BeginReign { reign, .. } => {
                    let end = Lsn::new(1);
                    self.own = OwnEnds {
                        appended_end: end,
                        durable_end: end,
                        applied_end: end,
                        commit_end: end,
                    };
                    self.step(Input::ReignBegun { epoch: reign.epoch, end });
                }
                Output::Mediator(MediatorRequest::Change { number, .. }) => self.asked.push(number),
                Output::Send(message) => self.said.push(message),
                Output::Event(Event::ChangeFailed { reason, .. }) => self.failed.push(reason),
                _ => {}
            }
        }
    }

    fn mediator(&mut self, event: MediatorEvent) {
        self.step(Input::Mediator(event));
    }

    /// A new boot of a node whose disk has both in the set of a reign of `primary`.
    fn returned(primary: NodeId, recorded: Option<Revision>) -> Self {
        let epoch = Epoch::new(4);
        let mut state = NodeState::new(OWN);
        state.boot = 2;
        state.pair_id = PAIR;
        state.epoch_seen = epoch;
        state.reign = Some(Reign { epoch, fork: ForkId::new(4), primary });
        let strength = Acknowledge::Durable;
        state.in_sync = Some(InSyncSet { epoch, revision: 9, members: BOTH, strength });
        state.member_boot = 2;
        state.recorded = recorded;
        Self::started(&state)
    }

    /// The mediator shows a record of that reign, and nobody else.
    fn sees(&mut self, revision: Revision, primary: NodeId, members: Pair<Option<Incarnation>>) {
        self.sees_reign(4, revision, primary, members);
    }

    fn sees_reign(
        &mut self,
        epoch: u64,
        revision: Revision,
        primary: NodeId,
        members: Pair<Option<Incarnation>>,
    ) {
        let incarnation = if primary == NodeId::A { OWN } else { THEIRS };
        let record = Record {
            pair_id: PAIR,
            epoch: Epoch::new(epoch),
            fork: ForkId::new(epoch),
            primary,
            primary_boot: crate::BootId { incarnation, boot: 1 },
            members,
            strength: Acknowledge::Durable,
        };
        let record = RecordState::Present { revision, record };
        let view = MediatorView { asked: Some(self.now), record, present: Pair::default() };
        self.mediator(MediatorEvent::Up { endpoint: "m".into() });
        self.mediator(MediatorEvent::View(view));
    }

    /// Time passes, and nothing else.
    fn waits(&mut self, time: Duration) {
        for _ in 0..10 {
            self.now = self.now.plus(time / 10);
            self.step(Input::Tick);
        }
    }

    fn wins(&mut self, version: u64) {
        let number = self.asked.pop().expect("a change was asked for");
        let revision = Revision { life: 1, version };
        self.mediator(MediatorEvent::Outcome { number, outcome: Outcome::Won { revision } });
    }

    /// The first primary of a new pair, alone in the record.
    fn first_primary() -> Self {
        let mut node = Self::new();
        node.mediator(MediatorEvent::Up { endpoint: "m".into() });
        let boot = crate::BootId { incarnation: THEIRS, boot: 1 };
        let peer =
            Presence { boot, pair_id: PairId::NONE, epoch_seen: Epoch::ZERO, role: Role::Joining };
        let present = Pair { a: None, b: Some(peer) };
        let view = MediatorView { asked: Some(node.now), record: RecordState::Absent, present };
        node.mediator(MediatorEvent::View(view));
        node.wins(1);
        assert_eq!(node.brain.role(), Role::Primary);
        node
    }

    /// The peer follows and has everything.
    fn is_followed(&mut self) {
        self.step(Input::PeerUp);
        let reign = self.brain.reign();
        let greeting = Greeting {
            pair_id: self.brain.me_in_pair(),
            incarnation: THEIRS,
            boot: 1,
            role: Role::Standby,
            epoch_seen: reign.map_or(Epoch::ZERO, |reign| reign.epoch),
            reign,
            in_sync: None,
            appended_end: Lsn::new(1),
            pauses: 0,
            unwell: false,
        };
        self.step(Input::PeerSaid(PeerMessage::Greeting(greeting)));
        let end = Lsn::new(1);
        let ends =
            FollowerEnds { received_end: end, durable_end: end, applied_end: end, caught_up: true };
        self.step(Input::Follower(ends));
    }
}

impl Mediated {
    fn me_in_pair(&self) -> PairId {
        self.state.pair_id
    }
}

#[test]
fn a_primary_that_is_alone_in_the_record_answers_while_its_set_grows_and_needs_a_lease_from_then_on()
 {
    let mut node = Node::first_primary();
    assert_eq!(node.brain.read_right(node.now), ReadRight::Free);
    node.is_followed();
    assert!(node.brain.needs_peer(), "writes wait for the peer already");
    assert_eq!(node.brain.read_right(node.now), ReadRight::Free, "nobody else can be promoted");

    let told = node.said.iter().find_map(|message| match message {
        PeerMessage::InSync { epoch, set, .. } => Some((*epoch, set.revision)),
        _ => None,
    });
    let (epoch, revision) = told.expect("the peer is told that it is a member");
    node.step(Input::PeerSaid(PeerMessage::InSyncAck { epoch, revision }));
    assert!(node.asked.is_empty(), "the record is not asked before a lease is obeyed");
    let lease = Duration::from_millis(500);
    node.step(Input::Confirmed { epoch, asked: node.now, lease });
    assert_eq!(node.asked.len(), 1, "now it is");
    let until = |right| matches!(right, ReadRight::Until(_));
    assert!(until(node.brain.read_right(node.now)), "the record may name both at any moment");
    node.now = node.now.plus(lease);
    assert_eq!(node.brain.read_right(node.now), ReadRight::None);
    node.wins(2);
    assert_eq!(node.brain.read_right(node.now), ReadRight::None);
}

#[test]
fn a_node_that_was_in_sync_listens_before_it_takes_back_a_role_that_names_it_alone() {
    // The peer was taken in after the copy was made that the mediator now has, and then promoted.
    let mut node = Node::returned(NodeId::A, None);
    node.sees(revision(1, 5), NodeId::A, ONLY_OWN);
    node.waits(Duration::from_millis(900));
    assert!(node.asked.is_empty(), "the peer may serve, and would say so");
    node.waits(Duration::from_millis(200));
    assert_eq!(node.asked.len(), 1, "nobody said so");
}

#[test]
fn a_copy_of_the_record_is_as_good_as_none_to_a_primary_that_was_in_sync() {
    for (members, copy) in
        [ONLY_OWN, BOTH].map(|it| [(it, revision(2, 9)), (it, revision(1, 4))]).concat()
    {
        let mut node = Node::returned(NodeId::A, Some(revision(1, 5)));
        node.sees(copy, NodeId::A, members);
        node.waits(Duration::from_mins(1));
        assert!(node.asked.is_empty(), "{members:?} {copy:?}: the peer may have been promoted");
        assert_eq!(node.brain.gap(node.now), Gap::Unknown);
        node.sees(revision(1, 6), NodeId::A, members);
        assert_eq!(node.asked.len(), 1, "the record itself is back");
    }
}

#[test]
fn what_the_record_said_last_outlives_the_process() {
    // Taken in before it reached the mediator, which it reaches now.
    let mut node = Node::returned(NodeId::B, None);
    node.sees(revision(1, 5), NodeId::B, BOTH);
    let mut state = node.brain.durable;
    state.boot += 1;
    let mut node = Node::started(&state);
    node.sees(revision(2, 6), NodeId::B, BOTH);
    node.waits(Duration::from_mins(1));
    assert!(node.asked.is_empty(), "the primary may have gone on alone before it was restored");
    assert_ne!(node.brain.gap(node.now), Gap::Zero);
}

#[test]
fn a_copy_of_a_reign_that_was_never_followed_makes_no_heir() {
    let mut node = Node::returned(NodeId::B, Some(revision(1, 4)));
    // The primary began another reign while the link was down, and then went on alone.
    node.sees_reign(5, revision(2, 7), NodeId::B, BOTH);
    node.waits(Duration::from_mins(1));
    assert!(node.asked.is_empty(), "the old primary may serve alone");
    assert_ne!(node.brain.gap(node.now), Gap::Zero);
}

#[test]
fn a_copy_of_the_record_makes_no_heir_of_a_standby_that_may_have_been_left_out() {
    // The record named the primary alone before it was restored, and only the copy says otherwise.
    let restored = |recorded| {
        let mut node = Node::returned(NodeId::B, recorded);
        node.sees(revision(1, 5), NodeId::B, BOTH);
        node.mediator(MediatorEvent::Down { reason: "it is restored".into() });
        node.sees(revision(2, 6), NodeId::B, BOTH);
        node.waits(Duration::from_mins(1));
        node
    };
    for recorded in [None, Some(revision(1, 4))] {
        let node = restored(recorded);
        assert!(node.asked.is_empty(), "{recorded:?}: the old primary may serve alone");
        assert_ne!(node.brain.gap(node.now), Gap::Zero, "a person must say what may be lost");
    }
    let mut node = Node::returned(NodeId::B, Some(revision(1, 4)));
    node.sees(revision(1, 5), NodeId::B, BOTH);
    node.waits(Duration::from_secs(3));
    assert!(!node.asked.is_empty(), "nothing was restored, and the primary is gone");
}

#[test]
fn a_node_whose_data_is_set_aside_asks_for_no_record_whatever_is_there() {
    let mut node = Node::new();
    node.step(Input::Lacking(true));
    node.mediator(MediatorEvent::Up { endpoint: "m".into() });
    let boot = crate::BootId { incarnation: THEIRS, boot: 1 };
    let (pair_id, epoch_seen, role) = (PairId::NONE, Epoch::ZERO, Role::Joining);
    let present = Pair { a: None, b: Some(Presence { boot, pair_id, epoch_seen, role }) };
    let view = MediatorView { asked: Some(node.now), record: RecordState::Absent, present };
    node.mediator(MediatorEvent::View(view));
    assert!(node.asked.is_empty(), "a new directory would begin the pair here");
    assert_eq!(node.brain.role(), Role::Joining);
    node.step(Input::Lacking(false));
    assert_eq!(node.asked.len(), 1);
}

#[test]
fn a_mediator_that_refuses_is_asked_again_and_quoted_and_told_of_once() {
    let mut node = Node::returned(NodeId::B, Some(revision(1, 4)));
    node.sees(revision(1, 5), NodeId::B, BOTH);
    node.waits(Duration::from_secs(3));
    for _ in 0..3 {
        let number = node.asked.pop().expect("asked again");
        node.asked.clear();
        let reason = "the witness' disk is full".to_owned();
        node.mediator(MediatorEvent::Outcome { number, outcome: Outcome::Unknown { reason } });
        let why = node.brain.why(node.now).now;
        assert!(why.contains("the witness' disk is full"), "{why}");
        let trouble = node.brain.mediator_status().trouble.unwrap();
        assert!(trouble.contains("the witness' disk is full"), "{trouble}");
        node.waits(Duration::from_millis(200));
    }
    assert_eq!(node.failed, ["the witness' disk is full"]);
    let number = node.asked.pop().expect("asked again");
    node.mediator(MediatorEvent::Outcome {
        number,
        outcome: Outcome::Won { revision: revision(1, 6) },
    });
    assert_eq!(node.brain.mediator_status().trouble, None);
}

#[test]
fn a_record_that_cannot_be_read_is_named_as_the_cause_with_what_to_do() {
    let unreadable = |node: &mut Node| {
        let record = RecordState::Unreadable { reason: "x.record is damaged: move it away".into() };
        let view = MediatorView { asked: Some(node.now), record, present: Pair::default() };
        node.mediator(MediatorEvent::View(view));
    };
    let mut standby = Node::returned(NodeId::B, Some(revision(1, 4)));
    standby.mediator(MediatorEvent::Up { endpoint: "m".into() });
    unreadable(&mut standby);
    let why = standby.brain.why(standby.now);
    assert!(why.now.contains("x.record is damaged: move it away"), "{why:?}");
    assert!(!why.now.contains("cannot be reached"), "{why:?}");
    assert!(!why.forcing.unwrap().contains("--force"), "it would be refused");

    let mut primary = Node::returned(NodeId::A, Some(revision(1, 4)));
    primary.sees(revision(1, 5), NodeId::A, ONLY_OWN);
    primary.waits(Duration::from_secs(3));
    let number = primary.asked[0];
    let outcome = Outcome::Won { revision: revision(1, 6) };
    primary.mediator(MediatorEvent::Outcome { number, outcome });
    assert!(primary.brain.is_serving());
    unreadable(&mut primary);
    let why = primary.brain.why(primary.now);
    assert!(why.now.contains("x.record is damaged: move it away"), "{why:?}");
    assert!(why.waiting_for.is_some());
}
