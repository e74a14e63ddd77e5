//! One rule, one test: what is said, written and served, and in which order.

#![expect(clippy::large_types_passed_by_value, reason = "tests: states are built in place")]

use std::time::Duration;

use tandem_types::{Incarnation, NodeId, Pair, PairId};

use super::*;
use crate::{Acknowledge, Gap, Refusal, RefusalKind, ShrinkCause};

mod strength;

const PAIR: PairId = PairId::new(7);
const MINE: Incarnation = Incarnation::new(1);
const THEIRS: Incarnation = Incarnation::new(2);
const E4: Epoch = Epoch::new(4);
const E5: Epoch = Epoch::new(5);

/// Node A, its disk, and what it said.
struct Play {
    brain: Manual,
    now: u64,
    own: OwnEnds,
    /// Writes reach the disk at once; otherwise only by [`Play::sync`].
    disk_is_fast: bool,
    unsynced: Vec<u64>,
    /// The peer answers at once when it is asked for a sign of life.
    peer_lives: bool,
    out: Vec<Output>,
}

fn ends(end: u64) -> OwnEnds {
    let end = Lsn::new(end);
    OwnEnds { appended_end: end, durable_end: end, applied_end: end, commit_end: end }
}

fn settings(acknowledge: Acknowledge) -> Settings {
    Settings {
        node: NodeId::A,
        names: Pair { a: "left".to_owned(), b: "right".to_owned() },
        initial_primary: NodeId::A,
        acknowledge,
        failure_timeout: Duration::from_millis(100),
        hold: Duration::from_millis(200),
        automatic: crate::Automatic::default(),
    }
}

fn set(a: bool, b: bool, revision: u64) -> InSyncSet {
    InSyncSet {
        epoch: E4,
        revision,
        members: Pair { a: a.then_some(MINE), b: b.then_some(THEIRS) },
        strength: Acknowledge::Durable,
    }
}

fn local(set: InSyncSet) -> InSyncSet {
    InSyncSet { strength: Acknowledge::Local, ..set }
}

fn reign(epoch: Epoch, primary: NodeId) -> Reign {
    Reign { epoch, fork: ForkId::new(epoch.get()), primary }
}

/// A node that was in the pair in epoch 4.
fn state(primary: NodeId, set: InSyncSet) -> NodeState {
    NodeState {
        pair_id: PAIR,
        boot: 3,
        epoch_seen: E4,
        reign: Some(reign(E4, primary)),
        in_sync: Some(set),
        member_boot: 2,
        ..NodeState::new(MINE)
    }
}

fn greeting(role: Role, primary: NodeId, set: InSyncSet) -> Greeting {
    Greeting {
        pair_id: PAIR,
        incarnation: THEIRS,
        boot: 9,
        role,
        epoch_seen: E4,
        reign: Some(reign(E4, primary)),
        in_sync: Some(set),
        appended_end: Lsn::new(30),
        commit_end: Lsn::ZERO,
        pauses: 0,
        unwell: false,
    }
}

fn empty_greeting() -> Greeting {
    Greeting {
        pair_id: PairId::NONE,
        epoch_seen: Epoch::ZERO,
        reign: None,
        in_sync: None,
        appended_end: Lsn::ZERO,
        ..greeting(Role::Joining, NodeId::B, set(false, true, 1))
    }
}

impl Play {
    fn new(state: NodeState, acknowledge: Acknowledge) -> Self {
        let brain = Manual::new(settings(acknowledge), state, 11, Monotonic::ZERO);
        let own = ends(20);
        let (unsynced, out) = (Vec::new(), Vec::new());
        Self { brain, now: 0, own, disk_is_fast: true, unsynced, peer_lives: true, out }
    }

    fn durable(state: NodeState) -> Self {
        Self::new(state, Acknowledge::Durable)
    }

