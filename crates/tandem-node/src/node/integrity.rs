//! Damage on this node's own disk: looked for, told, and repaired from the peer.
//!
//! | found | on a follower | on a primary |
//! |---|---|---|
//! | a snapshot | kept aside; a new one is taken from memory, which is right | the same |
//! | a closed segment | everything is set aside, a full copy replaces it | hands over to an in-sync peer, then the same; alone, a new snapshot makes a restart independent of the segment |
//! | at start | set aside before the node begins (`crate::repair`) | the same, unless it alone holds acknowledged writes |
//!
//! **Not here:** reading (`crate::scrub`), what is done on disk (`crate::repair`).

use std::time::Duration;

use tandem_admin::{MetricsView, RepairView, ScrubView, WaitView, WhyView};
use tandem_switch::{Automation, Request};
use tandem_types::{Lsn, Monotonic, Now, Role};

use super::Node;
use super::boot::BootReport;
use super::operator::Asker;
use crate::{
    FoundIn, LogCommand, Output, RepairNote, ScrubReport, Severity, SnapshotCommand, SwitchBy,
};

/// The first scrub comes so soon after a start at the latest, so that restarts do not put it off for ever.
const FIRST_SCRUB_MAX: Duration = Duration::from_hours(1);
/// A planned change of primary that did not come about is asked for again after this.
const HAND_OVER_EVERY: Duration = Duration::from_secs(30);
/// Findings of one scrub that are told one by one.
const TOLD_MAX: usize = 20;

/// What this node knows of its own disk.
#[derive(Debug)]
pub(super) struct Integrity {
    /// The data was set aside; a full copy is waited for.
    note: Option<RepairNote>,
    /// The peer's log reaches back to its beginning and is streamed: that is a full copy too.
    streamed: bool,
    /// With the log on disk up to here, what was set aside is replaced.
    streamed_until: Option<Lsn>,
    /// Damaged files that are kept.
    kept: Vec<String>,
    /// Damage in the log in use, which is to be replaced as soon as that costs nothing.
    wanted: Option<String>,
    hand_over_at: Monotonic,
    every: Duration,
    next: Option<Monotonic>,
    running: Option<Now>,
    last: Option<(Monotonic, ScrubView)>,
    scrubs: u64,
    bad_segments: u64,
    bad_snapshots: u64,
}

impl Integrity {
    pub(super) fn new(
        note: Option<RepairNote>,
        kept: Vec<String>,
        every: Duration,
        now: Monotonic,
    ) -> Self {
        let next = (!every.is_zero()).then(|| now.plus(every.min(FIRST_SCRUB_MAX)));
        Self {
            note,
            streamed: false,
            streamed_until: None,
            kept,
            wanted: None,
            hand_over_at: now,
            every,
            next,
            running: None,
            last: None,
            scrubs: 0,
            bad_segments: 0,
            bad_snapshots: 0,
        }
    }

    /// Nothing is here until a full copy is whole.
    pub(super) const fn lacks_data(&self) -> bool {
        self.note.is_some()
    }

    pub(super) fn keep(&mut self, name: String) {
        self.kept.push(name);
    }

    pub(super) fn kept(&self) -> Vec<String> {
        self.kept.clone()
    }

    pub(super) fn scrub_view(&self) -> Option<ScrubView> {
        self.last.as_ref().map(|(_, view)| view.clone())
    }

    /// When there is something to do that only time brings; what a follower waits for, the link brings.
    pub(super) fn deadline(&self, is_primary: bool) -> Option<Monotonic> {
        let scrub = self.next.filter(|_| self.running.is_none());
        let hand_over = (self.wanted.is_some() && is_primary).then_some(self.hand_over_at);
        scrub.into_iter().chain(hand_over).min()
    }
}

impl Node {
    /// Says what the start found, and holds back if there is nothing here.
    pub(super) fn begin_integrity(&mut self, report: &BootReport) {
        for snapshot in &report.set_aside {
            self.integrity.bad_snapshots += 1;
            let text = format!(
                "a snapshot was damaged; the one before it and the log served, a new one is taken: {snapshot}"
            );
            self.event(Severity::Error, text);
        }
        let Some(note) = self.integrity.note.clone() else { return };
        let peer = self.core.settings.peer_name();
        let text = format!(
            "the data here was damaged ({}) and is kept in {}; waiting for a full copy from {peer}",
            note.reason,
            note.aside()
        );
        self.event(Severity::Error, text);
        self.switch_step(tandem_switch::Input::Lacking(true));
    }

    /// The full copy is whole and durable.
    pub(super) fn repaired(&mut self) {
        if let Some(note) = self.integrity.note.take() {
            let kept = note.aside();
            self.event(
                Severity::Note,
                format!("the damaged data is replaced by a full copy; its files stay in {kept}"),
            );
            self.switch_step(tandem_switch::Input::Lacking(false));
        }
        self.integrity.wanted = None;
    }

