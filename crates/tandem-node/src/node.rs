//! The node: every part, and how an input travels through them.
//!
//! ```text
//!  clients --> core (store + log being built) --> end of turn: batch --> log thread, tail, leader --> link
//!     ^                                                                                                |
//!     +---- reply gate <---- commit_end <---- positions <---- LogProgress, Ack <-----------------------+
//! ```
//! Brains decide (`switch`, `leader`, `follower`, `heart`), this composes: each brain's outputs are acted
//! on in order, and what they lead to is handed to the others.

mod applying;
mod awaking;
mod boot;
mod both;
mod comparing;
mod conflicts;
mod deciding;
mod following;
mod forcing;
mod forward;
mod health;
mod integrity;
mod leading;
mod link;
mod merge_log;
mod operator;
mod status;
mod switching;
mod unknown_data;
mod waiting;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tandem_log::Tail;
use tandem_replication::{follower, heart, leader};
use tandem_store::SlotLsns;
use tandem_switch::{Brain, Ticket};
use tandem_types::{EpochHistory, Lsn, Monotonic, Now, Role};

use crate::apply_queue::ApplyQueue;
use crate::snapshot_job::SnapshotJob;
use crate::{
    Clients, CommitRule, ConnId, Core, Event, Input, LogCommand, LogFault, Output, Severity,
    WithoutPeer,
};

pub use boot::{Boot, BootError, BootReport, Seeds, boot};
pub(crate) use boot::{remove_generation, switch_state};
use comparing::Comparing;
use conflicts::Conflicts;
pub use conflicts::SaveTrouble;
use following::CopyIn;
use forward::Forwards;
use health::Health;
use integrity::Integrity;
use link::LinkState;
use operator::{Asker, Backups};
use status::Journal;

/// Keys looked at by one slice of expiry: some ten microseconds' work.
const EXPIRE_BUDGET: usize = 64;
/// Slices of expiry are at least this far apart when there is little to do.
const EXPIRE_EVERY: Duration = Duration::from_millis(50);

/// What a saved state was for.
#[derive(Clone, Copy, Debug)]
enum SavedFor {
    /// The switch asked for it.
    Switch { version: u64 },
    /// A full copy became the current generation.
    CopyInstalled,
    /// The epoch table grew.
    History,
    /// A process of the peer was met.
    Met(tandem_switch::BootId),
    /// An empty generation of a new incarnation takes the place of this one.
    Anew { set_aside: bool },
}

/// One node of the pair.
#[derive(Debug)]
pub struct Node {
    core: Core,
    clients: Clients,
    switch: Brain,
    /// The virtual address is bound on this machine.
    address_held: bool,
    /// Why it is not where it should be.
    address_trouble: Option<String>,
    switch_state: tandem_switch::NodeState,
    /// The boots of the last starts of this directory, this one included.
    starts: Vec<u64>,
    heart: heart::Heart,
    /// With the other of two writers.
    exchange: both::Exchange,
    leader: Option<leader::Leader>,
    follower: Option<follower::Follower>,
    link: LinkState,
    queue: ApplyQueue,
    history: EpochHistory,
    oldest: Lsn,
    tail: Tail,
    generation: u64,
    copy: Option<CopyIn>,
    snapshot: SnapshotJob,
    /// Recovery needs the log from here on.
    snapshot_start: Lsn,
    snapshot_wanted: bool,
    log_bytes_since_snapshot: u64,
    /// Bytes of records appended since the start.
    appended_bytes: u64,
    /// Bytes of the log on disk, as last heard.
    log_disk_bytes: u64,
    backups: Backups,
    /// The own log was found damaged: everything is wanted anew.
    damaged: bool,
    /// Damage on the own disk, and what is done about it.
    integrity: Integrity,
    /// Comparisons with the peer's data.
    comparing: Comparing,
    /// After a full copy: when each slot was taken, until all of them are in the past.
    filter: Option<SlotLsns>,
    filter_until: Option<Lsn>,
    /// Saved writes, of this node and of its peer.
    conflicts: Conflicts,
    merge_log: merge_log::MergeLogState,
    /// When the data of a replica becomes older than may be shown.
    stale_at: Option<Monotonic>,
    /// How fresh the data was when a follower last knew it.
    last_fresh: Option<Monotonic>,
    stream: tandem_replication::Settings,
    saves: VecDeque<(u64, SavedFor)>,
    next_save: u64,
    reign_pending: Option<(tandem_types::Epoch, Lsn)>,
    /// The peer is to take over by plan: whether it lives is asked at the end of this turn.
    asks_heir: bool,
    asked: BTreeMap<Ticket, Asker>,
    next_ticket: u64,
    forwards: Forwards,
    journal: Journal,
    seeds: Seeds,
    disk_full: Option<String>,
    /// It was said that writes wait.
    wait_told: bool,
    health: Health,
    stopping: bool,
    /// The role was handed over; the process ends once nobody is served through it any more.
    exits_after_linger: bool,
    expire_again: bool,
    next_expire: Monotonic,
    started: Now,
    switch_told: tandem_switch::OwnEnds,
    load: tandem_switch::Load,
}

