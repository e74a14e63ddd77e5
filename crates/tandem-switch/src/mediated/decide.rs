//! Who decides what the rules allow: the node, a person, or nobody (R12).

use tandem_types::Monotonic;

use super::Mediated;
use crate::pausing::Told;
use crate::policy::{Ground, Wanted};
use crate::{Event, Output, Proposal, Proposed, Ticket};

impl Mediated {
    /// Whether to do it now. `certified`: it rests on no suspicion, so it is no flapping.
    pub(super) fn decide(
        &mut self,
        now: Monotonic,
        what: Proposed,
        cause: String,
        since: Monotonic,
        certified: bool,
        out: &mut Vec<Output>,
    ) -> bool {
        let wanted = Wanted { what, cause, since, certified, lost: self.gap(now) };
        let ground = Ground {
            now,
            automatic: &self.settings.automatic,
            epoch: self.state.epoch_seen,
            paused: self.paused(),
        };
        self.decisions.decide(ground, wanted, out)
    }

    /// Anti-flapping: no second automatic change before this.
    pub(super) fn too_soon_until(&self) -> Option<Monotonic> {
        self.decisions.too_soon_until(&self.settings.automatic)
    }

    /// Drops a proposal whose time or reason is over.
    pub(super) fn tend_decisions(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        self.decisions.tend(now, self.state.epoch_seen, out);
    }

    /// What waits for a person's word (R12).
    pub fn pending(&self) -> Option<Proposal> {
        self.decisions.pending().cloned()
    }

    /// Whether automatic decisions are suspended.
    pub const fn paused(&self) -> bool {
        self.state.pauses % 2 == 1
    }

    pub(super) fn confirm(&mut self, ticket: Ticket, out: &mut Vec<Output>) {
        self.decisions.confirm(ticket, out);
    }

    pub(super) fn reject(&mut self, ticket: Ticket, out: &mut Vec<Output>) {
        self.decisions.reject(ticket, self.state.epoch_seen, out);
    }

    /// Answered by [`Self::tend_pause`].
    pub(super) fn pause(
        &mut self,
        now: Monotonic,
        ticket: Ticket,
        on: bool,
        out: &mut Vec<Output>,
    ) {
        let already = self.paused() == on;
        if !already {
            self.adopt_pause(self.state.pauses.saturating_add(1), out);
        }
        self.pausing.ask(now, ticket, on, already);
    }

    /// Only what the peer says in its greeting is on its disk.
    pub(super) fn tend_pause(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let told = match &self.peer {
            _ if !self.writes.is_empty() => Told::NotYet,
            None => Told::Unreached,
            Some(peer) if peer.greeting.is_some_and(|it| it.pauses >= self.state.pauses) => {
                Told::Heard
            }
            Some(_) => Told::NotYet,
        };
        let peer = self.peer_words();
        self.pausing.tend(now, told, &peer, out);
    }

    /// The later word counts, whichever node it was said on.
    pub(super) fn adopt_pause(&mut self, pauses: u64, out: &mut Vec<Output>) {
        if pauses > self.state.pauses {
            let before = self.paused();
            self.state.pauses = pauses;
            self.write(super::persist::Then::Nothing, out);
            if self.paused() != before {
                out.push(Output::Event(Event::Paused(self.paused())));
            }
        }
    }

    pub(super) fn decide_deadline(&self, now_serving: bool) -> Option<Monotonic> {
        let gone = self
            .decisions
            .gone_since
            .filter(|_| !now_serving)
            .map(|since| since.plus(self.settings.failure_timeout));
        let soon = gone.or(self.decisions.in_sync_since).and(self.too_soon_until());
        [self.decisions.expires(), gone, soon].into_iter().flatten().min()
    }
}
