//! One machine: a node, its disk, and what the threads beside it would do.

mod log_thread;

use std::collections::VecDeque;
use std::net::SocketAddr;

use tandem_admin::{AdminReply, AdminRequest};
use tandem_disk::{Disk, Keep, SimDisk};
use tandem_log::{LogOptions, LogReader, SegmentWriter, WriteError, create_log, load_state};
use tandem_node::{
    AdminId, Boot, BootError, Cause, ConflictNews, ConnId, ConnInfo, Desk, Facts, Fork, Input,
    Life, LogCommand, LogFault, LogPlace, MergeLog, Node, Output, Port, SaveError, Seeds, Settings,
    SnapshotCommand, boot, cut_fork, damaged_file_name, damaged_name, generation_name, is_kept,
    keep_generation, remove_note, save_fork, save_records, scrub, set_aside,
};
use tandem_snapshot::{Chunk, SnapshotWriter, prune};
use tandem_switch::{BootId, MediatorRequest, NodeState};
use tandem_types::{Incarnation, Lsn, Now};

use crate::Random;
use log_thread::LogThread;
pub(crate) use log_thread::Work;

/// Whether a file of a generation belongs to its log.
fn is_segment(name: &str) -> bool {
    std::path::Path::new(name).extension().is_some_and(|it| it == "log")
}

/// Whose directory a disk holds.
pub(crate) fn incarnation_on(disk: &SimDisk) -> Option<Incarnation> {
    Some(load_state(disk).ok().flatten()?.incarnation)
}

/// The number of the last process that was started with it.
pub(crate) fn boots_on(disk: &SimDisk) -> Option<u64> {
    Some(tandem_switch::boot_count(load_state(disk).ok().flatten()?.boots))
}

/// How a node stopped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Stopped {
    /// The process ended by itself.
    Exit {
        /// Its status.
        status: u8,
        /// Why.
        reason: String,
    },
    /// It did not start.
    NoBoot(String),
}

/// What leaves a machine after a step.
#[derive(Debug, Default)]
pub struct Left {
    /// Messages to the peer, in order.
    pub link: Vec<Vec<u8>>,
    /// The link is to be dropped.
    pub drop_link: bool,
    /// Bytes to clients.
    pub clients: Vec<(ConnId, Vec<u8>)>,
    /// Connections closed.
    pub closed: Vec<ConnId>,
    /// Answers to operators.
    pub admin: Vec<(AdminId, AdminReply)>,
    /// Requests to the mediator, in order.
    pub mediator: Vec<MediatorRequest>,
    /// The fence command is to be run.
    pub fence: bool,
    /// Sentences for people.
    pub events: Vec<String>,
}

/// One machine.
#[derive(Debug)]
pub struct Machine {
    /// The node; `None` while it is down.
    pub node: Option<Node>,
    /// Its disk.
    pub disk: SimDisk,
    /// Why it is down.
    pub stopped: Option<Stopped>,
    settings: Settings,
    segment_bytes: u64,
    writer: Option<SegmentWriter<SimDisk>>,
    reader: Option<LogReader<SimDisk>>,
    snapshot: Option<(String, SnapshotWriter<SimDisk>)>,
    generation: u64,
    boots: u64,
    /// What the threads beside the node have done.
    answers: VecDeque<Input<'static>>,
    /// The log thread works when it is told to, not at once.
    thread: Option<LogThread>,
    boot_id: Option<BootId>,
    facts: Facts,
}

impl Machine {
    /// A machine that is switched off, with an empty disk.
    pub fn new(settings: Settings, seed: u64, segment_bytes: u64) -> Self {
        Self {
            node: None,
            disk: SimDisk::new(seed),
            stopped: None,
            settings,
            segment_bytes,
            writer: None,
            reader: None,
            snapshot: None,
            generation: 0,
            boots: 0,
            answers: VecDeque::new(),
            thread: None,
            boot_id: None,
            facts: Facts::default(),
        }
    }

    /// From now on the log thread works step by step: see [`Self::begin_work`].
    #[must_use]
    pub fn with_slow_disk(mut self) -> Self {
        self.thread = Some(LogThread::default());
        self
    }

