//! What became of the writes: everything is read back, from both nodes, and held against what the clients
//! were told.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use crate::lab::load::{COUNTER, Journal, Outcome};
use crate::probe::{Connection, Reply};

/// So many requests fit in any buffer.
const AT_ONCE: usize = 100;
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);

/// Against what was promised, on one node or more.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Keys of acknowledged writes that are not there.
    pub(crate) lost: BTreeSet<String>,
    /// Keys of refused writes that are there.
    pub(crate) refused_but_there: BTreeSet<String>,
    /// What the counter says, node by node.
    pub(crate) counters: Vec<u64>,
}

/// The sums of all journals.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sums {
    pub(crate) acknowledged: u64,
    pub(crate) unknown: u64,
    pub(crate) errors: u64,
    /// Of these, such that counted up.
    pub(crate) counted: u64,
    pub(crate) perhaps_counted: u64,
}

impl Sums {
    /// Of all clients.
    pub(crate) fn of(journals: &[Journal]) -> Self {
        let mut sums = Self::default();
        for journal in journals {
            sums.errors += journal.errors;
            for (number, outcome) in journal.writes.iter().enumerate() {
                let counts = u64::from(Journal::counts(number));
                match outcome {
                    Outcome::Acknowledged => {
                        sums.acknowledged += 1;
                        sums.counted += counts;
                    }
                    Outcome::Unknown => {
                        sums.unknown += 1;
                        sums.perhaps_counted += counts;
                    }
                    Outcome::Refused => {}
                }
            }
        }
        sums
    }
}

impl Findings {
    /// Reads everything back from the node at `address`.
    pub(crate) fn look(&mut self, address: &str, journals: &[Journal]) -> anyhow::Result<()> {
        let mut connection = Connection::open(address, ANSWER_TIME_MAX, None)
            .with_context(|| format!("connect to {address} to read back"))?;
        for journal in journals {
            let numbers: Vec<usize> =
                (0..journal.writes.len()).filter(|&number| !Journal::counts(number)).collect();
            for numbers in numbers.chunks(AT_ONCE) {
                self.look_at(&mut connection, journal, numbers)?;
            }
        }
        let counter = match connection.ask(&["GET", COUNTER])? {
            Reply::Text(text) => text.parse().context("read the counter")?,
            Reply::Nil => 0,
            Reply::Error(text) => bail!("reading back from {address}: {text}"),
        };
        self.counters.push(counter);
        Ok(())
    }

