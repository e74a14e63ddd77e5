//! What an autopilot (`crate::direct`) may see of this brain, and do with it in a person's place.
//!
//! It brings the proof; what keeps the data safe while the role changes is done here, the same as for a
//! person.

use tandem_types::{Monotonic, Role};

use super::primary::Shrink;
use super::{Manual, Phase, persist};
use crate::message::Greeting;
use crate::pausing::Told;
use crate::{
    BootId, DemoteCause, Event, InSyncSet, Output, PromoteCause, Reign, Settings, ShrinkCause,
};

/// What the autopilot tells the brain before each step.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Piloted {
    /// It decides in a person's place, on both nodes.
    pub(crate) decides: bool,
    /// They do it by the fence, if need be.
    pub(crate) fences: bool,
    /// The primary may have gone alone without this node's knowledge: its copy of the set proves nothing.
    pub(crate) doubt: bool,
    /// It must not begin a reign by itself now: it cannot trust its own network.
    pub(crate) held_back: bool,
    /// Something ails this node.
    pub(crate) unwell: bool,
}

impl Manual {
    pub(crate) fn pilot(&mut self, piloted: Piloted) {
        self.piloted = piloted;
    }

    pub(crate) const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) const fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// A connection is there; the peer may not have spoken yet.
    pub(crate) const fn is_linked(&self) -> bool {
        self.peer.is_some()
    }

    pub(crate) fn peer_greeting(&self) -> Option<Greeting> {
        self.greeting().copied()
    }

    /// The peer's boot, as it greeted in this connection.
    pub(crate) fn peer_boot(&self) -> Option<BootId> {
        let Greeting { incarnation, boot, .. } = *self.greeting()?;
        Some(BootId { incarnation, boot })
    }

    pub(crate) const fn my_boot(&self) -> BootId {
        BootId { incarnation: self.state.incarnation, boot: self.state.boot }
    }

    pub(crate) const fn set(&self) -> Option<InSyncSet> {
        self.state.in_sync
    }

    pub(crate) const fn serves(&self) -> Option<Reign> {
        match self.phase {
            Phase::Primary { reign, .. } => Some(reign),
            _ => None,
        }
    }

    pub(crate) const fn follows(&self) -> Option<Reign> {
        match self.phase {
            Phase::Following { reign } => Some(reign),
            _ => None,
        }
    }

    /// Follows, and the primary has said in this very connection how it stands.
    pub(crate) fn follows_in_word(&self) -> bool {
        let Some(reign) = self.follows().filter(|_| !self.stopping) else { return false };
        self.greeting().is_some_and(|it| it.role == Role::Primary && it.reign == Some(reign))
    }

    /// A reign of this node is being written to disk.
    pub(crate) const fn is_claiming(&self) -> bool {
        matches!(self.phase, Phase::Claiming { .. } | Phase::Starting { .. })
    }

    /// Obeys or looks for a primary: could begin a reign.
    pub(crate) const fn is_free(&self) -> bool {
        matches!(self.phase, Phase::Following { .. } | Phase::Joining) && !self.stopping
    }

    pub(crate) fn was_last_primary(&self) -> bool {
        self.was_primary()
    }

    /// This node's own disk proves that it holds what was acknowledged when it last heard of it.
    pub(crate) fn has_everything(&self) -> bool {
        self.is_member() && !self.copying && !self.state.is_empty()
    }

    pub(crate) const fn is_copying(&self) -> bool {
        self.copying
    }

    pub(crate) const fn resigned(&self) -> bool {
        self.durable.resigned
    }

    /// Records of the primary that are not on this disk, as last heard.
    pub(crate) fn missing_records(&self) -> Option<u64> {
        let heard = self.heard?;
        Some(heard.appended_end.records_since(self.own.durable_end).unwrap_or(0))
    }

    /// Their bytes, at most; `None`: not known.
    pub(crate) fn missing_bytes(&self) -> Option<u64> {
        self.heard?.lacks
    }

    pub(crate) const fn ends(&self) -> crate::OwnEnds {
        self.own
    }

    pub(crate) const fn is_holding(&self) -> bool {
        matches!(self.phase, Phase::Primary { hold: Some(_), .. })
    }

    /// The peer is said to be a member by itself, in this connection.
    pub(crate) fn peer_is_ready(&self) -> bool {
        let ready = self.peer.as_ref().is_some_and(|it| it.follower.caught_up && !it.left);
        ready && self.is_in_sync()
    }

    /// Takes the role from a primary that is gone: refuse the old epoch, then begin the next (R5).
    pub(crate) fn take_over(&mut self, cause: PromoteCause, out: &mut Vec<Output>) {
        assert!(self.is_free() && !self.copying, "takes over in {:?}", self.phase);
        if let Phase::Following { .. } = self.phase {
            out.push(Output::Unfollow);
        }
        self.state.refused_epoch = self.state.epoch_seen;
        self.start_alone(cause, out);
    }

    /// The primary goes on without its peer (R3); `cause` says by what right.
    pub(crate) fn go_alone(&mut self, cause: ShrinkCause, out: &mut Vec<Output>) {
        self.call_off_hold("the standby is gone", out);
        self.shrink(Shrink { cause, ticket: None, resigned: None }, out);
    }

    /// Was primary until it saw nobody; begins anew.
    pub(crate) fn return_alone(&mut self, out: &mut Vec<Output>) {
        assert!(self.phase == Phase::Joining && self.was_primary(), "returns in {:?}", self.phase);
        self.start_alone(PromoteCause::Returned, out);
    }

    pub(crate) fn step_down(&mut self, cause: DemoteCause, out: &mut Vec<Output>) {
        self.demote(cause, out);
    }

    pub(crate) fn saw(&mut self, epoch: tandem_types::Epoch, out: &mut Vec<Output>) {
        self.saw_epoch(epoch, out);
    }

    /// Begins a planned change, if the standby can be expected to follow soon.
    pub(crate) fn offer_role(&mut self, now: Monotonic, out: &mut Vec<Output>) -> bool {
        self.begin_hold(now, out).is_ok()
    }

    /// Asks the primary for a planned change; nobody waits for the answer.
    pub(crate) fn ask_for_role(&self, out: &mut Vec<Output>) {
        if let (Phase::Following { reign }, true) = (self.phase, self.peer.is_some()) {
            let epoch = reign.epoch;
            Self::send(crate::PeerMessage::HandoverRequest { epoch }, out);
        }
    }

    /// A standby whose link is cut, but which hears a serving primary, leaves the set by its own word.
    pub(crate) fn leave_set(&mut self, reign: Reign, out: &mut Vec<Output>) {
        self.resign(reign, out);
    }

    pub(crate) const fn paused(&self) -> bool {
        self.state.pauses % 2 == 1
    }

    /// The later word counts, whichever node it was said on.
    pub(crate) fn adopt_pause(&mut self, pauses: u64, out: &mut Vec<Output>) {
        if pauses > self.state.pauses {
            let before = self.paused();
            self.state.pauses = pauses;
            self.write(persist::Then::Nothing, out);
            if self.paused() != before {
                out.push(Output::Event(Event::Paused(self.paused())));
            }
        }
    }

    /// Whether it was so already.
    pub(crate) fn pause(&mut self, on: bool, out: &mut Vec<Output>) -> bool {
        let already = self.paused() == on;
        if !already {
            self.adopt_pause(self.state.pauses.saturating_add(1), out);
        }
        already
    }

    /// Only what the peer says in its greeting is on its disk.
    pub(crate) fn pause_is_told(&self) -> Told {
        match &self.peer {
            _ if !self.writes.is_empty() => Told::NotYet,
            None => Told::Unreached,
            Some(peer) if peer.greeting.is_some_and(|it| it.pauses >= self.state.pauses) => {
                Told::Heard
            }
            Some(_) => Told::NotYet,
        }
    }
}

/// For model checking: what does not change what happens next is made equal.
#[cfg(feature = "planted")]
impl Manual {
    pub(crate) fn normalise(&mut self) {
        self.own = crate::OwnEnds::default();
        self.reigned_end = tandem_types::Lsn::ZERO;
        if self.writes.is_empty() {
            self.version = 0;
            self.sessions = 1;
            if let Some(peer) = &mut self.peer {
                peer.session = 1;
            }
        }
        if let Some(heard) = &mut self.heard {
            heard.at = Monotonic::ZERO;
        }
    }
}
