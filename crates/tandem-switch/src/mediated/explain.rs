//! What this node waits for, who can help, and what forcing would cost (R13).

use tandem_types::{Monotonic, PairId};

use super::bid::Purpose;
use super::mediator::Standing;
use super::{Mediated, Phase};
use crate::{Automation, DemoteCause, Proposed, Record, RecordState, Timer, Why};

impl Mediated {
    /// What this node is waiting for, as of `now`.
    pub fn why(&self, now: Monotonic) -> Why {
        let mut why = match self.phase {
            Phase::Primary { .. } => self.why_primary(now),
            Phase::Following { .. } => self.why_following(now),
            Phase::Failed => {
                Why::now("the disk failed: this node serves nothing and is about to exit")
            }
            Phase::Starting { .. } => self.why_starting(now),
            Phase::Bidding | Phase::Giving { .. } => self.why_bidding(now),
            Phase::Joining if self.stopping => Why::now("stopping"),
            Phase::Joining => self.why_joining(now),
        };
        self.add_decision(now, &mut why);
        if self.deposed == Some(DemoteCause::Isolated) && why.waiting_for.is_some() {
            why.now = format!(
                "{} (it gave up the role because it saw neither the peer nor the mediator)",
                why.now
            );
        }
        why
    }

    /// One line for status pages; `None`: nothing is waited for.
    pub fn waiting_for(&self, now: Monotonic) -> Option<String> {
        self.why(now).waiting_for
    }

    /// A proposal, or a pause, that stands in the way.
    fn add_decision(&self, now: Monotonic, why: &mut Why) {
        if let Some(proposal) = self.pending() {
            let what = match proposal.what {
                Proposed::TakeOver { .. } => "becoming primary",
                Proposed::HandOver { .. } => "handing over",
            };
            let since = now.since(proposal.since).as_secs();
            why.now =
                format!("{}; {what} is proposed: {} (for {since} s)", why.now, proposal.cause);
            if let Some(expires) = proposal.expires {
                why.waiting_for = Some(format!("a person's word on {what}: {}", proposal.lost));
                why.who = Some("a person, by `tandem confirm` or `tandem reject`".to_owned());
                why.timers
                    .push(Timer { name: "the proposal is dropped", left: expires.since(now) });
            } else {
                why.waiting_for = Some("a person's `tandem promote` or `tandem switch`: with automation = \"observe\" nothing is done by itself".to_owned());
                why.who = Some("a person".to_owned());
            }
        } else if self.paused() {
            why.now = format!("{}; automatic decisions are paused (`tandem resume`)", why.now);
        } else if let Some(until) = self.too_soon_until().filter(|&until| until > now)
            && why.waiting_for.is_some()
        {
            why.timers
                .push(Timer { name: "no second automatic switch before", left: until.since(now) });
        }
    }

    fn why_starting(&self, now: Monotonic) -> Why {
        let Phase::Starting { reign, serve_at, begun, .. } = self.phase else {
            return Why::default();
        };
        let (waiting_for, who, timers) = if begun.is_none() || self.durable.reign != Some(reign) {
            ("the start of the reign to be on this node's disk", "this node's disk", Vec::new())
        } else if now < serve_at {
            let timer = Timer {
                name: "the old primary's right to answer reads ends",
                left: serve_at.since(now),
            };
            ("the last read lease that this node gave to end", "time", vec![timer])
        } else {
            ("the mediator to confirm this node's session", "the mediator", Vec::new())
        };
        Why {
            now: format!("becoming primary of epoch {}", reign.epoch),
            waiting_for: Some(waiting_for.to_owned()),
            who: Some(who.to_owned()),
            timers,
            forcing: None,
        }
    }

