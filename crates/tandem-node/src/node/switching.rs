//! What the switch decides, carried out.

use std::borrow::Cow;

use tandem_replication::message::NoticeCode;
use tandem_replication::{LinkFault, Message, follower, leader};
use tandem_switch::{DemoteCause, Event, Input, Output as Decision, ReadRight, Reign};
use tandem_types::{Epoch, Monotonic, PairId, Role};

use super::{Node, SavedFor};
use crate::planted::{NodeRule, holds};
use crate::{Acknowledge, LogCommand, Output, Refusal, Severity, Topology, WithoutPeer};

/// The notice for a fault of the link.
pub(super) const fn code_of(fault: &LinkFault) -> NoticeCode {
    match fault {
        LinkFault::ForeignPair { .. } => NoticeCode::ForeignPair,
        LinkFault::SameNode(_) => NoticeCode::SameNode,
        LinkFault::NoCommonHistory { .. } => NoticeCode::NoCommonHistory,
        _ => NoticeCode::Violation,
    }
}

impl Node {
    /// Advances the switch and carries out what it decides, in order.
    pub(super) fn switch_step(&mut self, input: Input) {
        let mut out = Vec::new();
        let own = self.own_ends();
        self.switch_told = own;
        self.switch.step(self.core.now.mono, own, input, &mut out);
        for decision in out {
            self.carry_out(decision);
        }
        self.refresh_right();
    }

    /// What may be told to clients right now (R6): looked at whenever a reply may be released.
    pub(super) fn refresh_right(&mut self) {
        let now = self.core.now.mono;
        self.core.executed_by = match self.switch.read_right(now) {
            _ if !holds(NodeRule::RightFirst) => Monotonic::from_nanos(u64::MAX),
            // A follower tells what was acknowledged: its staleness is another matter.
            _ if !self.switch.is_serving() => Monotonic::from_nanos(u64::MAX),
            ReadRight::Free if self.is_awaking() => Monotonic::ZERO,
            ReadRight::Free => Monotonic::from_nanos(u64::MAX),
            ReadRight::Until(until) if now < until => Monotonic::from_nanos(u64::MAX),
            ReadRight::ExecutedBy(by) => by,
            ReadRight::Until(_) | ReadRight::None => Monotonic::ZERO,
        };
    }

    fn carry_out(&mut self, decision: Decision) {
        match decision {
            Decision::Persist { version, state } => {
                self.switch_state = state;
                self.save(SavedFor::Switch { version });
            }
            Decision::Send(message) => {
                self.send(&Message::Switch(Cow::Owned(message.to_bytes())));
            }
            Decision::BeginReign { reign, pair_id } => self.begin_reign(reign, pair_id),
            Decision::Serve { epoch } => self.serve(epoch),
            Decision::Demote { epoch, cause } => self.demote(epoch, cause),
            Decision::Follow { reign, pair_id } => self.begin_to_follow(reign, pair_id),
            Decision::Unfollow => {
                self.follower = None;
                self.refresh_view();
            }
            Decision::HoldWrites => {
                self.core.view.hold_writes = true;
                self.asks_heir = true;
                self.refresh_view();
            }
            Decision::ReleaseWrites => self.release_writes(),
            Decision::CloseLink { reason } => self.drop_link(NoticeCode::Stopping, &reason),
            Decision::Mediator(request) => self.core.out.push(Output::Mediator(request)),
            Decision::RecordsLost { end, acknowledged } => self.records_lost(end, acknowledged),
            Decision::Fence => self.core.out.push(Output::Fence),
            Decision::Answer { ticket, answer } => self.answer(ticket, answer),
            Decision::Event(event) => self.switch_event(&event),
        }
    }

    /// The log goes on under a new epoch; nothing is served before its first record is on disk.
    fn begin_reign(&mut self, reign: Reign, pair_id: PairId) {
        // What was not applied yet is part of this node's history now, acknowledged or not.
        if !self.apply(self.core.positions.appended_end) {
            return;
        }
        self.core.positions.commit_end = tandem_types::Lsn::ZERO;
        self.adopt(pair_id);
        let end = self.core.begin_reign(reign.epoch, reign.fork);
        self.hand_over_batches();
        self.core.out.push(Output::Log(LogCommand::Sync));
        self.reign_pending = Some((reign.epoch, end));
        self.refresh_view();
        self.reign_durable();
    }

