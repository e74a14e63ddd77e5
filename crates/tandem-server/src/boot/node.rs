//! Boots a node from a data directory, and starts the threads beside it.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tandem_disk::Disk;
use tandem_log::{LogOptions, NodeState, SegmentWriter, load_state};
use tandem_node::{
    BootReport, Cause, CertificateEnd, ConnId, Desk, Facts, Foyer, Input, Life, LogPlace, MergeLog,
    Node, Output, SaveError, SaveTrouble, Seeds, Settings, Stopwatch, cut_fork, generation_name,
    save_fork,
};
use tandem_types::{Lsn, Monotonic, Now, error_chain};

use super::{AfterStop, Boot, Started};
use crate::brain::{Brain, Identity};
use crate::inbox::Outbox;
use crate::link::random_bytes;
use crate::process_load::LoadMeter;
use crate::workers::log::{LogThread, OpenLog, report_saved};
use crate::workers::{
    Reporter, Workers, conflicts, log_reader, merge_log, reaper, scrub, snapshot, spawn,
};
use crate::{RunError, clock, process_facts};

/// Boots nodes from one data directory.
pub(crate) struct NodeBoot<D> {
    /// The data directory.
    pub disk: D,
    /// The node's settings.
    pub settings: Settings,
    /// How the log is laid out.
    pub options: LogOptions,
    /// What the node cannot know by itself.
    pub facts: Facts,
}

impl<D> Boot for NodeBoot<D>
where
    D: Disk + Send + Sync + 'static,
    D::File: Send,
{
    fn boot(&self, life: u32, then: AfterStop, outbox: &Outbox) -> Result<Started, RunError> {
        let seeds = seeds()?;
        let left = self.clean_up(&then)?;
        if let AfterStop::SetAside { reason, peer_has_all } = then {
            self.set_aside(seeds, Cause { reason: &reason, peer_has_all })?;
        }
        let mut boot = match tandem_node::boot(&self.disk, &self.settings, seeds) {
            Err(error) if error.is_damage() => {
                let reason = &error.to_string();
                self.set_aside(seeds, Cause { reason, peer_has_all: false })?;
                self.boot_anew(seeds)?
            }
            Err(error) => return Err(boot_failed(&error)),
            Ok(boot) => boot,
        };
        boot.damaged |= left.damaged;
        boot.save_trouble = left.trouble;
        tell(&boot.report, boot.recovered.tip().end);
        let dir = generation_name(boot.state.generation);
        let identity = Identity {
            incarnation: boot.state.incarnation,
            pair_id: boot.state.pair,
            boots: boot.state.boots,
        };
        let stopwatch: Option<Stopwatch> = Some(|| clock::monotonic().as_nanos());
        let log_life =
            Life { incarnation: boot.state.incarnation, generation: boot.state.generation };
        let (node, recovered) = Node::new(
            clock::now(),
            self.settings.clone(),
            self.facts.clone(),
            boot,
            seeds,
            stopwatch,
        )
        .map_err(|error| boot_failed(&error))?;
        let writer = SegmentWriter::open(self.disk.clone(), &recovered, self.options);
        let log = OpenLog {
            disk: self.disk.clone(),
            dir,
            pair: identity.pair_id,
            options: self.options,
            reader: Arc::new(Mutex::new(writer.reader())),
            writer,
        };
        let reporter = Reporter::new(life, outbox.clone());
        let workers =
            start_workers(log, log_life, &self.settings, &reporter).map_err(RunError::Thread)?;
        Ok((Box::new(ServingNode { node, identity, load: LoadMeter::default() }), workers))
    }
}

/// What was left undone before the boot.
#[derive(Default)]
struct Left {
    /// The log is damaged, or cannot be cut: everything is wanted anew.
    damaged: bool,
    /// Nothing could be saved.
    trouble: Option<SaveTrouble>,
}

impl Left {
    const DAMAGED: Self = Self { damaged: true, trouble: None };
}

