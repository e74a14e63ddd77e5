//! What the mediator is known to hold, and the signs of life given to it.

use std::time::Duration;

use tandem_types::{Monotonic, NodeId, Pair, PairId, Role};

use super::persist::Then;
use super::{Mediated, Phase};
use crate::planted::{Rule, holds};
use crate::{
    DemoteCause, Event, MediatorEvent, MediatorRequest, MediatorView, Output, Presence, Record,
    RecordState, Revision,
};

/// The mediator, as far as it was heard.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Mediator {
    pub(super) connected: bool,
    pub(super) endpoint: Option<String>,
    pub(super) trouble: Option<String>,
    /// Why it did not make the change that is under way, as it said last.
    pub(super) refused: Option<String>,
    /// The record as last seen in this boot.
    pub(super) record: Option<RecordState>,
    pub(super) present: Pair<Option<Presence>>,
    /// When the last view came, in this session.
    pub(super) viewed: Option<Monotonic>,
    /// When the last confirmed sign of life was sent.
    pub(super) renewed: Option<Monotonic>,
    /// When it was last heard of, or this boot began.
    pub(super) heard: Monotonic,
    /// Since when the record is seen to be lost, or an old one.
    pub(super) lost_at: Option<Monotonic>,
    /// Since when the record is of another life than the set on this disk was held against.
    strange_since: Option<Monotonic>,
    vouched: Option<(Monotonic, Presence)>,
    read_asked: Option<Monotonic>,
}

impl Mediator {
    pub(super) fn new(now: Monotonic) -> Self {
        Self {
            connected: false,
            endpoint: None,
            trouble: None,
            refused: None,
            record: None,
            present: Pair::default(),
            viewed: None,
            renewed: None,
            lost_at: None,
            strange_since: None,
            heard: now,
            vouched: None,
            read_asked: None,
        }
    }

    /// It has changed without our being shown.
    pub(super) fn forget_record(&mut self) {
        self.record = None;
        self.viewed = None;
        self.read_asked = None;
    }

    /// Signs of life are the model's own business.
    #[cfg(feature = "planted")]
    pub(super) const fn forget_timing(&mut self) {
        self.vouched = None;
        self.read_asked = None;
    }

    /// The record, if one was seen and can be read.
    pub(super) const fn known(&self) -> Option<(Revision, Record)> {
        match self.record {
            Some(RecordState::Present { revision, record }) => Some((revision, record)),
            _ => None,
        }
    }

    /// A view came in this session: what is known is not from before an outage.
    pub(super) const fn is_fresh(&self) -> bool {
        self.connected && self.viewed.is_some()
    }

    /// Whether `record` is an older state of the same life than the one known.
    fn is_outdated(&self, record: &RecordState) -> bool {
        match (record, self.known()) {
            (RecordState::Present { revision, .. }, Some((known, _))) => {
                revision.life == known.life && revision.version < known.version
            }
            _ => false,
        }
    }
}

/// What the record means to this node.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Standing {
    /// Nothing is known of it.
    Unknown,
    /// There is none: a new pair, or an emptied mediator.
    Absent,
    /// It is of another pair than this node's data, or cannot be read: it is left alone.
    Foreign,
    /// It is older than what this node knows to have happened: an old copy, or another mediator.
    Old(Revision),
    /// It holds.
    Valid(Revision, Record),
}

impl Mediated {
    pub(super) fn standing(&self) -> Standing {
        match &self.mediator.record {
            None => Standing::Unknown,
            Some(RecordState::Absent) => Standing::Absent,
            Some(RecordState::Unreadable { .. }) => Standing::Foreign,
            Some(RecordState::Present { revision, record }) => {
                if !self.state.is_empty() && record.pair_id != self.state.pair_id {
                    return Standing::Foreign;
                }
                match self.state.reign {
                    Some(reign) if record.epoch < reign.epoch => Standing::Old(*revision),
                    Some(reign) if reign == record.reign() && self.is_elsewhere() => {
                        Standing::Old(*revision)
                    }
                    _ => Standing::Valid(*revision, *record),
                }
            }
        }
    }

    /// The mediator was emptied, restored or replaced since this node and its peer both were in the set.
    /// What the record said last, the peer alone may know: that it goes on without this node, or that it
    /// was promoted, in the same epoch as this copy. So it is as good as lost (D7); one of a later reign must
    /// be obeyed, but no role may be taken by it.
    pub(super) fn is_elsewhere(&self) -> bool {
        let Some((revision, _)) = self.mediator.known() else { return false };
        let both = self.state.in_sync.is_some_and(|set| set.is_both());
        // Nothing to hold it against: taken in by a primary that knew no record either. Taking that for lost
        // would leave a pair whose primary's disk is gone without a primary for ever.
        let other = self
            .state
            .recorded
            .is_some_and(|it| it.life != revision.life || it.version > revision.version);
        both && other && holds(Rule::SameLife)
    }

