//! Two nodes' cores with random commands: a snapshot that was taken while they went on, and the log behind it,
//! are what was there, and merge as it would have.

use tandem_disk::{Disk, SimDisk};
use tandem_log::{Decoded, decode, encoded_len};
use tandem_merge::escrow::Forget;
use tandem_merge::sequence::Progress;
use tandem_merge::{
    Added, Admission, Chunk, Key, KeyOp, LedgerOp, Number, Op, Origin, Record, compact,
};
use tandem_resp::{OwnedArgs, Proto};
use tandem_snapshot::{Header, SnapshotWriter};
use tandem_store::{Store, command};
use tandem_types::{
    DbIndex, Epoch, ForkId, Incarnation, Lsn, NodeId, Now, Pair, PairId, SlotId, Stamp, WallMillis,
};

use super::{PeerNote, Replayed, Writer, note_bytes, writer_facts};
use crate::core::Caller;
use crate::snapshot_job::SnapshotJob;
use crate::snapshots::{New, load_newest_into};
use crate::testing::settings;
use crate::{Core, Output, Settings, SnapshotCommand, Topology};

const PAIR: PairId = PairId::new(7);
const DIR: &str = "gen-0";

const COMMANDS: &[&str] = &[
    "set k1 V",
    "set k1 5",
    "incrby k1 3",
    "incrbyfloat k1 0.25",
    "append k1 V",
    "del k1",
    "pexpire k1 90000",
    "persist k1",
    "rpush l1 V W",
    "lpush l1 V",
    "lpop l1",
    "linsert l1 before W V",
    "ltrim l1 1 2",
    "del l1",
    "lmove l1 l2 left right",
    "pexpire l1 70000",
    "rename l1 l2",
    "hset h1 f V g 1",
    "hincrby h1 g 2",
    "hdel h1 f g",
    "pexpire h1 80000",
    "sadd s1 a b",
    "srem s1 a",
    "smove s1 s2 a",
    "sunionstore s1 s2",
    "zadd z1 1.5 a 2 b",
    "zincrby z1 0.1 a",
    "zincrby z1 0.7 b",
    "zrem z1 a",
    "zrangestore z2 z1 0 -1",
    "set z1 V",
    "sadd k1 m",
    "hset l1 f V",
    "flushall",
    "bc.decrby stock 1",
    "bc.incrby stock 2",
    "bc.transfer stock 3",
    "incr id",
];

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % bound
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// One node: what it has in memory, its log as bytes, its disk with snapshots.
struct Side {
    core: Core,
    log: Vec<Vec<u8>>,
    disk: SimDisk,
    job: SnapshotJob,
    file: Option<SnapshotWriter<SimDisk>>,
    saved: u64,
    sent: Lsn,
}

fn settings_of(side: NodeId) -> Settings {
    Settings { node: side, topology: Topology::PrimaryPrimary, ..settings() }
}

fn store_of(side: NodeId) -> Store {
    let mut store = Store::new(3 + u64::from(side.as_byte()));
    store.begin_two_writers(writer_facts(&settings_of(side)));
    store
}

impl Side {
    fn new(side: NodeId) -> Self {
        let writer = Some(Box::new(Writer::new(side)));
        let mut core = Core::new(settings_of(side), store_of(side), tandem_log::Tip::EMPTY, writer);
        core.now = Now { wall: WallMillis::new(1_000_000), ..Now::default() };
        core.store.set_link(true);
        core.begin_reign(Epoch::new(1), ForkId::new(1));
        let disk = SimDisk::new(1);
        disk.create_dir(DIR).unwrap();
        let met = PeerNote::Met { incarnation: Incarnation::new(9) };
        core.heed(&met).unwrap();
        let (job, sent) = (SnapshotJob::new(), Lsn::ZERO);
        let mut new = Self { core, log: Vec::new(), disk, job, file: None, saved: 0, sent };
        new.turn();
        new
    }

    fn run(&mut self, line: &str) -> String {
        let words: OwnedArgs = line.split_whitespace().map(str::as_bytes).collect();
        let args = words.args();
        let mut reply = Vec::new();
        let caller =
            Caller { db: DbIndex::ZERO, proto: Proto::Resp2, deny_blocking: true, woken: false };
        self.core.execute(command(args.get(0)).unwrap(), &args, caller, &mut reply);
        String::from_utf8(reply).unwrap()
    }