    /// What the process around the node knows at its next start.
    pub fn set_facts(&mut self, facts: Facts) {
        self.facts = facts;
    }

    /// What the switch would find at the next start.
    pub fn state_on_disk(&self) -> Option<NodeState> {
        let state = load_state(&self.disk).ok().flatten()?;
        NodeState::decode(&state.extra).ok().map(|(state, _)| state)
    }

    /// The boot that runs, or ran last.
    pub const fn boot_id(&self) -> Option<BootId> {
        self.boot_id
    }

    /// The disk is replaced by an empty one.
    pub fn wipe(&mut self, seed: u64) {
        self.drop_process();
        self.disk = SimDisk::new(seed);
    }

    /// The disk is as it was when `copy` was made of it; `keep`: of what was not synced then.
    pub fn go_back(&mut self, copy: SimDisk, seed: u64, keep: Keep) {
        self.drop_process();
        copy.reseed(seed);
        copy.crash(keep);
        copy.set_capacity(None);
        self.disk = copy;
    }

    /// Flips a bit of the log on disk where the next start finds it; false: there is no such place.
    pub fn rot(&self, seed: u64) -> bool {
        const TRIES: usize = 16;
        let mut random = Random::new(seed);
        let Ok(Some(state)) = load_state(&self.disk) else { return false };
        let dir = generation_name(state.generation);
        let files: Vec<String> = self.disk.list(&dir).map_or_else(
            |_| Vec::new(),
            |it| it.into_iter().map(|file| file.name).filter(|it| is_segment(it)).collect(),
        );
        for _ in 0..if files.is_empty() { 0 } else { TRIES } {
            let name = format!("{dir}/{}", files[random.index(files.len())]);
            let length = self.disk.contents(&name).map_or(0, |bytes| bytes.len());
            let offset = random.below(u64::try_from(length).unwrap_or(0).max(1));
            if self.disk.flip(&name, offset, 1).is_err() {
                continue;
            }
            let seeds = Seeds { store: 1, switch: 2, stream: 3, incarnation: 4 };
            match boot(&self.disk.fork(), &self.settings, seeds) {
                Err(error) if error.is_damage() => return true,
                // A place that holds nothing, or the torn end of a log, which nobody was told of.
                _ => drop(self.disk.flip(&name, offset, 1)),
            }
        }
        false
    }

    /// Starts the node.
    pub fn start(&mut self, now: Now, seed: u64) {
        self.stopped = None;
        self.boot(now, seed, false);
    }

    fn boot(&mut self, now: Now, seed: u64, damaged: bool) {
        self.boots += 1;
        let seeds =
            Seeds { store: seed, switch: seed ^ 1, stream: seed ^ 2, incarnation: seed ^ 3 };
        let mut booted = match self.boot_or_set_aside(seeds) {
            Ok(booted) => booted,
            Err(error) => {
                self.stopped = Some(Stopped::NoBoot(error.to_string()));
                return;
            }
        };
        booted.damaged = damaged;
        self.generation = booted.state.generation;
        let (incarnation, boot) = (booted.state.incarnation, booted.state.boots);
        self.boot_id = Some(BootId { incarnation, boot });
        match Node::new(now, self.settings.clone(), self.facts.clone(), booted, seeds, None) {
            Ok((node, recovered)) => {
                let options = LogOptions { segment_bytes: self.segment_bytes };
                let mut writer = SegmentWriter::open(self.disk.clone(), &recovered, options);
                if let Err(error) = writer.prepare() {
                    self.stopped = Some(Stopped::NoBoot(error.to_string()));
                    return;
                }
                self.reader = Some(writer.reader());
                self.writer = Some(writer);
                self.node = Some(node);
            }
            Err(error) => self.stopped = Some(Stopped::NoBoot(error.to_string())),
        }
    }

    /// As the server does it: what is damaged is set aside, if the peer may be asked for the data.
    fn boot_or_set_aside(&self, seeds: Seeds) -> Result<Boot, BootError> {
        match boot(&self.disk, &self.settings, seeds) {
            Err(error) if error.is_damage() => {
                let reason = &error.to_string();
                let cause = Cause { reason, peer_has_all: false };
                set_aside(&self.disk, &self.settings, seeds, cause)?;
                boot(&self.disk, &self.settings, seeds)
            }
            done => done,
        }
    }

