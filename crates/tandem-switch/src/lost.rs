//! What this node's disk has lost, seen from what its peer holds and knows to be acknowledged.
//!
//! A directory can go back: a virtual machine is reverted, a volume restored, a disk lies about a sync, or
//! syncs only now and then. Nothing on that disk shows it. But the other member of the in-sync set knows up
//! to where both vouched for every record; a log that ends before that has lost acknowledged writes. Such a
//! node must not begin a reign, because its peer would cut back to it, and must not count as a member.

use tandem_types::{Incarnation, Lsn, NodeId};

use crate::planted::{Rule, holds};
use crate::{Acknowledge, Greeting, InSyncSet, Member, NodeState};

/// What a primary knows its follower to have had on its disk, in the reign that it serves.
///
/// The set alone does not say it: it names the follower before that has everything (R4).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub(crate) struct Vouched {
    by: Incarnation,
    end: Lsn,
}

impl Vouched {
    /// A follower with this incarnation has acknowledged everything before `end`.
    pub(crate) fn note(&mut self, by: Incarnation, end: Lsn) {
        let before = if self.by == by { self.end } else { Lsn::ZERO };
        *self = Self { by, end: before.max(end) };
    }

    /// Up to where `peer`, as this set names it, has vouched for what is acknowledged.
    pub(crate) fn of(self, peer: NodeId, set: Option<InSyncSet>, acknowledged: Lsn) -> Lsn {
        let is_it = set.is_some_and(|set| set.members[peer] == Some(self.by));
        if is_it { self.end.min(acknowledged) } else { Lsn::ZERO }
    }
}

/// What a primary has called acknowledged, and not only this node in an earlier reign of its own, which ended at
/// `reigned_end`: its peer may have taken over without that.
pub(crate) fn heard_acknowledged(commit_end: Lsn, reigned_end: Lsn) -> Lsn {
    if commit_end > reigned_end { commit_end } else { Lsn::ZERO }
}

/// The end of what `me` had vouched for, if its log now ends before that.
///
/// `None` also where nobody can say who has more: the peer's set is older than the own one, so this node may
/// have acknowledged alone since.
pub(crate) fn lost_records(
    me: Member,
    state: &NodeState,
    own_end: Lsn,
    greeting: &Greeting,
) -> Option<Lsn> {
    let led = greeting.reign.is_some_and(|reign| reign.primary == me.node);
    // A follower that has left the set, as one does that lets a silent primary go on alone, still knows what its
    // primary had acknowledged, and with that on its own disk, by then.
    let set = greeting.in_sync.filter(|set| set.has(me) && (set.is_both() || led))?;
    let newer =
        state.in_sync.is_none_or(|own| (set.epoch, set.revision) >= (own.epoch, own.revision));
    let vouched = match set.strength {
        Acknowledge::Durable => true,
        // The follower vouched with its memory only, the primary with its disk.
        Acknowledge::Received => led,
        // The follower has vouched for nothing; what the primary lost, the policy says, may be lost.
        Acknowledge::Local => false,
    };
    let lost = newer && vouched && own_end < greeting.commit_end && holds(Rule::LostRecords);
    lost.then_some(greeting.commit_end)
}

#[cfg(test)]
mod tests {
    use tandem_types::{Epoch, ForkId, Pair, PairId, Role};

    use super::*;
    use crate::Reign;

    const ME: Member = Member { node: NodeId::A, incarnation: Incarnation::new(1) };

    fn set(strength: Acknowledge, revision: u64) -> InSyncSet {
        let members = Pair { a: Some(Incarnation::new(1)), b: Some(Incarnation::new(2)) };
        InSyncSet { epoch: Epoch::new(3), revision, members, strength }
    }

    fn greeting(strength: Acknowledge, primary: NodeId) -> Greeting {
        let reign = Reign { epoch: Epoch::new(3), fork: ForkId::new(9), primary };
        Greeting {
            pair_id: PairId::new(7),
            incarnation: Incarnation::new(2),
            boot: 1,
            role: Role::Standby,
            epoch_seen: Epoch::new(3),
            reign: Some(reign),
            in_sync: Some(set(strength, 5)),
            appended_end: Lsn::new(110),
            commit_end: Lsn::new(100),
            pauses: 0,
            unwell: false,
        }
    }

    fn state(revision: u64) -> NodeState {
        let in_sync = Some(set(Acknowledge::Durable, revision));
        NodeState { in_sync, ..NodeState::new(ME.incarnation) }
    }

    #[test]
    fn a_primary_says_what_this_follower_has_vouched_for() {
        let (one, other) = (Incarnation::new(2), Incarnation::new(3));
        let names =
            |b| InSyncSet { members: Pair { a: None, b: Some(b) }, ..set(Acknowledge::Durable, 5) };
        let of = |vouched: Vouched, by, end| vouched.of(NodeId::B, Some(names(by)), Lsn::new(end));
        let mut vouched = Vouched::default();
        assert_eq!(of(vouched, one, 9), Lsn::ZERO);
        vouched.note(one, Lsn::new(7));
        vouched.note(one, Lsn::new(5));
        assert_eq!(of(vouched, one, 9), Lsn::new(7));
        assert_eq!(of(vouched, one, 6), Lsn::new(6), "the rest is not acknowledged");
        assert_eq!(of(vouched, other, 9), Lsn::ZERO);
        assert_eq!(vouched.of(NodeId::B, None, Lsn::new(9)), Lsn::ZERO);
        vouched.note(other, Lsn::new(1));
        assert_eq!(of(vouched, one, 9), Lsn::ZERO);
    }

    #[test]
    fn a_log_that_ends_before_what_was_acknowledged_has_lost_records() {
        let primary = greeting(Acknowledge::Durable, NodeId::A);
        let lost = |end, greeting: &Greeting| lost_records(ME, &state(5), Lsn::new(end), greeting);
        assert_eq!(lost(99, &primary), Some(Lsn::new(100)));
        assert_eq!(lost(100, &primary), None, "what the peer has beyond was never acknowledged");
        assert_eq!(lost(99, &greeting(Acknowledge::Durable, NodeId::B)), Some(Lsn::new(100)));
        assert_eq!(lost(99, &greeting(Acknowledge::Received, NodeId::A)), Some(Lsn::new(100)));
        assert_eq!(lost(99, &greeting(Acknowledge::Received, NodeId::B)), None);
        assert_eq!(lost(99, &greeting(Acknowledge::Local, NodeId::A)), None);
    }

    #[test]
    fn a_follower_that_let_its_primary_go_knows_what_that_had_acknowledged() {
        let alone = |of: Greeting| {
            let members = Pair { a: Some(Incarnation::new(1)), b: None };
            let set = of.in_sync.map(|set| InSyncSet { members, ..set });
            lost_records(ME, &state(5), Lsn::new(99), &Greeting { in_sync: set, ..of })
        };
        let (led, followed) = (NodeId::A, NodeId::B);
        assert_eq!(alone(greeting(Acknowledge::Durable, led)), Some(Lsn::new(100)));
        assert_eq!(alone(greeting(Acknowledge::Local, led)), None);
        assert_eq!(alone(greeting(Acknowledge::Durable, followed)), None);
    }

    #[test]
    fn whoever_may_have_acknowledged_alone_since_is_not_judged() {
        let greeting = greeting(Acknowledge::Durable, NodeId::A);
        assert_eq!(lost_records(ME, &state(6), Lsn::new(99), &greeting), None);
        let other = Member { incarnation: Incarnation::new(8), ..ME };
        assert_eq!(lost_records(other, &state(5), Lsn::new(99), &greeting), None, "no member");
    }
}
