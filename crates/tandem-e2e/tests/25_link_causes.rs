//! Two nodes that were given different things do not come together, and each says why.

#![expect(clippy::unwrap_used, reason = "a test: it may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tandem_e2e::node::{Node, START_DEADLINE};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::wait;

/// Waits until `node` says in status, as JSON and as text, and in `why`, that there is no link because of `word`.
#[track_caller]
fn says_why(node: &Node, word: &str) {
    let status = node.wait_status("says why there is no link", |status| {
        let told = status.at("peer.no_link_because").as_str().unwrap_or_default();
        !status.is("peer.connected") && told.contains(word)
    });
    let told = status.text("peer.no_link_because").to_owned();
    for words in [&["status"][..], &["why"]] {
        let said = node.verb(words);
        assert!(said.out.contains(word), "{words:?}: {said:?}");
    }
    for secret in ["secret of a", "secret of b"] {
        assert!(!told.contains(secret) && !node.log().contains(secret), "{told}");
    }
}

fn other_config(pair: &Pair, from: &str, to: &str) -> Node {
    let folder = pair.folder().unwrap();
    let text = fs::read_to_string(folder.join("tandem.toml")).unwrap();
    assert!(text.contains(from), "{text}");
    let path = folder.join("b.toml");
    fs::write(&path, text.replacen(from, to, 1)).unwrap();
    Node::new("b", pair.b.ports(), &path, pair.b.data(), &folder.join("b.log"))
}

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// With `[auth]` written by the pair, this line goes into it.
fn secret_line(path: &Path) -> String {
    format!("[auth]\npeer_secret_file = \"{}\"", path.display())
}

#[test]
fn different_secrets_are_named_by_both_and_never_shown() {
    let mut pair = Pair::prepare(&PairOptions::new("primary-standby"));
    let folder = pair.folder().unwrap().to_owned();
    let config = folder.join("tandem.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.replacen("[auth]", &secret_line(&folder.join("secret-a")), 1)).unwrap();
    write_secret(&folder.join("secret-a"), "secret of a, long enough");
    write_secret(&folder.join("secret-b"), "secret of b, long enough");
    pair.b = other_config(&pair, "secret-a", "secret-b");
    pair.a.spawn();
    pair.b.spawn();
    says_why(&pair.b, "secret");
    says_why(&pair.a, "secret");
}

#[test]
fn different_names_of_the_pair_are_named_by_both() {
    let mut pair = Pair::prepare(&PairOptions::new("primary-standby"));
    pair.b = other_config(&pair, "name = \"main\"", "name = \"other\"");
    pair.a.spawn();
    pair.b.spawn();
    says_why(&pair.b, "pair");
    says_why(&pair.a, "pair");
}

#[test]
fn data_of_another_pair_is_named_and_told_once() {
    // Two pairs that began each on its own; then b's node is given to a's.
    let mut pair = Pair::start_alone(&PairOptions::new("primary-standby"));
    let mut other = Pair::start(&PairOptions::new("primary-standby"));
    other.a.kill();
    other.b.kill();
    fs::rename(other.b.data(), pair.b.data()).unwrap();
    pair.b.spawn();
    says_why(&pair.b, "belongs to pair");
    says_why(&pair.a, "belongs to pair");
    // Several attempts later nothing more was said.
    let lines = |node: &Node| -> Vec<String> {
        let log = node.log();
        let told = |it: &&str| it.contains("the link is") || it.contains("belongs to pair");
        log.lines().filter(told).map(str::to_owned).collect()
    };
    let before = [lines(&pair.a), lines(&pair.b)];
    let sent = |node: &Node| node.metric("tandem_link_sent_bytes_total");
    let began = sent(&pair.b);
    wait::until_true("it tries again several times", START_DEADLINE, || {
        sent(&pair.b) > began + 500.0
    });
    assert_eq!([lines(&pair.a), lines(&pair.b)], before);
}
