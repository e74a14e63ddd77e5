//! The console over a real socket and a pretended node: what clients, browsers and attackers see.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use tandem_admin::{
    AdminReply, AdminRequest, DoneView, DrillRequest, HistoryView, MetricsView, PendingView,
    RefusedView, RoleName, StatusView, WhyView,
};
use tandem_console::{AdminPort, BackupStart, ConsoleSettings, Gone, ROUTES, serve};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};

/// A node that answers from a fixed status.
#[derive(Clone)]
struct Pretended {
    status: StatusView,
}

impl AdminPort for Pretended {
    async fn call(&self, request: AdminRequest) -> Result<AdminReply, Gone> {
        Ok(match request {
            AdminRequest::Status => AdminReply::Status(Box::new(self.status.clone())),
            AdminRequest::History => AdminReply::History(HistoryView::default()),
            AdminRequest::Why => AdminReply::Why(WhyView::default()),
            AdminRequest::Metrics => {
                let mut view = MetricsView::default();
                view.count("tandem_epoch", self.status.epoch);
                AdminReply::Metrics(view)
            }
            AdminRequest::Promote(promote) if promote.force => AdminReply::done("b is primary"),
            AdminRequest::Solo(_) => AdminReply::done("a goes on alone"),
            AdminRequest::Switch(switch) if switch.to.as_deref() != Some("c") => {
                AdminReply::done("b is primary")
            }
            AdminRequest::Confirm => AdminReply::done("carried out"),
            AdminRequest::Reject => AdminReply::done("dropped"),
            AdminRequest::Pause => AdminReply::done("suspended"),
            AdminRequest::Resume => AdminReply::done("resumed"),
            AdminRequest::Verify(_) => AdminReply::done("being compared"),
            _ => AdminReply::refused("cannot promote b", "a may have more", "start a"),
        })
    }

    async fn drill(&self, request: DrillRequest) -> Result<DoneView, RefusedView> {
        Ok(DoneView { message: format!("{request:?}"), ..DoneView::default() })
    }

    async fn backup(&self) -> Result<BackupStart, RefusedView> {
        let (sender, pieces) = mpsc::channel(1);
        tokio::spawn(async move {
            for piece in ["first ", "second"] {
                if sender.send(Ok(piece.as_bytes().to_vec())).await.is_err() {
                    return;
                }
            }
        });
        Ok(BackupStart { file_name: "main.tandem".to_owned(), pieces })
    }
}

/// A console on a port of its own; stops when dropped.
struct Console {
    address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Console {
    fn start(status: StatusView, token: Option<&str>) -> Self {
        let settings = ConsoleSettings {
            token: token.map(|token| token.as_bytes().to_vec()),
            ..ConsoleSettings::default()
        };
        let (told, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                told.send(listener.local_addr().unwrap()).unwrap();
                let stop = async {
                    let _dropped = stopped.await;
                };
                serve(listener, Pretended { status }, settings, stop).await;
            });
        });
        Self { address: address.recv().unwrap(), _stop: stop }
    }

    /// Sends raw bytes and reads until the server closes.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // The server may close before it has read everything.
        let _sent = stream.write_all(bytes);
        let mut answer = Vec::new();
        let _closed = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> String {
        let length = body.len();
        self.raw(
            format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Content-Length: {length}\r\n{headers}\r\n{body}"
            )
            .as_bytes(),
        )
    }

    fn get(&self, path: &str) -> String {
        self.ask("GET", path, "", "")
    }
}

fn primary() -> StatusView {
    StatusView { role: RoleName::Primary, node: "a".into(), epoch: 7, ..StatusView::default() }
}

fn code(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[test]
fn every_route_answers_and_openapi_describes_exactly_these() {
    let console = Console::start(primary(), None);
    let document: serde_json::Value =
        serde_json::from_str(include_str!("../src/openapi.json")).unwrap();
    let mut described: Vec<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| (method.clone(), path.clone()))
        })
        .collect();
    let mut served: Vec<(String, String)> =
        ROUTES.iter().map(|&(method, path)| (method.to_owned(), path.to_owned())).collect();
    described.sort();
    served.sort();
    assert_eq!(described, served);
    for (method, path) in ROUTES {
        if *path == "/api/v1/events" {
            continue; // never ends; has a test of its own
        }
        let body = match *path {
            "/api/v1/drill" => r#"{"drill":"isolate","millis":1}"#,
            "/api/v1/address" => r#"{"state":"MASTER"}"#,
            _ => "",
        };
        let answer = console.ask(&method.to_uppercase(), path, "", body);
        assert!(matches!(code(&answer), 200 | 409 | 503), "{method} {path}: {answer}");
    }
    assert_eq!(code(&console.get("/nonsense")), 404);
    assert_eq!(code(&console.ask("DELETE", "/api/v1/status", "", "")), 405);
}

