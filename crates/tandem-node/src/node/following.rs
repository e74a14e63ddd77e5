//! The following end of the stream: appending, applying, a full copy coming in.

use tandem_log::Tip;
use tandem_replication::follower::{Event, Input, Output as Ask};
use tandem_replication::message::{CopyStart, Follow, Keep, SlotPieces};
use tandem_store::{SlotLsns, Store};
use tandem_switch::Reign;
use tandem_types::{Epoch, Lsn, PairId, SlotId};

use super::{Node, SavedFor};
use crate::apply_queue::ApplyQueue;
use crate::planted::{NodeRule, holds};
use crate::snapshots::note;
use crate::{LogCommand, Output, Severity, SnapshotCommand};

/// A full copy that is coming in.
#[derive(Debug)]
pub(super) struct CopyIn {
    /// The generation it replaces.
    old_generation: u64,
    /// The one it is written into.
    new_generation: u64,
    /// Its snapshot is on disk: the next saved state names the new generation.
    installing: bool,
    /// Set once the last slot is in: the copy is whole at this position.
    end: Option<Lsn>,
    /// When each slot was taken; `MAX` for those that have not come.
    filter: SlotLsns,
    /// The old generation's files are kept for people: they were damaged.
    set_aside: bool,
}

impl CopyIn {
    const fn filter(&self) -> &SlotLsns {
        &self.filter
    }

    /// What a restart would load now: the new generation only once its snapshot counts.
    pub(super) const fn generation_on_disk(&self) -> u64 {
        if self.installing { self.new_generation } else { self.old_generation }
    }
}

impl Node {
    /// Advances the follower, if this node follows.
    pub(super) fn follow(&mut self, input: Input<'_>) {
        let Some(mut follower) = self.follower.take() else { return };
        let mut out = Vec::new();
        follower.step(self.core.now.mono, input, &mut out);
        self.follower = Some(follower);
        for output in out {
            self.do_for_follower(output);
        }
    }

    /// What this node says when it asks for the stream of `reign`.
    pub(super) fn follow_request(&self, epoch: Epoch) -> Follow {
        let tip = self.core.log.tip();
        Follow {
            epoch,
            node: self.core.settings.node,
            pair_id: if self.switch_holds_data() {
                self.switch_state.pair_id
            } else {
                PairId::NONE
            },
            incarnation: self.switch_state.incarnation,
            history: self.history.clone(),
            oldest: self.oldest,
            end: tip.end,
            chain: tip.chain,
            damaged: self.damaged,
        }
    }

    /// Whether there is a log to continue.
    fn switch_holds_data(&self) -> bool {
        self.history.last().is_some()
    }

    fn do_for_follower(&mut self, output: Ask<'_>) {
        match output {
            Ask::Send(message) => self.send(&message),
            Ask::AppendRecords { bytes, .. } => self.append_records(&bytes),
            Ask::ApplyTo { end } => self.apply_to(end),
            Ask::SaveAndCut { to, chain, .. } => self.fork_found(to, chain),
            Ask::StartGeneration(start) => self.start_generation(&start),
            Ask::LoadChunk { lsn, first, last, bytes } => self.load_chunk(lsn, first, last, &bytes),
            Ask::CopyComplete { end } => self.copy_complete(end),
            Ask::DropGeneration => {
                self.switch_step(tandem_switch::Input::Copying(false));
                self.reboot("the full copy broke off: going on with the data from before".into());
            }
            Ask::Close(fault) => {
                self.event(Severity::Error, format!("the link is closed: {fault}"));
                self.drop_link(super::switching::code_of(&fault), &fault.to_string());
            }
            Ask::HigherEpoch(epoch) => {
                self.switch_step(tandem_switch::Input::HigherEpoch(epoch));
            }
            Ask::Event(event) => self.follower_event(event),
        }
    }

