//! Promises about roles that no client need ever notice: looked at where they would break.
//!
//! What clients were promised is judged by their histories (`verdict`). These are the rest of the table of
//! faults in design.md 4: who keeps the role when it need not move, and who lets go of it in time.

use tandem_node::Acknowledge;
use tandem_replication::Message;
use tandem_switch::{
    Change, MediatorEvent, MediatorView, Outcome, PeerMessage, Record, RecordState,
};
use tandem_types::Lsn;

use super::{Arrived, NODES, Run, serving};
use crate::plan::MS;

/// Whether it tells that somebody is there.
pub(super) fn is_heard(arrived: &Arrived) -> bool {
    match arrived {
        Arrived::LinkUp { .. } | Arrived::LinkData { .. } | Arrived::Frame { .. } => true,
        Arrived::Mediator(event) => !matches!(
            **event,
            MediatorEvent::Down { .. }
                | MediatorEvent::Outcome { outcome: Outcome::Unknown { .. }, .. }
        ),
        _ => false,
    }
}

fn of_the_switch(bytes: &[u8]) -> Option<PeerMessage> {
    let Ok(Message::Switch(bytes)) = Message::decode(bytes) else { return None };
    PeerMessage::decode(&bytes).ok()
}

/// The latest epoch that it tells of.
pub(super) fn tells_of(arrived: &Arrived) -> Option<u64> {
    let of = |view: &MediatorView| match &view.record {
        RecordState::Present { record, .. } => Some(record.epoch.get()),
        RecordState::Absent | RecordState::Unreadable { .. } => None,
    };
    match arrived {
        Arrived::Mediator(event) => match &**event {
            MediatorEvent::View(view)
            | MediatorEvent::Outcome { outcome: Outcome::Lost(view), .. } => of(view),
            _ => None,
        },
        Arrived::LinkData { bytes, .. } => match of_the_switch(bytes) {
            Some(PeerMessage::Greeting(greeting)) => Some(greeting.epoch_seen.get()),
            _ => None,
        },
        _ => None,
    }
}

impl Run {
    /// "The primary sees nobody: it stops" (R9). It has one failure time-out to miss the peer and one more
    /// to be sure.
    pub(super) fn nobody_reigns_blind(&mut self) {
        if self.plan.is_unaided() {
            return self.nobody_serves_blind();
        }
        if self.clocks_are_bad() || self.plan.both_write() {
            return;
        }
        let patience = u64::try_from(self.plan.failure_timeout.as_nanos()).unwrap_or(u64::MAX);
        let limit = patience.saturating_mul(2).saturating_add(patience / 10) + 300 * MS;
        for which in 0..2 {
            let host = &self.hosts[which];
            let Some(node) = &host.machine.node else { continue };
            let silent = self.now - host.heard_at.min(self.now);
            let counts = node.core().view.peer_in_sync;
            if host.paused > 0 || serving(node).is_none() || !counts || silent <= limit {
                continue;
            }
            self.watch.broken(format!(
                "{}: node {which} is primary and has heard nobody for {} ms",
                super::trace::time(self.now),
                silent / MS
            ));
        }
    }

    /// "The primary lost only the mediator: it goes on" (R5): nobody decides to take over from a primary
    /// that it hears.
    pub(super) fn decides_to_take_over(&mut self, which: usize) {
        let other = 1 - which;
        let (here, there) = (&self.hosts[which], &self.hosts[other]);
        let Some(record) = self.mediator.record() else { return };
        let patience = u64::try_from(self.plan.failure_timeout.as_nanos()).unwrap_or(u64::MAX);
        let linked = here.conn != 0 && here.conn == there.conn;
        let hears = linked && self.now - here.linked_at.min(self.now) < patience / 2;
        let reigns = there.machine.node.as_ref().and_then(serving) == Some(record.epoch.get())
            && record.primary == NODES[other]
            && there.machine.boot_id() == Some(record.primary_boot);
        // Whoever has not learnt of this reign yet decides on an older record, and its change will fail.
        let knows =
            here.machine.node.as_ref().is_some_and(|it| it.core().view.epoch == record.epoch);
        if hears && reigns && knows && !self.certified.contains(&record.primary_boot) {
            self.watch.broken(format!(
                "{}: node {which} decides to take over from node {other}, which it hears",
                super::trace::time(self.now)
            ));
        }
    }

    /// R8: a node that has just heard of a later epoch serves no earlier one.
    pub(super) fn has_heard_of(&mut self, which: usize, epoch: Option<u64>) {
        let Some(epoch) = epoch else { return };
        let serves = self.hosts[which].machine.node.as_ref().and_then(serving);
        if serves.is_some_and(|it| it < epoch) {
            self.watch.broken(format!(
                "{}: node {which} has heard of epoch {epoch} and serves {serves:?}",
                super::trace::time(self.now)
            ));
        }
    }