#[test]
fn every_change_needs_the_token_and_a_drill_needs_a_body() {
    let console = Console::start(primary(), Some("secret"));
    let token = "Authorization: Bearer secret\r\n";
    for word in ["switch", "confirm", "reject", "pause", "resume", "drill"] {
        let path = format!("/api/v1/{word}");
        assert_eq!(code(&console.ask("POST", &path, "", "")), 401, "{word}");
    }
    assert_eq!(code(&console.ask("POST", "/api/v1/confirm", token, "")), 200);
    assert_eq!(code(&console.ask("POST", "/api/v1/switch", token, r#"{"to":"b"}"#)), 200);
    assert_eq!(code(&console.ask("POST", "/api/v1/switch", token, r#"{"to":"c"}"#)), 409);
    assert_eq!(code(&console.ask("POST", "/api/v1/switch", token, r#"{"two":"b"}"#)), 400);
    assert_eq!(code(&console.ask("POST", "/api/v1/drill", token, "")), 400);
    let killed = console.ask("POST", "/api/v1/drill", token, r#"{"drill":"kill"}"#);
    assert!(killed.contains("Kill"), "{killed}");
}

#[test]
fn the_page_offers_what_a_person_can_decide() {
    let plain = Console::start(primary(), None).get("/");
    assert!(!plain.contains("data-do=\"confirm\"") && !plain.contains("data-do=\"switch\""));
    let mut status = primary();
    status.switch_by = "mediator".into();
    status.peer.node = "b".into();
    status.peer.connected = true;
    status.pending = Some(PendingView {
        proposal: "b <takes> over".into(),
        to: "b".into(),
        records_lost: Some(3),
        expires_ms: 5_000,
    });
    let page = Console::start(status.clone(), None).get("/");
    for part in [
        "data-do=\"confirm\"",
        "data-do=\"reject\"",
        "data-do=\"pause\"",
        "Switch to b",
        "b &lt;takes&gt; over",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    status.paused = true;
    assert!(Console::start(status, None).get("/").contains("data-do=\"resume\""));
}

#[test]
fn status_is_flat_json() {
    let answer = Console::start(primary(), None).get("/api/v1/status");
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let status: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(status["role"], "primary");
    assert_eq!(status["epoch"], 7);
}

#[test]
fn openapi_names_every_field_of_the_status() {
    let document: serde_json::Value =
        serde_json::from_str(include_str!("../src/openapi.json")).unwrap();
    let properties = &document["components"]["schemas"]["Status"]["properties"];
    let status = serde_json::to_value(StatusView::default()).unwrap();
    let names = |value: &serde_json::Value| {
        let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    };
    assert_eq!(names(properties), names(&status));
    assert_eq!(names(&properties["peer"]["properties"]), names(&status["peer"]));
}

#[test]
fn health_is_200_only_in_the_role_and_head_works() {
    let console = Console::start(primary(), None);
    for (path, want) in [("/health", 200), ("/health/primary", 200), ("/health/replica", 503)] {
        assert_eq!(code(&console.get(path)), want, "{path}");
        let head = console.ask("HEAD", path, "", "");
        assert_eq!(code(&head), want, "HEAD {path}");
        assert!(head.ends_with("\r\n\r\n"), "HEAD has no body: {head}");
    }
    let stalled = Console::start(StatusView { stalled: true, ..primary() }, None);
    assert_eq!(code(&stalled.get("/health/primary")), 503);
    let reason = "NOREPLICAS Not enough good replicas to write".to_owned();
    let refuses =
        Console::start(StatusView { writes_refused: Some(reason.clone()), ..primary() }, None);
    let answer = refuses.get("/health/primary");
    assert_eq!(code(&answer), 503);
    assert!(answer.contains(&format!("\"reason\":\"{reason}\"")), "{answer}");
    // A replica takes no writes anyway.
    let replica = StatusView { role: RoleName::Replica, ..StatusView::default() };
    assert_eq!(code(&Console::start(replica, None).get("/health/replica")), 200);
}

#[test]
fn changes_need_the_token() {
    let console = Console::start(primary(), Some("secret"));
    let force = r#"{"force":true}"#;
    for headers in ["", "Authorization: Bearer wrong\r\n", "Authorization: Basic c2VjcmV0\r\n"] {
        assert_eq!(code(&console.ask("POST", "/api/v1/promote", headers, force)), 401, "{headers}");
    }
    assert_eq!(code(&console.ask("GET", "/api/v1/backup", "", "")), 401);
    let token = "Authorization: Bearer secret\r\n";
    assert_eq!(code(&console.ask("POST", "/api/v1/promote", token, force)), 200);
    let refused = console.ask("POST", "/api/v1/promote", token, "");
    assert_eq!(code(&refused), 409);
    assert!(refused.contains("cannot promote b: a may have more; start a"), "{refused}");
    assert_eq!(code(&console.ask("POST", "/api/v1/promote", token, r#"{"forced":1}"#)), 400);
    assert_eq!(code(&console.ask("GET", "/api/v1/promote", token, "")), 405);
    assert_eq!(code(&console.get("/api/v1/status")), 200);
}

#[test]
fn pages_of_other_sites_are_refused() {
    let console = Console::start(primary(), None);
    let cross = "Origin: http://evil.example\r\n";
    assert_eq!(code(&console.ask("POST", "/api/v1/solo", cross, "{}")), 403);
    let fetch = "Sec-Fetch-Site: cross-site\r\n";
    assert_eq!(code(&console.ask("POST", "/api/v1/solo", fetch, "{}")), 403);
    let own = "Origin: http://localhost\r\n";
    assert_eq!(code(&console.ask("POST", "/api/v1/solo", own, "{}")), 200);
    let rebound = console
        .raw(b"GET /api/v1/status HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(code(&rebound), 421);
}

#[test]
fn long_headers_long_bodies_and_other_protocols_are_refused() {
    let console = Console::start(primary(), None);
    let long = format!("X-Long: {}\r\n", "x".repeat(9 << 10));
    assert_eq!(code(&console.ask("GET", "/health", &long, "")), 431);
    let body = "x".repeat((64 << 10) + 1);
    assert_eq!(code(&console.ask("POST", "/api/v1/promote", "", &body)), 413);
    for bytes in [&b"*1\r\n$4\r\nPING\r\n"[..], b"\x16\x03\x01\x02\x00\x01", b"\0\0\0\0\r\n\r\n"] {
        let answer = console.raw(bytes);
        assert!(answer.is_empty() || code(&answer) == 400, "{answer}");
    }
}

#[test]
fn a_slow_header_is_cut_off() {
    let console = Console::start(primary(), None);
    let mut stream = TcpStream::connect(console.address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: local").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = Vec::new();
    // Either a 408 or a plain close; what matters is that it ends.
    let _closed = stream.read_to_end(&mut answer).unwrap();
}

#[test]
fn the_page_escapes_hostile_names_and_forbids_foreign_content() {
    let hostile = StatusView { pair: "<script>alert(1)</script>".into(), ..primary() };
    let page = Console::start(hostile, None).get("/");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(page.contains("content-security-policy: default-src 'none'"), "{page}");
}

#[test]
fn a_backup_is_streamed_with_a_file_name() {
    let answer = Console::start(primary(), None).get("/api/v1/backup");
    assert!(answer.contains("attachment; filename=\"main.tandem\""), "{answer}");
    assert!(answer.contains("first ") && answer.contains("second"), "{answer}");
}

#[test]
fn events_begin_with_the_status() {
    let console = Console::start(primary(), None);
    let mut stream = TcpStream::connect(console.address).unwrap();
    stream.write_all(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let mut seen = String::new();
    let mut buffer = [0; 4096];
    while !seen.contains("\"role\":\"primary\"") {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    assert!(seen.contains("event: status"), "{seen}");
}

#[test]
fn silent_connections_do_not_keep_others_out() {
    let console = Console::start(primary(), None);
    let held: Vec<TcpStream> =
        (0..400).map(|_| TcpStream::connect(console.address).unwrap()).collect();
    let begun = std::time::Instant::now();
    assert_eq!(code(&console.get("/health")), 200);
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "it waited until the silent ones were cut off"
    );
    drop(held);
}
