//! Who asks for rights, who grants them, and when: a state machine without clock or wire.
//!
//! ```text
//!   used, short, link, tick -> step -> Ask (written as a statement, so it travels like any write)
//!   the peer's ask, tick    -> step -> Give (the caller lets the counter give, and writes that)
//! ```
//! An ask is lost with its side's memory, and that is all: the next use asks again.
//!
//! **Not here:** the counters themselves; that a grant is on disk before the peer hears of it.

use std::collections::{BTreeMap, BTreeSet};

use tandem_types::{Monotonic, NodeId};

use super::{Ask, Counter, Demand, GRANT_EVERY, grant};
use crate::item::Key;

/// Counters whose use is remembered. Beyond it, use that has faded is forgotten.
const REMEMBERED_MAX: usize = 10_000;
/// Use below this many a second is none.
const FADED_PER_SECOND: f64 = 0.05;

/// An ask, with the counter it is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// Which counter.
    pub key: Key,
    /// How much.
    pub ask: Ask,
}

/// What happens.
#[derive(Clone, Copy, Debug)]
pub enum Input<'i> {
    /// So many were taken here.
    Used(&'i Key, u64),
    /// A client here wants more than there is; until then it waits for it.
    Short(&'i Key, u64, Monotonic),
    /// The peer asks.
    Asked(&'i Asked),
    /// The link to the peer came up, or went.
    Link(bool),
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Tell the peer.
    Ask(Asked),
    /// Give the peer so many rights.
    Give(Key, u64),
}

/// What is known of one counter's use.
#[derive(Clone, Copy, Debug)]
struct Use {
    demand: Demand,
    /// What clients wait for, and until when.
    want: u64,
    want_until: Monotonic,
    asked_at: Option<Monotonic>,
    granted_at: Option<Monotonic>,
}

/// The use of all counters of one side.
#[derive(Clone, Debug)]
pub struct Rebalance {
    side: NodeId,
    link_up: bool,
    uses: BTreeMap<Key, Use>,
    /// Counters that may have to ask.
    low: BTreeSet<Key>,
    /// What the peer asked and did not get yet.
    asked: BTreeMap<Key, Ask>,
}

impl Rebalance {
    /// Nothing was used yet; the link is taken to be down.
    pub const fn new(side: NodeId) -> Self {
        Self {
            side,
            link_up: false,
            uses: BTreeMap::new(),
            low: BTreeSet::new(),
            asked: BTreeMap::new(),
        }
    }

    /// Whether a tick can have an effect.
    pub fn is_busy(&self) -> bool {
        self.link_up && !(self.low.is_empty() && self.asked.is_empty())
    }

    /// Whether the link is up.
    pub const fn link_up(&self) -> bool {
        self.link_up
    }

    /// How fast this side uses a counter.
    pub fn per_second(&self, now: Monotonic, key: &Key) -> f64 {
        self.uses.get(key).map_or(0.0, |known| known.demand.per_second(now))
    }

    /// Advances by one input at `now`, appending what must be done to `out`. `counter` tells what this side
    /// knows of one.
    pub fn step(
        &mut self,
        now: Monotonic,
        input: Input<'_>,
        counter: &dyn Fn(&Key) -> Option<Counter>,
        out: &mut Vec<Output>,
    ) {
        match input {
            Input::Used(key, count) => {
                let known = self.known(now, key);
                known.demand.note(now, count);
                let per_second = known.demand.per_second(now);
                if let Some(counter) = counter(key)
                    && (Ask { have: counter.rights(self.side), want: 0, per_second }).is_due()
                {
                    self.low.insert(key.clone());
                }
            }
            Input::Short(key, want, until) => {
                let known = self.known(now, key);
                // Whoever waits is served again and again: it counts as use once.
                if known.want_until <= now {
                    known.demand.note(now, want);
                    known.want = 0;
                }
                known.want = known.want.max(want);
                known.want_until = known.want_until.max(until);
                self.low.insert(key.clone());
            }
            Input::Asked(asked) => drop(self.asked.insert(asked.key.clone(), asked.ask)),
            Input::Link(up) => self.link_up = up,
            Input::Tick => {
                self.ask(now, counter, out);
                self.grant(now, counter, out);
            }
        }
    }

    fn known(&mut self, now: Monotonic, key: &Key) -> &mut Use {
        if self.uses.len() >= REMEMBERED_MAX && !self.uses.contains_key(key) {
            self.uses.retain(|_, known| known.demand.per_second(now) > FADED_PER_SECOND);
        }
        self.uses.entry(key.clone()).or_insert_with(|| Use {
            demand: Demand::new(now),
            want: 0,
            want_until: Monotonic::ZERO,
            asked_at: None,
            granted_at: None,
        })
    }

    fn ask(
        &mut self,
        now: Monotonic,
        counter: &dyn Fn(&Key) -> Option<Counter>,
        out: &mut Vec<Output>,
    ) {
        if !self.link_up {
            return;
        }
        let (side, uses) = (self.side, &mut self.uses);
        self.low.retain(|key| {
            let (Some(known), Some(counter)) = (uses.get_mut(key), counter(key)) else {
                return false;
            };
            let have = counter.rights(side);
            let waits =
                now < known.want_until || known.asked_at.is_none_or(|at| at < known.want_until);
            let want = if waits { known.want } else { 0 };
            let ask = Ask { have, want, per_second: known.demand.per_second(now) };
            if !ask.is_due() {
                return false;
            }
            if is_time(known.asked_at, now) && counter.rights(side.peer()) > 0 {
                known.asked_at = Some(now);
                out.push(Output::Ask(Asked { key: key.clone(), ask }));
            }
            true
        });
    }

    fn grant(
        &mut self,
        now: Monotonic,
        counter: &dyn Fn(&Key) -> Option<Counter>,
        out: &mut Vec<Output>,
    ) {
        if !self.link_up {
            return;
        }
        for (key, ask) in std::mem::take(&mut self.asked) {
            let Some(counter) = counter(&key) else { continue };
            let known = self.known(now, &key);
            if !is_time(known.granted_at, now) {
                self.asked.insert(key, ask);
                continue;
            }
            let count = grant(counter.rights(self.side), self.per_second(now, &key), &ask);
            if count > 0 {
                self.known(now, &key).granted_at = Some(now);
                out.push(Output::Give(key, count));
            }
        }
    }
}

/// Whether enough time has passed since `last`. A clock that went back has passed enough.
fn is_time(last: Option<Monotonic>, now: Monotonic) -> bool {
    last.is_none_or(|last| now < last || now.since(last) >= GRANT_EVERY)
}

#[cfg(test)]
mod tests {
    use tandem_types::{DbIndex, Pair, Stamp};

    use super::*;
    use crate::escrow::Generation;

    const fn at(ms: u64) -> Monotonic {
        Monotonic::from_millis(ms)
    }

    fn key() -> Key {
        Key { db: DbIndex::ZERO, name: b"stock".as_slice().into() }
    }

    /// Two sides and their knowledge of one counter, joined by a link that takes no time.
    struct World {
        counters: Pair<Counter>,
        sides: Pair<Rebalance>,
    }

    impl World {
        fn new(value: i64, percent_a: u8) -> Self {
            let generation = Generation { stamp: Stamp::new(1), by: NodeId::A };
            let counter = Counter::create(generation, value, 0, percent_a).unwrap();
            let mut sides = Pair { a: Rebalance::new(NodeId::A), b: Rebalance::new(NodeId::B) };
            for side in [NodeId::A, NodeId::B] {
                sides[side].step(at(0), Input::Link(true), &|_| None, &mut Vec::new());
            }
            Self { counters: Pair { a: counter, b: counter }, sides }
        }

        fn input(&mut self, now: Monotonic, side: NodeId, input: Input<'_>) -> Vec<Output> {
            let (mut out, counter) = (Vec::new(), self.counters[side]);
            self.sides[side].step(now, input, &|_| Some(counter), &mut out);
            out
        }

        /// Ticks `side`; what it says reaches the peer at once. Says how many rights moved.
        fn tick(&mut self, now: Monotonic, side: NodeId) -> u64 {
            let mut moved = 0;
            for output in self.input(now, side, Input::Tick) {
                match output {
                    Output::Ask(asked) => {
                        drop(self.input(now, side.peer(), Input::Asked(&asked)));
                    }
                    Output::Give(_, count) => {
                        let statement = self.counters[side].give(side, side.peer(), count).unwrap();
                        self.counters[side.peer()].merge(&statement);
                        moved += count;
                    }
                }
            }
            moved
        }

        fn buy(&mut self, now: Monotonic, side: NodeId) -> bool {
            let taken = self.counters[side].take(side, 1);
            if let Ok(statement) = taken {
                self.counters[side.peer()].merge(&statement);
                drop(self.input(now, side, Input::Used(&key(), 1)));
            } else {
                drop(self.input(now, side, Input::Short(&key(), 1, now)));
            }
            taken.is_ok()
        }
    }

    #[test]
    fn the_last_unit_is_sold_at_either_side() {
        let mut world = World::new(100, 0);
        let mut sold = 0;
        for turn in 0..2_000 {
            let now = at(turn * 10);
            sold += u64::from(world.buy(now, NodeId::A));
            sold += u64::from(turn % 7 == 0 && world.buy(now, NodeId::B));
            for side in [NodeId::A, NodeId::B] {
                world.tick(now, side);
            }
        }
        assert_eq!(sold, 100);
        assert_eq!(world.counters.a.value(), 0);
    }

    #[test]
    fn nobody_asks_while_the_link_is_down_and_one_grant_leaves_in_100_ms() {
        let mut world = World::new(100, 0);
        drop(world.input(at(0), NodeId::A, Input::Link(false)));
        assert!(!world.buy(at(0), NodeId::A));
        assert_eq!(world.input(at(0), NodeId::A, Input::Tick), []);
        drop(world.input(at(1), NodeId::A, Input::Link(true)));
        let asks = world.input(at(1), NodeId::A, Input::Tick);
        let [Output::Ask(asked)] = asks.as_slice() else { panic!("{asks:?}") };
        for now in [at(1), at(2)] {
            drop(world.input(now, NodeId::B, Input::Asked(asked)));
        }
        assert!(world.tick(at(2), NodeId::B) > 0);
        drop(world.input(at(3), NodeId::B, Input::Asked(asked)));
        assert_eq!(world.tick(at(3), NodeId::B), 0, "one just left");
        world.tick(at(150), NodeId::B);
        assert!(!world.sides.b.is_busy(), "an ask is answered once");
    }

    #[test]
    fn rights_follow_the_use() {
        let mut world = World::new(1_000, 50);
        for turn in 0..500 {
            let now = at(turn * 20);
            assert!(world.buy(now, NodeId::A), "{turn}: {:?}", world.counters.a);
            for side in [NodeId::A, NodeId::B] {
                world.tick(now, side);
            }
        }
        assert_eq!(world.counters.a.value(), 500);
    }
}