    /// The end of a turn: what was appended is in the log, and on disk.
    fn turn(&mut self) {
        self.core.expire(16);
        while let Some(batch) = self.core.log.take_batch() {
            let mut rest = batch.records();
            while let Some(len) = encoded_len(rest).unwrap() {
                self.log.push(rest[..len].to_vec());
                rest = &rest[len..];
            }
        }
        let end = self.core.positions.appended_end;
        self.core.positions.durable_end = end;
        self.core.writer.as_mut().unwrap().places.durable(end);
        self.save();
    }

    /// Another piece of a snapshot, or a new one.
    fn save(&mut self) {
        if !self.job.is_idle() {
            self.job.advance(&mut self.core);
        }
        for output in std::mem::take(&mut self.core.out) {
            match output {
                Output::Snapshot(SnapshotCommand::Begin { header, .. }) => {
                    let file = SnapshotWriter::begin(self.disk.clone(), DIR, &header);
                    self.file = Some(file.unwrap());
                }
                Output::Snapshot(SnapshotCommand::Chunk { lsn, first, last, bytes }) => {
                    let chunk = tandem_snapshot::Chunk { lsn, first, last, bytes: &bytes };
                    self.file.as_mut().unwrap().chunk(&chunk).unwrap();
                    self.job.written(bytes.len());
                }
                Output::Snapshot(SnapshotCommand::Finish { end }) => {
                    self.file.take().unwrap().finish(end).unwrap();
                    self.job.ended();
                    self.saved += 1;
                }
                _ => {}
            }
        }
    }

    fn begin_snapshot(&mut self) {
        if self.job.is_idle() {
            let tip = self.core.log.tip();
            let header = Header {
                pair_id: PAIR,
                start: tip.end,
                chain: tip.chain,
                beside: self.core.writer.as_ref().unwrap().save(&self.core.store, tip.end),
                ..Header::default()
            };
            self.job.start(0, header, &mut self.core.out);
            self.job.slowly();
        }
    }

    fn own_chunks(&self) -> Vec<Chunk> {
        let raw = self.log.iter().map(|raw| match decode(raw) {
            Decoded::Record(record) => record,
            other => panic!("{other:?}"),
        });
        let own = raw.filter(|record| record.kind == tandem_log::RecordKind::Own);
        own.map(|record| Chunk::decode(record.payload).unwrap()).collect()
    }

    /// The process ends and starts: the newest snapshot, and the log behind it.
    fn restart(&mut self) -> bool {
        let side = self.core.settings.node;
        let new_store = || store_of(side);
        let new = New { store: &new_store, side: Some(side) };
        let end_max = self.core.positions.appended_end;
        let (vessel, loaded) = load_newest_into(&self.disk, DIR, PAIR, end_max, &new).unwrap();
        assert_eq!(loaded.skipped, Vec::<String>::new());
        let mut store = vessel.store;
        let writer = vessel.writer.unwrap();
        let mut replayed = match loaded.name {
            Some(_) => Replayed::on_snapshot(writer, vessel.filter, loaded.end),
            None => Replayed::new(writer),
        };
        for raw in &self.log[usize::try_from(loaded.start.get()).unwrap()..] {
            let Decoded::Record(record) = decode(raw) else { panic!() };
            replayed.record(&record, &mut store).unwrap();
        }
        let (writer, unsaid) = replayed.into_parts();
        assert!(unsaid.merged.is_none_or(|merged| merged.again.is_empty()), "it was said");
        let before = &self.core;
        assert_eq!(store.digest_all(), before.store.digest_all());
        assert_eq!(store.digest_beside(), before.store.digest_beside());
        assert_eq!(ledger_of(&store), ledger_of(&before.store));
        assert_eq!(store.conflict_bytes(), before.store.conflict_bytes());
        let live = before.writer.as_ref().unwrap();
        let ends = |writer: &Writer| {
            let site = &writer.site;
            (site.own_end(), site.seen_end(), writer.met, writer.places.durable_ends())
        };
        assert_eq!(ends(&writer), ends(live));
        let tip = self.core.log.tip();
        let now = self.core.now;
        self.core = Core::new(settings_of(side), store, tip, Some(Box::new(writer)));
        self.core.now = now;
        self.core.store.set_link(true);
        self.core.positions.durable_end = tip.end;
        self.job = SnapshotJob::new();
        self.file = None;
        loaded.name.is_some() && loaded.start < loaded.end
    }
}

