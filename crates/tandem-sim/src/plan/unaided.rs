//! Pairs without a third party: what surrounds them, and what happens to it.

use std::time::Duration;

use tandem_node::{Acknowledge, SavePolicy, SwitchBy, Topology};
use tandem_switch::{OnSilence, Seen, SplitBrain, Unaided};
use tandem_types::NodeId;

use super::{Clocks, Fault, Kind, Kinds, MS, Plan, automatic, keep, millis, restart};
use crate::Random;
use crate::plot::Plot;

/// What surrounds a pair without a third party.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Outside {
    /// The channels besides the link: the longest way of a report, and whether what is under way when the
    /// channel is cut comes later (a TCP connection), or never (a serial line).
    pub(crate) lines: Vec<(u64, bool)>,
    /// The fence command fails once in so many; 0: never.
    pub(crate) fence_fails: u64,
    /// The longest time it takes.
    pub(crate) fence_takes: u64,
    /// How often the standby tries the primary.
    pub(crate) probe_every: Duration,
    /// It writes and reads back; else it only reads.
    pub(crate) probe_writes: bool,
    /// What becomes of saved writes.
    pub(crate) conflicts: SavePolicy,
}

impl Plan {
    /// The run of this seed, without a third party.
    pub(crate) fn unaided(by: SwitchBy, seed: u64, kinds: Kinds) -> Self {
        let probes = by == SwitchBy::Probe;
        let mut random = Random::new(seed ^ 0x756e_6169_6465_6400 ^ u64::from(probes));
        let acknowledge = match random.below(16) {
            0 => Acknowledge::Local,
            1..=3 => Acknowledge::Received,
            _ => Acknowledge::Durable,
        };
        let clocks = if random.once_in(12) { Clocks::Bad } else { Clocks::Good };
        let off = if clocks == Clocks::Good { 9_000 } else { 400_000 };
        let rates = std::array::from_fn(|_| random.signed(off));
        let replica = random.once_in(3);
        let outside = outside(probes, &mut random);
        let mut automatic = automatic(&mut random);
        automatic.unaided = unaided(probes, &outside, &mut random);
        let mut plan = Self {
            seed,
            switch_by: by,
            acknowledge,
            topology: if replica { Topology::PrimaryReplica } else { Topology::PrimaryStandby },
            forward_writes: random.once_in(3),
            initial_primary: if random.once_in(2) { NodeId::A } else { NodeId::B },
            failure_timeout: millis(&mut random, 300, 1_500),
            hold: millis(&mut random, 300, 2_000),
            automatic,
            clients: usize::try_from(random.between(2, 6)).unwrap_or(2),
            think: random.between(10, 120) * MS,
            patience: random.between(400, 3_000) * MS,
            delay: random.between(1, 15) * MS,
            lost_answers: 0,
            late_changes: 0,
            sync: random.between(1, 40) * MS / 10,
            rates,
            clocks,
            ambush: 0,
            plot: None,
            trouble: random.between(4_000, 12_000) * MS,
            faults: Vec::new(),
            outside,
            kept: super::Kept::default(),
        };
        plan.draw_faults(&mut random, kinds, Self::draw_unaided);
        let mut own = Random::new(seed ^ 0x706c_6f74);
        if own.once_in(6) && kinds.has(Kind::Plot) {
            let plot = Plot::UNAIDED[own.index(Plot::UNAIDED.len())];
            if plot.decided_by() == by {
                plan.plot = Some(plot);
                plot.suit(&mut plan, &mut own);
            }
        }
        plan
    }

    /// Nobody keeps a record for this pair.
    pub(crate) const fn is_unaided(&self) -> bool {
        matches!(self.switch_by, SwitchBy::Direct | SwitchBy::Probe)
    }

    /// The standby is told to take over although nothing proves that the primary is gone.
    pub(crate) fn may_split(&self) -> bool {
        let unaided = &self.automatic.unaided;
        self.is_unaided() && !unaided.fence && unaided.on_silence == OnSilence::TakeOver
    }

    /// A primary acknowledges without its peer, whose silence is enough.
    pub(crate) fn goes_alone(&self) -> bool {
        self.automatic.unaided.goes_alone || self.acknowledge == Acknowledge::Local
    }

