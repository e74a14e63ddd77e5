//! `by = "probe"` where clients need a password or TLS: the prober logs in as they do, and what keeps it out is
//! no dead primary.

#![expect(clippy::unwrap_used, reason = "a test: it may panic")]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;
use tandem_e2e::node::{ADMIN_TOKEN, Node, START_DEADLINE, tandem};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::skip::skipped;
use tandem_e2e::wait;
use tempfile::TempDir;

/// A node looks at its certificates every 30 s.
const PATIENCE: Duration = Duration::from_secs(75);
/// Twice what silence takes to be decided: 3 s, and three probes.
const LONG: Duration = Duration::from_secs(7);
const LOGIN: &str = "cannot be judged: it does not accept this node's password or certificate";

/// Silence alone makes the standby take over; a busy machine must not look like silence.
fn eager(more: String) -> PairOptions {
    let options = PairOptions { by: "probe", more, ..PairOptions::new("primary-standby") };
    let options = options.switch("on_silence = \"take-over\"").switch("min_interval = \"1s\"");
    options.switch("failure_timeout = \"3s\"").switch("slow_after = \"10s\"")
}

#[track_caller]
fn wait_probe(status: &dyn Fn() -> Result<Value, String>, words: &str) {
    wait::until(&format!("the primary {words}, sees the standby"), PATIENCE, || {
        let status = status()?;
        if status["probe"]["last"] == words { Ok(()) } else { Err(status["probe"].to_string()) }
    });
}

fn plain(node: &Node) -> impl Fn() -> Result<Value, String> + '_ {
    || node.try_status().map(|status| status.json).map_err(|error| error.to_string())
}

#[test]
fn the_prober_logs_in_and_a_changed_password_is_no_dead_primary() {
    let folder = TempDir::with_prefix("tandem-e2e-password-").unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "first\n").unwrap();
    let mut pair = Pair::prepare(&eager(String::new()));
    let text = std::fs::read_to_string(pair.config()).unwrap();
    let line = format!("[auth]\npassword_file = \"{}\"\n", file.display());
    std::fs::write(pair.config(), text.replace("[auth]\n", &line)).unwrap();
    pair.a.start();
    pair.b.start();
    pair.wait_in_sync();
    wait_probe(&plain(&pair.b), "answers");
    let mut client = pair.a.client();
    let refused = client.command(&["GET", "k"]).unwrap();
    assert!(refused.error().is_some_and(|it| it.starts_with("NOAUTH")), "{refused:?}");
    client.ok(&["AUTH", "first"]);
    client.ok(&["SET", "k", "v"]);

    // The standby starts with a password that the primary does not know yet.
    assert_eq!(pair.b.terminate(), Some(0), "{}", pair.b.log());
    std::fs::write(&file, "second\n").unwrap();
    pair.b.start();
    pair.wait_in_sync();
    wait_probe(&plain(&pair.b), LOGIN);
    wait::stays_true("the role stays", LONG, || {
        pair.a.status().role() == "primary" && pair.b.status().number("probe.failures") == 0
    });

    // It is the login that says nothing: a primary that is gone is replaced all the same.
    pair.a.kill();
    pair.b.wait_role("primary");
    let mut client = pair.b.client();
    client.ok(&["AUTH", "second"]);
    assert_eq!(client.ok(&["GET", "k"]).text().as_deref(), Some("v"));
}

/// A self-signed certificate of this machine for both nodes, as its two files are replaced.
struct Files {
    folder: TempDir,
}

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces certificate and key by a new pair.
    fn renew(&self, expired: bool) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        if expired {
            params.not_after = rcgen::date_time_ymd(2026, 1, 2);
        }
        let key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        for (name, text) in [("key.pem", key.serialize_pem()), ("cert.pem", cert.pem())] {
            let temporary = self.path("new");
            std::fs::write(&temporary, text).unwrap();
            std::fs::rename(&temporary, self.path(name)).unwrap();
        }
    }
}

/// What a node says over HTTPS; its admin port goes on with the certificate it started with.
fn encrypted(node: &Node, ca: &Path) -> Result<Value, String> {
    let url = format!("https://{}", node.admin_address());
    let ca = ca.display().to_string();
    let words = ["status", "--json", "--admin", &url, "--ca", &ca, "--token", ADMIN_TOKEN];
    let said = tandem(&words);
    serde_json::from_str(&said.out).map_err(|error| format!("{error}: {said:?}"))
}

/// Ends every other connection of clients, so that the prober makes a new one.
fn end_connections(node: &Node) {
    let mut client = Command::new("openssl")
        .args(["s_client", "-quiet", "-connect", &node.address().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = client.stdin.take().unwrap();
    stdin.write_all(b"CLIENT KILL TYPE normal\r\nQUIT\r\n").unwrap();
    let output = client.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.starts_with(':'), "{said}");
    drop(stdin);
}

#[test]
fn a_certificate_that_has_ended_is_no_dead_primary_and_a_new_one_is_trusted_without_a_restart() {
    if Command::new("openssl").arg("version").output().is_err() {
        return skipped("probes through TLS", "openssl is not installed");
    }
    let files = Files { folder: TempDir::with_prefix("tandem-e2e-tls-").unwrap() };
    files.renew(false);
    let at_start = files.path("at-start.pem");
    std::fs::copy(files.path("cert.pem"), &at_start).unwrap();
    let (cert, key) = (files.path("cert.pem"), files.path("key.pem"));
    let tls = format!("[tls]\ncert = \"{}\"\nkey = \"{}\"\n", cert.display(), key.display());
    let mut pair = Pair::prepare(&eager(tls));
    let status = |node: &Node| encrypted(node, &at_start);
    pair.a.spawn();
    pair.b.spawn();
    let of_b = || status(&pair.b);
    wait::until("the pair is in sync", START_DEADLINE, || {
        let (a, b) = (status(&pair.a)?, of_b()?);
        let whole = a["role"] == "primary" && b["role"] == "standby" && a["in_sync"] == true;
        if whole { Ok(()) } else { Err(format!("{a}\n{b}")) }
    });
    wait_probe(&of_b, "answers");

    // What the primary shows from now on has ended, or is known to nobody.
    files.renew(true);
    wait::until("the primary shows the new certificate", PATIENCE, || {
        let log = pair.a.log();
        if log.contains("certificates reloaded") { Ok(()) } else { Err(log) }
    });
    end_connections(&pair.a);
    wait_probe(&of_b, LOGIN);
    wait::stays_true("the role stays", LONG, || {
        status(&pair.a).is_ok_and(|it| it["role"] == "primary")
            && of_b().is_ok_and(|it| it["role"] == "standby" && it["probe"]["failures"] == 0)
    });

    // The renewed one is trusted by a prober that began with another.
    files.renew(false);
    wait_probe(&of_b, "answers");

    // And a primary that is gone is still seen to be gone.
    pair.a.kill();
    wait::until("b is primary", PATIENCE, || {
        let status = of_b()?;
        if status["role"] == "primary" { Ok(()) } else { Err(status.to_string()) }
    });
}
