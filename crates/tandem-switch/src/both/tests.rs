//! When a node of two that both serve begins, and when it stops.

use tandem_types::{Incarnation, Pair};

use super::*;
use crate::{Acknowledge, Automatic};

fn settings() -> Settings {
    Settings {
        node: NodeId::A,
        names: Pair { a: "a".into(), b: "b".into() },
        initial_primary: NodeId::A,
        acknowledge: Acknowledge::Durable,
        failure_timeout: Duration::from_secs(1),
        hold: Duration::from_secs(2),
        automatic: Automatic::default(),
    }
}

fn at(ms: u64) -> Monotonic {
    Monotonic::from_nanos(ms * 1_000_000)
}

/// A brain whose reign is on disk, and the log behind it.
fn begun(end: u64) -> (Both, OwnEnds) {
    let mut brain = Both::new(settings(), NodeState::new(Incarnation::new(7)), 1, at(0));
    let mut own = OwnEnds::default();
    let mut out = Vec::new();
    brain.step(at(0), own, Input::Tick, &mut out);
    assert!(matches!(out[..], [Output::Persist { version: 1, .. }]), "{out:?}");
    out.clear();
    brain.step(at(1), own, Input::Persisted { version: 1 }, &mut out);
    assert!(matches!(out[..], [_, Output::BeginReign { .. }]), "{out:?}");
    brain.step(at(2), own, Input::ReignBegun { epoch: EPOCH, end: Lsn::new(1) }, &mut out);
    own.appended_end = Lsn::new(end);
    if end > 1 {
        brain = Both::new(settings(), *brain.state(), 1, at(0));
        brain.step(at(0), own, Input::Tick, &mut out);
    }
    (brain, own)
}

fn serves(brain: &mut Both, own: OwnEnds, ms: u64, input: Input) -> bool {
    brain.step(at(ms), own, input, &mut Vec::new());
    brain.is_serving()
}

#[test]
fn an_empty_node_waits_for_its_peer_or_a_person() {
    let (mut brain, own) = begun(1);
    assert!(!serves(&mut brain, own, 60_000, Input::Tick));
    assert!(brain.why().waiting_for.is_some());
    let mut met = brain.clone();
    assert!(serves(&mut met, own, 60_001, Input::Exchange(Exchange::Whole)));
    let force = Request::Promote { accept_loss: 0, force: true };
    let ask = Input::Ask { ticket: Ticket(1), request: force };
    assert!(serves(&mut brain, own, 60_001, ask));
}

#[test]
fn a_node_with_data_catches_up_first_if_it_can() {
    let (mut alone, own) = begun(9);
    assert!(!serves(&mut alone, own, 999, Input::Tick));
    assert!(serves(&mut alone, own, 1_000, Input::Tick));
    let (mut met, own) = begun(9);
    assert!(!serves(&mut met, own, 500, Input::PeerUp));
    assert!(!serves(&mut met, own, 5_000, Input::Tick));
    assert!(serves(&mut met.clone(), own, 5_001, Input::Exchange(Exchange::Whole)));
    assert!(serves(&mut met, own, 10_000, Input::Tick), "it cannot wait for ever");
}

#[test]
fn a_node_that_was_given_up_or_lost_its_disk_stops_for_good() {
    for input in [Input::Exchange(Exchange::GivenUp), Input::LogFailed] {
        let (mut brain, own) = begun(9);
        assert!(serves(&mut brain, own, 1_000, Input::Tick));
        let mut out = Vec::new();
        brain.step(at(1_001), own, input, &mut out);
        assert!(matches!(out[0], Output::Demote { .. }), "{out:?}");
        assert!(!serves(&mut brain, own, 99_000, Input::Exchange(Exchange::Whole)));
        assert_eq!(brain.role(), Role::Isolated);
    }
}
