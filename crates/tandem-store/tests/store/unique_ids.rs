//! Unique ids of two writers: never one twice, whatever happens to link, processes and disks.

use std::collections::BTreeSet;

use tandem_types::{NodeId, Pair};

use crate::writers::{Rng, Writer, cut, heal, pair, replace};

const SIDES: [NodeId; 2] = [NodeId::A, NodeId::B];

/// The next id is 100, and both know it.
fn ids(policy: &str) -> Pair<Writer> {
    let mut pair = pair();
    pair.a.run_all(&["set user:id 99", &format!("pp.policy set user:id {policy}")]);
    heal(&mut pair, false);
    pair
}

fn id_of(reply: &str) -> Option<u64> {
    reply.strip_prefix(':')?.trim_end_matches('|').parse().ok()
}

fn take(writer: &mut Writer, count: usize, given: &mut BTreeSet<u64>) {
    let mut last = 0;
    for _ in 0..count {
        let id = id_of(&writer.run("incr user:id")).unwrap();
        assert!(id >= 100 && id > last, "{id} after {last}");
        assert!(given.insert(id), "{id} twice");
        last = id;
    }
}

#[test]
fn a_thousand_on_each_side_of_a_cut() {
    for compacted in [false, true] {
        let (mut pair, mut given) = (ids("seq"), BTreeSet::new());
        cut(&mut pair);
        for side in SIDES {
            take(&mut pair[side], 1_000, &mut given);
        }
        pair.a.crash();
        take(&mut pair.a, 10, &mut given);
        heal(&mut pair, compacted);
        assert_eq!(given.len(), 2_010);
        assert_eq!(pair.a.run("get user:id"), pair.b.run("get user:id"));
        for side in SIDES {
            take(&mut pair[side], 2_500, &mut given);
        }
    }
}

#[test]
fn a_side_that_lost_its_disk_in_a_cut_gives_none_again() {
    for policy in ["seq", "seq:available,10", "seq:strict,1000"] {
        let (mut pair, mut given) = (ids(policy), BTreeSet::new());
        cut(&mut pair);
        take(&mut pair.a, 500, &mut given);
        take(&mut pair.b, 500, &mut given);
        replace(&mut pair, NodeId::A);
        heal(&mut pair, false);
        for side in SIDES {
            take(&mut pair[side], 300, &mut given);
        }
        heal(&mut pair, true);
        assert_eq!(pair.a.run("get user:id"), pair.b.run("get user:id"), "{policy}");
    }
}

#[test]
fn a_strict_sequence_is_dry_without_the_peer() {
    let (mut pair, mut given) = (ids("seq:strict,10"), BTreeSet::new());
    take(&mut pair.a, 1, &mut given);
    assert!(pair.a.run("incr user:id:x").starts_with("-SEQDRY"), "the peer has to hear of it");
    pair.b.may_block = true;
    assert_eq!(pair.b.run("incr user:id:x"), "BLOCK");
    heal(&mut pair, false);
    assert_eq!(pair.a.run("incr user:id:x"), ":1|");
    assert_eq!(pair.b.run("incr user:id:x"), ":10|");
    cut(&mut pair);
    let mut given_in_cut = 0;
    let dry = loop {
        let reply = pair.a.run("incr user:id");
        let Some(id) = id_of(&reply) else { break reply };
        assert!(given.insert(id));
        given_in_cut += 1;
    };
    assert!((10..40).contains(&given_in_cut), "{given_in_cut}: two blocks are held ahead");
    assert!(dry.starts_with("-SEQDRY no ids are left that the other node knows of"), "{dry}");
    pair.a.crash();
    assert!(pair.a.run("incr user:id").starts_with("-SEQDRY"), "a crash makes none");
    heal(&mut pair, true);
    take(&mut pair.a, 5, &mut given);
}

#[test]
fn several_at_once_and_what_is_known_of_them() {
    let mut pair = ids("seq:available,100");
    assert_eq!(pair.a.run("incrby user:id 10"), ":209|", "they stay in one block: 200 to 209");
    assert_eq!(pair.a.run("seq.next user:id count 5"), "*3|:210|:214|:1|");
    assert_eq!(pair.a.run("seq.next user:id"), ":215|");
    assert!(pair.a.run("incrby user:id 101").starts_with("-ERR at most 100 ids at once"));
    assert!(pair.a.run("incrby user:id 0").starts_with("-PPSEQ ids are given"));
    let info = pair.a.run("seq.info user:id");
    assert!(
        info.contains("mode|$9|available|$4|link|$2|up|$5|lease|:100|$5|first|:100|"),
        "{info}"
    );
    assert!(info.contains("$4|last|:215|$4|next|:216|"), "{info}");
    assert!(pair.b.run("seq.info user:id").contains("$4|last|:99|$4|next|:100|$4|left|:300|"));
    assert_eq!(pair.b.run("seq.info user:other"), "$-1|");
    heal(&mut pair, false);
    assert_eq!(pair.b.run("incr user:id"), ":100|", "B has the blocks of odd number");
    let mut odd = ids("seq:interleaved");
    assert_eq!(odd.a.run("incr user:id"), ":101|");
    assert_eq!(odd.b.run("incr user:id"), ":100|");
    assert!(odd.a.run("incrby user:id 2").starts_with("-PPSEQ an interleaved sequence"));
    assert_eq!(odd.a.run("seq.next user:id count 3"), "*3|:103|:107|:2|");
}

#[test]
fn random_ids_with_cuts_crashes_and_lost_disks_are_unique() {
    for seed in 0..200 {
        let mut rng = Rng(seed);
        let policy = ["seq:available,7", "seq:strict,7", "seq"][rng.below(3)];
        let (mut pair, mut given) = (ids(policy), BTreeSet::new());
        // The harness starts a process from its whole log, which a full copy has none of.
        let (mut up, mut copied) = (true, false);
        for _ in 0..60 {
            let side = SIDES[rng.below(2)];
            match rng.below(10) {
                0..6 => {
                    for _ in 0..rng.below(12) {
                        if let Some(id) = id_of(&pair[side].run("incr user:id")) {
                            assert!(given.insert(id), "seed {seed}: {id} twice");
                        }
                    }
                }
                6 => {
                    up = !up;
                    if !up {
                        cut(&mut pair);
                    }
                }
                7 if !copied => {
                    pair[side].crash();
                    pair[side].store.set_link(up);
                }
                8 if rng.below(6) == 0 => {
                    copied = true;
                    replace(&mut pair, side);
                    pair[side].store.set_link(up);
                }
                _ if up => heal(&mut pair, rng.below(2) == 0),
                _ => {}
            }
        }
        heal(&mut pair, false);
        assert_eq!(pair.a.run("get user:id"), pair.b.run("get user:id"), "seed {seed}");
    }
}
