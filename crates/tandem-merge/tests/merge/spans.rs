//! List edits: every pair of small ones, carried over each other in all ways.

use tandem_merge::{Bytes, Spans};
use tandem_types::NodeId;

use crate::rng::Rng;

fn element(name: &str) -> Bytes {
    Bytes::from(name.as_bytes())
}

fn list(length: usize) -> Vec<Bytes> {
    (0..length).map(|at| element(&format!("{at}"))).collect()
}

/// Every edit of a list of this length with at most one insertion per gap, built element by element.
pub fn edits(length: usize, name: &str) -> Vec<Spans> {
    let mut all = vec![Spans::new()];
    for at in 0..=length {
        let mut next = Vec::new();
        for edit in &all {
            let mut with = edit.clone();
            with.insert(vec![element(&format!("{name}{at}"))]);
            for gap in [edit.clone(), with] {
                if at == length {
                    next.push(gap);
                    continue;
                }
                let (mut kept, mut deleted) = (gap.clone(), gap);
                kept.keep(1);
                deleted.delete(1);
                next.extend([kept, deleted]);
            }
        }
        all = next;
    }
    all
}

fn applied(edit: &Spans, to: &[Bytes]) -> Vec<Bytes> {
    let mut list = to.to_vec();
    edit.apply(&mut list);
    list
}

/// Both orders give the same list; `side` is whose `own` is.
pub fn meets(side: NodeId, own: &Spans, theirs: &Spans, base: &[Bytes]) -> Result<(), String> {
    let carried = own.carry(side, theirs);
    let here = applied(&carried.theirs, &applied(own, base));
    let there = applied(&carried.own, &applied(theirs, base));
    if here == there { Ok(()) } else { Err(format!("{own:?} and {theirs:?}: {here:?}, {there:?}")) }
}

pub fn every_pair(length: usize) -> Result<u64, String> {
    let mut pairs = 0;
    let mut left = edits(length, "a");
    let mut right = edits(length, "b");
    left.push(Spans::clear());
    right.push(Spans::clear());
    right.push(Spans::replace(NodeId::B, vec![element("b")]));
    for own in &left {
        for theirs in &right {
            for side in [NodeId::A, NodeId::B] {
                meets(side, own, theirs, &list(length))?;
                pairs += 1;
            }
        }
    }
    Ok(pairs)
}

#[test]
fn either_order_gives_the_same_list() {
    let pairs: u64 = (0..=3).map(|length| every_pair(length).unwrap()).sum();
    println!("{pairs} pairs");
}

#[test]
fn an_element_handed_out_on_both_sides_is_told() {
    let mut pop = Spans::new();
    pop.pop(vec![element("0")]);
    let carried = pop.carry(NodeId::A, &pop.clone());
    assert_eq!(carried.popped_twice, vec![element("0")]);
    assert!(carried.own.is_identity() && carried.theirs.is_identity());
    let mut trim = Spans::new();
    trim.delete(1);
    assert!(pop.carry(NodeId::A, &trim).popped_twice.is_empty(), "only one client got it");
}

#[test]
fn pushes_at_one_end_stay_together_and_a_comes_first() {
    let push = |name: &str| {
        let mut spans = Spans::new();
        spans.keep(2).insert(vec![element(&format!("{name}1")), element(&format!("{name}2"))]);
        spans
    };
    let (a, b) = (push("a"), push("b"));
    let carried = b.carry(NodeId::B, &a);
    let merged = applied(&carried.theirs, &applied(&b, &list(2)));
    let names: Vec<Bytes> = ["0", "1", "a1", "a2", "b1", "b2"].map(element).into();
    assert_eq!(merged, names);
}

/// A random edit, longer than the exhaustive ones.
fn random_edit(rng: &mut Rng, list: &[Bytes], name: &str) -> Spans {
    let mut edit = Spans::new();
    let mut at = 0;
    while at < list.len() {
        let count = 1 + rng.index(list.len() - at);
        let wide = u64::try_from(count).unwrap();
        match rng.below(4) {
            0 => edit.delete(wide),
            1 => edit.pop(list[at..at + count].to_vec()),
            _ => edit.keep(wide),
        };
        at += count;
        if rng.chance(40) {
            edit.insert(vec![element(&format!("{name}{at}"))]);
        }
    }
    if rng.chance(10) {
        edit.delete(tandem_merge::ALL);
    }
    edit
}

#[test]
fn long_edits_meet_too() {
    let mut rng = Rng::new(7);
    for _ in 0..20_000 {
        let base = list(rng.index(12));
        let (a, b) = (random_edit(&mut rng, &base, "a"), random_edit(&mut rng, &base, "b"));
        meets(NodeId::A, &a, &b, &base).unwrap();
    }
}