    /// The process dies; the page cache stays.
    pub fn kill(&mut self) {
        self.drop_process();
        self.disk.restart();
    }

    fn drop_process(&mut self) {
        self.node = None;
        self.writer = None;
        self.reader = None;
        self.snapshot = None;
        self.answers.clear();
        if let Some(thread) = &mut self.thread {
            *thread = LogThread::default();
        }
    }

    /// A client connects.
    pub fn connect(&mut self, now: Now, conn: ConnId) -> Left {
        self.accept(now, conn, false)
    }

    /// A client connects, to the read port or the client port.
    pub fn accept(&mut self, now: Now, conn: ConnId, read_port: bool) -> Left {
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let port = if read_port { Port::Read } else { Port::Client };
        let info = ConnInfo { peer: address, local: address, port, tls: false };
        self.input(now, Input::Accepted { conn, info })
    }

    /// An operator asks.
    pub fn admin(&mut self, now: Now, id: AdminId, request: AdminRequest) -> Left {
        self.input(now, Input::Admin { id, request })
    }

    /// Gives the node one input and ends the turn; does what the node wants until it wants no more.
    pub fn input(&mut self, now: Now, input: Input<'_>) -> Left {
        let mut left = Left::default();
        let Some(node) = &mut self.node else { return left };
        let mut out = Vec::new();
        node.step(now, input, &mut out);
        self.act(now, out, &mut left);
        self.answer_all(now, &mut left);
        self.end_turn(now, &mut left);
        left
    }

    /// Time passes.
    pub fn tick(&mut self, now: Now) -> Left {
        self.input(now, Input::Tick)
    }

    fn end_turn(&mut self, now: Now, left: &mut Left) {
        for _ in 0..10_000 {
            let Some(node) = &mut self.node else { return };
            let mut out = Vec::new();
            node.step(now, Input::EndOfTurn, &mut out);
            let again = node.wants_turn();
            let answered = self.thread.is_none() && !out.is_empty();
            self.act(now, out, left);
            let answered = answered || !self.answers.is_empty();
            self.answer_all(now, left);
            if !again && !answered {
                break;
            }
        }
        self.flush(left);
    }

    fn flush(&mut self, left: &mut Left) {
        let Some(node) = &mut self.node else { return };
        let mut dirty = Vec::new();
        node.clients_mut().take_dirty(&mut dirty);
        for conn in dirty {
            let bytes = node.clients().writable(conn).to_vec();
            node.clients_mut().written(conn, bytes.len());
            if !bytes.is_empty() {
                left.clients.push((conn, bytes));
            }
        }
    }

    /// What the threads beside the node did reaches it after everything it wanted at once was done.
    fn answer_all(&mut self, now: Now, left: &mut Left) {
        while let Some(input) = self.answers.pop_front() {
            let Some(node) = &mut self.node else { return self.answers.clear() };
            let mut out = Vec::new();
            node.step(now, input, &mut out);
            self.act(now, out, left);
        }
    }

