//! What the primary's file says is one thing, what its standby relies on another.

use super::*;

/// A primary of epoch 5 that came back with `acknowledge` in its file, by consent of a standby whose disk, like
/// its own, has `set`.
fn returned(set: InSyncSet, acknowledge: Acknowledge) -> Play {
    let mut play = Play::new(state(NodeId::A, set), acknowledge);
    play.meets(greeting(Role::Joining, NodeId::A, set));
    let Phase::Claiming { epoch, fork } = play.brain.phase else { panic!("no claim") };
    play.says(PeerMessage::Grant { epoch, fork });
    assert_eq!(play.serving(), Some(E5));
    play.out.clear();
    play
}

/// The sets that the standby was told.
fn told(play: &Play) -> Vec<InSyncSet> {
    let told = |output: &Output| match output {
        Output::Send(PeerMessage::InSync { set, .. }) => Some(*set),
        _ => None,
    };
    play.out.iter().filter_map(told).collect()
}

fn confirms(play: &mut Play, revision: u64) {
    play.says(PeerMessage::InSyncAck { epoch: E5, revision });
}

#[test]
fn less_is_answered_by_only_once_it_is_on_both_disks_the_standbys_first() {
    let mut play = returned(set(true, true, 3), Acknowledge::Local);
    assert_eq!(play.brain.acknowledge(), Acknowledge::Durable);
    play.follower_at(21);
    assert_eq!(told(&play).len(), 1, "first the set as it is");
    play.disk_is_fast = false;
    confirms(&mut play, 3);
    let [_, weaker] = told(&play)[..] else { panic!("{:?}", play.out) };
    assert_eq!((weaker.revision, weaker.strength), (4, Acknowledge::Local));
    assert_eq!(play.brain.state().in_sync.unwrap().revision, 3, "not here before it is there");
    confirms(&mut play, 3);
    assert_eq!(play.brain.acknowledge(), Acknowledge::Durable, "that was the other one");
    confirms(&mut play, 4);
    assert_eq!(play.brain.acknowledge(), Acknowledge::Durable, "not on this disk");
    play.sync();
    assert_eq!(play.brain.acknowledge(), Acknowledge::Local);
    assert!(play.brain.is_in_sync());
    assert_eq!(told(&play).len(), 2, "and no more is said");
}

#[test]
fn a_standby_that_goes_before_it_knows_is_waited_for() {
    let mut play = returned(set(true, true, 3), Acknowledge::Local);
    play.follower_at(21);
    confirms(&mut play, 3);
    play.give(Input::PeerDown { silent: Duration::ZERO }).after(60_000);
    assert!(play.brain.is_stalled(), "it may be promoted, and rely on what it has");
    let why = play.brain.why(Monotonic::from_millis(play.now));
    assert!(why.now.contains("file says \"local\""), "{why:?}");
    // It had written it, and then the connection broke.
    let theirs = InSyncSet { revision: 4, epoch: E5, ..local(set(true, true, 4)) };
    play.out.clear();
    play.meets(Greeting { epoch_seen: E5, ..greeting(Role::Standby, NodeId::A, theirs) });
    assert_eq!(play.brain.acknowledge(), Acknowledge::Durable);
    play.follower_at(21);
    let [again] = told(&play)[..] else { panic!("{:?}", play.out) };
    assert_eq!((again.revision, again.strength), (5, Acknowledge::Durable), "never twice one");
    confirms(&mut play, 5);
    confirms(&mut play, 6);
    assert_eq!(play.brain.acknowledge(), Acknowledge::Local);
}

#[test]
fn more_is_answered_by_at_once_and_told_when_the_standby_has_everything() {
    let mut play = returned(local(set(true, true, 3)), Acknowledge::Durable);
    assert_eq!(play.brain.acknowledge(), Acknowledge::Durable);
    play.own = ends(40);
    play.follower_at(39);
    let relied_on = |play: &Play| told(play).into_iter().map(|set| set.strength).max();
    assert_ne!(relied_on(&play), Some(Acknowledge::Durable), "40 was acknowledged without it");
    play.follower_at(40);
    assert_eq!(relied_on(&play), Some(Acknowledge::Durable));
    assert!(play.brain.needs_peer());
}

#[test]
fn a_member_is_told_ahead_of_what_its_primary_greets_with() {
    let both = set(true, true, 5);
    let weaker = local(set(true, true, 6));
    let mut play = Play::durable(state(NodeId::B, both));
    play.meets(greeting(Role::Primary, NodeId::B, both));
    play.says(PeerMessage::InSync { epoch: E4, set: weaker, lsn: Lsn::new(20), recorded: None });
    assert!(play.said(|it| matches!(it, PeerMessage::InSyncAck { revision: 6, .. })));
    // Said before the primary had heard that.
    let paused = Greeting { pauses: 1, ..greeting(Role::Primary, NodeId::B, both) };
    play.says(PeerMessage::Greeting(paused));
    assert_eq!(play.brain.role(), Role::Standby);
    assert_ne!(play.brain.gap(Monotonic::ZERO), Gap::Zero, "local proves nothing");
    assert!(play.brain.why(Monotonic::ZERO).now.contains("may lose"));
    // A stronger one, or another reign's, is no copy of what is being written.
    let other = greeting(Role::Primary, NodeId::B, local(set(true, true, 5)));
    play.says(PeerMessage::Greeting(other));
    assert_eq!(play.brain.role(), Role::Joining);
}

#[test]
fn a_standby_that_relies_on_nothing_promises_nothing_while_nobody_is_primary() {
    for (set, word) in [
        (set(true, true, 3), "no acknowledged write"),
        (local(set(true, true, 3)), "would be lost"),
    ] {
        let play = Play::durable(state(NodeId::B, set));
        let forcing = play.brain.why(Monotonic::ZERO).forcing.unwrap();
        assert!(forcing.contains(word), "{forcing}");
    }
}
