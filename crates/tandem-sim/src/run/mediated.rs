//! The way of each node to the mediator, and the mediator's own clock.
//!
//! Requests of one session arrive in order, but for changes that the way holds back: those may take
//! effect long after their session ended. Answers may be lost. In both cases the node is told that the
//! outcome is unknown, which is the truth.

use std::collections::{BTreeSet, VecDeque};

use tandem_switch::{MediatorEvent, MediatorRequest, Outcome};
use tandem_types::Monotonic;

use super::{Arrived, NODES, Run, What};
use crate::plan::MS;

/// One node's way.
#[derive(Debug, Default)]
pub(crate) struct Way {
    /// So many reasons why nothing passes.
    pub(super) cut: u32,
    connected: bool,
    session: u64,
    /// Since when nothing passes.
    silent_since: Option<u64>,
    /// Changes that wait for their answer.
    open: BTreeSet<u64>,
    /// When the last message in each direction arrives.
    last_there: u64,
    last_back: u64,
    /// What was under way when the way was cut: it arrives when the way is open again, if the session
    /// still stands.
    stuck: VecDeque<What>,
}
/// A client gives a session up after this silence.
const SILENCE: u64 = 300 * MS;
/// A change is given up after this.
const OVERDUE: u64 = 500 * MS;

impl Run {
    pub(super) const fn reaches(&self, host: usize) -> bool {
        self.ways[host].cut == 0 && self.mediator.up
    }

    /// One reason less why nothing passes; `all`: none is left.
    pub(super) fn open_way(&mut self, host: usize, all: bool) {
        let way = &mut self.ways[host];
        way.cut = if all { 0 } else { way.cut.saturating_sub(1) };
        if way.cut == 0 {
            for what in std::mem::take(&mut way.stuck) {
                self.after(0, what);
            }
        }
    }

    /// Opens a session, or notices that it is gone.
    pub(super) fn tend_session(&mut self, host: usize) {
        let again = self.random.between(40, 90) * MS;
        self.after(again, What::Session(host));
        if !self.hosts[host].is_up() || self.hosts[host].paused > 0 {
            return;
        }
        let reaches = self.reaches(host);
        let now = self.now;
        let way = &mut self.ways[host];
        if reaches {
            way.silent_since = None;
            if !way.connected {
                self.open_session(host);
            }
        } else if way.connected {
            let since = *way.silent_since.get_or_insert(now);
            if now > since + SILENCE {
                self.lose_session(host, "it does not answer");
            }
        }
    }

    fn open_session(&mut self, host: usize) {
        let way = &mut self.ways[host];
        way.connected = true;
        way.session += 1;
        let asked = self.hosts[host].clock.now(self.now).mono;
        let view = self.mediator.view(Some(asked));
        self.answer(host, MediatorEvent::Up { endpoint: "mediator:7400".into() });
        self.answer(host, MediatorEvent::View(view));
    }

    pub(super) fn lose_session(&mut self, host: usize, reason: &str) {
        let way = &mut self.ways[host];
        if !way.connected {
            return;
        }
        way.connected = false;
        way.session += 1;
        way.silent_since = None;
        let open = std::mem::take(&mut way.open);
        for number in open {
            self.tell_unknown(host, number);
        }
        let reason = reason.to_owned();
        self.arrive(host, Arrived::Mediator(Box::new(MediatorEvent::Down { reason })));
    }

    /// The process that had the session is gone, or began anew.
    pub(super) fn forget_way(&mut self, host: usize) {
        let way = &mut self.ways[host];
        way.connected = false;
        way.session += 1;
        way.silent_since = None;
        way.open.clear();
    }

    fn tell_unknown(&mut self, host: usize, number: u64) {
        self.tally.unknown_told += 1;
        let outcome = Outcome::Unknown { reason: "no answer".into() };
        self.arrive(host, Arrived::Mediator(Box::new(MediatorEvent::Outcome { number, outcome })));
    }

    /// The node wants something of the mediator.
    pub(super) fn ask_mediator(&mut self, host: usize, request: MediatorRequest) {
        if self.trace.is_told()
            && let Some(wish) = super::trace::wish(&request)
        {
            self.trace.note(self.now, format_args!("{host} -> mediator {wish}"));
        }
        if let MediatorRequest::Change { change, .. } = &request {
            self.asks_for(host, change);
        }
        let asked = self.hosts[host].clock.now(self.now).mono;
        let mut arrives = (self.now + self.travel()).max(self.ways[host].last_there);
        if !self.ways[host].connected {
            if let MediatorRequest::Change { number, .. } = request {
                // Told in its own time, not within the step that asked.
                self.ways[host].open.insert(number);
                let session = self.ways[host].session;
                self.after(MS, What::Overdue { host, session, number });
            }
            return;
        }
        let session = self.ways[host].session;
        self.ways[host].last_there = arrives;
        let mut lost = false;
        let is_change = matches!(request, MediatorRequest::Change { .. });
        if let MediatorRequest::Change { number, change } = request {
            self.sent_changes.push(change);
            arrives += self.held_back(host, &change);
            self.ways[host].open.insert(number);
            self.after(OVERDUE, What::Overdue { host, session, number });
            let (late, losing) = (self.plan.late_changes, self.plan.lost_answers);
            if !self.healed && late > 0 && self.random.once_in(late) {
                arrives += self.random.below(3_000) * MS;
            }
            lost = !self.healed && losing > 0 && self.random.once_in(losing);
        }
        self.at(arrives, What::ToMediator { host, session, request, asked, lost });
        if is_change {
            self.ambush();
        }
    }

