//! Servers that freeze, die, come back, or forget.

use std::time::Duration;

use tandem_switch::{MediatorEvent, Outcome, RecordState};
use tandem_types::{NodeId, PairId};
use tokio::runtime::Runtime;

use crate::TICK;
use crate::ensemble::Member;
use crate::node::{Node, SESSION, create, now, record, replace, settings, state};

#[test]
fn a_change_without_an_answer_is_unknown_and_the_same_one_settles_it() {
    let server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        let mut a = Node::up(settings(NodeId::A, &[server.endpoint()])).await;
        a.vouch().await;
        let mut revision = a.win(create()).await;
        for epoch in 2..6 {
            server.freeze();
            let change = replace(revision, epoch, NodeId::B);
            a.ask_change(epoch, change);
            let outcome = a.outcome(epoch).await;
            assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
            server.thaw();
            a.hear_up().await;
            // What was sent may take effect at any time: only the revision tells.
            let want = record(epoch, NodeId::B);
            revision = match a.change(change).await {
                Outcome::Won { revision } => revision,
                Outcome::Lost(view) => match view.record {
                    RecordState::Present { revision, record } if record == want => revision,
                    other => panic!("{other:?}"),
                },
                other @ (Outcome::Refused { .. } | Outcome::Unknown { .. }) => panic!("{other:?}"),
            };
            assert_eq!(a.view().await.record, state(revision, want), "epoch {epoch}");
        }
    });
}

#[test]
fn a_server_killed_at_any_moment_of_a_change_keeps_what_it_answered() {
    let mut server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        let mut a = Node::up(settings(NodeId::A, &[server.endpoint()])).await;
        a.vouch().await;
        let mut known = (a.win(create()).await, record(1, NodeId::A));
        for (epoch, wait) in (2..).zip([0_u64, 500, 1_500, 4_000]) {
            let change = replace(known.0, epoch, NodeId::B);
            a.ask_change(epoch, change);
            tokio::time::sleep(Duration::from_micros(wait)).await;
            server.kill();
            let outcome = a.outcome(epoch).await;
            server.restart();
            a.hear_up().await;
            let view = a.view().await;
            let RecordState::Present { revision, record: found } = view.record else {
                panic!("the record is gone: {view:?}");
            };
            assert_eq!(revision.life, known.0.life, "a restart is no new life");
            match outcome {
                Outcome::Won { revision: won } => {
                    assert_eq!((revision, found), (won, change.record));
                }
                Outcome::Unknown { .. } => {
                    let done = revision.version == known.0.version + 1 && found == change.record;
                    assert!(done || (revision, found) == known, "{found:?}");
                }
                Outcome::Lost(view) => panic!("nobody else was there: {view:?}"),
                Outcome::Refused { reason } => panic!("nothing is in the way: {reason}"),
            }
            known = (revision, found);
        }
    });
}

#[test]
fn a_wiped_server_is_another_life_and_is_not_filled_by_one_node() {
    let mut server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        let endpoints = [server.endpoint()];
        let mut a = Node::up(settings(NodeId::A, &endpoints)).await;
        let mut b = Node::up(settings(NodeId::B, &endpoints)).await;
        a.vouch().await;
        let first = a.win(create()).await;
        server.wipe();
        a.hear_down().await;
        server.restart();
        a.hear_up().await;
        b.hear_up().await;
        let view = a.view().await;
        assert_eq!(view.record, RecordState::Absent);
        assert!(view.present.a.is_none() && view.present.b.is_none(), "nobody has vouched");
        a.presence.pair_id = PairId::new(5);
        a.vouch().await;
        assert!(matches!(a.change(create()).await, Outcome::Refused { .. }), "alone");
        assert_eq!(a.lose(replace(first, 2, NodeId::B)).await.record, RecordState::Absent);
        a.vouch().await;
        b.vouch().await;
        let second = a.win(create()).await;
        assert_ne!(second.life, first.life);
        assert_eq!(second.version, 0);
        // The old life's name with the new version does not fit.
        let mixed = tandem_switch::Revision { life: first.life, ..second };
        a.lose(replace(mixed, 2, NodeId::B)).await;
    });
}

