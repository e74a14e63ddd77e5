//! What the witness knows of one pair, and what it grants: sans-IO.

use std::time::Duration;

use tandem_switch::{Change, MediatorView, Presence, Record, RecordState, Revision};
use tandem_types::{Epoch, NodeId, Pair, PairId, Role};

use crate::{PairSeen, Places};

/// One pair. Times are counted from the witness' start.
#[derive(Debug)]
pub(crate) struct Keeper {
    record: RecordState,
    present: Pair<Option<Present>>,
    /// A pair whose nodes have not been heard since the start of the witness: nobody is absent yet.
    quiet_until: Duration,
    /// Where clients reach it.
    places: Option<Places>,
}

#[derive(Clone, Copy, Debug)]
struct Present {
    presence: Presence,
    until: Duration,
}

/// How a change ended.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Granted {
    /// Make this durable, then call [`Keeper::kept`], then say that it took effect.
    Keep { revision: Revision, record: Record },
    /// It has no effect.
    Lost,
    /// Not now: the same change may be granted later.
    Later(&'static str),
}

impl Keeper {
    /// A pair with what is on disk; `quiet`: a whole session.
    pub(crate) fn new(record: RecordState, now: Duration, quiet: Duration) -> Self {
        Self { record, present: Pair { a: None, b: None }, quiet_until: now + quiet, places: None }
    }

    /// A sign of life; whether it is news to the others.
    pub(crate) fn vouch(&mut self, node: NodeId, presence: Presence, until: Duration) -> bool {
        let before = self.present[node].replace(Present { presence, until });
        before.is_none_or(|before| before.presence != presence)
    }

    /// The node stops, in good order; whether it was present.
    pub(crate) fn leave(&mut self, node: NodeId) -> bool {
        self.present[node].take().is_some()
    }

    /// Ends presences that are over; whether any was.
    pub(crate) fn expire(&mut self, now: Duration) -> bool {
        let mut over = false;
        for node in [NodeId::A, NodeId::B] {
            if self.present[node].is_some_and(|present| present.until <= now) {
                self.present[node] = None;
                over = true;
            }
        }
        over
    }

    /// When [`Self::expire`] has work, or views may be given.
    pub(crate) fn deadline(&self, now: Duration) -> Option<Duration> {
        let ends = [self.present.a, self.present.b].into_iter().flatten().map(|it| it.until);
        ends.chain([self.quiet_until].into_iter().filter(|&until| until > now)).min()
    }

    /// Whether it is known who is absent: both are here, or a session has passed since the start.
    pub(crate) fn is_settled(&self, now: Duration) -> bool {
        now >= self.quiet_until || (self.present.a.is_some() && self.present.b.is_some())
    }

    /// A node says where its pair is reached.
    pub(crate) fn told(&mut self, places: Places) {
        self.places = Some(places);
    }

    /// What may be told to clients; `None` until it is known where the pair is.
    pub(crate) fn seen(&self) -> Option<PairSeen> {
        let record = match &self.record {
            RecordState::Present { record, .. } => Some(record),
            RecordState::Absent | RecordState::Unreadable { .. } => None,
        };
        let presence = |node: NodeId| self.present[node].map(|it| it.presence);
        let serves = record.is_some_and(|record| {
            presence(record.primary).is_some_and(|it| {
                it.role == Role::Primary
                    && it.boot == record.primary_boot
                    && it.epoch_seen == record.epoch
            })
        });
        let role = |node| presence(node).map(|it| it.role);
        Some(PairSeen {
            places: self.places.clone()?,
            primary: record.map(|record| record.primary),
            serves,
            roles: Pair { a: role(NodeId::A), b: role(NodeId::B) },
            epoch: record.map_or(Epoch::ZERO, |record| record.epoch),
        })
    }

    pub(crate) fn view(&self) -> MediatorView {
        let presence = |present: Option<Present>| present.map(|it| it.presence);
        MediatorView {
            asked: None,
            record: self.record.clone(),
            present: Pair { a: presence(self.present.a), b: presence(self.present.b) },
        }
    }

