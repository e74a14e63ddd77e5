//! What every mediator must do, whatever it is: the cases know [`Mediator`] only.

use tandem_switch::{Change, MediatorRequest, Outcome, RecordState};
use tandem_types::{Epoch, NodeId, Role};

use crate::side::{
    Mediator, SESSION, Side, after, boot, first, is_present, now, presence, record, recorded, shows,
};

const A: NodeId = NodeId::A;
const B: NodeId = NodeId::B;

pub(crate) fn presence_is_pushed_and_a_later_boot_takes_the_place_of_an_earlier_one(
    mediator: &dyn Mediator,
) {
    let (mut a, mut b) = (Side::up(mediator, A), Side::up(mediator, B));
    assert_eq!(a.read().present.a, None);
    a.vouch(presence(A, 1));
    b.shown("a is there", |view| is_present(view, presence(A, 1), A));
    let told = tandem_switch::Presence {
        role: Role::Primary,
        epoch_seen: Epoch::new(9),
        ..presence(A, 1)
    };
    a.vouch(told);
    b.shown("a is primary", |view| is_present(view, told, A));
    b.vouch(presence(B, 5));
    a.shown("both are there", |view| {
        view.present.a.is_some() && is_present(view, presence(B, 5), B)
    });
    // The process was started again, and the presence of its earlier boot has not ended yet.
    let mut again = Side::up(mediator, A);
    again.vouch(presence(A, 2));
    a.stop_vouching();
    b.shown("a's later boot", |view| is_present(view, presence(A, 2), A));
    let revision = b.wins(first());
    let takeover = |number| Change {
        unless_present: Some((A, boot(A, number))),
        ..after(revision, record(2, B))
    };
    b.loses(takeover(2));
    b.wins(takeover(1));
}

pub(crate) fn presence_lasts_for_a_session_after_the_last_sign_of_life_and_then_ends(
    mediator: &dyn Mediator,
) {
    let (mut a, mut b) = (Side::up(mediator, A), Side::up(mediator, B));
    let sent = a.vouch(presence(A, 1));
    a.stop_vouching();
    b.shown("a is there", |view| view.present.a.is_some());
    let last = loop {
        let view = b.read();
        if view.present.a.is_none() {
            break now();
        }
    };
    assert!(last.since(sent) >= SESSION, "ended {:?} after it was confirmed", last.since(sent));
    // The lease has ended: a new one is taken.
    a.vouch(presence(A, 1));
    b.shown("a is there again", |view| view.present.a.is_some());
}

pub(crate) fn signs_of_life_keep_a_presence_and_leaving_ends_it_at_once(mediator: &dyn Mediator) {
    let (mut a, mut b) = (Side::up(mediator, A), Side::up(mediator, B));
    let begun = a.vouch(presence(A, 1));
    b.shown("a is there", |view| view.present.a.is_some());
    while now().since(begun) < SESSION * 3 {
        let before = a.renewed;
        a.until("a renewal", |event| matches!(event, tandem_switch::MediatorEvent::Renewed { .. }));
        assert!(a.renewed > before);
        assert!(b.read().present.a.is_some(), "gone although it gave signs of life");
    }
    a.stop_vouching();
    a.vouch(presence(A, 1));
    a.stop_vouching();
    let left = now();
    a.ask(MediatorRequest::Leave);
    b.shown("a has left", |view| view.present.a.is_none());
    assert!(now().since(left) < SESSION, "{:?}", now().since(left));
    // Also by a client that is dropped right after it asked.
    a.vouch(presence(A, 1));
    b.shown("a is there", |view| view.present.a.is_some());
    let left = now();
    a.ask(MediatorRequest::Leave);
    drop(a);
    b.shown("a has left", |view| view.present.a.is_none());
    assert!(now().since(left) < SESSION, "{:?}", now().since(left));
}

pub(crate) fn a_change_takes_effect_only_on_the_revision_it_names(mediator: &dyn Mediator) {
    let (mut a, mut b) = (Side::up(mediator, A), Side::up(mediator, B));
    assert_eq!(a.read().record, RecordState::Absent);
    let one = a.wins(first());
    let view = b.loses(Change { record: record(1, B), ..first() });
    assert_eq!(recorded(&view), (one, record(1, A)), "what is there instead");
    b.shown("the record is pushed", |view| shows(view, record(1, A)));
    let two = b.wins(after(one, record(2, B)));
    assert!(two.life == one.life && two.version > one.version);
    let view = a.loses(after(one, record(3, A)));
    assert_eq!(recorded(&view), (two, record(2, B)));
    // Sent again, as it was not known that it had won.
    let view = b.loses(after(one, record(2, B)));
    assert_eq!(recorded(&view), (two, record(2, B)));
    // The same record once more moves the revision.
    let three = a.wins(after(two, record(2, B)));
    assert!(three.life == one.life && three.version > two.version);
    let view =
        b.loses(after(tandem_switch::Revision { life: three.life + 1, ..three }, record(4, B)));
    assert_eq!(recorded(&view).0, three, "another life");
}

