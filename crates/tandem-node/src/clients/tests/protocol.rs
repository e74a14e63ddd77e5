//! Connections, names, passwords, limits, malformed input.

use super::*;

#[test]
fn a_pipeline_is_answered_in_order_however_it_is_cut() {
    let bytes =
        b"SET a 1\r\n*2\r\n$3\r\nGET\r\n$1\r\na\r\nINCR a\r\nPING\r\n*0\r\n\r\nECHO hello\r\n";
    let want = "+OK\r\n$1\r\n1\r\n:2\r\n+PONG\r\n$5\r\nhello\r\n";
    for step in 1..bytes.len() {
        let mut world = World::new();
        let conn = world.connect();
        for piece in bytes.chunks(step) {
            world.send_bytes(conn, piece);
        }
        assert_eq!(world.take(conn), want, "{step}");
    }
}

#[test]
fn errors_have_redis_words() {
    let mut world = World::new();
    let conn = world.connect();
    for (line, want) in [
        ("nosuch a b", "-ERR unknown command 'nosuch', with args beginning with: 'a' 'b' \r\n"),
        ("get", "-ERR wrong number of arguments for 'get' command\r\n"),
        ("ping a b", "-ERR wrong number of arguments for 'ping' command\r\n"),
        ("select 16", "-ERR DB index is out of range\r\n"),
        ("select x", "-ERR value is not an integer or out of range\r\n"),
        ("hello 4", "-NOPROTO unsupported protocol version\r\n"),
        ("hello x", "-ERR Protocol version is not an integer or out of range\r\n"),
        ("client nosuch", "-ERR unknown subcommand 'nosuch'. Try CLIENT HELP.\r\n"),
        ("client setname", "-ERR wrong number of arguments for 'client|setname' command\r\n"),
        ("config", "-ERR wrong number of arguments for 'config' command\r\n"),
        ("cluster info", "-ERR This instance has cluster support disabled\r\n"),
        (
            "sentinel masters",
            "-ERR unknown command 'sentinel', with args beginning with: 'masters' \r\n",
        ),
        ("exec", "-ERR EXEC without MULTI\r\n"),
        ("discard", "-ERR DISCARD without MULTI\r\n"),
    ] {
        assert_eq!(world.ask(conn, line), want, "{line}");
    }
    let info = world.ask(conn, "info errorstats");
    assert!(info.contains("errorstat_ERR:count="), "{info}");
}

#[test]
fn a_protocol_error_is_told_and_ends_the_connection() {
    let mut world = World::new();
    let conn = world.connect();
    world.send_bytes(conn, b"PING\r\n*1\r\nPING\r\nPING\r\n");
    assert_eq!(world.take(conn), "+PONG\r\n-ERR Protocol error: expected '$', got 'P'\r\n");
    assert!(world.is_closed(conn));
    world.send_bytes(conn, b"PING\r\n");
    assert_eq!(world.take(conn), "");
}

#[test]
fn a_browser_gets_nothing() {
    for request in [&b"POST / HTTP/1.1\r\n"[..], b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"] {
        let mut world = World::new();
        let conn = world.connect();
        world.send_bytes(conn, request);
        assert!(world.is_closed(conn));
        world.take(conn);
        world.send_bytes(conn, b"SET a 1\r\n");
        assert_eq!(world.take(conn), "");
    }
}

#[test]
fn hello_switches_the_protocol_also_inline() {
    let mut world = World::new();
    let conn = world.connect();
    world.send_bytes(conn, b"HELLO 3 SETNAME me\r\n");
    let reply = world.take(conn);
    assert!(reply.starts_with("%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n"), "{reply}");
    assert!(reply.contains("$5\r\nproto\r\n:3\r\n"), "{reply}");
    assert_eq!(world.ask(conn, "client getname"), "$2\r\nme\r\n");
    assert_eq!(world.ask(conn, "get nosuch"), "_\r\n");
    assert_eq!(world.ask(conn, "reset"), "+RESET\r\n");
    assert_eq!(world.ask(conn, "get nosuch"), "$-1\r\n");
}

