//! What the role allows.

use super::*;
use crate::{Operation, Refusal};

#[test]
fn a_standby_serves_no_data_but_says_who_does() {
    let mut world = World::new();
    world.core.view.role = Role::Standby;
    world.core.view.reads = Some(Refusal::Standby);
    world.core.view.writes = Some(Refusal::Standby);
    world.core.view.primary_address = Some("10.0.0.2:6379".to_owned());
    let conn = world.connect();
    let want = "-STANDBY this node does not serve clients; the primary is 10.0.0.2:6379\r\n";
    for line in ["get a", "set a 1", "subscribe x", "publish x y", "watch a", "dbsize"] {
        assert_eq!(world.ask(conn, line), want, "{line}");
    }
    assert_eq!(world.ask(conn, "ping"), "+PONG\r\n");
    assert_eq!(world.ask(conn, "select 1"), "+OK\r\n");
    assert!(world.ask(conn, "info").contains("role:slave"));
    let role = world.ask(conn, "role");
    assert!(
        role.starts_with("*5\r\n$5\r\nslave\r\n$8\r\n10.0.0.2\r\n:6379\r\n$7\r\nconnect\r\n"),
        "{role}"
    );
    assert!(world.ask(conn, "wait 1 0").starts_with("-ERR WAIT cannot be used with replica"));
}

