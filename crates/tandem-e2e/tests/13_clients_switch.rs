//! Client libraries as they are, through planned and unplanned changes of primary.
//!
//! Every library runs its own small program beside all others, on one pair with a witness: it counts its
//! own key up and sets new keys, and writes down each answer. Nothing that was acknowledged may be
//! missing afterwards. The table that is printed is the one of docs/clients.md.
//!
//! `cargo xtask e2e` installs the libraries; a library that is not there is said to be skipped.

#[path = "clients_switch/libraries.rs"]
mod libraries;
#[path = "clients_switch/program.rs"]
mod program;
#[path = "clients_switch/table.rs"]
mod table;

use std::io::Write as _;
use std::time::Duration;

use program::{Program, Wrote};
use table::{Change, Row, Seen};
use tandem_e2e::client::Client;
use tandem_e2e::hosts::{Rig, since_1970};
use tandem_e2e::machine::target_folder;
use tandem_e2e::wait;

/// Longer than the old primary forwards (`switch.linger`): whoever still writes has moved.
const MOVED_AFTER: Duration = Duration::from_millis(700);
/// A library that has not written for so long after a change will not do it any more.
const STUCK_AFTER: Duration = Duration::from_secs(20);
/// The first ones are planned.
const PLANNED: usize = 2;
/// Writes that show that a library goes on.
const GOES_ON: usize = 20;

