//! Changing the primary by hand: with nothing to lose at once, else only on a person's word, and the
//! writes of the one that returns are kept.

use std::fs;
use std::time::Duration;

use tandem_e2e::node::Node;
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::wait;

fn local() -> PairOptions {
    PairOptions::new("primary-replica").replication("acknowledge = \"local\"")
}

/// Writes on `a` that `b` does not get.
fn write_alone(pair: &mut Pair, count: usize) {
    pair.b.kill();
    let mut client = pair.a.client();
    for number in 0..count {
        client.ok(&["SET", &format!("extra{number}"), "lost"]);
    }
}

#[test]
fn both_up_it_is_a_handover_that_loses_nothing() {
    let pair = Pair::start(&PairOptions::new("primary-replica"));
    let mut client = pair.a.client();
    for number in 0..1_000 {
        client.ok(&["SET", &format!("k{number}"), "v"]);
    }
    let epoch = pair.a.status().number("epoch");
    let said = pair.b.verb(&["promote"]);
    assert_eq!(said.code, 0, "{said:?}");
    pair.b.wait_role("primary");
    pair.a.wait_role("replica");
    pair.wait_in_sync();
    assert_eq!(pair.b.client().ok(&["DBSIZE"]).int(), Some(1_000));
    assert!(pair.b.status().number("epoch") > epoch);
    pair.b.client().ok(&["SET", "after", "v"]);
    assert_eq!(pair.a.status().number("conflicts"), 0);
}

#[test]
fn a_member_of_the_in_sync_set_is_promoted_without_a_question() {
    let mut pair = Pair::start(&PairOptions::new("primary-standby"));
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.a.kill();
    pair.promote_b(&[]);
    assert_eq!(pair.b.client().ok(&["GET", "k"]).text().as_deref(), Some("v"));
}

#[test]
fn a_gap_is_told_and_must_be_accepted() {
    let mut pair = Pair::start(&local());
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.a.client().ok(&["WAIT", "1", "3000"]);
    write_alone(&mut pair, 25);
    // The returning follower hears how far the primary is, and then the primary is gone.
    pair.a.freeze();
    pair.a.kill();
    pair.b.start();
    let said = pair.b.verb(&["promote"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("--force") || said.err.contains("--accept-loss"), "{}", said.err);
    assert_ne!(pair.b.status().role(), "primary");
    pair.promote_b(&["--force"]);
    assert_eq!(pair.b.client().ok(&["GET", "k"]).text().as_deref(), Some("v"));
    assert_eq!(pair.b.client().ok(&["EXISTS", "extra0"]).int(), Some(0));
}

#[test]
fn accept_loss_covers_what_was_told_and_not_more() {
    let mut pair = Pair::start(&local());
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.a.client().ok(&["WAIT", "1", "3000"]);
    // The follower hears the primary's position, but does not get the records: it is frozen meanwhile.
    pair.b.freeze();
    let mut client = pair.a.client();
    for number in 0..2_000 {
        client.ok(&["SET", &format!("extra{number}"), "lost"]);
    }
    pair.b.thaw();
    pair.a.kill();
    pair.b.wait_status("misses its peer", |status| !status.is("peer.connected"));
    let said = pair.b.verb(&["promote", "--accept-loss", "0"]);
    let status = pair.b.status();
    if said.code == 0 {
        // It had read everything from its socket: nothing was lost.
        assert_eq!(pair.b.client().ok(&["EXISTS", "extra1999"]).int(), Some(1));
        return;
    }
    assert!(said.err.contains("missing") || said.err.contains("known"), "{said:?} {}", status.json);
    let said = pair.b.verb(&["promote", "--accept-loss", "1000000"]);
    let said = if said.code == 0 { said } else { pair.b.verb(&["promote", "--force"]) };
    assert_eq!(said.code, 0, "{said:?}");
    pair.b.wait_role("primary");
}

#[test]
fn the_old_primary_returns_follows_and_its_extra_writes_are_kept() {
    let mut pair = Pair::start(&local());
    pair.a.client().ok(&["SET", "shared", "before"]);
    pair.a.client().ok(&["WAIT", "1", "3000"]);
    write_alone(&mut pair, 25);
    pair.a.client().ok(&["SET", "shared", "by the old primary"]);
    pair.a.kill();
    pair.b.start();
    pair.promote_b(&["--force"]);
    pair.b.client().ok(&["SET", "shared", "by the new primary"]);
    pair.a.start();
    pair.a.wait_role("replica");
    pair.wait_in_sync();
    assert_eq!(pair.a.status().text("peer.role"), "primary");
    let end = pair.b.status().number("commit_lsn");
    pair.a.wait_status("has applied all", |status| status.number("applied_lsn") >= end);
    let mut reader = pair.a.client();
    assert_eq!(reader.ok(&["GET", "shared"]).text().as_deref(), Some("by the new primary"));
    assert_eq!(reader.ok(&["EXISTS", "extra0", "extra24"]).int(), Some(0));
    let folder = pair.a.data().join("conflicts");
    let files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("readable").path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let text = fs::read_to_string(&files[0]).expect("readable");
    assert!(files[0].extension().is_some_and(|end| end == "jsonl"), "{files:?}");
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    }
    for number in 0..25 {
        assert!(text.contains(&format!("extra{number}\"")), "extra{number} in {text}");
    }
    assert!(text.contains("by the old primary"));
    assert!(pair.a.status().number("conflicts") > 0, "{}", pair.a.status().json);
    // It survives another restart, and nothing is saved twice.
    pair.a.kill();
    pair.a.start();
    pair.wait_in_sync();
    assert_eq!(fs::read_dir(&folder).expect("readable").count(), 1);
}

