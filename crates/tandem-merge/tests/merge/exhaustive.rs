//! Every program of a few writes on each side, under every order of writes and deliveries.
//!
//! `TANDEM_EXHAUSTIVE=1` takes three writes against two or three instead of two against one or two.

use std::time::Instant;

use tandem_merge::{
    Added, Bytes, Chunk, Deadline, Key, KeyOp, Number, Op, Patch, Record, Site, Space, Spans,
};
use tandem_types::{NodeId, Pair, WallMillis};

use crate::generate::{Done, key, perform};
use crate::keyspace::{Keyspace, shown};
use crate::oracle::{self, Known};

/// One write of a program; `None` from it: not possible as things are there.
type Write = fn(&Keyspace, &Key, u64) -> Option<KeyOp>;

fn bytes(text: &str) -> Bytes {
    Bytes::from(text.as_bytes())
}

fn set(_: &Keyspace, _: &Key, fresh: u64) -> Option<KeyOp> {
    Some(KeyOp::Set { value: bytes(&fresh.to_string()), deadline: None })
}

fn set_until(_: &Keyspace, _: &Key, fresh: u64) -> Option<KeyOp> {
    let deadline = Some(WallMillis::new(fresh));
    Some(KeyOp::Set { value: bytes(&fresh.to_string()), deadline })
}

fn del(space: &Keyspace, key: &Key, _: u64) -> Option<KeyOp> {
    (!space.kinds(key).is_empty()).then_some(KeyOp::Del)
}

fn add(space: &Keyspace, key: &Key, _: u64) -> Option<KeyOp> {
    let current = match space.string(key) {
        None => Number::ZERO,
        Some(text) => Number::parse(&text)?,
    };
    let delta = Number::from_int(1);
    Some(KeyOp::Add(Added { delta, result: current + delta }))
}

fn append(_: &Keyspace, _: &Key, fresh: u64) -> Option<KeyOp> {
    Some(KeyOp::Patch(Patch { offset: Patch::AT_END, bytes: bytes(&format!("p{fresh}")) }))
}

fn expire(space: &Keyspace, key: &Key, fresh: u64) -> Option<KeyOp> {
    let deadline = Deadline::At(WallMillis::new(fresh));
    (!space.kinds(key).is_empty()).then_some(KeyOp::Deadline(deadline))
}

fn persist(space: &Keyspace, key: &Key, _: u64) -> Option<KeyOp> {
    space.deadline(key).map(|_| KeyOp::Deadline(Deadline::Never))
}

fn expired(space: &Keyspace, key: &Key, _: u64) -> Option<KeyOp> {
    space.deadline(key).map(|_| KeyOp::Expired)
}

fn field_set(_: &Keyspace, _: &Key, fresh: u64) -> Option<KeyOp> {
    Some(KeyOp::FieldSet(bytes("f"), bytes(&fresh.to_string())))
}

fn field_del(space: &Keyspace, key: &Key, _: u64) -> Option<KeyOp> {
    space.field(key, b"f").map(|_| KeyOp::FieldDel(bytes("f")))
}

fn field_add(space: &Keyspace, key: &Key, _: u64) -> Option<KeyOp> {
    let current = space.field(key, b"f").map_or(Some(Number::ZERO), |text| Number::parse(&text))?;
    let delta = Number::from_int(1);
    Some(KeyOp::FieldAdd(bytes("f"), Added { delta, result: current + delta }))
}

fn member_add(_: &Keyspace, _: &Key, _: u64) -> Option<KeyOp> {
    Some(KeyOp::MemberAdd(bytes("m")))
}

fn other_add(_: &Keyspace, _: &Key, _: u64) -> Option<KeyOp> {
    Some(KeyOp::MemberAdd(bytes("n")))
}

fn member_del(space: &Keyspace, key: &Key, _: u64) -> Option<KeyOp> {
    space.content(key).set.contains(&b"m"[..]).then_some(KeyOp::MemberDel(bytes("m")))
}