impl<D: Disk> NodeBoot<D> {
    /// Saves or cuts what the pair does not have.
    fn clean_up(&self, then: &AfterStop) -> Result<Left, RunError> {
        let done = match then {
            AfterStop::Nothing | AfterStop::SetAside { .. } => return Ok(Left::default()),
            AfterStop::SaveFork(fork) => {
                let state = self.state()?;
                let dir = generation_name(state.generation);
                let place = LogPlace { dir: &dir, pair: state.pair };
                let now = clock::now().wall;
                let saved = save_fork(&self.disk, place, &self.settings, fork.clone(), now);
                saved.map(|saved| report_saved(&saved))
            }
            AfterStop::CutFork { to, id } => {
                cut_fork(&self.disk, &generation_name(self.state()?.generation), *to, id)
            }
        };
        let Err(error) = done else { return Ok(Left::default()) };
        let text = error_chain(&error);
        match error {
            SaveError::Chain { .. } | SaveError::Log(_) | SaveError::NoState(_) => {
                tracing::error!("{text}: a full copy replaces the data");
                Ok(Left::DAMAGED)
            }
            SaveError::Room { .. } => {
                let trouble = Some(SaveTrouble { text, bound: true });
                Ok(Left { trouble, ..Left::default() })
            }
            SaveError::Io { .. } if matches!(then, AfterStop::SaveFork(_)) && is_full(&error) => {
                let trouble = Some(SaveTrouble { text, bound: false });
                Ok(Left { trouble, ..Left::default() })
            }
            error => Err(boot_failed(&error)),
        }
    }

    fn state(&self) -> Result<NodeState, RunError> {
        let state = load_state(&self.disk).map_err(|error| boot_failed(&error))?;
        Ok(state.unwrap_or_default())
    }

    /// Keeps the damaged files aside and begins anew, if the peer may be asked for the data.
    fn set_aside(&self, seeds: Seeds, cause: Cause<'_>) -> Result<(), RunError> {
        let kept = tandem_node::set_aside(&self.disk, &self.settings, seeds, cause);
        let kept = kept.map_err(|error| boot_failed(&error))?;
        let reason = cause.reason;
        tracing::error!("{reason}; these files are kept in {}", kept.aside());
        Ok(())
    }

    fn boot_anew(&self, seeds: Seeds) -> Result<tandem_node::Boot, RunError> {
        tandem_node::boot(&self.disk, &self.settings, seeds).map_err(|error| boot_failed(&error))
    }
}

