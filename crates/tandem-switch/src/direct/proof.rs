//! What replaces a person's word: death certificates and the fence, and when they may be believed.

use tandem_types::{Epoch, Monotonic, Role};

use super::Direct;
use super::watch::Watch;
use crate::planted::{Rule, holds};
use crate::{Automation, BootId, Event, Manual, Output, Testimony, Vitals};

/// A fence command that failed is tried again after this many times `failure_timeout`.
const FENCE_AGAIN: u32 = 10;

/// Everything that may prove something.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) struct Proofs {
    /// The last death certificate.
    pub(super) testimony: Option<Testimony>,
    pub(super) fence: Fence,
    /// Since this boot of the peer this process holds everything, has seen so itself, and was told of
    /// nothing else.
    unbroken: Option<BootId>,
    /// The primary was seen to have gone on without this node.
    barred: bool,
    /// It was seen to acknowledge writes that this node cannot have.
    pub(super) left_behind: bool,
}

/// The command that makes sure that the peer is off.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub(super) enum Fence {
    /// Not wanted yet.
    #[default]
    Idle,
    /// It runs.
    Running,
    /// It is certain that the peer is off, until it is heard of again.
    Certain,
    /// It was not certain; tried again then.
    Failed {
        /// When.
        again: Monotonic,
        /// Why, for people.
        reason: String,
    },
}

/// What a death certificate of the primary means to this node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Will {
    /// There is none that can be believed.
    None,
    /// The set on its disk names this node: nothing is missing here.
    Heir,
    /// It had gone alone, or its disk cannot be read: this node may lack what it acknowledged.
    Disinherits,
}

impl Proofs {
    /// Follows what the core learns of the primary in a connection.
    fn look(&mut self, core: &Manual, watch: &Watch) {
        if core.follows_in_word() {
            // The primary's own word in this connection: our copy equals its set, or we are no member.
            self.unbroken = core.peer_boot().filter(|_| core.has_everything());
            self.barred = false;
            self.left_behind = false;
        } else if !core.has_everything() {
            self.unbroken = None;
        }
        let stale = |it: &Testimony| watch.met().is_some_and(|met| met != it.boot);
        if self.testimony.as_ref().is_some_and(stale) && holds(Rule::CertificateOfThisBoot) {
            // Another boot has been met since, or that one never was.
            self.testimony = None;
        }
    }

    pub(super) fn is_unbroken(&self) -> bool {
        self.unbroken.is_some() || !holds(Rule::UnbrokenContact)
    }

    pub(super) const fn is_barred(&self) -> bool {
        self.barred
    }
}

impl Direct {
    pub(super) fn look_for_proofs(&mut self) {
        self.proofs.look(&self.core, &self.watch);
        // A primary that is starting again says what a certificate would say.
        let alone = self.core.peer_greeting().is_some_and(|greeting| {
            let me = self.core.state().member(self.core.settings().node);
            let theirs = greeting.reign.is_some_and(|reign| reign.primary != me.node);
            greeting.role != Role::Primary
                && theirs
                && greeting.in_sync.is_some_and(|set| !set.has(me))
        });
        if alone || self.will() == Will::Disinherits {
            self.proofs.barred = true;
        }
    }

    /// The boot of the peer that was met last has ended, says its supervisor.
    pub(super) fn testimony(&self) -> Option<Testimony> {
        let met = self.watch.met();
        let unknown = met.is_none() && !holds(Rule::UnbrokenContact);
        let any = !holds(Rule::CertificateOfThisBoot);
        self.proofs.testimony.filter(|it| met == Some(it.boot) || unknown || any)
    }

    /// What the primary's death certificate says about this node.
    pub(super) fn will(&self) -> Will {
        let Some(testimony) = self.testimony() else { return Will::None };
        let me = self.core.state().member(self.core.settings().node);
        if !holds(Rule::CertificateShowsSet) {
            return Will::Heir;
        }
        match (testimony.in_sync, self.core.set()) {
            // It had given the role to this node already.
            (Some(theirs), _) if theirs.has(me) && !theirs.is_both() => Will::Heir,
            (Some(theirs), Some(ours)) if theirs.has(me) && theirs.agrees_with(&ours) => Will::Heir,
            _ => Will::Disinherits,
        }
    }