    /// Remembers what the set is held against from now on.
    pub(super) fn trust_record(&mut self) {
        if !self.is_elsewhere() {
            self.trust_record_anyway();
        }
    }

    /// The record is what a change of this node has made of it, or the primary has just said the same.
    pub(super) fn trust_record_anyway(&mut self) {
        if let Some((revision, _)) = self.mediator.known() {
            self.state.recorded = Some(revision);
            self.mediator.strange_since = None;
        }
    }

    /// The primary gives this node a membership and says which state of the record it knew: this node may not
    /// have reached the mediator yet, and must not take the first record that it sees there for that one.
    pub(super) fn trust_as_told(&mut self, told: Option<Revision>) {
        let Some(told) = told else { return self.trust_record_anyway() };
        match self.mediator.known() {
            Some((seen, _)) if seen.life == told.life => self.state.recorded = Some(seen.max(told)),
            _ => self.state.recorded = Some(told),
        }
        if !self.is_elsewhere() {
            self.mediator.strange_since = None;
        }
    }

    /// The last state of the record that this node has reason to believe in: what a peer that is taken in may
    /// hold the mediator against. Also while the mediator is not reached.
    pub(super) fn recorded_last(&self) -> Option<Revision> {
        match self.standing() {
            Standing::Valid(revision, _) => Some(revision),
            _ => self.state.recorded,
        }
    }

    /// The primary has been followed for so long since a strange record came that it knows of it, and it
    /// still says that both are in the set: so it has not gone on alone.
    pub(super) fn is_vouched_for(&self, now: Monotonic) -> bool {
        let Some(since) = self.mediator.strange_since else { return false };
        let Phase::Following { reign } = self.phase else { return false };
        let theirs =
            self.greeting().filter(|it| it.role == Role::Primary && it.reign == Some(reign));
        let both = theirs.and_then(|it| it.in_sync).is_some_and(|set| set.is_both());
        let known_by = since.plus(self.settings.failure_timeout);
        both && now >= known_by && self.heard.is_some_and(|heard| heard.at >= known_by)
    }

    /// The record, if it is up to date and speaks of this pair.
    pub(super) fn valid_record(&self) -> Option<(Revision, Record)> {
        match self.standing() {
            Standing::Valid(revision, record) if self.mediator.is_fresh() => {
                Some((revision, record))
            }
            _ => None,
        }
    }

    pub(super) fn mediator_said(
        &mut self,
        now: Monotonic,
        event: MediatorEvent,
        out: &mut Vec<Output>,
    ) {
        match event {
            MediatorEvent::Up { endpoint } => {
                self.mediator_up(now, endpoint, out);
            }
            MediatorEvent::Down { reason } => self.mediator_down(now, reason, out),
            MediatorEvent::Renewed { sent } => {
                self.mediator.heard = now;
                self.mediator.renewed = self.mediator.renewed.max(Some(sent));
            }
            MediatorEvent::View(view) => self.saw(now, view, out),
            MediatorEvent::Outcome { number, outcome } => {
                self.outcome(now, number, outcome, out);
            }
        }
    }

    fn mediator_up(&mut self, now: Monotonic, endpoint: String, out: &mut Vec<Output>) {
        if !self.mediator.connected {
            let detail = endpoint.clone();
            out.push(Output::Event(Event::MediatorHeard { reachable: true, detail }));
        }
        self.mediator.connected = true;
        self.mediator.endpoint = Some(endpoint);
        self.mediator.trouble = None;
        self.mediator.refused = None;
        self.mediator.heard = now;
        // Whatever was there before this session may have changed, and nobody told us.
        self.mediator.viewed = None;
        self.mediator.vouched = None;
        self.mediator.read_asked = None;
    }

    fn mediator_down(&mut self, now: Monotonic, reason: String, out: &mut Vec<Output>) {
        if self.mediator.connected {
            let detail = reason.clone();
            out.push(Output::Event(Event::MediatorHeard { reachable: false, detail }));
        }
        self.mediator.connected = false;
        self.mediator.trouble = Some(reason);
        self.mediator.viewed = None;
        self.bid_unanswered(now);
    }

