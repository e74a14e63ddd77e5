//! keepalived's hints: what they move, and where the address may be.

use super::*;
use crate::AddressHint::{Elsewhere, Fault, Here};

const HINTED: Unaided = Unaided { seen: Seen::ByAddress, channels: 0, ..QUIET };
const TAKES: Unaided = Unaided { on_silence: OnSilence::TakeOver, ..HINTED };

fn standby(unaided: Unaided) -> Play {
    Play::standby(automatic(Automation::Auto, unaided))
}

fn cut(play: &mut Play) {
    play.give(Input::PeerDown { silent: Duration::ZERO });
    play.pass(300);
}

fn may_hold(play: &Play) -> bool {
    play.brain.may_hold_address(Monotonic::from_millis(play.now))
}

#[test]
fn the_address_comes_to_a_linked_standby_which_asks_for_the_role_and_takes_it_never() {
    for unaided in [HINTED, TAKES, Unaided { fence: true, ..HINTED }] {
        let mut play = standby(unaided);
        play.fence = Some(true);
        assert!(may_hold(&play), "it could take the role");
        play.give(Input::Address(Here));
        let asks =
            |it: &Output| matches!(it, Output::Send(PeerMessage::HandoverRequest { epoch: E4 }));
        assert_eq!(play.out.iter().filter(|it| asks(it)).count(), 1);
        assert!(may_hold(&play), "it is being asked for");
        play.pass(2_000);
        assert_eq!((play.promoted(), play.fenced), (None, 0), "{unaided:?}");
        assert!(!may_hold(&play), "the address goes back");
        play.give(Input::Address(Fault));
        assert!(!may_hold(&play), "it would only come again");
        cut(&mut play);
        assert!(may_hold(&play), "something has changed");
    }
}

#[test]
fn silence_counts_only_together_with_the_address() {
    let mut play = standby(TAKES);
    play.give(Input::Address(Elsewhere));
    cut(&mut play);
    play.pass(2_000);
    assert_eq!(play.promoted(), None, "the other machine's keepalived lives");
    play.give(Input::Address(Here));
    assert_eq!(play.promoted(), Some(PromoteCause::TookOverUnproven));
    assert!(may_hold(&play));

    let mut play = standby(Unaided { fence: true, ..HINTED });
    play.fence = Some(true);
    cut(&mut play);
    play.pass(2_000);
    assert_eq!(play.fenced, 0);
    play.give(Input::Address(Here));
    play.pass(20);
    assert_eq!(play.promoted(), Some(PromoteCause::TookOver));
}

#[test]
fn without_a_right_the_address_may_not_stay() {
    let mut play = standby(HINTED);
    cut(&mut play);
    assert!(may_hold(&play));
    play.give(Input::Address(Here));
    assert!(!may_hold(&play), "silence proves nothing");
    play.give(Input::Address(Fault));
    play.pass(2_000);
    assert!(!may_hold(&play), "nothing has changed");
    assert_eq!(play.promoted(), None);
    play.pass(30_000);
    assert!(may_hold(&play), "it is tried again now and then");

    let mut play = standby(Unaided { fence: true, ..HINTED });
    cut(&mut play);
    play.give(Input::Address(Here));
    play.pass(500);
    assert_eq!((play.fenced, may_hold(&play)), (1, false), "the fence is not certain");
}

#[test]
fn a_certificate_needs_no_hint() {
    let mut play = standby(HINTED);
    let in_sync = Some(set(true, true, 3));
    play.give(Input::Testified(Testimony { boot: PEER_BOOT, in_sync }));
    assert_eq!(play.promoted(), Some(PromoteCause::TookOver));
}

#[test]
fn a_primary_whose_interface_is_down_steps_down_and_returns_with_it() {
    let mut play = Play::primary(automatic(Automation::Auto, HINTED));
    play.give(Input::Address(Fault));
    assert!(play.brain.is_serving(), "the peer is there");
    cut(&mut play);
    assert!(!play.brain.is_serving());
    assert!(may_hold(&play), "the check must not keep keepalived in FAULT");
    play.pass(2_000);
    assert!(!play.brain.is_serving(), "the interface is down still");
    play.give(Input::Address(Here));
    play.pass(500);
    assert!(play.brain.is_serving(), "nobody can have taken over on silence");
}

#[test]
fn who_lacks_writes_never_gets_the_address() {
    let play = Play::new(NodeId::B, set(false, true, 3), automatic(Automation::Auto, TAKES));
    assert!(!may_hold(&play));
}
