//! What must hold: while there are faults, and after all of them are healed.

use std::collections::{BTreeSet, VecDeque};

use tandem_history::wgl::{self, Counter, CounterAction};
use tandem_history::{Operation, Outcome, RegisterAction, zones};
use tandem_node::Acknowledge;
use tandem_switch::Record;
use tandem_types::NodeId;

use super::Run;
use super::play::{COUNTERS, REGISTERS};
use super::rising::Rising;
use super::two_writers::Account;
use crate::plan::{MS, Plan};
use crate::{Failure, Tally};

/// Steps of the search on one counter.
const STEPS_MAX: u64 = 2_000_000;
/// After everything works again, the pair has this long to be whole.
const WHOLE_WITHIN: u64 = 40_000 * MS;

/// So many reigns within a second are begun by nodes that take no notice of one another.
const REIGNS_A_SECOND: usize = 10;

/// What the clients saw, and what the nodes were seen to do.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    pub(super) registers: [Vec<Operation<RegisterAction>>; REGISTERS],
    pub(super) counters: [Vec<Operation<CounterAction>>; COUNTERS],
    pub(super) both: Vec<Operation<RegisterAction>>,
    /// Values of registers that were seen at a replica, and when.
    pub(super) peeked: Vec<(usize, u64, u64)>,
    /// The numbers that rise, and the one that was seen last.
    pub(super) rising: Rising,
    pub(super) last_risen: u64,
    /// The last acknowledgement of a write.
    last: Option<(u64, usize)>,
    pub(super) last_write: u64,
    /// The highest epoch in the record, whose it is, and whether it was ever another node's.
    epoch: u64,
    primary: Option<NodeId>,
    moved: bool,
    /// When the reigns of the last second began.
    begun: VecDeque<u64>,
    pub(super) closing: bool,
    /// Members of the journal that were acknowledged, and those that are there at the end.
    pub(super) noted: Vec<u64>,
    pub(super) journal: BTreeSet<u64>,
    /// What clients of two writers were told.
    pub(super) account: Account,
    broken: Vec<String>,
}

impl Watch {
    pub(super) fn broken(&mut self, what: String) {
        self.broken.push(what);
    }

    /// What a replica has shown is committed, whether its writer was told so or not: it had taken effect by
    /// then, and nothing takes it back.
    fn believe_replicas(&mut self) {
        for (key, value, at) in std::mem::take(&mut self.peeked) {
            let written = RegisterAction::Write(value);
            let shown = self.registers[key].iter_mut().find(|it| it.action == written);
            if let Some(write) = shown {
                write.outcome = match write.outcome {
                    Outcome::Returned(returned) => Outcome::Returned(returned.min(at)),
                    Outcome::Unknown => Outcome::Returned(at),
                };
            }
        }
    }

    /// A node acknowledges a write: nobody of an earlier reign may do so afterwards.
    pub(super) fn acknowledged(&mut self, now: u64, which: usize, epoch: u64) {
        if let Some((last, by)) = self.last
            && (epoch < last || (epoch == last && by != which))
        {
            self.broken(format!(
                "{}: node {which} acknowledged a write in epoch {epoch}, after node {by} had in epoch {last}",
                super::trace::time(now)
            ));
        }
        if self.last.is_none_or(|(last, _)| epoch >= last) {
            self.last = Some((epoch, which));
        }
    }

    /// Whether no later epoch was ever in the record.
    pub(super) const fn is_latest(&self, epoch: u64) -> bool {
        epoch == self.epoch
    }

    /// A node serves, without a record that says so.
    pub(super) fn reigns(&mut self, now: u64, which: usize) {
        self.begun.push_back(now);
        self.begun.retain(|at| at + 1_000 * MS > now);
        if self.begun.len() >= REIGNS_A_SECOND {
            let time = super::trace::time(now);
            self.broken.push(format!("{time}: the role goes back and forth"));
        }
        let node = super::NODES[which];
        self.moved |= self.primary.is_some_and(|primary| primary != node);
        self.primary = Some(node);
    }

    pub(super) fn record_changed(&mut self, now: u64, record: &Record) {
        let epoch = record.epoch.get();
        if epoch < self.epoch {
            self.broken(format!(
                "{}: the record went back from epoch {} to {epoch}",
                super::trace::time(now),
                self.epoch
            ));
        }
        self.epoch = self.epoch.max(epoch);
        self.moved |= self.primary.is_some_and(|primary| primary != record.primary);
        self.primary = Some(record.primary);
    }
}

impl Run {
    /// The whole run: trouble, healing, judgement.
    pub(crate) fn judge(plan: Plan, told: bool) -> (Result<(), Failure>, Tally, Vec<String>) {
        let mut run = Self::new(plan, told);
        let result = run.live();
        let failure = result.err().or_else(|| run.watch.broken.first().cloned());
        run.tally.created_again += run.mediator.created_again;
        run.tally.simulated += run.now;
        let result = match failure {
            Some(what) => Err(Failure { what }),
            None => Ok(()),
        };
        (result, run.tally, run.trace.into_lines())
    }

