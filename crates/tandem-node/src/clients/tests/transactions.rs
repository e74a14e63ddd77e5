//! `MULTI`, `EXEC`, `WATCH`.

use super::*;

#[test]
fn errors_before_exec_abort_and_errors_inside_do_not() {
    let mut world = World::new();
    let conn = world.connect();
    world.send_bytes(conn, b"MULTI\r\nSET a x\r\nnosuch\r\nEXEC\r\nGET a\r\n");
    let reply = world.take(conn);
    assert!(
        reply.ends_with("-EXECABORT Transaction discarded because of previous errors.\r\n$-1\r\n"),
        "{reply}"
    );
    world.send_bytes(conn, b"MULTI\r\nGET\r\nEXEC\r\n");
    assert!(world.take(conn).contains("-EXECABORT"));
    world.send_bytes(conn, b"MULTI\r\nSET a x\r\nINCR a\r\nSET b y\r\nEXEC\r\n");
    let reply = world.take(conn);
    assert!(
        reply.ends_with("*3\r\n+OK\r\n-ERR value is not an integer or out of range\r\n+OK\r\n"),
        "{reply}"
    );
    assert_eq!(world.ask(conn, "get b"), "$1\r\ny\r\n");
}

#[test]
fn nesting_and_watching_inside_are_refused_and_do_not_abort() {
    let mut world = World::new();
    let conn = world.connect();
    world.send_bytes(conn, b"MULTI\r\nMULTI\r\nWATCH a\r\nPING\r\nEXEC\r\n");
    assert_eq!(
        world.take(conn),
        "+OK\r\n-ERR MULTI calls can not be nested\r\n-ERR WATCH inside MULTI is not allowed\r\n\
         +QUEUED\r\n*1\r\n+PONG\r\n"
    );
    world.send_bytes(conn, b"MULTI\r\nSET a 1\r\nDISCARD\r\nGET a\r\n");
    assert_eq!(world.take(conn), "+OK\r\n+QUEUED\r\n+OK\r\n$-1\r\n");
}

#[test]
fn exec_does_nothing_if_a_watched_key_was_touched_by_anybody() {
    let mut world = World::new();
    let (me, other) = (world.connect(), world.connect());
    world.ask(me, "watch a");
    world.ask(other, "set a 1");
    world.send_bytes(me, b"MULTI\r\nSET b 1\r\nEXEC\r\n");
    assert!(world.take(me).ends_with("*-1\r\n"));
    assert_eq!(world.ask(me, "get b"), "$-1\r\n");

    world.ask(me, "watch a");
    world.ask(me, "set a 2");
    world.send_bytes(me, b"MULTI\r\nSET b 1\r\nEXEC\r\n");
    assert!(world.take(me).ends_with("*-1\r\n"), "also by its own command");

    world.ask(me, "watch a");
    world.ask(other, "set a 3");
    world.ask(me, "unwatch");
    world.send_bytes(me, b"MULTI\r\nSET b 1\r\nEXEC\r\n");
    assert!(world.take(me).ends_with("*1\r\n+OK\r\n"));
    assert!(world.clients.watchers.iter().all(std::collections::BTreeMap::is_empty));

    world.ask(me, "watch a");
    world.ask(other, "get a");
    world.send_bytes(me, b"MULTI\r\nSET b 1\r\nEXEC\r\n");
    assert!(world.take(me).ends_with("*1\r\n+OK\r\n"), "a read is no touch");
    world.ask(me, "watch a");
    world.ask(other, "flushall");
    world.send_bytes(me, b"MULTI\r\nSET b 1\r\nEXEC\r\n");
    assert!(world.take(me).ends_with("*-1\r\n"));
}

#[test]
fn a_watched_key_that_expires_is_a_change() {
    let mut world = World::new();
    let conn = world.connect();
    world.ask(conn, "set a 1 px 100");
    world.ask(conn, "watch a");
    world.later(200);
    world.send_bytes(conn, b"MULTI\r\nSET b 1\r\nEXEC\r\n");
    assert!(world.take(conn).ends_with("*-1\r\n"));
    // Already expired when it was watched: its removal changes nothing.
    world.ask(conn, "watch a");
    world.send_bytes(conn, b"MULTI\r\nSET b 1\r\nEXEC\r\n");
    assert!(world.take(conn).ends_with("*1\r\n+OK\r\n"));
}

#[test]
fn commands_of_the_connection_run_inside_too() {
    let mut world = World::new();
    let conn = world.connect();
    world.send_bytes(conn, b"MULTI\r\nSELECT 1\r\nSET a 1\r\nPUBLISH ch x\r\nEXEC\r\n");
    assert!(world.take(conn).ends_with("*3\r\n+OK\r\n+OK\r\n:0\r\n"));
    assert_eq!(world.ask(conn, "get a"), "$1\r\n1\r\n", "SELECT lasts");
    world.ask(conn, "select 0");
    assert_eq!(world.ask(conn, "get a"), "$-1\r\n");
}

#[test]
fn a_role_lost_before_exec_aborts_it() {
    let mut world = World::new();
    let conn = world.connect();
    world.send_bytes(conn, b"MULTI\r\nSET a 1\r\n");
    world.take(conn);
    world.core.view.writes = Some(crate::Refusal::ReadOnly);
    let reply = world.ask(conn, "exec");
    assert!(reply.starts_with("-EXECABORT Transaction discarded because of: READONLY"), "{reply}");
}

#[test]
fn the_position_of_a_transaction_is_told_only_after_it() {
    let mut world = World::new();
    let conn = world.connect();
    for command in ["multi", "set k v", "tandem position"] {
        world.ask(conn, command);
    }
    let replies = world.ask(conn, "exec");
    assert!(replies.contains("known after EXEC"), "{replies}");
}
