//! A mediator in memory: one record, presence with an end, and what can go wrong with both.
//!
//! **Not here:** the way there and back, where requests and answers are delayed and lost (`run`).

use tandem_switch::{Change, MediatorView, Outcome, Presence, Record, RecordState, Revision};
use tandem_types::{Monotonic, NodeId, Pair, PairId};

/// A node's presence and its end, by the true time.
#[derive(Clone, Copy, Debug)]
struct Present {
    presence: Presence,
    until: u64,
}

/// The mediator.
#[derive(Debug, Default)]
pub(crate) struct Mediator {
    life: u64,
    version: u64,
    record: Option<(Revision, Record)>,
    present: Pair<Option<Present>>,
    /// It answers.
    pub(crate) up: bool,
    /// Every record it has had, for copies that are restored.
    past: Vec<Record>,
    /// Records made where there was none, after the first.
    pub(crate) created_again: u64,
}

impl Mediator {
    /// An empty one that answers.
    pub(crate) fn new() -> Self {
        Self { life: 1, up: true, ..Self::default() }
    }

    /// The record.
    pub(crate) const fn record(&self) -> Option<Record> {
        match self.record {
            Some((_, record)) => Some(record),
            None => None,
        }
    }

    /// Who is there as this node.
    pub(crate) fn present(&self, node: NodeId) -> Option<Presence> {
        self.present[node].map(|it| it.presence)
    }

    /// What it knows.
    pub(crate) fn view(&self, asked: Option<Monotonic>) -> MediatorView {
        let record = self.record.map_or(RecordState::Absent, |(revision, record)| {
            RecordState::Present { revision, record }
        });
        let present = Pair {
            a: self.present.a.map(|it| it.presence),
            b: self.present.b.map(|it| it.presence),
        };
        MediatorView { asked, record, present }
    }

    /// A sign of life that lasts until `until`; whether anything changed that others see.
    pub(crate) fn vouch(&mut self, node: NodeId, presence: Presence, until: u64) -> bool {
        let news = self.present[node].is_none_or(|it| it.presence != presence);
        let until = self.present[node].map_or(until, |it| it.until.max(until));
        self.present[node] = Some(Present { presence, until });
        news
    }

    /// This node's presence ends.
    pub(crate) fn leave(&mut self, node: NodeId) -> bool {
        self.present[node].take().is_some()
    }

    /// Ends what nobody renewed; whether anything did.
    pub(crate) fn expire(&mut self, now: u64) -> bool {
        let mut any = false;
        for node in [NodeId::A, NodeId::B] {
            if self.present[node].is_some_and(|it| it.until <= now) {
                self.present[node] = None;
                any = true;
            }
        }
        any
    }

    /// Nobody's presence ends before `until`: it was away and could not be told.
    pub(crate) fn extend(&mut self, until: u64) {
        for node in [NodeId::A, NodeId::B] {
            if let Some(present) = &mut self.present[node] {
                present.until = present.until.max(until);
            }
        }
    }

    /// Forgets who is present.
    pub(crate) fn forget_presence(&mut self) {
        self.present = Pair::default();
    }

    /// Whether this change replaces what is there now: it may still take effect.
    pub(crate) fn is_replaced_by(&self, change: &Change) -> bool {
        self.record.map(|(revision, _)| revision) == change.expect
    }

    /// Compare-and-set.
    pub(crate) fn change(&mut self, change: &Change, asked: Option<Monotonic>) -> Outcome {
        let there = self.record.map(|(revision, _)| revision);
        let guarded = change.unless_present.is_some_and(|(node, boot)| {
            self.present[node].is_some_and(|it| it.presence.boot == boot)
        });
        if there != change.expect || guarded {
            return Outcome::Lost(self.view(asked));
        }
        if self.would_be_born_twice(change) {
            return Outcome::Refused { reason: "only while both are here".to_owned() };
        }
        if there.is_none() && !self.past.is_empty() {
            self.created_again += 1;
        }
        self.version += 1;
        let revision = Revision { life: self.life, version: self.version };
        self.record = Some((revision, change.record));
        self.past.push(change.record);
        Outcome::Won { revision }
    }

    /// A node with data says that there was a record: without it both must be there, for one that names both.
    fn would_be_born_twice(&self, change: &Change) -> bool {
        let present = [self.present.a, self.present.b];
        let data = present.iter().flatten().any(|it| it.presence.pair_id != PairId::NONE);
        let lone = present.iter().any(Option::is_none) && change.record.is_both();
        change.expect.is_none() && data && lone
    }

    /// How often the record was lost.
    pub(crate) const fn life(&self) -> u64 {
        self.life
    }

    /// The record is gone, or an older one is back: another life in either case.
    pub(crate) fn lose_record(&mut self, versions_back: u64) {
        self.life += 1;
        self.version += 1;
        let back = usize::try_from(versions_back).unwrap_or(0);
        let older = self.past.len().checked_sub(back + 1).map(|at| self.past[at]);
        self.record = match older {
            Some(record) if back > 0 => {
                Some((Revision { life: self.life, version: self.version }, record))
            }
            _ => None,
        };
    }
}