    fn act(&mut self, now: Now, out: Vec<Output>, left: &mut Left) {
        for output in out {
            match output {
                Output::Close { conn } => {
                    self.flush(left);
                    left.closed.push(conn);
                    self.answers.push_back(Input::Closed { conn });
                }
                Output::PauseReading { .. }
                | Output::Garbage(_)
                | Output::DropStore(_)
                | Output::VirtualAddress(_)
                | Output::History(_) => {}
                Output::Fence => left.fence = true,
                Output::Mediator(request) => left.mediator.push(request),
                Output::Log(command) => self.log(command),
                Output::Snapshot(command) => self.snapshot(command),
                Output::ReadLog { from, until, bytes_max } => {
                    self.read_log(from, until, bytes_max);
                }
                Output::LookUpChain { lsn } => self.look_up_chain(lsn),
                Output::LinkSend(bytes) => left.link.push(bytes),
                Output::LinkDrop { .. } => left.drop_link = true,
                Output::AdminReply { id, reply } => left.admin.push((id, reply)),
                Output::Event(event) => left.events.push(event.text),
                Output::SaveFork(fork) => return self.save_fork(now, fork, left),
                Output::CutFork { to, id } => return self.cut_fork(now, to, &id, left),
                Output::ReadSince { from, until, bytes_max } => {
                    self.read_since(from, until, bytes_max);
                }
                Output::Conflicts(order) => {
                    let desk = Desk::new(self.disk.clone(), self.settings.conflicts_bytes_max);
                    self.answers.push_back(Input::Conflicts(desk.carry_out(order)));
                }
                Output::MergeLog(order) => {
                    let incarnation = self.boot_id.map(|boot| boot.incarnation).unwrap_or_default();
                    let life = Life { incarnation, generation: self.generation };
                    let mut log = MergeLog::new(self.disk.clone(), life, self.settings.merge_log);
                    self.answers.push_back(Input::MergeLog(log.carry_out(order)));
                }
                Output::SaveRecords { from } => self.save_records(now, from),
                Output::Reboot { reason } => {
                    left.events.push(format!("reboot: {reason}"));
                    return self.reboot(now, false, left);
                }
                Output::SetAside { reason, peer_has_all } => {
                    left.events.push(format!("set aside: {reason}"));
                    return self.set_aside(now, Cause { reason: &reason, peer_has_all }, left);
                }
                Output::Scrub { generation, pair } => {
                    let report =
                        scrub(&self.disk, &generation_name(generation), pair, &mut |_| true);
                    self.answers.push_back(Input::Scrubbed(report));
                }
                Output::Exit { status, reason } => {
                    if status == 0 {
                        self.finish_work();
                    }
                    self.stopped = Some(Stopped::Exit { status, reason });
                    left.drop_link = true;
                    self.flush(left);
                    return self.kill();
                }
            }
        }
    }

    fn reboot(&mut self, now: Now, damaged: bool, left: &mut Left) {
        left.drop_link = true;
        self.finish_work();
        self.drop_process();
        self.boot(now, self.seed_in_place(), damaged);
    }

    /// The system's randomness at a start within the process. No other start draws it, on either machine: the number
    /// of a boot and an incarnation come from its highest bits.
    fn seed_in_place(&self) -> u64 {
        let node = self.settings.node as u64;
        Random::new(self.boots.wrapping_mul(7919) ^ (node << 63)).next()
    }

    fn set_aside(&mut self, now: Now, cause: Cause<'_>, left: &mut Left) {
        left.drop_link = true;
        self.finish_work();
        self.drop_process();
        let seed = self.seed_in_place();
        let seeds =
            Seeds { store: seed, switch: seed ^ 1, stream: seed ^ 2, incarnation: seed ^ 3 };
        match set_aside(&self.disk, &self.settings, seeds, cause) {
            Ok(_) => self.boot(now, seed, false),
            Err(error) => self.stopped = Some(Stopped::NoBoot(error.to_string())),
        }
    }

    /// The log is closed: what was not synced is saved as well. `None`: that failed.
    fn close_log(&mut self) -> Option<tandem_types::PairId> {
        self.finish_work();
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.close()
        {
            self.stopped = Some(Stopped::Exit { status: 1, reason: error.to_string() });
            self.kill();
            return None;
        }
        self.drop_process();
        Some(load_state(&self.disk).ok().flatten().unwrap_or_default().pair)
    }

    fn save_fork(&mut self, now: Now, fork: Fork, left: &mut Left) {
        let Some(pair) = self.close_log() else { return };
        let dir = generation_name(self.generation);
        let place = LogPlace { dir: &dir, pair };
        let done = save_fork(&self.disk, place, &self.settings, fork, now.wall);
        self.boot_after(now, done.map(|_| ()), left);
    }

    fn cut_fork(&mut self, now: Now, to: Lsn, id: &str, left: &mut Left) {
        if self.close_log().is_none() {
            return;
        }
        let done = cut_fork(&self.disk, &generation_name(self.generation), to, id);
        self.boot_after(now, done, left);
    }

    fn boot_after(&mut self, now: Now, done: Result<(), SaveError>, left: &mut Left) {
        match done {
            Ok(()) => self.reboot(now, false, left),
            Err(SaveError::Chain { .. } | SaveError::Log(_) | SaveError::NoState(_)) => {
                self.reboot(now, true, left);
            }
            Err(error) => self.stopped = Some(Stopped::NoBoot(error.to_string())),
        }
    }

