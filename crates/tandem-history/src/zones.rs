//! Linearizability of a register with unique values, in O(n log n): Gibbons and Korach's zones.
//!
//! For each value let `first_return` be the earliest return, and `last_call` the latest call, among its
//! write and its reads. If `first_return < last_call` the value must have been in the register during
//! that whole *forward zone*; otherwise there is freedom inside the *backward zone* between the two.
//! A history is linearizable exactly if every value read was written, none was returned before its write
//! was called, no two forward zones overlap, and no backward zone lies inside a forward one
//! (P. Gibbons, E. Korach, "Testing Shared Memories", SIAM J. Comput. 26, 1997).
//!
//! Good for whole soak runs: a million operations take a fraction of a second, and an illegal history
//! is named by the pair of values that contradict one another.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Nanos, Operation, Outcome, RegisterAction};

/// Why a history cannot be explained by one register.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Violation {
    /// A value was read that no call of the history wrote (also: a write that was refused, and yet done).
    NeverWritten {
        /// The value.
        value: u64,
    },
    /// The same value was written twice: the history is not fit for this check.
    NotUnique {
        /// The value.
        value: u64,
    },
    /// A read returned a value before the call that wrote it began.
    ReadBeforeWrite {
        /// The value.
        value: u64,
    },
    /// Two values must both have been in the register at one moment.
    BothAtOnce {
        /// One of the values; `None` is the absent key.
        one: Option<u64>,
        /// The other one.
        other: Option<u64>,
    },
    /// A value was in the register only while another one provably was: a stale read or a lost write.
    Inside {
        /// The value that cannot be placed.
        inner: Option<u64>,
        /// The value that was there.
        outer: Option<u64>,
    },
}

#[derive(Clone, Copy, Debug)]
struct Zone {
    value: Option<u64>,
    first_return: Nanos,
    last_call: Nanos,
}

impl Zone {
    fn is_forward(&self) -> bool {
        self.first_return < self.last_call
    }

    fn low(&self) -> Nanos {
        self.first_return.min(self.last_call)
    }

    fn high(&self) -> Nanos {
        self.first_return.max(self.last_call)
    }
}

/// Checks all operations on one key.
pub fn check(operations: &[Operation<RegisterAction>]) -> Result<(), Violation> {
    let mut zones: Vec<Zone> = collect(operations)?;
    zones.sort_by_key(|zone| (zone.low(), zone.high()));
    forward_zones_are_apart(&zones)?;
    no_backward_zone_is_inside(&zones)
}

fn collect(operations: &[Operation<RegisterAction>]) -> Result<Vec<Zone>, Violation> {
    let mut writes: BTreeMap<u64, &Operation<RegisterAction>> = BTreeMap::new();
    for operation in operations {
        if let RegisterAction::Write(value) = operation.action
            && writes.insert(value, operation).is_some()
        {
            return Err(Violation::NotUnique { value });
        }
    }
    let mut zones: BTreeMap<Option<u64>, Zone> = BTreeMap::new();
    for (&value, write) in &writes {
        let zone = Zone {
            value: Some(value),
            first_return: write.outcome.returned_at(),
            last_call: write.called_at,
        };
        zones.insert(Some(value), zone);
    }
    // The absent key is a value written before time began.
    zones.insert(None, Zone { value: None, first_return: 0, last_call: 0 });
    let mut was_read = BTreeSet::new();
    for operation in operations {
        let RegisterAction::Read(value) = operation.action else { continue };
        let Outcome::Returned(returned_at) = operation.outcome else { continue };
        if let Some(number) = value {
            let write = writes.get(&number).ok_or(Violation::NeverWritten { value: number })?;
            if returned_at < write.called_at {
                return Err(Violation::ReadBeforeWrite { value: number });
            }
            was_read.insert(number);
        }
        let zone = zones.get_mut(&value).ok_or(Violation::NeverWritten { value: u64::MAX })?;
        zone.first_return = zone.first_return.min(returned_at);
        zone.last_call = zone.last_call.max(operation.called_at);
    }
    // A write of unknown outcome that nobody saw may never have happened: it binds nothing.
    let happened = |zone: &Zone| {
        let Some(value) = zone.value else { return true };
        was_read.contains(&value)
            || writes.get(&value).is_some_and(|write| write.outcome != Outcome::Unknown)
    };
    Ok(zones.into_values().filter(happened).collect())
}

/// `zones` are sorted by their low end.
fn forward_zones_are_apart(zones: &[Zone]) -> Result<(), Violation> {
    let mut before: Option<&Zone> = None;
    for zone in zones.iter().filter(|zone| zone.is_forward()) {
        if let Some(before) = before
            && zone.low() < before.high()
        {
            return Err(Violation::BothAtOnce { one: before.value, other: zone.value });
        }
        before = Some(zone);
    }
    Ok(())
}