#[test]
fn an_old_primary_that_was_cut_off_answers_no_write_once_it_hears_of_the_new_one() {
    let mut pair = Pair::start(&PairOptions::new("primary-standby"));
    let mut client = pair.a.client();
    client.ok(&["SET", "k", "v"]);
    pair.a.freeze();
    client.send(&["SET", "k", "too late"]).expect("sent into the socket");
    pair.b.wait_status("misses its peer", |status| !status.is("peer.connected"));
    pair.promote_b(&[]);
    pair.a.thaw();
    client.set_reply_timeout(Duration::from_secs(5)).expect("a socket option");
    match client.reply() {
        Ok(reply) => assert!(reply.error().is_some(), "acknowledged: {reply:?}"),
        Err(error) => assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "it hung"),
    }
    pair.a.wait_role("standby");
    assert_eq!(pair.b.client().ok(&["GET", "k"]).text().as_deref(), Some("v"));
}

#[test]
fn nobody_serves_by_itself_from_an_empty_or_foreign_directory() {
    let mut pair = Pair::start(&PairOptions::new("primary-standby"));
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.a.kill();
    pair.b.kill();
    // The disk of the primary is lost; the standby has everything.
    fs::remove_dir_all(pair.a.data()).expect("removable");
    pair.a.start();
    wait::stays_true("an empty node does not begin", Duration::from_secs(3), || {
        pair.a.try_status().map_or(true, |status| status.role() != "primary")
    });
    pair.b.start();
    wait::stays_true("an empty peer takes nothing away", Duration::from_secs(2), || {
        pair.a.try_status().map_or(true, |status| status.role() != "primary")
    });
    pair.a.wait_status("sees its peer", |status| status.is("peer.connected"));
    for words in [&["solo"][..], &["solo", "--force"]] {
        let said = pair.a.verb(words);
        assert_eq!(said.code, 1, "an empty pair beside the data: {said:?}");
        assert!(said.err.contains("holds the pair's data"), "{said:?}");
    }
    pair.promote_b(&[]);
    assert_eq!(pair.b.client().ok(&["GET", "k"]).text().as_deref(), Some("v"));
    pair.wait_in_sync();
    pair.b.kill();
    let said = pair.a.verb(&["promote"]);
    assert_eq!(said.code, 0, "{said:?}");
    pair.a.wait_role("primary");
    assert_eq!(pair.a.client().ok(&["GET", "k"]).text().as_deref(), Some("v"));
}

#[test]
fn data_without_the_file_that_says_whose_it_is_is_not_taken_for_nothing() {
    let mut pair = Pair::start(&PairOptions::new("primary-standby"));
    pair.a.client().ok(&["SET", "k", "v"]);
    pair.b.terminate();
    pair.a.terminate();
    let (state, kept) = (pair.a.data().join("state"), pair.a.data().join("state.kept"));
    fs::rename(&state, &kept).expect("it is there");
    pair.a.spawn();
    assert_eq!(pair.a.wait_exit(), Some(1));
    let log = pair.a.log();
    assert!(log.contains("there is no file `state`, but gen-0/"), "{log}");
    fs::rename(&kept, &state).expect("nothing was changed");
    pair.a.start();
    pair.b.start();
    pair.wait_in_sync();
    assert_eq!(pair.a.client().ok(&["GET", "k"]).text().as_deref(), Some("v"));
}

#[test]
fn two_new_nodes_with_different_files_begin_no_pair() {
    let mut pair = Pair::prepare(&PairOptions::new("primary-standby"));
    let text = fs::read_to_string(pair.config()).expect("it was written");
    let other = pair.config().with_file_name("other.toml");
    let text = text.replace("initial_primary = \"a\"", "initial_primary = \"b\"");
    fs::write(&other, text).expect("the folder is writable");
    let (ports, data) = (pair.b.ports(), pair.b.data().to_owned());
    let log = other.with_file_name("b.log");
    pair.b = Node::new("b", ports, &other, &data, &log);
    pair.a.start();
    pair.b.start();
    for node in [&pair.a, &pair.b] {
        wait::until("the cause is named", Duration::from_secs(20), || {
            let log = node.log();
            let named = ["their configurations differ", "pair.initial_primary (\"", " there)"];
            if named.iter().all(|word| log.contains(word)) { Ok(()) } else { Err(log) }
        });
    }
    wait::stays_true("nobody serves", Duration::from_secs(3), || {
        [&pair.a, &pair.b]
            .iter()
            .all(|node| node.try_status().map_or(true, |status| status.role() != "primary"))
    });
    let lines = pair.a.log().matches("their configurations differ").count();
    assert!(lines < 20, "told once, not each time: {lines}");
    // The same file on both, and they begin.
    pair.b.kill();
    let config = pair.config().to_owned();
    pair.b = Node::new("b", ports, &config, &data, &log);
    pair.b.start();
    pair.wait_in_sync();
}
