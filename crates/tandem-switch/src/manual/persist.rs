//! What waits for the disk.

use tandem_types::{Epoch, ForkId, Lsn};

use super::{Manual, Phase};
use crate::message::PeerMessage;
use crate::{Acknowledge, Event, NodeState, Output, Reign, ShrinkCause, Ticket};

/// One state on its way to the disk, and what may happen once it is there.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Write {
    version: u64,
    state: NodeState,
    /// The connection it was begun in: answers go nowhere else.
    session: Option<u64>,
    then: Then,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Then {
    Nothing,
    BeginReign(Reign),
    Follow(Reign),
    Grant { epoch: Epoch, fork: ForkId },
    ConfirmMembership { epoch: Epoch, revision: u64 },
    Shrunk { revision: u64, cause: ShrinkCause, ticket: Option<Ticket>, resigned: Option<u64> },
    Resigned { epoch: Epoch, revision: u64 },
    AnswersBy(Acknowledge),
    HandOver { reign: Reign, end: Lsn, revision: u64 },
}

impl Manual {
    /// Writes the state as it is now; `then` happens once it is on disk.
    pub(super) fn write(&mut self, then: Then, out: &mut Vec<Output>) {
        let (before, state) = (self.durable, self.state);
        assert!(
            state.epoch_seen >= before.epoch_seen && state.refused_epoch >= before.refused_epoch,
            "forgets epochs: {before:?} then {state:?}"
        );
        self.version += 1;
        let session = self.peer.as_ref().map(|peer| peer.session);
        self.writes.push_back(Write { version: self.version, state, session, then });
        out.push(Output::Persist { version: self.version, state });
    }

    /// What the peer is told of this node is on the disk: nothing that is being written changes it.
    ///
    /// A disk may take long for a refusal, and a peer that lost records hears only from this node that it did.
    pub(super) fn greets_from_disk(&self) -> bool {
        let written = || self.writes.iter().map(|write| &write.state).chain([&self.durable]);
        self.writes.is_empty() || written().all(|state| state.greets_like(&self.state))
    }

    pub(super) fn persisted(&mut self, version: u64, out: &mut Vec<Output>) {
        assert!(version <= self.version, "persisted {version} of {}", self.version);
        while let Some(write) = self.writes.front().copied() {
            if write.version > version {
                break;
            }
            self.writes.pop_front();
            self.durable = write.state;
            self.after(&write, out);
        }
    }

    fn after(&mut self, write: &Write, out: &mut Vec<Output>) {
        // What was written while nobody was there is told by the greeting of the next connection.
        let session = self.peer.as_ref().map(|peer| peer.session);
        let same_session = session.is_some() && session == write.session;
        match write.then {
            Then::Nothing => {}
            Then::BeginReign(reign) => {
                if matches!(self.phase, Phase::Starting { reign: now, .. } if now == reign) {
                    out.push(Output::BeginReign { reign, pair_id: self.state.pair_id });
                }
            }
            Then::Follow(reign) => {
                let current = self.phase == Phase::Following { reign };
                if current && same_session {
                    self.follow_now(reign, out);
                }
            }
            Then::Grant { epoch, fork } => {
                if same_session && self.state.epoch_seen == epoch {
                    out.push(Output::Send(PeerMessage::Grant { epoch, fork }));
                }
            }
            Then::ConfirmMembership { epoch, revision } => {
                out.push(Output::Event(Event::MemberHere { revision }));
                if same_session {
                    out.push(Output::Send(PeerMessage::InSyncAck { epoch, revision }));
                }
            }
            Then::Shrunk { revision, cause, ticket, resigned } => {
                out.push(Output::Event(Event::Shrunk { revision, cause }));
                if let Some(ticket) = ticket {
                    Self::answer_done(ticket, "this node goes on alone", out);
                }
                if let Some(revision) = resigned.filter(|_| same_session) {
                    out.push(Output::Send(PeerMessage::ResignAck { revision }));
                }
            }
            Then::Resigned { epoch, revision } => {
                out.push(Output::Event(Event::Resigned));
                if same_session {
                    out.push(Output::Send(PeerMessage::Resign { epoch, revision }));
                }
            }
            Then::AnswersBy(strength) => out.push(Output::Event(Event::AnswersBy(strength))),
            Then::HandOver { reign, end, revision } => {
                if self.phase == (Phase::Giving { reign, end }) {
                    self.phase = Phase::Joining;
                }
                if same_session {
                    out.push(Output::Send(PeerMessage::Handover { reign, end, revision }));
                }
            }
        }
    }
}