    fn give(&mut self, input: Input) -> &mut Self {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut out = Vec::new();
            self.brain.step(Monotonic::from_millis(self.now), self.own, input, &mut out);
            for output in &out {
                match output {
                    Output::Persist { version, .. } if self.disk_is_fast => {
                        inputs.push_back(Input::Persisted { version: *version });
                    }
                    Output::Persist { version, .. } => self.unsynced.push(*version),
                    Output::BeginReign { reign, .. } => {
                        let end = self.own.appended_end.next();
                        self.own = ends(end.get());
                        inputs.push_back(Input::ReignBegun { epoch: reign.epoch, end });
                    }
                    Output::HoldWrites if self.peer_lives => {
                        let epoch = self.brain.reign().unwrap().epoch;
                        let asked = Monotonic::from_millis(self.now);
                        let lease = Duration::ZERO;
                        inputs.push_back(Input::Confirmed { epoch, asked, lease });
                    }
                    _ => {}
                }
            }
            self.out.extend(out);
        }
        self
    }

    fn sync(&mut self) -> &mut Self {
        for version in std::mem::take(&mut self.unsynced) {
            self.give(Input::Persisted { version });
        }
        self
    }

    fn says(&mut self, message: PeerMessage) -> &mut Self {
        self.give(Input::PeerSaid(message))
    }

    fn meets(&mut self, greeting: Greeting) -> &mut Self {
        self.give(Input::PeerUp).says(PeerMessage::Greeting(greeting))
    }

    fn after(&mut self, ms: u64) -> &mut Self {
        self.now += ms;
        self.give(Input::Tick)
    }

    fn follower_at(&mut self, end: u64) -> &mut Self {
        let end = Lsn::new(end);
        let ends =
            FollowerEnds { received_end: end, durable_end: end, applied_end: end, caught_up: true };
        self.give(Input::Follower(ends))
    }

    fn asks(&mut self, request: Request) -> Option<Result<String, Refusal>> {
        self.out.clear();
        self.give(Input::Ask { ticket: Ticket(1), request });
        self.answer()
    }

    fn answer(&self) -> Option<Result<String, Refusal>> {
        self.out.iter().find_map(|output| match output {
            Output::Answer { answer, .. } => Some(answer.clone()),
            _ => None,
        })
    }

    /// Where in what was done so far.
    fn place(&self, wanted: impl Fn(&Output) -> bool) -> Option<usize> {
        self.out.iter().position(wanted)
    }

    fn said(&self, wanted: impl Fn(&PeerMessage) -> bool) -> bool {
        self.place(|it| matches!(it, Output::Send(message) if wanted(message))).is_some()
    }

    fn serving(&self) -> Option<Epoch> {
        self.brain.is_serving().then(|| self.brain.reign().unwrap().epoch)
    }
}

fn promote(accept_loss: u64, force: bool) -> Request {
    Request::Promote { accept_loss, force }
}

fn is_claim(message: &PeerMessage) -> bool {
    matches!(message, PeerMessage::Claim { .. })
}

/// A primary of epoch 5 that is in sync with its standby, everything up to 21 on both disks.
fn primary_in_sync() -> Play {
    let mut play = Play::durable(state(NodeId::A, set(true, false, 6)));
    play.after(100);
    assert_eq!(play.serving(), Some(E5));
    let record = play.brain.state().in_sync.unwrap();
    let standby = Greeting {
        epoch_seen: E5,
        reign: play.brain.reign(),
        in_sync: Some(record),
        ..greeting(Role::Standby, NodeId::A, record)
    };
    play.meets(standby).follower_at(21);
    let revision = play.brain.state().in_sync.unwrap().revision;
    play.says(PeerMessage::InSyncAck { epoch: E5, revision });
    assert!(play.brain.is_in_sync());
    play.out.clear();
    play
}

#[test]
fn two_empty_nodes_wait_for_each_other_and_only_the_configured_one_begins() {
    let mut alone = Play::durable(NodeState::new(MINE));
    alone.after(60_000);
    assert_eq!(alone.serving(), None, "alone");
    assert!(alone.brain.why(Monotonic::ZERO).waiting_for.unwrap().contains("right"));
    alone.meets(empty_greeting());
    assert_eq!(alone.serving(), Some(Epoch::new(1)));
    assert_ne!(alone.brain.state().pair_id, PairId::NONE);
}

#[test]
fn an_empty_node_never_becomes_primary_beside_data() {
    let mut play = Play::durable(NodeState::new(MINE));
    play.meets(greeting(Role::Joining, NodeId::A, set(true, false, 3))).after(60_000);
    assert_eq!(play.serving(), None);
    let refusal = play.asks(promote(0, true)).unwrap().unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::NoData);
}

