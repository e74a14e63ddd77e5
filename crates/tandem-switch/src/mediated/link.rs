//! The connection to the peer: what it says of itself, what we say of us.

use std::time::Duration;

use tandem_types::{Epoch, ForkId, Lsn, Monotonic, PairId, Role};

use super::{Mediated, Phase};
use crate::lost::{heard_acknowledged, lost_records};
use crate::message::{Greeting, PeerMessage};
use crate::planted::{Rule, holds};
use crate::{BootId, Event, FollowerEnds, InSyncSet, Output, PeerStatus, Reign, Revision};

/// The connection to the peer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(super) struct Peer {
    pub(super) session: u64,
    pub(super) greeting: Option<Greeting>,
    /// What we last said in this session.
    said: Option<Greeting>,
    /// Positions of a follower, while we lead.
    pub(super) follower: FollowerEnds,
    /// [`Output::Follow`] was given for this reign in this session.
    pub(super) followed: Option<Reign>,
    /// The revision that was told and the one that was confirmed in this session.
    pub(super) told: Option<u64>,
    pub(super) confirmed: Option<u64>,
    /// A membership that waits for the log to reach it.
    pub(super) offered: Option<Offer>,
    /// It resigned in this connection: it is about to stop.
    pub(super) left: bool,
    /// It was asked to agree to this reign, where the record is lost.
    pub(super) claimed: Option<(Epoch, ForkId, Monotonic)>,
}

/// What the primary has written down of this node's membership.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Offer {
    pub(super) set: InSyncSet,
    /// The log must reach this first.
    pub(super) lsn: Lsn,
    /// The state of the record that the primary knew.
    pub(super) recorded: Option<Revision>,
}

/// What the primary said about its log.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) struct Heard {
    pub(super) at: Monotonic,
    pub(super) appended_end: Lsn,
    /// How many bytes of it are not on this disk, at most.
    pub(super) lacks: Option<u64>,
}

impl Mediated {
    pub(super) fn peer_up(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        if self.peer.is_some() {
            self.peer_down(now, Duration::ZERO, out);
        }
        self.sessions += 1;
        self.peer = Some(Peer {
            session: self.sessions,
            greeting: None,
            said: None,
            follower: FollowerEnds::default(),
            followed: None,
            told: None,
            confirmed: None,
            offered: None,
            left: false,
            claimed: None,
        });
    }

    pub(super) fn peer_down(&mut self, now: Monotonic, silent: Duration, out: &mut Vec<Output>) {
        let Some(peer) = self.peer.take() else { return };
        if peer.greeting.is_some() {
            // Only a peer that said how it stands is worth waiting for anew: since it was last heard, so
            // that `solo_after` is not counted on top of the time in which the silence was noticed. Longer
            // than that it was this node that stood still.
            self.alone_since = now.minus(silent.min(self.settings.failure_timeout));
        }
        self.decisions.in_sync_since = None;
        self.call_off_hold("the connection to the peer is gone", out);
        self.asked_peer_down(now, out);
    }

    pub(super) fn peer_status(&mut self, now: Monotonic, status: PeerStatus) {
        if let Phase::Following { reign } = self.phase
            && status.epoch == reign.epoch
        {
            let PeerStatus { epoch: _, appended_end, lacks } = status;
            self.heard = Some(Heard { at: now, appended_end, lacks });
        }
    }

    pub(super) fn peer_said(
        &mut self,
        now: Monotonic,
        message: PeerMessage,
        out: &mut Vec<Output>,
    ) {
        if self.peer.is_none() {
            return;
        }
        match message {
            PeerMessage::Greeting(greeting) => self.greeted(now, greeting, out),
            PeerMessage::Claim { epoch, fork, reign } => self.claimed(epoch, fork, reign, out),
            PeerMessage::Grant { epoch, fork } => self.granted(epoch, fork, out),
            // It is asked again after a while.
            PeerMessage::Decline { .. } => {}
            PeerMessage::InSync { epoch, set, lsn, recorded } => {
                self.offered(epoch, Offer { set, lsn, recorded });
            }
            PeerMessage::InSyncAck { epoch, revision } => self.confirmed(epoch, revision),
            PeerMessage::Resign { epoch, revision } => self.peer_resigned(epoch, revision, out),
            PeerMessage::ResignAck { .. } => self.resignation_noted(out),
            PeerMessage::HandoverRequest { epoch } => self.handover_asked(now, epoch, out),
            PeerMessage::HandoverRefused { epoch, reason } => {
                self.handover_refused(now, epoch, &reason, out);
            }
            PeerMessage::Handover { reign, end, revision: _ } => {
                self.handed_to_me(now, reign, end, out);
            }
        }
    }