impl Node {
    /// Advances by one input that came at `now`, appending what must be done to `out`, in order.
    pub fn step(&mut self, now: Now, input: Input<'_>, out: &mut Vec<Output>) {
        self.core.now = now;
        // What the node wanted when it was made comes first.
        out.append(&mut self.core.out);
        std::mem::swap(&mut self.core.out, out);
        if self.stale_at.is_some_and(|at| now.mono >= at) {
            self.refresh_view();
        }
        self.refresh_right();
        self.dispatch(input);
        std::mem::swap(&mut self.core.out, out);
    }

    fn dispatch(&mut self, input: Input<'_>) {
        match input {
            Input::Accepted { conn, info } => self.clients.accepted(&mut self.core, conn, info),
            Input::Received { conn, bytes } => {
                self.clients.received(&mut self.core, conn, bytes);
                self.carry_out_operations();
            }
            Input::Closed { conn } => self.clients.closed(&mut self.core, conn),
            Input::LogProgress { written_end, durable_end, room } => {
                self.log_progress(written_end, durable_end, room);
            }
            Input::LogFault(fault) => self.log_fault(fault),
            Input::StateSaved { seq } => self.state_saved(seq),
            Input::LogRead { from, bytes } => self.log_read(from, &bytes),
            Input::LogGone { from } => self.log_gone(from),
            Input::ChainRead { lsn, chain } => self.lead(leader::Input::ChainAt { lsn, chain }),
            Input::SinceRead { from, bytes } => self.since_read(from, bytes.as_deref()),
            Input::Conflicts(news) => self.conflict_news(news),
            Input::MergeLog(news) => self.merge_log_news(news),
            Input::ChunksWritten { bytes } => self.snapshot.written(bytes),
            Input::SnapshotFinished { start, oldest_start, name } => {
                self.snapshot_finished(start, oldest_start, &name);
            }
            Input::SnapshotFailed { message } => self.snapshot_failed(&message),
            Input::LogTrimmed { oldest, bytes } => self.log_trimmed(oldest, bytes),
            Input::Scrubbed(report) => self.scrubbed(report),
            Input::SnapshotSetAside { kept } => self.snapshot_set_aside(kept),
            Input::LinkUp { address, session } => self.link_up(address, session),
            Input::LinkMessage { bytes } => self.link_message(bytes),
            Input::LinkDown { reason } => self.link_down(&reason),
            Input::LinkTrouble { reason } => self.link_trouble(reason),
            Input::LinkBacklog { bytes } => self.link.backlog_bytes = bytes,
            Input::Admin { id, request } => self.admin(id, &request),
            Input::Mediator(event) => self.switch_step(tandem_switch::Input::Mediator(event)),
            Input::PeerDied(boot) => self.switch_step(tandem_switch::Input::PeerDied(boot)),
            Input::PeerTestified(said) => self.switch_step(tandem_switch::Input::Testified(said)),
            Input::Unaided(seen) => self.switch_step(seen),
            Input::VirtualAddress { held, trouble } => self.address_moved(held, trouble),
            Input::Shutdown => self.shutdown(),
            Input::Tick => self.tick(),
            Input::EndOfTurn => self.end_of_turn(),
        }
    }