    /// A compare-and-set; `life` is used if it creates the record.
    pub(crate) fn change(&self, change: &Change, now: Duration, life: u64) -> Granted {
        if let Some((node, boot)) = change.unless_present {
            if self.present[node].is_some_and(|it| it.presence.boot == boot) {
                return Granted::Lost;
            }
            if !self.is_settled(now) {
                return Granted::Later("the witness has just started and does not know who lives");
            }
        }
        let revision = match (&self.record, change.expect) {
            (RecordState::Present { revision, .. }, Some(expected)) if *revision == expected => {
                Revision { version: revision.version + 1, ..*revision }
            }
            (RecordState::Absent, None) => {
                if !self.may_create(&change.record) {
                    return Granted::Later(
                        "the witness has no record of this pair, and a node has data: a record that names \
                         both is written anew only while both are here",
                    );
                }
                if self.has_data() && !self.is_settled(now) {
                    return Granted::Later(
                        "the witness has just started and does not know who lives",
                    );
                }
                Revision { life, version: 1 }
            }
            _ => return Granted::Lost,
        };
        Granted::Keep { revision, record: change.record }
    }

    /// A record that is missing although a node has data was lost: one node alone may not say that the other
    /// one has everything. It may name itself: its disk, or a person, says so to it.
    fn may_create(&self, record: &Record) -> bool {
        let both = self.present.a.is_some() && self.present.b.is_some();
        both || !self.has_data() || !record.is_both()
    }

    fn has_data(&self) -> bool {
        let here = [self.present.a, self.present.b].into_iter().flatten();
        here.into_iter().any(|it| it.presence.pair_id != PairId::NONE)
    }

    /// Something is kept that is no record.
    pub(crate) const fn is_unreadable(&self) -> bool {
        matches!(self.record, RecordState::Unreadable { .. })
    }

    /// What is kept now, in place of something that could not be read.
    pub(crate) fn found(&mut self, record: RecordState) {
        assert!(self.is_unreadable(), "a record that is known is replaced by changes only");
        self.record = record;
    }

