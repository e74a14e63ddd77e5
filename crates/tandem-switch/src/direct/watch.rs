//! Detectors: when the peer was last heard, by which way, and whether this node trusts its own network.
//! They turn signs into times and verdicts, and never act.

use std::time::Duration;

use tandem_types::{Monotonic, Role};

use super::probe::Attempts;
use crate::planted::{Rule, holds};
use crate::{AddressHint, BootId, OwnTrouble, Probed, Reign, Unaided, Vitals};

/// Boots of the peer that are remembered after the next one was met; no word is as late as that.
const PAST_MAX: usize = 8;

/// One channel besides the link.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ChannelState {
    /// This node's clock when it sent what the peer last answered here: it lived then. `None`: never.
    pub heard: Option<Monotonic>,
    /// The last round trip.
    pub round_trip: Option<Duration>,
}

/// What is seen of the peer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Watch {
    /// When this process began: a peer that was never heard is silent since then.
    began: Monotonic,
    link: Option<Monotonic>,
    channels: Vec<ChannelState>,
    /// The last report of the peer's latest boot, from whichever channel.
    vitals: Option<Vitals>,
    /// The peer's latest boot of which this process knows.
    met: Option<BootId>,
    /// Those before it: what is heard of them yet is late.
    past: Vec<BootId>,
    /// The latest reign begun or followed in this process.
    reign: Option<Reign>,
    /// The last look at the ping targets: when it was begun, and whether one answered.
    reached: Option<(Monotonic, bool)>,
    /// Since when the own network has been seen to work, without a break.
    network: Option<Monotonic>,
    /// Since when the link is down.
    link_down: Option<Monotonic>,
    attempts: Attempts,
    /// What keepalived last said, and when.
    address: Option<(Monotonic, AddressHint)>,
    /// The address had to leave again: when, and whether the link was up.
    refused: Option<(Monotonic, bool)>,
}

impl Watch {
    pub(super) fn new(channels: u8, now: Monotonic) -> Self {
        let silent = ChannelState { heard: None, round_trip: None };
        Self {
            began: now,
            link: None,
            channels: vec![silent; channels.into()],
            vitals: None,
            met: None,
            past: Vec::new(),
            reign: None,
            reached: None,
            network: None,
            link_down: None,
            attempts: Attempts::default(),
            address: None,
            refused: None,
        }
    }

    pub(super) const fn link_heard(&mut self, now: Monotonic) {
        self.link = Some(now);
    }

    pub(super) fn heard(
        &mut self,
        channel: u8,
        asked: Monotonic,
        round_trip: Duration,
        vitals: Vitals,
    ) {
        let Some(state) = self.channels.get_mut(usize::from(channel)) else { return };
        state.heard = state.heard.max(Some(asked));
        state.round_trip = Some(round_trip);
        self.meet(vitals.boot);
        // A slow channel tells late what another one has told already.
        if self.met == Some(vitals.boot) {
            self.vitals = Some(vitals);
        }
    }

    /// That boot of the peer exists or existed, says a channel: its words may be late, so only a later one is news.
    fn meet(&mut self, boot: BootId) {
        let later =
            self.met.is_none_or(|met| met.incarnation != boot.incarnation || met.boot < boot.boot);
        if later {
            self.begin(boot);
        }
    }

    /// The link is with that boot of the peer. If its directory went back to an older copy, its number may be any.
    pub(super) fn linked_with(&mut self, boot: BootId) {
        self.begin(boot);
    }

    fn begin(&mut self, boot: BootId) {
        if self.met == Some(boot) || self.past.contains(&boot) {
            return;
        }
        if let Some(before) = self.met.replace(boot) {
            self.past.push(before);
            let old = self.past.len().saturating_sub(PAST_MAX);
            self.past.drain(..old);
        }
        self.vitals = None;
    }

    pub(super) const fn met(&self) -> Option<BootId> {
        self.met
    }

    pub(super) const fn vitals(&self) -> Option<Vitals> {
        self.vitals
    }

    pub(super) fn channels(&self) -> &[ChannelState] {
        &self.channels
    }

    /// When the peer is last known to have lived.
    pub(super) fn last_heard(&self) -> Monotonic {
        let link = self.link_last_heard();
        let others = self.channels.iter().filter_map(|channel| channel.heard);
        if holds(Rule::AllChannels) { others.fold(link, Monotonic::max) } else { link }
    }

    pub(super) fn link_last_heard(&self) -> Monotonic {
        self.link.unwrap_or(self.began)
    }

    /// The peer lives and serves, says a channel besides the link.
    pub(super) fn serves_elsewhere(&self, now: Monotonic, timeout: Duration) -> bool {
        let heard = self.channels.iter().filter_map(|channel| channel.heard).max();
        heard.is_some_and(|at| now.since(at) < timeout)
            && self.vitals.is_some_and(|vitals| vitals.role == Role::Primary)
    }

    /// Notes the reign that is begun or followed; whether another one was before in this process.
    pub(super) fn note_reign(&mut self, reign: Reign) -> bool {
        self.reign.replace(reign).is_some_and(|before| before != reign)
    }

    pub(super) fn pinged(&mut self, now: Monotonic, asked: Monotonic, reached: bool) {
        self.reached = Some((asked, reached));
        if reached {
            self.network.get_or_insert(now);
        } else {
            self.network = None;
            if holds(Rule::OwnNetwork) {
                self.attempts.forget();
            }
        }
    }

    pub(super) fn note_link(&mut self, now: Monotonic, linked: bool) {
        self.link_down = if linked { None } else { self.link_down.or(Some(now)) };
    }

    pub(super) const fn link_down(&self) -> Option<Monotonic> {
        self.link_down
    }

    /// This node sees none of the addresses that it must see to trust its own network.
    pub(super) fn is_cut_off(&self, unaided: &Unaided) -> bool {
        unaided.pings && self.reached.is_some_and(|(_, reached)| !reached)
    }

    /// It has not looked since then, or sees none.
    pub(super) fn lacks_network(&self, unaided: &Unaided, since: Monotonic) -> bool {
        let seen = self.reached.is_some_and(|(asked, reached)| reached && asked >= since);
        unaided.pings && !seen && holds(Rule::OwnNetwork)
    }

    pub(super) fn moved(&mut self, now: Monotonic, hint: AddressHint) {
        if self.address.is_none_or(|(_, before)| before != hint) {
            self.address = Some((now, hint));
        }
    }

    pub(super) const fn refuse_address(&mut self, now: Monotonic, linked: bool) {
        self.refused = Some((now, linked));
    }

    pub(super) const fn refused(&self) -> Option<(Monotonic, bool)> {
        self.refused
    }

    pub(super) const fn address(&self) -> Option<(Monotonic, AddressHint)> {
        self.address
    }

    pub(super) fn attempted(&mut self, unaided: &Unaided, asked: Monotonic, probed: Probed) {
        // What was begun while the own network was down ends badly also when that is back.
        let blind = unaided.pings
            && self.network.is_none_or(|since| asked < since)
            && holds(Rule::OwnNetwork);
        let answered = matches!(probed, Probed::Answered { .. });
        let unsure = Probed::Unsure(OwnTrouble::Network);
        self.attempts.ended(asked, if blind && !answered { unsure } else { probed });
    }

    pub(super) const fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// Whom there is to be tried has changed.
    pub(super) const fn forget_probes(&mut self) {
        self.attempts.forget();
    }
}

#[cfg(feature = "planted")]
impl Watch {
    pub(super) fn forget_round_trips(&mut self) {
        for channel in &mut self.channels {
            channel.round_trip = None;
        }
    }
}