#[test]
fn without_the_password_only_the_door_answers() {
    let mut world = World::with_password();
    let conn = world.connect();
    assert_eq!(world.ask(conn, "get a"), "-NOAUTH Authentication required.\r\n");
    assert_eq!(world.ask(conn, "ping"), "-NOAUTH Authentication required.\r\n");
    assert!(world.ask(conn, "hello 3").starts_with("-NOAUTH HELLO must be called"));
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    assert_eq!(world.ask(conn, "auth no"), wrong);
    assert_eq!(world.ask(conn, "auth other secret"), wrong);
    assert_eq!(world.ask(conn, "hello 3 auth default no"), wrong);
    assert_eq!(world.clients.stats().auth_failures, 3);
    assert!(world.ask(conn, "hello 3 auth default secret").starts_with("%7"));
    assert_eq!(world.ask(conn, "ping"), "+PONG\r\n");
    assert_eq!(world.ask(conn, "reset"), "+RESET\r\n");
    assert_eq!(world.ask(conn, "ping"), "-NOAUTH Authentication required.\r\n");
    assert_eq!(world.ask(conn, "auth secret"), "+OK\r\n");
    let stranger = world.connect();
    world.send_bytes(stranger, b"*11\r\n");
    assert_eq!(world.take(stranger), "-ERR Protocol error: unauthenticated multibulk length\r\n");
    let mut open = World::new();
    let conn = open.connect();
    let reply = open.ask(conn, "auth x");
    assert!(reply.starts_with("-ERR AUTH <password> called without any password"), "{reply}");
}

#[test]
fn strangers_are_refused_in_protected_mode_and_when_there_are_too_many() {
    let mut world = World::with(Settings { protected_mode: true, ..settings() });
    let far = world.connect_to(Port::Client, "10.1.2.3:4");
    assert!(world.take(far).starts_with("-DENIED "));
    assert!(world.is_closed(far));
    let near = world.connect();
    assert_eq!(world.ask(near, "ping"), "+PONG\r\n");

    world.core.settings.limits.clients_max = world.clients.connected();
    let one_too_many = world.connect();
    assert_eq!(world.take(one_too_many), "-ERR max number of clients reached\r\n");
    assert!(world.is_closed(one_too_many));
}

#[test]
fn clients_can_be_listed_named_and_killed() {
    let mut world = World::new();
    let (me, other) = (world.connect(), world.connect());
    assert_eq!(world.ask(other, "client setname bob"), "+OK\r\n");
    assert!(world.ask(other, "client setname b\u{7f}").starts_with("-ERR Client names cannot"));
    assert_eq!(world.ask(other, "client setinfo lib-name redis-py"), "+OK\r\n");
    assert_eq!(world.ask(me, "client id"), ":1\r\n");
    let list = world.ask(me, "client list");
    assert!(list.contains("id=2 addr=127.0.0.1:5555 laddr=127.0.0.1:6379 fd=1 name=bob"), "{list}");
    assert!(list.contains("cmd=client|list user=default redir=-1 resp=2"), "{list}");
    assert!(list.contains("lib-name=redis-py"), "{list}");
    assert!(!world.ask(me, "client list id 2").contains("id=1 "));
    assert_eq!(world.ask(me, "client kill id 2"), ":1\r\n");
    assert!(world.is_closed(other));
    assert_eq!(world.ask(me, "client kill id 2"), ":0\r\n");
    assert_eq!(world.ask(me, "client kill 1.2.3.4:5"), "-ERR No such client\r\n");
    assert_eq!(world.ask(me, "client kill id 1 skipme no"), ":1\r\n");
    assert!(world.is_closed(me));
}

#[test]
fn replies_can_be_switched_off() {
    let mut world = World::new();
    let conn = world.connect();
    world.send_bytes(conn, b"CLIENT REPLY SKIP\r\nSET a 1\r\nGET a\r\n");
    assert_eq!(world.take(conn), "$1\r\n1\r\n");
    world
        .send_bytes(conn, b"CLIENT REPLY OFF\r\nSET a 2\r\nnosuch\r\nCLIENT REPLY ON\r\nGET a\r\n");
    assert_eq!(world.take(conn), "+OK\r\n$1\r\n2\r\n");
}

#[test]
fn idle_clients_end_and_slow_readers_too() {
    let mut world = World::new();
    let conn = world.connect();
    assert_eq!(world.ask(conn, "config set timeout 10"), "+OK\r\n");
    world.later(9_000);
    assert!(!world.is_closed(conn));
    world.later(3_000);
    assert!(world.is_closed(conn));

    let slow = world.connect();
    world.core.settings.limits.output_normal_bytes_max = 1000;
    for _ in 0..300 {
        world.send_bytes(slow, b"PING\r\n");
    }
    assert!(world.is_closed(slow));
    assert_eq!(world.take(slow), "");
}

