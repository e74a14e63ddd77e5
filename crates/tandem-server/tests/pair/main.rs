//! Two whole servers over loopback: real sockets, threads and files, in one process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod certificates;
mod client;
mod world;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use tandem_admin::{AdminReply, AdminRequest, PromoteRequest};
use tandem_server::{CertificateError, Supervised};
use tandem_switch::{BootId, Testimony};
use tandem_types::{Incarnation, NodeId};
use world::{World, wait_in_sync};

#[test]
fn an_acknowledged_write_is_on_the_other_node() {
    let mut world = World::new();
    let (a, b) = world.start();
    assert_eq!(a.client().ask(&["SET", "k", "v"]), "OK");
    b.client().ask_until(&["GET", "k"], "v");
    let refused = b.client().ask(&["SET", "k", "w"]);
    assert!(refused.starts_with("-READONLY"), "{refused}");
    assert_eq!(Client::to(a.addresses.read.unwrap()).ask(&["GET", "k"]), "v");
    b.stop().unwrap();
    a.stop().unwrap();
}

#[test]
fn a_supervisor_is_heard_by_either_node_and_the_link_stays() {
    let secret: Option<Arc<[u8]>> = Some(Arc::from(&b"0123456789abcdef0123456789abcdef"[..]));
    let mut world = World::with(move |it| it.peer_secret.clone_from(&secret));
    let (a, b) = world.start();
    let boot = BootId { incarnation: Incarnation::new(7), boot: 3 };
    let testimony = Testimony { boot, in_sync: None };
    for (node, peer) in [(NodeId::B, &a), (NodeId::A, &b)] {
        let mut settings = world.settings(node);
        settings.peer_link_port = peer.addresses.link.unwrap().port();
        Supervised::new(settings.clone()).certify(testimony).unwrap();
        settings.peer_secret = Some(Arc::from(&b"another secret that nobody knows"[..]));
        let refused = Supervised::new(settings).certify(testimony).unwrap_err();
        assert!(
            matches!(
                refused,
                CertificateError::Link(_) | CertificateError::NoAnswer | CertificateError::Io(_)
            ),
            "{refused}"
        );
    }
    assert_eq!(a.client().ask(&["SET", "k", "v"]), "OK");
    wait_in_sync(&a);
    b.stop().unwrap();
    a.stop().unwrap();
}

#[test]
fn a_client_that_closes_its_half_still_gets_its_durable_answer() {
    let mut world = World::new();
    let (a, b) = world.start();
    for _ in 0..20 {
        let mut client = TcpStream::connect(a.addresses.client).unwrap();
        client.write_all(b"SET k v\r\nGET k\r\n").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "+OK\r\n$1\r\nv\r\n");
    }
    // One that only waits for a key is gone.
    let mut blocked = TcpStream::connect(a.addresses.client).unwrap();
    blocked.write_all(b"BLPOP nothing 0\r\n").unwrap();
    blocked.shutdown(Shutdown::Write).unwrap();
    assert_eq!(blocked.read(&mut [0]).unwrap(), 0);
    b.stop().unwrap();
    a.stop().unwrap();
}

#[test]
fn data_survives_a_restart_of_both_from_log_and_from_snapshot() {
    for snapshot_log_bytes in [0, 200_000] {
        let mut world = World::with(move |it| it.node.snapshot_log_bytes = snapshot_log_bytes);
        let (a, b) = world.start();
        let mut client = a.client();
        for round in 0..20 {
            for key in 0..100 {
                client.send(&["SET", &format!("k{key}"), &format!("{round}-{}", "x".repeat(200))]);
            }
            for _ in 0..100 {
                assert_eq!(client.hear(), "OK");
            }
        }
        b.stop().unwrap();
        a.stop().unwrap();
        let snapshots = std::fs::read_dir(world.dir.path().join("A/gen-0"))
            .unwrap()
            .filter(|entry| {
                entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".snap")
            })
            .count();
        assert_eq!(snapshots > 0, snapshot_log_bytes > 0);
        let (a, b) = world.start();
        let want = format!("19-{}", "x".repeat(200));
        for key in 0..100 {
            assert_eq!(a.client().ask(&["GET", &format!("k{key}")]), want);
            b.client().ask_until(&["GET", &format!("k{key}")], &want);
        }
        b.stop().unwrap();
        a.stop().unwrap();
    }
}

