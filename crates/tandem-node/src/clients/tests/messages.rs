//! Publish and subscribe, monitor.

use super::*;

#[test]
fn messages_reach_channels_and_patterns() {
    let mut world = World::new();
    let (listener, sender) = (world.connect(), world.connect());
    assert_eq!(
        world.ask(listener, "subscribe news"),
        "*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"
    );
    assert_eq!(
        world.ask(listener, "psubscribe n*"),
        "*3\r\n$10\r\npsubscribe\r\n$2\r\nn*\r\n:2\r\n"
    );
    assert_eq!(world.ask(sender, "publish news hello"), ":2\r\n");
    assert_eq!(
        world.take(listener),
        "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$5\r\nhello\r\n\
         *4\r\n$8\r\npmessage\r\n$2\r\nn*\r\n$4\r\nnews\r\n$5\r\nhello\r\n"
    );
    assert_eq!(world.ask(sender, "pubsub channels"), "*1\r\n$4\r\nnews\r\n");
    assert_eq!(
        world.ask(sender, "pubsub numsub news x"),
        "*4\r\n$4\r\nnews\r\n:1\r\n$1\r\nx\r\n:0\r\n"
    );
    assert_eq!(world.ask(sender, "pubsub numpat"), ":1\r\n");
    assert_eq!(
        world.ask(listener, "unsubscribe"),
        "*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:1\r\n"
    );
    assert_eq!(
        world.ask(listener, "punsubscribe"),
        "*3\r\n$12\r\npunsubscribe\r\n$2\r\nn*\r\n:0\r\n"
    );
    assert_eq!(world.ask(listener, "unsubscribe"), "*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n");
    assert_eq!(world.ask(sender, "publish news hello"), ":0\r\n");
}

#[test]
fn a_resp2_listener_may_send_only_a_few_commands() {
    let mut world = World::new();
    let conn = world.connect();
    world.ask(conn, "subscribe a");
    let refused = world.ask(conn, "get a");
    assert!(refused.starts_with("-ERR Can't execute 'get': only (P|S)SUBSCRIBE /"), "{refused}");
    assert_eq!(world.ask(conn, "ping"), "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    assert_eq!(world.ask(conn, "ping x"), "*2\r\n$4\r\npong\r\n$1\r\nx\r\n");
    assert_eq!(world.ask(conn, "reset"), "+RESET\r\n");
    assert_eq!(world.ask(conn, "get a"), "$-1\r\n");
}

#[test]
fn a_resp3_listener_may_send_anything_and_gets_pushes_after_its_reply() {
    let mut world = World::new();
    let conn = world.connect();
    world.ask(conn, "hello 3");
    assert_eq!(world.ask(conn, "subscribe a"), ">3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
    assert_eq!(
        world.ask(conn, "publish a x"),
        ":1\r\n>3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nx\r\n"
    );
    assert_eq!(world.ask(conn, "ping"), "+PONG\r\n");
}

#[test]
fn a_listener_that_does_not_read_is_closed() {
    let mut world = World::new();
    world.core.settings.limits.output_pubsub_bytes_max = 4000;
    let (listener, sender) = (world.connect(), world.connect());
    world.ask(listener, "subscribe a");
    for _ in 0..200 {
        world.ask(sender, "publish a 0123456789012345678901234567890123456789");
    }
    assert!(world.is_closed(listener));
    assert_eq!(world.ask(sender, "publish a x"), ":0\r\n");
    assert_eq!(world.clients.stats().output_limit_disconnections, 1);
}

#[test]
fn publications_go_to_the_peer_and_come_from_it() {
    let mut world = World::new();
    let conn = world.connect();
    world.ask(conn, "publish a x");
    assert!(world.core.operations.is_empty());
    world.core.view.peer_connected = true;
    world.ask(conn, "publish a x");
    assert_eq!(world.core.operations.len(), 1);
    world.ask(conn, "subscribe a");
    assert_eq!(world.clients.publish(&mut world.core, b"a", b"far"), 1);
    assert!(world.take(conn).ends_with("$3\r\nfar\r\n"));
}

#[test]
fn a_monitor_sees_commands_but_no_secrets() {
    let mut world = World::with_password();
    let (monitor, other) = (world.connect(), world.connect());
    world.ask(monitor, "auth secret");
    assert_eq!(world.ask(monitor, "monitor"), "+OK\r\n");
    world.ask(other, "auth secret");
    world.ask(other, "set key va\"l");
    let seen = world.take(monitor);
    assert!(seen.ends_with("[0 127.0.0.1:5555] \"set\" \"key\" \"va\\\"l\"\r\n"), "{seen}");
    assert!(!seen.contains("secret"));
}

#[test]
fn a_client_that_wants_no_replies_is_still_told_what_it_hears() {
    let mut world = World::new();
    let conn = world.connect();
    world.send_bytes(conn, b"CLIENT REPLY OFF\r\nPING\r\nSUBSCRIBE c\r\nPSUBSCRIBE p*\r\n");
    assert_eq!(
        world.take(conn),
        "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$10\r\npsubscribe\r\n$2\r\np*\r\n:2\r\n"
    );
    world.send_bytes(conn, b"UNSUBSCRIBE c\r\nPUNSUBSCRIBE\r\nPING\r\n");
    assert_eq!(
        world.take(conn),
        "*3\r\n$11\r\nunsubscribe\r\n$1\r\nc\r\n:1\r\n\
         *3\r\n$12\r\npunsubscribe\r\n$2\r\np*\r\n:0\r\n"
    );
}