    fn look_at(
        &mut self,
        connection: &mut Connection,
        journal: &Journal,
        numbers: &[usize],
    ) -> anyhow::Result<()> {
        let writer = journal.writer;
        let keys: Vec<String> =
            numbers.iter().map(|&number| Journal::key(writer, number)).collect();
        let requests: Vec<[&str; 2]> = keys.iter().map(|key| ["GET", key.as_str()]).collect();
        let replies = connection.ask_all(&requests).context("read back")?;
        for ((&number, key), reply) in numbers.iter().zip(&keys).zip(replies) {
            let found = match reply {
                Reply::Text(text) => text == Journal::value(writer, number),
                Reply::Nil => false,
                Reply::Error(text) => bail!("reading back {key}: {text}"),
            };
            match (journal.writes.get(number), found) {
                (Some(Outcome::Acknowledged), false) => {
                    self.lost.insert(key.clone());
                }
                (Some(Outcome::Refused), true) => {
                    self.refused_but_there.insert(key.clone());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Acknowledged writes that are gone: keys, and what the counter lacks.
    pub(crate) fn lost(&self, sums: Sums) -> u64 {
        let keys = u64::try_from(self.lost.len()).unwrap_or(u64::MAX);
        keys.saturating_add(self.counted_too_seldom(sums))
    }

    fn counted_too_seldom(&self, sums: Sums) -> u64 {
        let least = self.counters.iter().min().copied().unwrap_or(sums.counted);
        sums.counted.saturating_sub(least)
    }

    /// Writes that were counted although nobody made them, or twice.
    pub(crate) fn counted_too_often(&self, sums: Sums) -> u64 {
        let most = self.counters.iter().max().copied().unwrap_or_default();
        most.saturating_sub(sums.counted.saturating_add(sums.perhaps_counted))
    }

    /// Of the lost writes, those that are in files of saved writes below `data`, the nodes' data directories.
    pub(crate) fn saved(&self, sums: Sums, data: &[&Path]) -> u64 {
        // Both machines have the same files.
        let saved = data.iter().map(|folder| saved_writes(folder)).max_by_key(Vec::len);
        let saved = saved.unwrap_or_default();
        let counted = saved.iter().filter(|key| *key == COUNTER).count();
        let keys = self.lost.iter().filter(|key| saved.contains(key)).count();
        let whole = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        whole(keys).saturating_add(whole(counted).min(self.counted_too_seldom(sums)))
    }
}

/// The key of every saved write of a node (docs/formats/conflict.md).
fn saved_writes(data: &Path) -> Vec<String> {
    let Ok(files) = fs::read_dir(data.join("conflicts")) else { return Vec::new() };
    let text: Vec<String> =
        files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok()).collect();
    let key = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        line.get("op")?;
        Some(line.get("key")?.as_str()?.to_owned())
    };
    text.iter().flat_map(|text| text.lines().filter_map(key)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn journal(writes: &[Outcome]) -> Journal {
        Journal { writer: 0, writes: writes.to_vec(), errors: 1 }
    }

    /// Answers every GET with the value that belongs to it if `there` says so, the counter with 7.
    fn node(there: fn(usize) -> bool) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut answers = stream.try_clone().unwrap();
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let answer = match line.strip_prefix("lab:0:").map(str::parse) {
                    Some(Ok(number)) if there(number) => Journal::value(0, number),
                    Some(_) => {
                        answers.write_all(b"$-1\r\n").unwrap();
                        continue;
                    }
                    None if line == COUNTER => "7".to_owned(),
                    None => continue,
                };
                write!(answers, "${}\r\n{answer}\r\n", answer.len()).unwrap();
            }
        });
        address
    }

    #[test]
    fn acknowledged_and_gone_is_lost_refused_and_there_is_wrong_and_unknown_may_be_either() {
        use Outcome::{Acknowledged, Refused, Unknown};
        // The fourth of each four counts up.
        let journals =
            [journal(&[Acknowledged, Refused, Unknown, Acknowledged, Acknowledged, Unknown])];
        let mut good = Findings::default();
        good.look(&node(|number| [0, 4, 5].contains(&number)), &journals).unwrap();
        assert!(good.lost.is_empty() && good.refused_but_there.is_empty(), "{good:?}");
        let mut bad = Findings::default();
        bad.look(&node(|number| [0, 1].contains(&number)), &journals).unwrap();
        assert_eq!(bad.lost.into_iter().collect::<Vec<_>>(), ["lab:0:4"]);
        assert_eq!(bad.refused_but_there.into_iter().collect::<Vec<_>>(), ["lab:0:1"]);
        let sums = Sums::of(&journals);
        assert_eq!((sums.acknowledged, sums.unknown, sums.counted, sums.errors), (3, 2, 1, 1));
        assert_eq!(good.counted_too_often(sums), 6, "one was counted, and seven are there");
    }

    #[test]
    fn the_counter_must_lie_between_what_was_acknowledged_and_what_may_have_been_done() {
        let sums = Sums { counted: 10, perhaps_counted: 2, ..Sums::default() };
        for (counter, lost, too_often) in [(9, 1, 0), (10, 0, 0), (12, 0, 0), (13, 0, 1)] {
            let findings = Findings { counters: vec![counter], ..Findings::default() };
            assert_eq!((findings.lost(sums), findings.counted_too_often(sums)), (lost, too_often));
        }
    }

    #[test]
    fn what_is_lost_must_be_saved() {
        let folder = tempfile::TempDir::new().unwrap();
        fs::create_dir(folder.path().join("conflicts")).unwrap();
        let line = |op: &str, key: &str| format!("{{{op}\"key\":\"{key}\"}}\n");
        let op = "\"op\":\"SET\",";
        // The last line tells a key's state at the fork: that is no write.
        let text = line(op, "lab:0:1") + &line(op, COUNTER) + &line("", "lab:0:10");
        fs::write(folder.path().join("conflicts/x.jsonl"), text).unwrap();
        let lost = ["lab:0:1", "lab:0:10"].map(str::to_owned).into();
        let findings = Findings { lost, counters: vec![7, 5], ..Findings::default() };
        let sums = Sums { counted: 7, ..Sums::default() };
        let nobody = folder.path().join("b");
        assert_eq!((findings.lost(sums), findings.saved(sums, &[&nobody, folder.path()])), (4, 2));
    }
}