#[test]
fn a_returning_primary_goes_on_alone_only_if_it_was_alone() {
    let cases = [
        ("alone in its set", set(true, false, 3), Acknowledge::Durable, true),
        ("with a member", set(true, true, 3), Acknowledge::Durable, false),
        ("with a member, received", set(true, true, 3), Acknowledge::Received, false),
        ("local waits for nobody", local(set(true, true, 3)), Acknowledge::Local, true),
        ("the peer relies on more", set(true, true, 3), Acknowledge::Local, false),
        ("it waits from now on", local(set(true, true, 3)), Acknowledge::Durable, false),
    ];
    for (name, set, acknowledge, goes_on) in cases {
        let mut play = Play::new(state(NodeId::A, set), acknowledge);
        play.after(99);
        assert_eq!(play.serving(), None, "{name}: the peer may have news");
        play.after(1);
        assert_eq!(play.serving(), goes_on.then_some(E5), "{name}");
        if !goes_on {
            play.after(60_000);
            assert_eq!(play.serving(), None, "{name}");
            let why = play.brain.why(Monotonic::from_millis(play.now));
            assert!(why.forcing.unwrap().contains("tandem solo"), "{name}");
            assert!(play.asks(Request::Solo { force: false }).unwrap().is_ok(), "{name}");
            assert_eq!(play.serving(), Some(E5), "{name}");
        }
    }
}

#[test]
fn a_standby_never_goes_on_by_itself() {
    let mut play = Play::durable(state(NodeId::B, set(true, true, 3)));
    play.after(60_000);
    assert_eq!(play.serving(), None);
}

#[test]
fn a_returning_primary_with_a_member_asks_for_consent_and_keeps_the_member() {
    let both = set(true, true, 3);
    let mut play = Play::durable(state(NodeId::A, both));
    play.meets(greeting(Role::Joining, NodeId::A, both));
    assert!(play.said(is_claim));
    assert_eq!(play.serving(), None, "not before the answer");
    let Phase::Claiming { epoch, fork } = play.brain.phase else { panic!("no claim") };
    play.says(PeerMessage::Grant { epoch, fork: ForkId::new(1) });
    assert_eq!(play.serving(), None, "an answer to something else");
    play.says(PeerMessage::Grant { epoch, fork });
    assert_eq!(play.serving(), Some(E5));
    assert!(play.brain.needs_peer());
}

#[test]
fn consent_is_on_disk_before_it_is_given() {
    let both = set(true, true, 3);
    let mut play = Play::durable(state(NodeId::B, both));
    play.meets(greeting(Role::Joining, NodeId::B, both));
    play.disk_is_fast = false;
    let fork = ForkId::new(9);
    play.says(PeerMessage::Claim { epoch: E5, fork, reign: Some(reign(E4, NodeId::B)) });
    let granted = |message: &PeerMessage| matches!(message, PeerMessage::Grant { .. });
    assert!(!play.said(granted));
    play.sync();
    assert!(play.said(granted));
    assert_eq!(play.brain.epoch_seen(), E5);
}

#[test]
fn no_consent_for_one_that_does_not_know_our_reign() {
    let mut play = Play::durable(state(NodeId::A, set(true, false, 3)));
    play.after(100);
    play.meets(greeting(Role::Joining, NodeId::B, set(false, true, 3)));
    let fork = ForkId::new(9);
    play.says(PeerMessage::Claim { epoch: Epoch::new(8), fork, reign: None });
    assert!(play.said(|message| matches!(message, PeerMessage::Decline { .. })));
    assert_eq!(play.serving(), Some(E5));
}

