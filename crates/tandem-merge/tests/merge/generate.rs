//! Random commands that a client could have given at one node: valid for what that node shows.

use tandem_merge::{
    Added, Bytes, Content, Deadline, Key, KeyOp, Kinds, Number, Op, Patch, Record, Space, Spans,
    apply_own,
};
use tandem_types::{DbIndex, NodeId, WallMillis};

use crate::keyspace::Keyspace;
use crate::rng::Rng;

/// Names of what is new: no two elements that are put into lists have the same.
///
/// That is what tells copies of an element apart: a list that is renamed, or written again as a whole, holds
/// new elements that read the same to a client. The merge goes by places and must not care; so the same history can be
/// run with elements that have one of two names only, and has to come to the same lists.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fresh {
    count: u64,
    alike: bool,
}

impl Fresh {
    pub fn new(alike: bool) -> Self {
        Self { count: 0, alike }
    }

    pub fn next(&mut self) {
        self.count += 1;
    }

    fn element(&self, part: usize) -> Bytes {
        let name = format!("e{}.{part}", self.count);
        if self.alike { alike(name.as_bytes()) } else { Bytes::from(name.into_bytes()) }
    }

    /// The same list, of new elements.
    fn renewed(&mut self, list: &[Bytes]) -> Vec<Bytes> {
        self.next();
        (0..list.len()).map(|part| self.element(part)).collect()
    }

    /// What a node writes again as a whole are new elements.
    pub fn renew(&mut self, again: &mut Record, space: &mut Keyspace) {
        for op in &mut again.ops {
            if let Op::Key(key, KeyOp::Restore { content, .. }) = op
                && let Some((there, _)) = space.keys.get_mut(key)
            {
                content.list = self.renewed(&content.list);
                there.list.clone_from(&content.list);
            }
        }
    }
}

/// The name of an element where those are alike.
pub fn alike(name: &[u8]) -> Bytes {
    let digits: u64 =
        name.iter().filter(|byte| byte.is_ascii_digit()).map(|it| u64::from(*it)).sum();
    Bytes::from(format!("e{}", digits % 2).into_bytes())
}

/// One operation, done, with what only its writer knows.
pub struct Done {
    pub op: Op,
    pub patched: Option<Bytes>,
    pub removed: Vec<Bytes>,
}

/// What kind of data a history is about.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Theme {
    Strings,
    Hashes,
    Sets,
    Zsets,
    Lists,
    Mixed,
}

pub const THEMES: [Theme; 6] =
    [Theme::Strings, Theme::Hashes, Theme::Sets, Theme::Zsets, Theme::Lists, Theme::Mixed];

pub fn key(number: u64) -> Key {
    let db = DbIndex::new(u8::try_from(number / 2).unwrap()).unwrap();
    Key { db, name: format!("k{}", number % 2).into_bytes().into() }
}

/// Makes and does one command's operations; `fresh` names values, so that no two are the same.
pub fn command(
    rng: &mut Rng,
    theme: Theme,
    side: NodeId,
    space: &mut Keyspace,
    fresh: &mut Fresh,
) -> Vec<Done> {
    let count = if rng.chance(85) { 1 } else { 1 + rng.below(3) };
    let mut done = Vec::new();
    for _ in 0..count {
        if rng.chance(2) {
            let op = Op::Flush(DbIndex::new(u8::try_from(rng.below(2)).unwrap()).unwrap());
            perform(side, op, space, &mut done);
            continue;
        }
        if rng.chance(3) {
            rename(rng, side, space, fresh, &mut done);
            continue;
        }
        let key = key(rng.below(3));
        fresh.next();
        if let Some(op) = key_op(rng, theme, space, &key, *fresh) {
            perform(side, Op::Key(key, op), space, &mut done);
        }
    }
    done
}

/// Does it, and notes that the key came or went.
pub fn perform(side: NodeId, op: Op, space: &mut Keyspace, done: &mut Vec<Done>) {
    let Op::Key(key, key_op) = &op else {
        apply_own(side, &op, space);
        done.push(Done { op, patched: None, removed: Vec::new() });
        return;
    };
    let key = key.clone();
    let whole =
        matches!(key_op, KeyOp::Set { .. } | KeyOp::Restore { .. } | KeyOp::Del | KeyOp::Expired);
    let patch = matches!(key_op, KeyOp::Patch(_));
    let list_before = space.content(&key).list;
    let there = !space.kinds(&key).is_empty();
    apply_own(side, &op, space);
    let list_after = space.content(&key).list;
    let removed = list_before.into_iter().filter(|element| !list_after.contains(element)).collect();
    let patched = if patch { space.string(&key) } else { None };
    done.push(Done { op, patched, removed });
    if !whole && there == space.kinds(&key).is_empty() {
        let op = Op::Key(key, KeyOp::Deadline(Deadline::Wiped));
        apply_own(side, &op, space);
        done.push(Done { op, patched: None, removed: Vec::new() });
    }
}

fn rename(
    rng: &mut Rng,
    side: NodeId,
    space: &mut Keyspace,
    fresh: &mut Fresh,
    done: &mut Vec<Done>,
) {
    let (from, to) = (key(rng.below(3)), key(rng.below(3)));
    if from == to || space.kinds(&from).is_empty() {
        return;
    }
    let mut content = Box::new(space.content(&from).settled());
    content.list = fresh.renewed(&content.list);
    let deadline = space.deadline(&from);
    perform(side, Op::Key(from, KeyOp::Del), space, done);
    perform(side, Op::Key(to, KeyOp::Restore { content, deadline }), space, done);
}

