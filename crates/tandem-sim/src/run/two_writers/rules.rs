//! What the end must be, by what clients were told and what each record had seen.

use std::collections::BTreeSet;

use super::account::{Account, Entry, Queue};
use super::deeds::{Place, Sum};
use super::{Saw, Stand};

/// Writes of unknown outcome of which all combinations are tried.
const UNKNOWN_MAX: usize = 16;

/// One entry of a node's conflict log.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) kind: String,
    pub(super) key: String,
    pub(super) part: Option<String>,
    pub(super) values: [Option<String>; 2],
}

/// What both nodes hold in the end.
#[derive(Debug, Default)]
pub(super) struct End {
    pub(super) sums: Vec<(Sum, i64)>,
    pub(super) stocks: Vec<(u64, i64)>,
    pub(super) places: Vec<(Place, Option<u64>)>,
    pub(super) members: BTreeSet<u64>,
    pub(super) lists: Vec<(u64, Vec<u64>)>,
    /// Of both logs.
    pub(super) conflicts: Vec<Told>,
}

type Verdict = Result<(), String>;

fn fail(text: String) -> Verdict {
    Err(text)
}

impl Account {
    /// All of it.
    pub(super) fn explains(&self, end: &End) -> Verdict {
        for (sum, value) in &end.sums {
            adds_up(self.sums.get(sum).map_or(&[], Vec::as_slice), *value)
                .map_err(|why| format!("{sum:?}: {why}"))?;
        }
        for (key, value) in &end.stocks {
            if *value < 0 {
                return fail(format!("stock:{key} is {value}: more was sold than there was"));
            }
            adds_up(self.stocks.get(key).map_or(&[], Vec::as_slice), *value)
                .map_err(|why| format!("stock:{key}: {why}"))?;
        }
        for (place, value) in &end.places {
            let entries = self.places.get(place).map_or(&[][..], Vec::as_slice);
            self.last_word(*place, entries, *value, &end.conflicts)
                .map_err(|why| format!("{place:?}: {why}"))?;
        }
        let both: Vec<_> =
            end.places.iter().filter(|(it, _)| matches!(it, Place::Both(_))).collect();
        if both.windows(2).any(|pair| pair[0].1 != pair[1].1) {
            return fail(format!("two keys that are always written together differ: {both:?}"));
        }
        for (member, entries) in &self.members {
            is_member(entries, end.members.contains(member))
                .map_err(|why| format!("member {member}: {why}"))?;
        }
        let nothing = Queue::default();
        for (key, list) in &end.lists {
            let queue = self.queues.get(key).unwrap_or(&nothing);
            self.in_turn(*key, queue, list, &end.conflicts)
                .map_err(|why| format!("list:{key}: {why}"))?;
        }
        self.only_one(&end.conflicts)
    }

    /// Something that holds one value: the last word stays; a word that nobody saw and that did not stay is told.
    fn last_word(
        &self,
        place: Place,
        entries: &[Entry<Option<u64>>],
        found: Option<u64>,
        conflicts: &[Told],
    ) -> Verdict {
        if let Some(value) = found {
            let Some(from) = entries.iter().find(|it| it.what == Some(value)) else {
                return fail(format!("it holds {value}, which nobody wrote"));
            };
            let over = entries.iter().find(|it| it.acknowledged && saw(it, from) == Saw::Yes);
            if let Some(over) = over {
                return fail(format!("{value} is back: it was there when {over:?} was written"));
            }
        }
        let (key, part) = place.names();
        for entry in entries.iter().filter(|it| it.acknowledged) {
            let Some(value) = entry.what.filter(|_| entry.what != found) else { continue };
            let seen = entries.iter().any(|other| saw(other, entry) != Saw::No);
            let text = Some(value.to_string());
            let told = conflicts
                .iter()
                .any(|it| it.key == key && it.part == part && it.values.contains(&text));
            if !seen && !told && !self.log_may_lack {
                return fail(format!(
                    "{value} was acknowledged, nobody wrote over it, it is not there ({found:?}), and no conflict tells of it: {entry:?}"
                ));
            }
            if !seen && found.is_none() {
                return fail(format!("{value} is gone, and whoever took it had not seen it"));
            }
        }
        Ok(())
    }

