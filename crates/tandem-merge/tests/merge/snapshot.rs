//! Snapshots that are taken piece by piece while writes go on, and replays of the log from their beginning.

use std::collections::BTreeMap;

use tandem_merge::{
    Bytes, Change, Conflict, Content, Key, Kinds, LedgerOp, Origin, Score, Site, Space,
};
use tandem_types::{DbIndex, NodeId, SlotId, WallMillis};

use crate::keyspace::Keyspace;

/// Some slots, as they were when the log had `at` records.
#[derive(Clone, Debug)]
struct Piece {
    first: SlotId,
    last: SlotId,
    at: usize,
    keys: BTreeMap<Key, (Content, Option<WallMillis>)>,
    noted: Vec<u8>,
}

/// A snapshot, whole or not yet.
#[derive(Clone, Debug)]
pub struct Snapshot {
    side: NodeId,
    /// Records of the log when it began.
    pub start: usize,
    head: Vec<u8>,
    pieces: Vec<Piece>,
    next: Option<SlotId>,
}

impl Snapshot {
    pub fn begin(site: &Site, records: usize) -> Self {
        let mut head = Vec::new();
        site.encode(&mut head);
        let (side, next) = (site.side(), Some(SlotId::FIRST));
        Self { side, start: records, head, pieces: Vec::new(), next }
    }

    /// Takes the slots up to that of the next key or of one with something noted of it; `true`: that was all.
    pub fn advance(&mut self, site: &Site, space: &Keyspace, names: &[Key], at: usize) -> bool {
        let Some(first) = self.next else { return true };
        let slots = names.iter().map(Key::slot).filter(|slot| *slot >= first);
        let last = slots.min().unwrap_or(SlotId::LAST);
        let within = |key: &Key| (first..=last).contains(&key.slot());
        let keys = space.keys.iter().filter(|(key, _)| within(key));
        let keys = keys.map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut noted = Vec::new();
        site.encode_slots(first, last, &mut noted);
        self.pieces.push(Piece { first, last, at, keys, noted });
        self.next = last.next();
        self.next.is_none()
    }

    /// What it holds. Some of it is ahead of the log at the beginning.
    pub fn load(&self) -> (Site, Keyspace) {
        let mut site = Site::decode(self.side, 500, &self.head).unwrap();
        let mut space = Keyspace::default();
        for piece in &self.pieces {
            site.load_slots(&piece.noted).unwrap();
            space.keys.extend(piece.keys.clone());
        }
        (site, space)
    }

    /// Records of the log when its last piece was taken.
    pub fn end(&self) -> usize {
        self.pieces.last().map_or(self.start, |piece| piece.at)
    }
}

/// A key space while record number `at` of a log is replayed on a snapshot.
pub struct Replaying<'k> {
    pub space: &'k mut Keyspace,
    pub snapshot: &'k Snapshot,
    pub at: usize,
}

impl Space for Replaying<'_> {
    fn kinds(&self, key: &Key) -> Kinds {
        self.space.kinds(key)
    }

    fn deadline(&self, key: &Key) -> Option<WallMillis> {
        self.space.deadline(key)
    }

    fn string(&self, key: &Key) -> Option<Bytes> {
        self.space.string(key)
    }

    fn field(&self, key: &Key, field: &[u8]) -> Option<Bytes> {
        self.space.field(key, field)
    }

    fn score(&self, key: &Key, member: &[u8]) -> Option<Score> {
        self.space.score(key, member)
    }

    fn content(&self, key: &Key) -> Content {
        self.space.content(key)
    }

    fn change(&mut self, key: &Key, change: Change) {
        assert!(!self.is_ahead(key), "{key:?} came from the snapshot with that in it");
        self.space.change(key, change);
    }

    fn flush(&mut self, db: DbIndex) {
        let ahead: Vec<Key> =
            self.space.keys.keys().filter(|key| self.is_ahead(key)).cloned().collect();
        self.space.keys.retain(|key, _| key.db != db || ahead.contains(key));
    }

    fn enter(&mut self, origin: &Origin, op: &LedgerOp) {
        self.space.enter(origin, op);
    }

    fn told(&mut self, conflicts: &[Conflict]) {
        self.space.told(conflicts);
    }

    fn is_ahead(&self, key: &Key) -> bool {
        let slot = key.slot();
        let piece = self.snapshot.pieces.iter().find(|it| (it.first..=it.last).contains(&slot));
        piece.is_some_and(|piece| piece.at > self.at)
    }
}