    /// The mediator says what it has.
    pub(super) fn saw(&mut self, now: Monotonic, view: MediatorView, out: &mut Vec<Output>) {
        self.mediator.heard = now;
        self.mediator.viewed = Some(now);
        self.mediator.read_asked = None;
        self.mediator.present = view.present;
        if self.mediator.is_outdated(&view.record) {
            return;
        }
        let before = self.mediator.known().map(|(_, record)| record.reign());
        self.mediator.record = Some(view.record);
        self.settle_bid(now, out);
        self.weigh_life(now, out);
        let lost = matches!(self.standing(), Standing::Absent | Standing::Old(_));
        self.mediator.lost_at = self.mediator.lost_at.or(Some(now)).filter(|_| lost);
        self.learn_from_record(now, before, out);
    }

    fn weigh_life(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        self.trust_record();
        // The next process of this node must know it too.
        let both = self.state.in_sync.is_some_and(|set| set.is_both());
        if both && self.state.recorded != self.written().recorded {
            self.write(Then::Nothing, out);
        }
        if self.is_elsewhere() {
            self.mediator.strange_since.get_or_insert(now);
        }
    }

    /// R8 and R9 by the record.
    pub(super) fn learn_from_record(
        &mut self,
        now: Monotonic,
        before: Option<crate::Reign>,
        out: &mut Vec<Output>,
    ) {
        if self.standing() == Standing::Foreign && self.by_force && self.state.recorded.is_none() {
            // A person began a pair here that the mediator never heard of, and under its name there is another
            // one: only one of the two is this pair, and a record is better than a word.
            return self.demote(DemoteCause::OtherPair, out);
        }
        let Standing::Valid(_, record) = self.standing() else { return };
        if self.state.is_empty() && record.pair_id == PairId::NONE {
            return;
        }
        let reign = record.reign();
        if before.is_some_and(|it| it.epoch < reign.epoch && it.primary != reign.primary) {
            self.decisions.switched_at = Some(now);
        }
        // A twin of our own reign: a person forced one of the two. The record decides.
        let twin = self.own_reign().is_some_and(|own| own.epoch == reign.epoch && own != reign);
        if twin && holds(Rule::FenceByEpoch) {
            self.demote(DemoteCause::SameEpoch, out);
        }
        if self.is_named_anew(&record) {
            // One write for the new epoch and the own reign: clients wait meanwhile.
            return self.begin_named(now, &record, out);
        }
        self.saw_epoch(reign.epoch, out);
    }

    /// When the last confirmed sign of life stops being worth anything here (D11).
    pub(super) fn session_right_until(&self) -> Option<Monotonic> {
        let sent = self.mediator.renewed?;
        Some(sent.plus(self.settings.automatic.session * 3 / 4))
    }

    /// When this node must count the mediator as lost, if nothing comes.
    pub(super) fn mediator_silent_at(&self) -> Monotonic {
        self.mediator.heard.plus(self.settings.failure_timeout)
    }

    pub(super) fn is_present(&self, node: NodeId) -> bool {
        self.mediator.present[node].is_some()
    }

    /// Also where the session is long: who counts a silent mediator as lost after `failure_timeout` must
    /// have asked it something well before that.
    fn vouch_every(&self) -> Duration {
        self.settings.automatic.session.min(self.settings.failure_timeout) / 4
    }

    fn read_every(&self) -> Duration {
        self.settings.failure_timeout
    }

    /// Signs of life, and asking when nothing has been heard for long.
    pub(super) fn tend_mediator(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        if !self.mediator.connected || self.phase == Phase::Failed {
            return;
        }
        let presence = Presence {
            boot: self.my_boot(),
            pair_id: self.state.pair_id,
            epoch_seen: self.state.epoch_seen,
            role: self.role(),
        };
        let due = self
            .mediator
            .vouched
            .is_none_or(|(at, said)| said != presence || now >= at.plus(self.vouch_every()));
        if due && self.may_vouch(now) {
            self.mediator.vouched = Some((now, presence));
            out.push(Output::Mediator(MediatorRequest::Vouch(presence)));
        }
        if now >= self.next_read() {
            self.mediator.read_asked = Some(now);
            out.push(Output::Mediator(MediatorRequest::Read));
        }
    }

    /// At once when nothing was seen in this session, then as a backstop.
    fn next_read(&self) -> Monotonic {
        match (self.mediator.read_asked, self.mediator.viewed) {
            (Some(at), _) | (None, Some(at)) => at.plus(self.read_every()),
            (None, None) => Monotonic::ZERO,
        }
    }

    pub(super) fn mediator_deadline(&self) -> Option<Monotonic> {
        if !self.mediator.connected {
            return None;
        }
        let vouch = self.mediator.vouched.map(|(at, _)| at.plus(self.vouch_every()));
        [vouch, Some(self.next_read())].into_iter().flatten().min()
    }
}