/// Counters, sequences and policies, but for what is only known while a process lives: which blocks the peer has.
fn ledger_of(store: &Store) -> Vec<LedgerOp> {
    let said = store.ledger().unwrap().statements().a;
    let ops = said.into_iter().flat_map(|record| record.ops);
    let ops = ops.map(|op| match op {
        Op::Ledger(LedgerOp::Sequence { key, mode, first, progress }) => {
            let progress = Progress { usable_end: 0, ..progress };
            LedgerOp::Sequence { key, mode, first, progress }
        }
        Op::Ledger(op) => op,
        other => panic!("{other:?}"),
    });
    ops.collect()
}

/// What `from` wrote goes to the other; perhaps only the first part.
fn send(pair: &mut Pair<Side>, from: NodeId, rng: &mut Rng, all: bool) {
    let sent = pair[from].sent;
    let mut chunks = pair[from].own_chunks();
    chunks.retain(|chunk| chunk.from >= sent);
    if chunks.is_empty() {
        return;
    }
    if !all {
        let count = usize::try_from(rng.below(4)).unwrap();
        chunks.truncate(count);
    }
    if rng.chance(40) && !chunks.is_empty() {
        let records = chunks.into_iter().flat_map(|chunk| chunk.records).collect();
        chunks = compact(sent, records, 8);
    }
    for chunk in chunks {
        let to = &mut pair[from.peer()];
        let mut payload = Vec::new();
        chunk.encode(&mut payload);
        assert_eq!(to.core.writer.as_ref().unwrap().site.admit(&chunk), Admission::Next);
        let end = chunk.end();
        to.core.merge(chunk, &payload);
        to.turn();
        pair[from].sent = end;
    }
}

/// `from` says how far it is, on its disk.
fn heartbeat(pair: &mut Pair<Side>, from: NodeId) {
    let site = &pair[from].core.writer.as_ref().unwrap().site;
    let (seen, said_at) = (site.seen_end(), site.own_end());
    let to = &mut pair[from.peer()].core;
    let writer = to.writer.as_mut().unwrap();
    writer.places.confirmed(seen);
    writer.site.heard(seen, said_at);
    to.peer_confirmed();
}

#[test]
fn a_snapshot_taken_while_writes_go_on_is_what_was_there_and_merges_as_it_would_have() {
    let (mut moving, mut restarts, mut saved) = (0, 0, 0);
    for seed in 0..400 {
        let mut rng = Rng(seed);
        let mut pair = Pair { a: Side::new(NodeId::A), b: Side::new(NodeId::B) };
        for line in ["bc.create stock 100", "pp.policy set id seq:available,10"] {
            let reply = pair.a.run(line);
            assert!(!reply.starts_with('-'), "{line}: {reply}");
        }
        pair.a.turn();
        for _ in 0..rng.below(160) + 40 {
            let side = if rng.chance(50) { NodeId::A } else { NodeId::B };
            match rng.below(100) {
                0..50 => {
                    let place = usize::try_from(rng.below(COMMANDS.len() as u64)).unwrap();
                    let line = COMMANDS[place].replace('V', &format!("v{}", rng.below(1_000)));
                    let it = &mut pair[side];
                    let wall = it.core.now.wall.get() + rng.below(50);
                    it.core.now.wall = WallMillis::new(wall);
                    it.run(&line);
                    it.turn();
                }
                50..70 => send(&mut pair, side, &mut rng, false),
                70..78 => heartbeat(&mut pair, side),
                78..90 => {
                    pair[side].begin_snapshot();
                    pair[side].turn();
                }
                90..94 => {
                    moving += u64::from(pair[side].restart());
                    restarts += 1;
                }
                _ => pair[side].turn(),
            }
        }
        for _ in 0..3 {
            for side in [NodeId::A, NodeId::B] {
                send(&mut pair, side, &mut rng, true);
                heartbeat(&mut pair, side);
            }
        }
        for side in [NodeId::A, NodeId::B] {
            moving += u64::from(pair[side].restart());
        }
        let (a, b) = (&pair.a.core.store, &pair.b.core.store);
        assert_eq!(a.digest_all(), b.digest_all(), "seed {seed}");
        assert_eq!(a.digest_beside(), b.digest_beside(), "seed {seed}");
        saved += pair.a.saved + pair.b.saved;
    }
    assert!(moving > 300 && restarts > 1_000, "{moving} of {restarts}, {saved} saved");
}

