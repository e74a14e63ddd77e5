//! Two stores that both run commands, and the link between them.

use tandem_merge::{Chunk, Conflict, Content, Key, Record, Site, Space, compact};
use tandem_resp::{OwnedArgs, Proto, Reply};
use tandem_store::{Call, EffectBuf, Outcome, Store, WriterFacts, command};
use tandem_types::{DbIndex, Lsn, NodeId, Pair, WallMillis};

/// One record of a node's log.
enum Logged {
    Own(Record),
    Merged(Chunk),
}

/// One node: a store, its side, its log.
pub(crate) struct Writer {
    pub(crate) store: Store,
    pub(crate) site: Site,
    pub(crate) own: Vec<Record>,
    pub(crate) sent: usize,
    pub(crate) now: WallMillis,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) may_block: bool,
    log: Vec<Logged>,
}

fn store_of(side: NodeId) -> Store {
    let mut store = Store::new(1 + u64::from(side.as_byte()));
    store.begin_two_writers(WriterFacts {
        side,
        names: Pair { a: "a".into(), b: "b".into() },
        addresses: Pair { a: "10.0.0.1:6379".into(), b: "10.0.0.2:6379".into() },
    });
    store
}

impl Writer {
    fn new(side: NodeId) -> Self {
        let mut store = store_of(side);
        store.set_link(true);
        Self {
            store,
            site: Site::new(side, 500),
            own: Vec::new(),
            sent: 0,
            now: WallMillis::new(1_000_000),
            conflicts: Vec::new(),
            may_block: false,
            log: Vec::new(),
        }
    }

    fn lsn_end(&self) -> Lsn {
        Lsn::new(u64::try_from(self.log.len()).unwrap() + 1)
    }

    /// Runs one command of words without spaces; the reply as text, `BLOCK` if it waits.
    pub(crate) fn run(&mut self, line: &str) -> String {
        let words: OwnedArgs = line.split_whitespace().map(str::as_bytes).collect();
        let args = words.args();
        let command = command(args.get(0)).expect("a command of that name");
        let mut out = Vec::new();
        let mut effects = EffectBuf::merging();
        let lsn_end = self.lsn_end();
        let mut call = Call {
            now: self.now,
            db: DbIndex::ZERO,
            lsn_end,
            reply: Reply::new(&mut out, Proto::Resp2),
            effects: &mut effects,
            seen: Lsn::ZERO,
            deny_blocking: !self.may_block,
        };
        let outcome = self.store.execute(command, &args, &mut call);
        self.keep(effects, lsn_end);
        if let Outcome::Block(_) = outcome {
            assert!(out.is_empty() && self.may_block, "{line} waits");
            return "BLOCK".into();
        }
        out.escape_ascii().to_string().replace("\\r\\n", "|").replace("\\'", "'")
    }

    fn keep(&mut self, effects: EffectBuf, lsn_end: Lsn) {
        let done = effects.into_operations();
        if done.ops.is_empty() {
            return;
        }
        self.store.settle_own(self.site.side(), &done, lsn_end);
        let record = Record { origin: self.site.begin(self.now), ops: done.ops };
        self.site.note(&record);
        self.log.push(Logged::Own(record.clone()));
        self.own.push(record);
    }

    pub(crate) fn run_all(&mut self, lines: &[&str]) {
        for line in lines {
            let reply = self.run(line);
            assert!(!reply.starts_with('-'), "{line}: {reply}");
        }
    }

    /// Does what needs no client.
    pub(crate) fn tend(&mut self) {
        let (mut effects, lsn_end) = (EffectBuf::merging(), self.lsn_end());
        self.store.tend(self.now, lsn_end, &mut effects);
        self.keep(effects, lsn_end);
    }

    fn merge(&mut self, chunk: &Chunk) {
        // As it would go over the link.
        let mut bytes = Vec::new();
        chunk.encode(&mut bytes);
        let chunk = Chunk::decode(&bytes).unwrap();
        if self.site.admit(&chunk) == tandem_merge::Admission::Known {
            return;
        }
        let lsn_end = self.lsn_end();
        self.log.push(Logged::Merged(chunk.clone()));
        let mut space = self.store.merge_space(lsn_end);
        let merged = self.site.merge(&chunk, self.now, &mut space);
        if let Some(again) = self.site.again(&merged, self.now, &mut space) {
            self.log.push(Logged::Own(again.clone()));
            self.own.push(again);
        }
        self.conflicts.extend(merged.conflicts);
    }

