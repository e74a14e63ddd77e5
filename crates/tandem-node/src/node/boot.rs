//! From a data directory to a node: state, snapshot, log.

use std::io;

use tandem_disk::{Disk, EntryKind};
use tandem_log::{
    NodeState, RecordKind, RecoverError, RecoverOptions, Recovered, StateError, Tail, Tip, Verify,
    create_log, load_state, recover, save_state,
};
use tandem_replication::heart::Heart;
use tandem_store::Store;
use tandem_switch::{BootFacts, Brain, By};
use tandem_types::{EpochHistory, Incarnation, Lsn, Now, PairId};

use super::Node;
use super::comparing::Comparing;
use super::conflicts::{Conflicts, SaveTrouble};
use super::forward::Forwards;
use super::integrity::Integrity;
use super::link::LinkState;
use super::operator::Backups;
use super::status::Journal;
use super::unknown_data::refuse_unknown_data;
use crate::acquaintance::{self, Acquaintance};
use crate::apply_queue::ApplyQueue;
use crate::conflicts::{Entry, catalogue, discard_temporary};
use crate::generation::{
    damaged_file_name, damaged_name, generation_name, is_kept, parse_generation_name,
};
use crate::merge_log::{Life, number_conflicts};
use crate::repair::{RepairNote, find_note, finish_setting_aside, remove_note};
use crate::saves::Saves;
use crate::snapshot_job::SnapshotJob;
use crate::snapshots::{BadSnapshot, Loaded, New, Vessel, load_newest_into};
use crate::writer::{Replayed, Writer};
use crate::{Acknowledge, Clients, Core, Facts, Settings, Stopwatch, SwitchBy, Topology};

/// Random numbers from the system, drawn anew for each boot.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seeds {
    /// Table order and random picks of the key space.
    pub store: u64,
    /// Marks of reigns.
    pub switch: u64,
    /// Jitter of the stream.
    pub stream: u64,
    /// The id of a new data directory.
    pub incarnation: u64,
}

/// What a data directory held.
#[derive(Debug)]
pub struct Boot {
    /// Who this directory is and what it promised.
    pub state: NodeState,
    /// The key space.
    pub store: Store,
    /// The log, to be opened for writing.
    pub recovered: Recovered,
    /// Recovery needs the log from here on.
    pub snapshot_start: Lsn,
    /// Files of saved writes.
    pub conflicts: Vec<Entry>,
    /// Why records past a fork could not be saved before this start; set by who tried.
    pub save_trouble: Option<SaveTrouble>,
    /// With two writers: this node's side, and what a log that ended too early still has to say.
    pub(crate) replayed: Option<Replayed>,
    /// The log was found to be another one than the pair's: everything is wanted anew from the peer.
    pub damaged: bool,
    /// The data was damaged and is set aside; a full copy from the peer is waited for.
    pub repair: Option<RepairNote>,
    /// Damaged files that are kept for people, by name.
    pub kept: Vec<String>,
    /// What was done, for people.
    pub report: BootReport,
}

/// What recovery did.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BootReport {
    /// The directory was empty.
    pub created: bool,
    /// The snapshot that was loaded, and the ones that could not be.
    pub snapshots: Vec<String>,
    /// Records replayed.
    pub records: u64,
    /// Bytes in them.
    pub bytes: u64,
    /// The torn tail that was cut, in words.
    pub torn: Option<String>,
    /// The segment that was written again because its tail was not proven durable.
    pub rewritten: Option<String>,
    /// Damaged snapshots that were set aside because an older one and the log serve, and why.
    pub set_aside: Vec<String>,
}