    /// Tells the switch once the first record of the reign is on disk.
    pub(super) fn reign_durable(&mut self) {
        if let Some((epoch, end)) = self.reign_pending
            && (self.core.positions.durable_end >= end || !holds(NodeRule::ReignOnDisk))
        {
            self.reign_pending = None;
            self.switch_step(Input::ReignBegun { epoch, end });
        }
    }

    fn serve(&mut self, epoch: Epoch) {
        let acknowledged = self.core.positions.peer_received_end;
        assert!(
            acknowledged == tandem_types::Lsn::ZERO || self.is_one_of_two(),
            "the peer has acknowledged {acknowledged} of a reign that only begins"
        );
        self.follower = None;
        if self.is_one_of_two() {
            self.take_restored_up();
            self.next_expire = self.core.now.mono;
            self.refresh_view();
            self.update_commit();
            return self.want_address(true);
        }
        let tip = self.core.log.tip();
        let reign = leader::Reign {
            epoch,
            node: self.core.settings.node,
            pair_id: self.switch_state.pair_id,
            history: self.history.clone(),
            oldest: self.oldest,
            end: tip.end,
            chain: tip.chain,
            stamp: tip.stamp,
            commit_end: self.core.positions.commit_end,
        };
        self.leader = Some(leader::Leader::new(self.stream, reign, self.appended_bytes));
        self.next_expire = self.core.now.mono;
        self.refresh_view();
        self.clients.serves();
        self.conflicts.reigned = true;
        self.conflicts.tried.clear();
        self.forget_fork();
        self.update_commit();
        self.want_address(true);
        self.settle_by_policy();
    }

    /// The virtual address comes after the right to serve, and goes when that goes.
    fn want_address(&mut self, wanted: bool) {
        if self.core.settings.virtual_address {
            self.core.out.push(Output::VirtualAddress(wanted));
        }
    }

    /// The virtual address was bound or removed here, or could not be.
    pub(super) fn address_moved(&mut self, held: bool, trouble: Option<String>) {
        self.address_held = held;
        self.address_trouble = trouble;
    }

    fn demote(&mut self, epoch: Epoch, cause: DemoteCause) {
        self.leader = None;
        self.comparison_failed("this node is no longer primary");
        self.core.view.hold_writes = false;
        if holds(NodeRule::AcksEndWithReign) {
            let at = &mut self.core.positions;
            at.peer_received_end = tandem_types::Lsn::ZERO;
            at.peer_durable_end = tandem_types::Lsn::ZERO;
            at.peer_applied_end = tandem_types::Lsn::ZERO;
        }
        self.queue = crate::apply_queue::ApplyQueue::new(self.core.log.tip());
        self.refresh_view();
        self.run_held_back();
        if cause == DemoteCause::HandedOver {
            self.clients.handed_over(&mut self.core);
        } else {
            self.clients.demoted(&mut self.core);
        }
        self.want_address(false);
        self.event(Severity::Note, format!("no longer primary of epoch {epoch}: {cause:?}"));
    }

    /// An empty log belongs to this pair from now on.
    fn adopt(&mut self, pair_id: PairId) {
        if self.core.log.tip() == tandem_log::Tip::EMPTY {
            self.core.out.push(Output::Log(LogCommand::SetPair { pair_id }));
        }
    }

    fn begin_to_follow(&mut self, reign: Reign, pair_id: PairId) {
        self.adopt(pair_id);
        let request = self.follow_request(reign.epoch);
        let at = &self.core.positions;
        let position = follower::Position {
            end: at.appended_end,
            durable_end: at.durable_end,
            applied_end: at.applied_end,
        };
        self.follower = Some(follower::Follower::new(self.stream, position));
        self.refresh_view();
        self.follow(follower::Input::Begin(request));
        self.clients.new_primary_serves(&mut self.core);
        self.carry_out_operations();
    }

    fn release_writes(&mut self) {
        self.core.view.hold_writes = false;
        self.refresh_view();
        self.run_held_back();
        self.clients.look_again(&mut self.core);
        self.carry_out_operations();
    }

