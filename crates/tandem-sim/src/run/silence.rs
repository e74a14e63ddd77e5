//! Promises of a pair without a third party that no client need notice: who acts on silence, and who may.

use std::time::Duration;

use tandem_node::Acknowledge;

use super::{Run, serving};
use crate::plan::{Clocks, MS};

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Run {
    /// A node says what it does, and by what right.
    pub(super) fn says_of_silence(&mut self, which: usize, text: &str) {
        if !self.plan.is_unaided() {
            return;
        }
        let (link, now) = (text.starts_with("the link to "), self.now);
        if link && (text.contains(" is up") || text.contains(" is down")) {
            self.hosts[which].prober.linked(now, text.contains(" is up"));
        }
        if text.contains("ended here (HandedOver)") {
            self.hands_over(which);
        }
        let silent = text.contains("is silent on every channel");
        if text.starts_with("decided: taking over") && text.contains("times in a row") {
            self.judges_as_client(which);
        } else if silent || text.starts_with("the fence command is started") {
            self.acts_on_silence(which, 0);
        } else if text.contains("alone in the in-sync set (Silence)") {
            // Between the decision and this the set was written to disk.
            let disk = self.hosts[which].slow_lately(self.now);
            self.acts_on_silence(which, disk + 20 * MS);
        }
    }

    /// I4: nobody acts on silence while one of the channels has worked in both directions all the time.
    fn acts_on_silence(&mut self, which: usize, more: u64) {
        if self.plan.clocks == Clocks::Bad {
            return;
        }
        let patience = nanos(self.plan.failure_timeout);
        let ran = self.hosts.iter().map(|it| it.runs_for(self.now)).min().unwrap_or(0);
        for (number, line) in self.lines.iter().enumerate() {
            // A report goes there, the next one comes back.
            let talk = patience / 5 * 2 + 2 * line.longest_way() + 20 * MS;
            let needed = patience + patience / 50 + talk + more;
            let whole = line.whole_for(self.now).unwrap_or(0);
            if ran.min(whole) > needed {
                self.watch.broken(format!(
                    "{}: node {which} acts on silence, and channel {number} works for {} ms",
                    super::trace::time(self.now),
                    whole / MS
                ));
            }
        }
    }

    /// P1: the prober's verdict rests on enough attempts in a row, and none of them failed for want of this
    /// node's own network or disk.
    fn judges_as_client(&mut self, which: usize) {
        let needed = self.plan.automatic.unaided.probe_failures;
        let host = &self.hosts[which];
        let (failures, since) = (host.prober.failures, host.prober.failing_since);
        let mut wrong = Vec::new();
        if failures < needed {
            wrong.push(format!("after {failures} of {needed} failures"));
        }
        let since = since.unwrap_or(self.now);
        let blind = host.pings_cut > 0 && host.pings_cut_since < since.saturating_sub(MS);
        if blind && self.plan.automatic.unaided.pings {
            wrong.push("and has no network itself".to_owned());
        }
        let patience = nanos(self.plan.failure_timeout);
        let hangs = host.slow.is_some_and(|sync| sync > patience + patience / 50);
        if hangs && host.slow_since < since.saturating_sub(MS) {
            wrong.push("and its own disk hangs".to_owned());
        }
        if host.prober.left_behind && self.plan.acknowledge != Acknowledge::Local {
            wrong.push("and saw the primary acknowledge without it".to_owned());
        }
        for wrong in wrong {
            self.watch.broken(format!(
                "{}: node {which} takes over as a client, {wrong}",
                super::trace::time(self.now)
            ));
        }
    }

    /// R10: the heir has lived since the planned change began.
    fn hands_over(&mut self, which: usize) {
        let heir = &self.hosts[1 - which];
        let begun = self.hosts[which].holds_since.unwrap_or(self.now);
        if !heir.is_up() && heir.ended_at < begun {
            self.watch.broken(format!(
                "{}: node {which} gives its role to a node that had ended before",
                super::trace::time(self.now)
            ));
        }
    }

    /// A primary that hears neither its peer nor a ping target stops.
    pub(super) fn nobody_serves_blind(&mut self) {
        let unaided = &self.plan.automatic.unaided;
        if !unaided.pings || self.plan.clocks == Clocks::Bad {
            return;
        }
        let look = nanos(self.plan.failure_timeout.max(Duration::from_millis(500)));
        let limit = 3 * look + 300 * MS;
        for which in 0..2 {
            let host = &self.hosts[which];
            let Some(node) = &host.machine.node else { continue };
            let blind = host.pings_cut > 0 && self.now > host.pings_cut_since + limit;
            let silent = self.now > host.heard_at + limit && host.runs_for(self.now) > limit;
            if blind && silent && serving(node).is_some() {
                self.watch.broken(format!(
                    "{}: node {which} is primary, and has seen neither its peer nor a ping target for {} ms",
                    super::trace::time(self.now),
                    limit / MS
                ));
            }
        }
    }

    /// Whether the other disk holds everything that was promised, says what is on both disks.
    pub(super) fn is_spare_on_disk(&self, host: usize) -> bool {
        let set = |it: usize| self.hosts[it].machine.state_on_disk().and_then(|it| it.in_sync);
        let (Some(here), Some(there)) = (set(host), set(1 - host)) else { return false };
        let same = here.is_both() && there.is_both() && here.revision == there.revision;
        let epoch = |it: usize| self.hosts[it].machine.node.as_ref().map(|it| it.core().view.epoch);
        let quiet = self.hosts.iter().all(|it| !it.stopping && it.holds_since.is_none());
        let resigned =
            |it: usize| self.hosts[it].machine.state_on_disk().is_none_or(|it| it.resigned);
        same && quiet
            && !resigned(0)
            && !resigned(1)
            && self.whole().is_some()
            && epoch(0) == epoch(1)
            && self.plan.acknowledge == Acknowledge::Durable
    }
}
