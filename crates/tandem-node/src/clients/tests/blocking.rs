//! Commands that wait.

use super::*;
use crate::Operation;

#[test]
fn a_blocked_pop_is_served_in_the_turn_of_the_push_first_come_first_served() {
    let mut world = World::new();
    let (first, second, pusher) = (world.connect(), world.connect(), world.connect());
    assert_eq!(world.ask(first, "blpop a b 0"), "");
    assert_eq!(world.ask(second, "blpop a 0"), "");
    assert_eq!(world.clients.blocked_count(), 2);
    assert_eq!(world.ask(pusher, "rpush a one"), ":1\r\n");
    assert_eq!(world.take(first), "*2\r\n$1\r\na\r\n$3\r\none\r\n");
    assert_eq!(world.take(second), "");
    assert_eq!(world.ask(pusher, "rpush a two three"), ":2\r\n");
    assert_eq!(world.take(second), "*2\r\n$1\r\na\r\n$3\r\ntwo\r\n");
    assert_eq!(world.ask(pusher, "lrange a 0 -1"), "*1\r\n$5\r\nthree\r\n");
    assert_eq!(world.clients.blocked_count(), 0);
}

#[test]
fn time_ends_a_wait_and_the_pipeline_goes_on() {
    let mut world = World::new();
    let conn = world.connect();
    world.send_bytes(conn, b"BLPOP a 1\r\nPING\r\n");
    assert_eq!(world.take(conn), "");
    assert!(world.clients.deadline().is_some());
    world.later(900);
    assert_eq!(world.take(conn), "");
    world.later(200);
    assert_eq!(world.take(conn), "*-1\r\n+PONG\r\n");
}

#[test]
fn a_push_in_a_transaction_serves_after_exec() {
    let mut world = World::new();
    let (waiter, pusher) = (world.connect(), world.connect());
    world.ask(waiter, "blpop a 0");
    world.send_bytes(pusher, b"MULTI\r\nRPUSH a 1\r\nLLEN a\r\nEXEC\r\n");
    assert!(world.take(pusher).ends_with("*2\r\n:1\r\n:1\r\n"));
    assert_eq!(world.take(waiter), "*2\r\n$1\r\na\r\n$1\r\n1\r\n");
    world.send_bytes(waiter, b"MULTI\r\nBLPOP a 0\r\nEXEC\r\n");
    assert!(world.take(waiter).ends_with("*1\r\n*-1\r\n"), "nothing waits inside");
}

#[test]
fn a_served_client_waits_for_the_commit_like_any_writer() {
    let mut world = World::new();
    world.commits = false;
    let (waiter, pusher) = (world.connect(), world.connect());
    world.ask(waiter, "blpop a 0");
    world.send(pusher, "rpush a 1");
    assert_eq!(world.take(waiter), "");
    world.commit_to(world.core.positions.appended_end);
    assert_eq!(world.take(waiter), "*2\r\n$1\r\na\r\n$1\r\n1\r\n");
}

#[test]
fn chains_of_blocked_moves_are_served_to_the_end() {
    let mut world = World::new();
    let (mover, popper, pusher) = (world.connect(), world.connect(), world.connect());
    world.ask(popper, "blpop b 0");
    world.ask(mover, "blmove a b left right 0");
    world.ask(pusher, "rpush a x");
    assert_eq!(world.take(mover), "$1\r\nx\r\n");
    assert_eq!(world.take(popper), "*2\r\n$1\r\nb\r\n$1\r\nx\r\n");
}

#[test]
fn blocked_clients_can_be_unblocked_killed_and_demoted() {
    let mut world = World::new();
    let (first, second, third, me) =
        (world.connect(), world.connect(), world.connect(), world.connect());
    for conn in [first, second, third] {
        world.ask(conn, "blpop a 0");
    }
    assert_eq!(world.ask(me, "client unblock 1"), ":1\r\n");
    assert_eq!(world.take(first), "*-1\r\n");
    assert_eq!(world.ask(me, "client unblock 2 error"), ":1\r\n");
    assert_eq!(world.take(second), "-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n");
    assert_eq!(world.ask(me, "client unblock 2"), ":0\r\n");
    world.clients.demoted(&mut world.core);
    assert!(world.is_closed(third));
    assert_eq!(world.clients.blocked_count(), 0);
    world.ask(first, "blpop a 0");
    world.clients.closed(&mut world.core, first);
    assert_eq!(world.ask(me, "rpush a 1"), ":1\r\n");
    assert_eq!(world.ask(me, "llen a"), ":1\r\n", "nobody took it");
}