/// Whether another start would end the same way: space may come back by itself, whatever else not.
fn boot_failed(error: &(dyn std::error::Error + 'static)) -> RunError {
    if is_full(error) {
        RunError::DiskFull(error_chain(error))
    } else {
        RunError::Boot(error_chain(error))
    }
}

/// Whether the disk was full.
fn is_full(error: &(dyn std::error::Error + 'static)) -> bool {
    let is = |error: &(dyn std::error::Error + 'static)| {
        let system = error.downcast_ref::<std::io::Error>();
        system.is_some_and(|it| it.kind() == std::io::ErrorKind::StorageFull)
    };
    std::iter::successors(Some(error), |error| error.source()).any(is)
}

/// Starts the threads of one boot.
fn start_workers<D>(
    log: OpenLog<D>,
    life: Life,
    settings: &Settings,
    reporter: &Reporter,
) -> std::io::Result<Workers>
where
    D: Disk + Send + Sync + 'static,
    D::File: Send,
{
    let (log_orders, orders) = mpsc::channel();
    let (reader_orders, reads) = mpsc::channel();
    let (snapshot_orders, chunks) = mpsc::channel();
    let (scrub_orders, scrubs) = mpsc::channel();
    let (reaper_orders, garbage) = mpsc::channel();
    let (conflict_orders, decisions) = mpsc::channel();
    let (merge_log_orders, decided) = mpsc::channel();
    let (disk, reader) = (log.disk.clone(), Arc::clone(&log.reader));
    let scrub_disk = disk.clone();
    let merge_log = MergeLog::new(log.disk.clone(), life, settings.merge_log);
    let desk = Desk::new(log.disk.clone(), settings.conflicts_bytes_max);
    let log = LogThread::new(log, settings, reporter.clone());
    let [to_reader, to_snapshot, to_desk, to_scrub, to_merge_log] =
        [(); 5].map(|()| reporter.clone());
    let threads = vec![
        spawn("log", move || log.run(&orders))?,
        spawn("log-reader", move || log_reader::run(&reads, &reader, &to_reader))?,
        spawn("snapshot", move || snapshot::run(&chunks, &disk, &to_snapshot))?,
        spawn("scrub", move || scrub::run(&scrubs, &scrub_disk, &to_scrub))?,
        spawn("conflicts", move || conflicts::run(&decisions, &desk, &to_desk))?,
        spawn("merge-log", move || merge_log::run(&decided, merge_log, &to_merge_log))?,
        spawn("reaper", move || reaper::run(&garbage))?,
    ];
    Ok(Workers {
        log: log_orders,
        reader: reader_orders,
        snapshot: snapshot_orders,
        scrub: scrub_orders,
        conflicts: conflict_orders,
        merge_log: merge_log_orders,
        reaper: reaper_orders,
        threads,
    })
}

fn seeds() -> Result<Seeds, RunError> {
    let draw = || random_bytes::<8>().map(u64::from_le_bytes).map_err(RunError::Random);
    Ok(Seeds { store: draw()?, switch: draw()?, stream: draw()?, incarnation: draw()? })
}

fn tell(report: &BootReport, end: Lsn) {
    if report.created {
        tracing::info!("a new data directory");
    } else {
        tracing::info!(
            last_lsn = end.get(),
            replayed = report.records,
            snapshots = ?report.snapshots,
            "the data is read back"
        );
    }
    for snapshot in &report.set_aside {
        tracing::error!("a snapshot is damaged, the one before it and the log serve: {snapshot}");
    }
    if let Some(torn) = &report.torn {
        tracing::warn!("the log's torn end was cut off, nobody was told of it as durable: {torn}");
    }
    if let Some(segment) = &report.rewritten {
        tracing::info!("the unproven end of segment {segment} was written anew");
    }
}

/// A node as the event loop drives it.
struct ServingNode {
    node: Node,
    identity: Identity,
    load: LoadMeter,
}

impl Brain for ServingNode {
    fn step(&mut self, now: Now, input: Input<'_>, out: &mut Vec<Output>) {
        self.node.step(now, input, out);
    }

    fn deadline(&self) -> Option<Monotonic> {
        self.node.deadline()
    }

    fn wants_turn(&self) -> bool {
        self.node.wants_turn()
    }

    fn take_dirty(&mut self, dirty: &mut Vec<ConnId>) {
        self.node.clients_mut().take_dirty(dirty);
    }

    fn writable(&mut self, conn: ConnId) -> &[u8] {
        self.node.clients().writable(conn)
    }

    fn written(&mut self, conn: ConnId, count: usize) {
        self.node.clients_mut().written(conn, count);
    }

    fn owes(&self, conn: ConnId) -> bool {
        self.node.clients().owes(conn)
    }

    fn clients_max(&self) -> usize {
        self.node.core().settings.limits.clients_max
    }

    fn take_over(&mut self, conn: ConnId, foyer: Foyer) {
        self.node.clients_mut().take_over(conn, foyer);
    }

    fn take_unread(&mut self, conn: ConnId) -> Vec<u8> {
        self.node.clients_mut().take_unread(conn)
    }

    fn foresee(&self, received: &mut dyn Iterator<Item = (ConnId, &[u8])>) {
        self.node.foresee(received);
    }

    fn recycle(&mut self, batch: tandem_log::Batch) {
        self.node.recycle(batch);
    }

    fn refresh_facts(&mut self, slowest_turn: Duration, waited: Duration) {
        self.node.requests_waited(waited);
        process_facts::refresh(self.node.clients_mut().facts_mut());
        let clients = self.node.clients();
        let (facts, commands) = (clients.facts(), clients.stats().commands);
        let cpu_us = facts.cpu_user_us.saturating_add(facts.cpu_system_us);
        let load = self.load.measure(clock::monotonic(), cpu_us, commands, slowest_turn);
        self.node.set_load(load);
    }

    fn set_certificate(&mut self, certificate: Option<CertificateEnd>) {
        self.node.clients_mut().facts_mut().certificate = certificate;
    }

    fn vitals(&self) -> Option<tandem_switch::Vitals> {
        self.node.vitals()
    }

    fn identity(&self) -> Identity {
        self.identity
    }
}
