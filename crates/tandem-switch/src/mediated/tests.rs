//! One rule, one test.

use std::time::Duration;

use tandem_types::{Epoch, ForkId, Incarnation, Lsn, Monotonic, NodeId, Pair, PairId, Role};

use super::Mediated;
use crate::message::{Greeting, PeerMessage};
use crate::{
    Acknowledge, Automatic, BootFacts, Change, Event, FollowerEnds, Gap, InSyncSet, Input,
    MediatorEvent, MediatorRequest, MediatorView, NodeState, Outcome, Output, OwnEnds, PeerStatus,
    Presence, ReadRight, Record, RecordState, Refusal, Reign, Revision, Settings,
};

/// The record is gone or an old one.
mod lost_record;
/// Whether the other node has heard of a pause.
mod pausing;
/// Restarts and what comes of them.
mod restarts;

const OWN: Incarnation = Incarnation::new(1);
const THEIRS: Incarnation = Incarnation::new(2);
const PAIR: PairId = PairId::new(8);
const BOTH: Pair<Option<Incarnation>> = Pair { a: Some(OWN), b: Some(THEIRS) };
const ONLY_OWN: Pair<Option<Incarnation>> = Pair { a: Some(OWN), b: None };

fn greeting(role: Role, reign: Option<Reign>) -> Greeting {
    Greeting {
        pair_id: PAIR,
        incarnation: THEIRS,
        boot: 1,
        role,
        epoch_seen: reign.map_or(Epoch::ZERO, |reign| reign.epoch),
        reign,
        in_sync: None,
        appended_end: Lsn::new(1),
        commit_end: Lsn::ZERO,
        pauses: 0,
        unwell: false,
    }
}

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
    /// The change that was asked for last.
    wanted: Option<Change>,
    /// Changes that failed, as they were told to people.
    failed: Vec<String>,
    /// What people were told.
    answers: Vec<Result<String, Refusal>>,
    /// The disk takes its time.
    slow: bool,
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
            wanted: None,
            failed: Vec::new(),
            answers: Vec::new(),
            slow: false,
        }
    }

    fn step(&mut self, input: Input) {
        let mut out = Vec::new();
        self.brain.step(self.now, self.own, input, &mut out);
        for output in out {
            match output {
                Output::Persist { .. } if self.slow => {}
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
                Output::Mediator(MediatorRequest::Change { number, change }) => {
                    self.asked.push(number);
                    self.wanted = Some(change);
                }
                Output::Answer { answer, .. } => self.answers.push(answer),
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
        self.sees_record(revision, Self::record(epoch, primary, members));
    }

    fn record(epoch: u64, primary: NodeId, members: Pair<Option<Incarnation>>) -> Record {
        let incarnation = if primary == NodeId::A { OWN } else { THEIRS };
        Record {
            pair_id: PAIR,
            epoch: Epoch::new(epoch),
            fork: ForkId::new(epoch),
            primary,
            primary_boot: crate::BootId { incarnation, boot: 1 },
            members,
            strength: Acknowledge::Durable,
        }
    }

    fn sees_record(&mut self, revision: Revision, record: Record) {
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
        let pair_id = self.brain.me_in_pair();
        let greeting = Greeting { pair_id, ..greeting(Role::Standby, reign) };
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
fn a_primary_whose_clock_is_a_quarter_slower_than_its_standbys_reads_no_longer_than_that_waits() {
    let mut primary = Node::first_primary();
    primary.is_followed();
    let epoch = primary.brain.reign().expect("it has one").epoch;
    let lease = Automatic::default().read_lease;
    primary.step(Input::Confirmed { epoch, asked: primary.now, lease });
    let right = primary.brain.lease.confirmed.expect("just given").until;
    let reads = right.since(primary.now);

    let mut standby = taken_in(None);
    assert_eq!(standby.brain.grant_lease(standby.now).expect("it follows").lease, lease);
    let waits = standby.brain.leases_over_at().since(standby.now);
    assert!(reads * 4 / 3 <= waits, "reads for {reads:?} of its own time, waits for {waits:?}");
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
fn a_standby_whose_disk_takes_long_for_its_refusal_tells_a_returning_primary_what_it_holds() {
    let mut node = Node::returned(NodeId::B, Some(revision(1, 4)));
    node.sees(revision(1, 5), NodeId::B, BOTH);
    node.slow = true;
    node.waits(Duration::from_secs(3));
    assert!(node.asked.is_empty(), "what the bid relies on is not on disk");
    node.step(Input::PeerUp);
    let greets = |node: &Node| matches!(node.said[..], [PeerMessage::Greeting(_)]);
    assert!(greets(&node), "a primary that lost records waits for this word: {:?}", node.said);

    // What a greeting tells must be on disk first.
    let mut node = Node::returned(NodeId::B, Some(revision(1, 4)));
    node.sees(revision(1, 5), NodeId::B, BOTH);
    node.slow = true;
    node.mediator(MediatorEvent::Down { reason: "it is restored".into() });
    node.sees_reign(5, revision(1, 7), NodeId::B, BOTH);
    assert_ne!(node.brain.written().epoch_seen, node.brain.durable.epoch_seen);
    node.step(Input::PeerUp);
    assert!(node.said.is_empty(), "{:?}", node.said);
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

/// A standby that its primary takes in, before it has reached the mediator itself.
fn taken_in(recorded: Option<Revision>) -> Node {
    let mut node = Node::returned(NodeId::B, None);
    let end = Lsn::new(1);
    node.own = OwnEnds { appended_end: end, durable_end: end, applied_end: end, commit_end: end };
    let epoch = Epoch::new(4);
    let strength = Acknowledge::Durable;
    let alone = Pair { a: None, b: Some(THEIRS) };
    let greeting = Greeting {
        epoch_seen: epoch,
        in_sync: Some(InSyncSet { epoch, revision: 10, members: alone, strength }),
        appended_end: end,
        ..greeting(Role::Primary, node.brain.reign())
    };
    node.step(Input::PeerUp);
    node.step(Input::PeerSaid(PeerMessage::Greeting(greeting)));
    let set = InSyncSet { epoch, revision: 11, members: BOTH, strength };
    node.step(Input::PeerSaid(PeerMessage::InSync { epoch, set, lsn: end, recorded }));
    let confirmed = PeerMessage::InSyncAck { epoch, revision: 11 };
    assert!(node.said.contains(&confirmed), "{:?}", node.said);
    node
}

#[test]
fn a_standby_taken_in_before_it_reached_the_mediator_knows_a_record_of_another_life() {
    for (seen, may) in [
        (revision(1, 6), true),
        (revision(1, 5), true),
        (revision(1, 4), false),
        (revision(2, 6), false),
    ] {
        let mut node = taken_in(Some(revision(1, 5)));
        // The next process must know it too.
        let mut state = node.brain.durable;
        state.member_boot = 3;
        state.boot = 3;
        let again = Node::started(&state);
        node.step(Input::PeerDown { silent: Duration::from_secs(1) });
        for mut node in [node, again] {
            node.sees(seen, NodeId::B, BOTH);
            node.waits(Duration::from_secs(3));
            assert_eq!(!node.asked.is_empty(), may, "{seen:?}: the primary may have gone on alone");
        }
    }
}

#[test]
fn an_offer_of_version_2_says_nothing_of_the_record() {
    let set = InSyncSet {
        epoch: Epoch::new(4),
        revision: 11,
        members: BOTH,
        strength: Acknowledge::Durable,
    };
    let offer = PeerMessage::InSync { epoch: Epoch::new(4), set, lsn: Lsn::new(1), recorded: None };
    let mut bytes = offer.to_bytes();
    assert_eq!(bytes.pop(), Some(0), "nothing follows");
    bytes[0] = 2;
    assert_eq!(PeerMessage::decode(&bytes), Ok(offer));
}

#[test]
fn a_primary_says_against_which_state_of_the_record_it_takes_its_peer_in() {
    let mut node = Node::first_primary();
    node.is_followed();
    let told = node.said.iter().find_map(|message| match message {
        PeerMessage::InSync { recorded, .. } => Some(*recorded),
        _ => None,
    });
    assert_eq!(told, Some(Some(revision(1, 1))));
}

#[test]
fn a_standby_goes_by_what_the_record_says_that_its_primary_answers_by() {
    // The primary came back with another file, and the standby has not met it since.
    for (strength, may) in
        [(Acknowledge::Durable, true), (Acknowledge::Received, true), (Acknowledge::Local, false)]
    {
        let mut node = Node::returned(NodeId::B, Some(revision(1, 4)));
        let record = Record { strength, ..Node::record(4, NodeId::B, BOTH) };
        node.sees_record(revision(1, 5), record);
        assert_eq!(node.brain.gap(node.now) == Gap::Zero, may, "{strength:?}");
        node.waits(Duration::from_secs(3));
        assert_eq!(!node.asked.is_empty(), may, "{strength:?}");
    }
}

#[test]
fn a_standby_that_was_restarted_relies_on_no_memory_that_the_record_says_was_enough() {
    let mut state = Node::returned(NodeId::B, Some(revision(1, 4))).brain.durable;
    state.member_boot = 1;
    let mut node = Node::started(&state);
    let record = Record { strength: Acknowledge::Received, ..Node::record(4, NodeId::B, BOTH) };
    node.sees_record(revision(1, 5), record);
    assert_ne!(node.brain.gap(node.now), Gap::Zero);
}

#[test]
fn whoever_takes_its_peer_in_lets_the_record_say_by_what_it_answers_itself() {
    // The record was made by the peer, which gave this node the role, and has another file.
    let mut node = Node::first_primary();
    node.brain.settings.acknowledge = Acknowledge::Received;
    node.is_followed();
    let told = node.said.iter().find_map(|message| match message {
        PeerMessage::InSync { epoch, set, .. } => Some((*epoch, *set)),
        _ => None,
    });
    let (epoch, set) = told.expect("the peer is told that it is a member");
    assert_eq!(set.strength, Acknowledge::Received);
    node.step(Input::PeerSaid(PeerMessage::InSyncAck { epoch, revision: set.revision }));
    let lease = Duration::from_millis(500);
    node.step(Input::Confirmed { epoch, asked: node.now, lease });
    let record = node.wanted.expect("the record is asked").record;
    assert!(record.is_both());
    assert_eq!(record.strength, Acknowledge::Received);
}

#[test]
fn a_standby_of_an_asynchronous_pair_takes_over_only_if_the_bytes_that_it_lacks_are_few_enough() {
    let record = Record {
        pair_id: PAIR,
        epoch: Epoch::new(4),
        fork: ForkId::new(4),
        primary: NodeId::B,
        primary_boot: crate::BootId { incarnation: THEIRS, boot: 1 },
        members: BOTH,
        strength: Acknowledge::Local,
    };
    // The log here ends at 1.
    let cases = [
        ("nothing is missing", 0, 1, None, true),
        ("a byte", 0, 2, Some(1), false),
        ("one large record", 1_000, 2, Some(1_001), false),
        ("as much as is allowed", 1_000, 40, Some(1_000), true),
        ("nobody knows how much", 1_000, 2, None, false),
    ];
    for (name, max_lag_bytes, end, lacks, may) in cases {
        let mut node = taken_in(Some(revision(1, 5)));
        node.brain.settings.automatic.max_lag_bytes = max_lag_bytes;
        let (epoch, appended_end) = (Epoch::new(4), Lsn::new(end));
        node.step(Input::PeerStatus(PeerStatus { epoch, appended_end, lacks }));
        assert_eq!(node.brain.unfit(&record).is_none(), may, "{name}");
    }
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
