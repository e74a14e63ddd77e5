//! The end of a run of two writers: progress, rest, and the questions that are asked then.

use tandem_merge::Key;
use tandem_resp::Value;
use tandem_types::NodeId;

use super::deeds::{self, LISTS, Place, STOCKS, Sum, request};
use super::rules::{End, Told};
use crate::plan::MS;
use crate::run::Run;
use crate::run::play::Call;

/// After everything works again, the pair has this long to be whole.
const WHOLE_WITHIN: u64 = 40_000 * MS;
/// And this long to come to rest.
const REST_WITHIN: u64 = 20_000 * MS;
/// Entries of a conflict log asked for at once.
const PAGE: usize = 500;

type Verdict = Result<(), String>;

impl Run {
    /// After healing: both go on, come to the same, and that is what clients were promised.
    pub(in crate::run) fn judge_writers(&mut self) -> Verdict {
        self.become_whole_writers()?;
        self.stop_players();
        self.settle_writers()?;
        self.look_at_both()?;
        let mut ends = [self.read_end(0)?, self.read_end(1)?];
        let conflicts: Vec<Told> = ends.iter().flat_map(|end| end.conflicts.clone()).collect();
        for (host, end) in ends.iter_mut().enumerate() {
            end.conflicts.clone_from(&conflicts);
            if self.watch.account.lost {
                continue;
            }
            self.watch.account.explains(end).map_err(|why| format!("at node {host}: {why}"))?;
        }
        self.tally.conflicts += conflicts.len() as u64;
        self.verified()?;
        self.tally.ids += self.watch.account.ids_given();
        match self.watch.account.first_broken() {
            Some(what) => Err(what.clone()),
            None => Ok(()),
        }
    }

    /// Progress: both serve, each has what the other acknowledged, and each acknowledges a write.
    fn become_whole_writers(&mut self) -> Verdict {
        let healed = self.now;
        let end = healed + WHOLE_WITHIN;
        while self.now < end {
            self.run_until(self.now + 20 * MS);
            let writes = self.watch.account.last_write.iter().all(|at| *at > healed);
            if self.both_in_sync() && writes {
                let took = (self.now - healed) / MS;
                self.tally.slowest_heal_ms = self.tally.slowest_heal_ms.max(took);
                return Ok(());
            }
        }
        let states = [0, 1].map(|host| self.describe(host));
        Err(format!(
            "no progress {} s after healing (last writes {:?}):\n  {}\n  {}",
            WHOLE_WITHIN / MS / 1_000,
            self.watch.account.last_write,
            states[0],
            states[1]
        ))
    }

    /// Nothing is under way, and both hold the same.
    fn settle_writers(&mut self) -> Verdict {
        let end = self.now + REST_WITHIN;
        loop {
            self.run_until(self.now + 50 * MS);
            let differs = self.differs();
            if differs.is_none() || self.now >= end {
                let states =
                    [0, 1].map(|host| format!("{:?}; {}", self.ends(host), self.describe(host)));
                return differs.map_or(Ok(()), |what| {
                    Err(format!("{what} at rest:\n  {}\n  {}", states[0], states[1]))
                });
            }
        }
    }