/// Why a node does not start. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The state file cannot be read or written.
    #[error("{0}")]
    State(#[from] StateError),
    /// The log cannot be used.
    #[error("{0}")]
    Log(#[from] RecoverError),
    /// A file of another kind failed.
    #[error("{op} {file}: {source}")]
    Io {
        /// What was being done.
        op: &'static str,
        /// To which file.
        file: String,
        /// How it failed.
        source: io::Error,
    },
    /// The log begins after what the snapshots hold.
    #[error(
        "no usable snapshot in {dir}, and the log there begins only at record {oldest}: restore a backup, or empty the data directory so that the node copies everything from its peer ({tried})"
    )]
    NoSnapshot {
        /// The generation's directory.
        dir: String,
        /// First record kept.
        oldest: Lsn,
        /// What was wrong with each.
        tried: String,
    },
    /// Snapshot and log are of different histories: files were mixed by hand.
    #[error(
        "the snapshot and the log in {dir} do not belong together: their running checksums differ at record {at}; restore a backup, or empty the data directory so that the node copies everything from its peer"
    )]
    Mixed {
        /// The generation's directory.
        dir: String,
        /// Where the snapshot begins.
        at: Lsn,
    },
    /// The data is damaged, and no other node has all of it.
    #[error(
        "{reason}. This node was alone in the in-sync set: acknowledged writes may be here only, so it does not replace its data by what {peer} has. Restore a backup into an empty directory; or, to give up the writes that {peer} lacks, run `tandem promote --force` on {peer}, move this data directory away, and start this node again"
    )]
    OnlyCopy {
        /// What is damaged.
        reason: String,
        /// The peer's name.
        peer: String,
    },
    /// Log or snapshots without the file that says whose they are.
    #[error(
        "there is no file `state`, but {file} holds {bytes} bytes: this is no new data directory, and nobody can tell whose data it is; nothing was changed. Put `state` back, or restore a backup into an empty directory; or, if the peer was in sync and has all writes, move this data directory away and start again: the node then copies everything from its peer"
    )]
    NoState {
        /// A file of the log, or a snapshot.
        file: String,
        /// How long it is.
        bytes: u64,
    },
    /// The data of one of two writers is damaged: what it wrote last may be here only.
    #[error(
        "{reason}. What this node wrote and {peer} does not have yet is here only, so it is not replaced by what {peer} has. Restore a backup into an empty directory; or, to give up the writes that {peer} lacks, move this data directory away and start this node again: it copies everything from {peer}"
    )]
    OneOfTwo {
        /// What is damaged.
        reason: String,
        /// The peer's name.
        peer: String,
    },
    /// The directory was written by the other node of the pair.
    #[error(
        "this data directory belongs to the other node of the pair: start it with the right --node, or give this node its own directory"
    )]
    OtherNode,
    /// The directory holds a snapshot, so it was written with one primary.
    #[error("{}", crate::writer::ReplayError::OneWriter)]
    OtherTopology,
    /// The directory was written by one of two writers.
    #[error(
        "this data directory was written with pair.topology = \"primary-primary\": start the pair with that, or empty the directory so that the node copies everything from its peer"
    )]
    TwoWriters,
    /// What the switch kept cannot be read.
    #[error("the switch's part of the state file cannot be read: {0}")]
    Switch(tandem_switch::WireError),
}

impl BootError {
    pub(crate) fn io(op: &'static str, file: &str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { op, file: file.to_owned(), source }
    }
}