/// `zones` are sorted by their low end, and forward zones are apart.
fn no_backward_zone_is_inside(zones: &[Zone]) -> Result<(), Violation> {
    let forward: Vec<&Zone> = zones.iter().filter(|zone| zone.is_forward()).collect();
    for zone in zones.iter().filter(|zone| !zone.is_forward()) {
        let after = forward.partition_point(|outer| outer.low() < zone.low());
        let Some(outer) = after.checked_sub(1).and_then(|index| forward.get(index)) else {
            continue;
        };
        if zone.high() < outer.high() {
            return Err(Violation::Inside { inner: zone.value, outer: outer.value });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks::Marks;
    use crate::wgl::{self, Register, Verdict};

    fn write(called_at: Nanos, returned_at: Nanos, value: u64) -> Operation<RegisterAction> {
        let outcome = Outcome::Returned(returned_at);
        Operation { called_at, outcome, action: RegisterAction::Write(value) }
    }

    fn read(called_at: Nanos, returned_at: Nanos, value: Option<u64>) -> Operation<RegisterAction> {
        let outcome = Outcome::Returned(returned_at);
        Operation { called_at, outcome, action: RegisterAction::Read(value) }
    }

    fn lost(called_at: Nanos, value: u64) -> Operation<RegisterAction> {
        let action = RegisterAction::Write(value);
        Operation { called_at, outcome: Outcome::Unknown, action }
    }

    #[test]
    fn each_violation_has_its_name() {
        use Violation::{BothAtOnce, Inside, NeverWritten, ReadBeforeWrite};
        let stale = [write(1, 2, 7), write(3, 4, 8), read(5, 6, Some(7))];
        let flip = [
            write(1, 10, 7),
            write(1, 10, 8),
            read(11, 12, Some(7)),
            read(13, 14, Some(8)),
            read(15, 16, Some(7)),
        ];
        let cases = [
            ("sequential", vec![write(1, 2, 7), read(3, 4, Some(7))], Ok(())),
            ("nobody wrote it", vec![read(3, 4, Some(7))], Err(NeverWritten { value: 7 })),
            (
                "from the future",
                vec![read(1, 2, Some(7)), write(3, 4, 7)],
                Err(ReadBeforeWrite { value: 7 }),
            ),
            (
                "lost write",
                vec![write(1, 2, 7), read(3, 4, None)],
                Err(Inside { inner: Some(7), outer: None }),
            ),
            ("stale read", stale.to_vec(), Err(Inside { inner: Some(8), outer: Some(7) })),
            ("back and forth", flip.to_vec(), Err(BothAtOnce { one: Some(7), other: Some(8) })),
            ("unseen unknown", vec![lost(1, 7), read(3, 4, None)], Ok(())),
            (
                "unknown took effect late",
                vec![lost(1, 7), read(3, 4, None), read(5, 6, Some(7))],
                Ok(()),
            ),
            (
                "unknown came and went",
                vec![lost(1, 7), read(3, 4, Some(7)), read(5, 6, None)],
                Err(Inside { inner: Some(7), outer: None }),
            ),
        ];
        for (name, operations, want) in cases {
            let got = check(&operations);
            match (&got, &want) {
                (Err(BothAtOnce { .. }), Err(BothAtOnce { .. })) => {}
                _ => assert_eq!(got, want, "{name}"),
            }
        }
    }

    /// A random small history; about half of them are linearizable.
    fn random_history(rng: &mut Marks) -> Vec<Operation<RegisterAction>> {
        let values = 1 + rng.below(4);
        let horizon = 4 + rng.below(20);
        let mut operations = Vec::new();
        let span = |rng: &mut Marks| {
            let called_at = 1 + rng.below(horizon);
            (called_at, called_at + 1 + rng.below(horizon / 2 + 1))
        };
        for value in 1..=values {
            let (called_at, returned_at) = span(rng);
            operations.push(if rng.below(4) == 0 {
                lost(called_at, value)
            } else {
                write(called_at, returned_at, value)
            });
        }
        for _ in 0..rng.below(5) {
            let (called_at, returned_at) = span(rng);
            let value = Some(rng.below(values + 1)).filter(|&value| value > 0);
            operations.push(read(called_at, returned_at, value));
        }
        operations
    }

    #[test]
    fn zones_and_search_agree_on_random_histories() {
        let mut rng = Marks::new(0x5eed);
        let mut legal = 0;
        let histories = 20_000;
        for number in 0..histories {
            let operations = random_history(&mut rng);
            let by_zones = check(&operations);
            let by_search = wgl::check::<Register>(&operations, 1_000_000);
            assert_eq!(
                by_zones.is_ok(),
                by_search == Verdict::Linearizable,
                "history {number}: zones say {by_zones:?}, search says {by_search:?}: {operations:#?}"
            );
            legal += u32::from(by_zones.is_ok());
        }
        // Both verdicts must be well represented, else the comparison shows nothing.
        assert!(legal > histories / 10 && legal < histories / 10 * 9, "{legal} of {histories}");
    }
}
