//! When two sides meet: who has what of whom, and what follows.
//!
//! Each says its incarnation and whose records it has applied, up to where, durably. All else follows, the
//! same at both ends: nothing is negotiated.

use tandem_types::{Incarnation, Lsn, NodeId};

/// What a side says first.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Greeting {
    /// Which side it is.
    pub side: NodeId,
    /// This life of its data.
    pub incarnation: Incarnation,
    /// The end of its own records, on its disk.
    pub own_end: Lsn,
    /// Whose records it has applied; `None`: nobody's yet.
    pub peer: Option<Incarnation>,
    /// Up to where, on its disk.
    pub seen_end: Lsn,
    /// It has data: keys, or records of its own.
    pub has_data: bool,
}

/// What follows from two greetings, for the side that is `ours`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Plan {
    /// Send own records from here; the peer does the same.
    Stream {
        /// What the peer lacks first.
        from: Lsn,
    },
    /// The peer has nothing: send it everything, then own records from the end of today.
    GiveCopy,
    /// We have nothing: wait for everything.
    TakeCopy,
    /// The peer has applied more of us than we own: our disk was restored, or lost its tail. Begin a new
    /// incarnation, empty, and take a copy: going on would use positions twice.
    StartOver,
    /// The same of the peer: wait for its new incarnation.
    PeerStartsOver,
    /// The peer lacks records that our log no longer holds.
    Gone {
        /// What it lacks first.
        from: Lsn,
    },
    /// Both have data and do not know each other: a person decides whose stays.
    Strangers,
    /// Both are configured as the same side.
    SameSide,
}

/// What follows; `oldest` is the first own record that the log still holds.
pub fn plan(ours: &Greeting, theirs: &Greeting, oldest: Lsn) -> Plan {
    if ours.side == theirs.side {
        return Plan::SameSide;
    }
    let they_know_us = theirs.peer == Some(ours.incarnation);
    let we_know_them = ours.peer == Some(theirs.incarnation);
    match (they_know_us, we_know_them) {
        (true, _) if theirs.seen_end > ours.own_end => Plan::StartOver,
        (_, true) if ours.seen_end > theirs.own_end => Plan::PeerStartsOver,
        (true, true) if theirs.seen_end < oldest => Plan::Gone { from: theirs.seen_end },
        (true, true) => Plan::Stream { from: theirs.seen_end },
        _ => match (ours.has_data, theirs.has_data) {
            // Two new machines: nothing to copy, both from the beginning.
            (false, false) => Plan::Stream { from: Lsn::ZERO },
            (true, false) => Plan::GiveCopy,
            (false, true) => Plan::TakeCopy,
            (true, true) => Plan::Strangers,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Incarnation = Incarnation::new(0xa);
    const B: Incarnation = Incarnation::new(0xb);

    const fn greeting(
        side: NodeId,
        incarnation: Incarnation,
        own_end: u64,
        peer: Option<Incarnation>,
        seen_end: u64,
    ) -> Greeting {
        Greeting {
            side,
            incarnation,
            own_end: Lsn::new(own_end),
            peer,
            seen_end: Lsn::new(seen_end),
            has_data: own_end > 0 || seen_end > 0,
        }
    }

    /// The plan of A, and that of B.
    fn plans(a: Greeting, b: Greeting) -> (Plan, Plan) {
        (plan(&a, &b, Lsn::ZERO), plan(&b, &a, Lsn::ZERO))
    }

    #[test]
    fn both_ends_come_to_matching_plans() {
        let stream = |from| Plan::Stream { from: Lsn::new(from) };
        let new = Incarnation::new(9);
        let (a, b) = (NodeId::A, NodeId::B);
        let known_a = greeting(a, A, 10, Some(B), 4);
        let cases = [
            ("apart for a while", known_a, greeting(b, B, 5, Some(A), 8), (stream(8), stream(4))),
            (
                "two new machines",
                greeting(a, A, 0, None, 0),
                greeting(b, B, 0, None, 0),
                (stream(0), stream(0)),
            ),
            (
                "a replaced machine",
                known_a,
                greeting(b, new, 0, None, 0),
                (Plan::GiveCopy, Plan::TakeCopy),
            ),
            (
                "A's disk was restored",
                known_a,
                greeting(b, B, 5, Some(A), 12),
                (Plan::StartOver, Plan::PeerStartsOver),
            ),
            (
                "both have data of their own",
                greeting(a, A, 10, None, 0),
                greeting(b, B, 5, None, 0),
                (Plan::Strangers, Plan::Strangers),
            ),
            (
                "given up, and back",
                greeting(a, A, 10, Some(new), 3),
                greeting(b, B, 5, Some(A), 8),
                (Plan::Strangers, Plan::Strangers),
            ),
        ];
        for (name, a, b, want) in cases {
            assert_eq!(plans(a, b), want, "{name}");
        }
        assert_eq!(plan(&known_a, &known_a, Lsn::ZERO), Plan::SameSide);
        let behind = greeting(NodeId::B, B, 5, Some(A), 2);
        assert_eq!(plan(&known_a, &behind, Lsn::new(3)), Plan::Gone { from: Lsn::new(2) });
    }
}