/// Reads (or creates) the data directory.
///
/// # Errors
/// See [`BootError`].
pub fn boot<D: Disk>(disk: &D, settings: &Settings, seeds: Seeds) -> Result<Boot, BootError> {
    let mut report = BootReport::default();
    let state = load_or_create(disk, settings, seeds, &mut report)?;
    let dir = generation_name(state.generation);
    let note = find_note(disk)?;
    if let Some(note) = note.as_ref().filter(|note| note.generation < state.generation) {
        finish_setting_aside(disk, note)?;
    }
    remove_other_generations(disk, state.generation)?;
    tandem_snapshot::discard_temporary(disk, &dir).map_err(BootError::io("clean", &dir))?;
    let ReadBack { store, loaded, recovered, replayed, bytes } =
        read_back(disk, &dir, settings, &state, seeds)?;
    let Loaded { start, chain, skipped, bad, name, .. } = loaded;
    let from_snapshot = name.is_some();
    report.snapshots.extend(name);
    report.snapshots.extend(skipped);
    if recovered.oldest() > start {
        let tried = report.snapshots.join(", ");
        return Err(BootError::NoSnapshot { dir, oldest: recovered.oldest(), tried });
    }
    let log_chain = recovered.chain_from();
    if from_snapshot && log_chain.is_some_and(|log_chain| log_chain != chain) {
        return Err(BootError::Mixed { dir, at: start });
    }
    report.set_aside = set_snapshots_aside(disk, &dir, bad)?;
    let kept = tandem_snapshot::list(disk, &dir).map_err(BootError::io("list", &dir))?;
    // The one before serves if this one turns out to be damaged: the log is kept for it too.
    let snapshot_start = kept.last().map_or(start, |oldest| oldest.start.min(start));
    report.records = recovered.visited();
    report.bytes = bytes;
    report.torn = recovered.torn().map(|torn| format!("{} ({} bytes)", torn.damage, torn.bytes));
    report.rewritten = recovered.rewritten().map(str::to_owned);
    discard_temporary(disk).map_err(BootError::io("clean", "conflicts"))?;
    let conflicts = catalogue(disk).map_err(BootError::io("list", "conflicts"))?;
    // What a note waits for is there once the log is not empty any more.
    let repair = note.filter(|_| recovered.tip() == Tip::EMPTY);
    if repair.is_none() {
        remove_note(disk).map_err(BootError::io("remove", "the repair note"))?;
    }
    let kept = kept_files(disk, &dir).map_err(BootError::io("list", "the data directory"))?;
    Ok(Boot {
        state,
        store,
        recovered,
        snapshot_start,
        conflicts,
        save_trouble: None,
        replayed,
        damaged: false,
        repair,
        kept,
        report,
    })
}

/// What was read back.
struct ReadBack {
    store: Store,
    loaded: Loaded,
    recovered: Recovered,
    /// With two writers: this node's side.
    replayed: Option<Replayed>,
    /// Bytes of the records that were replayed.
    bytes: u64,
}

/// Reads the newest usable snapshot and the log behind it.
fn read_back<D: Disk>(
    disk: &D,
    dir: &str,
    settings: &Settings,
    state: &NodeState,
    seeds: Seeds,
) -> Result<ReadBack, BootError> {
    let mut end_max = Lsn::MAX;
    let two_writers = settings.topology == Topology::PrimaryPrimary;
    let life = Life { incarnation: state.incarnation, generation: state.generation };
    // Files that cannot be read cost old conflicts and nothing else.
    let numbering = number_conflicts(disk, life).unwrap_or_default();
    let new_store = || {
        let mut store = Store::new(seeds.store);
        if two_writers {
            store.begin_two_writers(crate::writer::writer_facts(settings));
            store.number_conflicts(numbering);
        }
        store
    };
    let new = New { store: &new_store, side: two_writers.then_some(settings.node) };
    loop {
        let (vessel, loaded) = load_newest_into(disk, dir, state.pair, end_max, &new)
            .map_err(BootError::io("read snapshots in", dir))?;
        if loaded.other_topology {
            let one = BootError::OtherTopology;
            return Err(if two_writers { one } else { BootError::TwoWriters });
        }
        let options =
            RecoverOptions { pair: state.pair, from: loaded.start, verify: Verify::Needed };
        let Vessel { mut store, filter, writer } = vessel;
        let mut replayed = writer.map(|writer| match loaded.name {
            Some(_) => Replayed::on_snapshot(writer, filter.clone(), loaded.end),
            None => Replayed::new(writer),
        });
        // A log that begins later says nothing by itself: which own records came before is not known.
        let (mut first, start) = (true, loaded.start);
        let mut bytes = 0;
        let recovered = recover(disk, dir, &options, &mut |record| {
            bytes += u64::try_from(record.payload.len()).unwrap_or(u64::MAX);
            if std::mem::take(&mut first) && record.lsn > start {
                replayed = None;
            }
            if two_writers && replayed.is_none() {
                return Ok(());
            }
            if let Some(replayed) = &mut replayed {
                return Ok(replayed.record(record, &mut store)?);
            }
            match record.kind {
                RecordKind::Effects => store.apply(record.lsn, record.payload, Some(&filter))?,
                RecordKind::EpochStart => {}
                RecordKind::Own | RecordKind::Merged | RecordKind::Peer => {
                    return Err(Box::new(BootError::TwoWriters));
                }
            }
            Ok(())
        })?;
        if recovered.tip().end >= loaded.end {
            return Ok(ReadBack { store, loaded, recovered, replayed, bytes });
        }
        // A power cut under a weaker fsync policy took the end of the log, but not the snapshot.
        end_max = recovered.tip().end;
    }
}