    fn live(&mut self) -> Result<(), String> {
        let trouble = self.now + 1_000 * MS + self.plan.trouble;
        while self.now < trouble {
            self.run_until(trouble.min(self.now + 250 * MS));
            self.nobody_reigns_blind();
            if !self.must_hold() {
                return Err(self.watch.broken[0].clone());
            }
        }
        self.heal();
        if self.plan.both_write() {
            return self.judge_writers();
        }
        let primary = self.become_whole()?;
        self.last_calls(primary);
        self.settle()?;
        self.same_on_both()?;
        self.explained()
    }

    fn must_hold(&mut self) -> bool {
        self.watch.broken.extend(self.watch.account.first_broken().cloned());
        if self.clocks_are_bad() {
            // Which node answers when rests on clocks; what was acknowledged does not.
            self.watch.broken.retain(|it| !it.contains("acknowledged a write in epoch"));
        }
        if self.plan.may_split() && self.plan.goes_alone() {
            // That is what "take-over" accepts.
            self.watch.broken.retain(|it| !it.contains("acknowledged a write in epoch"));
        }
        self.watch.broken.is_empty()
    }

    /// Progress: one serves, the other holds everything, and a write is acknowledged.
    fn become_whole(&mut self) -> Result<usize, String> {
        let healed = self.now;
        let end = healed + WHOLE_WITHIN;
        let mut since = None;
        let mut person = healed + 2_000 * MS;
        while self.now < end {
            self.run_until(self.now + 20 * MS);
            if self.now > person && self.whole().is_none() {
                person = self.now + 1_500 * MS;
                self.person_helps();
            }
            if self.whole().is_none() || self.watch.last_write <= healed {
                since = None;
                continue;
            }
            let since = *since.get_or_insert(self.now);
            // And it stays so.
            if self.now >= since + 200 * MS
                && let Some(primary) = self.whole()
            {
                let took = (self.now - healed) / MS;
                self.tally.slowest_heal_ms = self.tally.slowest_heal_ms.max(took);
                return Ok(primary);
            }
        }
        let states = [0, 1].map(|host| self.describe(host));
        let record = self.mediator.record();
        let written = self.watch.last_write > healed;
        Err(format!(
            "no progress {} s after healing (write acknowledged: {written}):\n  {}\n  {}\n  {record:?}",
            WHOLE_WITHIN / MS / 1_000,
            states[0],
            states[1]
        ))
    }

    pub(super) fn describe(&self, which: usize) -> String {
        let machine = &self.hosts[which].machine;
        match &machine.node {
            None => format!("{which}: down, {:?}", machine.stopped),
            Some(node) => {
                let core = node.core();
                format!("{which}: {:?}; {:?}", core.view, core.positions)
            }
        }
    }

    /// Nothing is under way any more.
    fn settle(&mut self) -> Result<(), String> {
        let end = self.now + 10_000 * MS;
        while self.now < end {
            let at = |host: usize| {
                let node = self.hosts[host].machine.node.as_ref()?;
                let at = &node.core().positions;
                let same = at.applied_end == at.appended_end && at.commit_end == at.appended_end;
                same.then_some(at.applied_end)
            };
            if let (Some(one), Some(other)) = (at(0), at(1))
                && one == other
            {
                return Ok(());
            }
            self.run_until(self.now + 50 * MS);
        }
        let states = [0, 1].map(|host| self.describe(host));
        Err(format!("the nodes do not come to the same place:\n  {}\n  {}", states[0], states[1]))
    }

    fn same_on_both(&self) -> Result<(), String> {
        let digest = |host: usize| {
            self.hosts[host].machine.node.as_ref().map(|node| node.core().store.digest_all())
        };
        if digest(0) == digest(1) {
            Ok(())
        } else {
            Err("the nodes hold different data at the same place of the log".into())
        }
    }

    /// Whether one store that is the same for all explains what every client saw.
    fn explained(&mut self) -> Result<(), String> {
        if !self.must_hold() {
            return Err(self.watch.broken[0].clone());
        }
        if self.plan.may_split() {
            return self.nothing_vanished();
        }
        // What "local" may lose in a take-over is its own affair.
        if self.plan.acknowledge == Acknowledge::Local && self.watch.moved {
            return Ok(());
        }
        self.watch.believe_replicas();
        let watch = &self.watch;
        for (key, operations) in watch.registers.iter().enumerate() {
            zones::check(operations).map_err(|it| format!("register:{key}: {it:?}"))?;
        }
        zones::check(&watch.both).map_err(|it| format!("both: {it:?}"))?;
        for (key, operations) in watch.counters.iter().enumerate() {
            match wgl::check::<Counter>(operations, STEPS_MAX) {
                wgl::Verdict::Linearizable => {}
                verdict => return Err(format!("counter:{key}: {verdict:?}: {operations:?}")),
            }
        }
        watch.rising.ends(watch.last_risen)
    }
}
