//! Replies leave once they are safe.

use super::*;

#[test]
fn a_write_is_answered_only_after_its_commit() {
    let mut world = World::new();
    world.commits = false;
    let conn = world.connect();
    assert_eq!(world.ask(conn, "ping"), "+PONG\r\n");
    assert_eq!(world.ask(conn, "set a 1"), "");
    assert_eq!(world.ask(conn, "ping"), "", "later replies wait behind it");
    let end = world.core.positions.appended_end;
    world.commit_to(end);
    assert_eq!(world.take(conn), "+OK\r\n+PONG\r\n");
}

#[test]
fn an_answer_of_the_node_that_tells_of_a_record_waits_for_it() {
    let mut world = World::new();
    world.commits = false;
    let [one, other] = [world.connect(), world.connect()];
    world.send(one, "tandem pause");
    world.send(other, "tandem pause");
    let wait = world.core.positions.appended_end.next();
    let lines = ["done".to_owned()];
    world.clients.answer_after(&mut world.core, one, wait, "done");
    world.clients.answer_lines_after(&mut world.core, other, wait, &lines);
    assert_eq!(world.take(one) + &world.take(other), "");
    world.commit_to(wait);
    assert_eq!(world.take(one), "+done\r\n");
    assert_eq!(world.take(other), "*1\r\n$4\r\ndone\r\n");
}

#[test]
fn a_read_waits_for_the_write_it_saw_and_no_other() {
    let mut world = World::new();
    world.commits = false;
    let (writer, reader) = (world.connect(), world.connect());
    world.send(writer, "set seen 1");
    assert_eq!(world.ask(reader, "get other"), "$-1\r\n");
    assert_eq!(world.ask(reader, "get seen"), "");
    world.commit_to(world.core.positions.appended_end);
    assert_eq!(world.take(reader), "$1\r\n1\r\n");
    assert_eq!(world.take(writer), "+OK\r\n");
}

#[test]
fn each_reply_goes_when_its_own_record_is_safe() {
    let mut world = World::new();
    world.commits = false;
    let conn = world.connect();
    world.send(conn, "set a 1");
    let first = world.core.positions.appended_end;
    world.send(conn, "set b 1");
    world.commit_to(first);
    assert_eq!(world.take(conn), "+OK\r\n");
    world.commit_to(first.next());
    assert_eq!(world.take(conn), "+OK\r\n");
    world.commit_to(first.next());
    assert_eq!(world.take(conn), "");
}

#[test]
fn a_transaction_is_one_record() {
    let mut world = World::new();
    let conn = world.connect();
    let before = world.core.positions.appended_end;
    world.send_bytes(conn, b"MULTI\r\nSET a 1\r\nSET b 2\r\nINCR a\r\nEXEC\r\n");
    assert_eq!(
        world.take(conn),
        "+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n*3\r\n+OK\r\n+OK\r\n:2\r\n"
    );
    assert_eq!(world.core.positions.appended_end, before.next());
    world.send_bytes(conn, b"MULTI\r\nGET a\r\nEXEC\r\n");
    assert_eq!(world.core.positions.appended_end, before.next(), "reads write nothing");
}

#[test]
fn held_replies_are_dropped_with_the_role() {
    let mut world = World::new();
    world.commits = false;
    let (writer, idle) = (world.connect(), world.connect());
    assert_eq!(world.ask(writer, "ping"), "+PONG\r\n");
    world.send(writer, "set a 1");
    world.clients.demoted(&mut world.core);
    assert!(world.is_closed(writer));
    assert!(!world.is_closed(idle));
    world.commit_to(world.core.positions.appended_end);
    assert_eq!(world.take(writer), "", "nobody may learn of it after the role is gone");
}

#[test]
fn a_connection_that_ended_is_forgotten_by_the_gate() {
    let mut world = World::new();
    world.commits = false;
    let conn = world.connect();
    world.send(conn, "set a 1");
    world.clients.closed(&mut world.core, conn);
    world.commit_to(world.core.positions.appended_end);
    assert_eq!(world.clients.connected(), 0);
    assert_eq!(world.take(conn), "");
}

#[test]
fn a_closing_connection_still_gets_what_it_is_owed() {
    let mut world = World::new();
    world.commits = false;
    let conn = world.connect();
    world.send_bytes(conn, b"SET a 1\r\nQUIT\r\nSET b 1\r\n");
    assert_eq!(world.take(conn), "");
    assert!(!world.is_closed(conn), "the server would close before the replies are safe");
    world.commit_to(world.core.positions.appended_end);
    assert_eq!(world.take(conn), "+OK\r\n+OK\r\n");
    assert!(world.is_closed(conn));
    let other = world.connect();
    assert_eq!(world.ask(other, "get b"), "$-1\r\n");
}

#[test]
fn a_broken_watch_waits_for_the_write_that_broke_it() {
    let mut world = World::new();
    world.commits = false;
    let (me, other) = (world.connect(), world.connect());
    world.ask(me, "watch a");
    world.send(other, "set a 1");
    world.send_bytes(me, b"MULTI\r\nGET b\r\n");
    assert_eq!(world.take(me), "+OK\r\n+QUEUED\r\n");
    assert_eq!(world.ask(me, "exec"), "");
    world.commit_to(world.core.positions.appended_end);
    assert_eq!(world.take(me), "*-1\r\n");
}

#[test]
fn clients_that_write_faster_than_the_disk_wait() {
    let mut world = World::new();
    world.commits = false;
    world.core.settings.limits.unacknowledged_bytes_max = 10_000;
    let (writer, reader) = (world.connect(), world.connect());
    for _ in 0..30 {
        world.ask(writer, &format!("set a {}", "x".repeat(1000)));
    }
    let paused = |world: &World| {
        let told = world.core.out.iter().filter_map(|out| match out {
            Output::PauseReading { conn, paused } => Some((*conn, *paused)),
            _ => None,
        });
        told.collect::<Vec<_>>()
    };
    world.ask(reader, "get other");
    assert_eq!(paused(&world), [(writer, true)], "readers go on");
    world.commit_to(world.core.positions.appended_end);
    assert_eq!(paused(&world), [(writer, true), (writer, false)]);
}
