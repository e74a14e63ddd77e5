//! When a primary returns with writes that the pair lacks: saved on both machines before anything is cut,
//! compared key by key, applied exactly once, given up only by a person's or the policy's word.

#![expect(clippy::unwrap_used, reason = "a test: it may panic")]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tandem_e2e::client::Client;
use tandem_e2e::node::Node;
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::wait;

const PATIENCE: Duration = Duration::from_secs(20);

/// The textbook's pair: available, may split, and says so.
fn splitting(policy: &str) -> PairOptions {
    PairOptions { by: "direct", ..PairOptions::new("primary-standby") }
        .replication("acknowledge = \"local\"")
        .switch("on_silence = \"take-over\"")
        .switch(&format!("conflicts = \"{policy}\""))
}

fn number_of(client: &mut Client, key: &str) -> Option<i64> {
    client.ok(&["GET", key]).text().and_then(|text| text.parse().ok())
}

fn text_of(client: &mut Client, key: &str) -> Option<String> {
    client.ok(&["GET", key]).text()
}

/// What both histories begin with.
fn shared(client: &mut Client) {
    for (key, value) in [("key:100", "before"), ("counter", "10"), ("gone", "x"), ("left", "x")] {
        client.ok(&["SET", key, value]);
    }
    client.ok(&["MSET", "from", "100", "to", "0", "other", "1"]);
    client.ok(&["SADD", "tags", "red"]);
    client.ok(&["HSET", "user", "name", "ann"]);
    client.ok(&["HSET", "basket", "apples", "1"]);
    client.ok(&["RPUSH", "line", "a", "b"]);
    client.ok(&["WAIT", "1", "3000"]);
}

/// What only the old primary has.
fn lost(client: &mut Client) {
    client.ok(&["SET", "key:100", "by the old primary"]);
    client.ok(&["INCRBY", "counter", "5"]);
    client.ok(&["SET", "fresh", "only here"]);
    client.ok(&["SET", "gone", "resurrected?"]);
    client.ok(&["DEL", "left"]);
    client.ok(&["SADD", "tags", "green"]);
    client.ok(&["HSET", "user", "mail", "a@b"]);
    client.ok(&["HSET", "basket", "apples", "3"]);
    client.ok(&["RPUSH", "line", "c"]);
    client.ok(&["MULTI"]);
    client.ok(&["DECRBY", "from", "40"]);
    client.ok(&["INCRBY", "to", "40"]);
    client.ok(&["SET", "other", "2"]);
    client.ok(&["EXEC"]);
    client.ok(&["SET", "short", "v", "PX", "600000"]);
}

/// What the new primary does meanwhile.
fn meanwhile(client: &mut Client) {
    client.ok(&["SET", "key:100", "by the new primary"]);
    client.ok(&["INCRBY", "counter", "5"]);
    client.ok(&["DEL", "gone"]);
    client.ok(&["SADD", "tags", "blue"]);
    client.ok(&["HSET", "user", "town", "ulm"]);
    client.ok(&["HSET", "basket", "apples", "5", "pears", "1"]);
    client.ok(&["DEL", "line"]);
    client.ok(&["SET", "line", "of another type now"]);
    client.ok(&["SET", "other", "3"]);
}

/// A pair whose old primary `a` has writes that `b`, primary now, lacks; `a` is down.
fn forked(policy: &str) -> Pair {
    let mut pair = Pair::start(&splitting(policy));
    shared(&mut pair.a.client());
    pair.b.kill();
    pair.a.wait_status("misses its peer", |status| !status.is("peer.connected"));
    lost(&mut pair.a.client());
    pair.a.kill();
    pair.b.start();
    let said = pair.b.verb(&["promote", "--force"]);
    assert_eq!(said.code, 0, "{said:?}");
    pair.b.wait_role("primary");
    meanwhile(&mut pair.b.client());
    pair
}

fn conflicts(node: &Node) -> Vec<Value> {
    let answer = node.http("GET", "/api/v1/conflicts", "").unwrap();
    let value: Value = serde_json::from_str(&answer.body).unwrap();
    value["conflicts"].as_array().unwrap().clone()
}

