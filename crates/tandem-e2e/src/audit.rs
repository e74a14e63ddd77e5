//! The judge: is everything that was acknowledged there, and nothing that was refused?

use std::collections::{BTreeMap, BTreeSet};

use crate::client::Client;
use crate::load::{Report, Target, Told, Write, value_sequence};
use crate::value::Value;
use crate::{wgl, zones};

/// At most this many violations are listed.
const SHOWN_MAX: usize = 20;

/// What the audit looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Audited {
    /// Writes whose promise was checked.
    pub acknowledged: usize,
    /// Writes of unknown outcome.
    pub unknown: usize,
    /// Writes that were refused.
    pub refused: usize,
}

/// Compares the data that `client` reads with what the clients of `report` were told; panics with every
/// contradiction. Run it when no load is left.
#[track_caller]
pub fn assert_nothing_lost(report: &Report, client: &mut Client) -> Audited {
    let violations = violations(report, client);
    assert!(
        violations.is_empty(),
        "{} violations ({} acknowledged, {} unknown, {} refused, errors {:?}):\n  {}",
        violations.len(),
        report.count(Told::Acknowledged),
        report.count(Told::Unknown),
        report.count(Told::Refused),
        report.errors,
        violations.iter().take(SHOWN_MAX).cloned().collect::<Vec<_>>().join("\n  ")
    );
    Audited {
        acknowledged: report.count(Told::Acknowledged),
        unknown: report.count(Told::Unknown),
        refused: report.count(Told::Refused),
    }
}

/// Steps of the search that are tried per register.
const STEPS_MAX: u64 = 20_000_000;

/// Panics unless all calls on each register can be explained by one register. A search that gives up is a
/// load that is too dense for it, never a pass.
#[track_caller]
pub fn assert_linearizable(report: &Report) {
    for (register, history) in report.register_histories() {
        // First the quick one: it names the values at odds.
        if let Err(violation) = zones::check(&history) {
            panic!("register:{register} is not linearizable: {violation:?}");
        }
        let verdict = wgl::check::<wgl::Register>(&history, STEPS_MAX);
        assert_eq!(verdict, wgl::Verdict::Linearizable, "register:{register} of {}", history.len());
    }
}

/// Every contradiction between `report` and the data that `client` reads.
pub fn violations(report: &Report, client: &mut Client) -> Vec<String> {
    let mut found: Vec<String> =
        report.unexpected.iter().map(|error| format!("a client was told -{error}")).collect();
    for (number, record) in report.clients.iter().enumerate() {
        let by_target = group(&record.writes);
        for (target, writes) in &by_target {
            match target {
                Target::Key(key) => {
                    let name = format!("key:{number}:{key}");
                    let value = client.ok(&["GET", &name]);
                    found.extend(check_register(number, &name, writes, &value));
                }
                Target::Pair => check_pair(number, writes, client, &mut found),
                Target::List => check_list(number, writes, client, &mut found),
                Target::Counter(_) => {}
            }
        }
    }
    check_counters(report, client, &mut found);
    for (register, history) in report.register_histories() {
        if let Err(violation) = zones::check(&history) {
            found.push(format!("register:{register} is not linearizable: {violation:?}"));
        }
    }
    found
}

fn group(writes: &[Write]) -> BTreeMap<Target, Vec<Write>> {
    let mut groups: BTreeMap<Target, Vec<Write>> = BTreeMap::new();
    for write in writes {
        groups.entry(write.target).or_default().push(*write);
    }
    groups
}

/// A key with one writer holds its last acknowledged value, or one of unknown outcome.
///
/// An unknown write may take effect at any later moment, so one that is older than the last
/// acknowledged write is allowed too.
fn check_register(client: usize, name: &str, writes: &[Write], value: &Value) -> Option<String> {
    let last = writes.iter().rev().find(|write| write.told == Told::Acknowledged);
    let Some(text) = value.text() else {
        let last = last?;
        return Some(format!("{name} is absent, but #{} was acknowledged", last.sequence));
    };
    let Some(sequence) = value_sequence(client, &text) else {
        return Some(format!("{name} holds {text:?}, which its client never wrote"));
    };
    let Some(write) = writes.iter().find(|write| write.sequence == sequence) else {
        return Some(format!("{name} holds #{sequence}, which went elsewhere"));
    };
    match write.told {
        Told::Refused => Some(format!("{name} holds #{sequence}, which was refused")),
        Told::Unknown => None,
        Told::Acknowledged => {
            let last = last.map_or(0, |write| write.sequence);
            (sequence != last)
                .then(|| format!("{name} holds #{sequence}, but #{last} was acknowledged later"))
        }
    }
}

fn check_pair(client: usize, writes: &[Write], from: &mut Client, found: &mut Vec<String>) {
    let (a, b) = (format!("pair:{client}:a"), format!("pair:{client}:b"));
    let both = from.ok(&["MGET", &a, &b]).items();
    if both.first() != both.get(1) {
        found.push(format!("{a} and {b} were written together, but are {both:?}"));
    }
    let value = both.first().cloned().unwrap_or(Value::Null);
    found.extend(check_register(client, &a, writes, &value));
}

/// A list with one writer holds every acknowledged element once, in order; unknown ones at most once.
fn check_list(client: usize, writes: &[Write], from: &mut Client, found: &mut Vec<String>) {
    let name = format!("list:{client}");
    let mut told: BTreeMap<u64, Told> = BTreeMap::new();
    for write in writes {
        told.insert(write.sequence, write.told);
    }
    let mut present = BTreeSet::new();
    let mut last_acknowledged = 0;
    for element in from.ok(&["LRANGE", &name, "0", "-1"]).items() {
        let text = element.text().unwrap_or_default();
        let Some(sequence) = value_sequence(client, &text) else {
            found.push(format!("{name} has {text:?}, which its client never wrote"));
            continue;
        };
        if !present.insert(sequence) {
            found.push(format!("{name} has #{sequence} twice"));
        }
        match told.get(&sequence) {
            None => found.push(format!("{name} has #{sequence}, which went elsewhere")),
            Some(Told::Refused) => found.push(format!("{name} has #{sequence}, which was refused")),
            Some(Told::Unknown) => {}
            Some(Told::Acknowledged) => {
                if sequence < last_acknowledged {
                    found.push(format!("{name} has #{sequence} after #{last_acknowledged}"));
                }
                last_acknowledged = sequence;
            }
        }
    }
    for write in writes.iter().filter(|write| write.told == Told::Acknowledged) {
        if !present.contains(&write.sequence) {
            found.push(format!("{name} lacks #{}, which was acknowledged", write.sequence));
        }
    }
}

/// acknowledged <= value <= acknowledged + unknown
fn check_counters(report: &Report, from: &mut Client, found: &mut Vec<String>) {
    let mut counts: BTreeMap<usize, (i64, i64)> = BTreeMap::new();
    for write in report.clients.iter().flat_map(|client| &client.writes) {
        let Target::Counter(counter) = write.target else { continue };
        let (acknowledged, unknown) = counts.entry(counter).or_default();
        match write.told {
            Told::Acknowledged => *acknowledged += 1,
            Told::Unknown => *unknown += 1,
            Told::Refused => {}
        }
    }
    for (counter, (acknowledged, unknown)) in counts {
        let value = from.ok(&["GET", &format!("counter:{counter}")]);
        let value: i64 =
            value.text().map_or(0, |text| text.parse().expect("a counter is a number"));
        if value < acknowledged || value > acknowledged + unknown {
            found.push(format!(
                "counter:{counter} is {value}, with {acknowledged} acknowledged and {unknown} unknown"
            ));
        }
    }
}
