//! Where histories may fork: every acknowledged write is in the data, or saved on both machines.

use std::collections::BTreeSet;

use tandem_disk::Disk as _;
use tandem_resp::Value;

use super::Run;
use crate::plan::MS;

/// Saved writes reach the other machine within this.
const SAVED_WITHIN: u64 = 10_000 * MS;

/// What is written for a number: unlike anything else in a conflict file.
pub(super) fn member(value: u64) -> Vec<u8> {
    format!("note<{value}>").into_bytes()
}

fn numbers_in(text: &str) -> impl Iterator<Item = u64> {
    text.split("note<").skip(1).filter_map(|rest| rest.split_once('>')?.0.parse().ok())
}

/// The numbers in a reply to `SMEMBERS`.
pub(super) fn numbers(reply: &Value) -> BTreeSet<u64> {
    let (Value::Array(items) | Value::Set(items)) = reply else { return BTreeSet::new() };
    items.iter().filter_map(Value::as_str).flat_map(numbers_in).collect()
}

impl Run {
    /// The numbers in all conflict files of a machine.
    fn saved(&self, which: usize) -> BTreeSet<u64> {
        let disk = &self.hosts[which].machine.disk;
        let Ok(files) = disk.list("conflicts") else { return BTreeSet::new() };
        let mut numbers = BTreeSet::new();
        for file in files {
            let bytes = disk.contents(&format!("conflicts/{}", file.name));
            let text = bytes.map(|it| String::from_utf8_lossy(&it).into_owned());
            numbers.extend(numbers_in(&text.unwrap_or_default()));
        }
        numbers
    }

    /// Nothing that was acknowledged has vanished.
    pub(super) fn nothing_vanished(&mut self) -> Result<(), String> {
        let noted = self.watch.noted.iter().copied();
        let lost: BTreeSet<u64> =
            noted.filter(|number| !self.watch.journal.contains(number)).collect();
        self.tally.saved += lost.len() as u64;
        let end = self.now + SAVED_WITHIN;
        loop {
            let missing = |which: usize| -> Vec<u64> {
                lost.difference(&self.saved(which)).copied().collect()
            };
            let missing = [missing(0), missing(1)];
            if missing.iter().all(Vec::is_empty) {
                return Ok(());
            }
            if self.now >= end {
                return Err(format!(
                    "acknowledged writes are neither in the data nor saved on both machines: {missing:?}"
                ));
            }
            self.run_until(self.now + 200 * MS);
        }
    }
}
