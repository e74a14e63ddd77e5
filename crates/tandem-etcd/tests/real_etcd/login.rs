//! An etcd that asks for name and password.

use serde_json::json;
use tandem_switch::Outcome;
use tandem_types::NodeId;

use crate::Etcd;
use crate::server::{Options, Server};
use crate::side::{Side, after, first, presence, record};

const A: NodeId = NodeId::A;
/// What JSON must escape, and what is more than one byte.
const PASSWORD: &str = "s3 cret\"\u{20ac}";

/// `tandem` may do what it needs and no more.
fn guarded() -> Server {
    let server = Server::start(Options::default());
    let post = |path: &str, question| {
        let answer = server.post(path, &question);
        assert!(answer["header"].is_object(), "{path}: {answer}");
    };
    let base64 = |text: &str| {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(text)
    };
    post("/v3/auth/user/add", json!({"name": "root", "password": "r"}));
    post("/v3/auth/role/add", json!({"name": "root"}));
    post("/v3/auth/user/grant", json!({"user": "root", "role": "root"}));
    post("/v3/auth/user/add", json!({"name": "tandem", "password": PASSWORD}));
    post("/v3/auth/role/add", json!({"name": "pair"}));
    let (key, range_end) = (base64("/tandem/main/"), base64("/tandem/main0"));
    let perm = json!({"permType": "READWRITE", "key": key, "range_end": range_end});
    post("/v3/auth/role/grant", json!({"name": "pair", "perm": perm}));
    post("/v3/auth/user/grant", json!({"user": "tandem", "role": "pair"}));
    post("/v3/auth/enable", json!({}));
    server
}

#[test]
fn whoever_has_no_password_or_a_wrong_one_is_told_so() {
    let etcd = Etcd::of(guarded());
    let reason = Side::connect(&etcd, A).wait_down();
    assert!(reason.contains("user name is empty"), "{reason}");
    let etcd = etcd.with_login("tandem", "wrong");
    let reason = Side::connect(&etcd, A).wait_down();
    assert!(
        reason.contains("log in as tandem") && reason.contains("authentication failed"),
        "{reason}"
    );
    assert!(!reason.contains("wrong"), "{reason}");
}

#[test]
fn a_token_that_is_over_is_replaced_without_an_outage() {
    let etcd = Etcd::of(guarded()).with_login("tandem", PASSWORD);
    let mut a = Side::up(&etcd, A);
    a.vouch(presence(A, 1));
    let revision = a.wins(first());
    // Whoever sets a user's password ends all of its tokens.
    let root: serde_json::Value =
        etcd.server.post("/v3/auth/authenticate", &json!({"name": "root", "password": "r"}));
    let token = root["token"].as_str().expect("a token").to_owned();
    etcd.server.post_as(
        &token,
        "/v3/auth/user/changepw",
        &json!({"name": "tandem", "password": PASSWORD}),
    );
    let change = after(revision, record(2, A));
    match a.change(change) {
        // Sent once only: the switch sends it again.
        Outcome::Unknown { reason } => {
            assert!(reason.contains("auth token"), "{reason}");
            a.wins(change);
        }
        other => panic!("{other:?}"),
    }
    a.vouch(presence(A, 1));
    a.read();
}