/// Snapshots that an older one and the log have replaced: kept, and never looked at again.
fn set_snapshots_aside<D: Disk>(
    disk: &D,
    dir: &str,
    bad: Vec<BadSnapshot>,
) -> Result<Vec<String>, BootError> {
    let any = !bad.is_empty();
    let mut told = Vec::new();
    for BadSnapshot { name, reason } in bad {
        let (from, to) = (format!("{dir}/{name}"), format!("{dir}/{}", damaged_file_name(&name)));
        disk.rename(&from, &to).map_err(BootError::io("set aside", &from))?;
        told.push(format!("{reason}; kept as {to}"));
    }
    if any {
        disk.sync_dir(dir).map_err(BootError::io("sync", dir))?;
    }
    Ok(told)
}

/// Everything that is kept for people, below the data directory.
fn kept_files<D: Disk>(disk: &D, dir: &str) -> io::Result<Vec<String>> {
    let mut kept = crate::repair::kept(disk)?;
    let inside = disk.list(dir)?.into_iter().filter(|entry| is_kept(&entry.name));
    kept.extend(inside.map(|entry| format!("{dir}/{}", entry.name)));
    Ok(kept)
}

fn load_or_create<D: Disk>(
    disk: &D,
    settings: &Settings,
    seeds: Seeds,
    report: &mut BootReport,
) -> Result<NodeState, BootError> {
    if let Some(mut state) = load_state(disk)? {
        if state.node.is_some_and(|node| node != settings.node) {
            return Err(BootError::OtherNode);
        }
        state.boots = tandem_switch::next_boot(state.boots, seeds.switch);
        let (mut switch, mut acquaintance) = switch_and_peer(&state)?;
        switch.boot = state.boots;
        acquaintance.start(state.boots);
        state.extra.clear();
        switch.encode(&mut state.extra);
        acquaintance::encode(acquaintance.met, &acquaintance.starts, &mut state.extra);
        save_state(disk, &state)?;
        return Ok(state);
    }
    refuse_unknown_data(disk)?;
    report.created = true;
    let incarnation = Incarnation::new(seeds.incarnation.max(1));
    let mut switch = tandem_switch::NodeState::new(incarnation);
    switch.boot = tandem_switch::next_boot(0, seeds.switch);
    let mut state = NodeState {
        node: Some(settings.node),
        incarnation,
        boots: switch.boot,
        ..NodeState::default()
    };
    switch.encode(&mut state.extra);
    acquaintance::encode(None, &[switch.boot], &mut state.extra);
    let dir = generation_name(state.generation);
    remove_generation(disk, &dir)?;
    disk.create_dir(&dir).map_err(BootError::io("create", &dir))?;
    create_log(disk, &dir, PairId::NONE, Tip::EMPTY, &EpochHistory::new())?;
    disk.sync_dir("").map_err(BootError::io("sync", "the data directory"))?;
    save_state(disk, &state)?;
    Ok(state)
}

/// What the switch kept in the state file.
pub(crate) fn switch_state(state: &NodeState) -> Result<tandem_switch::NodeState, BootError> {
    Ok(switch_and_peer(state)?.0)
}

/// The same, and what is kept behind it.
fn switch_and_peer(
    state: &NodeState,
) -> Result<(tandem_switch::NodeState, Acquaintance), BootError> {
    let (switch, rest) =
        tandem_switch::NodeState::decode(&state.extra).map_err(BootError::Switch)?;
    Ok((switch, Acquaintance::decode(rest)))
}

