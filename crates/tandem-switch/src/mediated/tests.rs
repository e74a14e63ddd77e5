//! One rule, one test.

use std::time::Duration;

use tandem_types::{Incarnation, Lsn, Monotonic, NodeId, Pair, PairId, Role};

use super::Mediated;
use crate::message::{Greeting, PeerMessage};
use crate::{
    Acknowledge, Automatic, BootFacts, FollowerEnds, Input, MediatorEvent, MediatorRequest,
    MediatorView, NodeState, Outcome, Output, OwnEnds, Presence, ReadRight, RecordState, Revision,
    Settings,
};

const OWN: Incarnation = Incarnation::new(1);
const THEIRS: Incarnation = Incarnation::new(2);

/// A brain whose disk and log do at once what they are told.
struct Node {
    brain: Mediated,
    now: Monotonic,
    own: OwnEnds,
    /// Changes of the record that nobody has answered.
    asked: Vec<u64>,
    said: Vec<PeerMessage>,
}

impl Node {
    fn new() -> Self {
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
        let mut state = NodeState::new(OWN);
        state.boot = 1;
        let brain = Mediated::new(settings, state, facts, 7, now);
        Self { brain, now, own: OwnEnds::default(), asked: Vec::new(), said: Vec::new() }
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
                _ => {}
            }
        }
    }

    fn mediator(&mut self, event: MediatorEvent) {
        self.step(Input::Mediator(event));
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
        let peer = Presence {
            boot,
            pair_id: PairId::NONE,
            epoch_seen: tandem_types::Epoch::ZERO,
            role: Role::Joining,
        };
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
            epoch_seen: reign.map_or(tandem_types::Epoch::ZERO, |reign| reign.epoch),
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
