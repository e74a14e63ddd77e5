//! What the peer's prober runs, and that no client notices.

use super::*;
use crate::Refusal;

#[test]
fn a_probe_is_written_and_read_back_through_the_gate_and_no_key_is_there() {
    let mut world = World::new();
    world.commits = false;
    let conn = world.connect();
    world.send(conn, "tandem.probeset one");
    world.send(conn, "tandem.probeget");
    assert_eq!(world.take(conn), "", "not acknowledged before it is safe");
    world.commits = true;
    world.later(1);
    assert_eq!(world.take(conn), "+OK\r\n$3\r\none\r\n");

    for (line, want) in [
        ("dbsize", ":0\r\n"),
        ("keys *", "*0\r\n"),
        ("randomkey", "$-1\r\n"),
        ("scan 0", "*2\r\n$1\r\n0\r\n*0\r\n"),
        ("flushall", "+OK\r\n"),
        ("tandem.probeget", "$3\r\none\r\n"),
    ] {
        assert_eq!(world.ask(conn, line), want, "{line}");
    }
    assert!(!world.ask(conn, "info keyspace").contains("db0"));
    assert_eq!(world.ask(conn, "slowlog len"), ":0\r\n");
    assert!(world.ask(conn, &format!("tandem.probeset {}", "x".repeat(65))).starts_with("-ERR"));
}

#[test]
fn a_monitor_does_not_show_probes_and_a_pause_of_the_clients_does_not_stop_them() {
    let mut world = World::new();
    let (conn, monitor) = (world.connect(), world.connect());
    world.ask(monitor, "monitor");
    assert_eq!(world.ask(conn, "client pause 10000 all"), "+OK\r\n");
    assert_eq!(world.ask(conn, "tandem.probeset one"), "+OK\r\n");
    assert_eq!(world.ask(conn, "tandem.probeget"), "$3\r\none\r\n");
    assert_eq!(world.take(monitor).matches("probe").count(), 0);
    // While the role moves, a write waits for its new place.
    world.core.view.hold_writes = true;
    assert_eq!(world.ask(conn, "tandem.probeset two"), "");
}

#[test]
fn only_the_primary_answers_probes() {
    let mut world = World::new();
    world.core.view.writes = Some(Refusal::NoReplicas);
    let conn = world.connect();
    assert!(world.ask(conn, "tandem.probeset one").starts_with("-NOREPLICAS"));
    let read_port = world.connect_to(Port::Read, "127.0.0.1:5556");
    assert!(world.ask(read_port, "tandem.probeget").starts_with("-READONLY"));
    // A replica serves reads, and passes writes on: but it is not the primary.
    world.core.view.role = Role::Standby;
    world.core.view.writes = Some(Refusal::ReadOnly);
    world.core.view.forward_writes = true;
    assert!(world.ask(conn, "tandem.probeset one").starts_with("-READONLY"));
    assert!(world.ask(conn, "tandem.probeget").starts_with("-READONLY"));
}
