//! A pair whose primary is changed by hand, in the simulated world.

use tandem_admin::{AdminReply, RoleName};
use tandem_node::{Acknowledge, Topology};
use tandem_sim::World;

fn pair(seed: u64, acknowledge: Acknowledge, clients: usize) -> World {
    let mut world = World::new(seed, acknowledge, Topology::PrimaryStandby, clients);
    world.start(0);
    world.start(1);
    world
}

fn expect(world: &mut World, what: &str, millis: u64, holds: impl FnMut(&mut World) -> bool) {
    if !world.run_until(millis, holds) {
        let trace = world.trace.join("\n");
        let status = [world.status(0), world.status(1)];
        panic!("not {what}; status {status:#?}\n{trace}");
    }
}

#[test]
fn two_empty_nodes_become_a_pair() {
    let mut world = pair(1, Acknowledge::Durable, 0);
    expect(&mut world, "in sync", 5_000, World::is_whole);
    assert_eq!(world.primaries(), [0]);
}

#[test]
fn writes_are_acknowledged_and_reach_the_standby() {
    let mut world = pair(2, Acknowledge::Durable, 8);
    expect(&mut world, "in sync", 5_000, World::is_whole);
    world.run_for(2_000);
    world.stop_clients();
    expect(&mut world, "quiet", 10_000, World::is_quiet);
    assert!(world.acknowledged() > 100, "{}", world.acknowledged());
    expect(&mut world, "in sync", 5_000, World::is_whole);
    assert_eq!(world.broken_promises(0), Vec::<String>::new());
    assert!(world.digests_agree());
}

#[test]
fn a_killed_primary_is_replaced_by_hand_without_loss_and_comes_back_as_standby() {
    for seed in 0..20 {
        let mut world = pair(seed, Acknowledge::Durable, 6);
        expect(&mut world, "in sync", 5_000, World::is_whole);
        world.run_for(500);
        if seed % 2 == 0 {
            world.kill(0);
        } else {
            world.power_cut(0);
        }
        expect(&mut world, "noticed", 5_000, |world| {
            world.status(1).is_some_and(|view| !view.peer.connected)
        });
        let reply = world.promote(1, false);
        assert!(matches!(reply, Some(AdminReply::Done(_))), "seed {seed}: {reply:?}");
        world.run_for(500);
        world.start(0);
        expect(&mut world, "in sync", 10_000, World::is_whole);
        world.run_for(200);
        world.stop_clients();
        expect(&mut world, "quiet", 10_000, World::is_quiet);
        expect(&mut world, "in sync", 10_000, World::is_whole);
        assert_eq!(world.primaries(), [1], "seed {seed}");
        assert_eq!(world.broken_promises(1), Vec::<String>::new(), "seed {seed}");
        assert!(world.digests_agree(), "seed {seed}");
    }
}

#[test]
fn a_restarted_primary_goes_on_when_its_peer_agrees() {
    let mut world = pair(5, Acknowledge::Durable, 4);
    expect(&mut world, "in sync", 5_000, World::is_whole);
    world.run_for(300);
    world.kill(0);
    world.run_for(100);
    world.start(0);
    expect(&mut world, "in sync", 5_000, World::is_whole);
    world.run_for(300);
    world.stop_clients();
    expect(&mut world, "quiet", 10_000, World::is_quiet);
    expect(&mut world, "in sync", 5_000, World::is_whole);
    assert_eq!(world.primaries(), [0]);
    assert_eq!(world.broken_promises(0), Vec::<String>::new());
}

#[test]
fn a_follower_that_was_away_for_long_gets_a_full_copy() {
    let mut world = pair(7, Acknowledge::Local, 8);
    expect(&mut world, "in sync", 5_000, World::is_whole);
    world.kill(1);
    world.run_for(20_000);
    world.start(1);
    expect(&mut world, "settled", 20_000, |world| {
        world.status(1).is_some_and(|view| view.role == RoleName::Standby)
    });
    world.stop_clients();
    expect(&mut world, "quiet", 10_000, World::is_quiet);
    expect(&mut world, "the same", 10_000, |world| world.digests_agree());
    let copied = world.trace.iter().any(|line| line.contains("full copy"));
    assert!(copied, "{}", world.trace.join("\n"));
}

#[test]
fn a_follower_that_was_cut_off_is_in_sync_again_also_when_nobody_writes_any_more() {
    for acknowledge in [Acknowledge::Local, Acknowledge::Received, Acknowledge::Durable] {
        let mut world = pair(11, acknowledge, 8);
        expect(&mut world, "in sync", 5_000, World::is_whole);
        world.run_for(300);
        world.cut_link(true);
        world.run_for(3_000);
        world.stop_clients();
        world.cut_link(false);
        expect(&mut world, "in sync again", 10_000, World::is_quiet);
        assert!(world.digests_agree());
    }
}

#[test]
fn a_snapshot_that_outlived_the_end_of_the_log_is_passed_over_for_the_one_before() {
    let mut world = pair(12, Acknowledge::Local, 8);
    expect(&mut world, "in sync", 5_000, World::is_whole);
    let snapshots = |world: &World| tandem_snapshot::list(&world.machine(0).disk, "gen-0").unwrap();
    expect(&mut world, "two snapshots old", 60_000, |world| snapshots(world).len() == 2);
    world.kill(1);
    world.kill(0);
    let newest = snapshots(&world)[0];
    let end = tandem_types::Lsn::new(newest.end.get() - 1);
    tandem_log::cut(&world.machine(0).disk, "gen-0", end).unwrap();
    world.start(0);
    assert_eq!(world.machine(0).stopped, None);
    let status = world.status(0).unwrap();
    assert_eq!(status.last_lsn, end.get());
    assert_eq!(status.applied_lsn, end.get());
}