#[test]
fn a_later_epoch_stops_serving_before_anything_is_said() {
    let mut play = primary_in_sync();
    let later = Greeting {
        epoch_seen: Epoch::new(6),
        reign: Some(reign(Epoch::new(6), NodeId::B)),
        ..greeting(Role::Primary, NodeId::B, set(false, true, 9))
    };
    play.says(PeerMessage::Greeting(later));
    assert!(matches!(play.out[0], Output::Demote { epoch: E5, .. }), "{:?}", play.out[0]);
    let written = play.place(|it| matches!(it, Output::Persist { .. })).unwrap();
    let spoken = play.place(|it| matches!(it, Output::Send(_))).unwrap();
    let follows = play.place(|it| matches!(it, Output::Follow { .. })).unwrap();
    assert!(written < spoken && written < follows);
    assert_eq!(play.brain.primary(), Some(NodeId::B));
}

#[test]
fn of_two_reigns_with_one_number_the_preferred_node_keeps_its_own() {
    for (preferred, keeps) in [(NodeId::A, true), (NodeId::B, false)] {
        let mut play = Play::durable(state(NodeId::A, set(true, false, 3)));
        play.brain.settings.initial_primary = preferred;
        play.after(100);
        let twin = Greeting {
            epoch_seen: E5,
            reign: Some(reign(E5, NodeId::B)),
            ..greeting(Role::Primary, NodeId::B, set(false, true, 9))
        };
        play.meets(twin);
        assert_eq!(play.serving().is_some(), keeps);
    }
}

#[test]
fn growing_waits_for_the_peer_before_it_tells_the_peer() {
    let mut play = Play::durable(state(NodeId::A, set(true, false, 6)));
    play.after(100);
    let record = play.brain.state().in_sync.unwrap();
    let standby = Greeting { epoch_seen: E5, ..greeting(Role::Standby, NodeId::A, record) };
    play.meets(standby);
    assert!(!play.brain.needs_peer());
    play.disk_is_fast = false;
    play.own = ends(40);
    play.follower_at(30);
    assert!(play.brain.needs_peer(), "from the decision on");
    let offered = |message: &PeerMessage| matches!(message, PeerMessage::InSync { .. });
    play.follower_at(40);
    assert!(!play.said(offered), "not on disk yet");
    play.follower_at(39).sync();
    assert!(!play.said(offered), "40 was acknowledged alone, the peer has 39");
    play.follower_at(40);
    assert!(play.said(offered));
    assert!(!play.brain.is_in_sync(), "the peer has not written it");
    let revision = play.brain.state().in_sync.unwrap().revision;
    play.says(PeerMessage::InSyncAck { epoch: E5, revision });
    assert!(play.brain.is_in_sync());
}

#[test]
fn silence_never_shrinks_the_set_and_a_resignation_does() {
    let mut play = primary_in_sync();
    play.give(Input::PeerDown { silent: Duration::ZERO }).after(60_000);
    assert!(play.brain.needs_peer() && play.brain.is_stalled());
    let why = play.brain.why(Monotonic::from_millis(play.now));
    assert!(why.who.unwrap().contains("tandem solo"));

    let mut play = primary_in_sync();
    play.disk_is_fast = false;
    play.says(PeerMessage::Resign { epoch: E5, revision: 7 });
    assert!(play.brain.needs_peer(), "not before it is on disk");
    play.sync();
    assert!(!play.brain.needs_peer());
    assert!(play.said(|message| matches!(message, PeerMessage::ResignAck { .. })));
    play.follower_at(21);
    assert!(!play.brain.needs_peer(), "it is about to stop: not taken back in this connection");
}

#[test]
fn local_shrinks_on_silence() {
    let mut play = Play::new(state(NodeId::A, local(set(true, true, 3))), Acknowledge::Local);
    play.after(100);
    assert!(!play.brain.needs_peer());
    assert!(!play.brain.is_stalled());
}

#[test]
fn a_member_that_says_it_is_none_or_has_a_new_disk_is_let_go() {
    let not_member = greeting(Role::Joining, NodeId::A, set(true, false, 9));
    let replaced = Greeting { incarnation: Incarnation::new(99), ..not_member };
    let cases = [
        ("not a member", not_member, ShrinkCause::PeerNotMember),
        ("a new disk", replaced, ShrinkCause::PeerReplaced),
    ];
    for (name, peer, want) in cases {
        let mut play = primary_in_sync();
        play.give(Input::PeerDown { silent: Duration::ZERO }).meets(peer);
        let cause = play.out.iter().find_map(|output| match output {
            Output::Event(Event::Shrunk { cause, .. }) => Some(*cause),
            _ => None,
        });
        assert_eq!(cause, Some(want), "{name}");
        assert!(!play.brain.needs_peer(), "{name}");
    }
}

