//! The log thread over a simulated disk.

use std::sync::mpsc;
use std::thread::JoinHandle;

use mio::{Poll, Token};
use tandem_disk::{Fault, SimDisk};
use tandem_log::{Appender, NodeState, RecordKind, RecordMeta, Tip};
use tandem_types::{Epoch, EpochHistory, NodeId, Stamp};

use super::*;
use crate::inbox::{Inbox, Mail};

/// In the first reign already.
const TIP: Tip = Tip { epoch: Epoch::new(1), ..Tip::EMPTY };

struct Fixture {
    disk: SimDisk,
    appender: Appender,
    orders: mpsc::Sender<LogOrder>,
    inbox: Inbox,
    thread: Option<JoinHandle<()>>,
    _poll: Poll,
}

impl Fixture {
    fn new(fsync: Fsync) -> Self {
        Self::on(SimDisk::new(1), fsync)
    }

    fn on(disk: SimDisk, fsync: Fsync) -> Self {
        Self::behind(disk, fsync, mpsc::channel().1)
    }

    /// A log thread that begins to work once something comes through the gate, or its other end is gone.
    fn behind(disk: SimDisk, fsync: Fsync, gate: Receiver<()>) -> Self {
        let options = LogOptions { segment_bytes: 64 << 10 };
        let dir = generation::create(&disk, 0).unwrap();
        let history = EpochHistory::new();
        let begin = generation::Beginning { pair: PairId::NONE, tip: TIP, history: &history };
        let writer = generation::begin_log(&disk, &dir, begin, options).unwrap();
        let poll = Poll::new().unwrap();
        let (inbox, outbox) = Inbox::new(poll.registry(), Token(0)).unwrap();
        let (orders, queue) = mpsc::channel();
        let reader = std::sync::Arc::new(std::sync::Mutex::new(writer.reader()));
        let log = OpenLog { disk: disk.clone(), dir, pair: PairId::NONE, options, writer, reader };
        let mut work = LogThread::new(log, &settings(), Reporter::new(0, outbox));
        work.fsync = fsync;
        let thread = Some(thread::spawn(move || {
            let _open: Result<(), mpsc::RecvError> = gate.recv();
            work.run(&queue);
        }));
        Self { disk, appender: Appender::new(TIP), orders, inbox, thread, _poll: poll }
    }

    /// Appends a record and hands over the batch.
    fn write(&mut self, payload: &[u8]) {
        self.appender.begin(RecordKind::Effects).extend_from_slice(payload);
        let meta = RecordMeta {
            epoch: Epoch::new(1),
            stamp: Stamp::ZERO.tick(clock::now().wall),
            seen: 0,
            origin: NodeId::A,
        };
        self.appender.commit(meta).unwrap();
        let batch = self.appender.take_batch().unwrap();
        self.orders.send(LogOrder::Do(LogCommand::Write(batch))).unwrap();
    }