    /// The process is killed, and starts from its log.
    pub(crate) fn crash(&mut self) {
        let side = self.site.side();
        self.store = store_of(side);
        self.site = Site::new(side, 500);
        for (number, logged) in self.log.iter().enumerate() {
            let lsn_end = Lsn::new(u64::try_from(number).unwrap() + 1);
            let mut space = self.store.merge_space(lsn_end);
            match logged {
                Logged::Own(record) => self.site.replay(record, &mut space),
                Logged::Merged(chunk) => drop(self.site.merge(chunk, self.now, &mut space)),
            }
        }
    }

    pub(crate) fn content(&mut self, name: &str) -> (Content, Option<WallMillis>) {
        let key = Key { db: DbIndex::ZERO, name: name.as_bytes().into() };
        let space = self.store.merge_space(Lsn::ZERO);
        (space.content(&key), space.deadline(&key))
    }

    pub(crate) fn conflicts(&self) -> Vec<&'static str> {
        self.conflicts.iter().map(|conflict| conflict.kind.name()).collect()
    }
}

pub(crate) fn pair() -> Pair<Writer> {
    Pair { a: Writer::new(NodeId::A), b: Writer::new(NodeId::B) }
}

/// The link goes.
pub(crate) fn cut(pair: &mut Pair<Writer>) {
    for side in [NodeId::A, NodeId::B] {
        pair[side].store.set_link(false);
    }
}

/// An empty machine takes the place of a side that lost its disk: it copies all from its peer.
pub(crate) fn replace(pair: &mut Pair<Writer>, lost: NodeId) {
    let peer = &mut pair[lost.peer()];
    let statements = peer.store.ledger().unwrap().statements();
    let now = peer.now;
    let mut new = Writer::new(lost);
    new.now = now;
    new.store.set_link(false);
    new.store.begin_copy();
    let mut space = new.store.merge_space(Lsn::ZERO);
    for record in statements.a.iter().chain(&statements.b) {
        new.site.copied(record, &mut space);
    }
    assert!(new.store.is_empty(), "what stands under the keys comes with their slots");
    new.store.new_incarnation(Lsn::ZERO);
    new.site = Site::at(
        lost,
        Lsn::ZERO,
        peer.site.own_end(),
        tandem_merge::Clock::new(new.site.last_stamp(), 500),
    );
    peer.sent = peer.own.len();
    peer.site = Site::at(
        lost.peer(),
        peer.site.own_end(),
        Lsn::ZERO,
        tandem_merge::Clock::new(peer.site.last_stamp(), 500),
    );
    pair[lost] = new;
}

/// Everything arrives everywhere.
pub(crate) fn heal(pair: &mut Pair<Writer>, compacted: bool) {
    for side in [NodeId::A, NodeId::B] {
        pair[side].store.set_link(true);
    }
    for round in 0..20 {
        let mut ends = Pair::<Lsn>::default();
        for side in [NodeId::A, NodeId::B] {
            let writer = &mut pair[side];
            if round < 10 {
                writer.tend();
            }
            let tail = writer.own[writer.sent..].to_vec();
            writer.sent = writer.own.len();
            let Some(first) = tail.first() else { continue };
            ends[side] = Lsn::new(u64::try_from(writer.log.len()).unwrap());
            let chunks = if compacted {
                compact(first.origin.lsn, tail, 1_000)
            } else {
                tail.into_iter().map(Chunk::of).collect()
            };
            for chunk in chunks {
                pair[side.peer()].merge(&chunk);
                // A duplicate changes nothing.
                pair[side.peer()].merge(&chunk);
            }
        }
        // Known only once all that the peer wrote before it had them has come, too.
        for side in [NodeId::A, NodeId::B] {
            pair[side].store.peer_has(ends[side]);
        }
    }
    let (a, b) = (pair.a.site.seen_end(), pair.b.site.seen_end());
    pair.a.site.heard(b, pair.b.site.own_end());
    pair.b.site.heard(a, pair.a.site.own_end());
    assert!(pair.a.site.index().is_empty() && pair.b.site.index().is_empty());
}

pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}