#[test]
fn a_member_may_be_promoted_without_loss_and_others_name_the_gap() {
    let both = set(true, true, 3);
    let received = InSyncSet { strength: Acknowledge::Received, ..both };
    let other =
        InSyncSet { members: Pair { a: Some(Incarnation::new(5)), ..both.members }, ..both };
    let cases = [
        ("member", both, true),
        ("not a member", set(false, true, 3), false),
        ("its disk was another one", other, false),
        ("memory was lost in the restart", received, false),
        ("local proves nothing", local(both), false),
    ];
    for (name, set, safe) in cases {
        let mut play = Play::durable(state(NodeId::B, set));
        let answer = play.asks(promote(0, false)).unwrap();
        assert_eq!(answer.is_ok(), safe, "{name}: {answer:?}");
        assert_eq!(play.serving(), safe.then_some(E5), "{name}");
        if let Err(refusal) = answer {
            assert_eq!(refusal.kind, RefusalKind::Unsafe(Gap::Unknown), "{name}");
            assert!(refusal.text.contains("--force"), "{name}: {}", refusal.text);
            assert!(play.asks(promote(0, true)).unwrap().is_ok(), "{name}: forced");
            assert_eq!(play.brain.state().refused_epoch, E4, "{name}: the old reign is refused");
        }
    }
}

#[test]
fn a_loss_that_was_named_is_accepted_and_a_smaller_one_is_not() {
    for (accept_loss, accepted) in [(0, false), (9, false), (10, true), (11, true)] {
        let mut play = Play::durable(state(NodeId::B, set(false, true, 3)));
        play.meets(greeting(Role::Primary, NodeId::B, set(false, true, 3)));
        play.give(Input::PeerStatus(PeerStatus {
            epoch: E4,
            appended_end: Lsn::new(30),
            lacks: None,
        }));
        play.give(Input::PeerDown { silent: Duration::ZERO });
        play.now += 50;
        let gap = play.brain.gap(Monotonic::from_millis(play.now));
        assert_eq!(gap, Gap::AtLeast { records: 10, silent: Some(Duration::from_millis(50)) });
        let answer = play.asks(promote(accept_loss, false)).unwrap();
        assert_eq!(answer.is_ok(), accepted, "{accept_loss}: {answer:?}");
    }
}

#[test]
fn a_planned_change_stops_first_then_writes_then_tells() {
    let mut play = primary_in_sync();
    play.disk_is_fast = false;
    assert_eq!(play.asks(Request::Switch { to: None }), None);
    let demoted = play.place(|it| matches!(it, Output::Demote { .. })).unwrap();
    let held = play.place(|it| matches!(it, Output::HoldWrites)).unwrap();
    let written = play.place(|it| matches!(it, Output::Persist { .. })).unwrap();
    assert!(held < demoted && demoted < written);
    let handed = |message: &PeerMessage| matches!(message, PeerMessage::Handover { .. });
    assert!(!play.said(handed));
    play.sync();
    assert!(play.said(handed));
    assert_eq!(play.answer(), None, "not before the peer serves");
    let successor = Greeting {
        epoch_seen: Epoch::new(6),
        reign: play.brain.reign(),
        ..greeting(Role::Primary, NodeId::B, set(false, true, 9))
    };
    play.says(PeerMessage::Greeting(successor));
    assert!(play.answer().unwrap().is_ok());
}

#[test]
fn a_planned_change_is_called_off_when_the_standby_does_not_get_there() {
    let mut play = primary_in_sync();
    play.own = ends(50);
    assert_eq!(play.asks(Request::Switch { to: None }), None);
    play.after(199);
    assert_eq!(play.answer(), None);
    play.after(1);
    assert!(play.place(|it| matches!(it, Output::ReleaseWrites)).is_some());
    assert_eq!(play.answer().unwrap().unwrap_err().kind, RefusalKind::TimedOut);
    assert_eq!(play.serving(), Some(E5));
}

