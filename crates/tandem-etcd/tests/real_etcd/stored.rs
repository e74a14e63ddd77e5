//! What lies in etcd: values that are none of ours, and a store that comes back from a backup.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;
use tandem_switch::{Change, RecordState};
use tandem_types::NodeId;

use crate::Etcd;
use crate::side::{Side, after, boot, first, presence, record, recorded};

const A: NodeId = NodeId::A;
const B: NodeId = NodeId::B;
const RECORD: &str = "/tandem/main/record";

fn put(etcd: &Etcd, key: &str, value: &[u8]) {
    let question = json!({"key": BASE64.encode(key), "value": BASE64.encode(value)});
    let answer = etcd.server.post("/v3/kv/put", &question);
    assert!(answer["header"].is_object(), "{answer}");
}

#[test]
fn what_is_no_record_is_shown_as_unreadable_and_never_overwritten() {
    let etcd = Etcd::start();
    let mut a = Side::up(&etcd, A);
    let revision = a.wins(first());
    let huge = vec![b'x'; 1_400_000];
    let cases: [(&[u8], &str); 6] = [
        (b"", "not the JSON"),
        (b"\xff\xfe\x00", "not the JSON"),
        (b"{\"format\":2,\"epoch\":9}", "format 2"),
        (b"{\"format\":1}", "missing field"),
        (b"[[[[[[[[", "not the JSON"),
        (&huge, "1400000 bytes"),
    ];
    for (value, want) in cases {
        put(&etcd, RECORD, value);
        let unreadable = |view: &tandem_switch::MediatorView| match &view.record {
            RecordState::Unreadable { reason } => reason.contains(want),
            _ => false,
        };
        a.shown(want, unreadable);
        assert!(unreadable(&a.loses(after(revision, record(2, A)))));
        assert!(unreadable(&a.loses(first())), "it exists");
    }
    let key = json!({"key": BASE64.encode(RECORD)});
    let kept = etcd.server.post("/v3/kv/range", &key)["kvs"][0]["value"].as_str().map(str::len);
    assert_eq!(kept, Some(BASE64.encode(&huge).len()), "it is still there");
    // A person removes it.
    etcd.server.post("/v3/kv/deleterange", &key);
    a.shown("none", |view| view.record == RecordState::Absent);
    let anew = a.wins(first());
    assert_ne!(anew.life, revision.life, "deleted and written anew");
}

#[test]
fn a_presence_that_cannot_be_read_is_not_shown_and_still_counts() {
    let etcd = Etcd::start();
    let mut b = Side::up(&etcd, B);
    let revision = b.wins(first());
    let key = "/tandem/main/presence/a/00000000000000d0/0000000000000007";
    put(&etcd, key, b"nonsense");
    put(&etcd, "/tandem/main/presence/nobody", b"nonsense");
    assert_eq!(b.read().present.a, None);
    let change = Change { unless_present: Some((A, boot(A, 7))), ..after(revision, record(2, B)) };
    b.loses(change);
    b.wins(Change { unless_present: Some((A, boot(A, 6))), ..change });
}

#[test]
fn a_presence_that_somebody_deleted_is_written_again() {
    let etcd = Etcd::start();
    let (mut a, mut b) = (Side::up(&etcd, A), Side::up(&etcd, B));
    a.vouch(presence(A, 1));
    b.shown("a is there", |view| view.present.a.is_some());
    let everything = json!({
        "key": BASE64.encode("/tandem/main/presence/"),
        "range_end": BASE64.encode("/tandem/main/presence0"),
    });
    etcd.server.post("/v3/kv/deleterange", &everything);
    b.shown("deleted", |view| view.present.a.is_none());
    a.vouch(presence(A, 1));
    b.shown("a is there again", |view| view.present.a.is_some());
}

#[test]
fn a_store_that_comes_back_from_a_backup_is_another_life() {
    let mut etcd = Etcd::start();
    let mut a = Side::up(&etcd, A);
    let one = a.wins(first());
    etcd.server.back_up();
    a.wait_up();
    assert_eq!(recorded(&a.read()).0, one, "made while it was stopped, which changes nothing");
    let two = a.wins(after(one, record(2, A)));
    assert_eq!(two.life, one.life);
    etcd.server.restore();
    a.wait_up();
    let (restored, old) = recorded(&a.read());
    assert_eq!(old, record(1, A));
    assert_ne!(restored.life, two.life);
    a.loses(after(two, record(3, A)));
    let three = a.wins(after(restored, record(3, A)));
    // A node that was away all the time learns of it from the record's new mark.
    let mut late = Side::up(&etcd, B);
    let (seen, kept) = recorded(&late.read());
    assert_eq!((seen.version, kept), (three.version, record(3, A)));
    assert!(seen.life != one.life && seen.life != two.life);
    late.wins(after(seen, record(4, B)));
}

#[test]
fn pairs_of_one_etcd_do_not_see_one_another() {
    let etcd = Etcd::start();
    let mut a = Side::up(&etcd, A);
    a.wins(first());
    put(&etcd, "/tandem/main2/record", b"another pair's");
    put(&etcd, "/tandem/main2/presence/a/00000000000000d0/0000000000000001", b"x");
    let view = a.read();
    assert_eq!((recorded(&view).1, view.present.a), (record(1, A), None));
}
