//! The declarative rule, as a function of the whole history: what both sides must come to.
//!
//! Knows nothing of indexes, order of arrival or current values.

use std::collections::{BTreeMap, BTreeSet};

use tandem_merge::{Bytes, Content, Deadline, Key, KeyOp, Number, Op, Origin, Record, Score, Span};
use tandem_types::{NodeId, WallMillis};

/// One operation and where it stands.
#[derive(Clone, Copy)]
struct Atom<'h> {
    origin: Origin,
    number: usize,
    op: &'h Op,
}

impl Atom<'_> {
    fn saw(&self, other: &Self) -> bool {
        if self.origin.side == other.origin.side {
            (other.origin.lsn, other.number) < (self.origin.lsn, self.number)
        } else {
            other.origin.lsn < self.origin.seen
        }
    }
}

/// What the writer of an operation knows, and its record does not say: the whole value that a patch made,
/// the elements that a list edit took out.
#[derive(Clone, Debug, Default)]
pub struct Known {
    pub patched: BTreeMap<(u8, u64, usize), Bytes>,
    pub removed: BTreeMap<(u8, u64, usize), Vec<Bytes>>,
}

impl Known {
    pub fn place(origin: &Origin, number: usize) -> (u8, u64, usize) {
        (origin.side.as_byte(), origin.lsn.get(), number)
    }
}

/// What an operation does to one item.
enum Does {
    Assign(Option<Bytes>),
    Add(Number),
    AddScores(Vec<f64>),
}

/// Content and deadline of every key. Lists come sorted: their order is another matter.
pub fn outcome(history: &[Record], known: &Known) -> BTreeMap<Key, (Content, Option<WallMillis>)> {
    let mut atoms = Vec::new();
    for record in history {
        for (number, op) in record.ops.iter().enumerate() {
            atoms.push(Atom { origin: record.origin, number, op });
        }
    }
    let keys: BTreeSet<&Key> = atoms.iter().filter_map(|atom| key_of(atom.op)).collect();
    let mut outcome = BTreeMap::new();
    for key in keys {
        let concerns = |atom: &&Atom<'_>| match atom.op {
            Op::Key(other, _) => other == key,
            Op::Flush(db) => *db == key.db,
            Op::Ledger(_) => false,
        };
        let atoms: Vec<Atom<'_>> = atoms.iter().filter(concerns).copied().collect();
        let content = content(&atoms, known);
        if !content.kinds().is_empty() {
            outcome.insert(key.clone(), (content, deadline(&atoms).shown()));
        }
    }
    outcome
}

fn key_of(op: &Op) -> Option<&Key> {
    match op {
        Op::Key(key, _) => Some(key),
        Op::Flush(_) | Op::Ledger(_) => None,
    }
}

fn content(atoms: &[Atom<'_>], known: &Known) -> Content {
    let mut content = Content { string: string(atoms, known), ..Content::default() };
    let mut fields = BTreeSet::new();
    let mut members = BTreeSet::new();
    let mut scored = BTreeSet::new();
    for atom in atoms {
        match atom.op {
            Op::Key(_, KeyOp::FieldSet(field, _) | KeyOp::FieldAdd(field, _)) => {
                fields.insert(field.clone());
            }
            Op::Key(_, KeyOp::MemberAdd(member)) => {
                members.insert(member.clone());
            }
            Op::Key(_, KeyOp::ScoreSet(member, _) | KeyOp::ScoreAdd(member, _)) => {
                scored.insert(member.clone());
            }
            Op::Key(_, KeyOp::Restore { content, .. }) => {
                fields.extend(content.hash.keys().cloned());
                members.extend(content.set.iter().cloned());
                scored.extend(content.zset.keys().cloned());
            }
            _ => {}
        }
    }
    for field in fields {
        let does = |atom: &Atom<'_>| match atom.op {
            Op::Key(_, KeyOp::FieldSet(other, value)) if *other == field => {
                Some(Does::Assign(Some(value.clone())))
            }
            Op::Key(_, KeyOp::FieldDel(other)) if *other == field => Some(Does::Assign(None)),
            Op::Key(_, KeyOp::FieldAdd(other, added)) if *other == field => {
                Some(Does::Add(added.delta))
            }
            Op::Key(_, KeyOp::Restore { content, .. }) => {
                Some(Does::Assign(content.hash.get(&field).cloned()))
            }
            op => wipes(op).then_some(Does::Assign(None)),
        };
        if let Some(value) = register(atoms, does) {
            content.hash.insert(field.clone(), value);
        }
    }
    content.set = members.into_iter().filter(|member| is_member(atoms, member)).collect();
    for member in scored {
        if let Some(score) = score(atoms, &member) {
            content.zset.insert(member, Score::new(score));
        }
    }
    content.list = list(atoms, known);
    content
}