#[test]
fn a_request_that_grows_too_long_ends_the_connection() {
    let mut world = World::new();
    world.core.settings.limits.query_buffer_bytes_max = 1000;
    let conn = world.connect();
    world.send_bytes(conn, b"*2\r\n$3\r\nGET\r\n$5000\r\n");
    world.send_bytes(conn, &[b'x'; 2000]);
    assert!(world.is_closed(conn));
}

#[test]
fn configuration_can_be_read_and_what_is_real_can_be_set() {
    let mut world = World::new();
    let conn = world.connect();
    assert_eq!(
        world.ask(conn, "config get maxmemory-p*"),
        "*2\r\n$16\r\nmaxmemory-policy\r\n$10\r\nnoeviction\r\n"
    );
    assert_eq!(world.ask(conn, "config get nosuch"), "*0\r\n");
    assert_eq!(world.ask(conn, "config set maxmemory 100mb"), "+OK\r\n");
    assert!(world.ask(conn, "config get maxmemory").contains("104857600"));
    assert_eq!(
        world.ask(conn, "config set maxmemory lots"),
        "-ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a \
         memory value\r\n"
    );
    assert_eq!(
        world.ask(conn, "config set nosuch 1"),
        "-ERR Unknown option or number of arguments for CONFIG SET - 'nosuch'\r\n"
    );
    assert_eq!(world.ask(conn, "config set appendonly yes"), "+OK\r\n");
    assert!(world.ask(conn, "config set appendonly no").contains("can't set immutable config"));
    // All or nothing.
    assert!(
        world.ask(conn, "config set maxmemory 5 timeout x").starts_with("-ERR CONFIG SET failed")
    );
    assert!(world.ask(conn, "config get maxmemory").contains("104857600"));
}

#[test]
fn info_has_what_dashboards_read() {
    let mut world = World::new();
    let conn = world.connect();
    world.ask(conn, "set a 1");
    let info = world.ask(conn, "info");
    for key in [
        "redis_version:7.2.4",
        "redis_mode:standalone",
        "connected_clients:1",
        "maxmemory_policy:noeviction",
        "loading:0",
        "role:master",
        "connected_slaves:0",
        "total_commands_processed:1",
        "db0:keys=1,expires=0",
        "tandem_role:primary",
        "tandem_epoch:1",
    ] {
        assert!(info.contains(key), "{key} in {info}");
    }
    assert!(!info.contains("cmdstat_"));
    assert!(world.ask(conn, "info commandstats").contains("cmdstat_set:calls=1,"));
    assert!(!world.ask(conn, "info server").contains("# Clients"));
    assert!(world.ask(conn, "info all").contains("cmdstat_info"));
}

#[test]
fn commands_that_take_long_are_kept() {
    fn each_call_takes_20_ms() -> u64 {
        use std::sync::atomic::{AtomicU64, Ordering};
        static CLOCK: AtomicU64 = AtomicU64::new(0);
        CLOCK.fetch_add(20_000_000, Ordering::Relaxed)
    }
    let mut world = World::new();
    world.clients = Clients::new(Facts::default(), Some(each_call_takes_20_ms));
    let conn = world.connect();
    world.ask(conn, "set key value");
    assert_eq!(world.ask(conn, "slowlog len"), ":1\r\n");
    let entry = world.ask(conn, "slowlog get");
    assert!(entry.contains("$3\r\nset\r\n$3\r\nkey\r\n$5\r\nvalue\r\n"), "{entry}");
    assert_eq!(world.ask(conn, "slowlog reset"), "+OK\r\n");
}