pub(crate) fn of_two_changes_of_one_revision_one_wins(mediator: &dyn Mediator) {
    let (mut a, mut b) = (Side::up(mediator, A), Side::up(mediator, B));
    let mut revision = a.wins(first());
    for epoch in 2..40 {
        let (mine, theirs) = (record(epoch, A), record(epoch, B));
        let (left, right) = (a.send(after(revision, mine)), b.send(after(revision, theirs)));
        let (kept, next) = match (a.outcome(left), b.outcome(right)) {
            (Outcome::Won { revision }, Outcome::Lost(_)) => (mine, revision),
            (Outcome::Lost(_), Outcome::Won { revision }) => (theirs, revision),
            other => panic!("{other:?}"),
        };
        revision = next;
        assert_eq!(recorded(&a.read()), (revision, kept));
        assert_eq!(recorded(&b.read()), (revision, kept));
    }
}

pub(crate) fn a_boot_that_is_present_is_not_taken_over_from(mediator: &dyn Mediator) {
    let (mut a, mut b) = (Side::up(mediator, A), Side::up(mediator, B));
    a.vouch(presence(A, 1));
    let revision = a.wins(first());
    let change = |number| Change {
        unless_present: Some((A, boot(A, number))),
        ..after(revision, record(2, B))
    };
    let view = b.loses(change(1));
    assert_eq!(recorded(&view), (revision, record(1, A)), "it is as it was");
    assert!(view.present.a.is_some());
    a.stop_vouching();
    b.shown("a has ended", |view| view.present.a.is_none());
    a.vouch(presence(A, 2));
    b.shown("another boot of a", |view| is_present(view, presence(A, 2), A));
    b.loses(change(2));
    b.wins(change(1));
}

pub(crate) fn what_is_not_answered_is_unknown_and_the_record_tells(mediator: &mut dyn Mediator) {
    let mut a = Side::up(mediator, A);
    let revision = a.wins(first());
    mediator.pause();
    let number = a.send(after(revision, record(2, A)));
    let Outcome::Unknown { .. } = a.outcome(number) else { panic!("nobody can have answered") };
    mediator.resume();
    a.wait_up();
    // It may take effect now, or never; the same change settles it.
    match a.change(after(revision, record(2, A))) {
        Outcome::Won { .. } => {}
        Outcome::Lost(view) => assert_eq!(recorded(&view).1, record(2, A)),
        other @ (Outcome::Refused { .. } | Outcome::Unknown { .. }) => panic!("{other:?}"),
    }
    assert_eq!(recorded(&a.read()).1, record(2, A));
}

/// The end of a server in the middle of changes: none that was won is lost, none that was lost is found.
pub(crate) fn a_server_that_dies_in_the_middle_keeps_what_it_said(mediator: &mut dyn Mediator) {
    let mut a = Side::up(mediator, A);
    let mut revision = a.wins(first());
    let life = revision.life;
    for round in 1..=3_u64 {
        let mut kept = recorded(&a.read()).1;
        let mut epoch = round * 1_000;
        let unknown = loop {
            epoch += 1;
            let change = after(revision, record(epoch, A));
            let number = a.send(change);
            if epoch == round * 1_000 + 30 {
                mediator.kill();
            }
            match a.outcome(number) {
                Outcome::Won { revision: next } => (revision, kept) = (next, change.record),
                Outcome::Unknown { .. } => break change.record,
                Outcome::Lost(view) => panic!("nobody else is here: {view:?}"),
                Outcome::Refused { reason } => panic!("etcd refuses nothing: {reason}"),
            }
        };
        mediator.restart();
        a.wait_up();
        let (found, record) = recorded(&a.read());
        assert!(
            record == kept || record == unknown,
            "{record:?} is neither {kept:?} nor {unknown:?}"
        );
        assert!(record == unknown || found == revision);
        assert_eq!(found.life, life, "a restart is no new life");
        revision = found;
    }
}

pub(crate) fn whoever_loses_its_data_has_another_life(mediator: &mut dyn Mediator) {
    let mut a = Side::up(mediator, A);
    let before = a.wins(first());
    let next = a.wins(after(before, record(2, A)));
    mediator.wipe();
    a.wait_up();
    assert_eq!(a.read().record, RecordState::Absent);
    assert_eq!(a.loses(after(next, record(3, A))).record, RecordState::Absent);
    let anew = a.wins(first());
    assert_ne!(anew.life, before.life);
    let again = a.wins(after(anew, record(2, A)));
    a.loses(after(next, record(3, A)));
    assert_eq!(recorded(&a.read()), (again, record(2, A)));
}

pub(crate) fn a_mediator_that_is_not_there_is_said_to_be_down(mediator: &mut dyn Mediator) {
    let mut a = Side::up(mediator, A);
    mediator.kill();
    let reason = a.wait_down();
    assert!(reason.contains("127.0.0.1:"), "{reason}");
    let Outcome::Unknown { .. } = a.change(first()) else { panic!("nobody is there") };
    mediator.restart();
    a.wait_up();
    a.wins(first());
    mediator.pause();
    a.vouch_unheard(presence(A, 1));
    a.wait_down();
    mediator.resume();
    a.wait_up();
    a.vouch(presence(A, 1));
}