#[test]
fn every_fsync_policy_gets_a_pair_in_sync() {
    let interval = tandem_node::Fsync::Interval(Duration::from_secs(1));
    for fsync in [tandem_node::Fsync::Never, interval, tandem_node::Fsync::Always] {
        let mut world = World::with(move |it| it.node.fsync = fsync);
        let (a, b) = world.start();
        assert_eq!(a.client().ask(&["SET", "k", "v"]), "OK");
        b.client().ask_until(&["GET", "k"], "v");
        b.stop().unwrap();
        a.stop().unwrap();
    }
}

#[test]
fn the_peer_comes_back_and_catches_up() {
    let mut world = World::with(|it| it.node.acknowledge = tandem_node::Acknowledge::Local);
    let (a, b) = world.start();
    let mut client = a.client();
    assert_eq!(client.ask(&["SET", "before", "1"]), "OK");
    b.stop().unwrap();
    for key in 0..3000 {
        client.send(&["SET", &format!("k{key}"), &"x".repeat(1000)]);
    }
    for _ in 0..3000 {
        assert_eq!(client.hear(), "OK");
    }
    let b = world.start_b();
    b.client().ask_until(&["DBSIZE"], "3001");
    wait_in_sync(&a);
    b.stop().unwrap();
    a.stop().unwrap();
}

#[test]
fn an_empty_peer_gets_a_full_copy() {
    let mut world = World::with(|it| {
        it.node.acknowledge = tandem_node::Acknowledge::Local;
        it.node.snapshot_log_bytes = 1 << 20;
        it.node.log_retention_bytes = 1 << 20;
        it.node.tail_bytes_max = 1 << 20;
        it.segment_bytes = 1 << 20;
    });
    let (a, b) = world.start();
    b.stop().unwrap();
    let mut client = a.client();
    for round in 0..20 {
        for key in 0..1000 {
            client.send(&["SET", &format!("k{key}"), &format!("{round}{}", "x".repeat(1000))]);
        }
        for _ in 0..1000 {
            assert_eq!(client.hear(), "OK");
        }
    }
    std::fs::remove_dir_all(world.dir.path().join("B")).unwrap();
    let b = world.start_b();
    // Writes go on meanwhile.
    for key in 0..1000 {
        assert_eq!(client.ask(&["SET", &format!("n{key}"), "x"]), "OK");
    }
    b.client().ask_until(&["DBSIZE"], "2000");
    b.client().ask_until(&["GET", "k999"], &format!("19{}", "x".repeat(1000)));
    wait_in_sync(&a);
    b.stop().unwrap();
    // What was copied is what a restart finds.
    let b = world.start_b();
    b.client().ask_until(&["DBSIZE"], "2000");
    b.stop().unwrap();
    a.stop().unwrap();
}

#[test]
fn a_promoted_node_serves_and_the_old_primary_follows() {
    let mut world = World::new();
    let (a, b) = world.start();
    assert_eq!(a.client().ask(&["SET", "k", "v"]), "OK");
    let promoted = b.ask(AdminRequest::Promote(PromoteRequest::default()));
    assert!(matches!(promoted, AdminReply::Done(_)), "{promoted:?}");
    b.client().ask_until(&["SET", "k", "w"], "OK");
    a.client().ask_until(&["GET", "k"], "w");
    wait_in_sync(&b);
    a.stop().unwrap();
    b.stop().unwrap();
}

