//! A mediator that was emptied, and one node that is left.

use super::*;
use crate::{Request, Ticket};

impl Node {
    /// A new boot of a node whose disk says that it was primary of epoch 4, and alone in the set.
    fn returned_alone() -> Self {
        let mut state = Self::returned(NodeId::A, Some(revision(1, 5))).brain.state;
        if let Some(set) = &mut state.in_sync {
            set.members = ONLY_OWN;
        }
        Self::started(&state)
    }

    /// The mediator has no record; whether the peer is there.
    fn sees_none(&mut self, peer: Option<Presence>) {
        let present = Pair { a: None, b: peer };
        let record = RecordState::Absent;
        let view = MediatorView { asked: Some(self.now), record, present };
        self.mediator(MediatorEvent::Up { endpoint: "m".into() });
        self.mediator(MediatorEvent::View(view));
    }

    fn ask(&mut self, request: Request) {
        self.step(Input::Ask { ticket: Ticket(1), request });
    }

    fn is_refused(&mut self, reason: &str) {
        let number = self.asked.pop().expect("a change was asked for");
        let reason = reason.to_owned();
        self.mediator(MediatorEvent::Outcome { number, outcome: Outcome::Refused { reason } });
    }

    /// For so long, every copy at once.
    fn is_refused_for(&mut self, time: Duration, reason: &str) {
        let end = self.now.plus(time);
        while self.now < end {
            while !self.asked.is_empty() {
                self.is_refused(reason);
            }
            self.waits(Duration::from_millis(50));
        }
    }

    /// The peer is connected, and stands like this.
    fn hears(&mut self, role: Role, reign: Option<Reign>) {
        self.step(Input::PeerUp);
        let greeting = greeting(role, reign);
        self.step(Input::PeerSaid(PeerMessage::Greeting(greeting)));
    }
}

fn presence(epoch: u64, role: Role) -> Presence {
    let boot = crate::BootId { incarnation: THEIRS, boot: 1 };
    Presence { boot, pair_id: PAIR, epoch_seen: Epoch::new(epoch), role }
}

const fn reign(epoch: u64, primary: NodeId) -> Reign {
    Reign { epoch: Epoch::new(epoch), fork: ForkId::new(epoch), primary }
}

const FORCE: Request = Request::Promote { accept_loss: 0, force: true };
const PROMOTE: Request = Request::Promote { accept_loss: 0, force: false };

#[test]
fn a_node_that_was_alone_writes_the_lost_record_again_once_it_has_listened() {
    let mut node = Node::returned_alone();
    node.sees_none(None);
    node.waits(Duration::from_millis(900));
    assert!(node.asked.is_empty(), "somebody may be primary by a person's word, and would say so");
    assert!(node.brain.why(node.now).timers.iter().any(|it| !it.left.is_zero()));
    node.waits(Duration::from_millis(200));
    let change = node.wanted.expect("nobody said so");
    assert_eq!((change.expect, change.record.members), (None, ONLY_OWN));
    assert_eq!(change.record.epoch, Epoch::new(5));
    node.wins(1);
    assert_eq!(node.brain.role(), Role::Primary);
}

#[test]
fn a_node_that_was_alone_leaves_a_lost_record_to_who_was_primary_after_it() {
    for there in [presence(5, Role::Joining), presence(4, Role::Primary)] {
        let mut node = Node::returned_alone();
        node.sees_none(Some(there));
        node.waits(Duration::from_mins(1));
        assert_eq!(node.wanted, None, "{there:?}");
    }
    let mut node = Node::returned_alone();
    node.sees_none(Some(presence(3, Role::Joining)));
    node.waits(Duration::from_secs(2));
    assert!(node.wanted.is_some(), "whoever is there knows of no later reign");

    let mut node = Node::returned_alone();
    node.hears(Role::Joining, Some(reign(5, NodeId::B)));
    node.sees_none(None);
    node.waits(Duration::from_mins(1));
    assert_eq!(node.wanted, None, "the peer was promoted by force");
    let mut node = Node::returned_alone();
    node.hears(Role::Joining, Some(reign(4, NodeId::A)));
    node.sees_none(None);
    assert!(node.wanted.is_some(), "the peer says that it was not");

    // It has heard of a later reign itself, and of no end to it.
    let mut state = Node::returned_alone().brain.state;
    state.epoch_seen = Epoch::new(5);
    let mut node = Node::started(&state);
    node.sees_none(None);
    node.waits(Duration::from_mins(1));
    assert_eq!(node.wanted, None);
    node.ask(FORCE);
    assert!(node.wanted.is_some(), "a person may say so");
}

