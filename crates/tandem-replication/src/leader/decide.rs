//! What a follower needs: the stream from where its log ends, a cut, or everything.

use tandem_types::{Lsn, PairId};

use super::port::{CopyReason, Reign};
use crate::fault::LinkFault;
use crate::message::{Follow, Keep};

/// The answer to a [`Follow`], as far as the epoch tables tell.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Plan {
    /// The logs agree up to `common` if the running checksums there do.
    Compare {
        /// Exclusive.
        common: Lsn,
    },
    /// Everything anew.
    Copy {
        /// Why not less.
        why: CopyReason,
        /// What becomes of the follower's data.
        keep: Keep,
    },
    /// Neither: not our peer.
    Refuse(LinkFault),
}

/// Decides from the tables alone; checksums are compared after it.
pub(super) fn plan(reign: &Reign, follow: &Follow) -> Plan {
    if follow.node == reign.node {
        return Plan::Refuse(LinkFault::SameNode(reign.node));
    }
    if follow.pair_id == PairId::NONE {
        return plan_for_empty(reign, follow);
    }
    if follow.pair_id != reign.pair_id {
        let (ours, theirs) = (reign.pair_id, follow.pair_id);
        return Plan::Refuse(LinkFault::ForeignPair { ours, theirs });
    }
    if follow.damaged {
        return Plan::Copy { why: CopyReason::Damaged, keep: Keep::Everything };
    }
    if follow.end == Lsn::ZERO {
        return plan_for_empty(reign, follow);
    }
    let shares_a_reign = match (reign.history.starts().first(), follow.history.starts().first()) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => false,
    };
    if !shares_a_reign {
        let (ours_end, theirs_end) = (reign.end, follow.end);
        return Plan::Refuse(LinkFault::NoCommonHistory { ours_end, theirs_end });
    }
    let common = reign.history.common_end(reign.end, &follow.history, follow.end);
    if common < follow.end && common < follow.oldest {
        // It cannot undo what its snapshots already hold.
        return Plan::Copy { why: CopyReason::ForkTooOld, keep: Keep::Everything };
    }
    if common < reign.oldest {
        return Plan::Copy { why: CopyReason::LogTrimmed, keep: keep(follow, common) };
    }
    Plan::Compare { common }
}

/// What of the follower's data the leader's history does not explain.
pub(super) fn keep(follow: &Follow, common: Lsn) -> Keep {
    if follow.end == common { Keep::Nothing } else { Keep::Since(common) }
}

fn plan_for_empty(reign: &Reign, follow: &Follow) -> Plan {
    if follow.end > Lsn::ZERO {
        // Records without a pair: not a directory that we wrote.
        let (ours, theirs) = (reign.pair_id, follow.pair_id);
        Plan::Refuse(LinkFault::ForeignPair { ours, theirs })
    } else if reign.oldest == Lsn::ZERO {
        Plan::Compare { common: Lsn::ZERO }
    } else {
        Plan::Copy { why: CopyReason::Empty, keep: Keep::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use tandem_types::{
        Chain, Epoch, EpochHistory, EpochStart, ForkId, Incarnation, NodeId, Stamp,
    };

    use super::*;

    const PAIR: PairId = PairId::new(7);

    fn history(starts: &[(u64, u64, u64)]) -> EpochHistory {
        let start = |&(epoch, fork, first): &(u64, u64, u64)| EpochStart {
            epoch: Epoch::new(epoch),
            fork: ForkId::new(fork),
            first: Lsn::new(first),
        };
        EpochHistory::from_starts(starts.iter().map(start).collect()).unwrap()
    }

    fn reign(oldest: u64) -> Reign {
        Reign {
            epoch: Epoch::new(3),
            node: NodeId::A,
            pair_id: PAIR,
            history: history(&[(1, 1, 0), (3, 3, 50)]),
            oldest: Lsn::new(oldest),
            end: Lsn::new(100),
            chain: Chain::new(5),
            stamp: Stamp::ZERO,
            commit_end: Lsn::new(90),
        }
    }

    fn follow(starts: &[(u64, u64, u64)], oldest: u64, end: u64) -> Follow {
        Follow {
            epoch: Epoch::new(3),
            node: NodeId::B,
            pair_id: PAIR,
            incarnation: Incarnation::new(2),
            history: history(starts),
            oldest: Lsn::new(oldest),
            end: Lsn::new(end),
            chain: Chain::new(1),
            damaged: false,
        }
    }

    #[test]
    fn the_tables_decide_between_stream_cut_and_copy() {
        let compare = |common| Plan::Compare { common: Lsn::new(common) };
        let copy = |why, keep| Plan::Copy { why, keep };
        let empty = Follow { pair_id: PairId::NONE, ..follow(&[], 0, 0) };
        let damaged = Follow { damaged: true, ..follow(&[(1, 1, 0)], 0, 40) };
        let cases = [
            ("behind in an old reign", 0, follow(&[(1, 1, 0)], 0, 40), compare(40)),
            ("behind in this reign", 0, follow(&[(1, 1, 0), (3, 3, 50)], 0, 60), compare(60)),
            ("went past the fork", 0, follow(&[(1, 1, 0)], 0, 70), compare(50)),
            ("reigned itself", 0, follow(&[(1, 1, 0), (2, 2, 45)], 0, 70), compare(45)),
            ("longer than ours", 0, follow(&[(1, 1, 0), (3, 3, 50)], 0, 120), compare(100)),
            ("empty, we have all", 0, empty.clone(), compare(0)),
            ("empty, trimmed", 1, empty, copy(CopyReason::Empty, Keep::Nothing)),
            (
                "trimmed past its end",
                41,
                follow(&[(1, 1, 0)], 0, 40),
                copy(CopyReason::LogTrimmed, Keep::Nothing),
            ),
            (
                "trimmed past the fork",
                60,
                follow(&[(1, 1, 0)], 0, 70),
                copy(CopyReason::LogTrimmed, Keep::Since(Lsn::new(50))),
            ),
            (
                "fork below its log",
                0,
                follow(&[(1, 1, 0)], 55, 70),
                copy(CopyReason::ForkTooOld, Keep::Everything),
            ),
            ("damaged", 0, damaged, copy(CopyReason::Damaged, Keep::Everything)),
        ];
        for (name, oldest, follow, want) in cases {
            assert_eq!(plan(&reign(oldest), &follow), want, "{name}");
        }
    }

    #[test]
    fn data_of_another_pair_is_never_touched() {
        let foreign = Follow { pair_id: PairId::new(8), ..follow(&[(1, 1, 0)], 0, 40) };
        assert!(matches!(plan(&reign(0), &foreign), Plan::Refuse(LinkFault::ForeignPair { .. })));
        let unrelated = follow(&[(1, 9, 0)], 0, 40);
        assert!(matches!(
            plan(&reign(0), &unrelated),
            Plan::Refuse(LinkFault::NoCommonHistory { .. })
        ));
        let nameless = Follow { pair_id: PairId::NONE, ..follow(&[(1, 1, 0)], 0, 40) };
        assert!(matches!(plan(&reign(0), &nameless), Plan::Refuse(LinkFault::ForeignPair { .. })));
        let myself = Follow { node: NodeId::A, ..follow(&[(1, 1, 0)], 0, 40) };
        assert!(matches!(plan(&reign(0), &myself), Plan::Refuse(LinkFault::SameNode(_))));
    }
}
