//! Servers that are no etcd, or one that went mad: a clear reason, no panic, bounded memory.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tandem_switch::{MediatorEvent, MediatorRequest};
use tandem_types::NodeId;
use tokio::runtime::Runtime;

use crate::side::{self, SESSION, Side, presence};

/// Answers every request with `answer`, which is told its path.
fn serve(answer: impl Fn(&mut TcpStream, &str) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut stream = stream;
                while let Some(path) = read_request(&mut stream) {
                    answer(&mut stream, &path);
                }
            });
        }
    });
    address
}

/// The path of the next request, once all of it is here.
fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut request = Vec::new();
    loop {
        let mut some = [0; 4096];
        let read = stream.read(&mut some).ok().filter(|&read| read > 0)?;
        request.extend_from_slice(&some[..read]);
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|it| it.strip_prefix("content-length: "))?;
        if body.len() >= length.parse().ok()? {
            return head.split(' ').nth(1).map(str::to_owned);
        }
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn connect(runtime: &Runtime, address: String) -> Side {
    let settings = tandem_etcd::ClientSettings {
        endpoints: vec![address],
        pair: "main".to_owned(),
        node: NodeId::A,
        session: SESSION,
        login: None,
        tls: None,
        now: side::now,
    };
    Side::with(NodeId::A, |tell| {
        let (client, _task) = tandem_etcd::Client::start(runtime.handle(), settings, tell);
        Box::new(move |request| client.ask(request))
    })
}

fn reason_of(address: String) -> String {
    let runtime = runtime();
    let mut side = connect(&runtime, address);
    side.wait_down()
}

const WATCH: &str = "/v3/watch";
const CREATED: &str = "{\"result\":{\"created\":true}}\n";

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn whatever_answers_there_the_reason_is_clear() {
    let cases = [
        ("SSH-2.0-OpenSSH_9.2\r\n".to_owned(), "the connection broke"),
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nnot\x07found".to_owned(),
            "404: not found",
        ),
        (ok("<html>"), "cannot be understood"),
        (ok("{}"), "cannot be understood"),
        (ok("{\"result\":{}}"), "cannot be understood"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_owned(), "no answer in time"),
        // A watch that begins well, and a store that answers with the same.
        (ok(CREATED), "cannot be understood"),
        (
            ok(
                "{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"etcdserver: no leader\"}}\n",
            ),
            "503: etcdserver: no leader",
        ),
    ];
    for (answer, want) in cases {
        let bytes = answer.clone().into_bytes();
        let address = serve(move |stream, _| {
            // The client may have gone.
            stream.write_all(&bytes).ok();
        });
        let reason = reason_of(address);
        assert!(reason.contains(want), "{answer:?}: {reason}");
        assert!(!reason.contains('\x07'), "{reason:?}");
    }
}

#[test]
fn an_endless_answer_is_given_up() {
    let endless = |stream: &mut TcpStream, head: &str| {
        stream.write_all(head.as_bytes()).ok();
        stream.write_all(b"Transfer-Encoding: chunked\r\n\r\n").ok();
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while stream.write_all(chunk.as_bytes()).is_ok() {}
    };
    let created = ok(CREATED);
    for (status, watch_too) in [("200 OK", false), ("200 OK", true), ("500 Oh", true)] {
        let created = created.clone();
        let address = serve(move |stream, path| {
            if path == WATCH && !watch_too {
                stream.write_all(created.as_bytes()).ok();
            } else {
                endless(stream, &format!("HTTP/1.1 {status}\r\n"));
            }
        });
        let reason = reason_of(address);
        let want = if watch_too && status == "200 OK" {
            "cannot be understood"
        } else {
            "more than 4194304 bytes"
        };
        assert!(reason.contains(want), "{status} {watch_too}: {reason}");
    }
}

/// A leader that is being replaced answers renewals although its successor does not know of them.
#[test]
fn a_renewal_that_a_later_leader_may_not_know_of_is_not_confirmed() {
    let changes = Arc::new(AtomicBool::new(true));
    let leader_changes = Arc::clone(&changes);
    let address = serve(move |stream, path| {
        let header = |term: u32| {
            format!(
                "\"header\":{{\"cluster_id\":\"1\",\"revision\":\"5\",\"raft_term\":\"{term}\"}}"
            )
        };
        let after = if leader_changes.load(Ordering::SeqCst) { 3 } else { 2 };
        let value = BASE64.encode(
            "{\"format\":1,\"boot\":{\"incarnation\":\"00000000000000d0\",\"boot\":1},\
             \"pair_id\":\"0000000000000000000000000000002a\",\"epoch_seen\":1,\"role\":\"standby\"}",
        );
        let body = match path {
            WATCH => {
                let chunk = format!("{:x}\r\n{CREATED}\r\n", CREATED.len());
                let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                stream.write_all(format!("{head}{chunk}").as_bytes()).ok();
                return;
            }
            "/v3/lease/grant" => format!("{{{},\"ID\":\"9\",\"TTL\":\"2\"}}", header(2)),
            "/v3/lease/keepalive" => {
                format!("{{\"result\":{{{},\"ID\":\"9\",\"TTL\":\"2\"}}}}\n", header(2))
            }
            "/v3/kv/range" => format!(
                "{{{},\"kvs\":[{{\"key\":\"eA==\",\"create_revision\":\"2\",\"mod_revision\":\"2\",\
                 \"lease\":\"9\",\"value\":\"{value}\"}}]}}",
                header(after)
            ),
            _ => format!(
                "{{{},\"responses\":[{{\"response_range\":{{}}}},{{\"response_range\":{{}}}}]}}",
                header(after)
            ),
        };
        stream.write_all(ok(&body).as_bytes()).ok();
    });
    let runtime = runtime();
    let mut side = connect(&runtime, address);
    side.wait_up();
    // Granted through Raft: every leader knows of it.
    side.vouch(presence(NodeId::A, 1));
    side.stop_vouching();
    side.ask(MediatorRequest::Vouch(presence(NodeId::A, 1)));
    while let Some(event) = side.next(SESSION / 4) {
        assert!(!matches!(event, MediatorEvent::Renewed { .. }), "{event:?}");
    }
    changes.store(false, Ordering::SeqCst);
    side.vouch(presence(NodeId::A, 1));
}