    fn why_bidding(&self, now: Monotonic) -> Why {
        let purpose = self.bid.as_ref().map(|bid| bid.purpose);
        let epoch = self.bid_reign().map_or_else(|| self.next_epoch(), |reign| reign.epoch);
        let what = match purpose {
            Some(Purpose::Give) => format!("handing over to {}; this node serves nothing any more", self.peer_words()),
            Some(Purpose::Touch) => "a change of the record that was sent earlier may still take effect; nothing is acknowledged until that is settled".to_owned(),
            _ => format!("asks the mediator's record for epoch {epoch}"),
        };
        let what = match &self.mediator.trouble {
            Some(trouble) if !self.mediator.connected => {
                format!("{what}; the mediator cannot be reached: {trouble}")
            }
            _ => match &self.mediator.refused {
                Some(refused) => format!("{what}; it does not make the change: {refused}"),
                None => what,
            },
        };
        let ready = self.bid.as_ref().is_some_and(|bid| bid.ready);
        let (waiting_for, who) = if !ready {
            ("this node's refusal of the old epoch to be on disk", "this node's disk".to_owned())
        } else if self.mediator.connected {
            ("the mediator to make the change", self.mediator_words())
        } else {
            ("the mediator, to know whether the record has changed", self.mediator_words())
        };
        let timers =
            self.bid_deadline().map(|at| Timer { name: "asked again", left: at.since(now) });
        Why {
            now: what,
            waiting_for: Some(waiting_for.to_owned()),
            who: Some(who),
            timers: timers.into_iter().collect(),
            forcing: self.refusal_of_bid().map(|_| {
                format!(
                    "`tandem promote --force` asks once more, and begins a reign without the mediator if it goes on refusing: {}",
                    self.gap(now)
                )
            }),
        }
    }

    pub(super) fn mediator_words(&self) -> String {
        let at = self.mediator.endpoint.as_deref().unwrap_or("not reached yet");
        format!("the mediator ({at})")
    }

    fn why_following(&self, now: Monotonic) -> Why {
        let peer = self.peer_words();
        if self.peer.is_none() {
            let recorded = self.valid_record().map(|(_, record)| record);
            return self.why_no_primary(now, recorded.as_ref());
        }
        if self.is_member() && !self.copying {
            return Why::now(&format!("follows {peer}, in sync"));
        }
        let (waiting_for, who) = if self.copying {
            ("the full copy to be whole", peer.clone())
        } else if self.mediator.is_fresh() {
            (
                "to have everything that the primary acknowledged, and to be named in the record",
                peer.clone(),
            )
        } else {
            (
                "the mediator, so that the primary can have this node named in the record",
                self.mediator_words(),
            )
        };
        Why {
            now: format!("follows {peer}, not in sync yet"),
            waiting_for: Some(waiting_for.to_owned()),
            who: Some(who),
            timers: Vec::new(),
            forcing: Some(format!("`tandem promote --force`: {}", self.gap(now))),
        }
    }

    fn why_joining(&self, now: Monotonic) -> Why {
        if self.copying {
            return Why::waits(
                "receiving a full copy",
                "the full copy to be whole",
                &self.peer_words(),
            );
        }
        if !self.mediator.is_fresh() {
            return self.why_no_mediator(now);
        }
        match self.standing() {
            Standing::Valid(..) if self.state.is_empty() && !self.peer_has_data() => {
                self.why_nobodys()
            }
            Standing::Valid(_, record) if record.primary == self.settings.node => {
                self.why_named(now, &record)
            }
            Standing::Valid(_, record) => self.why_no_primary(now, Some(&record)),
            Standing::Foreign => self.why_foreign(),
            Standing::Absent if self.state.is_empty() => self.why_empty(),
            Standing::Absent | Standing::Old(_) | Standing::Unknown => self.why_unrecorded(now),
        }
    }

    /// What the mediator holds is of another pair, or cannot be read.
    fn why_foreign(&self) -> Why {
        let unreadable = matches!(self.mediator.record, Some(RecordState::Unreadable { .. }));
        let ailment = self.mediator_ailment().unwrap_or_default();
        let forcing = if unreadable {
            "nothing can be forced through this mediator: what cannot be read is never overwritten"
        } else {
            "`tandem promote --force` puts this pair's record in its place; whoever relies on the other one loses it"
        };
        Why {
            now: format!(
                "what the mediator holds under this pair's name is not this pair's record: {ailment}"
            ),
            waiting_for: Some("the right record, or the right mediator".to_owned()),
            who: Some(
                "a person: check `switch.mediator` and `pair.name`, or remove that record"
                    .to_owned(),
            ),
            timers: Vec::new(),
            forcing: Some(forcing.to_owned()),
        }
    }