#[test]
fn the_role_is_not_given_to_a_standby_that_does_not_answer_any_more() {
    let mut play = primary_in_sync();
    play.peer_lives = false;
    let (epoch, lease) = (E5, Duration::ZERO);
    let asked = Monotonic::from_millis(play.now);
    play.give(Input::Confirmed { epoch, asked, lease });
    play.after(1);
    assert_eq!(play.asks(Request::Switch { to: None }), None);
    play.after(199);
    assert_eq!(play.serving(), Some(E5), "it answered before, not since");
    play.after(1);
    assert_eq!(play.answer().unwrap().unwrap_err().kind, RefusalKind::TimedOut);
    assert_eq!(play.serving(), Some(E5));
    play.asks(Request::Switch { to: None });
    let asked = Monotonic::from_millis(play.now);
    play.give(Input::Confirmed { epoch, asked, lease });
    assert_eq!(play.serving(), None, "it answers: the role is given");
}

#[test]
fn the_standby_takes_what_it_was_given_only_if_it_has_everything() {
    for (end, takes) in [(20, true), (21, false)] {
        let both = set(true, true, 3);
        let mut play = Play::durable(state(NodeId::B, both));
        play.meets(greeting(Role::Primary, NodeId::B, both));
        let (reign, end) = (reign(E5, NodeId::A), Lsn::new(end));
        play.says(PeerMessage::Handover { reign, end, revision: 4 });
        assert_eq!(play.serving(), takes.then_some(E5));
    }
}

#[test]
fn a_standby_that_stops_resigns_on_disk_first() {
    let both = set(true, true, 3);
    let mut play = Play::durable(state(NodeId::B, both));
    play.meets(greeting(Role::Primary, NodeId::B, both));
    assert_eq!(play.brain.role(), Role::Standby);
    play.disk_is_fast = false;
    assert_eq!(play.asks(Request::Stop), None);
    let resigned = |message: &PeerMessage| matches!(message, PeerMessage::Resign { .. });
    assert!(!play.said(resigned));
    play.sync();
    assert!(play.said(resigned));
    assert_eq!(play.brain.role(), Role::Joining, "not eligible any more");
    play.says(PeerMessage::ResignAck { revision: 3 });
    assert!(play.answer().unwrap().is_ok());
}

#[test]
fn membership_waits_for_the_log_and_is_a_copy_of_the_primarys() {
    let both = set(true, true, 5);
    let mut play = Play::durable(state(NodeId::B, set(false, true, 4)));
    play.meets(greeting(Role::Primary, NodeId::B, both));
    assert_eq!(play.brain.role(), Role::Joining);
    play.says(PeerMessage::InSync { epoch: E4, set: both, lsn: Lsn::new(21), recorded: None });
    assert_eq!(play.brain.role(), Role::Joining, "the log ends at 20");
    play.own = ends(21);
    play.give(Input::Tick);
    assert_eq!(play.brain.role(), Role::Standby);
    play.says(PeerMessage::Greeting(greeting(Role::Primary, NodeId::B, set(false, true, 6))));
    assert_eq!(play.brain.role(), Role::Joining, "the primary has let it go");
}

#[test]
fn a_pair_that_is_not_ours_is_left_alone() {
    let mut play = Play::durable(state(NodeId::A, set(true, false, 3)));
    let foreign = Greeting {
        pair_id: PairId::new(8),
        epoch_seen: Epoch::new(99),
        ..greeting(Role::Primary, NodeId::B, set(false, true, 3))
    };
    play.meets(foreign);
    assert!(play.place(|it| matches!(it, Output::CloseLink { .. })).is_some());
    assert_eq!(play.brain.epoch_seen(), E4, "its epochs mean nothing here");
    play.after(100);
    assert_eq!(play.serving(), Some(E5), "nor does it count as our peer");
}

#[test]
fn a_failed_disk_ends_everything() {
    let mut play = primary_in_sync();
    play.give(Input::LogFailed);
    assert!(matches!(play.out[0], Output::Demote { .. }));
    play.out.clear();
    play.after(60_000).meets(empty_greeting());
    assert!(play.out.is_empty());
    assert_eq!(play.brain.role(), Role::Isolated);
}