    /// The stream goes on from where the own log ends: for a log without records, from the beginning.
    pub(super) const fn repairs_by_log(&mut self) {
        self.integrity.streamed = self.integrity.lacks_data();
    }

    /// What was set aside is replaced once the log has all that the primary had when it was first heard.
    pub(super) fn tend_repair_by_log(&mut self) {
        if !self.integrity.lacks_data() || !self.integrity.streamed || self.copy.is_some() {
            return;
        }
        let epoch = self.core.view.epoch;
        let heard = self.link.status.filter(|it| it.role == Role::Primary && it.epoch == epoch);
        let until = self.integrity.streamed_until.or(heard.map(|it| it.appended_end));
        self.integrity.streamed_until = until;
        if until.is_some_and(|until| self.core.positions.durable_end >= until) {
            let generation = self.generation;
            let done = LogCommand::RemoveOtherGenerations { generation, set_aside: false };
            self.core.out.push(Output::Log(done));
            self.repaired();
        }
    }

    /// Starts a scrub that is due, and goes on with a repair that waits.
    pub(super) fn tend_integrity(&mut self) {
        let now = self.core.now;
        let due = self.integrity.next.is_some_and(|at| now.mono >= at);
        if due && self.integrity.running.is_none() {
            self.integrity.next = Some(now.mono.plus(self.integrity.every));
            if self.data_is_whole() && self.history.last().is_some() {
                self.integrity.running = Some(now);
                let (generation, pair) = (self.generation, self.switch_state.pair_id);
                self.core.out.push(Output::Scrub { generation, pair });
            }
        }
        self.tend_repair_by_log();
        self.tend_repair();
    }

    /// The scrub is over.
    pub(super) fn scrubbed(&mut self, report: ScrubReport) {
        let Some(begun) = self.integrity.running.take() else { return };
        if report.stopped {
            return;
        }
        let now = self.core.now;
        self.integrity.scrubs += 1;
        let told: Vec<String> =
            report.found.iter().take(TOLD_MAX).map(|found| found.text.clone()).collect();
        let view = ScrubView {
            at_ms: now.wall.get(),
            duration_ms: millis(now.mono.since(begun.mono)),
            segments: report.segments,
            snapshots: report.snapshots,
            bytes: report.bytes,
            damaged: told.clone(),
            troubles: report.troubles.clone(),
        };
        self.integrity.last = Some((now.mono, view));
        for trouble in report.troubles.into_iter().take(TOLD_MAX) {
            self.event(Severity::Warn, format!("could not be checked on disk: {trouble}"));
        }
        for text in told {
            self.event(Severity::Error, format!("damaged on disk: {text}"));
        }
        for finding in report.found {
            match finding.what {
                FoundIn::Snapshot { name } => {
                    self.integrity.bad_snapshots += 1;
                    let generation = self.generation;
                    self.core
                        .out
                        .push(Output::Snapshot(SnapshotCommand::SetAside { generation, name }));
                }
                FoundIn::Segment => {
                    self.integrity.bad_segments += 1;
                    self.integrity.wanted.get_or_insert(finding.text);
                }
            }
            // Memory is right: with a snapshot of it a restart needs nothing that is damaged.
            self.snapshot_wanted = true;
        }
        self.tend_repair();
    }

    pub(super) fn snapshot_set_aside(&mut self, kept: String) {
        self.event(Severity::Warn, format!("the damaged snapshot is kept as {kept}"));
        self.integrity.kept.push(kept);
    }

    /// Damage in the log: a follower begins anew, a primary gives its role away first.
    fn tend_repair(&mut self) {
        let Some(reason) = self.integrity.wanted.clone() else { return };
        if self.may_take_copy() {
            return self.set_data_aside(reason);
        }
        let now = self.core.now.mono;
        if !self.is_primary() || now < self.integrity.hand_over_at {
            return;
        }
        self.integrity.hand_over_at = now.plus(HAND_OVER_EVERY);
        if self.switch.is_in_sync() && self.link.is_up() && self.switches_by_itself() {
            let to = Some(self.core.settings.node.peer());
            self.event(
                Severity::Warn,
                "the log of this node is damaged: handing over, to be repaired".into(),
            );
            self.ask_switch(Asker::Nobody, Request::Switch { to });
        }
    }

    /// Whether the rules let a node change the primary without a person (R12).
    fn switches_by_itself(&self) -> bool {
        let settings = &self.core.settings;
        let auto = settings.automatic.automation == Automation::Auto;
        settings.switch_by != SwitchBy::Manual && auto && !self.switch.paused()
    }