    fn why_no_mediator(&self, now: Monotonic) -> Why {
        let trouble = self.mediator.trouble.as_deref().unwrap_or("no session yet");
        Why {
            now: format!("the mediator cannot be reached: {trouble}"),
            waiting_for: Some("the mediator's record, or a primary to follow".to_owned()),
            who: Some(format!(
                "{}, or {} by being primary",
                self.mediator_words(),
                self.peer_words()
            )),
            timers: Vec::new(),
            forcing: Some(format!(
                "`tandem promote --force` makes this node primary without the mediator: {}; if the peer serves, the two histories fork",
                self.gap(now)
            )),
        }
    }

    fn why_named(&self, now: Monotonic, record: &Record) -> Why {
        if !record.has(self.me()) {
            return Why {
                now: "the record names this node as primary, but with another data directory: this one lacks its writes".to_owned(),
                waiting_for: Some("the old data directory, or the peer to be primary".to_owned()),
                who: Some("a person, by bringing the disk back or by `tandem promote` on the other node".to_owned()),
                timers: Vec::new(),
                forcing: Some("promoting a node that has data loses what only the old directory had".to_owned()),
            };
        }
        if self.listens_first(now, record) {
            let left = self.listens_until().since(now);
            return Why {
                timers: vec![Timer { name: "takes its role back", left }],
                ..Why::waits(
                    "the record names this node; it listens whether the other one was promoted by a person",
                    "the peer to be heard",
                    &self.peer_words(),
                )
            };
        }
        let at = self.return_at();
        if self.restarts_too_often(now) && now < at {
            return Why {
                now: format!(
                    "was started {} times lately, so its standby may take over first",
                    self.starts
                ),
                waiting_for: Some("the standby to take over".to_owned()),
                who: Some(self.peer_words()),
                timers: vec![Timer { name: "takes its role back", left: at.since(now) }],
                forcing: None,
            };
        }
        Why::waits(
            "the record names this node; it begins a new reign",
            "its state to be on disk",
            "this node's disk",
        )
    }

    /// The record names the peer, and it does not serve this node.
    fn why_no_primary(&self, now: Monotonic, record: Option<&Record>) -> Why {
        let peer = self.peer_words();
        let force =
            Some(format!("`tandem promote --force` makes this node primary: {}", self.gap(now)));
        let Some(record) = record else {
            let why = if !self.mediator.is_fresh() {
                self.why_no_mediator(now)
            } else if self.standing() == Standing::Foreign {
                self.why_foreign()
            } else {
                self.why_unrecorded(now)
            };
            return Why { now: format!("{peer} is not reachable, and {}", why.now), ..why };
        };
        let alive =
            self.mediator.present[record.primary].is_some_and(|it| it.boot == record.primary_boot);
        if let Some(reason) = self.unfit(record) {
            return Why {
                now: format!("{peer}, the primary, is not reachable; {reason}"),
                waiting_for: Some(format!("{peer}, which has every acknowledged write")),
                who: Some(peer),
                timers: Vec::new(),
                forcing: force,
            };
        }
        if alive && self.died != Some(record.primary_boot) {
            return Why {
                now: format!("{peer}, the primary, is alive, says the mediator, but not connected"),
                waiting_for: Some(format!("{peer} to connect, or its sign of life to end")),
                who: Some(format!("{peer}, or the mediator")),
                timers: Vec::new(),
                forcing: force,
            };
        }
        let due = self.decisions.gone_since.map(|since| since.plus(self.settings.failure_timeout));
        let left =
            due.filter(|&at| at > now).map(|at| Timer { name: "takes over", left: at.since(now) });
        let by_itself = self.settings.automatic.automation == Automation::Auto && !self.paused();
        if !by_itself && self.decisions.pending().is_none() {
            return Why {
                now: format!(
                    "{peer}, the primary, is gone, and this node takes over only on a person's word"
                ),
                waiting_for: Some(format!("{peer} to come back, or a person's `tandem promote`")),
                who: Some(format!("{peer}, or a person")),
                timers: Vec::new(),
                forcing: Some("`tandem promote` takes over at once".to_owned()),
            };
        }
        Why {
            now: format!("{peer}, the primary, is gone"),
            waiting_for: Some(format!("{peer} to come back, or this node to take over")),
            who: Some(format!("{peer}, or this node")),
            timers: left.into_iter().collect(),
            forcing: Some("`tandem promote` takes over at once".to_owned()),
        }
    }

