//! A standby that tries the primary as a client: what its failures move, and what they do not.

use super::*;
use crate::{OwnTrouble, Probed};

const OK: Probed = Probed::Answered { round_trip: Duration::from_millis(1), wrote: true };
const READ: Probed = Probed::Answered { round_trip: Duration::from_millis(1), wrote: false };
const PROBING: Unaided = Unaided { seen: Seen::AsClient, channels: 0, ..QUIET };
const TAKES: Unaided = Unaided { on_silence: OnSilence::TakeOver, ..PROBING };

fn probed(play: &mut Play, probed: Probed) {
    let asked = Monotonic::from_millis(play.now);
    play.pass(20);
    play.give(Input::Probed { asked, probed });
}

fn cut(play: &mut Play) {
    play.give(Input::PeerDown { silent: Duration::ZERO });
}

fn standby(unaided: Unaided) -> Play {
    Play::standby(automatic(Automation::Auto, unaided))
}

#[test]
fn so_many_failures_in_a_row_decide_and_nothing_else_does() {
    use Probed::{Error, Refused, Silent, Slow, Wrong};
    let login = Probed::Unsure(OwnTrouble::Login);
    let cases: [(&str, &[Probed], bool); 6] = [
        ("of every kind", &[Refused, Wrong, Slow], true),
        ("two are too few", &[Silent, Error], false),
        ("an answer begins the row again", &[Silent, Error, READ, Silent, Error], false),
        ("own trouble counts for nothing", &[login; 9], false),
        ("own trouble begins the row again", &[Silent, Error, login, Silent, Error], false),
        ("they go on", &[OK, Silent, OK, Refused, Refused, Refused, Refused], true),
    ];
    for (name, results, moves) in cases {
        let mut play = standby(TAKES);
        cut(&mut play);
        for &result in results {
            probed(&mut play, result);
        }
        let want = moves.then_some(PromoteCause::TookOverUnproven);
        // An answered write while the link was down means more: see below.
        let want = want.filter(|_| !results.contains(&OK));
        assert_eq!(play.promoted(), want, "{name}");
    }
}

#[test]
fn silence_of_the_link_alone_moves_nothing() {
    let mut play = standby(TAKES);
    cut(&mut play);
    play.pass(5_000);
    assert_eq!(play.promoted(), None);
}

#[test]
fn a_linked_primary_that_fails_its_clients_is_asked_to_hand_over_before_anything_else() {
    for (unaided, want) in [
        (TAKES, Some(PromoteCause::TookOverUnproven)),
        (PROBING, None),
        (Unaided { fence: true, ..PROBING }, Some(PromoteCause::TookOver)),
    ] {
        let mut play = standby(unaided);
        play.fence = Some(true);
        for _ in 0..3 {
            probed(&mut play, Probed::Error);
        }
        let asks =
            |it: &Output| matches!(it, Output::Send(PeerMessage::HandoverRequest { epoch: E4 }));
        assert_eq!(play.out.iter().filter(|it| asks(it)).count(), 1, "{unaided:?}");
        assert_eq!(play.promoted(), None);
        for _ in 0..50 {
            probed(&mut play, Probed::Error);
        }
        assert_eq!(play.promoted(), want, "{unaided:?}");
    }
}

#[test]
fn without_a_fence_a_silent_primary_is_waited_for_and_why_says_so() {
    let mut play = standby(PROBING);
    cut(&mut play);
    for _ in 0..20 {
        probed(&mut play, Probed::Silent);
    }
    assert_eq!(play.promoted(), None);
    let why = play.brain.why(Monotonic::from_millis(play.now));
    assert!(why.now.contains("does not answer (20 failures in a row, 3 decide)"), "{why:?}");
    assert!(why.waiting_for.unwrap().contains("silence proves nothing"));
    assert_eq!(play.brain.probe().failures, 20);
}

#[test]
fn a_primary_that_acknowledges_without_this_node_is_never_replaced_by_it() {
    // A write that was begun while the link was down was not acknowledged by this node.
    let mut play = standby(TAKES);
    let before = Monotonic::from_millis(play.now);
    play.pass(20);
    cut(&mut play);
    play.give(Input::Probed { asked: before, probed: OK });
    assert!(play.brain.unfit().is_none(), "it may have been");
    play.pass(20);
    probed(&mut play, OK);
    assert!(play.brain.unfit().unwrap().contains("gone on alone"));
    for _ in 0..20 {
        probed(&mut play, Probed::Refused);
    }
    assert_eq!(play.promoted(), None);
    // Followed again, it holds everything.
    play.give(Input::PeerUp);
    let greeting = Play::greeting(Role::Primary, NodeId::B, set(true, true, 3));
    play.give(Input::PeerSaid(PeerMessage::Greeting(greeting)));
    assert!(play.brain.unfit().is_none());
}

#[test]
fn one_that_only_reads_takes_a_living_primary_to_go_alone_once_its_patience_is_over() {
    let mut play = standby(TAKES);
    cut(&mut play);
    play.pass(100);
    probed(&mut play, READ);
    assert!(play.brain.unfit().is_none());
    play.pass(200);
    probed(&mut play, READ);
    assert!(play.brain.unfit().unwrap().contains("gone on alone"));
    let mut play = standby(Unaided { goes_alone: false, ..TAKES });
    cut(&mut play);
    play.pass(1_000);
    probed(&mut play, READ);
    assert!(play.brain.unfit().is_none(), "it never goes alone");
}

#[test]
fn the_own_network_must_have_been_seen_since_the_failures_began() {
    let mut play = standby(Unaided { pings: true, ..TAKES });
    play.pinged(true);
    play.pass(10);
    cut(&mut play);
    for _ in 0..5 {
        probed(&mut play, Probed::Silent);
    }
    assert_eq!(play.promoted(), None, "the last look was before");
    play.pinged(true);
    assert_eq!(play.promoted(), Some(PromoteCause::TookOverUnproven));
}

#[test]
fn what_was_begun_while_the_own_network_was_down_proves_nothing_when_it_is_back() {
    let mut play = standby(Unaided { pings: true, ..TAKES });
    play.pinged(true);
    play.pass(10);
    cut(&mut play);
    for _ in 0..5 {
        probed(&mut play, Probed::Silent);
    }
    play.pinged(false);
    let begun = Monotonic::from_millis(play.now);
    play.pass(500);
    play.pinged(true);
    assert_eq!(play.promoted(), None);
    for _ in 0..5 {
        play.give(Input::Probed { asked: begun, probed: Probed::Silent });
    }
    play.pinged(true);
    assert_eq!((play.promoted(), play.brain.probe().failures), (None, 0));
    play.pass(10);
    for _ in 0..3 {
        probed(&mut play, Probed::Silent);
    }
    play.pinged(true);
    assert_eq!(play.promoted(), Some(PromoteCause::TookOverUnproven));
}

#[test]
fn a_peer_that_does_not_claim_to_serve_is_not_judged_by_its_client_port() {
    let mut play = Play::new(NodeId::B, set(true, true, 3), automatic(Automation::Auto, TAKES));
    play.give(Input::PeerUp);
    let greeting = Play::greeting(Role::Joining, NodeId::B, set(true, true, 3));
    play.give(Input::PeerSaid(PeerMessage::Greeting(greeting)));
    for _ in 0..20 {
        probed(&mut play, Probed::Error);
    }
    assert_eq!(play.promoted(), None);
}