/// Removes what a full copy that broke off, or one that was completed, left behind.
fn remove_other_generations<D: Disk>(disk: &D, keep: u64) -> Result<(), BootError> {
    let entries = disk.list("").map_err(BootError::io("list", "the data directory"))?;
    for entry in entries {
        let other = parse_generation_name(&entry.name).is_some_and(|number| number != keep);
        if !other || entry.kind != EntryKind::Directory {
            continue;
        }
        let files = disk.list(&entry.name).map_err(BootError::io("list", &entry.name))?;
        match parse_generation_name(&entry.name) {
            // It holds damaged files that nobody has looked at yet.
            Some(number) if files.iter().any(|file| is_kept(&file.name)) => {
                let renamed = disk.rename(&entry.name, &damaged_name(number));
                renamed.map_err(BootError::io("set aside", &entry.name))?;
                disk.sync_dir("").map_err(BootError::io("sync", "the data directory"))?;
            }
            _ => remove_generation(disk, &entry.name)?,
        }
    }
    Ok(())
}

/// Removes a generation's directory with all its files.
///
/// # Errors
/// The disk failed.
pub(crate) fn remove_generation<D: Disk>(disk: &D, dir: &str) -> Result<(), BootError> {
    let files = match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listed => listed.map_err(BootError::io("list", dir))?,
    };
    for file in files {
        let name = format!("{dir}/{}", file.name);
        disk.remove(&name).map_err(BootError::io("remove", &name))?;
    }
    disk.remove_dir(dir).map_err(BootError::io("remove", dir))?;
    disk.sync_dir("").map_err(BootError::io("sync", "the data directory"))
}

/// The brain that this way of switching asks for.
fn new_brain(
    now: Now,
    settings: &Settings,
    state: &tandem_switch::NodeState,
    facts: &Facts,
    seeds: Seeds,
    writer: Option<&Writer>,
) -> Brain {
    let by = match settings.switch_by {
        _ if settings.topology == Topology::PrimaryPrimary => By::Both,
        SwitchBy::Manual => By::Manual,
        SwitchBy::Mediator => By::Mediator,
        SwitchBy::Direct | SwitchBy::Probe | SwitchBy::Keepalived => By::Direct,
    };
    let boot = BootFacts { starts_in_window: facts.starts_in_window };
    let settings = switch_settings(settings);
    let mut brain = Brain::new(by, settings, *state, boot, seeds.switch, now.mono);
    if writer.is_some_and(Writer::is_restored) {
        brain.hold_restored();
    }
    brain
}

