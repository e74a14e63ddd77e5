//! A data directory goes back: an older copy, a reverted machine, a backup beside a living peer. What the peer
//! knows to be acknowledged stays in the data.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tandem_e2e::mediated::{MediatedOptions, MediatedPair, RECOVERY};
use tandem_e2e::node::{Node, tandem};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::wait;

/// Copies a node's directory, as it is after a crash, and starts the node again.
fn copied(node: &mut Node) -> PathBuf {
    node.kill();
    let copy = node.data().with_extension("older");
    copy_tree(node.data(), &copy);
    node.start();
    copy
}

/// The directory is the older copy when the node starts again.
fn goes_back(node: &mut Node, copy: &Path) {
    node.kill();
    fs::remove_dir_all(node.data()).expect("removable");
    copy_tree(copy, node.data());
    node.start();
}

fn copy_tree(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().expect("cp runs");
    assert!(copied.success(), "cp -a {} {}", from.display(), to.display());
}

fn write(node: &Node, prefix: &str) {
    let mut client = node.client();
    for number in 0..50 {
        client.ok(&["SET", &format!("{prefix}{number}"), "v"]);
    }
}

fn has_all(node: &Node, prefixes: &[&str]) {
    let mut client = node.client();
    for prefix in prefixes {
        let keys: Vec<String> = (0..50).map(|number| format!("{prefix}{number}")).collect();
        let words: Vec<&str> =
            std::iter::once("EXISTS").chain(keys.iter().map(String::as_str)).collect();
        assert_eq!(client.ok(&words).int(), Some(50), "of {prefix}");
    }
}

fn keeps_what_it_had(node: &Node) {
    let names = fs::read_dir(node.data()).expect("readable");
    let kept = names
        .filter_map(Result::ok)
        .any(|it| it.file_name().to_string_lossy().starts_with("damaged-"));
    assert!(kept, "the older copy is not kept in {}", node.data().display());
}

fn notices(node: &Node) {
    wait::until_true("its older copy is set aside", RECOVERY, || {
        node.log().contains("these files are kept in damaged-")
    });
}

/// Without a third party the primary may have been alone by a right that its peer has not heard of: there a
/// person's word is needed, also where nothing is missing.
fn promote_b(pair: &Pair, by: &str) {
    let words: &[&str] = if by == "manual" { &[] } else { &["--force"] };
    pair.promote_b(words);
}

#[test]
fn a_mediated_primary_whose_directory_went_back_loses_nothing_for_the_pair() {
    let Some(mut pair) = MediatedPair::start("directory went back", &MediatedOptions::default())
    else {
        return;
    };
    let load = pair.load();
    // So that it returns as primary and its peer does not take over meanwhile.
    pair.must(&pair.a, &["pause"]);
    pair.b.wait_status("knows of the pause", |status| status.is("paused"));
    let copy = copied(&mut pair.a);
    pair.a.wait_role("primary");
    pair.wait_in_sync();
    load.wait_for_more(200, RECOVERY);
    goes_back(&mut pair.a, &copy);
    notices(&pair.a);
    pair.must(&pair.b, &["resume"]);
    pair.b.wait_role("primary");
    load.wait_for_more(200, RECOVERY);
    pair.wait_in_sync();
    keeps_what_it_had(&pair.a);
    pair.judge(load, usize::MAX);
}

/// With the process number of the one that died, the record would seem to name the one that starts.
#[test]
fn a_mediated_primary_that_went_back_while_nobody_decided_is_not_taken_for_its_former_self() {
    let Some(mut pair) =
        MediatedPair::start("directory went back unseen", &MediatedOptions::default())
    else {
        return;
    };
    pair.must(&pair.a, &["pause"]);
    pair.b.wait_status("knows of the pause", |status| status.is("paused"));
    let copy = copied(&mut pair.a);
    pair.a.wait_role("primary");
    pair.wait_in_sync();
    let epoch = pair.a.status().number("epoch");
    write(&pair.a, "x");
    pair.b.kill();
    goes_back(&mut pair.a, &copy);
    // Without its peer nobody can tell; but what it begins is another reign, so its peer finds out.
    pair.a.wait_role("primary");
    assert!(pair.a.status().number("epoch") > epoch, "{}", pair.a.log());
    pair.b.start();
    pair.must(&pair.a, &["resume"]);
    pair.wait_in_sync();
}