fn deadline(rng: &mut Rng) -> Option<WallMillis> {
    rng.chance(30).then(|| WallMillis::new(1 + rng.below(5)))
}

fn key_op(rng: &mut Rng, theme: Theme, space: &Keyspace, key: &Key, fresh: Fresh) -> Option<KeyOp> {
    let kinds = space.kinds(key);
    let there = !kinds.is_empty();
    match rng.below(100) {
        0..10 if there => return Some(KeyOp::Del),
        10..18 if there => {
            let deadline = match rng.below(4) {
                0 => Deadline::Never,
                at => Deadline::At(WallMillis::new(at)),
            };
            return Some(KeyOp::Deadline(deadline));
        }
        18..30 if space.deadline(key).is_some() => return Some(KeyOp::Expired),
        _ => {}
    }
    let kind = match theme {
        Theme::Strings => Kinds::STRING,
        Theme::Hashes => Kinds::HASH,
        Theme::Sets => Kinds::SET,
        Theme::Zsets => Kinds::ZSET,
        Theme::Lists => Kinds::LIST,
        Theme::Mixed => {
            *rng.pick(&[Kinds::STRING, Kinds::HASH, Kinds::SET, Kinds::ZSET, Kinds::LIST])
        }
    };
    let wrong_type = there && kinds.shown() != kind;
    match kind {
        Kinds::STRING if rng.chance(35) => {
            Some(KeyOp::Set { value: text(rng, fresh.count), deadline: deadline(rng) })
        }
        _ if wrong_type => None,
        Kinds::STRING if rng.chance(60) => added(rng, space.string(key)).map(KeyOp::Add),
        Kinds::STRING => Some(KeyOp::Patch(patch(rng, fresh.count))),
        Kinds::HASH => field_op(rng, space, key, fresh.count),
        Kinds::SET => {
            let member = name(rng);
            let is_in = space.content(key).set.contains(&member);
            Some(if is_in && rng.chance(60) {
                KeyOp::MemberDel(member)
            } else {
                KeyOp::MemberAdd(member)
            })
        }
        Kinds::ZSET => Some(score_op(rng, space, key)),
        _ => list_op(rng, &space.content(key), fresh),
    }
}

fn name(rng: &mut Rng) -> Bytes {
    Bytes::from(*rng.pick(&[&b"x"[..], &b"y"[..]]))
}

fn text(rng: &mut Rng, fresh: u64) -> Bytes {
    match rng.below(5) {
        0 => format!("text{fresh}").into_bytes().into(),
        1 => format!("{fresh}.50").into_bytes().into(),
        _ => fresh.to_string().into_bytes().into(),
    }
}

fn added(rng: &mut Rng, current: Option<Bytes>) -> Option<Added> {
    let current = match current {
        None => Number::ZERO,
        Some(text) => Number::parse(&text)?,
    };
    let delta = match rng.below(4) {
        0 => Number::parse(b"0.1").unwrap(),
        1 => Number::from_int(-2),
        2 if rng.chance(10) => Number::from_int(i64::MAX),
        _ => Number::from_int(1),
    };
    Some(Added { delta, result: current + delta })
}

fn patch(rng: &mut Rng, fresh: u64) -> Patch {
    let offset = if rng.chance(60) { Patch::AT_END } else { rng.below(4) };
    Patch { offset, bytes: format!("p{fresh}").into_bytes().into() }
}

fn field_op(rng: &mut Rng, space: &Keyspace, key: &Key, fresh: u64) -> Option<KeyOp> {
    let field = name(rng);
    let current = space.field(key, &field);
    match rng.below(3) {
        0 if current.is_some() => Some(KeyOp::FieldDel(field)),
        1 => added(rng, current).map(|added| KeyOp::FieldAdd(field, added)),
        _ => Some(KeyOp::FieldSet(field, text(rng, fresh))),
    }
}

fn score_op(rng: &mut Rng, space: &Keyspace, key: &Key) -> KeyOp {
    let member = name(rng);
    let is_in = space.score(key, &member).is_some();
    match rng.below(5) {
        0 if is_in => KeyOp::ScoreDel(member),
        1 => KeyOp::ScoreSet(member, *rng.pick(&[0.1, 3.3, -7.7])),
        _ => KeyOp::ScoreAdd(member, vec![*rng.pick(&[0.1, 0.2, 1e15, -1e15, 0.7])]),
    }
}

fn list_op(rng: &mut Rng, content: &Content, fresh: Fresh) -> Option<KeyOp> {
    let list = &content.list;
    let length = u64::try_from(list.len()).unwrap();
    let element = |part| fresh.element(part);
    let mut spans = Spans::new();
    let at = rng.below(length + 1);
    match rng.below(8) {
        0 => spans.insert(vec![element(0)]),
        1 => spans.keep(length).insert(vec![element(0), element(1)]),
        2 if length > 0 => spans.pop(vec![list[0].clone()]),
        3 if length > 0 => spans.keep(length - 1).pop(vec![list[list.len() - 1].clone()]),
        4 if at < length => spans.keep(at).insert(vec![element(0)]).delete(1),
        5 if at < length => spans.keep(at).delete(1 + rng.below(length - at)),
        6 if length > 1 => spans.delete(1).keep(length - 2).delete(1),
        _ => spans.keep(at).insert(vec![element(0)]),
    };
    Some(KeyOp::List(spans))
}