    fn save_records(&mut self, now: Now, from: Lsn) {
        let pair = load_state(&self.disk).ok().flatten().unwrap_or_default().pair;
        let dir = generation_name(self.generation);
        let place = LogPlace { dir: &dir, pair };
        match save_records(&self.disk, place, &self.settings, from, now.wall) {
            Ok(saved) => {
                let news = saved.entry.map(|entry| Input::Conflicts(ConflictNews::Saved(entry)));
                self.answers.extend(news);
            }
            Err(error) => {
                self.stopped = Some(Stopped::Exit { status: 1, reason: error.to_string() });
                self.kill();
            }
        }
    }

    fn read_since(&mut self, from: Lsn, until: Lsn, bytes_max: u32) {
        let Some(reader) = &mut self.reader else { return };
        let mut bytes = Vec::new();
        let read = reader.read(from, until, bytes_max as usize, &mut bytes);
        let bytes = read.is_ok().then_some(bytes);
        self.answers.push_back(Input::SinceRead { from, bytes });
    }

    fn log(&mut self, command: LogCommand) {
        if let Some(thread) = &mut self.thread {
            let begins = matches!(command, LogCommand::StartGeneration { .. });
            thread.order(command);
            if begins {
                // The snapshot thread waits for the directory: so does everything after this.
                self.work_off();
            }
            return;
        }
        match self.do_log(command) {
            Ok(Some(input)) => self.answers.push_back(input),
            Ok(None) => {}
            Err(message) => {
                self.answers.push_back(Input::LogFault(LogFault::Failed { message }));
            }
        }
    }