#[test]
fn an_ensemble_that_loses_its_leader_keeps_record_and_presences() {
    let mut members = Member::three(TICK);
    Runtime::new().unwrap().block_on(async {
        let leader = members.iter().position(Member::is_leader).unwrap();
        // The leader first: both nodes lose their connection with it.
        let mut endpoints: Vec<String> = members.iter().map(Member::endpoint).collect();
        endpoints.swap(0, leader);
        let long = Duration::from_secs(3);
        let of =
            |node| tandem_zookeeper::ClientSettings { session: long, ..settings(node, &endpoints) };
        let mut a = Node::up(of(NodeId::A)).await;
        let mut b = Node::up(of(NodeId::B)).await;
        a.vouch().await;
        b.vouch().await;
        let first = a.win(create()).await;
        members[leader].kill();
        a.hear_down().await;
        for node in [&mut a, &mut b] {
            node.next("up elsewhere", |event| match event {
                MediatorEvent::Up { endpoint } => (*endpoint != endpoints[0]).then_some(()),
                _ => None,
            })
            .await;
        }
        let view = b.view().await;
        assert_eq!(view.record, state(first, record(1, NodeId::A)));
        assert_eq!(view.present.a, Some(a.presence), "its session is known to all members");
        a.vouch().await;
        b.vouch().await;
        let second = b.win(replace(first, 2, NodeId::B)).await;
        let want = state(second, record(2, NodeId::B));
        assert_eq!(a.view().await.record, want);
        // No quorum: no answer at all, and nobody is told that a change was refused.
        let other =
            members.iter().position(|it| it.says("srvr").contains("Mode: follower")).unwrap();
        members[other].kill();
        b.ask_change(9, replace(second, 3, NodeId::A));
        assert!(matches!(b.outcome(9).await, Outcome::Unknown { .. }));
        members[other].restart();
        b.hear_up().await;
        let RecordState::Present { record: found, .. } = b.view().await.record else {
            panic!("it is gone")
        };
        assert!([record(2, NodeId::B), record(3, NodeId::A)].contains(&found), "{found:?}");
    });
}

#[test]
fn an_ensemble_whose_sessions_are_too_short_is_not_used() {
    let server = Member::alone(Duration::from_millis(20)); // at most 20 ticks
    Runtime::new().unwrap().block_on(async {
        let mut a = Node::start(settings(NodeId::A, &[server.endpoint()]));
        let reason = a.hear_down().await;
        assert!(reason.contains("maxSessionTimeout"), "{reason}");
    });
}

#[test]
fn sessions_that_the_ensemble_makes_longer_are_used_and_ended_in_time() {
    let server = Member::alone(Duration::from_secs(2)); // at least 2 ticks
    Runtime::new().unwrap().block_on(async {
        let endpoints = [server.endpoint()];
        let mut a = Node::up(settings(NodeId::A, &endpoints)).await;
        let mut b = Node::up(settings(NodeId::B, &endpoints)).await;
        let sent = a.vouch().await;
        b.pushed("a", |view| view.present.a.is_some()).await;
        b.pushed("the end of a", |view| view.present.a.is_none()).await;
        let lasted = now().since(sent);
        assert!(lasted < SESSION * 5 / 4, "the node itself ends it, not the server: {lasted:?}");
    });
}

#[test]
fn what_was_asked_before_the_ensemble_was_reached_is_not_carried_out_later() {
    let server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        // It takes the connection, and no more.
        server.freeze();
        let mut a = Node::start(settings(NodeId::A, &[server.endpoint()]));
        a.ask_vouch();
        a.ask_change(1, create());
        tokio::time::sleep(SESSION / 8).await;
        server.thaw();
        let outcome = a.outcome(1).await;
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
        a.hear_up().await;
        let view = a.view().await;
        assert_eq!(view.present.a, None, "that was a sign of life when it was asked for");
        assert_eq!(view.record, RecordState::Absent);
        a.vouch().await;
        assert_eq!(a.view().await.present.a, Some(a.presence));
    });
}
