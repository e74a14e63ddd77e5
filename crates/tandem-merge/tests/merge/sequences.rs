//! Ids on two sides that lose their link, crash and lose their disks: never one twice.

use std::collections::BTreeSet;

use tandem_merge::sequence::{Mode, Sequence, WhenDry};
use tandem_types::{NodeId, Pair};

use crate::rng::Rng;

#[derive(Clone)]
struct Half {
    sequence: Sequence,
    durable: Sequence,
    /// Given, but not on disk: not answered.
    pending: Vec<u64>,
    last: u64,
}

const SIDES: [NodeId; 2] = [NodeId::A, NodeId::B];

/// Runs one history.
pub fn run(seed: u64, when_dry: WhenDry) -> Result<u64, String> {
    let mut rng = Rng::new(seed);
    let mode = Mode::Leased { lease: 1 + rng.below(8), when_dry };
    let half = |side| {
        let sequence = Sequence::new(side, mode, 100);
        Half { durable: sequence.clone(), sequence, pending: Vec::new(), last: 0 }
    };
    let mut halves = Pair { a: half(NodeId::A), b: half(NodeId::B) };
    let mut given = BTreeSet::new();
    let mut up = true;
    for _ in 0..150 {
        let side = *rng.pick(&SIDES);
        match rng.below(12) {
            0..6 => {
                let half = &mut halves[side];
                half.sequence.burn();
                let count = 1 + rng.below(2);
                if let Ok(ids) = half.sequence.take(count) {
                    half.pending.extend((0..ids.count).map(|number| ids.first + number * ids.step));
                }
            }
            6 | 7 => sync(&mut halves[side], &mut given)?,
            8 | 9 if up => {
                let progress = halves[side].durable.progress();
                let peer = &mut halves[side.peer()];
                peer.sequence.merge(&progress);
                sync(peer, &mut given)?;
                halves[side].sequence.peer_has(&progress);
            }
            10 => up = rng.chance(50),
            11 if rng.chance(30) => {
                let half = &mut halves[side];
                half.sequence = half.durable.clone();
                half.pending.clear();
            }
            11 if rng.chance(20) => {
                // An empty machine takes over what its peer has.
                let known = halves[side.peer()].durable.clone();
                let mut new = half(side);
                for progress in known.all_progress() {
                    new.sequence.merge(&progress);
                }
                new.sequence.new_incarnation();
                new.durable = new.sequence.clone();
                let progress = new.sequence.progress();
                halves[side] = new;
                let peer = &mut halves[side.peer()];
                peer.sequence.merge(&progress);
                sync(peer, &mut given)?;
            }
            _ => {}
        }
    }
    Ok(u64::try_from(given.len()).unwrap())
}

fn sync(half: &mut Half, given: &mut BTreeSet<u64>) -> Result<(), String> {
    half.durable = half.sequence.clone();
    for id in half.pending.drain(..) {
        if !given.insert(id) {
            return Err(format!("{id} was given twice"));
        }
        if id <= half.last {
            return Err(format!("{id} after {}", half.last));
        }
        half.last = id;
    }
    Ok(())
}

#[test]
fn no_id_is_given_twice() {
    let modes = [WhenDry::Strict, WhenDry::Available];
    let mut given = 0;
    for seed in 0..20_000 {
        let mode = modes[usize::try_from(seed % 2).unwrap()];
        given += run(seed, mode).unwrap_or_else(|error| panic!("seed {seed} {mode:?}: {error}"));
    }
    println!("20000 histories, {given} ids");
}

/// Brings both sides' blocks up to what they hold ahead.
fn refill(halves: &mut Pair<Half>) {
    for side in SIDES {
        while halves[side].sequence.burn() {
            let progress = halves[side].sequence.progress();
            halves[side.peer()].sequence.merge(&progress);
            halves[side].sequence.peer_has(&progress);
        }
        halves[side].durable = halves[side].sequence.clone();
    }
}

#[test]
fn a_thousand_ids_on_each_side_of_a_cut_are_two_thousand() {
    for (lost, when_dry) in [
        (false, WhenDry::Strict),
        (true, WhenDry::Strict),
        (false, WhenDry::Available),
        (true, WhenDry::Available),
    ] {
        let mode = Mode::Leased { lease: 1000, when_dry };
        let half = |side| {
            let sequence = Sequence::new(side, mode, 100);
            Half { durable: sequence.clone(), sequence, pending: Vec::new(), last: 0 }
        };
        let mut halves = Pair { a: half(NodeId::A), b: half(NodeId::B) };
        refill(&mut halves);
        let mut given = BTreeSet::new();
        for number in 0..1000 {
            for side in SIDES {
                let half = &mut halves[side];
                half.pending.push(half.sequence.take(1).unwrap().first);
                sync(half, &mut given).unwrap();
            }
            if lost && number == 500 {
                // A's disk is gone; the new machine learns from B, which has heard of no id since the cut.
                let mut new = half(NodeId::A);
                for progress in halves.b.durable.all_progress() {
                    new.sequence.merge(&progress);
                }
                new.sequence.new_incarnation();
                new.last = halves.a.last;
                halves.a = new;
                refill(&mut halves);
            }
        }
        assert_eq!(given.len(), 2000);
        assert!(given.first() >= Some(&100));
    }
}