    fn follower_event(&mut self, event: Event) {
        let (severity, text) = match event {
            Event::Resumed { from } => {
                self.core.streams.partial_received += 1;
                self.repairs_by_log();
                (Severity::Note, format!("the stream continues from record {from}"))
            }
            Event::Diverged { to, extra } => (
                Severity::Warn,
                format!(
                    "{extra} records past {to} are not part of the pair's history: they are saved, then cut"
                ),
            ),
            Event::CopyBegun { start } => {
                self.core.streams.copies_received += 1;
                (Severity::Note, format!("a full copy begins at record {start}"))
            }
            Event::CopyDone => (Severity::Note, "the full copy is whole".into()),
            Event::OldEpochRefused { epoch } => {
                (Severity::Warn, format!("a message of the past reign {epoch} was refused"))
            }
        };
        self.event(severity, text);
    }

    fn append_records(&mut self, bytes: &[u8]) {
        match self.core.log.append_raw(bytes) {
            Ok(end) => {
                self.core.positions.appended_end = end;
                self.queue.push(bytes);
                let chain = self.core.log.tip().chain;
                self.hand_over_batches();
                self.follow(Input::Appended { end, chain });
                if !holds(NodeRule::FollowerSyncFirst) {
                    self.follow(Input::Durable { end });
                }
                if !holds(NodeRule::ApplyCommitted) {
                    self.apply_to(end);
                }
            }
            Err(error) => self.follow(Input::Refused { reason: error.to_string() }),
        }
    }

    /// Brings the key space up to `end`: everything before it is acknowledged.
    fn apply_to(&mut self, end: Lsn) {
        if !self.apply(end) {
            return;
        }
        let at = &mut self.core.positions;
        at.commit_end = at.commit_end.max(end);
        let applied_end = at.applied_end;
        self.follow(Input::Applied { end: applied_end });
        self.committed();
    }

    /// Brings the key space up to `end`, or sees to it that the node boots anew and says `false`.
    pub(super) fn apply(&mut self, end: Lsn) -> bool {
        if let Some(stop) = self.stops_to_check(end) {
            if !self.apply_all(stop) {
                return false;
            }
            self.check_now();
        }
        self.apply_all(end)
    }

    fn apply_all(&mut self, end: Lsn) -> bool {
        let filter = self.copy.as_ref().map(CopyIn::filter).or(self.filter.as_ref());
        if let Err(fault) = self.queue.apply_to(end, &mut self.core.store, filter) {
            self.event(Severity::Error, fault.to_string());
            self.reboot(fault.to_string());
            return false;
        }
        let applied_end = self.queue.tip().end;
        self.core.positions.applied_end = applied_end;
        if self.filter_until.is_some_and(|until| applied_end >= until) {
            self.filter = None;
            self.filter_until = None;
        }
        true
    }

    fn start_generation(&mut self, start: &CopyStart) {
        if let Keep::Since(from) = start.keep {
            self.core.out.push(Output::SaveRecords { from });
        }
        self.switch_step(tandem_switch::Input::Copying(true));
        self.snapshot.abort(&mut self.core.out);
        for conn in self.core.saves.given_up(false) {
            let text = "ERR the snapshot was given up: a full copy from the peer takes the place of this data";
            self.clients.answer(&mut self.core, conn, Err(text));
        }
        let tip = Tip {
            end: start.start,
            chain: start.chain,
            epoch: start.history.last_epoch(),
            stamp: start.stamp,
        };
        // Watches and waits name keys of the key space that goes now.
        self.clients.close_everyone(&mut self.core);
        let old = self.core.start_over(Store::new(self.seeds.store), tip);
        self.core.out.push(Output::DropStore(Box::new(old)));
        self.queue = ApplyQueue::new(tip);
        self.tail.reset(tip);
        self.oldest = start.start;
        self.history = start.history.clone();
        let old_generation = self.generation;
        self.generation += 1;
        let generation = self.generation;
        let header = tandem_snapshot::Header {
            pair_id: start.pair_id,
            start: tip.end,
            chain: tip.chain,
            epoch: tip.epoch,
            stamp: tip.stamp,
            history: start.history.clone(),
            beside: Vec::new(),
        };
        self.core.out.push(Output::Log(LogCommand::StartGeneration {
            generation,
            tip,
            history: start.history.clone(),
            pair_id: start.pair_id,
        }));
        self.core.out.push(Output::Snapshot(SnapshotCommand::Begin {
            generation,
            header: Box::new(header),
        }));
        let mut filter = SlotLsns::new();
        note(&mut filter, SlotId::FIRST, SlotId::LAST, Lsn::MAX);
        let set_aside = matches!(start.keep, Keep::Everything);
        self.copy = Some(CopyIn {
            old_generation,
            new_generation: generation,
            installing: false,
            end: None,
            filter,
            set_aside,
        });
        self.refresh_view();
    }

