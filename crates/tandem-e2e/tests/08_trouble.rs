//! Disks that fail, fill up or lie, and orderly ends: the node says what is wrong and never
//! acknowledges what it does not have.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tandem_e2e::audit;
use tandem_e2e::client::Client;
use tandem_e2e::load::{Load, LoadOptions, Told};
use tandem_e2e::machine::has_program;
use tandem_e2e::node::tandem;
use tandem_e2e::pair::{Pair, PairOptions};
use tandem_e2e::skip::skipped;
use tandem_e2e::trouble::SmallDisk;
use tandem_e2e::wait;
use tempfile::TempDir;

fn local() -> PairOptions {
    PairOptions::default().replication("acknowledge = \"local\"")
}

fn small_load(pair: &Pair) -> Load {
    let options = LoadOptions { clients: 10, ..LoadOptions::default() };
    Load::start(&options, &[pair.a.address()])
}

#[test]
fn sigterm_ends_in_order_and_everything_is_there_afterwards() {
    let mut pair = Pair::start_alone(&local());
    let load = small_load(&pair);
    load.wait_for_more(500, Duration::from_secs(20));
    let mut blocked = pair.a.client();
    blocked.send(&["BLPOP", "nothing", "0"]).expect("sent");
    assert_eq!(pair.a.terminate(), Some(0), "{}", pair.a.log());
    // Whoever waited is told or hung up on, and not left waiting.
    blocked.set_reply_timeout(Duration::from_secs(5)).expect("a socket option");
    if let Err(error) = blocked.reply() {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "a blocked client hangs");
    }
    let report = load.stop();
    assert!(report.count(Told::Acknowledged) >= 500);
    pair.a.start();
    pair.a.wait_role("primary");
    audit::assert_nothing_lost(&report, &mut pair.a.client());
}

#[test]
fn sigterm_of_the_primary_hands_over_first() {
    let mut pair = Pair::start(&PairOptions::new("primary-replica"));
    pair.a.client().ok(&["SET", "k", "v"]);
    assert_eq!(pair.a.terminate(), Some(0), "{}", pair.a.log());
    pair.b.wait_role("primary");
    assert_eq!(pair.b.client().ok(&["GET", "k"]).text().as_deref(), Some("v"));
    // The one that left in order resigned: writes need nobody's word.
    assert!(pair.b.client().ok(&["SET", "k", "w"]).is_ok());
    pair.a.start();
    pair.wait_in_sync();
    assert_eq!(pair.b.status().role(), "primary");
}

#[test]
fn a_standby_that_leaves_in_order_does_not_stall_the_primary() {
    let mut pair = Pair::start(&PairOptions::new("primary-standby"));
    assert_eq!(pair.b.terminate(), Some(0), "{}", pair.b.log());
    let mut client = pair.a.client();
    assert!(client.ok(&["SET", "k", "v"]).is_ok());
    pair.b.start();
    pair.wait_in_sync();
    assert!(client.ok(&["SET", "k", "w"]).is_ok());
}

#[test]
fn a_data_directory_has_one_user() {
    let mut pair = Pair::start_alone(&local());
    let second =
        tandem(&["serve", "--config", &pair.config().display().to_string(), "--node", "a"]);
    assert_ne!(second.code, 0, "{second:?}");
    let said = second.err + &second.out;
    assert!(said.contains("LOCK") || said.contains("in use") || said.contains("lock"), "{said}");
    pair.a.process().assert_running();
    pair.a.client().ok(&["SET", "k", "v"]);
}

fn error_of(client: &mut Client, words: &[&str]) -> Option<String> {
    let reply = client.command(words).expect("an answer");
    reply.error().map(str::to_owned)
}

