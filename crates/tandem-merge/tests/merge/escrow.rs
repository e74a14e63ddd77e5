//! Bounded counters on two sides that crash, lose their link and hear things twice: never oversold.

use std::collections::VecDeque;

use tandem_merge::escrow::{Counter, Generation, Statement};
use tandem_types::{NodeId, Pair, Stamp};

use crate::rng::Rng;

#[derive(Clone)]
struct Half {
    counter: Counter,
    /// What is on disk, and what is written but not synced.
    durable: Counter,
    queue: VecDeque<Statement>,
    /// Sold and answered.
    answered: u64,
    /// Sold since the last sync: not answered yet.
    unanswered: u64,
    sold_out: u64,
}

const SIDES: [NodeId; 2] = [NodeId::A, NodeId::B];

/// Runs one history; `careless`: statements are sent before they are on disk.
pub fn run(seed: u64, careless: bool) -> Result<u64, String> {
    let mut rng = Rng::new(seed);
    let stock = i64::try_from(rng.below(30)).unwrap();
    let generation = Generation { stamp: Stamp::ZERO, by: NodeId::A };
    let percent = u8::try_from(rng.below(101)).unwrap();
    let counter = Counter::create(generation, stock, 0, percent).unwrap();
    let half = Half {
        counter,
        durable: counter,
        queue: VecDeque::new(),
        answered: 0,
        unanswered: 0,
        sold_out: 0,
    };
    let mut halves = Pair { a: half.clone(), b: half };
    let (mut up, mut restocked, mut given) = (true, 0u64, 0u64);
    for _ in 0..120 {
        let side = *rng.pick(&SIDES);
        let half = &mut halves[side];
        match rng.below(10) {
            0..4 => {
                let count = 1 + rng.below(4);
                if half.counter.take(side, count).is_ok() {
                    half.unanswered += count;
                } else {
                    half.sold_out += 1;
                }
            }
            4 if rng.chance(20) => {
                // Answered at once after its sync, so that it cannot be lost.
                let count = rng.below(5);
                half.counter.add(side, count).unwrap();
                restocked += count;
                sync(half);
            }
            5 => {
                let to = if rng.chance(20) { side } else { side.peer() };
                given += u64::from(half.counter.give(side, to, rng.below(6)).is_ok());
            }
            6 => sync(half),
            7 if up => {
                let from = if careless { &half.counter } else { &half.durable };
                let statement = from.statement(side);
                half.queue.push_back(statement);
            }
            8 => {
                if let Some(statement) = half.queue.pop_front() {
                    if rng.chance(20) {
                        half.queue.push_back(statement);
                    }
                    halves[side.peer()].counter.merge(&statement);
                }
            }
            9 if rng.chance(30) => {
                up = !up;
                halves.a.queue.clear();
                halves.b.queue.clear();
            }
            9 if rng.chance(30) => {
                half.counter = half.durable;
                half.unanswered = 0;
            }
            _ => {}
        }
        let sold = halves.a.answered + halves.b.answered;
        if sold > u64::try_from(stock).unwrap() + restocked {
            return Err(format!("seed {seed}: {sold} sold of {stock} and {restocked}"));
        }
    }
    for side in SIDES {
        sync(&mut halves[side]);
        let statement = halves[side].durable.statement(side);
        halves[side.peer()].counter.merge(&statement);
        sync(&mut halves[side.peer()]);
    }
    let (a, b) = (halves.a.counter, halves.b.counter);
    let sold = halves.a.answered + halves.b.answered;
    let want = i128::from(stock) + i128::from(restocked) - i128::from(sold);
    if a != b || a.value() != want || want < 0 {
        return Err(format!("seed {seed}: {a:?} {b:?}, value {} want {want}", a.value()));
    }
    assert!(given < 200);
    Ok(sold)
}

fn sync(half: &mut Half) {
    half.durable = half.counter;
    half.answered += std::mem::take(&mut half.unanswered);
}

#[test]
fn nothing_is_ever_oversold() {
    let sold: u64 = (0..20_000).map(|seed| run(seed, false).unwrap()).sum();
    println!("20000 histories, {sold} sold");
}

#[test]
fn with_the_link_up_the_last_unit_sells_anywhere() {
    use tandem_merge::escrow::{Ask, grant};
    let generation = Generation { stamp: Stamp::ZERO, by: NodeId::A };
    let counter = Counter::create(generation, 100, 0, 50).unwrap();
    let mut halves = Pair { a: counter, b: counter };
    let mut sold = 0;
    // A sells alone at first, then both try: each buyer waits for rights from the other side.
    for number in 0..300 {
        let side = if number < 120 { NodeId::A } else { SIDES[number % 2] };
        if halves[side].take(side, 1).is_err() {
            let donor = side.peer();
            let ask = Ask { have: halves[side].rights(side), want: 1, per_second: 5.0 };
            let rights = halves[donor].rights(donor);
            let count = grant(rights, 5.0, &ask);
            let statement = halves[donor].give(donor, side, count).unwrap();
            halves[side].merge(&statement);
            if halves[side].take(side, 1).is_err() {
                continue;
            }
        }
        sold += 1;
        let statement = halves[side].statement(side);
        halves[side.peer()].merge(&statement);
    }
    assert_eq!((sold, halves.a.value(), halves.b.value()), (100, 0, 0));
}