    fn load_chunk(&mut self, lsn: Lsn, first: SlotId, last: SlotId, bytes: &[u8]) {
        let Some(copy) = &mut self.copy else { return };
        note(&mut copy.filter, first, last, lsn);
        for piece in SlotPieces::new(bytes) {
            let loaded = piece.map_err(|error| error.to_string()).and_then(|(slot, content)| {
                self.core.store.load_slot(slot, lsn, content).map_err(|error| error.to_string())
            });
            if let Err(error) = loaded {
                let reason = format!("a piece of the full copy cannot be loaded: {error}");
                self.event(Severity::Error, reason.clone());
                return self.reboot(reason);
            }
        }
        self.core.out.push(Output::Snapshot(SnapshotCommand::Chunk {
            lsn,
            first,
            last,
            bytes: bytes.to_vec(),
        }));
    }

    /// All is here and durable: make the snapshot file count, then the generation.
    fn copy_complete(&mut self, end: Lsn) {
        if let Some(copy) = &mut self.copy {
            copy.end = Some(end);
            self.core.out.push(Output::Snapshot(SnapshotCommand::Finish { end }));
        }
    }

    pub(super) fn copy_snapshot_finished(&mut self) {
        if let Some(copy) = &mut self.copy {
            copy.installing = true;
            if copy.set_aside {
                let generation = copy.old_generation;
                self.core.out.push(Output::Log(LogCommand::KeepGeneration { generation }));
            }
        }
        self.save(SavedFor::CopyInstalled);
    }

    pub(super) fn copy_installed(&mut self) {
        let Some(copy) = self.copy.take() else { return };
        let text = format!("generation {} replaces {}", self.generation, copy.old_generation);
        self.event(Severity::Note, text);
        self.filter_until = copy.end;
        self.filter = Some(copy.filter);
        self.damaged = false;
        self.core.out.push(Output::Log(LogCommand::RemoveOtherGenerations {
            generation: self.generation,
            set_aside: copy.set_aside,
        }));
        if copy.set_aside {
            self.integrity.keep(crate::damaged_name(copy.old_generation));
        }
        self.repaired();
        self.switch_step(tandem_switch::Input::Copying(false));
        self.follow(Input::CopyInstalled);
        let at = &mut self.core.positions;
        // It is whole only once everything in it is committed.
        at.commit_end = at.commit_end.max(copy.end.unwrap_or_default());
        let applied = at.applied_end;
        if copy.end.is_none_or(|end| applied >= end) {
            self.filter = None;
            self.filter_until = None;
        }
        self.refresh_view();
    }

    /// The key space may be read: no full copy is coming in.
    pub(super) fn data_is_whole(&self) -> bool {
        let copying = self.core.writer().is_some_and(|writer| writer.copying.is_some());
        self.copy.is_none() && !copying
    }

    /// Whom this node follows, for people.
    pub(super) fn describe_reign(reign: &Reign) -> String {
        format!("epoch {} ({})", reign.epoch, reign.fork)
    }
}
