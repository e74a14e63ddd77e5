//! `tandem lab`: what it prints for scripts, that it leaves nothing behind, and what it refuses.

#![expect(clippy::unwrap_used, reason = "a test: it may panic")]

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tandem_e2e::family;
use tandem_e2e::node::{tandem, tandem_program};
use tandem_e2e::wait;
use tempfile::TempDir;

/// The run of that architecture and fault.
#[track_caller]
fn run<'a>(report: &'a Value, architecture: &str, fault: &str) -> &'a Value {
    let runs = report["runs"].as_array().unwrap();
    runs.iter()
        .find(|run| run["architecture"] == architecture && run["fault"] == fault)
        .unwrap_or_else(|| panic!("no {architecture}, {fault} in {report}"))
}

#[test]
fn two_architectures_under_two_faults_lose_nothing_and_become_whole_again() {
    let folder = TempDir::with_prefix("tandem-lab-test-").unwrap();
    let dir = folder.path().to_str().unwrap();
    let said = tandem(&[
        "lab",
        "--only",
        "mediator-witness,primary-primary",
        "--faults",
        "kill,switch",
        "--at-once",
        "3",
        "--dir",
        dir,
        "--json",
    ]);
    assert_eq!(said.code, 0, "{said:?}");
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["passed"], true, "{report}");
    // Nobody switches two primaries.
    assert_eq!(report["runs"].as_array().unwrap().len(), 3, "{report}");
    for (architecture, fault) in
        [("mediator-witness", "kill"), ("mediator-witness", "switch"), ("primary-primary", "kill")]
    {
        let run = run(&report, architecture, fault);
        assert_eq!(run["writes_lost"], 0, "{run}");
        assert_eq!(run["equal"], true, "{run}");
        assert_eq!(run["writes_back_by"], "itself", "{run}");
        assert_eq!(run["broken"].as_array().unwrap().len(), 0, "{run}");
        assert!(run["writes_acknowledged"].as_u64().unwrap() > 100, "{run}");
        assert!(run["seconds_until_whole"].is_number(), "{run}");
        assert!(run["seconds_without_writes"].as_f64().unwrap() < 10.0, "{run}");
        let counter = &run["counter"];
        let number = |name: &str| counter[name].as_u64().unwrap();
        let exact = number("acknowledged")..=number("acknowledged") + number("unknown");
        let found = counter["found"].as_array().unwrap();
        assert_eq!(found.len(), 2, "one per node: {run}");
        assert!(found.iter().all(|found| exact.contains(&found.as_u64().unwrap())), "{run}");
    }
    let switched = run(&report, "mediator-witness", "switch");
    assert_eq!(
        (&switched["primary_before"], &switched["primary_after"]),
        (&"a".into(), &"b".into())
    );
    assert_eq!(run(&report, "primary-primary", "kill")["primary_after"], "a+b");
    assert!(report["not_run"].to_string().contains("ZooKeeper"), "{report}");
    assert!(said.err.contains("[3/3] "), "{}", said.err);
    let left = std::fs::read_dir(dir).unwrap().count();
    assert_eq!(left, 0, "nothing is left in {dir}");
}

#[test]
fn it_says_what_it_knows_when_asked_for_something_else() {
    let said = tandem(&["lab", "--faults", "kill,flood"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("flood") && said.err.contains("freeze"), "{said:?}");
    let said = tandem(&["lab", "--mediator", "consul=127.0.0.1:8500"]);
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.err.contains("zookeeper=HOST:PORT"), "{said:?}");
    let said = tandem(&["lab", "--only", "mediator-etcd"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("--mediator etcd=HOST:PORT"), "{said:?}");
    let said = tandem(&["lab", "--only", "primary-primary", "--faults", "switch,mediator"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("nothing to run"), "{said:?}");
}

#[test]
fn ctrl_c_ends_every_process_and_removes_the_directory() {
    let folder = TempDir::with_prefix("tandem-lab-test-").unwrap();
    let mut lab = Command::new(tandem_program())
        .args(["lab", "--only", "direct,mediator-witness", "--faults", "machine,freeze"])
        .args(["--seconds-per-fault", "60", "--dir", folder.path().to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Two witnesses, and nodes under their supervisors; a machine that is gone has none.
    let all = wait::until("its pairs run", Duration::from_secs(30), || {
        let all = family::members(lab.id());
        if all.len() >= 15 { Ok(all) } else { Err(format!("{} processes", all.len())) }
    });
    let pid = Pid::from_raw(i32::try_from(lab.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(lab.wait().unwrap().code(), Some(1));
    let others = all.into_iter().filter(|&other| other != lab.id());
    for other in others {
        wait::until_true("its processes are gone", Duration::from_secs(10), || {
            family::is_gone(other)
        });
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