impl Node {
    /// A node that has just booted.
    ///
    /// # Errors
    /// What the switch kept cannot be read.
    pub fn new(
        now: Now,
        settings: Settings,
        facts: Facts,
        boot: Boot,
        seeds: Seeds,
        stopwatch: Option<Stopwatch>,
    ) -> Result<(Self, Recovered), BootError> {
        let Boot {
            state,
            store,
            recovered,
            snapshot_start,
            conflicts,
            save_trouble,
            replayed,
            damaged,
            repair,
            kept,
            report,
        } = boot;
        let (writer, unsaid) = replayed.map(Replayed::into_parts).unzip();
        let mut writer: Option<Writer> = writer;
        if let Some(writer) = &mut writer {
            writer.places.trimmed(recovered.oldest(), recovered.tip().end);
        }
        let scrub_every = settings.scrub_every;
        let conflicts = Conflicts::new(conflicts, save_trouble, now.mono);
        let (switch_state, Acquaintance { met, starts }) = switch_and_peer(&state)?;
        let tip = recovered.tip();
        let history = recovered.history().clone();
        let stream = stream_settings(&settings, seeds);
        let switch = new_brain(now, &settings, &switch_state, &facts, seeds, writer.as_ref());
        let tail = Tail::new(tip, settings.tail_bytes_max);
        let mut core = Core::new(settings, store, tip, writer.map(Box::new));
        core.now = now;
        core.saves = Saves::new(now, tip.end, report.records);
        let mut node = Self {
            clients: Clients::new(facts, stopwatch),
            core,
            switch,
            switch_state,
            starts,
            heart: Heart::new(&stream),
            exchange: super::both::Exchange::of_one_who_met(met),
            leader: None,
            follower: None,
            link: LinkState::default(),
            queue: ApplyQueue::new(tip),
            history,
            oldest: recovered.oldest(),
            tail,
            generation: state.generation,
            copy: None,
            snapshot: SnapshotJob::new(),
            snapshot_start,
            // One snapshot less than there should be.
            snapshot_wanted: !report.set_aside.is_empty(),
            // The next start would replay them again.
            log_bytes_since_snapshot: report.bytes,
            appended_bytes: 0,
            log_disk_bytes: recovered.total_bytes(),
            backups: Backups::default(),
            damaged,
            integrity: Integrity::new(repair, kept, scrub_every, now.mono),
            comparing: Comparing::default(),
            filter: None,
            filter_until: None,
            conflicts,
            merge_log: super::merge_log::MergeLogState::default(),
            stale_at: None,
            last_fresh: None,
            stream,
            saves: std::collections::VecDeque::new(),
            next_save: 0,
            reign_pending: None,
            asks_heir: false,
            asked: std::collections::BTreeMap::new(),
            next_ticket: 0,
            forwards: Forwards::default(),
            journal: Journal::default(),
            seeds,
            disk_full: None,
            wait_told: false,
            health: super::health::Health::default(),
            stopping: false,
            exits_after_linger: false,
            expire_again: false,
            next_expire: now.mono,
            started: now,
            switch_told: tandem_switch::OwnEnds::default(),
            load: tandem_switch::Load::default(),
            address_held: false,
            address_trouble: None,
        };
        node.begin_integrity(&report);
        node.switch_step(tandem_switch::Input::Tick);
        node.go_on_as_writer(unsaid.unwrap_or_default());
        node.refresh_view();
        Ok((node, recovered))
    }

    /// The state as it shall be on disk.
    pub(super) fn state_to_save(&self) -> NodeState {
        let switch = &self.switch_state;
        let mut extra = Vec::new();
        switch.encode(&mut extra);
        acquaintance::encode(self.exchange.peer_met(), &self.starts, &mut extra);
        NodeState {
            pair: switch.pair_id,
            node: Some(self.core.settings.node),
            incarnation: switch.incarnation,
            epoch_seen: switch.epoch_seen,
            fork_seen: switch.reign.map(|reign| reign.fork).unwrap_or_default(),
            refused_epoch: switch.refused_epoch,
            resigned: switch.resigned.then_some(switch.epoch_seen),
            in_sync: switch.in_sync.map(|set| set.members).unwrap_or_default(),
            history: self.history.clone(),
            boots: switch.boot,
            // A copy that is not whole must not be what a restart finds.
            generation: self
                .copy
                .as_ref()
                .map_or(self.generation, super::following::CopyIn::generation_on_disk),
            extra,
        }
    }
}

fn switch_settings(settings: &Settings) -> tandem_switch::Settings {
    tandem_switch::Settings {
        node: settings.node,
        names: settings.names.clone(),
        initial_primary: settings.initial_primary,
        acknowledge: settings.acknowledge,
        failure_timeout: settings.failure_timeout,
        hold: settings.hold,
        automatic: settings.automatic,
    }
}

fn stream_settings(settings: &Settings, seeds: Seeds) -> tandem_replication::Settings {
    let heartbeat_max = match settings.switch_by {
        SwitchBy::Manual | SwitchBy::Direct | SwitchBy::Probe | SwitchBy::Keepalived => {
            std::time::Duration::MAX
        }
        // Four chances to renew a lease.
        SwitchBy::Mediator => settings.automatic.read_lease / 4,
    };
    tandem_replication::Settings {
        failure_timeout: settings.failure_timeout,
        heartbeat_max,
        report_received: settings.acknowledge == Acknowledge::Received,
        seed: seeds.stream,
        ..tandem_replication::Settings::default()
    }
}