    fn switch_event(&mut self, event: &Event) {
        let peer = self.core.settings.peer_name();
        let (severity, text) = match event {
            Event::PairCreated(pair) => (Severity::Note, format!("the pair {pair} begins here")),
            Event::PairAdopted(pair) => {
                (Severity::Note, format!("this node belongs to pair {pair} now"))
            }
            Event::Promoted { reign, cause } => {
                let view = self.switch_view(reign, *cause);
                self.journal.switched(view);
                (Severity::Note, format!("primary of epoch {} ({cause:?})", reign.epoch))
            }
            Event::Demoted { epoch, cause } => {
                (Severity::Note, format!("the reign {epoch} ended here ({cause:?})"))
            }
            Event::Following(reign) => {
                (Severity::Note, format!("following {peer} in {}", Self::describe_reign(reign)))
            }
            Event::Grown { .. } => (Severity::Note, self.grown_words()),
            Event::AnswersBy(acknowledge) => {
                let word = acknowledge.word();
                let text = format!(
                    "{peer} knows that less is promised: writes are answered by \"{word}\" from here on"
                );
                (Severity::Warn, text)
            }
            Event::Shrunk { cause, .. } => (
                Severity::Warn,
                format!(
                    "alone in the in-sync set ({cause:?}): acknowledged writes are on this machine only"
                ),
            ),
            Event::MemberHere { .. } => (Severity::Note, self.member_words()),
            Event::Resigned => (Severity::Note, "this node has left the in-sync set".into()),
            Event::HandoverBegun => (Severity::Note, "a planned change of primary begins".into()),
            Event::HandoverFailed { reason } => {
                (Severity::Warn, format!("the planned change was called off: {reason}"))
            }
            Event::Decided { what, cause, after } => (
                Severity::Warn,
                format!(
                    "decided: {} because {cause} (for {} ms)",
                    described(*what),
                    after.as_millis()
                ),
            ),
            Event::Proposed { what, cause } => (
                Severity::Warn,
                format!("{} is proposed and waits for a person: {cause}", described(*what)),
            ),
            Event::ProposalDropped { what, reason } => (
                Severity::Note,
                format!("the proposal of {} is dropped: {reason}", described(*what)),
            ),
            Event::Paused(true) => (Severity::Warn, "automatic decisions are paused".into()),
            Event::Paused(false) => (Severity::Note, "automatic decisions are taken again".into()),
            Event::ChangeFailed { what, reason } => {
                (Severity::Warn, format!("{what}: the mediator did not do it: {reason}"))
            }
            Event::RecordWritten => {
                (Severity::Warn, "the mediator's record was lost or old: written again".into())
            }
            Event::MediatorHeard { reachable: true, detail } => {
                (Severity::Note, format!("the mediator is reached: {detail}"))
            }
            Event::MediatorHeard { reachable: false, detail } => {
                (Severity::Warn, format!("the mediator is lost: {detail}"))
            }
            Event::FenceBegun { purpose } => (
                Severity::Warn,
                format!("the fence command is started against {peer}, for {purpose}"),
            ),
            Event::FenceEnded { trouble: None } => {
                (Severity::Warn, format!("{peer} is off for certain, says the fence command"))
            }
            Event::FenceEnded { trouble: Some(trouble) } => (
                Severity::Error,
                format!("the fence command did not make sure that {peer} is off: {trouble}"),
            ),
            Event::SplitBrain { outcome } => {
                (Severity::Error, format!("both nodes served, and their histories fork: {outcome}"))
            }
            Event::ForeignPeer { theirs } => (
                Severity::Error,
                format!("the peer's data belongs to another pair ({theirs}); neither is touched"),
            ),
        };
        self.event(severity, text);
        self.refresh_view();
    }

    /// The peer is a member of the set.
    fn grown_words(&self) -> String {
        let worth = if self.waits_for_nobody() {
            ", and with \"local\" not waited for"
        } else {
            ": it holds every acknowledged write"
        };
        format!("{} is in sync{worth}", self.core.settings.peer_name())
    }

    /// This node is a member of the set.
    fn member_words(&self) -> String {
        if self.waits_for_nobody() {
            let peer = self.core.settings.peer_name();
            return format!(
                "this node is in sync, but {peer} answers by \"local\": a promotion may lose what it answered last"
            );
        }
        "this node is in sync: it may be promoted without loss".to_owned()
    }

    /// What membership is worth here: with `local` nothing is waited for.
    pub(super) fn waits_for_nobody(&self) -> bool {
        self.switch_state.in_sync.is_some_and(|set| set.strength == Acknowledge::Local)
    }