    /// When a [`Input::Tick`] is due at the latest.
    pub fn deadline(&self) -> Option<Monotonic> {
        let brains = [
            self.heart.deadline(),
            self.link.hello_by,
            self.switch.deadline(),
            self.leader.as_ref().and_then(leader::Leader::deadline),
            self.follower.as_ref().and_then(follower::Follower::deadline),
            self.clients.deadline(),
            self.is_primary().then_some(self.next_expire),
            self.stale_at,
            // Once it has passed, whoever waited was refused.
            self.core.view.starting_until.filter(|&until| until > self.core.now.mono),
            self.health_deadline(),
            self.waiting_deadline(),
            self.verify_deadline(),
            self.integrity.deadline(self.is_primary()),
            self.comparing.deadline(),
            self.conflicts.deadline(),
            self.merge_log_deadline(),
            self.awaking_deadline(),
        ];
        brains.into_iter().flatten().min()
    }

    /// Whether another [`Input::EndOfTurn`] has work to do at once, without waiting for anything.
    pub fn wants_turn(&self) -> bool {
        self.expire_again
            || self.snapshot.wants_turn()
            || self.clients.wants_turn()
            || self.conflicts.jobs.wants_turn()
            || self.exchange.wants_turn()
    }

    /// The clients' sessions: what may be written to each connection.
    pub const fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The clients' sessions, to be told what was written.
    pub const fn clients_mut(&mut self) -> &mut Clients {
        &mut self.clients
    }

    /// What sessions act on.
    pub const fn core(&self) -> &Core {
        &self.core
    }

    /// Fetches what these requests, which come next, will look up. Changes nothing.
    pub fn foresee(&self, received: &mut dyn Iterator<Item = (ConnId, &[u8])>) {
        self.clients.foresee(&self.core, received);
    }

    /// What this node says of itself on every channel; `None`: nobody listens.
    pub fn vitals(&self) -> Option<tandem_switch::Vitals> {
        self.switch.vitals(self.load)
    }

    /// How busy the process is, as last measured.
    pub const fn set_load(&mut self, load: tandem_switch::Load) {
        self.load = load;
    }

    /// Gives back a batch that was written, so that its buffer is used again.
    pub fn recycle(&mut self, batch: tandem_log::Batch) {
        self.core.log.recycle(batch);
    }

    pub(crate) fn is_primary(&self) -> bool {
        self.core.view.role == Role::Primary
    }

    fn tick(&mut self) {
        self.tend_hello();
        self.beat(heart::Input::Tick);
        self.switch_step(tandem_switch::Input::Tick);
        self.tick_leader();
        self.follow(follower::Input::Tick);
        self.refresh_view();
        self.clients.tick(&mut self.core);
        self.carry_out_operations();
        self.tend_integrity();
        self.tend_comparison();
        self.tend_conflicts();
        self.tend_exit();
    }

    /// Everything of this turn has come: hand over what it made.
    fn end_of_turn(&mut self) {
        self.notice_pause();
        self.expire();
        self.advance_job();
        self.clients.end_of_turn(&mut self.core);
        self.carry_out_operations();
        self.hand_over_batches();
        self.tend_exchange();
        self.share_scripts();
        self.ask_for_confirmation();
        self.update_commit();
        self.release_forwarded();
        self.look_at_health();
        self.tell_of_waiting();
        self.tell_switch();
        self.background();
        self.tend_merge_log();
        while let Some(garbage) = self.core.store.take_garbage() {
            self.core.out.push(Output::Garbage(garbage));
        }
    }

    fn expire(&mut self) {
        let due = self.expire_again
            || self.core.now.mono >= self.next_expire
            || self.core.store.wants_tending();
        if !due || !self.is_primary() || self.core.view.hold_writes || self.disk_full.is_some() {
            self.expire_again = false;
            return;
        }
        self.expire_again = self.core.expire(EXPIRE_BUDGET);
        self.next_expire = self.core.now.mono.plus(EXPIRE_EVERY);
    }