/// The one file there is.
#[track_caller]
fn only_id(node: &Node) -> String {
    let all = conflicts(node);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0]["id"].as_str().unwrap().to_owned()
}

fn file_of(node: &Node, id: &str) -> PathBuf {
    node.data().join(format!("conflicts/{id}.jsonl"))
}

/// Class and what applying does, by key.
#[track_caller]
fn classes(node: &Node, id: &str) -> Vec<(String, String, String)> {
    let said = node.verb(&["conflicts", "diff", id, "--json"]);
    assert_eq!(said.code, 0, "{said:?}");
    let value: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(value["since_known"], true, "{value}");
    let word = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
    let keys = value["keys"].as_array().unwrap().iter();
    keys.map(|key| (word(key, "key"), word(key, "class"), word(key, "apply"))).collect()
}

#[track_caller]
fn has_class(classes: &[(String, String, String)], key: &str, class: &str, apply: &str) {
    let found = classes.iter().find(|it| it.0 == key);
    let found = found.map(|it| (it.1.as_str(), it.2.as_str()));
    assert_eq!(found, Some((class, apply)), "{key} in {classes:?}");
}

#[test]
fn the_textbooks_key_100_is_shown_from_both_sides_and_a_person_decides() {
    let mut pair = forked("keep");
    pair.a.start();
    pair.wait_in_sync();
    let id = only_id(&pair.b);
    assert_eq!(id, only_id(&pair.a), "both list the same file");
    let [here, there] = [&pair.a, &pair.b].map(|node| fs::read(file_of(node, &id)).unwrap());
    assert!(here == there, "the file is the same on both machines");
    assert!(pair.b.status().number("conflicts") == 1, "{}", pair.b.status().json);
    assert_eq!(pair.b.verb(&["status"]).code, 1, "undecided writes make the pair degraded");

    let found = classes(&pair.b, &id);
    for (key, class, apply) in [
        ("key:100", "conflict", "keep"),
        ("counter", "mergeable", "merge"),
        ("fresh", "untouched", "write"),
        ("gone", "conflict", "keep"),
        ("left", "untouched", "write"),
        ("tags", "mergeable", "merge"),
        ("user", "mergeable", "merge"),
        ("from", "untouched", "keep"),
        ("to", "untouched", "keep"),
        ("other", "conflict", "keep"),
        ("short", "untouched", "write"),
    ] {
        has_class(&found, key, class, apply);
    }
    let said = pair.b.verb(&["conflicts", "diff", &id]);
    for part in ["by the old primary", "by the new primary", "at the fork", "transaction"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let shown = pair.b.verb(&["conflicts", "show", &id]);
    for part in ["\"op\":\"DEL\"", "\"acknowledged\":\"", "\"before\":\"10\"", "\"after\":\"15\""] {
        assert!(shown.out.contains(part), "{part}: {}", shown.out);
    }

    // A dry run changes nothing; applying does what it said, and only once.
    let end = pair.b.status().number("last_lsn");
    let said = pair.b.verb(&["conflicts", "apply", &id, "--dry-run"]);
    assert!(said.code == 0 && said.out.contains("3 keys written again, 3 merged"), "{said:?}");
    assert_eq!(pair.b.status().number("last_lsn"), end);
    for again in ["3 keys written again, 3 merged", "0 keys written again, 0 merged"] {
        let said = pair.b.verb(&["conflicts", "apply", &id]);
        assert!(said.code == 0 && said.out.contains(again), "{said:?}");
        check_applied(&mut pair.b.client());
    }
    has_class(&classes(&pair.b, &id), "counter", "applied", "nothing");
    assert_eq!(pair.a.verb(&["conflicts", "apply", &id]).code, 1, "only the primary applies");
    let told = pair.b.client().ok(&["TANDEM", "CONFLICTS", "DIFF", &id]);
    assert!(format!("{told:?}").contains("by the old primary"), "{told:?}");
    let said = pair.b.verb(&["conflicts", "discard", &id]);
    assert_eq!(said.code, 0, "{said:?}");
    for node in [&pair.a, &pair.b] {
        node.wait_status("nothing is undecided", |status| status.number("conflicts") == 0);
        assert!(file_of(node, &id).exists(), "it is still there to be read");
    }
    marks_are_gone(&pair);
    assert_eq!(pair.b.verb(&["conflicts", "apply", &id]).code, 1, "decided is decided");
    assert_eq!(pair.b.verb(&["conflicts", "apply", "1-2-3"]).code, 1);
}

/// What applying comes to: sums are exact, deletions stay, transactions are whole.
#[track_caller]
fn check_applied(client: &mut Client) {
    assert_eq!(number_of(client, "counter"), Some(20), "10 + 5 + 5");
    assert_eq!(text_of(client, "key:100").as_deref(), Some("by the new primary"));
    assert_eq!(text_of(client, "fresh").as_deref(), Some("only here"));
    assert_eq!(text_of(client, "gone"), None, "a deletion is not resurrected");
    assert_eq!(text_of(client, "left"), None, "a deletion is carried out");
    assert_eq!(client.ok(&["SCARD", "tags"]).int(), Some(3));
    assert_eq!(client.ok(&["HLEN", "user"]).int(), Some(3));
    let now = (number_of(client, "from"), number_of(client, "to"), number_of(client, "other"));
    assert_eq!(now, (Some(100), Some(0), Some(3)), "a transaction is all or nothing");
    let left = client.ok(&["PTTL", "short"]).int();
    assert!(left.is_some_and(|left| left > 0 && left <= 600_000), "{left:?}");
}

/// The marks of what was applied go once both machines have the decision.
#[track_caller]
fn marks_are_gone(pair: &Pair) {
    wait::until("the marks are gone", PATIENCE, || {
        let keys = pair.b.client().ok(&["KEYS", "tandem:conflicts:*"]);
        if format!("{keys:?}").contains("tandem:conflicts") {
            Err(format!("{keys:?}"))
        } else {
            Ok(())
        }
    });
}

#[track_caller]
fn apply(node: &Node, id: &str, words: &[&str], says: &str) {
    let said = node.verb(&[&["conflicts", "apply", id], words].concat());
    assert!(said.code == 0 && said.out.contains(says), "{words:?}: {said:?}");
}

#[test]
fn a_person_decides_what_conflicts_key_by_key_or_all_at_once() {
    let mut pair = forked("keep");
    pair.a.start();
    pair.wait_in_sync();
    let id = only_id(&pair.b);
    let path = format!("/api/v1/conflicts/{id}/apply");
    let mut client = pair.b.client();

    // What is only half said is refused; a dry run says what force would do, and does nothing.
    assert_eq!(pair.b.verb(&["conflicts", "apply", &id, "--key", "key:100"]).code, 2);
    let half = pair.b.http("POST", &path, r#"{"key": "key:100"}"#).unwrap();
    assert!(half.status == 409 && half.body.contains("take lost"), "{half:?}");
    let unknown = pair.b.verb(&["conflicts", "apply", &id, "--key", "nobody", "--take", "lost"]);
    assert!(unknown.code == 1 && unknown.err.contains("no such key"), "{unknown:?}");
    let end = pair.b.status().number("last_lsn");
    // key:100, gone, basket, line, and `other` with the two keys of its transaction as they were.
    apply(&pair.b, &id, &["--force", "--dry-run"], "5 keys written again, 3 merged, 5 took");
    assert_eq!(pair.b.status().number("last_lsn"), end);

    // One key takes the lost value, once: what a client writes to it afterwards stays.
    let key = ["--key", "key:100", "--take", "lost"];
    apply(&pair.b, &id, &key, "0 keys written again, 0 merged, 1 took the lost value");
    assert_eq!(text_of(&mut client, "key:100").as_deref(), Some("by the old primary"));
    assert_eq!(number_of(&mut client, "counter"), Some(15), "nothing else was touched");
    client.ok(&["SET", "key:100", "later"]);
    apply(&pair.b, &id, &key, "1 were applied before");
    assert_eq!(text_of(&mut client, "key:100").as_deref(), Some("later"));

    // Another one stays as it is, and is not asked about again.
    client.ok(&["TANDEM", "CONFLICTS", "APPLY", &id, "KEY", "gone", "TAKE", "CURRENT"]);
    assert_eq!(text_of(&mut client, "gone"), None);
    has_class(&classes(&pair.b, &id), "gone", "left", "nothing");
    assert!(
        client.command(&["TANDEM", "CONFLICTS", "APPLY", &id, "TAKE"]).unwrap().error().is_some()
    );

    // What a transaction binds together comes along.
    let group = pair.b.http("POST", &path, r#"{"key": "other", "take": "lost"}"#).unwrap();
    assert_eq!(group.status, 200, "{group:?}");
    let now = ["from", "to", "other"].map(|key| number_of(&mut client, key));
    assert_eq!(now, [Some(60), Some(40), Some(2)]);

    // The rest at once: exactly what was lost, whatever the type is now; additions are still added.
    apply(&pair.b, &id, &["--force"], "3 keys written again, 3 merged, 2 took the lost value");
    assert_eq!(number_of(&mut client, "counter"), Some(20));
    assert_eq!(text_of(&mut client, "key:100").as_deref(), Some("later"));
    assert_eq!(client.ok(&["HLEN", "basket"]).int(), Some(1));
    assert_eq!(client.ok(&["HGET", "basket", "apples"]).text().as_deref(), Some("3"));
    let line = format!("{:?}", client.ok(&["LRANGE", "line", "0", "-1"]));
    assert!(line.contains('a') && line.contains('c'), "{line}");
    for node in [&pair.a, &pair.b] {
        node.wait_status("nothing is undecided", |status| status.number("conflicts") == 0);
        assert_eq!(conflicts(node)[0]["state"], "applied");
    }
    marks_are_gone(&pair);
    assert_eq!(pair.b.verb(&["conflicts", "apply", &id, "--force"]).code, 1, "decided is decided");
    // The other machine holds the same.
    assert_eq!(pair.b.verb(&["verify"]).code, 0);
}

#[test]
fn reapply_writes_what_is_safe_by_itself_and_keeps_the_rest() {
    let mut pair = forked("reapply");
    pair.a.start();
    pair.wait_in_sync();
    pair.b.wait_status("has applied", |_| number_of(&mut pair.b.client(), "counter") == Some(20));
    check_applied(&mut pair.b.client());
    let id = only_id(&pair.b);
    assert_eq!(pair.b.status().number("conflicts"), 1, "the rest waits for a person");
    // The copy has it too, and a change of primary does not apply it again.
    let said = pair.b.verb(&["switch"]);
    assert_eq!(said.code, 0, "{said:?}");
    pair.a.wait_role("primary");
    let said = pair.a.verb(&["conflicts", "apply", &id]);
    assert!(said.code == 0 && said.out.contains("0 keys written again, 0 merged"), "{said:?}");
    check_applied(&mut pair.a.client());
}

#[test]
fn hold_keeps_the_node_out_until_a_person_has_decided() {
    let mut pair = forked("hold");
    pair.a.start();
    let waits = |it: &tandem_e2e::status::Status| it.json.to_string().contains("stays out until");
    pair.a.wait_status("says what it waits for", waits);
    let why = pair.a.verb(&["why"]);
    assert!(why.out.contains("tandem conflicts apply"), "{why:?}");
    wait::stays_true("it stays out", Duration::from_secs(2), || {
        !pair.b.status().is("in_sync") && pair.a.status().role() != "standby"
    });
    let id = only_id(&pair.b);
    assert_eq!(pair.b.verb(&["conflicts", "discard", &id]).code, 0);
    pair.wait_in_sync();
    assert_eq!(number_of(&mut pair.b.client(), "counter"), Some(15));
    assert_eq!(pair.a.status().number("conflicts"), 0);
}

#[test]
fn discard_gives_up_at_once_but_nothing_vanishes_silently() {
    let mut pair = forked("discard");
    pair.a.start();
    pair.wait_in_sync();
    for node in [&pair.a, &pair.b] {
        node.wait_status("is decided", |status| status.number("conflicts") == 0);
        let id = only_id(node);
        let text = fs::read_to_string(file_of(node, &id)).unwrap();
        assert!(text.contains("by the old primary"), "{text}");
        assert_eq!(conflicts(node)[0]["state"], "discarded");
        assert!(node.log().contains("are discarded"), "{}", node.log());
    }
    assert_eq!(number_of(&mut pair.b.client(), "counter"), Some(15));
}

#[test]
fn a_node_whose_writes_find_no_room_stays_out_and_cuts_nothing() {
    let mut pair = Pair::start(&splitting("keep").switch("conflicts_max = \"64KiB\""));
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.a.client().ok(&["WAIT", "1", "3000"]);
    pair.b.kill();
    let value = "x".repeat(1000);
    let mut client = pair.a.client();
    for number in 0..100 {
        client.ok(&["SET", &format!("extra{number}"), &value]);
    }
    pair.a.kill();
    pair.b.start();
    pair.promote_b(&["--force"]);
    pair.a.start();
    let waits = |it: &tandem_e2e::status::Status| it.json.to_string().contains("conflicts_max");
    pair.a.wait_status("says that there is no room", waits);
    wait::stays_true("it stays out", Duration::from_secs(2), || {
        pair.a.status().role() != "standby"
    });
    let end = pair.a.status().number("last_lsn");
    assert!(end >= 100, "nothing was cut: {end}");
    assert!(conflicts(&pair.a).is_empty());
}

fn has_file(node: &Node) -> bool {
    let files = fs::read_dir(node.data().join("conflicts")).into_iter().flatten().flatten();
    files.into_iter().any(|file| file.path().extension().is_some_and(|end| end == "jsonl"))
}

#[test]
fn a_saved_write_names_its_client_where_the_process_that_served_it_saves_it() {
    let mut pair = Pair::start(&splitting("keep"));
    shared(&mut pair.a.client());
    pair.b.kill();
    pair.a.wait_status("misses its peer", |status| !status.is("peer.connected"));
    let mut client = pair.a.client();
    client.ok(&["CLIENT", "SETNAME", "till-4"]);
    client.ok(&["SET", "fresh", "only here"]);
    client.ok(&["MULTI"]);
    client.ok(&["SET", "key:100", "in a transaction"]);
    client.ok(&["EXEC"]);
    // It hears of the other reign when it goes on, and saves what it wrote itself.
    pair.a.freeze();
    pair.b.start();
    pair.promote_b(&["--force"]);
    pair.a.thaw();
    pair.wait_in_sync();
    let id = only_id(&pair.b);
    let text = fs::read_to_string(file_of(&pair.b, &id)).unwrap();
    let lines = text.lines().filter(|line| line.contains("\"op\":\"SET"));
    let clients: Vec<Value> =
        lines.map(|line| serde_json::from_str::<Value>(line).unwrap()["client"].clone()).collect();
    let named = |client: &Value| {
        let client = client.as_str().unwrap_or_default();
        client.starts_with("id=")
            && client.contains("addr=127.0.0.1:")
            && client.contains("name=till-4")
    };
    assert!(clients.len() == 2 && clients.iter().all(named), "{text}");
}

/// A moment, and how it is known.
type Step = (&'static str, fn(&Pair) -> bool);

#[test]
fn the_loser_may_die_at_any_step_of_saving_and_cutting() {
    let mut pair = forked("reapply");
    let steps: [Step; 4] = [
        ("it begins to save", |pair| pair.a.data().join("conflicts").exists()),
        ("its file is whole", |pair| has_file(&pair.a)),
        ("the peer has the file", |pair| has_file(&pair.b)),
        ("it cuts", |pair| pair.a.log().contains("cutting the log there")),
    ];
    for (what, reached) in steps {
        pair.a.spawn();
        wait::until(what, PATIENCE, || if reached(&pair) { Ok(()) } else { Err("not yet") });
        pair.a.kill();
    }
    pair.a.start();
    pair.wait_in_sync();
    pair.b.wait_status("has applied", |_| number_of(&mut pair.b.client(), "counter") == Some(20));
    check_applied(&mut pair.b.client());
    for node in [&pair.a, &pair.b] {
        assert_eq!(conflicts(node).len(), 1, "saved once, whatever happened");
    }
}

/// Sends all at once, then reads every reply; how many were acknowledged.
fn pipeline(client: &mut Client, words: &[&str], keys: usize) -> usize {
    for number in 0..keys {
        let key = format!("n{number}");
        let mut command = vec![words[0], &key];
        command.extend(&words[1..]);
        client.send(&command).unwrap();
    }
    (0..keys).filter(|_| client.reply().is_ok_and(|it| it.error().is_none())).count()
}

/// A pair whose saved writes are `KEYS` commands of the old primary; `b` is primary.
fn many(keys: usize, words: [&[&str]; 3]) -> (Pair, String) {
    let options = PairOptions { by: "direct", ..PairOptions::new("primary-standby") }
        .switch("on_silence = \"take-over\"");
    let mut pair = Pair::start(&options);
    assert_eq!(pipeline(&mut pair.a.client(), words[0], keys), keys);
    pair.b.kill();
    pair.a.wait_status("goes on alone", |status| !status.is("in_sync"));
    assert_eq!(pipeline(&mut pair.a.client(), words[1], keys), keys);
    pair.a.kill();
    pair.b.start();
    pair.promote_b(&["--force"]);
    assert_eq!(pipeline(&mut pair.b.client(), words[2], keys), keys);
    pair.a.start();
    pair.wait_in_sync();
    let id = only_id(&pair.b);
    (pair, id)
}

/// The primary dies once some of it is written; whoever serves then.
fn dies_while_it_applies<'p>(pair: &'p Pair, id: &str, how: &[&str]) -> &'p Node {
    std::thread::scope(|scope| {
        let words = [&["conflicts", "apply", id], how].concat();
        let asked = scope.spawn(move || pair.b.verb(&words));
        let mut client = pair.b.client();
        wait::until_glimpsed("some of it is written", PATIENCE, || {
            let marks = client.ok(&["HLEN", &format!("tandem:conflicts:{id}")]).int();
            if marks > Some(0) { Ok(()) } else { Err(format!("{marks:?}")) }
        });
        let pid = rustix::process::Pid::from_raw(i32::try_from(pair.b.pid()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        asked.join().unwrap();
    });
    let serves = |node: &Node| node.try_status().is_ok_and(|status| status.role() == "primary");
    wait::until("somebody serves", PATIENCE, || match (serves(&pair.a), serves(&pair.b)) {
        (true, false) => Ok(&pair.a),
        (false, true) => Ok(&pair.b),
        both => Err(format!("{both:?}")),
    })
}

fn apply_the_rest(now: &Node, id: &str, how: &[&str]) {
    wait::until("all of it is applied", PATIENCE, || {
        let said = now.verb(&[&["conflicts", "apply", id], how].concat());
        let settled = said.code == 0 || said.err.contains("applied already");
        if settled { Ok(()) } else { Err(format!("{said:?}")) }
    });
}

#[test]
fn a_primary_that_dies_while_it_applies_has_applied_once() {
    const KEYS: usize = 4_000;
    let (pair, id) = many(KEYS, [&["INCRBY", "1"], &["INCRBY", "10"], &["INCRBY", "100"]]);
    let now = dies_while_it_applies(&pair, &id, &[]);
    apply_the_rest(now, &id, &[]);
    let mut client = now.client();
    for number in 0..KEYS {
        assert_eq!(number_of(&mut client, &format!("n{number}")), Some(111), "n{number}");
    }
    pair.wait_in_sync();
}

#[test]
fn a_primary_that_dies_while_it_applies_by_force_overwrites_nothing_twice() {
    const KEYS: usize = 4_000;
    let (pair, id) = many(KEYS, [&["SET", "before"], &["SET", "lost"], &["SET", "current"]]);
    let now = dies_while_it_applies(&pair, &id, &["--force"]);
    let mut client = now.client();
    // What has its lost value is decided: a client goes on from there.
    let name = |number: usize| format!("n{number}");
    let has = |client: &mut Client, number| text_of(client, &name(number));
    let first = (0..KEYS).find(|&number| has(&mut client, number).as_deref() == Some("lost"));
    let first = first.unwrap();
    client.ok(&["SET", &name(first), "later"]);
    apply_the_rest(now, &id, &["--force"]);
    for number in 0..KEYS {
        let wanted = if number == first { "later" } else { "lost" };
        assert_eq!(has(&mut client, number).as_deref(), Some(wanted), "n{number}");
    }
    pair.wait_in_sync();
}