    /// What sessions see of the role follows from the brains; worked out anew whenever one moved.
    pub(super) fn refresh_view(&mut self) {
        let role = self.switch.role();
        let settings = &self.core.settings;
        let replica = settings.topology == Topology::PrimaryReplica;
        let (reads, writes) = match role {
            Role::Primary => (None, self.primary_writes()),
            Role::Standby if replica => (self.replica_reads(), Some(Refusal::ReadOnly)),
            Role::Standby => (Some(Refusal::Standby), Some(Refusal::Standby)),
            // Data from before may be shown by a replica, whoever leads; writes need a role.
            Role::Joining | Role::Isolated if replica => {
                (self.replica_reads(), Some(Refusal::NotPrimary))
            }
            Role::Joining | Role::Isolated => {
                (Some(Refusal::NotPrimary), Some(Refusal::NotPrimary))
            }
        };
        self.last_fresh = self.fresh_as_of();
        self.stale_at = self.next_stale_at();
        let settings = &self.core.settings;
        let read_port_reads = if role == Role::Primary { reads } else { self.replica_reads() };
        let primary =
            if role == Role::Primary { Some(settings.node) } else { self.switch.primary() };
        let starts = self.switch.is_starting();
        let hold_until = self.core.now.mono.plus(settings.hold);
        self.core.store.set_link(self.link.is_up() && !self.is_apart());
        let repair = self.integrity.lacks_data().then(|| self.repair_view()).flatten();
        let repair =
            repair.map(|repair| format!("{} (damaged: {})", repair.waiting_for, repair.reason));
        let kept_out = self.conflict_wait().map(|(fact, _)| fact);
        let waiting_for = repair
            .or(kept_out)
            .or_else(|| self.switch.why(self.core.now.mono).waiting_for)
            .or_else(|| self.writes_wait().map(|waits| waits.fact));
        let view = &mut self.core.view;
        view.starting_until = starts.then(|| view.starting_until.unwrap_or(hold_until));
        view.primary_address =
            primary.map(|node| self.core.settings.client_addresses[node].clone());
        view.role = role;
        view.epoch = self.switch.reign().map_or(Epoch::ZERO, |reign| reign.epoch);
        view.reads = reads;
        view.writes = writes;
        view.read_port_reads = read_port_reads;
        view.forward_writes =
            self.core.settings.forward_writes && role == Role::Standby && self.link.is_up();
        view.peer_in_sync = self.switch.is_in_sync();
        view.peer_connected = self.link.is_up();
        view.waiting_for = waiting_for;
    }

    fn primary_writes(&self) -> Option<Refusal> {
        if self.disk_full.is_some() {
            return Some(Refusal::Disk);
        }
        let refuses_alone = self.core.settings.without_peer == WithoutPeer::Refuse;
        (refuses_alone && !self.switch.is_in_sync()).then_some(Refusal::NoReplicas)
    }

    /// Whether what a follower holds may be read now.
    fn replica_reads(&self) -> Option<Refusal> {
        if !self.data_is_whole() || self.history.last().is_none() {
            return Some(Refusal::Loading);
        }
        let bound = self.core.settings.max_staleness;
        if bound.is_zero() {
            return None;
        }
        let fresh = self.fresh_as_of();
        let stale = fresh.is_none_or(|at| self.core.now.mono >= at.plus(bound));
        stale.then_some(Refusal::Stale)
    }

    /// Everything acknowledged before this instant is in the key space.
    fn fresh_as_of(&self) -> Option<Monotonic> {
        self.follower.as_ref().and_then(follower::Follower::fresh_as_of).max(self.last_fresh)
    }

    /// When the data will be too old to be shown, if nothing more comes.
    fn next_stale_at(&self) -> Option<Monotonic> {
        let bound = self.core.settings.max_staleness;
        if bound.is_zero() || self.is_primary() {
            return None;
        }
        Some(self.fresh_as_of()?.plus(bound)).filter(|at| *at > self.core.now.mono)
    }
}

/// A decision, for a sentence.
const fn described(what: tandem_switch::Proposed) -> &'static str {
    match what {
        tandem_switch::Proposed::TakeOver { .. } => "taking over",
        tandem_switch::Proposed::HandOver { .. } => "handing over",
    }
}