    /// The next thing the log thread says.
    fn hear(&mut self) -> Input<'static> {
        let start = Instant::now();
        loop {
            match self.inbox.take() {
                Some(Mail::Worker { input, .. }) => return input,
                Some(Mail::Written { batches, progress, .. }) => {
                    for batch in batches {
                        self.appender.recycle(batch);
                    }
                    return progress;
                }
                Some(_) => {}
                None => thread::sleep(Duration::from_millis(1)),
            }
            assert!(start.elapsed() < Duration::from_secs(20), "nothing was said");
        }
    }

    /// Hears progress until everything before `end` is durable.
    fn hear_durable(&mut self, end: u64) {
        loop {
            match self.hear() {
                Input::LogProgress { durable_end, .. } if durable_end >= Lsn::new(end) => return,
                Input::LogProgress { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let (orders, _) = mpsc::channel();
        drop(std::mem::replace(&mut self.orders, orders));
        self.thread.take().unwrap().join().unwrap();
    }
}

#[test]
fn what_waits_together_is_synced_together() {
    let (open, gate) = mpsc::channel();
    let mut log = Fixture::behind(SimDisk::new(1), Fsync::Always, gate);
    for _ in 0..100 {
        log.write(b"next");
    }
    let before = log.disk.operations();
    open.send(()).unwrap();
    log.hear_durable(100);
    // One write and one sync for all of them, and what a new segment costs.
    let operations = log.disk.operations() - before;
    assert!(operations < 40, "{operations} operations");
}

#[test]
fn of_states_that_wait_together_only_the_last_is_written() {
    let save = |seq: u64| {
        let state = NodeState { boots: seq, ..NodeState::default() };
        LogOrder::Do(LogCommand::SaveState { seq, state: Box::new(state) })
    };
    let (open, gate) = mpsc::channel();
    let mut log = Fixture::behind(SimDisk::new(1), Fsync::Always, gate);
    for seq in 1..=3 {
        log.orders.send(save(seq)).unwrap();
    }
    log.write(b"next");
    log.orders.send(save(4)).unwrap();
    open.send(()).unwrap();
    assert!(matches!(log.hear(), Input::StateSaved { seq: 3 }), "it vouches for those before it");
    log.hear_durable(1);
    assert!(matches!(log.hear(), Input::StateSaved { seq: 4 }), "never before what came before it");
    assert_eq!(tandem_log::load_state(&log.disk).unwrap().unwrap().boots, 4);
}

#[test]
fn the_interval_policy_vouches_at_once_and_syncs_later() {
    let mut log = Fixture::new(Fsync::Interval(Duration::from_secs(2)));
    log.write(&vec![7; 20_000]);
    log.hear_durable(1);
    let unsynced = log.disk.pending_units();
    assert!(unsynced > 10, "not synced yet: {unsynced}");
    let start = Instant::now();
    // A mark that follows, and the next segment's making, wait for the next sync.
    while log.disk.pending_units() > unsynced / 2 {
        assert!(start.elapsed() < Duration::from_secs(20), "{} left", log.disk.pending_units());
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_failed_write_is_said_once_and_nothing_is_tried_again() {
    let mut log = Fixture::new(Fsync::Always);
    log.write(b"good");
    log.hear_durable(1);
    for ahead in 0..8 {
        log.disk.plan(log.disk.operations() + ahead, Fault::Error(std::io::ErrorKind::Other));
    }
    log.write(b"bad");
    assert!(matches!(log.hear(), Input::LogFault(LogFault::Failed { .. })));
    let operations = log.disk.operations();
    log.write(b"later");
    thread::sleep(Duration::from_millis(20));
    assert!(log.inbox.take().is_none());
    assert_eq!(log.disk.operations(), operations);
}

#[test]
fn a_full_disk_keeps_what_waits_until_there_is_room() {
    let disk = SimDisk::new(2);
    disk.set_capacity(Some(300 << 10));
    let mut log = Fixture::on(disk, Fsync::Always);
    let payload = vec![b'x'; 20 << 10];
    let mut written = 0;
    let full = loop {
        log.write(&payload);
        written += 1;
        if let Input::LogFault(fault) = log.hear() {
            break fault;
        }
        assert!(written < 100, "never full");
    };
    assert!(matches!(full, LogFault::Full { .. }));
    for _ in 0..10 {
        log.write(&payload);
        written += 1;
    }
    log.disk.set_capacity(None);
    loop {
        match log.hear() {
            Input::LogProgress { durable_end, .. } if durable_end >= Lsn::new(written) => break,
            Input::LogProgress { .. } | Input::LogFault(LogFault::Full { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn space_that_comes_back_is_said_without_a_write() {
    let disk = SimDisk::new(3);
    // The segment in use and half of the next.
    disk.set_capacity(Some(100 << 10));
    let mut log = Fixture::on(disk, Fsync::Always);
    assert!(matches!(log.hear(), Input::LogFault(LogFault::Full { .. })));
    log.write(b"fits into the segment in use");
    log.hear_durable(1);
    assert!(matches!(log.hear(), Input::LogFault(LogFault::Full { .. })), "still");
    log.disk.set_capacity(None);
    while matches!(log.hear(), Input::LogFault(LogFault::Full { .. })) {}
}

#[test]
fn a_state_that_finds_no_space_is_saved_when_there_is_some() {
    let disk = SimDisk::new(4);
    let mut log = Fixture::on(disk, Fsync::Always);
    log.write(b"one");
    log.hear_durable(1);
    log.disk.set_capacity(Some(0));
    let order = |seq| LogOrder::Do(LogCommand::SaveState { seq, state: Box::default() });
    log.orders.send(order(7)).unwrap();
    loop {
        match log.hear() {
            Input::LogFault(LogFault::Full { message }) if message.contains("state") => break,
            Input::LogProgress { .. } | Input::LogFault(LogFault::Full { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    log.disk.set_capacity(None);
    loop {
        match log.hear() {
            Input::StateSaved { seq: 7 } => break,
            Input::LogProgress { .. } | Input::LogFault(LogFault::Full { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn orders_are_done_in_their_order() {
    let mut log = Fixture::new(Fsync::Never);
    log.write(b"one");
    let state = Box::default();
    log.orders.send(LogOrder::Do(LogCommand::SaveState { seq: 7, state })).unwrap();
    log.write(b"two");
    log.orders.send(LogOrder::Do(LogCommand::Sync)).unwrap();
    let mut heard = Vec::new();
    loop {
        match log.hear() {
            Input::StateSaved { seq } => heard.push(format!("saved {seq}")),
            Input::LogProgress { written_end, durable_end, .. } => {
                heard.push(format!("{written_end} {durable_end}"));
                if heard.len() == 4 {
                    break;
                }
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heard, ["1 1", "saved 7", "2 2", "2 2"]);
}

fn settings() -> Settings {
    let config = "[nodes.a]\nhost = \"127.0.0.1\"\n[nodes.b]\nhost = \"127.0.0.2\"\n";
    let config = tandem_config::load(config, []).unwrap();
    crate::ServerSettings::from_config(&config, NodeId::A).unwrap().node
}