fn score_set(_: &Keyspace, _: &Key, fresh: u64) -> Option<KeyOp> {
    Some(KeyOp::ScoreSet(bytes("m"), [0.1, 0.3, 7.7][usize::try_from(fresh % 3).unwrap()]))
}

fn score_add(_: &Keyspace, _: &Key, fresh: u64) -> Option<KeyOp> {
    let delta = [0.1, 0.2, 1e15][usize::try_from(fresh % 3).unwrap()];
    Some(KeyOp::ScoreAdd(bytes("m"), vec![delta]))
}

fn score_del(space: &Keyspace, key: &Key, _: u64) -> Option<KeyOp> {
    space.score(key, b"m").map(|_| KeyOp::ScoreDel(bytes("m")))
}

fn push_front(_: &Keyspace, _: &Key, fresh: u64) -> Option<KeyOp> {
    let mut spans = Spans::new();
    spans.insert(vec![bytes(&format!("e{fresh}"))]);
    Some(KeyOp::List(spans))
}

fn push_back(space: &Keyspace, key: &Key, fresh: u64) -> Option<KeyOp> {
    let mut spans = Spans::new();
    let length = u64::try_from(space.content(key).list.len()).unwrap();
    spans.keep(length).insert(vec![bytes(&format!("e{fresh}"))]);
    Some(KeyOp::List(spans))
}

fn pop_front(space: &Keyspace, key: &Key, _: u64) -> Option<KeyOp> {
    let first = space.content(key).list.first()?.clone();
    let mut spans = Spans::new();
    spans.pop(vec![first]);
    Some(KeyOp::List(spans))
}

fn set_last(space: &Keyspace, key: &Key, fresh: u64) -> Option<KeyOp> {
    let length = u64::try_from(space.content(key).list.len()).unwrap();
    let mut spans = Spans::new();
    spans.keep(length.checked_sub(1)?).insert(vec![bytes(&format!("e{fresh}"))]).delete(1);
    Some(KeyOp::List(spans))
}

const ALPHABETS: &[(&str, &[Write])] = &[
    ("register", &[set, del, add]),
    ("patch", &[set, append, add, del]),
    ("deadline", &[set_until, expire, persist, del, expired]),
    ("field", &[field_set, field_del, field_add]),
    ("set", &[member_add, member_del]),
    ("set and deadline", &[member_add, other_add, member_del, expire, expired]),
    ("score", &[score_set, score_add, score_del]),
    ("list", &[push_front, push_back, pop_front, set_last]),
    ("list and del", &[push_front, pop_front, del]),
    ("two types", &[set, member_add, field_set, del]),
];

#[derive(Clone)]
struct Half {
    site: Site,
    space: Keyspace,
    own: Vec<Record>,
    written: usize,
    sent: usize,
    wall: u64,
}

#[derive(Clone)]
struct Play<'p> {
    programs: Pair<&'p [Write]>,
    halves: Pair<Half>,
    known: Known,
    fresh: u64,
}

const SIDES: [NodeId; 2] = [NodeId::A, NodeId::B];