#[test]
fn the_state_survives_the_disk() {
    let mut whole = state(NodeId::B, set(true, true, 3));
    whole.resigned = true;
    whole.refused_epoch = Epoch::new(2);
    for state in [NodeState::new(MINE), whole] {
        let mut bytes = Vec::new();
        state.encode(&mut bytes);
        bytes.push(77);
        assert_eq!(NodeState::decode(&bytes), Ok((state, &[77][..])));
        for length in 0..bytes.len() - 1 {
            assert!(NodeState::decode(&bytes[..length]).is_err());
        }
    }
}

/// What a damaged directory keeps of itself: its pair and the epochs that it knows of.
fn set_aside() -> NodeState {
    NodeState { pair_id: PAIR, boot: 3, epoch_seen: E4, ..NodeState::new(Incarnation::new(77)) }
}

#[test]
fn a_node_whose_data_is_set_aside_follows_and_takes_no_role_from_anybody() {
    let with_data = greeting(Role::Joining, NodeId::A, set(true, true, 9));
    for peer in [Some(with_data), Some(empty_greeting()), None] {
        let mut play = Play::durable(set_aside());
        play.give(Input::Lacking(true));
        if let Some(greeting) = peer {
            play.give(Input::PeerUp).says(PeerMessage::Greeting(greeting));
        }
        play.after(1_000);
        for request in
            [Request::Promote { accept_loss: 0, force: true }, Request::Solo { force: true }]
        {
            play.give(Input::Ask { ticket: Ticket(1), request });
        }
        let refused = |output: &Output| {
            matches!(
                output,
                Output::Answer { answer: Err(Refusal { kind: RefusalKind::NoData, .. }), .. }
            )
        };
        assert_eq!(play.out.iter().filter(|it| refused(it)).count(), 2, "{:?}", play.out);
        let takes = |output: &Output| {
            matches!(output, Output::BeginReign { .. } | Output::Send(PeerMessage::Claim { .. }))
        };
        assert!(!play.out.iter().any(takes), "{:?}", play.out);
        assert_eq!(play.brain.role(), Role::Joining);
    }
    let mut play = Play::durable(set_aside());
    play.give(Input::Lacking(true)).give(Input::PeerUp);
    play.says(PeerMessage::Greeting(greeting(Role::Primary, NodeId::B, set(true, true, 9))));
    assert!(play.out.iter().any(|it| matches!(it, Output::Follow { .. })), "{:?}", play.out);
    assert_eq!(play.brain.role(), Role::Joining, "its old name in the set is not its own");
}

#[test]
fn a_node_whose_data_is_set_aside_lets_the_peer_return() {
    let mut play = Play::durable(set_aside());
    play.give(Input::Lacking(true)).give(Input::PeerUp);
    play.says(PeerMessage::Greeting(greeting(Role::Joining, NodeId::B, set(true, true, 9))));
    let (epoch, fork) = (E5, ForkId::new(5));
    play.says(PeerMessage::Claim { epoch, fork, reign: Some(reign(E4, NodeId::B)) });
    let grants = |it: &Output| matches!(it, Output::Send(PeerMessage::Grant { .. }));
    assert!(play.out.iter().any(grants), "{:?}", play.out);
}

#[test]
fn nobody_begins_an_empty_pair_beside_a_peer_that_has_data() {
    let with_data = greeting(Role::Joining, NodeId::B, set(true, true, 9));
    for (peer, force, begins) in
        [(Some(with_data), false, false), (Some(with_data), true, false), (None, false, true)]
    {
        let mut play = Play::durable(NodeState::new(Incarnation::new(77)));
        if let Some(greeting) = peer {
            play.give(Input::PeerUp).says(PeerMessage::Greeting(greeting));
        }
        let what = format!("{peer:?}, force {force}");
        let answer = play.asks(Request::Solo { force });
        assert_eq!(play.serving().is_some(), begins, "{what}: {answer:?}");
        if !begins {
            let refusal = answer.unwrap().unwrap_err();
            assert!(refusal.text.contains("is connected"), "{what}: {refusal:?}");
        }
    }
}

