//! Servers that are no etcd, or one that went mad: a clear reason, no panic, bounded memory.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use tandem_types::NodeId;

use crate::side::{self, Side};

/// Answers every request with `answer`.
fn serve(answer: impl Fn(&mut TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || {
                let mut stream = stream;
                let mut request = [0; 4096];
                while stream.read(&mut request).is_ok_and(|read| read > 0) {
                    answer(&mut stream);
                }
            });
        }
    });
    address
}

fn reason_of(address: String) -> String {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let settings = tandem_etcd::ClientSettings {
        endpoints: vec![address],
        pair: "main".to_owned(),
        node: NodeId::A,
        session: side::SESSION,
        login: None,
        tls: None,
        now: side::now,
    };
    let mut side = Side::with(NodeId::A, |tell| {
        let (client, _task) = tandem_etcd::Client::start(runtime.handle(), settings, tell);
        Box::new(move |request| client.ask(request))
    });
    side.wait_down()
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn whatever_answers_there_the_reason_is_clear() {
    let created = "{\"result\":{\"created\":true}}\n";
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
        (ok(created), "cannot be understood"),
        (
            ok(
                "{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"etcdserver: no leader\"}}\n",
            ),
            "503: etcdserver: no leader",
        ),
    ];
    for (answer, want) in cases {
        let bytes = answer.clone().into_bytes();
        let address = serve(move |stream| {
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
    let created = "{\"result\":{\"created\":true}}\n";
    let address = serve(move |stream| {
        let mut request = [0; 4096];
        stream.write_all(ok(created).as_bytes()).ok();
        if stream.read(&mut request).is_err() {
            return;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok();
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while stream.write_all(chunk.as_bytes()).is_ok() {}
    });
    let reason = reason_of(address);
    assert!(reason.contains("the connection broke") || reason.contains("bytes"), "{reason}");
    let address = serve(|stream| {
        stream.write_all(b"HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n").ok();
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while stream.write_all(chunk.as_bytes()).is_ok() {}
    });
    let reason = reason_of(address);
    assert!(reason.contains("more than 4194304 bytes"), "{reason}");
}