    /// A granted change is on disk.
    pub(crate) fn kept(&mut self, revision: Revision, record: Record) {
        self.record = RecordState::Present { revision, record };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tests::{boot, presence, record};

    const SECOND: Duration = Duration::from_secs(1);

    fn keeper(record: RecordState) -> Keeper {
        Keeper::new(record, Duration::ZERO, SECOND)
    }

    fn empty(number: u64) -> Presence {
        Presence { pair_id: PairId::NONE, ..presence(number) }
    }

    fn first() -> Change {
        Change { expect: None, record: record(1, NodeId::A), unless_present: None }
    }

    #[test]
    fn a_change_takes_effect_only_on_the_revision_it_names() {
        let mut keeper = keeper(RecordState::Absent);
        keeper.vouch(NodeId::A, empty(1), SECOND * 9);
        let Granted::Keep { revision, record: kept } = keeper.change(&first(), SECOND, 77) else {
            unreachable!("an empty pair gets its record")
        };
        assert_eq!(revision, Revision { life: 77, version: 1 });
        keeper.kept(revision, kept);
        assert_eq!(keeper.change(&first(), SECOND, 78), Granted::Lost, "it exists");
        let next =
            Change { expect: Some(revision), record: record(2, NodeId::B), unless_present: None };
        let Granted::Keep { revision: second, .. } = keeper.change(&next, SECOND, 79) else {
            unreachable!("the expected revision")
        };
        assert_eq!(second, Revision { life: 77, version: 2 });
        keeper.kept(second, next.record);
        assert_eq!(keeper.change(&next, SECOND, 79), Granted::Lost, "the same change, again");
    }

    #[test]
    fn a_boot_that_is_present_is_not_taken_over_from() {
        let revision = Revision { life: 1, version: 1 };
        let state = RecordState::Present { revision, record: record(1, NodeId::A) };
        let mut keeper = keeper(state);
        let change = Change {
            expect: Some(revision),
            record: record(2, NodeId::B),
            unless_present: Some((NodeId::A, boot(5))),
        };
        assert!(
            matches!(keeper.change(&change, Duration::ZERO, 0), Granted::Later(_)),
            "just started"
        );
        keeper.vouch(NodeId::A, presence(5), SECOND * 2);
        assert_eq!(keeper.change(&change, SECOND, 0), Granted::Lost);
        assert!(!keeper.expire(SECOND));
        assert!(keeper.expire(SECOND * 2), "its session is over");
        assert!(matches!(keeper.change(&change, SECOND * 2, 0), Granted::Keep { .. }));
        keeper.vouch(NodeId::A, presence(6), SECOND * 9);
        let granted = keeper.change(&change, SECOND * 2, 0);
        assert!(matches!(granted, Granted::Keep { .. }), "another boot of it is another one");
    }

    #[test]
    fn a_lost_record_that_names_both_is_written_anew_only_while_both_nodes_are_here() {
        let mut both = first();
        both.record.members.b = Some(tandem_types::Incarnation::new(2));
        let mut keeper = keeper(RecordState::Absent);
        keeper.vouch(NodeId::A, presence(1), SECOND * 9);
        assert!(matches!(keeper.change(&both, SECOND, 1), Granted::Later(_)));
        keeper.vouch(NodeId::B, presence(2), SECOND * 9);
        assert!(matches!(keeper.change(&both, SECOND, 1), Granted::Keep { .. }));
    }

    #[test]
    fn a_node_that_is_left_alone_writes_a_lost_record_that_names_nobody_else() {
        let mut keeper = keeper(RecordState::Absent);
        keeper.vouch(NodeId::A, presence(1), SECOND * 9);
        let early = keeper.change(&first(), SECOND / 2, 1);
        assert!(matches!(early, Granted::Later(_)), "the other one may not have been heard yet");
        assert!(matches!(keeper.change(&first(), SECOND, 1), Granted::Keep { .. }));
    }

    #[test]
    fn nobody_is_absent_before_a_session_has_passed_since_the_start() {
        let mut keeper = keeper(RecordState::Absent);
        assert!(!keeper.is_settled(Duration::ZERO));
        assert_eq!(keeper.deadline(Duration::ZERO), Some(SECOND));
        keeper.vouch(NodeId::A, presence(1), SECOND * 2);
        assert!(!keeper.is_settled(SECOND / 2));
        keeper.vouch(NodeId::B, presence(1), SECOND * 2);
        assert!(keeper.is_settled(SECOND / 2), "both are here");
        assert!(keeper.leave(NodeId::B) && !keeper.leave(NodeId::B));
        assert!(keeper.is_settled(SECOND));
    }

    #[test]
    fn clients_are_sent_to_whom_the_record_names_once_that_very_boot_says_that_it_serves() {
        let place = || crate::Place {
            host: "h".to_owned(),
            client_port: 1,
            read_port: None,
            sentinel_port: None,
        };
        let nodes = Pair { a: place(), b: place() };
        let revision = Revision { life: 1, version: 1 };
        let state = RecordState::Present { revision, record: record(4, NodeId::B) };
        let mut keeper = keeper(state);
        assert_eq!(keeper.seen(), None, "it is not known where the pair is");
        keeper.told(Places { nodes, replicas_serve: true });
        let serves = |keeper: &Keeper| keeper.seen().map(|seen| (seen.primary, seen.serves));
        let right = Presence {
            boot: boot(3),
            epoch_seen: Epoch::new(4),
            role: Role::Primary,
            ..presence(3)
        };
        assert_eq!(serves(&keeper), Some((Some(NodeId::B), false)), "nobody is here");
        let joining = Presence { role: Role::Joining, ..right };
        let earlier = Presence { boot: boot(2), ..right };
        let elsewhere = Presence { epoch_seen: Epoch::new(5), ..right };
        for wrong in [joining, earlier, elsewhere] {
            keeper.vouch(NodeId::B, wrong, SECOND);
            assert_eq!(serves(&keeper), Some((Some(NodeId::B), false)), "{wrong:?}");
        }
        keeper.vouch(NodeId::A, right, SECOND);
        assert_eq!(serves(&keeper), Some((Some(NodeId::B), false)), "the record names the other");
        keeper.vouch(NodeId::B, right, SECOND);
        assert_eq!(serves(&keeper), Some((Some(NodeId::B), true)));
        keeper.expire(SECOND);
        assert_eq!(serves(&keeper), Some((Some(NodeId::B), false)), "its session is over");
    }

    #[test]
    fn a_record_that_cannot_be_read_is_never_replaced() {
        let keeper = keeper(RecordState::Unreadable { reason: "newer".to_owned() });
        assert_eq!(keeper.change(&first(), SECOND, 1), Granted::Lost);
    }
}
