//! A primary that was started too often gives its role away once.

use super::*;

#[test]
fn starts_that_led_to_a_change_of_primary_do_not_lead_to_another() {
    let mut node = Node::first_primary();
    node.is_followed();
    let told = node.said.iter().find_map(|message| match message {
        PeerMessage::InSync { epoch, set, .. } => Some((*epoch, set.revision)),
        _ => None,
    });
    let (epoch, revision) = told.expect("the peer is told that it is a member");
    node.step(Input::PeerSaid(PeerMessage::InSyncAck { epoch, revision }));
    let lease = Duration::from_millis(500);
    node.step(Input::Confirmed { epoch, asked: node.now, lease });
    node.wins(2);
    assert_eq!(node.asked, [], "it is well");
    node.brain.starts = Automatic::default().max_restarts;
    assert!(node.brain.restarts_too_often(node.now));
    for _ in 0..1_000 {
        node.now = node.now.plus(Duration::from_millis(100));
        node.step(Input::Confirmed { epoch, asked: node.now, lease });
        if !node.asked.is_empty() {
            break;
        }
    }
    assert_eq!(
        node.wanted.map(|it| it.record.primary),
        Some(NodeId::B),
        "{:?}",
        node.brain.why(node.now)
    );
    node.wins(3);
    assert_eq!(node.brain.role(), Role::Isolated);
    assert!(!node.brain.restarts_too_often(node.now), "it would give it back at once");
}