#[test]
fn wait_counts_the_peer_once_it_has_the_write() {
    let mut world = World::new();
    let conn = world.connect();
    world.core.view.peer_connected = true;
    world.ask(conn, "set a 1");
    assert_eq!(world.ask(conn, "wait 0 0"), ":0\r\n");
    assert_eq!(world.ask(conn, "wait 1 0"), "");
    world.core.positions.peer_received_end = world.core.positions.appended_end;
    world.clients.committed(&mut world.core);
    assert_eq!(world.take(conn), ":1\r\n");
    assert_eq!(world.ask(conn, "waitaof 1 0 0"), "*2\r\n:1\r\n:0\r\n");
    assert_eq!(world.ask(conn, "waitaof 1 1 100"), "");
    world.later(200);
    assert_eq!(world.take(conn), "*2\r\n:1\r\n:0\r\n");
    assert_eq!(world.ask(conn, "wait 1 -1"), "-ERR timeout is negative\r\n");
}

#[test]
fn waitpos_waits_for_what_another_node_wrote() {
    let mut world = World::new();
    let conn = world.connect();
    world.ask(conn, "set a 1");
    let position = world.ask(conn, "tandem position");
    assert_eq!(position, "$3\r\n1 2\r\n");
    assert_eq!(world.ask(conn, "tandem waitpos 1 2 0"), "+OK\r\n");
    assert_eq!(world.ask(conn, "tandem waitpos 1 3 50"), "");
    world.later(100);
    assert!(world.take(conn).starts_with("-TIMEOUT "));
    assert_eq!(world.ask(conn, "tandem waitpos 1 3 0"), "");
    let other = world.connect();
    world.ask(other, "set b 1");
    assert_eq!(world.take(conn), "+OK\r\n");
}

#[test]
fn a_pause_holds_writes_or_everything_until_it_ends() {
    let mut world = World::new();
    let (admin, conn) = (world.connect(), world.connect());
    assert_eq!(world.ask(admin, "client pause 1000 write"), "+OK\r\n");
    world.send_bytes(conn, b"GET a\r\nSET a 1\r\nGET a\r\n");
    assert_eq!(world.take(conn), "$-1\r\n");
    assert_eq!(world.clients.held_count(), 1);
    world.later(500);
    assert_eq!(world.take(conn), "");
    world.later(600);
    assert_eq!(world.take(conn), "+OK\r\n$1\r\n1\r\n");
    world.ask(admin, "client pause 100000 all");
    assert_eq!(world.ask(conn, "get a"), "");
    assert_eq!(world.ask(admin, "client unpause"), "+OK\r\n");
    assert_eq!(world.take(conn), "$1\r\n1\r\n");
}

#[test]
fn input_behind_a_wait_is_bounded() {
    let mut world = World::new();
    let conn = world.connect();
    world.send_bytes(conn, b"BLPOP a 0\r\n");
    for _ in 0..40 {
        world.send_bytes(conn, &b"PING\r\n".repeat(10_000));
    }
    let paused = |world: &World| {
        world
            .core
            .out
            .iter()
            .filter_map(|out| match out {
                Output::PauseReading { paused, .. } => Some(*paused),
                _ => None,
            })
            .collect::<Vec<bool>>()
    };
    assert_eq!(paused(&world), [true]);
    let other = world.connect();
    world.ask(other, "rpush a 1");
    assert_eq!(paused(&world), [true, false]);
    assert!(world.take(conn).ends_with("+PONG\r\n+PONG\r\n"));
}

#[test]
fn wishes_wait_for_the_nodes_answer() {
    let mut world = World::new();
    let conn = world.connect();
    world.send_bytes(conn, b"TANDEM PROMOTE FORCE\r\nPING\r\n");
    assert_eq!(world.take(conn), "");
    assert!(
        matches!(world.core.operations.pop_front(), Some(Operation::Wish { conn: who, .. }) if who == conn)
    );
    world.clients.answer(&mut world.core, conn, Err("ERR cannot promote"));
    assert_eq!(world.take(conn), "-ERR cannot promote\r\n+PONG\r\n");
}
