//! Bits that flip: in the log, in a snapshot, in memory. What is damaged is found, named, kept, and replaced from
//! the peer, unless only the damaged node has what was acknowledged.

use std::fs;
use std::time::Duration;

use tandem_e2e::load::Load;
use tandem_e2e::mediated::{MediatedOptions, MediatedPair, RECOVERY};
use tandem_e2e::node::{Node, START_DEADLINE};
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::rot::{self, Flipped};
use tandem_e2e::wait;

/// Small segments, so that some are closed soon.
fn storage(scrub_every: &str) -> String {
    format!("[storage]\nsegment_size = \"1MiB\"\nscrub_every = \"{scrub_every}\"\n")
}

fn options(scrub_every: &str) -> PairOptions {
    let mut options = PairOptions::new("primary-standby");
    options.more = storage(scrub_every);
    options
}

/// Some 3 MiB of log, and values of every type.
#[track_caller]
fn fill(node: &Node, name: &str) {
    let mut client = node.client();
    let value = "v".repeat(10_000);
    for number in 0..300 {
        client.ok(&["SET", &format!("{name}:{number}"), &value]);
    }
    client.ok(&["HSET", &format!("{name}:hash"), "f", "1", "g", "2"]);
    client.ok(&["ZADD", &format!("{name}:zset"), "1", "m", "2.5", "n"]);
    client.ok(&["SADD", &format!("{name}:set"), "x", "y", "z"]);
    client.ok(&["RPUSH", &format!("{name}:list"), "p", "q"]);
    client.ok(&["SET", &format!("{name}:ttl"), "soon", "EX", "3600"]);
}