    fn in_turn(&self, key: u64, queue: &Queue, list: &[u64], conflicts: &[Told]) -> Verdict {
        let there: BTreeSet<u64> = list.iter().copied().collect();
        if there.len() != list.len() {
            return fail(format!("an element is in it twice: {list:?}"));
        }
        let known = |element: &u64| queue.pushed.iter().any(|it| it.what == *element);
        if let Some(element) = there.iter().find(|it| !known(it)) {
            return fail(format!("it holds {element}, which nobody pushed"));
        }
        let popped: BTreeSet<u64> = queue.popped.iter().copied().collect();
        if let Some(element) = there.intersection(&popped).next() {
            return fail(format!("{element} was popped and is back"));
        }
        let gone = queue.pushed.iter().filter(|it| it.acknowledged);
        let gone: Vec<u64> = gone
            .map(|it| it.what)
            .filter(|it| !there.contains(it) && !popped.contains(it))
            .collect();
        if gone.len() > queue.pops_unknown {
            return fail(format!(
                "{gone:?} are gone, and of {} pops nobody knows what they took",
                queue.pops_unknown
            ));
        }
        for element in &popped {
            let times = queue.popped.iter().filter(|it| *it == element).count();
            let text = Some(element.to_string());
            let told = conflicts.iter().any(|it| {
                it.kind == "double-pop"
                    && it.key == format!("list:{key}")
                    && it.values.contains(&text)
            });
            if times > 2 || (times == 2 && !told && !self.log_may_lack) {
                return fail(format!("{element} was popped {times} times, told: {told}"));
            }
        }
        Ok(())
    }

    fn only_one(&self, conflicts: &[Told]) -> Verdict {
        if let Some((key, times)) = self.locks.iter().find(|(_, times)| **times > 1) {
            return fail(format!("lock:{key} was given {times} times"));
        }
        for (key, times) in self.claims.iter().filter(|(_, times)| **times > 1) {
            let told =
                conflicts.iter().any(|it| it.kind == "nx" && it.key == format!("claim:{key}"));
            if *times > 2 || (!told && !self.log_may_lack) {
                return fail(format!("claim:{key} was given {times} times, told: {told}"));
            }
        }
        Ok(())
    }
}

fn saw<T>(one: &Entry<T>, other: &Entry<T>) -> Saw {
    let of = |it: &Entry<T>| -> Stand { it.stand };
    of(one).saw(&of(other))
}

/// What was acknowledged counts once; what nobody knows of, once or not at all.
fn adds_up(entries: &[Entry<i64>], found: i64) -> Verdict {
    let of = |acknowledged: bool| {
        entries.iter().filter(move |it| it.acknowledged == acknowledged).map(|it| it.what)
    };
    let known: i64 = of(true).sum();
    let unknown: Vec<i64> = of(false).collect();
    let rest = found - known;
    let fits = if unknown.len() > UNKNOWN_MAX {
        let low: i64 = unknown.iter().filter(|it| **it < 0).sum();
        let high: i64 = unknown.iter().filter(|it| **it > 0).sum();
        (low..=high).contains(&rest)
    } else {
        let mut sums = BTreeSet::from([0]);
        for by in &unknown {
            let with: Vec<i64> = sums.iter().map(|sum| sum + by).collect();
            sums.extend(with);
        }
        sums.contains(&rest)
    };
    if fits {
        return Ok(());
    }
    fail(format!("it is {found}, acknowledged are {known}, of unknown outcome {unknown:?}"))
}

/// In if some addition was seen by no removal.
fn is_member(entries: &[Entry<bool>], found: bool) -> Verdict {
    let added = || entries.iter().filter(|it| it.what);
    let removed = || entries.iter().filter(|it| !it.what);
    let stays = added()
        .find(|add| add.acknowledged && removed().all(|removal| saw(removal, add) == Saw::No));
    if let (Some(add), false) = (stays, found) {
        return fail(format!("it is not in, and no removal saw {add:?}"));
    }
    let gone = added()
        .all(|add| removed().any(|removal| removal.acknowledged && saw(removal, add) == Saw::Yes));
    if found && gone {
        return fail("it is in, although every addition was seen by a removal".to_owned());
    }
    Ok(())
}