    /// The primary may have gone alone without this node's knowledge, so its copy of the set alone proves
    /// nothing to a person either.
    pub(super) fn doubts(&self) -> bool {
        if self.core.follows_in_word() {
            return false;
        }
        // It has gone alone already, or may do so after this node was promoted.
        let alone = self.unaided().goes_alone && self.proofs.fence != Fence::Certain;
        match self.will() {
            Will::Heir => !self.proofs.is_unbroken(),
            Will::Disinherits => true,
            Will::None => {
                let alone = alone || self.proofs.barred || self.proofs.left_behind;
                alone || !self.proofs.is_unbroken()
            }
        }
    }

    /// The peer was heard of: whatever the fence did, it is on.
    pub(super) fn forget_fence(&mut self) {
        if self.proofs.fence != Fence::Running {
            self.proofs.fence = Fence::Idle;
        }
    }

    /// Whether it is certain that the peer is off; if not, the command is started when it may be.
    pub(super) fn fenced(
        &mut self,
        now: Monotonic,
        purpose: &'static str,
        out: &mut Vec<Output>,
    ) -> bool {
        match &self.proofs.fence {
            Fence::Certain => return true,
            Fence::Running => return false,
            Fence::Failed { again, .. } if now < *again => return false,
            Fence::Idle | Fence::Failed { .. } => {}
        }
        self.proofs.fence = Fence::Running;
        out.push(Output::Event(Event::FenceBegun { purpose }));
        out.push(Output::Fence);
        false
    }

    pub(super) fn fence_ended(
        &mut self,
        now: Monotonic,
        ended: Result<(), String>,
        out: &mut Vec<Output>,
    ) {
        if self.proofs.fence != Fence::Running {
            return;
        }
        let trouble = ended.as_ref().err().cloned();
        out.push(Output::Event(Event::FenceEnded { trouble }));
        // It speaks of a peer that was silent when the command began, and is still.
        let gone = self.is_silent(now) || self.probe_verdict().is_some();
        self.proofs.fence = match ended {
            Ok(()) if gone => Fence::Certain,
            Ok(()) => Fence::Idle,
            Err(_) if !holds(Rule::FenceCertain) => Fence::Certain,
            Err(reason) => {
                let pause = self.core.settings().failure_timeout * FENCE_AGAIN;
                Fence::Failed { again: now.plus(pause), reason }
            }
        };
    }

    /// A command that switches a machine off is not run while people have the word.
    pub(super) fn may_fence_by_itself(&self) -> bool {
        let auto = self.core.settings().automatic.automation == Automation::Auto;
        auto && !self.core.paused()
    }

    pub(super) const fn fence_again_at(&self) -> Option<Monotonic> {
        match self.proofs.fence {
            Fence::Failed { again, .. } => Some(again),
            Fence::Idle | Fence::Running | Fence::Certain => None,
        }
    }

    /// A channel besides the link brought the peer's word.
    pub(super) fn channel_said(&mut self, vitals: Vitals, out: &mut Vec<Output>) {
        self.forget_fence();
        if self.watch.met() != Some(vitals.boot) {
            return; // Late news of a boot that is over.
        }
        let own = self.core.reign().map_or(Epoch::ZERO, |reign| reign.epoch);
        if vitals.role == Role::Primary && vitals.epoch_seen > own && !self.core.is_linked() {
            // Alone in its own set this node would begin a later reign, that node another one, and so on.
            // Which of two histories goes on is said on the link.
            self.outreigned = holds(Rule::OneReturns);
        }
        // R8: whatever it was, a later reign exists.
        self.core.saw(vitals.epoch_seen, out);
        self.peer_resigned_elsewhere(&vitals, out);
    }
}
