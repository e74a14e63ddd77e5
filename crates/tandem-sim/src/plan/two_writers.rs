//! Pairs whose nodes both accept writes: no mediator, no role to move, everything else.

use tandem_node::{Acknowledge, SwitchBy, Topology};

use super::{Clocks, Fault, Kind, Kinds, MS, Plan, keep, restart};
use crate::Random;

/// What two writers keep for one another.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Kept {
    /// Bytes of own records that the peer may lack.
    pub(crate) retention: u64,
    /// Bytes of log between two snapshots.
    pub(crate) snapshot: u64,
    /// A node whose peer is away refuses writes.
    pub(crate) refuses_alone: bool,
    /// A disk may be lost while it alone holds what was acknowledged: then only ids are judged, and that both
    /// come to the same.
    pub(crate) loses: bool,
}

impl Plan {
    /// The run of this seed, with two writers.
    pub(crate) fn two_writers(seed: u64, kinds: Kinds) -> Self {
        let mut random = Random::new(seed ^ 0x7477_6f20_7772_6974);
        let clocks = if random.once_in(12) { Clocks::Bad } else { Clocks::Good };
        let off = if clocks == Clocks::Good { 9_000 } else { 400_000 };
        let mut plan = Self {
            switch_by: SwitchBy::Manual,
            topology: Topology::PrimaryPrimary,
            acknowledge: if random.once_in(6) { Acknowledge::Local } else { Acknowledge::Durable },
            forward_writes: false,
            clients: usize::try_from(random.between(3, 8)).unwrap_or(3),
            think: random.between(5, 60) * MS,
            clocks,
            rates: std::array::from_fn(|_| random.signed(off)),
            kept: Kept {
                retention: if random.once_in(8) { 8 << 10 } else { 4 << 20 },
                snapshot: random.between(2, 24) << 10,
                refuses_alone: random.once_in(6),
                loses: Random::new(seed ^ 0x6c6f_7365_7321).once_in(5),
            },
            // Of the rest, what any pair has.
            ..Self::mediated(seed, Kinds::NONE)
        };
        plan.draw_faults(&mut random, kinds, Self::draw_two_writers);
        plan
    }

    /// Both nodes accept writes.
    pub(crate) fn both_write(&self) -> bool {
        self.topology == Topology::PrimaryPrimary
    }

    /// A third party keeps a record for this pair.
    pub(crate) fn has_mediator(&self) -> bool {
        !self.is_unaided() && !self.both_write()
    }

    fn draw_two_writers(&mut self, kind: Kind, own: &mut Random) {
        match kind {
            // There is no mediator, and no channel besides the link. What a person says of two writers, and what
            // becomes of a damaged log of theirs, is not a matter of time: end-to-end tests do that.
            Kind::Reach
            | Kind::Isolate
            | Kind::Outage
            | Kind::Amnesia
            | Kind::Silence
            | Kind::Person
            | Kind::Rot => {}
            _ => self.draw(kind, own),
        }
    }

    /// What may happen at the worst moment.
    pub(crate) fn draw_two_writers_ambush(own: &mut Random) -> Fault {
        let host = usize::from(own.once_in(2));
        let lasting = own.between(50, 3_000) * MS;
        let towards = [[true, true], [true, false], [false, true]][own.index(3)];
        match own.below(6) {
            0 => Fault::Kill { host, certified: false, restart: restart(own) },
            1..=3 => Fault::Power { host, keep: keep(own), restart: restart(own) },
            4 => Fault::Pause { host, lasting },
            _ => Fault::Link { towards, reset: own.once_in(2), lasting },
        }
    }
}