    pub(super) fn overdue(&mut self, host: usize, session: u64, number: u64) {
        let way = &mut self.ways[host];
        if way.session == session && way.open.remove(&number) {
            self.tell_unknown(host, number);
        }
    }

    pub(super) fn reach_mediator(
        &mut self,
        host: usize,
        session: u64,
        request: MediatorRequest,
        asked: Monotonic,
        lost: bool,
    ) {
        let current = self.ways[host].session == session;
        let is_change = matches!(request, MediatorRequest::Change { .. });
        if self.ways[host].cut > 0 && current {
            let what = What::ToMediator { host, session, request, asked, lost };
            return self.ways[host].stuck.push_back(what);
        }
        // A change that was held back is past the node's own way already.
        if !self.mediator.up || (!current && !is_change) {
            return;
        }
        match request {
            MediatorRequest::Vouch(presence) => {
                let session = u64::try_from(self.plan.automatic.session.as_nanos()).unwrap_or(0);
                let until = self.now + self.mediator_clock.true_span(session);
                let news = self.mediator.vouch(NODES[host], presence, until);
                self.answer(host, MediatorEvent::Renewed { sent: asked });
                self.at(until, What::Presence);
                if news {
                    self.push();
                }
            }
            MediatorRequest::Leave => {
                if self.mediator.leave(NODES[host]) {
                    self.push();
                }
            }
            MediatorRequest::Read => {
                let view = self.mediator.view(Some(asked));
                self.answer(host, MediatorEvent::View(view));
            }
            MediatorRequest::Change { number, change } => {
                let before = self.mediator.record();
                let outcome = self.mediator.change(&change, Some(asked));
                let won = matches!(outcome, Outcome::Won { .. });
                self.trace.note(
                    self.now,
                    format_args!("mediator: change {number} of {host}: {}", brief(&outcome)),
                );
                if won {
                    self.tally.changes += 1;
                    let unheard = lost || !current || !self.ways[host].open.contains(&number);
                    self.tally.unknown_won += u64::from(unheard);
                    self.takes_effect(host, before, &change.record);
                    self.watch.record_changed(self.now, &change.record);
                }
                if current && !lost {
                    self.answer(host, MediatorEvent::Outcome { number, outcome });
                }
                if won {
                    self.push();
                }
            }
        }
    }

    /// Sends something back on the present session.
    fn answer(&mut self, host: usize, event: MediatorEvent) {
        let arrives = (self.now + self.travel()).max(self.ways[host].last_back);
        self.ways[host].last_back = arrives;
        let session = self.ways[host].session;
        self.at(arrives, What::FromMediator { host, session, event });
    }

    /// Tells everyone what changed.
    pub(super) fn push(&mut self) {
        for host in 0..2 {
            if self.ways[host].connected {
                let view = self.mediator.view(None);
                self.answer(host, MediatorEvent::View(view));
            }
        }
    }

    pub(super) fn hear_mediator(&mut self, host: usize, session: u64, event: MediatorEvent) {
        let way = &mut self.ways[host];
        if way.session != session {
            return;
        }
        if way.cut > 0 {
            return way.stuck.push_back(What::FromMediator { host, session, event });
        }
        if let MediatorEvent::Outcome { number, .. } = &event
            && !way.open.remove(number)
        {
            return; // It was told that nobody knows.
        }
        self.arrive(host, Arrived::Mediator(Box::new(event)));
    }

    pub(super) fn expire_presence(&mut self) {
        if self.mediator.up && self.mediator.expire(self.now) {
            self.push();
        }
    }

    /// It answers again after an outage; `forgets`: nobody is present any more.
    pub(super) fn mediator_returns(&mut self, forgets: bool) {
        if self.mediator.up {
            return;
        }
        self.mediator.up = true;
        if forgets {
            self.mediator.forget_presence();
        } else {
            let session = u64::try_from(self.plan.automatic.session.as_nanos()).unwrap_or(0);
            let until = self.now + session;
            self.mediator.extend(until);
            self.at(until, What::Presence);
        }
        for host in 0..2 {
            self.lose_session(host, "it was restarted");
        }
    }
}

const fn brief(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Won { .. } => "won",
        Outcome::Lost(_) => "lost",
        Outcome::Refused { .. } => "refused",
        Outcome::Unknown { .. } => "unknown",
    }
}
