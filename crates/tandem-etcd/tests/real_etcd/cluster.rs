//! Three members: any one of them may go, and one alone counts for nothing.

use rustix::process::Signal;
use tandem_types::NodeId;

use crate::Etcd;
use crate::server::{Options, Server};
use crate::side::{Side, after, first, presence, record, recorded, shows};

const A: NodeId = NodeId::A;
const B: NodeId = NodeId::B;

fn three() -> Etcd {
    Etcd::of(Server::start(Options { members: 3, ..Options::default() }))
}

/// A client that asks this member first.
fn at(etcd: &Etcd, node: NodeId, member: usize) -> Side {
    let mut endpoints = etcd.server.endpoints();
    endpoints.rotate_left(member);
    Side::with(node, |tell| etcd.connect_to(endpoints, node, tell))
}

#[test]
fn the_loss_of_any_one_member_costs_no_presence_and_no_record() {
    let mut etcd = three();
    for follower in [true, false] {
        let leader = etcd.server.leader().expect("there is a leader");
        let member = if follower { (leader + 1) % 3 } else { leader };
        let mut a = at(&etcd, A, member);
        a.wait_up();
        let mut b = at(&etcd, B, (member + 1) % 3);
        b.wait_up();
        a.vouch(presence(A, 1));
        let revision = match a.read().record {
            tandem_switch::RecordState::Absent => a.wins(first()),
            _ => recorded(&a.read()).0,
        };
        let epoch = recorded(&a.read()).1.epoch.get() + 1;
        b.shown("a is there", |view| view.present.a.is_some());
        etcd.server.members[member].kill();
        a.wait_down();
        a.wait_up();
        a.vouch(presence(A, 1));
        assert!(b.read().present.a.is_some(), "its lease is that of the cluster");
        let next = a.wins(after(revision, record(epoch, A)));
        assert_eq!(next.life, revision.life);
        b.shown("the change", |view| shows(view, record(epoch, A)));
        etcd.server.run();
    }
}

#[test]
fn a_member_that_stops_answering_is_left_for_another_before_the_presence_ends() {
    let etcd = three();
    let leader = etcd.server.leader().expect("there is a leader");
    let member = (leader + 1) % 3;
    let mut a = at(&etcd, A, member);
    a.wait_up();
    let mut b = at(&etcd, B, leader);
    b.wait_up();
    a.vouch(presence(A, 1));
    b.shown("a is there", |view| view.present.a.is_some());
    etcd.server.members[member].signal(Signal::STOP);
    a.vouch_unheard(presence(A, 1));
    let reason = a.wait_down();
    assert!(reason.contains("no answer in time"), "{reason}");
    a.wait_up();
    a.vouch(presence(A, 1));
    assert!(b.read().present.a.is_some());
    etcd.server.members[member].signal(Signal::CONT);
}

#[test]
fn a_member_without_a_leader_counts_as_silent() {
    let mut etcd = three();
    let mut a = at(&etcd, A, 0);
    a.wait_up();
    let revision = a.wins(first());
    etcd.server.members[1].kill();
    etcd.server.members[2].kill();
    a.wait_down();
    // It answers, and what it says is that it knows nothing.
    let mut late = at(&etcd, B, 0);
    let reason = late.wait_down();
    assert!(reason.contains("no leader") || reason.contains("no answer in time"), "{reason}");
    etcd.server.run();
    late.wait_up();
    assert_eq!(recorded(&late.read()), (revision, record(1, A)));
}