#[test]
fn damage_in_what_stands_beside_the_slots_is_an_error() {
    let mut side = Side::new(NodeId::A);
    for line in ["set k v", "bc.create stock 5", "zincrby z 1 m", "rpush l a"] {
        side.run(line);
        side.turn();
    }
    let writer = side.core.writer.as_ref().unwrap();
    let head = writer.save(&side.core.store, Lsn::new(9));
    let mut slots = Vec::new();
    slots.extend(writer.save_slots(&mut side.core.store, (SlotId::FIRST, SlotId::LAST), &[]));
    for end in 0..head.len() {
        let mut store = store_of(NodeId::A);
        let loaded = Writer::load_head(NodeId::A, &head[..end], &mut store, Lsn::new(9));
        assert!(loaded.is_err(), "cut to {end}");
    }
    let load = |side| Writer::load_head(side, &head, &mut store_of(side), Lsn::new(9));
    assert!(load(NodeId::B).is_err());
    for end in 0..slots.len() {
        let mut writer = load(NodeId::A).unwrap();
        let mut store = store_of(NodeId::A);
        assert!(writer.load_slots(&slots[..end], &mut store, Lsn::new(9)).is_err(), "{end}");
    }
}

#[test]
fn a_peer_that_was_given_up_is_remembered_and_what_is_salvaged_is_written_once() {
    let mut side = Side::new(NodeId::A);
    for line in ["bc.create stock 100", "sadd m x", "set s here"] {
        side.run(line);
        side.turn();
    }
    let incarnation = Incarnation::new(9);
    let note = PeerNote::Forgotten { incarnation, rights: Some(Forget::Destroy) };
    side.core.heed(&note).unwrap();
    side.turn();
    assert!(side.run("get stock").contains("50"), "the rights of A");
    let forgotten = |side: &Side| side.core.writer.as_ref().unwrap().forgotten.clone().unwrap();
    let before = forgotten(&side);
    assert_eq!(before.counters.len(), 1);
    // From the log, and from a snapshot.
    for with_snapshot in [false, true] {
        if with_snapshot {
            side.begin_snapshot();
            while side.saved == 0 {
                side.turn();
            }
        }
        side.restart();
        assert_eq!(forgotten(&side), before);
    }
    // It was back with an addition, a sale, and a value that is somebody's to decide.
    let key = |name: &[u8]| Key { db: DbIndex::ZERO, name: name.into() };
    let added = Added { delta: Number::from_int(5), result: Number::from_int(5) };
    let mut counter = before.counters[0].1;
    let sold = counter.take(NodeId::B, 3).unwrap();
    let ops = vec![
        Op::Key(key(b"count"), KeyOp::Add(added)),
        Op::Key(key(b"m"), KeyOp::MemberAdd(b"y".as_slice().into())),
        Op::Key(key(b"s"), KeyOp::Set { value: b"there".as_slice().into(), deadline: None }),
        Op::Ledger(LedgerOp::Escrow(key(b"stock"), sold)),
    ];
    let origin = Origin { side: NodeId::B, lsn: Lsn::ZERO, seen: Lsn::ZERO, stamp: Stamp::ZERO };
    let writer = side.core.writer.as_ref().unwrap();
    let salvage = writer.sort_salvage(&[Record { origin, ops }], &mut side.core.store);
    assert_eq!(salvage.lines.len(), 4, "{:?}", salvage.lines);
    let note = PeerNote::Salvaged {
        upto: Lsn::new(1),
        again: note_bytes(NodeId::A, salvage.again.clone()).into(),
        rest: note_bytes(NodeId::B, salvage.rest.clone()).into(),
    };
    side.core.heed(&note).unwrap();
    side.core.write_salvaged(salvage.again.clone());
    side.turn();
    assert!(side.run("get count").contains('5') && side.run("scard m").contains('2'));
    side.restart();
    assert_eq!(forgotten(&side).has, Lsn::new(1));
    let kinds: Vec<_> =
        side.core.store.conflicts().iter().map(|it| it.conflict.kind.name()).collect();
    assert_eq!(kinds, ["salvage"]);
    // A log that ends between the two says what is missing.
    let mut replayed = Replayed::new(Writer::new(NodeId::A));
    let mut store = store_of(NodeId::A);
    for raw in &side.log[..side.log.len() - 1] {
        let Decoded::Record(record) = decode(raw) else { panic!() };
        replayed.record(&record, &mut store).unwrap();
    }
    assert_eq!(replayed.into_parts().1.salvaged, salvage.again);
}