    /// Gives the records of this turn to the log thread, to the tail in memory, and to the leader.
    fn hand_over_batches(&mut self) {
        let mut any = false;
        if self.exchange.leaving {
            // The log of this life has ended: the log thread has begun the next one, which these do not continue.
            while self.core.log.take_batch().is_some() {}
            return;
        }
        while let Some(batch) = self.core.log.take_batch() {
            any = true;
            for start in batch.starts() {
                self.note_reign(*start);
            }
            self.health.record_handed(batch.end(), self.core.now.mono);
            let bytes = u64::try_from(batch.records().len()).unwrap_or(u64::MAX);
            self.log_bytes_since_snapshot += bytes;
            self.appended_bytes += bytes;
            self.log_disk_bytes += bytes;
            self.tail.push(batch.first(), batch.end(), batch.records());
            self.core.out.push(Output::Log(LogCommand::Write(batch)));
        }
        if any && self.leader.is_some() {
            let tip = self.core.log.tip();
            let (end, chain, stamp) = (tip.end, tip.chain, tip.stamp);
            let log_bytes = self.appended_bytes;
            self.lead(leader::Input::Appended { end, chain, stamp, log_bytes });
        }
    }

    fn note_reign(&mut self, start: tandem_types::EpochStart) {
        if let Err(error) = self.history.push(start) {
            // The appender accepted the record, so its epoch is later: only a bug can come here.
            panic!("epoch table: {error}");
        }
        self.save(SavedFor::History);
    }

    fn log_progress(&mut self, written_end: Lsn, durable_end: Lsn, room: bool) {
        let at = &mut self.core.positions;
        at.written_end = at.written_end.max(written_end);
        at.durable_end = at.durable_end.max(durable_end);
        self.records_done();
        if room && self.disk_full.take().is_some() {
            self.event(Severity::Note, "the log can be written again: space is back".into());
            self.refresh_view();
        }
        self.reign_durable();
        self.exchange_durable(durable_end);
        self.update_commit();
        self.follow(follower::Input::Durable { end: durable_end });
        self.tend_repair_by_log();
        self.tell_switch();
    }

    fn log_fault(&mut self, fault: LogFault) {
        match fault {
            LogFault::Full { message } => {
                if self.disk_full.is_none() {
                    self.event(Severity::Error, format!("the disk is full ({message}): writes are refused, reads go on; free space and writes go on by themselves"));
                }
                self.disk_full = Some(message);
                self.refresh_view();
            }
            LogFault::Failed { message } => {
                self.switch_step(tandem_switch::Input::LogFailed);
                self.clients.demoted(&mut self.core);
                let reason = format!(
                    "the log could not be written or synced ({message}): nothing more is acknowledged; check the disk, then start the node again"
                );
                self.core.out.push(Output::Exit { status: 1, reason });
            }
        }
    }

    /// Makes the state durable, with the switch's part as it last wanted it.
    fn save(&mut self, what: SavedFor) {
        if self.exchange.is_leaving() {
            return; // What is on disk by then is of another incarnation.
        }
        self.next_save += 1;
        let seq = self.next_save;
        self.saves.push_back((seq, what));
        self.health.state_handed(seq, self.core.now.mono);
        let state = Box::new(self.state_to_save());
        self.core.out.push(Output::Log(LogCommand::SaveState { seq, state }));
    }

    fn state_saved(&mut self, seq: u64) {
        self.health.state_done(seq);
        while let Some(&(first, what)) = self.saves.front() {
            if first > seq {
                break;
            }
            self.saves.pop_front();
            match what {
                SavedFor::Switch { version } => {
                    self.switch_step(tandem_switch::Input::Persisted { version });
                }
                SavedFor::CopyInstalled => self.copy_installed(),
                SavedFor::History => {}
                SavedFor::Met(boot) => self.met_peer(boot),
                SavedFor::Anew { set_aside } => self.began_anew(set_aside),
            }
        }
    }

    /// Moves `commit_end` as the rule allows, and lets go what it releases.
    fn update_commit(&mut self) {
        if !self.is_primary() {
            return;
        }
        let refuses_alone = self.core.settings.without_peer == WithoutPeer::Refuse;
        let one_of_two = self.note_confirmed();
        let rule = CommitRule {
            acknowledge: self.switch.acknowledge(),
            fsync: self.core.settings.fsync,
            peer_in_sync: self.switch.needs_peer() || (one_of_two && refuses_alone),
        };
        let end = rule.commit_end(&self.core.positions);
        if end > self.core.positions.commit_end {
            self.core.positions.commit_end = end;
            self.lead(leader::Input::Committed { end });
            self.committed();
        }
    }