    /// The peer says how it stands: the first thing in a connection, and after every change.
    fn greeted(&mut self, now: Monotonic, greeting: Greeting, out: &mut Vec<Output>) {
        let Some(peer) = &mut self.peer else { return };
        if !self.state.is_empty()
            && greeting.pair_id != PairId::NONE
            && greeting.pair_id != self.state.pair_id
        {
            let theirs = greeting.pair_id;
            out.push(Output::Event(Event::ForeignPeer { theirs }));
            let reason = format!(
                "the peer's data belongs to pair {theirs}, ours to {}; neither is touched",
                self.state.pair_id
            );
            out.push(Output::CloseLink { reason });
            self.peer_down(now, Duration::ZERO, out);
            return;
        }
        let first = peer.greeting.is_none();
        peer.greeting = Some(greeting);
        self.met = Some(BootId { incarnation: greeting.incarnation, boot: greeting.boot });
        self.adopt_pause(greeting.pauses, out);
        if self.has_lost_records(&greeting, out) {
            return;
        }
        self.saw_epoch(greeting.epoch_seen, out);
        if greeting.role == Role::Primary {
            self.peer_is_primary(now, &greeting, out);
        }
        if first && let Phase::Primary { .. } = self.phase {
            self.member_came_back(&greeting, out);
        }
    }

    /// Up to where this node knows that its peer has vouched for what is acknowledged.
    fn acknowledged_end(&self) -> Lsn {
        let heard = || heard_acknowledged(self.own.commit_end, self.reigned_end);
        match self.phase {
            // Its primary has on its disk whatever it called acknowledged. Who has dropped the stream since, to take
            // over, still knows that: it is then that the primary may return.
            Phase::Following { .. } => heard(),
            Phase::Joining | Phase::Bidding if !self.was_primary() => heard(),
            Phase::Primary { .. } => {
                if !holds(Rule::VouchedFor) {
                    return self.own.commit_end;
                }
                let peer = self.settings.node.peer();
                self.vouched.of(peer, self.state.in_sync, self.own.commit_end)
            }
            _ => Lsn::ZERO,
        }
    }

    /// The peer knows of acknowledged records that this disk lacks: it takes no role until they are here.
    pub(super) fn has_lost_records(&mut self, greeting: &Greeting, out: &mut Vec<Output>) -> bool {
        let idle = matches!(self.phase, Phase::Joining | Phase::Following { .. });
        let free = idle && !self.copying && !self.lacking && self.bid.is_none();
        let (me, end) = (self.me(), self.own.appended_end);
        let lost = lost_records(me, &self.state, end, greeting).filter(|_| free);
        let Some(acknowledged) = lost else { return false };
        self.phase = Phase::Joining;
        self.lacking = true;
        out.push(Output::RecordsLost { end, acknowledged });
        true
    }

    /// Says how we stand, if that changed and nothing of it is still being written.
    pub(super) fn greet(&mut self, out: &mut Vec<Output>) {
        let greeting = Greeting {
            pair_id: self.state.pair_id,
            incarnation: self.state.incarnation,
            boot: self.state.boot,
            role: self.spoken_role(),
            epoch_seen: self.state.epoch_seen,
            reign: self.state.reign,
            in_sync: self.state.in_sync,
            appended_end: self.own.appended_end,
            commit_end: self.acknowledged_end(),
            pauses: self.state.pauses,
            unwell: self.ailment().is_some(),
        };
        // Between two roles there is nothing to say: the next greeting tells what came of it.
        let between = matches!(self.phase, Phase::Starting { .. } | Phase::Giving { .. });
        if between || !self.greets_from_disk() {
            return;
        }
        let Some(peer) = &mut self.peer else { return };
        // How far the log is, is told with whatever else is new: the link's heartbeats say it too.
        let Greeting { appended_end, commit_end, .. } = greeting;
        let news =
            peer.said.is_none_or(|said| Greeting { appended_end, commit_end, ..said } != greeting);
        if news {
            peer.said = Some(greeting);
            Self::send(PeerMessage::Greeting(greeting), out);
        }
    }

    const fn spoken_role(&self) -> Role {
        match self.phase {
            Phase::Primary { .. } => Role::Primary,
            Phase::Following { .. } => Role::Standby,
            Phase::Joining
            | Phase::Bidding
            | Phase::Starting { .. }
            | Phase::Giving { .. }
            | Phase::Failed => Role::Joining,
        }
    }

    /// The peer's boot that this connection is with.
    pub(super) fn peer_boot(&self) -> Option<BootId> {
        let greeting = self.greeting()?;
        Some(BootId { incarnation: greeting.incarnation, boot: greeting.boot })
    }

    pub(super) fn send(message: PeerMessage, out: &mut Vec<Output>) {
        out.push(Output::Send(message));
    }
}