#[test]
fn random_bytes_end_at_worst_their_own_connection() {
    let mut state = 7_u64;
    let mut world = World::new();
    let words: [&[u8]; 12] = [
        b"*3\r\n",
        b"$3\r\n",
        b"SET\r\n",
        b"MULTI\r\n",
        b"EXEC\r\n",
        b"WATCH a\r\n",
        b"\"",
        b"SUBSCRIBE x\r\n",
        b"HELLO 3\r\n",
        b"CLIENT REPLY OFF\r\n",
        b"RESET\r\n",
        b"GET a\r\n",
    ];
    for _ in 0..3000 {
        let conn = world.connect();
        let mut bytes = Vec::new();
        for _ in 0..8 {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let pick = usize::try_from(state >> 40).unwrap();
            bytes.extend_from_slice(words[pick % words.len()]);
            if pick % 5 == 0 {
                bytes.push((state >> 56) as u8);
            }
        }
        world.send_bytes(conn, &bytes);
        world.take(conn);
        world.clients.closed(&mut world.core, conn);
        world.core.out.clear();
    }
    assert_eq!(world.clients.connected(), 0);
    assert!(world.clients.watchers.iter().all(std::collections::BTreeMap::is_empty));
}

#[test]
fn one_pipeline_cannot_fill_the_memory_with_replies() {
    let mut world = World::new();
    world.core.settings.limits.output_normal_bytes_max = 1 << 20;
    let conn = world.connect();
    let value = "x".repeat(100_000);
    world.ask(conn, &format!("set big {value}"));
    world.send_bytes(conn, &b"GET big\r\n".repeat(5_000));
    assert!(world.is_closed(conn));
    assert!(world.take(conn).is_empty());

    let queued = world.connect();
    let mut bytes = b"MULTI\r\n".to_vec();
    bytes.extend(b"GET big\r\n".repeat(500));
    bytes.extend(b"SET after 1\r\nEXEC\r\n");
    world.send_bytes(queued, &bytes);
    assert!(world.is_closed(queued));
    let other = world.connect();
    assert_eq!(world.ask(other, "get after"), "$1\r\n1\r\n", "the transaction ran to its end");
}

#[test]
fn strangers_get_little_room_for_replies() {
    let mut world = World::with_password();
    let conn = world.connect();
    world.send_bytes(conn, &b"PING\r\n".repeat(10_000));
    assert!(world.is_closed(conn));
}

#[test]
fn a_transaction_cannot_queue_without_end() {
    let mut world = World::new();
    world.core.settings.limits.query_buffer_bytes_max = 100_000;
    let conn = world.connect();
    world.send_bytes(conn, b"MULTI\r\n");
    for _ in 0..200 {
        world.send_bytes(conn, &b"SET key value\r\n".repeat(100));
    }
    assert!(world.is_closed(conn));
}

#[test]
fn what_tandem_means_in_the_store_is_run_there() {
    let mut world = World::new();
    let conn = world.connect();
    for line in ["TANDEM BC INCRBY k 1", "tandem seq next k", "Tandem PP Policy LIST", "BC.GET k"] {
        let told = world.ask(conn, line);
        assert!(told.starts_with("-PPUNSUPPORTED this pair has one writer"), "{line}: {told}");
    }
    assert_eq!(world.ask(conn, "EXISTS k"), ":0\r\n", "never INCRBY itself");
    assert_eq!(
        world.ask(conn, "TANDEM BC INCRBY k"),
        "-ERR wrong number of arguments for 'bc.incrby' command\r\n"
    );
    let told = world.ask(conn, "TANDEM BC NOSUCH k");
    assert!(told.starts_with("-ERR unknown command of two writers"), "{told}");
    world.ask(conn, "MULTI");
    assert_eq!(world.ask(conn, "TANDEM BC GET k"), "+QUEUED\r\n");
    assert!(world.ask(conn, "EXEC").contains("-PPUNSUPPORTED"));
}

#[test]
fn a_client_that_does_not_read_is_not_served_until_it_does_and_loses_no_reply() {
    const VALUE: usize = 1 << 20;
    let mut world = World::new();
    let conn = world.connect();
    let mut set = Vec::new();
    write_request(&mut set, &[b"SET", b"big", &vec![b'x'; VALUE]]);
    world.send_bytes(conn, &set);
    world.commit();
    assert_eq!(world.take(conn), "+OK\r\n");
    world.send_bytes(conn, "GET big\r\n".repeat(64).as_bytes());
    let owed = world.clients.writable(conn).len();
    assert!(owed < 8 * VALUE, "{owed} bytes wait for a client that reads nothing");
    let mut got = 0;
    loop {
        let count = world.clients.writable(conn).len().min(100_000);
        if count == 0 {
            break;
        }
        got += count;
        world.clients.written(conn, count);
        world.clients.end_of_turn(&mut world.core);
    }
    assert_eq!(got, 64 * ("$1048576\r\n\r\n".len() + VALUE));
}