#[test]
fn a_copy_of_the_record_does_not_take_in_whom_this_disk_has_left_out() {
    let mut node = Node::returned_alone();
    node.sees(revision(2, 3), NodeId::A, BOTH);
    node.waits(Duration::from_secs(3));
    let change = node.wanted.expect("the record names this node");
    assert_eq!(change.record.members, ONLY_OWN, "the peer lacks what was acknowledged alone");
}

#[test]
fn a_forced_promotion_that_the_mediator_refuses_begins_without_it() {
    let mut node = Node::returned(NodeId::B, Some(revision(1, 5)));
    node.sees_none(None);
    node.ask(FORCE);
    assert_eq!(node.wanted.map(|it| it.record.members), Some(ONLY_OWN));
    node.is_refused_for(Duration::from_secs(4), "nobody is left");
    assert!(node.brain.is_serving(), "{:?}", node.brain.why(node.now));
    let [Ok(answer)] = node.answers.as_slice() else { panic!("{:?}", node.answers) };
    assert!(answer.contains("primary of epoch"), "{answer}");
}

#[test]
fn a_promotion_that_the_mediator_refuses_ends_with_its_reason_and_blocks_nothing() {
    let mut node = Node::returned(NodeId::B, Some(revision(1, 5)));
    node.sees(revision(1, 5), NodeId::B, BOTH);
    node.ask(PROMOTE);
    node.is_refused_for(Duration::from_secs(4), "its disk is full");
    let [Err(refusal)] = node.answers.as_slice() else { panic!("{:?}", node.answers) };
    assert!(refusal.text.contains("its disk is full"), "{}", refusal.text);
    // It goes on by itself, and is refused again: a person's word comes before that.
    while !node.asked.is_empty() {
        node.is_refused("its disk is full");
    }
    let why = node.brain.why(node.now);
    assert!(why.forcing.is_some_and(|it| it.contains("--force")));
    node.ask(FORCE);
    node.is_refused_for(Duration::from_secs(4), "its disk is full");
    assert!(node.brain.is_serving(), "{:?} {:?}", node.answers, node.brain.why(node.now));
}

#[test]
fn a_change_without_an_answer_is_not_withdrawn_by_the_refusal_of_another_copy() {
    let mut node = Node::returned(NodeId::B, Some(revision(1, 5)));
    node.sees_none(None);
    node.ask(FORCE);
    assert_eq!(node.asked.len(), 1);
    node.waits(Duration::from_millis(1500));
    assert_eq!(node.asked.len(), 2, "no answer came, so it is asked again");
    for _ in 0..5 {
        node.is_refused("nobody is left");
        node.asked.retain(|&number| number == 1);
        node.waits(Duration::from_millis(900));
    }
    assert!(!node.brain.is_serving(), "the first copy may still take effect");
    let [Err(refusal)] = node.answers.as_slice() else { panic!("{:?}", node.answers) };
    assert!(refusal.text.contains("not known"), "{}", refusal.text);
}

#[test]
fn an_empty_pair_that_finds_the_record_of_another_one_is_told_of_the_name() {
    let mut state = NodeState::new(Incarnation::new(9));
    state.boot = 1;
    let mut node = Node::started(&state);
    node.sees(revision(1, 5), NodeId::A, BOTH);
    let why = node.brain.why(node.now);
    assert!(why.who.is_some_and(|it| it.contains("`pair.name`")), "{}", why.now);
    node.sees(revision(1, 6), NodeId::B, BOTH);
    let why = node.brain.why(node.now);
    assert!(why.who.is_some_and(|it| it.contains("`pair.name`")), "{}", why.now);
}