#[track_caller]
fn assert_equal(node: &Node) {
    let said = node.verb(&["verify"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.starts_with("equal: "), "{said:?}");
}

/// The damaged bytes are kept below the data directory, and the status says so.
#[track_caller]
fn assert_kept(node: &Node, flipped: &Flipped) {
    let (name, aside) = (flipped.file.file_name().expect("a file has a name"), flipped.aside());
    let kept = fs::read(node.data().join(&aside).join(name)).expect("the damaged file is kept");
    assert!(kept == flipped.bytes, "{} is not what it was", name.display());
    let status = node.status();
    let files = status.at("kept_files").as_array().expect("a list");
    assert!(files.iter().any(|file| *file == aside.as_str()), "{}", status.json);
}

#[track_caller]
fn assert_named(log: &str, flipped: &Flipped) {
    assert!(log.contains(&format!("{} ", flipped.name)), "{} in {log}", flipped.name);
    assert!(log.contains("at byte "), "{log}");
}

#[test]
fn a_standby_with_a_damaged_log_repairs_itself_and_keeps_the_bad_files() {
    let mut pair = Pair::start(&options("0"));
    fill(&pair.a, "first");
    pair.b.kill();
    let flipped = rot::flip(&pair.b, ".log");
    // Nobody is there to help: it says what is wrong and waits.
    pair.a.kill();
    pair.b.start();
    let status = pair.b.status();
    assert_eq!(status.role(), "joining", "{}", status.json);
    assert_eq!(status.text("repair.kept"), flipped.aside());
    let why = pair.b.verb(&["why"]);
    assert_named(&format!("{}{}", why.out, why.err), &flipped);
    let promote = pair.b.verb(&["promote", "--force"]);
    assert_eq!(promote.code, 1, "a node without data became primary: {promote:?}");
    pair.a.start();
    pair.wait_in_sync();
    assert_kept(&pair.b, &flipped);
    assert!(pair.b.status().at("repair").is_null());
    assert_equal(&pair.a);
}

#[test]
fn a_standby_whose_only_snapshot_is_damaged_takes_a_full_copy() {
    let mut options = options("0").replication("log_retention = \"1MiB\"");
    options.more.push_str("snapshot_after = \"1MiB\"\n");
    let mut pair = Pair::start(&options);
    fill(&pair.a, "first");
    wait::until_true("the log is trimmed", START_DEADLINE, || {
        let oldest = rot::files(pair.a.data(), ".log").into_iter().next();
        oldest.is_some_and(|path| !path.ends_with("00000000000000000000.log"))
    });
    // A new directory begins with a snapshot, and no log from before it.
    pair.b.kill();
    fs::remove_dir_all(pair.b.data()).expect("removable");
    pair.b.start();
    pair.wait_in_sync();
    pair.b.kill();
    let flipped = rot::flip(&pair.b, ".snap");
    pair.b.start();
    pair.wait_in_sync();
    assert_named(&pair.b.log(), &flipped);
    assert_kept(&pair.b, &flipped);
    assert_equal(&pair.b);
}

#[test]
fn a_primary_alone_in_its_set_is_not_replaced_by_an_older_peer() {
    let mut pair = Pair::start(&options("0"));
    fill(&pair.a, "both");
    pair.b.kill();
    assert_eq!(pair.a.verb(&["solo"]).code, 0);
    fill(&pair.a, "alone");
    pair.a.kill();
    let flipped = rot::flip(&pair.a, ".log");
    pair.b.start();
    pair.a.spawn();
    assert_eq!(pair.a.wait_exit(), Some(1), "{}", pair.a.log());
    let log = pair.a.log();
    assert_named(&log, &flipped);
    assert!(log.contains("alone in the in-sync set"), "{log}");
    assert!(log.contains("tandem promote --force"), "{log}");
    assert_eq!(fs::read(&flipped.file).expect("it is where it was"), flipped.bytes);
    assert_ne!(pair.b.status().role(), "primary");
    // A person gives the writes up that only the damaged log has.
    pair.promote_b(&["--force"]);
    let aside = pair.folder().expect("a folder").join("aside");
    fs::rename(pair.a.data(), &aside).expect("moved away");
    pair.a.start();
    pair.wait_in_sync();
    assert_equal(&pair.a);
}

fn mediated(name: &'static str, scrub_every: &str) -> Option<MediatedPair> {
    let options = MediatedOptions { more: storage(scrub_every), ..MediatedOptions::default() }
        .switch("min_interval = \"1s\"");
    MediatedPair::start(name, &options)
}

#[track_caller]
fn goes_on(load: &Load) {
    load.wait_for_more(200, RECOVERY);
}

#[test]
fn a_damaged_primary_whose_peer_has_everything_repairs_itself_from_the_new_primary() {
    let Some(mut pair) = mediated("primary's log damaged", "0") else { return };
    fill(&pair.a, "first");
    let load = pair.load();
    goes_on(&load);
    pair.a.kill();
    let flipped = rot::flip(&pair.a, ".log");
    // Before its peer can have noticed anything.
    pair.a.start();
    pair.b.wait_role("primary");
    goes_on(&load);
    pair.wait_in_sync();
    assert_named(&pair.a.log(), &flipped);
    assert_kept(&pair.a, &flipped);
    assert_equal(&pair.b);
    pair.judge(load, 1);
}

#[test]
fn a_scrub_finds_damage_while_the_nodes_run_and_starts_the_repair() {
    let Some(mut pair) = mediated("scrub", "1s") else { return };
    fill(&pair.a, "first");
    let load = pair.load();
    goes_on(&load);
    pair.wait_in_sync();
    let standby = rot::flip(&pair.b, ".log");
    let aside = |node: &Node, flipped: &Flipped| node.data().join(flipped.aside()).is_dir();
    let what = "the standby sets its files aside";
    wait::until_true(what, START_DEADLINE, || aside(&pair.b, &standby));
    pair.wait_in_sync();
    assert_named(&pair.b.log(), &standby);
    assert_kept(&pair.b, &standby);
    assert_eq!(pair.a.status().role(), "primary");
    // The primary hands over first: nobody waits for its repair.
    let primary = rot::flip(&pair.a, ".log");
    let what = "the primary sets its files aside";
    wait::until_true(what, START_DEADLINE, || aside(&pair.a, &primary));
    pair.wait_in_sync();
    assert_eq!(pair.b.status().role(), "primary");
    assert_named(&pair.a.log(), &primary);
    assert_kept(&pair.a, &primary);
    goes_on(&load);
    wait::until_true("a scrub of the new files is over", START_DEADLINE, || {
        pair.a.metric("tandem_scrubs_total") > 0.0
    });
    assert_equal(&pair.a);
    // Who hands over passes on what its clients ask until they have moved.
    pair.judge(load, usize::MAX);
}

#[test]
fn a_scrub_replaces_a_damaged_snapshot_from_memory() {
    let mut pair = Pair::start(&options("1s"));
    fill(&pair.a, "first");
    let file = pair.folder().expect("a folder").join("backup");
    assert_eq!(pair.a.verb(&["backup", &file.display().to_string()]).code, 0);
    let flipped = rot::flip(&pair.a, ".snap");
    let name = flipped.file.file_name().and_then(|name| name.to_str()).expect("a name");
    let kept = flipped.file.with_file_name(format!("damaged-{name}"));
    wait::until_true("it is set aside", START_DEADLINE, || kept.is_file());
    wait::until_true("a new one is there", START_DEADLINE, || {
        !rot::files(pair.a.data(), ".snap").is_empty()
    });
    assert_eq!(fs::read(&kept).expect("kept"), flipped.bytes);
    assert!(pair.a.status().is("in_sync"));
    assert!(pair.a.metric("tandem_damage_found_total{in=\"snapshot\"}") > 0.5);
    assert_eq!(pair.a.terminate(), Some(0));
    let check =
        tandem_e2e::node::tandem(&["check", "--data-dir", &pair.a.data().display().to_string()]);
    assert_eq!(check.code, 0, "{check:?}");
    assert!(check.out.contains("found damaged earlier"), "{check:?}");
}

#[test]
fn a_value_that_changes_silently_in_memory_is_named_and_repaired_on_request() {
    let pair = Pair::start(&options("0"));
    fill(&pair.a, "first");
    let mut client = pair.a.client();
    let value = "a value that nobody else has 7c1f93";
    client.ok(&["SET", "victim", value]);
    let position = pair.a.status().number("last_lsn");
    pair.b.wait_status("has the value", |it| it.number("applied_lsn") >= position);
    let reply = client.ok(&["TANDEM", "VERIFY"]);
    assert!(reply.text().is_some_and(|line| line.starts_with("equal: ")), "{reply:?}");
    let other = value.replace("7c1f93", "7c1f92");
    let places = rot::overwrite_memory(pair.b.pid(), value.as_bytes(), other.as_bytes());
    assert!(places.expect("its memory can be written") > 0);
    // Writes go on meanwhile, also to the slots that are compared.
    for number in 0..300 {
        client.ok(&["SET", &format!("first:{number}"), "new"]);
    }
    for node in [&pair.a, &pair.b] {
        let said = node.verb(&["verify"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.out.contains("db 0 \"victim\": value or time to live differs"), "{said:?}");
        assert!(said.err.contains("tandem verify --repair"), "{said:?}");
    }
    let status = pair.a.status();
    assert_eq!(status.text("verify.result"), "differs");
    assert_eq!(status.number("verify.slots_differ"), 1, "{}", status.json);
    let said = pair.b.verb(&["verify", "--repair"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("not the primary"), "{said:?}");
    let generation = rot::generation(pair.b.data()).display().to_string();
    let kept = generation.replace("/gen-", "/damaged-");
    let said = pair.a.verb(&["verify", "--repair"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("takes a full copy"), "{said:?}");
    wait::until_true("its files are set aside", START_DEADLINE, || {
        std::path::Path::new(&kept).is_dir()
    });
    pair.wait_in_sync();
    assert_equal(&pair.a);
    wait::until_true("the metric tells of it", Duration::from_secs(5), || {
        pair.a.metric("tandem_verifications_total{result=\"equal\"}") >= 2.0
    });
}