impl Play<'_> {
    fn write(&mut self, side: NodeId) {
        let half = &mut self.halves[side];
        let write = self.programs[side][half.written];
        half.written += 1;
        self.fresh += 1;
        let Some(op) = write(&half.space, &key(0), self.fresh) else { return };
        let origin = half.site.begin(WallMillis::new(half.wall));
        let mut done: Vec<Done> = Vec::new();
        perform(side, Op::Key(key(0), op), &mut half.space, &mut done);
        let mut ops = Vec::new();
        for (number, done) in done.into_iter().enumerate() {
            let place = Known::place(&origin, number);
            self.known.patched.extend(done.patched.map(|whole| (place, whole)));
            self.known.removed.insert(place, done.removed);
            ops.push(done.op);
        }
        let record = Record { origin, ops };
        half.site.note(&record);
        half.own.push(record);
    }

    fn deliver(&mut self, side: NodeId) {
        let record = self.halves[side].own[self.halves[side].sent].clone();
        self.halves[side].sent += 1;
        let half = &mut self.halves[side.peer()];
        let wall = WallMillis::new(half.wall);
        let merged = half.site.merge(&Chunk::of(record), wall, &mut half.space);
        half.own.extend(half.site.again(&merged, wall, &mut half.space));
    }

    fn can_deliver(&self, side: NodeId) -> bool {
        self.halves[side].sent < self.halves[side].own.len()
    }

    /// Every schedule from here; how many there are.
    fn schedules(&self) -> Result<u64, String> {
        let mut count = 0;
        for side in SIDES {
            if self.halves[side].written < self.programs[side].len() {
                let mut next = self.clone();
                next.write(side);
                count += next.schedules()?;
            }
        }
        if count == 0 {
            // All is written: from here every order of deliveries comes to the same, one is enough.
            let mut end = self.clone();
            while let Some(side) = SIDES.into_iter().find(|side| end.can_deliver(*side)) {
                end.deliver(side);
            }
            return end.check().map(|()| 1);
        }
        for side in SIDES {
            if self.can_deliver(side) {
                let mut next = self.clone();
                next.deliver(side);
                count += next.schedules()?;
            }
        }
        Ok(count)
    }

    fn check(&self) -> Result<(), String> {
        let (a, b) = (&self.halves.a, &self.halves.b);
        let history: Vec<Record> = a.own.iter().chain(&b.own).cloned().collect();
        let mut found = shown(&a.space);
        for (content, _) in found.values_mut() {
            content.list.sort();
        }
        let want = oracle::outcome(&history, &self.known);
        if a.space == b.space && want == found {
            return Ok(());
        }
        Err(format!("{history:#?}\nA {:?}\nB {:?}\nrule {want:?}", a.space, b.space))
    }
}

/// Every program of so many writes, every schedule, three differences of the clocks.
pub fn all(alphabet: &[Write], a_writes: u32, b_writes: u32) -> Result<u64, String> {
    let letters = alphabet.len();
    let mut count = 0;
    for program in 0..letters.pow(a_writes + b_writes) {
        let mut rest = program;
        let mut writes = Vec::new();
        for _ in 0..a_writes + b_writes {
            writes.push(alphabet[rest % letters]);
            rest /= letters;
        }
        let (a, b) = writes.split_at(usize::try_from(a_writes).unwrap());
        for b_wall in [1_000, 2_000, 0] {
            let half = |side, wall| Half {
                site: Site::new(side, 500),
                space: Keyspace::default(),
                own: Vec::new(),
                written: 0,
                sent: 0,
                wall,
            };
            let play = Play {
                programs: Pair { a, b },
                halves: Pair { a: half(NodeId::A, 1_000), b: half(NodeId::B, b_wall) },
                known: Known::default(),
                fresh: 0,
            };
            count += play.schedules()?;
        }
    }
    Ok(count)
}

#[test]
fn every_small_program_under_every_schedule() {
    let deep = std::env::var_os("TANDEM_EXHAUSTIVE").is_some();
    for (name, alphabet) in ALPHABETS {
        let begun = Instant::now();
        let sizes: &[(u32, u32)] = match (deep, alphabet.len()) {
            (true, ..3) => &[(3, 3)],
            (true, _) => &[(3, 2), (2, 3)],
            (false, ..4) => &[(2, 2)],
            (false, _) => &[(2, 1), (1, 2)],
        };
        for (a_writes, b_writes) in sizes {
            match all(alphabet, *a_writes, *b_writes) {
                Ok(count) => println!(
                    "{name} {a_writes}+{b_writes}: {count} schedules in {:?}",
                    begun.elapsed()
                ),
                Err(error) => panic!("{name}: {error}"),
            }
        }
    }
}