    /// Whether a primary that has the data is here to give it.
    fn may_take_copy(&self) -> bool {
        let peer = self.core.settings.node.peer();
        let follows = self.follower.is_some() && self.switch.primary() == Some(peer);
        // Whoever was served here before a hand-over gets the time to move.
        let follows = follows && !self.clients.lingers();
        follows && self.link.is_up() && self.data_is_whole() && !self.integrity.lacks_data()
    }

    /// A person asked the primary to have this node's data replaced.
    pub(super) fn asked_to_take_copy(&mut self, reason: String) {
        if self.may_take_copy() {
            self.set_data_aside(reason);
        }
    }

    fn set_data_aside(&mut self, reason: String) {
        self.integrity.wanted = None;
        self.event(Severity::Error, format!("the data is set aside and copied anew: {reason}"));
        self.clients.demoted(&mut self.core);
        self.core.out.push(Output::SetAside { reason, peer_has_all: false });
    }

    /// The peer knows that records are missing here which both had: the data is set aside, whatever the role
    /// was, so that nothing is cut back to it.
    pub(super) fn records_lost(&mut self, end: Lsn, acknowledged: Lsn) {
        let peer = self.core.settings.peer_name();
        let reason = format!(
            "the log here ends before record {end}, and {peer} holds acknowledged records up to {acknowledged}: this disk has lost what was on it (an older copy of the directory, a reverted machine, a write that was not synced)"
        );
        self.event(Severity::Error, format!("the data is set aside and copied anew: {reason}"));
        self.core.out.push(Output::SetAside { reason, peer_has_all: true });
    }

    pub(super) fn repair_view(&self) -> Option<RepairView> {
        let (peer, integrity) = (self.core.settings.peer_name(), &self.integrity);
        if let Some(note) = &integrity.note {
            let waiting_for = if self.data_is_whole() && !integrity.streamed {
                format!("{peer} to be primary and connected, for a full copy")
            } else {
                format!("the full copy from {peer} to be whole")
            };
            let (reason, kept) = (note.reason.clone(), Some(note.aside()));
            return Some(RepairView { reason, kept, waiting_for });
        }
        let reason = integrity.wanted.clone()?;
        let waiting_for = match self.is_primary() {
            true if self.switches_by_itself() => {
                format!("{peer} to be in sync, to hand over to it")
            }
            true => "a person's `tandem switch`; this node then repairs itself".to_owned(),
            false => format!("{peer} to be primary and connected, for a full copy"),
        };
        Some(RepairView { reason, kept: None, waiting_for })
    }

    /// What a node without data waits for comes before anything else it could say.
    pub(super) fn explain_repair(&self, why: &mut WhyView) {
        let Some(view) = self.repair_view() else { return };
        let peer = self.core.settings.peer_name().to_owned();
        let kept = view.kept.map(|kept| format!(", kept in {kept}")).unwrap_or_default();
        let fact = format!("{} (damaged: {}{kept})", view.waiting_for, view.reason);
        why.waiting.insert(0, WaitView { fact, supplied_by: peer, left_ms: None });
        if self.integrity.lacks_data() {
            "the data of this node was damaged; it has nothing until a full copy is whole"
                .clone_into(&mut why.summary);
            why.forcing = None;
        }
    }

    pub(super) fn integrity_metrics(&self, view: &mut MetricsView) {
        let (now, integrity) = (self.core.now.mono, &self.integrity);
        view.count("tandem_scrubs_total", integrity.scrubs);
        if let Some((ended, scrub)) = &integrity.last {
            view.count("tandem_scrub_age_seconds", now.since(*ended).as_secs());
            let took = Duration::from_millis(scrub.duration_ms);
            view.number("tandem_scrub_duration_seconds", &[], took.as_secs_f64());
            view.count("tandem_scrub_read_bytes", scrub.bytes);
        }
        let found = "tandem_damage_found_total";
        view.number(found, &["segment"], super::status::as_f64(integrity.bad_segments));
        view.number(found, &["snapshot"], super::status::as_f64(integrity.bad_snapshots));
        let pending = integrity.note.is_some() || integrity.wanted.is_some();
        view.flag("tandem_repair_pending", &[], pending);
        view.count("tandem_kept_files", super::status::count(integrity.kept.len()));
        let results = self.comparing.results();
        for (result, count) in
            [("equal", results.equal), ("differs", results.differs), ("failed", results.failed)]
        {
            view.number("tandem_verifications_total", &[result], super::status::as_f64(count));
        }
        if let Some(ended) = self.comparing.ended() {
            view.count("tandem_verify_age_seconds", now.since(ended).as_secs());
            view.count("tandem_verify_slots_differ", self.comparing.slots_differ());
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