#[test]
fn a_full_disk_refuses_writes_and_reads_go_on() {
    let disk = match SmallDisk::mount("200m") {
        Ok(disk) => disk,
        Err(reason) => return skipped("disk full", &reason),
    };
    let mut options = local();
    options.data[0] = Some(disk.path().join("data"));
    let mut pair = Pair::start_alone(&options);
    let mut client = pair.a.client();
    client.ok(&["SET", "first", "v"]);
    // Everything but a little is taken by somebody else.
    let ballast = disk.fill(512 << 10);
    let value = "v".repeat(64 << 10);
    let mut acknowledged = 0;
    let error = loop {
        match error_of(&mut client, &["SET", &format!("k{acknowledged}"), &value]) {
            None => acknowledged += 1,
            Some(error) => break error,
        }
        assert!(acknowledged < 20_000, "the disk never became full");
    };
    assert!(error.starts_with("MISCONF"), "{error}");
    assert!(error.contains("the disk of a is full"), "{error}");
    let status = pair.a.status();
    assert!(
        status.is("stalled") && status.text("waiting_for").contains("is full"),
        "{}",
        status.json
    );
    let why = pair.a.verb(&["why"]);
    assert!(why.out.contains("a person: free space on a"), "{why:?}");
    assert_eq!(pair.a.verb(&["status"]).code, 2, "no primary that takes writes");
    pair.a.process().assert_running();
    assert_eq!(client.ok(&["GET", "first"]).text().as_deref(), Some("v"));
    for number in 0..acknowledged {
        assert_eq!(client.ok(&["STRLEN", &format!("k{number}")]).int(), Some(65_536));
    }
    assert_eq!(client.ok(&["EXISTS", &format!("k{acknowledged}")]).int(), Some(0), "refused");
    fs::remove_file(&ballast).expect("removed");
    wait::until("writes are taken again", Duration::from_secs(20), || {
        let reply = client.command(&["SET", "again", "v"]).map_err(|error| error.to_string())?;
        reply.error().map_or(Ok(()), |error| Err(error.to_owned()))
    });
    pair.a.kill();
    pair.a.start();
    pair.a.wait_role("primary");
    let mut client = pair.a.client();
    assert_eq!(client.ok(&["DBSIZE"]).int(), Some(acknowledged + 2));
}

#[test]
fn a_standby_whose_disk_is_full_is_named_and_a_person_may_go_on_without_it() {
    let disk = match SmallDisk::mount("200m") {
        Ok(disk) => disk,
        Err(reason) => return skipped("disk of the standby full", &reason),
    };
    let mut options = PairOptions::new("primary-standby").switch("slow_after = \"1s\"");
    options.data[1] = Some(disk.path().join("data"));
    let pair = Pair::start(&options);
    let mut client = pair.a.client();
    client.set_reply_timeout(Duration::from_secs(1)).expect("a socket takes a timeout");
    let ballast = disk.fill(512 << 10);
    let value = "v".repeat(64 << 10);
    let mut number = 0;
    while client.command(&["SET", &format!("k{number}"), &value]).is_ok() {
        number += 1;
        assert!(number < 20_000, "the disk never became full");
    }
    let status = pair.a.wait_status("says that writes wait", |status| status.is("stalled"));
    assert!(status.text("waiting_for").contains("for b, which is connected"), "{}", status.json);
    assert!(pair.a.log().contains("does not make them durable"), "{}", pair.a.log());
    let why = pair.b.verb(&["why"]);
    assert!(why.out.contains("free space on b"), "{why:?}");
    assert_eq!(pair.b.verb(&["status"]).code, 1, "the standby needs attention");
    wait::until("a person goes on without it", Duration::from_secs(20), || {
        let said = pair.a.verb(&["solo"]);
        if said.code == 0 { Ok(()) } else { Err(said) }
    });
    pair.a.client().ok(&["SET", "alone", "v"]);
    fs::remove_file(&ballast).expect("removed");
    pair.wait_in_sync();
    pair.a.wait_status("is well again", |status| {
        !status.is("stalled") && status.at("waiting_for").is_null()
    });
}