#[test]
fn a_replica_reads_and_refuses_writes_or_passes_them_on() {
    let mut world = World::new();
    world.core.view.role = Role::Standby;
    world.core.view.writes = Some(Refusal::ReadOnly);
    let conn = world.connect();
    assert_eq!(world.ask(conn, "get a"), "$-1\r\n");
    let readonly = "-READONLY You can't write against a read only replica.\r\n";
    assert_eq!(world.ask(conn, "set a 1"), readonly);

    world.core.view.forward_writes = true;
    world.send_bytes(conn, b"SET a 1\r\nGET a\r\n");
    assert_eq!(world.take(conn), "");
    let Some(Operation::Forward { conn: who, command, .. }) = world.core.operations.pop_front()
    else {
        panic!("nothing was passed on")
    };
    assert_eq!(command, b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n");
    world.clients.forwarded(&mut world.core, who, Some(b"+OK\r\n"));
    assert_eq!(world.take(conn), "+OK\r\n$-1\r\n");
    world.send(conn, "set a 1");
    world.clients.forwarded(&mut world.core, conn, None);
    assert!(world.is_closed(conn), "nobody knows whether it was carried out");
    let other = world.connect();
    world.send_bytes(other, b"MULTI\r\nSET a 1\r\n");
    assert!(world.take(other).contains("READONLY"));
}

#[test]
fn a_forwarded_write_runs_as_if_a_client_had_sent_it() {
    let mut world = World::new();
    world.commits = false;
    let (db, proto) = (tandem_types::DbIndex::ZERO, tandem_resp::Proto::Resp2);
    let mut reply = Vec::new();
    let request = b"*2\r\n$4\r\nINCR\r\n$1\r\na\r\n";
    let wait = world.clients.run_forwarded(&mut world.core, db, proto, request, &mut reply);
    assert_eq!(reply, b":1\r\n");
    assert_eq!(wait, world.core.positions.appended_end);
    for bad in [&b"*1\r\n$4\r\nINCR\r\n"[..], b"*1\r\n", b"nosuch\r\n", b"*1\r\n$4\r\nPING\r\n"] {
        reply.clear();
        let wait = world.clients.run_forwarded(&mut world.core, db, proto, bad, &mut reply);
        assert_eq!((reply.first(), wait), (Some(&b'-'), Lsn::ZERO), "{bad:?}");
    }
}

#[test]
fn the_read_port_says_slave_on_a_primary_too() {
    let mut world = World::new();
    let writer = world.connect();
    world.ask(writer, "set a 1");
    let conn = world.connect_to(Port::Read, "127.0.0.1:7");
    assert_eq!(world.ask(conn, "get a"), "$1\r\n1\r\n");
    assert!(world.ask(conn, "set a 2").starts_with("-READONLY "));
    assert!(world.ask(conn, "info replication").contains("role:slave"));
    assert!(
        world
            .ask(conn, "role")
            .starts_with("*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:6379\r\n$9\r\nconnected\r\n")
    );
    assert!(world.ask(conn, "hello 2").contains("replica"));
    world.clients.close_client_port(&mut world.core);
    assert!(world.is_closed(writer));
    assert!(!world.is_closed(conn));
}

#[test]
fn each_refusal_has_its_word() {
    let mut world = World::new();
    for (refusal, word) in [
        (Refusal::Stale, "-STALE "),
        (Refusal::Loading, "-LOADING "),
        (Refusal::NotPrimary, "-NOTPRIMARY "),
        (Refusal::NoReplicas, "-NOREPLICAS "),
        (Refusal::Disk, "-MISCONF "),
    ] {
        world.core.view.writes = Some(refusal);
        let conn = world.connect();
        let reply = world.ask(conn, "set a 1");
        assert!(reply.starts_with(word), "{reply}");
        assert!(!world.is_closed(conn), "{word}");
    }
    world.core.view.writes = None;
    let conn = world.connect();
    world.core.store.settings_mut().maxmemory_bytes = 1;
    world.ask(conn, "set a 1");
    assert!(world.ask(conn, "set a 2").starts_with("-OOM command not allowed"));
    assert_eq!(world.ask(conn, "get a"), "$1\r\n1\r\n");
}

#[test]
fn writes_held_for_a_change_of_primary_run_or_fail_when_it_is_over() {
    let mut world = World::new();
    let conn = world.connect();
    world.core.view.hold_writes = true;
    world.send_bytes(conn, b"GET a\r\nSET a 1\r\n");
    assert_eq!(world.take(conn), "$-1\r\n");
    world.core.view.hold_writes = false;
    world.clients.end_of_turn(&mut world.core);
    world.commit();
    assert_eq!(world.take(conn), "+OK\r\n");
    world.core.view.hold_writes = true;
    world.send(conn, "set a 2");
    world.core.view.hold_writes = false;
    world.core.view.writes = Some(Refusal::ReadOnly);
    world.clients.end_of_turn(&mut world.core);
    assert!(world.take(conn).starts_with("-READONLY"), "a definite error: it never ran");
}

#[test]
fn a_connection_that_outlived_the_role_ends_with_its_first_refusal() {
    let mut world = World::new();
    let (old, reader) = (world.connect(), world.connect_to(Port::Read, "127.0.0.1:8"));
    world.core.view.role = Role::Standby;
    world.core.view.writes = Some(Refusal::ReadOnly);
    world.clients.demoted(&mut world.core);
    assert_eq!(world.ask(old, "get a"), "$-1\r\n", "a replica goes on reading");
    assert!(!world.is_closed(old));
    world.send_bytes(old, b"SET a 1\r\nSET b 1\r\n");
    assert_eq!(world.take(old), "-READONLY You can't write against a read only replica.\r\n");
    assert!(world.is_closed(old));
    world.ask(reader, "set a 1");
    assert!(!world.is_closed(reader));
    let new = world.connect();
    world.ask(new, "set a 1");
    assert!(!world.is_closed(new), "who comes now may have been told to read here");
}

fn hand_over(world: &mut World) {
    world.core.view.role = Role::Standby;
    world.core.view.reads = Some(Refusal::Standby);
    world.core.view.writes = Some(Refusal::Standby);
    world.core.view.hold_writes = false;
    world.clients.handed_over(&mut world.core);
}

fn passed_on(world: &mut World) -> String {
    match world.core.operations.pop_front() {
        Some(Operation::Forward { command, .. }) => {
            String::from_utf8(command).unwrap().replace("\r\n", " ")
        }
        other => panic!("nothing was passed on: {other:?}"),
    }
}

#[test]
fn after_a_planned_change_held_and_new_requests_reach_the_new_primary_in_order() {
    let mut world = World::new();
    let conn = world.connect();
    world.core.view.hold_writes = true;
    world.send_bytes(conn, b"INCR a\r\nGET a\r\n");
    assert_eq!(world.take(conn), "");
    hand_over(&mut world);
    world.clients.end_of_turn(&mut world.core);
    assert!(world.core.operations.is_empty(), "the new primary does not serve yet");
    world.clients.new_primary_serves(&mut world.core);
    assert_eq!(passed_on(&mut world), "*2 $4 INCR $1 a ");
    assert_eq!(passed_on(&mut world), "*2 $3 GET $1 a ", "none waits for the one before");
    world.clients.forwarded(&mut world.core, conn, Some(b":8\r\n"));
    assert_eq!(world.take(conn), ":8\r\n");
    world.clients.forwarded(&mut world.core, conn, Some(b"$1\r\n8\r\n"));
    assert_eq!(world.take(conn), "$1\r\n8\r\n");
    assert!(!world.is_closed(conn));
}

#[test]
fn what_is_answered_here_waits_for_what_was_passed_on() {
    let mut world = World::new();
    let conn = world.connect();
    hand_over(&mut world);
    world.clients.new_primary_serves(&mut world.core);
    world.send_bytes(conn, b"INCR a\r\nINCR a b\r\nINCR a\r\nPING\r\nINCR a\r\n");
    assert_eq!(passed_on(&mut world), "*2 $4 INCR $1 a ");
    assert!(world.core.operations.is_empty(), "the wrong one must not be answered first");
    world.clients.forwarded(&mut world.core, conn, Some(b":1\r\n"));
    assert_eq!(world.take(conn).lines().count(), 2, "its answer and the error");
    assert_eq!(passed_on(&mut world), "*2 $4 INCR $1 a ");
    assert!(world.core.operations.is_empty(), "PING is answered here, after it");
    world.clients.forwarded(&mut world.core, conn, Some(b":2\r\n"));
    assert_eq!(world.take(conn), ":2\r\n+PONG\r\n");
    assert_eq!(passed_on(&mut world), "*2 $4 INCR $1 a ");
}

#[test]
fn an_unknown_command_and_a_malformed_one_are_not_answered_before_what_was_passed_on() {
    let mut world = World::new();
    let (conn, other) = (world.connect(), world.connect());
    hand_over(&mut world);
    world.clients.new_primary_serves(&mut world.core);
    world.send_bytes(conn, b"INCR a\r\nFOO\r\n");
    assert_eq!(passed_on(&mut world), "*2 $4 INCR $1 a ");
    assert_eq!(world.take(conn), "", "the error is the answer to the second one");
    world.clients.forwarded(&mut world.core, conn, Some(b":1\r\n"));
    let answers = world.take(conn);
    assert!(answers.starts_with(":1\r\n-ERR unknown command 'FOO'"), "{answers}");

    world.send_bytes(other, b"INCR a\r\n*1\r\n:x\r\n");
    assert_eq!(passed_on(&mut world), "*2 $4 INCR $1 a ");
    assert_eq!(world.take(other), "", "an error would be taken for the answer to INCR");
    assert!(world.is_closed(other), "whose outcome this client never learns");
}

#[test]
fn little_is_passed_on_at_once_of_a_client_that_sends_much() {
    let mut world = World::new();
    let conn = world.connect();
    hand_over(&mut world);
    world.clients.new_primary_serves(&mut world.core);
    let large = format!("*3\r\n$3\r\nSET\r\n$1\r\na\r\n$600000\r\n{}\r\n", "x".repeat(600_000));
    world.send_bytes(conn, large.repeat(8).as_bytes());
    assert_eq!(world.core.operations.len(), 2, "the first that exceed the limit");
}

#[test]
fn a_long_pipeline_is_passed_on_in_parts_and_ends_unanswered_with_the_link() {
    let mut world = World::new();
    let (conn, other) = (world.connect(), world.connect());
    hand_over(&mut world);
    world.clients.new_primary_serves(&mut world.core);
    world.send_bytes(conn, &b"INCR a\r\n".repeat(1_000));
    let first = world.core.operations.len();
    assert!((2..1_000).contains(&first), "{first} at once");
    for _ in 0..first {
        passed_on(&mut world);
    }
    for number in 0..first {
        assert!(world.core.operations.is_empty(), "more before answer {number}");
        world.clients.forwarded(&mut world.core, conn, Some(b":1\r\n"));
    }
    assert_eq!(world.core.operations.len(), first, "the next part");
    for _ in 0..first {
        world.clients.forwarded(&mut world.core, conn, None);
    }
    assert_eq!(world.take(conn).lines().count(), first);
    assert!(world.is_closed(conn));
    assert!(!world.is_closed(other));
}

#[test]
fn a_planned_change_ends_those_whose_wait_or_transaction_cannot_move() {
    let mut world = World::new();
    let lines = ["blpop k 0", "multi", "watch k", "subscribe c"];
    let conns = lines.map(|line| {
        let conn = world.connect();
        world.send(conn, line);
        world.take(conn);
        conn
    });
    let idle = world.connect();
    hand_over(&mut world);
    for (conn, line) in conns.into_iter().zip(lines) {
        assert!(world.is_closed(conn), "{line}");
    }
    assert!(!world.is_closed(idle));
    world.send(idle, "blpop k 0");
    assert_eq!(world.take(idle), "", "no error that a library would keep asking after");
    assert!(world.is_closed(idle));
}

#[test]
fn after_the_linger_time_connections_end_once_they_are_answered() {
    let mut world = World::new();
    let (idle, asking) = (world.connect(), world.connect());
    hand_over(&mut world);
    world.clients.new_primary_serves(&mut world.core);
    world.send_bytes(asking, b"SET a 1\r\nSET a 2\r\n");
    let linger = world.core.settings.linger;
    world.core.now.mono = world.core.now.mono.plus(linger);
    world.clients.tick(&mut world.core);
    assert!(world.is_closed(idle));
    assert!(!world.is_closed(asking), "its answer is under way");
    world.clients.forwarded(&mut world.core, asking, Some(b"+OK\r\n"));
    assert!(!world.is_closed(asking), "and so is the second");
    world.clients.forwarded(&mut world.core, asking, Some(b"+OK\r\n"));
    assert_eq!(world.take(asking), "+OK\r\n+OK\r\n");
    assert!(world.is_closed(asking));
}

#[test]
fn in_the_second_half_of_the_linger_time_connections_end_shortly_after_an_answer() {
    let mut world = World::new();
    let (asking, silent) = (world.connect(), world.connect());
    hand_over(&mut world);
    world.clients.new_primary_serves(&mut world.core);
    let wait = |world: &mut World, time: Duration| {
        world.core.now.mono = world.core.now.mono.plus(time);
        world.clients.tick(&mut world.core);
    };
    let answered = |world: &mut World| {
        world.send(asking, "set a 1");
        world.core.operations.clear();
        world.clients.forwarded(&mut world.core, asking, Some(b"+OK\r\n"));
    };
    answered(&mut world);
    wait(&mut world, Duration::from_millis(100));
    assert!(!world.is_closed(asking), "there is time yet");
    wait(&mut world, Duration::from_millis(150));
    assert!(!world.is_closed(asking), "its next request may be on its way");
    answered(&mut world);
    wait(&mut world, Duration::from_millis(4));
    world.send(asking, "set a 2");
    wait(&mut world, Duration::from_millis(4));
    assert!(!world.is_closed(asking), "it waits for an answer");
    world.clients.forwarded(&mut world.core, asking, Some(b"+OK\r\n"));
    let until = world.core.now.mono.plus(Duration::from_millis(5));
    assert!(world.clients.deadline().is_some_and(|due| due <= until));
    wait(&mut world, Duration::from_millis(5));
    assert!(world.is_closed(asking));
    assert!(!world.is_closed(silent));
    wait(&mut world, Duration::from_millis(250));
    assert!(world.is_closed(silent));
}

#[test]
fn who_is_served_here_again_within_the_linger_time_is_answered() {
    let mut world = World::new();
    let (popping, blocked, moved) = (world.connect(), world.connect(), world.connect());
    hand_over(&mut world);
    world.clients.new_primary_serves(&mut world.core);
    world.send(moved, "set a 1");
    passed_on(&mut world);
    serve(&mut world);
    let half = world.core.settings.linger / 2;
    world.core.now.mono = world.core.now.mono.plus(half);
    world.clients.tick(&mut world.core);
    // Carried out here, and not safe yet: the other disk takes its time.
    world.commits = false;
    world.send(blocked, "blpop q 0");
    world.send(popping, "rpush q 1 2");
    world.send(popping, "lpop q");
    for _ in 0..4 {
        world.core.now.mono = world.core.now.mono.plus(half);
        world.clients.tick(&mut world.core);
    }
    assert!(!world.is_closed(popping) && !world.is_closed(blocked), "what they took is theirs");
    world.commits = true;
    world.commit();
    assert_eq!(world.take(blocked), "*2\r\n$1\r\nq\r\n$1\r\n1\r\n");
    assert_eq!(world.take(popping), ":2\r\n$1\r\n2\r\n");
    // Its answer was on its way when the role came back.
    world.clients.forwarded(&mut world.core, moved, Some(b"+OK\r\n"));
    assert_eq!(world.take(moved), "+OK\r\n");
    assert!(!world.is_closed(moved));
    // A refusal that has nothing to do with the role ends nobody's connection.
    world.core.view.writes = Some(Refusal::NoReplicas);
    assert!(world.ask(moved, "set a 1").starts_with("-NOREPLICAS"));
    assert!(!world.is_closed(moved));
}

#[test]
fn who_connects_while_the_old_primary_lingers_is_served_through_it() {
    let mut world = World::new();
    hand_over(&mut world);
    world.clients.new_primary_serves(&mut world.core);
    let (late, reader) = (world.connect(), world.connect_to(Port::Read, "127.0.0.1:8"));
    world.send(late, "set a 1");
    assert_eq!(passed_on(&mut world), "*3 $3 set $1 a $1 1 ");
    world.clients.forwarded(&mut world.core, late, Some(b"+OK\r\n"));
    assert_eq!(world.take(late), "+OK\r\n");
    let linger = world.core.settings.linger;
    world.core.now.mono = world.core.now.mono.plus(linger);
    world.clients.tick(&mut world.core);
    assert!(world.is_closed(late));
    assert!(!world.is_closed(reader));
}

#[test]
fn who_asked_is_told_where_the_primary_went() {
    let mut world = World::new();
    let (asked, not) = (world.connect(), world.connect());
    let on = "client maint_notifications on moving-endpoint-type internal-ip";
    assert!(world.ask(asked, on).starts_with("-ERR maintenance notifications need RESP3"));
    for conn in [asked, not] {
        world.ask(conn, "hello 3");
    }
    assert_eq!(world.ask(asked, on), "+OK\r\n");
    assert!(world.ask(not, "client maint_notifications on x y").starts_with("-ERR unknown option"));
    world.core.view.primary_address = Some("10.0.0.2:6379".to_owned());
    hand_over(&mut world);
    assert_eq!(world.take(asked), "");
    world.clients.new_primary_serves(&mut world.core);
    let moving =
        |number| format!(">4\r\n$6\r\nMOVING\r\n:{number}\r\n:1\r\n$13\r\n10.0.0.2:6379\r\n");
    assert_eq!(world.take(asked), moving(1));
    assert_eq!(world.take(not), "");
    let late = world.connect();
    world.ask(late, "hello 3");
    assert_eq!(world.ask(late, on), format!("+OK\r\n{}", moving(2)));
}

#[test]
fn failover_and_switch_ask_for_a_planned_change_and_wait_for_its_end() {
    let mut world = World::new();
    let conn = world.connect();
    let requires = "-ERR FAILOVER requires connected replicas.\r\n";
    world.core.view.peer_connected = false;
    assert_eq!(world.ask(conn, "failover"), requires);
    world.core.view.peer_connected = true;
    let wrong = "-ERR FAILOVER target HOST and PORT is not a replica.\r\n";
    assert_eq!(world.ask(conn, "failover to 1.2.3.4 5"), wrong);
    assert!(world.ask(conn, "failover timeout 0").starts_with("-ERR FAILOVER timeout must be"));
    assert!(world.ask(conn, "failover force").starts_with("-ERR FAILOVER FORCE may lose writes"));
    let name = world.core.settings.peer_name().to_owned();
    let peer = world.core.settings.node.peer();
    let to_peer = crate::Wish::Switch { to: Some(peer) };
    for (line, want) in [
        ("failover timeout 500".to_owned(), to_peer),
        (format!("tandem switch to {name}"), to_peer),
        ("tandem switch".to_owned(), crate::Wish::Switch { to: None }),
        ("tandem confirm".to_owned(), crate::Wish::Confirm),
        ("tandem reject".to_owned(), crate::Wish::Reject),
        ("tandem pause".to_owned(), crate::Wish::Pause),
        ("tandem resume".to_owned(), crate::Wish::Resume),
    ] {
        world.send(conn, &line);
        let asked = world.core.operations.pop_front();
        assert_eq!(asked, Some(Operation::Wish { conn, wish: want }), "{line}");
        world.clients.answer(&mut world.core, conn, Ok("done"));
        assert_eq!(world.take(conn), "+done\r\n", "{line}");
    }
    // The one who asked hears how it ended, although the role is gone by then.
    world.send(conn, "failover");
    hand_over(&mut world);
    world.clients.answer(&mut world.core, conn, Ok("done"));
    assert_eq!(world.take(conn), "+done\r\n");
    let other = world.connect();
    assert!(world.ask(other, "failover").starts_with("-ERR FAILOVER is not valid"));
}

/// The node has the role and begins its reign: it may not answer yet.
fn start(world: &mut World) {
    world.core.view.role = Role::Joining;
    world.core.view.reads = Some(Refusal::NotPrimary);
    world.core.view.writes = Some(Refusal::NotPrimary);
    world.core.view.starting_until = Some(world.core.now.mono.plus(world.core.settings.hold));
}

fn serve(world: &mut World) {
    world.core.view.role = Role::Primary;
    world.core.view.reads = None;
    world.core.view.writes = None;
    world.core.view.starting_until = None;
    world.clients.serves();
    world.clients.end_of_turn(&mut world.core);
    world.commit();
}

#[test]
fn who_comes_while_the_node_begins_its_reign_is_answered_as_soon_as_it_serves() {
    let mut world = World::new();
    start(&mut world);
    let (conn, other) = (world.connect(), world.connect());
    world.send_bytes(conn, b"PING\r\nINCR a\r\nGET a\r\n");
    world.send_bytes(other, b"MULTI\r\nINCR a\r\nEXEC\r\n");
    assert_eq!(world.take(conn), "+PONG\r\n");
    assert_eq!(world.take(other), "+OK\r\n", "what is queued must be allowed when it is queued");
    serve(&mut world);
    assert_eq!(world.take(conn), ":1\r\n$1\r\n1\r\n");
    assert_eq!(world.take(other), "+QUEUED\r\n*1\r\n:2\r\n");
}

#[test]
fn a_reign_that_does_not_begin_in_time_refuses_those_who_waited() {
    let mut world = World::new();
    start(&mut world);
    let conn = world.connect();
    let read_port = world.connect_to(Port::Read, "127.0.0.1:8");
    world.core.view.read_port_reads = Some(Refusal::Loading);
    assert!(world.ask(read_port, "get a").starts_with("-LOADING"), "it has nothing to wait for");
    world.send(conn, "set a 1");
    world.later(1_999);
    assert_eq!(world.take(conn), "");
    world.later(1);
    assert!(world.take(conn).starts_with("-NOTPRIMARY "));
    assert!(world.ask(conn, "set a 1").starts_with("-NOTPRIMARY "));
}

#[test]
fn what_the_next_primary_gave_back_undone_is_done_here_in_order() {
    let mut world = World::new();
    let conn = world.connect();
    hand_over(&mut world);
    world.clients.new_primary_serves(&mut world.core);
    world.send_bytes(conn, b"INCR a\r\nINCR a\r\nAPPEND b x\r\nPING\r\n");
    let sent: Vec<Vec<u8>> = std::mem::take(&mut world.core.operations)
        .into_iter()
        .map(|operation| match operation {
            Operation::Forward { command, .. } => command,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sent.len(), 3);
    world.clients.forwarded(&mut world.core, conn, Some(b":1\r\n"));
    for command in &sent[1..] {
        world.clients.turned_away(&mut world.core, conn, command);
    }
    world.send(conn, "append b y");
    assert_eq!(world.take(conn), ":1\r\n", "the others are not refused");
    assert!(world.core.operations.is_empty(), "and not asked again at once");
    start(&mut world);
    world.later(100);
    assert!(world.core.operations.is_empty(), "this node is about to serve");
    serve(&mut world);
    assert_eq!(world.take(conn), ":1\r\n:1\r\n+PONG\r\n:2\r\n");
    assert!(!world.is_closed(conn));
}

#[test]
fn what_is_given_back_again_and_again_is_refused_in_the_end() {
    let mut world = World::new();
    let conn = world.connect();
    world.core.view.role = Role::Standby;
    world.core.view.writes = Some(Refusal::ReadOnly);
    world.core.view.forward_writes = true;
    world.send(conn, "set a 1");
    let mut tries = 0;
    let refused = loop {
        while let Some(Operation::Forward { command, .. }) = world.core.operations.pop_front() {
            tries += 1;
            world.clients.turned_away(&mut world.core, conn, &command);
        }
        let answer = world.take(conn);
        if !answer.is_empty() {
            break answer;
        }
        let due = world.clients.deadline().expect("it is tried again").as_nanos() / 1_000_000;
        assert!(due > world.millis, "it does not spin");
        world.at(due);
    };
    assert!(refused.starts_with("-NOTPRIMARY "), "{refused}");
    assert_eq!(world.millis, 1_002_000, "after `hold`");
    assert!((50..=100).contains(&tries), "{tries}");
    world.send(conn, "set a 1");
    assert_eq!(passed_on(&mut world), "*3 $3 set $1 a $1 1 ", "the next one is tried");
}
