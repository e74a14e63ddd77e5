//! What a primary waits for (R13).

use tandem_types::Monotonic;

use super::{Mediated, Phase};
use crate::{Timer, Why};

impl Mediated {
    pub(super) fn why_primary(&self, now: Monotonic) -> Why {
        if let Phase::Primary { hold: Some(hold), .. } = self.phase {
            return Why {
                timers: vec![Timer {
                    name: "the change is called off",
                    left: hold.deadline.since(now),
                }],
                ..Why::waits(
                    "primary; writes are held for a planned change",
                    "the standby to have everything, durable and applied",
                    &self.peer_words(),
                )
            };
        }
        if self.is_stalled() {
            return self.why_stalled(now);
        }
        if let Some(ailment) = self.record_ailment() {
            let peer = if self.counts_peer() { "with a connected standby" } else { "alone" };
            return Why::waits(
                &format!(
                    "primary {peer}; no change of primary is possible, planned or not, for the mediator is of no use: {ailment}"
                ),
                "the mediator's record to be put right",
                "a person",
            );
        }
        let recorded = self.valid_record().is_some_and(|(_, record)| record.is_both());
        let how = match (self.counts_peer(), recorded) {
            (true, true) => "primary, in sync with its standby",
            (true, false) if self.mediator.is_fresh() => {
                "primary; the standby is about to be in sync"
            }
            (true, false) => "primary with a connected standby; the mediator cannot be reached",
            (false, _) => "primary, alone in the in-sync set: writes live on one disk",
        };
        let Some(trouble) = self.ailment() else { return self.with_session(now, Why::now(how)) };
        let reason = self.cannot_give().unwrap_or_else(|| "it is about to".to_owned());
        Why {
            now: format!("{how}; {trouble}, and it would rather hand over: {reason}"),
            waiting_for: Some("the standby to be able to take the role".to_owned()),
            who: Some(self.peer_words()),
            timers: Vec::new(),
            forcing: None,
        }
    }

    /// Where the session is the only fence, the time left on it is worth knowing.
    fn with_session(&self, now: Monotonic, mut why: Why) -> Why {
        if !self.mediator.connected
            && let Some(at) = self.health_deadline().filter(|&at| at > now)
        {
            why.timers.push(Timer { name: "steps down", left: at.since(now) });
            why.waiting_for = Some("the mediator".to_owned());
            why.who = Some(self.mediator_words());
        }
        why
    }

    fn why_stalled(&self, now: Monotonic) -> Why {
        let peer = self.peer_words();
        let mut timers = Vec::new();
        let (waiting_for, who) = if self.mediator.is_fresh() && self.valid_record().is_none() {
            let what = if let Some(ailment) = self.record_ailment() {
                format!("{peer}, or the mediator's record to be put right: {ailment}")
            } else {
                format!(
                    "{peer}: the mediator has lost the record of this pair, or has an old one, so another primary cannot be ruled out"
                )
            };
            (what, format!("{peer}, or a person by `tandem solo`"))
        } else if self.mediator.is_fresh() {
            if let Some(at) = self.solo_at().filter(|&at| at > now) {
                timers.push(Timer { name: "asks the record to go on alone", left: at.since(now) });
            }
            let refused = self.mediator.refused.as_ref().filter(|_| self.bid.is_some());
            let refused = refused.map_or(String::new(), |why| format!(", which fails: {why}"));
            let what = format!("{peer}, or the record to leave it out{refused}");
            (what, format!("{peer}, or {}", self.mediator_words()))
        } else {
            let what = format!(
                "{peer} or the mediator: without both, another primary cannot be ruled out"
            );
            (what, format!("{peer}, {}, or a person by `tandem solo`", self.mediator_words()))
        };
        if let Some(at) = self.isolated_at().filter(|&at| at > now) {
            timers.push(Timer { name: "gives up the role", left: at.since(now) });
        }
        Why {
            now: "primary, but the peer is gone and is in the in-sync set: nothing is acknowledged"
                .to_owned(),
            waiting_for: Some(waiting_for),
            who: Some(who),
            timers,
            forcing: Some(format!(
                "`tandem solo`: goes on alone; writes then live on one disk, and if {peer} was or is promoted the two histories fork"
            )),
        }
    }
}