/// Waits until each has written since `from`, or is stuck.
fn wait_for_writes(programs: &[Program], from: Duration) {
    let goes_on = |program: &Program| program.acknowledged_from(from) >= GOES_ON;
    let begun = std::time::Instant::now();
    while !programs.iter().all(goes_on) && begun.elapsed() < STUCK_AFTER {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// One change: `act` on the primary `from`, seen by all `programs`.
fn change(
    title: &'static str,
    rig: &mut Rig,
    programs: &[Program],
    act: impl FnOnce(&mut Rig, usize),
) -> Change {
    let from = rig.wait_in_sync();
    wait_for_writes(programs, since_1970());
    let opening = rig.opening_of(1 - from);
    let began = since_1970();
    act(rig, from);
    let opened = opening.join().expect("the other node became primary");
    wait_for_writes(programs, opened + MOVED_AFTER);
    Change { title, began, opened, ended: since_1970() }
}

fn planned(rig: &mut Rig, primary: usize) {
    let said = rig.nodes[primary].verb(&["switch"]);
    assert_eq!(said.code, 0, "{said:?}");
}

/// Acknowledged writes of a program that the pair does not have.
fn lost(program: &Program, client: &mut Client) -> usize {
    let lines = program.lines();
    let mut highest = 0;
    let mut missing = 0;
    let mut keys = Vec::new();
    for line in &lines {
        match &line.wrote {
            // A counter that goes back or stands still has lost what was acknowledged before.
            Wrote::Counted(value) => {
                missing += usize::from(*value <= highest);
                highest = highest.max(*value);
            }
            Wrote::Set(number) => keys.push(*number),
            Wrote::Failed(_) => {}
        }
    }
    let counter = client.ok(&["GET", program.name]).text().unwrap_or_default();
    let counter: i64 = counter.parse().unwrap_or(0);
    missing += usize::try_from((highest - counter).max(0)).expect("a small number");
    for some in keys.chunks(500) {
        let mut command = vec!["MGET".to_owned()];
        command.extend(some.iter().map(|number| format!("{}:{number}", program.name)));
        let values = client.ok(&command).items();
        assert_eq!(values.len(), some.len());
        let kept = |(number, value): (&i64, &tandem_e2e::value::Value)| {
            value.text().as_deref() == Some(number.to_string().as_str())
        };
        missing += some.iter().zip(&values).filter(|&pair| !kept(pair)).count();
    }
    missing
}

#[test]
fn libraries_go_on_through_every_change_and_nothing_acknowledged_is_lost() {
    let mut rig = Rig::start();
    let mut programs = libraries::through_sentinel(&rig);
    let mut plain = libraries::plain(&rig);
    let through_sentinel = programs.len();
    programs.append(&mut plain);
    assert!(!programs.is_empty(), "no client library is installed");
    wait::until("every program writes", Duration::from_mins(1), || {
        let silent = programs.iter().find(|program| program.acknowledged_from(Duration::ZERO) == 0);
        silent.map_or(Ok(()), |program| {
            Err(format!("{}: {:?} {}", program.name, program.lines(), program.complaints()))
        })
    });
    let first = change("planned switch", &mut rig, &programs, planned);
    // Libraries that know one address only: the one that has just been left.
    let mut plain = programs.split_off(through_sentinel);
    plain.iter_mut().for_each(Program::end);
    let second = change("SIGTERM", &mut rig, &programs, |rig, primary| {
        assert_eq!(rig.nodes[primary].terminate(), Some(0));
    });
    let left = rig.primary_alone();
    rig.start_again(1 - left);
    let third = change("kill -9 of the process", &mut rig, &programs, |rig, primary| {
        rig.nodes[primary].kill_node();
    });
    let fourth = change("kill -9 of everything", &mut rig, &programs, |rig, primary| {
        rig.nodes[primary].kill_machine();
    });
    programs.iter_mut().for_each(Program::end);
    let primary = rig.primary_alone();
    let mut client = Client::connect(rig.nodes[primary].address()).expect("it accepts");
    let changes = [first, second, third, fourth];
    let mut row = |program: &Program, changes: &[Change]| {
        let lines = program.lines();
        Row {
            name: program.name,
            seen: changes.iter().map(|change| Seen::of(change, &lines)).map(Some).collect(),
            acknowledged: lines.iter().filter(|line| line.is_acknowledged()).count(),
            lost: lost(program, &mut client),
        }
    };
    let mut rows: Vec<Row> = programs.iter().map(|program| row(program, &changes)).collect();
    for program in &plain {
        let mut row = row(program, &changes[..1]);
        row.seen.resize_with(changes.len(), || None);
        rows.push(row);
    }
    let errors: Vec<String> =
        programs.iter().chain(&plain).map(|program| table::errors(&changes, program)).collect();
    let text = format!("\n{}\n{}", table::table(&changes, &rows), errors.concat());
    // The raw handle: the table is for people, so the test runner must not keep it.
    std::io::stderr().write_all(text.as_bytes()).expect("standard error is open");
    std::fs::write(target_folder().join("clients-switch.md"), &text).expect("target is writable");
    judge(&changes, &rows, through_sentinel);
}

/// What the table must show.
fn judge(changes: &[Change], rows: &[Row], through_sentinel: usize) {
    for row in rows {
        assert_eq!(row.lost, 0, "{}: acknowledged writes are missing", row.name);
        for (change, seen) in changes.iter().zip(&row.seen) {
            let Some(seen) = seen else { continue };
            assert!(seen.first.is_some(), "{} did not go on after: {}", row.name, change.title);
        }
    }
    let mut medians = Vec::new();
    for (index, change) in changes.iter().enumerate().take(PLANNED) {
        let errors = |row: &Row| row.seen[index].as_ref().map_or(0, |seen| seen.errors.len());
        let (sentinel, plain) = rows.split_at(through_sentinel);
        let seen_one = sentinel.iter().filter(|row| errors(row) > 0);
        assert!(seen_one.count() <= 2, "too many libraries saw an error in: {}", change.title);
        for row in sentinel {
            assert!(errors(row) <= 1, "{}: more than one error in: {}", row.name, change.title);
        }
        for row in plain {
            assert_eq!(errors(row), 0, "{}: errors in: {}", row.name, change.title);
        }
        let firsts = rows.iter().filter_map(|row| row.seen[index].as_ref()?.first);
        let mut firsts: Vec<Duration> = firsts.collect();
        firsts.sort();
        medians.push(firsts[firsts.len() / 2]);
    }
    // What else this machine does can only make a change slower.
    let quickest = medians.iter().min().expect("there were planned changes");
    assert!(*quickest <= Duration::from_millis(100), "first writes after {medians:?}");
}