    /// R4: whoever is told that it is in the set is told what it must have to believe it: everything that
    /// was acknowledged.
    pub(super) fn says(&mut self, which: usize, acknowledged: Lsn, bytes: &[u8]) {
        let Some(PeerMessage::InSync { set, lsn, .. }) = of_the_switch(bytes) else { return };
        if set.strength != Acknowledge::Local && lsn < acknowledged {
            self.watch.broken(format!(
                "{}: node {which} tells its peer that it is in sync from {lsn} on, and has acknowledged {acknowledged}",
                super::trace::time(self.now)
            ));
        }
    }

    /// A change of the record leaves a node: what it rests on must be so.
    pub(super) fn asks_for(&mut self, which: usize, change: &Change) {
        let Some(before) = self.mediator.record() else { return };
        let begins = change.record.epoch > before.epoch;
        if begins && change.record.primary != NODES[which] {
            return self.gives(which, change);
        }
        if begins && before.primary != NODES[which] && self.watch.is_latest(before.epoch.get()) {
            self.takes(which, &before, change);
        }
        if before.reign() == change.record.reign() && !before.is_both() && change.record.is_both() {
            self.takes_in(which, change);
        }
    }

    /// R5: the refusal of the old epoch is on disk before the take-over is sent.
    fn takes(&mut self, which: usize, before: &Record, change: &Change) {
        let Some(state) = self.hosts[which].machine.state_on_disk() else { return };
        let refused = state.attempt.is_some_and(|it| it.record == change.record)
            || state.refused_epoch >= before.epoch;
        if !refused {
            self.watch.broken(format!(
                "{}: node {which} asks for the role, and its disk does not refuse epoch {}",
                super::trace::time(self.now),
                before.epoch.get()
            ));
        }
    }

    /// R4: whoever is taken into the set has everything that was acknowledged. With "received" its word
    /// ends with its process, of which the primary may not know yet.
    fn takes_in(&mut self, which: usize, change: &Change) {
        let there = &self.hosts[1 - which].machine;
        let same =
            there.boot_id().map(|it| it.incarnation) == change.record.members[NODES[1 - which]];
        let (Some(primary), Some(peer)) = (&self.hosts[which].machine.node, &there.node) else {
            return;
        };
        let acknowledged = primary.core().positions.commit_end;
        let held = peer.core().positions.durable_end;
        if same && self.plan.acknowledge == Acknowledge::Durable && held < acknowledged {
            self.watch.broken(format!(
                "{}: node {which} takes its peer in, which has {held} of {acknowledged}",
                super::trace::time(self.now)
            ));
        }
    }

    /// R10: who gives the role away has
    /// stopped before, and the peer has everything.
    fn gives(&mut self, which: usize, change: &Change) {
        if self.hosts[which].machine.node.as_ref().is_some_and(|it| serving(it).is_some()) {
            self.watch.broken(format!(
                "{}: node {which} gives its role away and goes on serving",
                super::trace::time(self.now)
            ));
        }
        let heir = &self.hosts[1 - which];
        let begun = self.hosts[which].holds_since.unwrap_or(self.now);
        let first = self.gifts.insert(change.record.fork.get());
        if first && !heir.is_up() && heir.ended_at < begun {
            self.watch.broken(format!(
                "{}: node {which} gives its role to a node that had ended before",
                super::trace::time(self.now)
            ));
        }
        let there = &self.hosts[1 - which].machine;
        if there.boot_id() == Some(change.record.primary_boot)
            && let (Some(giver), Some(taker)) = (&self.hosts[which].machine.node, &there.node)
        {
            let (end, held) =
                (giver.core().positions.appended_end, taker.core().positions.durable_end);
            if held < end {
                self.watch.broken(format!(
                    "{}: node {which} gives its role away at {end}, and its peer has {held}",
                    super::trace::time(self.now)
                ));
            }
        }
    }

    /// A change of the record takes effect. Nobody takes the role while the presence of its holder lasts
    /// (R5), but by a death certificate.
    pub(super) fn takes_effect(&mut self, which: usize, before: Option<Record>, now: &Record) {
        let Some(before) = before else { return };
        let taken = now.primary == NODES[which]
            && before.primary != now.primary
            && self.watch.is_latest(before.epoch.get());
        let boot = before.primary_boot;
        let there = self.mediator.present(before.primary).is_some_and(|it| it.boot == boot);
        if taken && there && !self.certified.contains(&boot) {
            self.watch.broken(format!(
                "{}: node {which} took the role although the presence of its holder lasted",
                super::trace::time(self.now)
            ));
        }
    }
}