    fn do_log(&mut self, command: LogCommand) -> Result<Option<Input<'static>>, String> {
        let Some(writer) = &mut self.writer else { return Ok(None) };
        let words = |error: WriteError| error.to_string();
        match command {
            LogCommand::Write(mut batch) => {
                writer.write(&mut batch).map_err(words)?;
                let durable_end = writer.sync().map_err(words)?;
                writer.prepare().map_err(words)?;
                Ok(Some(Input::LogProgress { written_end: durable_end, durable_end, room: true }))
            }
            LogCommand::Sync => {
                let durable_end = writer.sync().map_err(words)?;
                Ok(Some(Input::LogProgress { written_end: durable_end, durable_end, room: true }))
            }
            LogCommand::SetPair { pair_id } => {
                writer.set_pair(pair_id);
                Ok(None)
            }
            LogCommand::SaveState { seq, state } => {
                tandem_log::save_state(&self.disk, &state).map_err(|error| error.to_string())?;
                Ok(Some(Input::StateSaved { seq }))
            }
            LogCommand::StartGeneration { generation, tip, history, pair_id } => {
                self.start_generation(generation, tip, &history, pair_id)?;
                Ok(None)
            }
            LogCommand::KeepGeneration { generation } => {
                keep_generation(&self.disk, generation).map_err(|error| error.to_string())?;
                Ok(None)
            }
            LogCommand::RemoveOtherGenerations { generation, set_aside } => {
                self.remove_others(generation, set_aside).map_err(|error| error.to_string())?;
                Ok(None)
            }
            LogCommand::Retain { needed_from } => {
                let held_from = writer.holds_from(self.settings.log_retention_bytes);
                let _removed = writer.retain(needed_from.min(held_from)).map_err(words)?;
                let (oldest, bytes) = (writer.oldest(), writer.total_bytes());
                Ok(Some(Input::LogTrimmed { oldest, bytes }))
            }
        }
    }

    fn start_generation(
        &mut self,
        generation: u64,
        tip: tandem_log::Tip,
        history: &tandem_types::EpochHistory,
        pair: tandem_types::PairId,
    ) -> Result<(), String> {
        let dir = generation_name(generation);
        let text = |error: std::io::Error| error.to_string();
        self.generation = generation;
        self.disk.create_dir(&dir).map_err(text)?;
        create_log(&self.disk, &dir, pair, tip, history).map_err(|error| error.to_string())?;
        self.disk.sync_dir("").map_err(text)?;
        let options =
            tandem_log::RecoverOptions { pair, from: tip.end, verify: tandem_log::Verify::Needed };
        let recovered = tandem_log::recover(&self.disk, &dir, &options, &mut |_| Ok(()))
            .map_err(|error| error.to_string())?;
        let options = LogOptions { segment_bytes: self.segment_bytes };
        let mut writer = SegmentWriter::open(self.disk.clone(), &recovered, options);
        writer.prepare().map_err(|error| error.to_string())?;
        self.reader = Some(writer.reader());
        self.writer = Some(writer);
        Ok(())
    }

    fn remove_others(&self, keep: u64, set_aside: bool) -> std::io::Result<()> {
        for entry in self.disk.list("")? {
            let number = tandem_node::parse_generation_name(&entry.name);
            let Some(number) = number.filter(|number| *number != keep) else { continue };
            let files = self.disk.list(&entry.name)?;
            if set_aside || files.iter().any(|file| is_kept(&file.name)) {
                self.disk.rename(&entry.name, &damaged_name(number))?;
            } else {
                for file in files {
                    self.disk.remove(&format!("{}/{}", entry.name, file.name))?;
                }
                self.disk.remove_dir(&entry.name)?;
            }
        }
        self.disk.sync_dir("")?;
        remove_note(&self.disk)
    }

    fn snapshot(&mut self, command: SnapshotCommand) {
        match self.do_snapshot(command) {
            Ok(Some(input)) => self.answers.push_back(input),
            Ok(None) => {}
            Err(error) => {
                self.snapshot = None;
                let message = error.to_string();
                self.answers.push_back(Input::SnapshotFailed { message });
            }
        }
    }

    fn do_snapshot(&mut self, command: SnapshotCommand) -> std::io::Result<Option<Input<'static>>> {
        match command {
            SnapshotCommand::Begin { generation, header } => {
                let dir = generation_name(generation);
                let writer = SnapshotWriter::begin(self.disk.clone(), &dir, &header)?;
                self.snapshot = Some((dir, writer));
                Ok(None)
            }
            SnapshotCommand::Chunk { lsn, first, last, bytes } => {
                let Some((_, writer)) = &mut self.snapshot else { return Ok(None) };
                writer.chunk(&Chunk { lsn, first, last, bytes: &bytes })?;
                Ok(Some(Input::ChunksWritten { bytes: bytes.len() }))
            }
            SnapshotCommand::Finish { end } => {
                let Some((dir, writer)) = self.snapshot.take() else { return Ok(None) };
                let name = writer.finish(end)?;
                let kept = prune(&self.disk, &dir, 2)?;
                let oldest_start = kept.last().map_or(name.start, |oldest| oldest.start);
                let start = name.start;
                Ok(Some(Input::SnapshotFinished { start, oldest_start, name: name.to_string() }))
            }
            SnapshotCommand::SetAside { generation, name } => {
                let dir = generation_name(generation);
                let kept = format!("{dir}/{}", damaged_file_name(&name));
                self.disk.rename(&format!("{dir}/{name}"), &kept)?;
                self.disk.sync_dir(&dir)?;
                Ok(Some(Input::SnapshotSetAside { kept }))
            }
            SnapshotCommand::Abort => {
                self.snapshot = None;
                Ok(None)
            }
        }
    }

    fn read_log(&mut self, from: Lsn, until: Lsn, bytes_max: u32) {
        let Some(reader) = &mut self.reader else { return };
        let mut bytes = Vec::new();
        let read = reader.read(from, until, bytes_max as usize, &mut bytes);
        let input = match read {
            Ok(_) if !bytes.is_empty() => Input::LogRead { from, bytes },
            Ok(_) | Err(_) => Input::LogGone { from },
        };
        self.answers.push_back(input);
    }

    fn look_up_chain(&mut self, lsn: Lsn) {
        let Some(reader) = &mut self.reader else { return };
        let mut bytes = Vec::new();
        let read = reader.read(lsn, lsn.next(), 1, &mut bytes);
        let chain = match (read, tandem_log::decode(&bytes)) {
            (Ok(_), tandem_log::Decoded::Record(record)) => Some(record.chain_before),
            _ => None,
        };
        self.answers.push_back(Input::ChainRead { lsn, chain });
    }
}