    fn peer_has_data(&self) -> bool {
        let there = self.mediator.present[self.peer_node()].map(|it| it.pair_id);
        let says = self.greeting().map(|it| it.pair_id).or(there);
        says.is_some_and(|pair_id| pair_id != PairId::NONE)
    }

    /// The record tells of a pair, and nobody here has its data: a new pair with the name of another one, or
    /// disks that were replaced.
    fn why_nobodys(&self) -> Why {
        let peer = self.peer_words();
        Why {
            now: format!(
                "the data directory is empty, no data of {peer} is seen, and the mediator has a record of a pair with this name"
            ),
            waiting_for: Some("the data that the record tells of, or another name".to_owned()),
            who: Some(format!(
                "a person: if this pair is new, another one with its `pair.name` uses this mediator, so give it a name of its own; if not, bring the old data directory or {peer} back"
            )),
            timers: Vec::new(),
            forcing: None,
        }
    }

    fn why_empty(&self) -> Why {
        let peer = self.peer_words();
        let waiting_for = if self.peer_has_data() {
            format!("{peer}, which has data, to be primary")
        } else if self.settings.initial_primary == self.settings.node {
            format!("{peer} to be seen, and to be empty too")
        } else {
            format!("{peer}, which begins a new pair (initial_primary)")
        };
        Why {
            now: "the data directory is empty, and the mediator has no record of the pair"
                .to_owned(),
            waiting_for: Some(waiting_for),
            who: Some(peer.clone()),
            timers: Vec::new(),
            forcing: Some(format!(
                "`tandem solo` begins a new pair here; if {peer} has data of another pair, the two will refuse each other"
            )),
        }
    }

    fn why_unrecorded(&self, now: Monotonic) -> Why {
        let peer = self.peer_words();
        let alone = self.state.in_sync.is_some_and(|set| set.has(self.me()) && !set.is_both());
        let mut timers = Vec::new();
        let (waiting_for, who) = if self.was_primary() && alone {
            let left = self.rewrites_at().filter(|&at| at > now).map(|at| at.since(now));
            timers.extend(left.map(|left| Timer { name: "writes the record again", left }));
            if self.heard_of_an_unknown_reign() {
                let epoch = self.state.epoch_seen;
                let text = format!(
                    "a person: epoch {epoch} was heard of, and whoever served in it, if anybody did, is not here to say so; this node was primary before, alone in the in-sync set"
                );
                (text, peer)
            } else {
                let text = "to hear whether it was promoted by a person since: this node was primary, alone in the in-sync set";
                (format!("{peer}, {text}"), peer)
            }
        } else if self.was_primary() {
            (format!("{peer}, to agree that nobody was promoted since"), peer)
        } else {
            (format!("{peer}, which was primary, to write the record again"), peer)
        };
        Why {
            now: "the mediator has lost the record of this pair, or has an old one".to_owned(),
            waiting_for: Some(waiting_for),
            who: Some(format!("{who}, or a person")),
            timers,
            forcing: Some("`tandem promote --force` writes a new record that names this node: writes that are not here are lost".to_owned()),
        }
    }
}