#[test]
fn a_returning_primary_whose_peer_is_there_goes_on_alone_only_by_force() {
    let there = greeting(Role::Joining, NodeId::A, set(true, true, 9));
    for force in [false, true] {
        let mut play = Play::durable(state(NodeId::A, set(true, true, 3)));
        play.give(Input::PeerUp).says(PeerMessage::Greeting(there));
        let answer = play.asks(Request::Solo { force });
        assert_eq!(play.serving().is_some(), force, "{answer:?}");
    }
}

/// What the peer said while the reign was being written counts when it is.
#[test]
fn two_that_begin_the_same_epoch_find_out_also_when_one_had_greeted_before_the_other_served() {
    let mut play = Play::durable(state(NodeId::A, set(true, false, 6)));
    play.brain.settings.initial_primary = NodeId::B;
    play.disk_is_fast = false;
    play.after(100);
    let theirs = Reign { fork: ForkId::new(99), ..reign(E5, NodeId::B) };
    play.meets(Greeting {
        epoch_seen: E5,
        reign: Some(theirs),
        ..greeting(Role::Primary, NodeId::B, set(false, true, 9))
    });
    play.sync();
    assert_eq!(play.serving(), None, "the preferred one goes on");
    play.sync();
    assert_eq!(play.brain.reign(), Some(theirs));
}

/// Its directory went back to an older copy; the peer knows up to where both had vouched.
#[test]
fn a_primary_whose_disk_lost_acknowledged_records_claims_nothing_and_asks_for_a_copy() {
    for role in [Role::Standby, Role::Joining] {
        let mut play = Play::durable(state(NodeId::A, set(true, true, 3)));
        let peer = greeting(role, NodeId::A, set(true, true, 3));
        play.meets(Greeting { commit_end: Lsn::new(21), ..peer });
        let lost = Output::RecordsLost { end: Lsn::new(20), acknowledged: Lsn::new(21) };
        assert!(play.out.contains(&lost), "{:?}", play.out);
        let claims = |it: &Output| matches!(it, Output::Send(PeerMessage::Claim { .. }));
        assert!(!play.out.iter().any(claims), "{:?}", play.out);
        play.after(10_000);
        let answer = play.asks(Request::Solo { force: true });
        assert!(answer.is_some_and(|it| it.is_err()) && play.serving().is_none());
    }
    let mut play = Play::durable(state(NodeId::A, set(true, true, 3)));
    let peer = greeting(Role::Standby, NodeId::A, set(true, true, 3));
    play.meets(Greeting { commit_end: Lsn::new(20), ..peer });
    let claims = |it: &Output| matches!(it, Output::Send(PeerMessage::Claim { .. }));
    assert!(play.out.iter().any(claims), "what the peer has beyond was never acknowledged");
}

#[test]
fn a_directory_from_a_backup_takes_nothing_back_and_is_granted_nothing() {
    let restored = NodeState {
        in_sync: None,
        epoch_seen: Epoch::ZERO,
        ..NodeState { incarnation: Incarnation::new(77), ..state(NodeId::A, set(true, true, 3)) }
    };
    let mut play = Play::durable(restored);
    play.meets(greeting(Role::Standby, NodeId::A, set(true, true, 3)));
    play.after(10_000);
    assert!(!play.out.iter().any(|it| matches!(it, Output::Send(PeerMessage::Claim { .. }))));
    let why = play.brain.why(Monotonic::from_millis(play.now));
    assert!(why.now.contains("is not the one that was primary"), "{why:?}");

    let mut play = Play::durable(state(NodeId::B, set(true, true, 3)));
    let other = Greeting {
        incarnation: Incarnation::new(77),
        epoch_seen: Epoch::ZERO,
        in_sync: None,
        ..greeting(Role::Joining, NodeId::B, set(true, true, 3))
    };
    play.meets(other);
    let (epoch, fork) = (E5, ForkId::new(5));
    play.says(PeerMessage::Claim { epoch, fork, reign: Some(reign(E4, NodeId::B)) });
    let declines = |it: &Output| matches!(it, Output::Send(PeerMessage::Decline { .. }));
    assert!(play.out.iter().any(declines), "{:?}", play.out);
    let answer = play.asks(Request::Promote { accept_loss: 0, force: false });
    assert!(play.serving().is_some(), "{answer:?}");
}