    fn differs(&self) -> Option<&'static str> {
        let (Some(a), Some(b)) = (self.ends(0), self.ends(1)) else {
            return Some("a node is down");
        };
        if a.own != b.seen || b.own != a.seen {
            return Some("not all has arrived");
        }
        let store = |host: usize| self.hosts[host].machine.node.as_ref().map(|it| &it.core().store);
        let (Some(here), Some(there)) = (store(0), store(1)) else { return Some("a node is down") };
        if here.digest_all() != there.digest_all() {
            return Some("the data differ");
        }
        if here.digest_beside() != there.digest_beside() {
            return Some("what stands beside the data differs");
        }
        let index = |host: usize| {
            let writer = self.hosts[host].machine.node.as_ref().and_then(|it| it.core().writer());
            writer.is_some_and(|it| it.site().index().is_empty())
        };
        (!index(0) || !index(1)).then_some("a node still keeps writes that the other has")
    }

    /// What no client can ask: both know the same of every counter and sequence.
    fn look_at_both(&self) -> Verdict {
        let ledger = |host: usize| self.hosts[host].machine.node.as_ref()?.core().store.ledger();
        let (Some(a), Some(b)) = (ledger(0), ledger(1)) else {
            return Err("a node is down".into());
        };
        if a.policies() != b.policies() {
            return Err(format!("policies differ: {:?} and {:?}", a.policies(), b.policies()));
        }
        let counters = |it: &tandem_merge::Ledger| -> Vec<(Key, tandem_merge::escrow::Counter)> {
            it.counters().map(|(key, counter)| (key.clone(), *counter)).collect()
        };
        if counters(a) != counters(b) {
            return Err(format!("counters differ: {:?} and {:?}", counters(a), counters(b)));
        }
        for (key, counter) in a.counters() {
            let rights =
                u128::from(counter.rights(NodeId::A)) + u128::from(counter.rights(NodeId::B));
            let above = counter.value() - i128::from(counter.min());
            if u128::try_from(above).ok() != Some(rights) {
                return Err(format!("{key:?} has {above} above its bound, and {rights} rights"));
            }
        }
        let far = |it: &tandem_merge::Ledger| -> Vec<(Key, [(u64, u64); 2])> {
            let of = |it: &tandem_merge::sequence::Sequence| {
                it.all_progress().map(|side| (side.burnt_end, side.next_id))
            };
            it.sequences().map(|(key, sequence)| (key.clone(), of(sequence))).collect()
        };
        if far(a) != far(b) {
            return Err(format!("sequences differ: {:?} and {:?}", far(a), far(b)));
        }
        Ok(())
    }

    fn read_end(&mut self, host: usize) -> Result<End, String> {
        let mut end = End::default();
        for sum in Sum::all() {
            let value = self.ask(host, &sum.read())?;
            end.sums.push((sum, whole_number(&value).unwrap_or(0)));
        }
        for key in 0..STOCKS {
            let value = self.ask(host, &request(&format!("GET stock:{key}")))?;
            end.stocks.push((key, whole_number(&value).unwrap_or(0)));
        }
        for place in Place::all() {
            let value = self.ask(host, &place.read())?;
            end.places.push((place, whole_number(&value).and_then(|it| u64::try_from(it).ok())));
        }
        end.members = numbers(&self.ask(host, &request("SMEMBERS crowd"))?).into_iter().collect();
        for key in 0..LISTS {
            let list = self.ask(host, &request(&format!("LRANGE list:{key} 0 -1")))?;
            end.lists.push((key, numbers(&list)));
        }
        end.conflicts = self.read_conflicts(host)?;
        Ok(end)
    }

    fn read_conflicts(&mut self, host: usize) -> Result<Vec<Told>, String> {
        let mut all = Vec::new();
        let mut since = String::new();
        loop {
            let page = format!("TANDEM PP CONFLICTS COUNT {PAGE}{since}");
            let value = self.ask(host, &request(&page))?;
            let entries = value.as_list().unwrap_or_default();
            all.extend(entries.iter().map(told));
            let last = entries.last().and_then(|it| text(it.lookup(b"id")?));
            match last {
                Some(id) if entries.len() == PAGE => since = format!(" SINCE {id}"),
                _ => return Ok(all),
            }
        }
    }

    /// The nodes say so themselves.
    fn verified(&mut self) -> Verdict {
        for host in 0..2 {
            let value = self.ask(host, &request("TANDEM PP VERIFY"))?;
            if !value.as_str().is_some_and(|text| text.starts_with("OK")) {
                return Err(format!("PP VERIFY at node {host}: {value:?}"));
            }
        }
        Ok(())
    }

    /// Asks a node until it answers.
    fn ask(&mut self, host: usize, words: &[Vec<u8>]) -> Result<Value, String> {
        let index = self.asker(host);
        let requests = [words.to_vec()];
        for _ in 0..20 {
            self.connect_asker(index, host);
            self.watch.account.answer = None;
            self.send_call(index, Call::Ask, &requests, 1);
            let patience = self.now + 25_000 * MS;
            while self.watch.account.answer.is_none()
                && self.is_asking(index)
                && self.now < patience
            {
                self.run_until(self.now + 2 * MS);
            }
            if let Some(value) = self.watch.account.answer.take() {
                return Ok(value);
            }
            self.run_until(self.now + 100 * MS);
        }
        let what = words.iter().map(|word| String::from_utf8_lossy(word)).collect::<Vec<_>>();
        Err(format!("node {host} does not answer {}", what.join(" ")))
    }

    /// Whether the node knows this policy.
    pub(in crate::run) fn knows_policy(&self, host: usize, number: usize) -> bool {
        let node = self.hosts[host].machine.node.as_ref();
        let ledger = node.and_then(|node| node.core().store.ledger());
        let prefix = deeds::POLICIES[number].0.as_bytes();
        ledger.is_some_and(|ledger| ledger.policies().get(prefix).is_some())
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(ToOwned::to_owned)
}

/// A number, also one that is written as a score is.
fn whole_number(value: &Value) -> Option<i64> {
    let text = value.as_str()?;
    text.parse().ok().or_else(|| format!("{:.0}", text.parse::<f64>().ok()?).parse().ok())
}

fn numbers(value: &Value) -> Vec<u64> {
    let (Value::Array(items) | Value::Set(items)) = value else { return Vec::new() };
    items.iter().filter_map(Value::as_str).filter_map(|text| text.parse().ok()).collect()
}

fn told(entry: &Value) -> Told {
    let of = |name: &str| entry.lookup(name.as_bytes()).and_then(text);
    let value = |party: &str| entry.lookup(party.as_bytes())?.lookup(b"value").and_then(text);
    Told {
        kind: of("kind").unwrap_or_default(),
        key: of("key").unwrap_or_default(),
        part: of("part"),
        values: [value("winner"), value("loser")],
    }
}