    fn draw_unaided(&mut self, kind: Kind, own: &mut Random) {
        match kind {
            // There is no mediator.
            Kind::Reach | Kind::Outage | Kind::Amnesia => return,
            Kind::Lines if self.outside.lines.is_empty() => return,
            Kind::Door if self.switch_by == SwitchBy::Direct => return,
            Kind::Isolate | Kind::Lines | Kind::Silence | Kind::Pings | Kind::Door => {}
            _ => return self.draw(kind, own),
        }
        let at = own.below(self.trouble);
        let fault = cut_off(kind, self.outside.lines.len(), own);
        self.faults.push((at, kind, fault));
    }

    /// What may happen at the worst moment.
    pub(crate) fn draw_unaided_ambush(&self, own: &mut Random) -> Fault {
        let host = usize::from(own.once_in(2));
        let lines = self.outside.lines.len();
        match own.below(9) {
            0 | 1 => Fault::Kill { host, certified: !own.once_in(3), restart: restart(own) },
            2 | 3 => Fault::Power { host, keep: keep(own), restart: restart(own) },
            4 => Fault::Pause { host, lasting: own.between(100, 4_000) * MS },
            5 => {
                let towards = [[true, true], [true, false], [false, true]][own.index(3)];
                let lasting = own.between(100, 4_000) * MS;
                Fault::Link { towards, reset: own.once_in(2), lasting }
            }
            6 if lines > 0 => cut_off(Kind::Lines, lines, own),
            6 | 7 => cut_off(Kind::Silence, lines, own),
            _ => cut_off(Kind::Isolate, lines, own),
        }
    }
}

/// A part of the network fails.
fn cut_off(kind: Kind, lines: usize, own: &mut Random) -> Fault {
    let host = usize::from(own.once_in(2));
    let towards = [[true, true], [true, false], [false, true]][own.index(3)];
    let long = if own.once_in(2) { own.between(500, 5_000) } else { own.between(50, 900) };
    let lasting = long * MS;
    match kind {
        Kind::Lines => {
            let which = u8::try_from(own.between(1, (1 << lines) - 1)).unwrap_or(1);
            Fault::Lines { which, towards, lasting: lasting + own.below(4_000) * MS }
        }
        Kind::Silence => Fault::Silence { towards, reset: own.once_in(2), lasting },
        Kind::Pings => Fault::Pings { host, lasting },
        Kind::Door => Fault::Door { host, lasting },
        _ => Fault::Alone { host, towards, lasting: lasting + own.below(2_000) * MS },
    }
}

fn outside(probes: bool, random: &mut Random) -> Outside {
    let line = |random: &mut Random| {
        let serial = random.once_in(3);
        let most = if serial { random.between(20, 60) } else { random.between(1, 15) };
        (most * MS, !serial)
    };
    // A prober has no channel but the link.
    let count = if probes { 0 } else { random.between(2, 3) };
    Outside {
        lines: (0..count).map(|_| line(random)).collect(),
        fence_fails: if random.once_in(2) { random.between(2, 4) } else { 0 },
        fence_takes: random.between(20, 2_500) * MS,
        probe_every: millis(random, 40, 250),
        probe_writes: !random.once_in(4),
        conflicts: if random.once_in(4) { SavePolicy::Reapply } else { SavePolicy::Keep },
    }
}

fn unaided(probes: bool, outside: &Outside, random: &mut Random) -> Unaided {
    let way = random.below(3);
    Unaided {
        seen: if probes { Seen::AsClient } else { Seen::Directly },
        channels: u8::try_from(outside.lines.len()).unwrap_or(0),
        fence: way == 0,
        on_silence: if way == 1 { OnSilence::TakeOver } else { OnSilence::Wait },
        goes_alone: !random.once_in(5),
        pings: random.once_in(2),
        probe_failures: u32::try_from(random.between(2, 5)).unwrap_or(3),
        split_brain: match random.below(8) {
            0 => SplitBrain::MostWrites,
            1 => SplitBrain::Prefer,
            2 => SplitBrain::Manual,
            _ => SplitBrain::Newest,
        },
    }
}
