//! A pair whose mediator is a real etcd.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tandem_e2e::node::{Node, START_DEADLINE};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::ports::free_port;
use tandem_e2e::process::Process;
use tandem_e2e::{status, wait};
use tempfile::TempDir;

/// An etcd of one member, and the pair that trusts it.
struct Mediated {
    pair: Pair,
    etcd: Process,
    arguments: Vec<String>,
    folder: TempDir,
}

fn run(arguments: &[String], folder: &Path) -> Process {
    Process::start("etcd", Path::new("etcd"), arguments, &folder.join("etcd.log"))
}

/// A question to etcd that it must answer.
fn post(etcd: SocketAddr, path: &str, question: &str) -> std::io::Result<()> {
    let answer = status::request(etcd, "POST", path, None, question)?;
    if answer.status == 200 { Ok(()) } else { Err(std::io::Error::other(answer.body)) }
}

/// From now on etcd asks for a password, and `tandem` may do with the pair's keys what it likes.
fn ask_for_password(etcd: SocketAddr, folder: &Path) -> String {
    // The range from /tandem/main/ to before /tandem/main0, in base64.
    let pair = r#"{"name":"pair","perm":{"permType":"READWRITE","key":"L3RhbmRlbS9tYWluLw==","range_end":"L3RhbmRlbS9tYWluMA=="}}"#;
    for (path, question) in [
        ("user/add", r#"{"name":"root","password":"r"}"#),
        ("role/add", r#"{"name":"root"}"#),
        ("user/grant", r#"{"user":"root","role":"root"}"#),
        ("user/add", r#"{"name":"tandem","password":"s3 cret"}"#),
        ("role/add", r#"{"name":"pair"}"#),
        ("role/grant", pair),
        ("user/grant", r#"{"user":"tandem","role":"pair"}"#),
        ("enable", "{}"),
    ] {
        post(etcd, &format!("/v3/auth/{path}"), question).expect("etcd does as it is told");
    }
    let file = folder.join("password");
    std::fs::write(&file, "s3 cret\n").expect("the folder is writable");
    format!("user = \"tandem\"\npassword_file = \"{}\"\n", file.display())
}

impl Mediated {
    #[track_caller]
    fn start() -> Self {
        Self::start_with(|_, _| String::new())
    }

    /// `prepare` gets the running etcd's address and a folder, and says what `[switch.mediator]` needs more.
    #[track_caller]
    fn start_with(prepare: impl FnOnce(SocketAddr, &Path) -> String) -> Self {
        let folder = TempDir::with_prefix("tandem-e2e-etcd-").expect("a temporary folder");
        let (port, peer) = (free_port(), free_port());
        let client_url = format!("http://127.0.0.1:{port}");
        let peer_url = format!("http://127.0.0.1:{peer}");
        let arguments: Vec<String> = [
            "--data-dir",
            &folder.path().join("data").display().to_string(),
            "--listen-client-urls",
            &client_url,
            "--advertise-client-urls",
            &client_url,
            "--listen-peer-urls",
            &peer_url,
            "--initial-advertise-peer-urls",
            &peer_url,
            "--initial-cluster",
            &format!("default={peer_url}"),
            "--logger",
            "zap",
        ]
        .map(str::to_owned)
        .to_vec();
        let etcd = run(&arguments, folder.path());
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        wait::until("etcd answers", START_DEADLINE, || {
            post(address, "/v3/kv/range", r#"{"key":"AA=="}"#)
        });
        let more = prepare(address, folder.path());
        let mut options = PairOptions::new("primary-standby").switch("min_interval = \"0s\"");
        options.by = "mediator";
        options.more = format!(
            "[switch.mediator]\nkind = \"etcd\"\nendpoints = [\"127.0.0.1:{port}\"]\nsession = \"2s\"\n{more}"
        );
        let pair = Pair::start(&options);
        Self { pair, etcd, arguments, folder }
    }
}

/// `kill -9` of the process that serves; its supervisor lives.
fn kill_serving_process(node: &Node) {
    let pid = i32::try_from(node.pid()).ok().and_then(Pid::from_raw).expect("a process number");
    kill_process(pid, Signal::KILL).expect("the node is ours");
}

#[track_caller]
fn write(node: &Node, key: &str) {
    node.client().ok(&["SET", key, "v"]);
}

#[track_caller]
fn has(node: &Node, keys: &[&str]) {
    for key in keys {
        assert_eq!(node.client().ok(&["GET", key]).text().as_deref(), Some("v"), "{key}");
    }
}

#[test]
fn a_dead_primary_is_replaced_and_returns_as_standby() {
    let mut it = Mediated::start();
    let status = it.pair.a.wait_role("primary");
    assert_eq!(status.text("mediator.kind"), "etcd");
    assert!(status.is("mediator.connected"));
    write(&it.pair.a, "one");
    // The process: its supervisor testifies, and starts it again.
    kill_serving_process(&it.pair.a);
    it.pair.b.wait_role("primary");
    has(&it.pair.b, &["one"]);
    write(&it.pair.b, "two");
    it.pair.a.wait_role("standby");
    it.pair.wait_in_sync();
    // The machine: nobody testifies, its presence must end.
    it.pair.b.kill();
    it.pair.a.wait_role("primary");
    has(&it.pair.a, &["one", "two"]);
    write(&it.pair.a, "three");
    it.pair.b.start();
    it.pair.b.wait_role("standby");
    it.pair.wait_in_sync();
    has(&it.pair.a, &["one", "two", "three"]);
    // Asked for.
    let said = it.pair.a.verb(&["switch"]);
    assert_eq!(said.code, 0, "{said:?}");
    it.pair.b.wait_role("primary");
    has(&it.pair.b, &["one", "two", "three"]);
}

#[test]
fn without_etcd_a_pair_in_sync_goes_on_and_finds_it_again() {
    let mut it = Mediated::start_with(ask_for_password);
    write(&it.pair.a, "one");
    it.etcd.kill();
    it.pair.a.wait_status("the mediator is gone", |status| !status.is("mediator.connected"));
    wait::stays_true("writes go on", Duration::from_secs(3), || {
        it.pair.a.client().command(&["SET", "two", "v"]).is_ok_and(|value| value.is_ok())
    });
    it.etcd = run(&it.arguments, it.folder.path());
    it.pair.a.wait_status("the mediator is back", |status| status.is("mediator.connected"));
    it.pair.b.wait_status("the mediator is back", |status| status.is("mediator.connected"));
    it.pair.a.kill();
    it.pair.b.wait_role("primary");
    has(&it.pair.b, &["one", "two"]);
}
