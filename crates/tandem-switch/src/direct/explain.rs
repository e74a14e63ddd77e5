//! What this node waits for, who can help, and what forcing would cost (R13).

use tandem_types::Monotonic;

use super::Direct;
use super::proof::Fence;
use crate::{Gap, OnSilence, Proposed, Seen, Timer, Why};

impl Direct {
    /// What this node is waiting for, as of `now`.
    pub fn why(&self, now: Monotonic) -> Why {
        let mut why = self.core.why(now);
        if self.core.serves().is_some() && self.core.is_stalled() {
            self.explain_stall(now, &mut why);
        } else if self.core.is_free() && !self.core.state().is_empty() {
            self.explain_absence(now, &mut why);
            self.explain_probe(&mut why);
        }
        self.add_decision(now, &mut why);
        why
    }

    /// One line for status pages; `None`: nothing is waited for.
    pub fn waiting_for(&self, now: Monotonic) -> Option<String> {
        self.why(now).waiting_for
    }

    fn explain_stall(&self, now: Monotonic, why: &mut Why) {
        let peer = self.peer_words();
        if !self.unaided().goes_alone {
            return;
        }
        if self.watch.is_cut_off(self.unaided()) {
            why.waiting_for = Some("one of the ping targets, or the peer".to_owned());
            why.who = Some("the network".to_owned());
            return;
        }
        if let Some(words) = self.fence_words() {
            why.waiting_for = Some(words);
            why.who = Some(format!("the fence command, or {peer} by coming back"));
        } else if self.silent_since().is_some() {
            why.waiting_for = Some(format!(
                "{peer}, or proof that it is gone (its supervisor, silence long enough)"
            ));
        }
        if let Some(at) = self.alone_at().filter(|&at| at > now) {
            let name = if self.unaided().fence { "fences the peer" } else { "goes on alone" };
            why.timers.push(Timer { name, left: at.since(now) });
        }
    }

    /// No primary is followed right now.
    fn explain_absence(&self, now: Monotonic, why: &mut Why) {
        let probing = self.unaided().seen == Seen::AsClient && self.gone(now).is_some();
        if self.outreigned && self.core.was_last_primary() {
            let peer = self.peer_words();
            why.now = format!("{peer} serves a later reign, says another channel than the link");
            why.waiting_for = Some(format!("the link to {peer}"));
            why.who = Some("the network".to_owned());
            why.timers.clear();
            return;
        }
        if self.core.was_last_primary() || (self.core.is_linked() && !probing) {
            return;
        }
        let peer = self.peer_words();
        if self.is_hinted() && self.address_here().is_none() {
            why.now = format!("{}; keepalived has not moved the address here", why.now);
        }
        if let Some(reason) = self.unfit() {
            why.now = format!("{peer}, the primary, is not reachable; {reason}");
            why.waiting_for = Some(format!("{peer}, which has every acknowledged write"));
            why.who = Some(format!("{peer}, or a person"));
        } else if self.unaided().fence {
            let words = self.fence_words();
            why.waiting_for =
                Some(words.unwrap_or_else(|| format!("{peer}, or certainty that it is off")));
            why.who = Some(format!("{peer}, or the fence command"));
            let since = self.watch.last_heard();
            if let Some(at) = Some(self.fence_at(since)).filter(|&at| at > now) {
                why.timers
                    .push(Timer { name: "fences the primary and takes over", left: at.since(now) });
            }
        } else if self.unaided().on_silence == OnSilence::TakeOver {
            let at = self.watch.last_heard().plus(self.core.settings().failure_timeout);
            let sign =
                if self.is_probing() { "answer a client" } else { "be heard on any channel" };
            why.waiting_for = Some(format!("{peer} to {sign}"));
            why.who = Some(peer.clone());
            if at > now && !self.is_probing() && !self.is_hinted() {
                let name = "takes over without proof: both may serve";
                why.timers.push(Timer { name, left: at.since(now) });
            }
        } else {
            why.waiting_for = Some(format!(
                "{peer}, its supervisor's word that its process has ended, or a person: silence proves nothing"
            ));
            why.who = Some(format!("{peer}, or a person by `tandem promote`"));
        }
        let gap = self.core.gap(now);
        let cost = if gap == Gap::Zero { String::new() } else { format!(": {gap}") };
        why.forcing = Some(format!(
            "`tandem promote` makes this node primary{cost}; if {peer} serves, the two histories fork"
        ));
    }

    /// What this node sees of the primary as its client.
    fn explain_probe(&self, why: &mut Why) {
        let state = self.probe();
        let Some((_, last)) = state.last.filter(|_| self.is_probing()) else { return };
        let peer = self.peer_words();
        let words = last.words();
        why.now = match state.failures {
            0 => format!("{}; as a client of it this node sees that {peer} {words}", why.now),
            failures => format!(
                "{}; as a client of it this node sees that {peer} {words} ({failures} failures in a row, {} decide)",
                why.now,
                self.unaided().probe_failures
            ),
        };
        if self.proofs.left_behind {
            why.now = format!("{}; it has gone on alone, and its writes are not here", why.now);
        }
    }

    fn fence_words(&self) -> Option<String> {
        if !self.unaided().fence {
            return None;
        }
        Some(match &self.proofs.fence {
            Fence::Running => "the fence command to end".to_owned(),
            Fence::Failed { reason, .. } => {
                format!("the fence command to succeed; it failed: {reason}")
            }
            Fence::Idle if !self.may_fence_by_itself() => {
                "a person: the fence command is not run while people have the word".to_owned()
            }
            Fence::Idle | Fence::Certain => return None,
        })
    }

    /// A proposal, a pause or a change too recent that stands in the way.
    fn add_decision(&self, now: Monotonic, why: &mut Why) {
        if let Some(proposal) = self.decisions.pending() {
            let what = match proposal.what {
                Proposed::TakeOver { .. } => "becoming primary",
                Proposed::HandOver { .. } => "handing over",
            };
            why.now = format!("{}; {what} is proposed: {}", why.now, proposal.cause);
            why.waiting_for = Some(format!("a person's word on {what}: {}", proposal.lost));
            why.who = Some("a person, by `tandem confirm` or `tandem reject`".to_owned());
            if let Some(expires) = proposal.expires {
                why.timers
                    .push(Timer { name: "the proposal is dropped", left: expires.since(now) });
            }
        } else if self.core.paused() {
            why.now = format!("{}; automatic decisions are paused (`tandem resume`)", why.now);
        } else if let Some(until) =
            self.decisions.too_soon_until(&self.core.settings().automatic).filter(|&at| at > now)
            && self.decisions.gone_since.is_some()
        {
            why.timers
                .push(Timer { name: "no second automatic switch before", left: until.since(now) });
        }
    }
}