#[test]
fn a_failed_fsync_is_the_end_of_the_process_and_of_acknowledgements() {
    if !has_program("strace") {
        return skipped("fsync error", "strace is not installed");
    }
    for call in ["fdatasync", "fsync"] {
        let mut pair = Pair::start_alone(&local());
        let pid = pair.a.pid().to_string();
        let load = small_load(&pair);
        load.wait_for_more(200, Duration::from_secs(20));
        let mut strace = Command::new("strace")
            .args(["-f", "-o", "/dev/null", "-p", &pid, "-e", &format!("trace={call}")])
            .args(["-e", &format!("inject={call}:error=EIO:when=20+")])
            .spawn()
            .expect("strace starts");
        let ended = || {
            let path = PathBuf::from(format!("/proc/{pid}/stat"));
            let state = fs::read_to_string(path).unwrap_or_default();
            let state = state.rsplit(") ").next().and_then(|rest| rest.chars().next());
            matches!(state, None | Some('Z'))
        };
        let start = std::time::Instant::now();
        while !ended() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let died = ended();
        strace.kill().ok();
        strace.wait().expect("strace ends");
        let report = load.stop();
        if !died {
            // This call is not the one that the log uses.
            assert_eq!(call, "fsync", "EIO from fdatasync went unnoticed");
            continue;
        }
        let log = pair.a.log();
        assert!(!log.contains("panicked"), "{log}");
        pair.a.kill();
        pair.a.start();
        pair.a.wait_role("primary");
        audit::assert_nothing_lost(&report, &mut pair.a.client());
        return;
    }
    panic!("no fsync was seen at all");
}

/// The largest log segment of a node.
fn segment(pair: &Pair) -> PathBuf {
    let mut found = Vec::new();
    let mut folders = vec![pair.a.data().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "log" || end == "seg") {
                found.push(path);
            }
        }
    }
    found.sort();
    found.first().cloned().unwrap_or_else(|| panic!("no segment in {}", pair.a.data().display()))
}

#[test]
fn a_damaged_byte_before_valid_records_stops_the_start_and_is_named() {
    let mut pair = Pair::start_alone(&local());
    let mut client = pair.a.client();
    for number in 0..500 {
        client.ok(&["SET", &format!("k{number}"), &"v".repeat(100)]);
    }
    pair.a.kill();
    let path = segment(&pair);
    let mut bytes = fs::read(&path).expect("readable");
    let place = bytes.windows(4).position(|window| window == b"k250").expect("the key is in it");
    bytes[place] ^= 0x40;
    fs::write(&path, &bytes).expect("written");
    let check = tandem(&["check", "--data-dir", &pair.a.data().display().to_string()]);
    assert_eq!(check.code, 1, "{check:?}");
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    let said = check.err + &check.out;
    assert!(said.contains(&name), "{name} in {said}");
    assert!(said.chars().any(|c| c.is_ascii_digit()), "{said}");
    pair.a.spawn();
    // By itself it never serves from it: it ends, or (with a peer) waits to be copied anew.
    wait::stays_true("it does not serve", Duration::from_secs(3), || {
        pair.a.try_status().map_or(true, |status| status.role() != "primary")
    });
    let log = pair.a.log();
    assert!(log.contains(&name), "{name} in {log}");
    assert_eq!(fs::read(&path).expect("kept"), bytes, "the damaged file is left as it is");
}

#[test]
fn a_torn_tail_is_cut_and_what_was_acknowledged_is_there() {
    let mut pair = Pair::start_alone(&local());
    let mut client = pair.a.client();
    for number in 0..100 {
        client.ok(&["SET", &format!("k{number}"), "v"]);
    }
    pair.a.kill();
    let path = segment(&pair);
    let mut torn = fs::read(&path).expect("readable");
    let used = torn.iter().rposition(|&byte| byte != 0).expect("records") + 1;
    // Half of a record that was being written when the power went.
    let junk: Vec<u8> = (0..40_u8).map(|byte| byte.wrapping_mul(37) | 1).collect();
    if used + junk.len() <= torn.len() {
        torn[used..used + junk.len()].copy_from_slice(&junk);
    } else {
        torn.extend_from_slice(&junk);
    }
    fs::write(&path, &torn).expect("written");
    pair.a.start();
    pair.a.wait_role("primary");
    let mut client = pair.a.client();
    assert_eq!(client.ok(&["DBSIZE"]).int(), Some(100));
    client.ok(&["SET", "more", "v"]);
    pair.a.kill();
    pair.a.start();
    pair.a.wait_role("primary");
    assert_eq!(pair.a.client().ok(&["DBSIZE"]).int(), Some(101));
}