/// Assigns or deletes a whole key, other than by a value of the item's own kind.
fn wipes(op: &Op) -> bool {
    matches!(
        op,
        Op::Flush(_)
            | Op::Key(_, KeyOp::Set { .. } | KeyOp::Restore { .. } | KeyOp::Del | KeyOp::Expired)
    )
}

fn string(atoms: &[Atom<'_>], known: &Known) -> Option<Bytes> {
    register(atoms, |atom| match atom.op {
        Op::Key(_, KeyOp::Set { value, .. } | KeyOp::Put(value)) => {
            Some(Does::Assign(Some(value.clone())))
        }
        Op::Key(_, KeyOp::Restore { content, .. }) => Some(Does::Assign(content.string.clone())),
        Op::Key(_, KeyOp::Patch(_)) => {
            let whole = known.patched[&Known::place(&atom.origin, atom.number)].clone();
            Some(Does::Assign(Some(whole)))
        }
        Op::Key(_, KeyOp::Add(added)) => Some(Does::Add(added.delta)),
        op => wipes(op).then_some(Does::Assign(None)),
    })
}

/// The maximal assignments, the greatest value among them, and the additions that no assignment saw.
fn parts<'h>(
    atoms: &[Atom<'h>],
    does: impl Fn(&Atom<'h>) -> Option<Does>,
) -> (Option<Bytes>, Vec<(Atom<'h>, Does)>) {
    let relevant: Vec<(Atom<'_>, Does)> =
        atoms.iter().filter_map(|atom| Some((*atom, does(atom)?))).collect();
    let assigns = || relevant.iter().filter(|(_, does)| matches!(does, Does::Assign(_)));
    let mut best: Option<(&Atom<'_>, &Bytes)> = None;
    for (atom, does) in assigns() {
        let Does::Assign(Some(value)) = does else { continue };
        if assigns().any(|(other, _)| other.saw(atom)) {
            continue;
        }
        let rank = |atom: &Atom<'_>| (atom.origin.stamp, atom.origin.side == NodeId::A);
        if best.is_none_or(|(other, _)| rank(atom) > rank(other)) {
            best = Some((atom, value));
        }
    }
    let base = best.map(|(_, value)| value.clone());
    let assigned: Vec<Atom<'_>> = assigns().map(|(atom, _)| *atom).collect();
    let survives = |atom: &Atom<'_>| !assigned.iter().any(|other| other.saw(atom));
    let added = relevant
        .into_iter()
        .filter(|(atom, does)| !matches!(does, Does::Assign(_)) && survives(atom))
        .collect();
    (base, added)
}

fn register<'h>(atoms: &[Atom<'h>], does: impl Fn(&Atom<'h>) -> Option<Does>) -> Option<Bytes> {
    let (base, added) = parts(atoms, does);
    if added.is_empty() {
        return base;
    }
    let number = match &base {
        None => Number::ZERO,
        Some(text) => match Number::parse(text) {
            Some(number) => number,
            None => return base,
        },
    };
    let sum = added.iter().fold(number, |sum, (_, does)| match does {
        Does::Add(delta) => sum + *delta,
        _ => sum,
    });
    Some(sum.to_text())
}

fn is_member(atoms: &[Atom<'_>], member: &Bytes) -> bool {
    let adds = |atom: &&Atom<'_>| match atom.op {
        Op::Key(_, KeyOp::MemberAdd(other)) => other == member,
        Op::Key(_, KeyOp::Restore { content, .. }) => content.set.contains(member),
        _ => false,
    };
    let removes = |atom: &Atom<'_>| match atom.op {
        Op::Key(_, KeyOp::MemberDel(other)) => other == member,
        op => wipes(op),
    };
    atoms.iter().filter(adds).any(|add| !atoms.iter().any(|it| removes(it) && it.saw(add)))
}

fn score(atoms: &[Atom<'_>], member: &Bytes) -> Option<f64> {
    let bytes = |score: f64| Bytes::from(score.to_le_bytes());
    let (base, mut added) = parts(atoms, |atom| match atom.op {
        Op::Key(_, KeyOp::ScoreSet(other, score)) if other == member => {
            Some(Does::Assign(Some(bytes(*score))))
        }
        Op::Key(_, KeyOp::ScoreDel(other)) if other == member => Some(Does::Assign(None)),
        Op::Key(_, KeyOp::ScoreAdd(other, deltas)) if other == member => {
            Some(Does::AddScores(deltas.clone()))
        }
        Op::Key(_, KeyOp::Restore { content, .. }) => {
            Some(Does::Assign(content.zset.get(member).map(|score| bytes(score.shown()))))
        }
        op => wipes(op).then_some(Does::Assign(None)),
    });
    if base.is_none() && added.is_empty() {
        return None;
    }
    let base = base.map_or(0.0, |bytes| f64::from_le_bytes(bytes.as_ref().try_into().unwrap()));
    added.sort_by_key(|(atom, _)| (atom.origin.lsn, atom.number));
    let total = |side| {
        added.iter().filter(|(atom, _)| atom.origin.side == side).fold(0.0, |sum, (_, does)| {
            match does {
                Does::AddScores(deltas) => deltas.iter().fold(sum, |sum, delta| sum + delta),
                _ => sum,
            }
        })
    };
    let sum: f64 = (base + total(NodeId::A)) + total(NodeId::B);
    Some(if sum.is_nan() { 0.0 } else { sum })
}

/// Every element that was put in and not taken out by anyone who saw it; sorted.
fn list(atoms: &[Atom<'_>], known: &Known) -> Vec<Bytes> {
    let mut left = Vec::new();
    for atom in atoms {
        let inserted = match atom.op {
            Op::Key(_, KeyOp::Restore { content, .. }) => content.list.clone(),
            Op::Key(_, KeyOp::List(spans)) => {
                let mut inserted = Vec::new();
                for span in spans.steps() {
                    if let Span::Insert(elements) = span {
                        inserted.extend(elements.iter().cloned());
                    }
                }
                inserted
            }
            _ => continue,
        };
        for element in inserted {
            let taken = atoms.iter().any(|other| {
                other.saw(atom)
                    && (wipes(other.op)
                        || known
                            .removed
                            .get(&Known::place(&other.origin, other.number))
                            .is_some_and(|removed| removed.contains(&element)))
            });
            if !taken {
                left.push(element);
            }
        }
    }
    left.sort();
    left
}

fn deadline(atoms: &[Atom<'_>]) -> Deadline {
    let says = |atom: &Atom<'_>| match atom.op {
        Op::Key(_, KeyOp::Deadline(deadline)) => Some(*deadline),
        Op::Key(_, KeyOp::Set { deadline, .. } | KeyOp::Restore { deadline, .. }) => {
            Some(Deadline::of(*deadline))
        }
        op => wipes(op).then_some(Deadline::Wiped),
    };
    let said: Vec<(Atom<'_>, Deadline)> =
        atoms.iter().filter_map(|atom| Some((*atom, says(atom)?))).collect();
    let maximal = said.iter().filter(|(atom, _)| !said.iter().any(|(other, _)| other.saw(atom)));
    maximal.map(|(_, deadline)| *deadline).max().unwrap_or(Deadline::Wiped)
}