#[test]
fn a_returning_primary_keeps_aside_what_the_pair_lacks_starts_again_in_place_and_follows() {
    let mut world = World::with(|it| it.node.acknowledge = tandem_node::Acknowledge::Local);
    let (a, b) = world.start();
    assert_eq!(a.client().ask(&["SET", "both", "1"]), "OK");
    b.client().ask_until(&["GET", "both"], "1");
    b.stop().unwrap();
    assert_eq!(a.client().ask(&["SET", "lost", "1"]), "OK");
    a.stop().unwrap();
    let b = world.start_b();
    b.client().ask_until(&["PING"], "PONG");
    let force = PromoteRequest { force: true, ..PromoteRequest::default() };
    let promoted = b.ask(AdminRequest::Promote(force));
    assert!(matches!(promoted, AdminReply::Done(_)), "{promoted:?}");
    b.client().ask_until(&["SET", "new", "2"], "OK");
    let a = world.start_a();
    // While it starts again its listeners stay open; a client may be closed meanwhile.
    let start = Instant::now();
    while try_ask(a.addresses.client, b"GET new\r\n") != b"$1\r\n2\r\n" {
        assert!(start.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(try_ask(a.addresses.client, b"EXISTS lost both\r\n"), b":1\r\n");
    let kept: Vec<_> = std::fs::read_dir(world.dir.path().join("A/conflicts")).unwrap().collect();
    assert_eq!(kept.len(), 1);
    let text = std::fs::read_to_string(kept[0].as_ref().unwrap().path()).unwrap();
    assert!(text.contains("\"lost\"") && !text.contains("\"both\""), "{text}");
    wait_in_sync(&b);
    a.stop().unwrap();
    b.stop().unwrap();
}

/// One request on a connection of its own; what came before the end.
fn try_ask(address: std::net::SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    if let Ok(mut stream) = TcpStream::connect(address) {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        drop(stream.write_all(request));
        drop(stream.shutdown(Shutdown::Write));
        drop(stream.read_to_end(&mut answer));
    }
    answer
}

#[test]
fn the_link_and_the_clients_speak_tls_and_a_secret_protects_the_link() {
    let certificates = certificates::Authority::new();
    for (client_ca, secret) in [(true, None), (false, Some(&b"a secret of both nodes"[..]))] {
        let files = certificates.files("node", client_ca);
        let mut world = World::with(move |it| {
            it.tls = Some(files.clone());
            it.peer_secret = secret.map(Arc::from);
        });
        let (a, b) = world.start();
        let mut client = certificates.client(a.addresses.client);
        client.write_all(b"SET k v\r\n").unwrap();
        let mut answer = [0; 5];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"+OK\r\n");
        // Plain bytes on a TLS port: a clean close.
        let mut plain = TcpStream::connect(a.addresses.client).unwrap();
        plain.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        plain.write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
        let mut rest = Vec::new();
        drop(plain.read_to_end(&mut rest));
        assert!(rest.len() < 20, "an alert at most: {rest:?}");
        b.stop().unwrap();
        a.stop().unwrap();
    }
}

#[test]
fn a_client_that_reads_nothing_is_dropped_and_the_others_are_served() {
    let mut world = World::with(|it| it.node.limits.output_normal_bytes_max = 1 << 20);
    let (a, b) = world.start();
    let mut client = a.client();
    assert_eq!(client.ask(&["SET", "big", &"x".repeat(100_000)]), "OK");
    let mut slow = a.client();
    slow.stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let start = Instant::now();
    let request = b"GET big\r\n".repeat(100);
    while slow.stream.write_all(&request).is_ok() {
        assert!(start.elapsed() < Duration::from_secs(20), "never dropped");
        assert_eq!(client.ask(&["PING"]), "PONG");
    }
    b.stop().unwrap();
    a.stop().unwrap();
}

#[test]
fn a_million_pipelined_requests_without_a_read_are_answered_in_order() {
    let mut world = World::new();
    let (a, b) = world.start();
    let mut client = a.client();
    let mut reader = client.stream.try_clone().unwrap();
    let requests = 200_000;
    let writing = thread::spawn(move || {
        let chunk = b"INCR n\r\n".repeat(1000);
        for _ in 0..requests / 1000 {
            client.stream.write_all(&chunk).unwrap();
        }
        client
    });
    let client = writing.join().unwrap();
    let mut answers = Vec::new();
    let lines: Vec<String> = (1..=requests).map(|number| format!(":{number}\r\n")).collect();
    let want = lines.concat();
    let mut buffer = vec![0; 1 << 16];
    while answers.len() < want.len() {
        let count = reader.read(&mut buffer).unwrap();
        assert!(count > 0);
        answers.extend_from_slice(&buffer[..count]);
    }
    assert!(answers == want.as_bytes());
    drop(client);
    b.stop().unwrap();
    a.stop().unwrap();
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let mut world = World::new();
    let a = world.start_a();
    let error = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.start_a()));
    assert!(error.is_err());
    a.stop().unwrap();
}