    /// `commit_end` moved: replies may leave.
    fn committed(&mut self) {
        self.health.answered(self.core.positions.commit_end);
        self.clients.committed(&mut self.core);
        self.release_forwarded();
        self.conflicts_committed();
        self.carry_out_operations();
    }

    /// How far this node is, for the switch.
    fn own_ends(&self) -> tandem_switch::OwnEnds {
        let at = &self.core.positions;
        tandem_switch::OwnEnds {
            appended_end: at.appended_end,
            durable_end: at.durable_end,
            applied_end: at.applied_end,
            commit_end: at.commit_end,
        }
    }

    /// Lets the switch look at this node's progress, if there was any.
    fn tell_switch(&mut self) {
        if self.own_ends() != self.switch_told {
            self.switch_step(tandem_switch::Input::Tick);
        }
    }

    /// A slice of work that nobody waits for.
    fn background(&mut self) {
        self.core.saves.hindered = !self.may_snapshot();
        if self.snapshot.is_idle() && self.snapshot_is_due() {
            let header = self.snapshot_header();
            self.log_bytes_since_snapshot = 0;
            self.snapshot_wanted = false;
            self.core.saves.begun(self.core.now);
            self.snapshot.start(self.generation, header, &mut self.core.out);
        }
        self.snapshot.advance(&mut self.core);
    }

    fn snapshot_is_due(&self) -> bool {
        let every = self.core.settings.snapshot_log_bytes;
        let due = every > 0 && self.log_bytes_since_snapshot >= every;
        let wanted = self.snapshot_wanted || self.core.saves.is_wanted();
        self.may_snapshot() && (due || wanted)
    }

    /// Not while the key space is about to be replaced.
    fn may_snapshot(&self) -> bool {
        self.copy.is_none() && self.may_save_as_writer()
    }

    fn snapshot_header(&self) -> tandem_snapshot::Header {
        let tip = self.applied_tip();
        let mut history = self.history.clone();
        history.cut(tip.end);
        tandem_snapshot::Header {
            pair_id: self.switch_state.pair_id,
            start: tip.end,
            chain: tip.chain,
            epoch: tip.epoch,
            stamp: tip.stamp,
            history,
            beside: self
                .core
                .writer
                .as_ref()
                .map_or_else(Vec::new, |writer| writer.save(&self.core.store, tip.end)),
        }
    }

    /// Where the key space is in the log.
    fn applied_tip(&self) -> tandem_log::Tip {
        if self.is_primary() || self.is_one_of_two() {
            self.core.log.tip()
        } else {
            self.queue.tip()
        }
    }

    fn snapshot_finished(&mut self, start: Lsn, oldest_start: Lsn, name: &str) {
        self.snapshot_start = oldest_start;
        self.journal.snapshot_done(self.core.now, start);
        let waited = self.core.saves.finished(self.core.now, start);
        if self.copy.is_some() {
            return self.copy_snapshot_finished();
        }
        self.snapshot.ended();
        for conn in waited {
            self.clients.answer(&mut self.core, conn, Ok("OK"));
        }
        self.answer_backups(name, start);
        self.retain_log();
    }

    fn snapshot_failed(&mut self, message: &str) {
        self.snapshot.ended();
        self.event(Severity::Warn, format!("a snapshot could not be written ({message}): the one before still counts, the log is kept"));
        self.fail_backups(message);
        let waited = self.core.saves.failed(self.core.now);
        let text = format!("ERR the snapshot could not be written: {message}");
        for conn in waited {
            self.clients.answer(&mut self.core, conn, Err(&text));
        }
        if self.copy.is_some() {
            self.reboot(format!("a full copy could not be written: {message}"));
        }
    }

    fn log_trimmed(&mut self, oldest: Lsn, bytes: u64) {
        self.oldest = self.oldest.max(oldest);
        self.log_disk_bytes = bytes;
        if let Some(writer) = &mut self.core.writer {
            writer.places.trimmed(oldest, self.core.positions.appended_end);
        }
        self.lead(leader::Input::Trimmed { oldest });
    }

    fn reboot(&mut self, reason: String) {
        self.clients.demoted(&mut self.core);
        self.core.out.push(Output::Reboot { reason });
    }

    fn event(&mut self, severity: Severity, text: String) {
        let entry = self.journal_entry(&text);
        self.journal.note(entry);
        self.core.out.push(Output::Event(Event { severity, text }));
    }
}
