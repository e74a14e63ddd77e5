//! Detectors: when the peer was last heard, by which way, and whether this node trusts its own network.
//! They turn signs into times and verdicts, and never act.

use std::time::Duration;

use tandem_types::{Monotonic, Role};

use crate::planted::{Rule, holds};
use crate::{BootId, Probed, Reign, Seen, Unaided, Vitals};

/// One channel besides the link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChannelState {
    /// This node's clock when it sent what the peer last answered here: it lived then. `None`: never.
    pub heard: Option<Monotonic>,
    /// The last round trip.
    pub round_trip: Option<Duration>,
}

/// What is seen of the peer.
#[derive(Clone, Debug)]
pub(super) struct Watch {
    /// When this process began: a peer that was never heard is silent since then.
    began: Monotonic,
    link: Option<Monotonic>,
    channels: Vec<ChannelState>,
    /// The last report of the peer's latest boot, from whichever channel.
    vitals: Option<Vitals>,
    /// The peer's latest boot of which this process knows.
    met: Option<BootId>,
    /// The latest reign begun or followed in this process.
    reign: Option<Reign>,
    /// The last look at the ping targets.
    reached: Option<bool>,
    /// Failed attempts as a client, in a row, since when, and what failed last.
    failures: u32,
    failing: Option<(Monotonic, Probed)>,
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
            reign: None,
            reached: None,
            failures: 0,
            failing: None,
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

    /// That boot of the peer exists or existed.
    pub(super) fn meet(&mut self, boot: BootId) {
        let later =
            self.met.is_none_or(|met| met.incarnation != boot.incarnation || met.boot < boot.boot);
        if later {
            self.met = Some(boot);
            self.vitals = None;
        }
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

    pub(super) const fn pinged(&mut self, reached: bool) {
        self.reached = Some(reached);
    }

    /// This node sees none of the addresses that it must see to trust its own network.
    pub(super) fn is_cut_off(&self, unaided: &Unaided) -> bool {
        unaided.pings && self.reached == Some(false)
    }

    /// It has not looked yet, or sees none.
    pub(super) fn lacks_network(&self, unaided: &Unaided) -> bool {
        unaided.pings && self.reached != Some(true)
    }

    pub(super) fn probed(&mut self, now: Monotonic, probed: Probed) {
        if let Probed::Answered { .. } = probed {
            self.forget_probes();
        } else {
            self.failures = self.failures.saturating_add(1);
            let since = self.failing.map_or(now, |(since, _)| since);
            self.failing = Some((since, probed));
        }
    }

    /// Enough failures in a row: since when, and what failed last.
    pub(super) fn probe_verdict(&self, unaided: &Unaided) -> Option<(Monotonic, Probed)> {
        let enough = unaided.seen == Seen::AsClient && self.failures >= unaided.probe_failures;
        self.failing.filter(|_| enough)
    }

    /// Whom there is to be tried has changed.
    pub(super) const fn forget_probes(&mut self) {
        self.failures = 0;
        self.failing = None;
    }
}