#[test]
fn a_frozen_process_goes_on_where_it_was() {
    let mut pair = Pair::start_alone(&local());
    let load = small_load(&pair);
    for _ in 0..3 {
        load.wait_for_more(200, Duration::from_secs(20));
        pair.a.freeze();
        std::thread::sleep(Duration::from_millis(300));
        pair.a.thaw();
    }
    load.wait_for_more(200, Duration::from_secs(20));
    let report = load.stop();
    audit::assert_nothing_lost(&report, &mut pair.a.client());
}

#[test]
fn mistakes_in_the_configuration_are_named() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("tandem.toml");
    let node =
        "[nodes.a]\nhost = \"127.0.0.1\"\n[nodes.b]\nhost = \"127.0.0.1\"\nclient_port = 7000\n";
    let cases = [
        ("[pair]\nnam = \"x\"\n", "name"),
        ("[replication]\nacknowlege = \"durable\"\n", "acknowledge"),
        ("[replication]\nacknowledge = \"sometimes\"\n", "durable"),
        ("[replication]\nmax_staleness = \"-1s\"\n", "max_staleness"),
        ("[pair]\nname = \"a\"\nname = \"b\"\n", "duplicate"),
        ("not toml at all", "tandem.toml"),
    ];
    for (text, word) in cases {
        fs::write(&path, format!("{text}\n{node}")).expect("written");
        let said = tandem(&["config", "check", &path.display().to_string()]);
        assert_eq!(said.code, 1, "{text:?}: {said:?}");
        assert!(said.err.contains(word), "{text:?}: {said:?}");
    }
    assert_eq!(tandem(&["no-such-verb"]).code, 2);
    for example in ["primary-standby", "primary-replica"] {
        let said = tandem(&["config", "example", example]);
        assert_eq!(said.code, 0, "{said:?}");
        fs::write(&path, &said.out).expect("written");
        let said = tandem(&["config", "check", &path.display().to_string()]);
        assert_eq!(said.code, 0, "{example}: {said:?}");
    }
}

#[test]
fn a_backup_taken_under_load_restores_to_a_state_of_that_time() {
    let mut pair = Pair::start_alone(&local());
    let load = small_load(&pair);
    load.wait_for_more(1_000, Duration::from_secs(20));
    let mut client = pair.a.client();
    client.ok(&["SET", "before", "v"]);
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("backup").display().to_string();
    let said = pair.a.verb(&["backup", &file]);
    assert_eq!(said.code, 0, "{said:?}");
    let mode = fs::metadata(&file).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "all data is in it");
    client.ok(&["SET", "after", "v"]);
    drop(load.stop());
    pair.a.kill();
    let kept = folder.path().join("old");
    fs::rename(pair.a.data(), &kept).expect("renamed");
    let data = pair.a.data().display().to_string();
    let said = tandem(&["restore", &file, "--data-dir", &data]);
    assert_eq!(said.code, 0, "{said:?}");
    let said = tandem(&["check", "--data-dir", &data]);
    assert_eq!(said.code, 0, "{said:?}");
    pair.a.start();
    // A restored directory is nobody yet: a person says that it shall serve.
    let said = pair.a.verb(&["promote", "--force"]);
    let said = if said.code == 0 { said } else { pair.a.verb(&["solo", "--force"]) };
    assert!(said.code == 0 || pair.a.status().role() == "primary", "{said:?}");
    pair.a.wait_role("primary");
    let mut client = pair.a.client();
    assert_eq!(client.ok(&["GET", "before"]).text().as_deref(), Some("v"));
    assert_eq!(client.ok(&["EXISTS", "after"]).int(), Some(0));
    pair.a.process().signal(Signal::TERM);
}
