//! Real `ZooKeeper` servers, real connections.
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test may fail it")]

mod ensemble;
mod network;
mod node;
mod protection;
mod troubles;

use std::time::Duration;

use tandem_switch::{Change, MediatorRequest, RecordState, Revision};
use tandem_types::{NodeId, PairId};
use tokio::runtime::Runtime;

use self::ensemble::Member;
use self::node::{Node, SESSION, boot, create, now, record, replace, settings, state};

/// Sessions may be as short as two of them.
const TICK: Duration = Duration::from_millis(200);

#[test]
fn one_of_two_changes_wins_and_the_other_node_hears_of_it() {
    let server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        let endpoints = [server.endpoint()];
        let mut a = Node::up(settings(NodeId::A, &endpoints)).await;
        let mut b = Node::up(settings(NodeId::B, &endpoints)).await;
        assert_eq!(a.view().await.record, RecordState::Absent);
        a.vouch().await;
        b.vouch().await;
        a.ask_change(1, create());
        b.ask_change(1, create());
        let won = [a.outcome(1).await, b.outcome(1).await];
        let revisions: Vec<Revision> = won
            .iter()
            .filter_map(|it| match it {
                tandem_switch::Outcome::Won { revision } => Some(*revision),
                _ => None,
            })
            .collect();
        let [first] = revisions.as_slice() else { panic!("{won:?}") };
        assert_eq!(b.view().await.record, state(*first, record(1, NodeId::A)));

        let second = a.win(replace(*first, 2, NodeId::B)).await;
        assert_eq!(second, Revision { version: first.version + 1, ..*first });
        let want = state(second, record(2, NodeId::B));
        b.pushed("the new record", |view| view.record == want).await;
        assert_eq!(b.lose(replace(*first, 3, NodeId::A)).await.record, want, "an old revision");
        assert_eq!(b.lose(create()).await.record, want, "it is there");
        let other = Revision { life: second.life + 1, ..second };
        assert_eq!(b.lose(replace(other, 3, NodeId::A)).await.record, want, "another life");
    });
}

#[test]
fn a_role_is_not_taken_from_a_boot_that_is_present() {
    let server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        let endpoints = [server.endpoint()];
        let mut a = Node::up(settings(NodeId::A, &endpoints)).await;
        let mut b = Node::up(settings(NodeId::B, &endpoints)).await;
        a.vouch().await;
        let first = a.win(create()).await;
        let take = |revision: Revision, epoch, number| {
            let unless_present = Some((NodeId::A, boot(NodeId::A, number)));
            Change { unless_present, ..replace(revision, epoch, NodeId::B) }
        };
        a.vouch().await;
        let view = b.lose(take(first, 2, 1)).await;
        assert_eq!(view.record, state(first, record(1, NodeId::A)));
        assert_eq!(view.present.a.map(|it| it.boot), Some(boot(NodeId::A, 1)));

        // Another boot of it is another one, and replaces the one before.
        a.presence.boot = boot(NodeId::A, 2);
        a.vouch().await;
        let view = b.view().await;
        assert_eq!(view.present.a.map(|it| it.boot), Some(boot(NodeId::A, 2)));
        let second = b.win(take(first, 2, 1)).await;
        a.vouch().await;
        b.lose(take(second, 3, 2)).await;
        a.client.ask(MediatorRequest::Leave);
        b.pushed("the end of a", |view| view.present.a.is_none()).await;
        let third = b.win(take(second, 3, 2)).await;
        assert_eq!(third.version, second.version + 1);
    });
}

#[test]
fn a_presence_lasts_as_long_as_its_node_vouches_and_no_longer() {
    let server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        let endpoints = [server.endpoint()];
        let mut a = Node::up(settings(NodeId::A, &endpoints)).await;
        let mut b = Node::up(settings(NodeId::B, &endpoints)).await;
        let mut sent = a.vouch().await;
        b.pushed("a", |view| view.present.a == Some(a.presence)).await;
        for _ in 0..12 {
            tokio::time::sleep(SESSION / 4).await;
            sent = a.vouch().await;
            let present = b.view().await.present.a;
            assert_eq!(present, Some(a.presence), "it vouched a moment ago");
        }
        // It still reads, so its connection is well; but it vouches no more: as a node with a hung disk.
        let silent = async {
            loop {
                a.view().await;
                tokio::time::sleep(SESSION / 8).await;
            }
        };
        tokio::select! {
            () = silent => {}
            () = b.pushed("the end of a", |view| view.present.a.is_none()) => {}
        }
        let lasted = now().since(sent);
        assert!(lasted >= SESSION * 3 / 4, "it ended too soon: {lasted:?}");
        assert!(lasted <= SESSION * 5 / 4, "a wedged node was present for {lasted:?}");
        // It recovers, and is there again.
        a.vouch().await;
        assert_eq!(b.view().await.present.a, Some(a.presence));
    });
}

#[test]
fn what_a_presence_says_is_kept_up_to_date() {
    let server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        let endpoints = [server.endpoint()];
        let mut a = Node::up(settings(NodeId::A, &endpoints)).await;
        let mut b = Node::up(settings(NodeId::B, &endpoints)).await;
        a.vouch().await;
        a.presence.pair_id = PairId::new(5);
        a.presence.role = tandem_types::Role::Primary;
        a.vouch().await;
        b.pushed("the new content", |view| view.present.a == Some(a.presence)).await;
    });
}

#[test]
fn what_an_older_session_left_is_replaced_and_never_mistaken() {
    let server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        let endpoints = [server.endpoint()];
        let mut old = Node::up(settings(NodeId::A, &endpoints)).await;
        old.vouch().await;
        // It ends without a word, and its session goes on for a while.
        let Node { client, task, .. } = old;
        drop(client);
        task.await.unwrap();
        let mut new = Node::up(settings(NodeId::A, &endpoints)).await;
        let mut b = Node::up(settings(NodeId::B, &endpoints)).await;
        assert_eq!(b.view().await.present.a, Some(new.presence), "the leftover");
        let begun = now();
        // Longer than the old session can last.
        while now().since(begun) < SESSION * 3 {
            new.vouch().await;
            assert_eq!(b.view().await.present.a, Some(new.presence), "of the new session");
            tokio::time::sleep(SESSION / 8).await;
        }
    });
}

#[test]
fn a_lost_record_that_names_both_is_written_anew_only_while_both_nodes_are_here() {
    let server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        let endpoints = [server.endpoint()];
        let mut a = Node::up(settings(NodeId::A, &endpoints)).await;
        let mut b = Node::up(settings(NodeId::B, &endpoints)).await;
        a.presence.pair_id = PairId::new(5);
        a.vouch().await;
        match a.change(create()).await {
            tandem_switch::Outcome::Refused { reason } => {
                assert!(reason.contains("names both"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        a.vouch().await;
        b.vouch().await;
        a.win(create()).await;
    });
}

#[test]
fn a_node_that_is_left_alone_writes_a_lost_record_that_names_nobody_else() {
    let server = Member::alone(TICK);
    Runtime::new().unwrap().block_on(async {
        let endpoints = [server.endpoint()];
        let mut a = Node::up(settings(NodeId::A, &endpoints)).await;
        a.presence.pair_id = PairId::new(5);
        a.vouch().await;
        let mut alone = create();
        alone.record.members.b = None;
        let revision = a.win(alone).await;
        assert_eq!(a.view().await.record, state(revision, alone.record));
    });
}