#[test]
fn a_primary_whose_directory_went_back_is_not_what_its_standby_cuts_back_to() {
    for by in ["manual", "direct"] {
        let options = PairOptions { by, ..PairOptions::new("primary-standby") };
        let mut pair = Pair::start(&options);
        write(&pair.a, "x");
        let copy = copied(&mut pair.a);
        pair.a.wait_role("primary");
        pair.wait_in_sync();
        write(&pair.a, "y");
        goes_back(&mut pair.a, &copy);
        notices(&pair.a);
        keeps_what_it_had(&pair.a);
        promote_b(&pair, by);
        has_all(&pair.b, &["x", "y"]);
        pair.wait_in_sync();
        assert_eq!(pair.b.status().number("conflicts"), 0, "{by}");
        pair.a.kill();
        pair.b.kill();
    }
}

#[test]
fn a_standby_whose_directory_went_back_is_no_member_until_it_has_everything_again() {
    let mut pair = Pair::start(&PairOptions::new("primary-standby"));
    write(&pair.a, "x");
    let copy = copied(&mut pair.b);
    pair.wait_in_sync();
    write(&pair.a, "y");
    goes_back(&mut pair.b, &copy);
    notices(&pair.b);
    pair.wait_in_sync();
    pair.a.kill();
    pair.promote_b(&[]);
    has_all(&pair.b, &["x", "y"]);
}

#[test]
fn a_backup_in_the_primarys_place_is_not_what_its_standby_cuts_back_to() {
    for by in ["manual", "direct"] {
        let options = PairOptions { by, ..PairOptions::new("primary-standby") };
        let mut pair = Pair::start(&options);
        write(&pair.a, "x");
        let file = pair.folder().expect("a folder").join("backup").display().to_string();
        assert_eq!(pair.a.verb(&["backup", &file]).code, 0);
        write(&pair.a, "y");
        pair.a.kill();
        fs::remove_dir_all(pair.a.data()).expect("removable");
        let data = pair.a.data().display().to_string();
        let said = tandem(&["restore", &file, "--data-dir", &data]);
        assert_eq!(said.code, 0, "{said:?}");
        pair.a.start();
        pair.a.wait_status("sees its peer", |status| status.is("peer.connected"));
        wait::stays_true("it takes nothing back", Duration::from_secs(2), || {
            pair.a.status().role() != "primary"
        });
        promote_b(&pair, by);
        has_all(&pair.b, &["x", "y"]);
        pair.wait_in_sync();
        pair.a.kill();
        pair.b.kill();
    }
}

/// What it writes past what its peer had of it would have numbers, ids and rights that were given before.
#[test]
fn one_of_two_writers_whose_directory_went_back_gives_nothing_a_second_time() {
    for peer_restarts in [false, true] {
        let options = PairOptions::new("primary-primary");
        let mut pair = Pair::prepare(&options.replication("without_peer = \"serve\""));
        pair.a.start();
        pair.b.start();
        both_in_sync(&pair);
        let copy = copied(&mut pair.b);
        both_in_sync(&pair);
        for (node, prefix) in [(&pair.a, "a"), (&pair.b, "b")] {
            write(node, prefix);
        }
        pair.b.client().ok(&["INCRBY", "sum", "7"]);
        wait::until_true("a has what b acknowledged", RECOVERY, || {
            pair.a.client().ok(&["GET", "sum"]).text().as_deref() == Some("7")
        });
        pair.a.kill();
        goes_back(&mut pair.b, &copy);
        // Alone, it does not know; it writes more than it has lost.
        wait::until_true("it serves alone", RECOVERY, || {
            pair.b.client().command(&["SET", "alone", "v"]).is_ok_and(|it| it.error().is_none())
        });
        for round in 0..4 {
            write(&pair.b, &format!("again{round}-"));
        }
        pair.a.start();
        if peer_restarts {
            pair.a.kill();
            pair.a.start();
        }
        notices_as_writer(&pair.b);
        both_in_sync(&pair);
        for node in [&pair.a, &pair.b] {
            has_all(node, &["a", "b"]);
            assert_eq!(node.client().ok(&["GET", "sum"]).text().as_deref(), Some("7"));
        }
        pair.a.kill();
        pair.b.kill();
    }
}

fn notices_as_writer(node: &Node) {
    wait::until_true("its older copy is set aside", RECOVERY, || {
        node.log().contains("it went back to an older copy")
    });
}

fn both_in_sync(pair: &Pair) {
    for node in [&pair.a, &pair.b] {
        node.wait_status("is in sync", |status| {
            status.is("in_sync") && status.is("peer.connected") && status.role() == "primary"
        });
    }
}
