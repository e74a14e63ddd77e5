//! `by = "manual"`: a person decides every change of primary; the node only keeps it safe.
//!
//! ```text
//!             both empty, I am initial_primary; or I was primary and: the peer agrees (Claim, Grant),
//!             or I am alone in my set, or a person says so
//!  Joining ------------------------------------------------> Starting --reign on disk--> Primary
//!     ^  |                                                      ^                          |
//!     |  '--the peer is primary--> Following --promote----------'                          |
//!     |                               |    '---Handover message-'                          |
//!     '-------------------------------'----<-- later epoch, handed over, disk failed ------'
//! ```
//! Two facts on disk decide, silence never does:
//! - the *set* of the latest primary. While it holds both, that primary acknowledges nothing that the
//!   peer does not have, and does not begin a new reign without the peer's consent;
//! - the *copy* of it on the other node. It proves that the other node holds everything acknowledged,
//!   as long as the primary has not left it by a person's word (`solo`).
//!
//! So a standby whose copy names it may be promoted without loss while the primary is unreachable.

mod explain;
mod handover;
mod joining;
mod persist;
pub(crate) mod pilot;
mod primary;
mod promote;
mod split;
mod standby;
mod strength;
#[cfg(test)]
mod tests;
mod view;

use std::collections::VecDeque;

use tandem_types::{Epoch, ForkId, Lsn, Monotonic, Role};

use self::handover::Hold;
use self::persist::Write;
use self::pilot::Piloted;
use self::promote::Asked;
use crate::lost::{Vouched, heard_acknowledged, lost_records};
use crate::message::{Greeting, PeerMessage};
use crate::planted::{Rule, holds};
use crate::random::Random;
use crate::{
    DemoteCause, Event, FollowerEnds, InSyncSet, Input, NodeState, OnSilence, Output, OwnEnds,
    PeerStatus, PromoteCause, Reign, Request, Settings, Ticket,
};

/// The brain of one boot of one node.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Manual {
    settings: Settings,
    random: Random,
    /// What shall be on disk.
    state: NodeState,
    /// What is on disk.
    durable: NodeState,
    version: u64,
    writes: VecDeque<Write>,
    phase: Phase,
    own: OwnEnds,
    /// The position after the first record of the own reign.
    reign_end: Lsn,
    copying: bool,
    /// The data was damaged and is set aside; the full copy that replaces it is not whole yet.
    lacking: bool,
    /// What the follower of the own reign has had on its disk.
    vouched: Vouched,
    /// Up to where this process acknowledged in its own last reign.
    reigned_end: Lsn,
    peer: Option<Peer>,
    /// A set that is worth less than the one here, which the standby was told and has not confirmed.
    weaker: Option<InSyncSet>,
    sessions: u64,
    /// When the peer was lost, or this boot began.
    alone_since: Monotonic,
    /// What the primary last said about its log, and when.
    heard: Option<Heard>,
    asked: Option<Asked>,
    /// The node is about to stop: it takes on nothing new.
    stopping: bool,
    /// It was primary in this boot and is not any more.
    deposed: bool,
    /// Both nodes served, and this one stopped: it begins nothing by itself until it follows, or a person
    /// decides.
    split: bool,
    /// What an autopilot knows; nothing where a person decides.
    piloted: Piloted,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Phase {
    /// No role.
    Joining,
    /// Asked the peer to agree to a reign.
    Claiming { epoch: Epoch, fork: ForkId },
    /// A reign is being written to disk, state first, then the log.
    Starting { reign: Reign, cause: PromoteCause },
    /// Serves.
    Primary { reign: Reign, hold: Option<Hold> },
    /// The reign is given away; nothing is served while that is being written.
    Giving { reign: Reign, end: Lsn },
    /// Obeys the peer.
    Following { reign: Reign },
    /// The disk failed.
    Failed,
}

/// The connection to the peer.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
struct Peer {
    session: u64,
    greeting: Option<Greeting>,
    /// What we last said in this session.
    said: Option<Greeting>,
    /// Positions of a follower, while we lead.
    follower: FollowerEnds,
    /// [`Output::Follow`] was given for this reign in this session.
    followed: Option<Reign>,
    /// The revision that was told and the one that was confirmed in this session.
    told: Option<u64>,
    confirmed: Option<u64>,
    /// A claim was declined; wait for the greeting that says why.
    declined: bool,
    /// A membership that waits for the log to reach it.
    offered: Option<(InSyncSet, Lsn)>,
    /// It resigned in this connection: it is about to stop.
    left: bool,
    /// This node's clock when it last asked the follower of its reign for a sign of life that came.
    answered: Option<Monotonic>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Heard {
    at: Monotonic,
    appended_end: Lsn,
    /// How many bytes of it are not on this disk, at most.
    lacks: Option<u64>,
}

impl Manual {
    /// The brain of a boot that found `state` on disk. `seed` comes from the system's randomness.
    pub fn new(settings: Settings, state: NodeState, seed: u64, now: Monotonic) -> Self {
        Self {
            settings,
            random: Random::new(seed),
            state,
            durable: state,
            version: 0,
            writes: VecDeque::new(),
            phase: Phase::Joining,
            own: OwnEnds::default(),
            reign_end: Lsn::ZERO,
            copying: false,
            lacking: false,
            vouched: Vouched::default(),
            reigned_end: Lsn::ZERO,
            peer: None,
            weaker: None,
            sessions: 0,
            alone_since: now,
            heard: None,
            asked: None,
            stopping: false,
            deposed: false,
            split: false,
            piloted: Piloted::default(),
        }
    }

    /// Advances by one input, appending what must be done to `out` in order. `own` must be as of now:
    /// what counts as acknowledged is taken from it.
    pub fn step(&mut self, now: Monotonic, own: OwnEnds, input: Input, out: &mut Vec<Output>) {
        if self.phase == Phase::Failed {
            return;
        }
        self.own = own;
        match input {
            Input::PeerUp => self.peer_up(now, out),
            Input::PeerDown { silent: _ } => self.peer_down(now, out),
            Input::PeerSaid(message) => self.peer_said(now, message, out),
            Input::PeerStatus(status) => self.peer_status(now, status),
            Input::Follower(ends) => {
                if let Some(peer) = &mut self.peer {
                    peer.follower = ends;
                }
                if let Some(greeting) = self.greeting().copied() {
                    self.vouched.note(greeting.incarnation, ends.durable_end);
                }
            }
            Input::FellBehind => {
                if let Some(peer) = &mut self.peer {
                    peer.follower.caught_up = false;
                }
            }
            Input::Copying(copying) => self.copying = copying,
            Input::Lacking(lacking) => self.lacking = lacking,
            Input::Persisted { version } => self.persisted(version, out),
            Input::ReignBegun { epoch, end } => self.reign_begun(epoch, end, out),
            Input::Ask { ticket, request } => self.ask(now, ticket, request, out),
            Input::LogFailed => self.log_failed(out),
            Input::HigherEpoch(epoch) => self.saw_epoch(epoch, out),
            Input::Confirmed { epoch, asked, lease: _ } => self.answered(epoch, asked),
            Input::Tick
            | Input::Mediator(_)
            | Input::PeerDied(_)
            | Input::Testified(_)
            | Input::ChannelHeard { .. }
            | Input::Fenced(_)
            | Input::Pinged { .. }
            | Input::Probed { .. }
            | Input::Exchange(_)
            | Input::Address(_)
            | Input::Trouble(_) => {}
        }
        self.tend(now, out);
        self.check();
    }

    /// Does what has become possible, whatever input made it so.
    fn tend(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        match self.phase {
            Phase::Joining => self.settle(now, out),
            Phase::Primary { hold: Some(_), .. } => self.tend_hold(now, out),
            Phase::Primary { hold: None, .. } => self.tend_set(now, out),
            Phase::Following { .. } => self.take_offer(out),
            Phase::Claiming { .. }
            | Phase::Starting { .. }
            | Phase::Giving { .. }
            | Phase::Failed => {}
        }
        self.tend_asked(now, out);
        self.greet(out);
    }

    fn check(&self) {
        if let Phase::Primary { reign, .. } = self.phase {
            let durable = self.durable.reign;
            assert!(durable == Some(reign), "serves {reign:?}, disk says {durable:?}");
            assert!(reign.primary == self.settings.node, "serves the reign of {:?}", reign.primary);
            let (seen, refused) = (self.state.epoch_seen, self.state.refused_epoch);
            assert!(reign.epoch == seen, "serves {} after seeing {seen}", reign.epoch);
            assert!(reign.epoch > refused, "serves {} after refusing {refused}", reign.epoch);
        }
        if let Phase::Following { reign } = self.phase {
            assert!(reign.primary != self.settings.node, "follows itself");
        }
    }

    fn peer_up(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        if self.peer.is_some() {
            self.peer_down(now, out);
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
            declined: false,
            offered: None,
            left: false,
            answered: None,
        });
    }

    fn peer_down(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let Some(peer) = self.peer.take() else { return };
        if peer.greeting.is_some() {
            // Only a peer that said how it stands is worth waiting for anew.
            self.alone_since = now;
        }
        if let Phase::Claiming { .. } = self.phase {
            self.phase = Phase::Joining;
        }
        self.call_off_hold("the connection to the peer is gone", out);
        self.asked_peer_down(now, out);
    }

    fn peer_status(&mut self, now: Monotonic, status: PeerStatus) {
        if let Phase::Following { reign } = self.phase
            && status.epoch == reign.epoch
        {
            let PeerStatus { epoch: _, appended_end, lacks } = status;
            self.heard = Some(Heard { at: now, appended_end, lacks });
        }
    }

    /// The follower has answered: it lived when it was asked.
    fn answered(&mut self, epoch: Epoch, asked: Monotonic) {
        let current = matches!(self.phase, Phase::Primary { reign, .. } if reign.epoch == epoch);
        if let Some(peer) = self.peer.as_mut().filter(|_| current) {
            peer.answered = peer.answered.max(Some(asked));
        }
    }

    fn peer_said(&mut self, now: Monotonic, message: PeerMessage, out: &mut Vec<Output>) {
        if self.peer.is_none() {
            return;
        }
        match message {
            PeerMessage::Greeting(greeting) => self.greeted(now, greeting, out),
            PeerMessage::Claim { epoch, fork, reign } => self.claimed(epoch, fork, reign, out),
            PeerMessage::Grant { epoch, fork } => self.granted(epoch, fork, out),
            PeerMessage::Decline { epoch } => self.declined(epoch),
            PeerMessage::InSync { epoch, set, lsn, recorded: _ } => self.offered(epoch, set, lsn),
            PeerMessage::InSyncAck { epoch, revision } => self.confirmed(epoch, revision, out),
            PeerMessage::Resign { epoch, revision } => self.peer_resigned(epoch, revision, out),
            PeerMessage::ResignAck { .. } => self.resignation_noted(out),
            PeerMessage::HandoverRequest { epoch } => self.handover_asked(now, epoch, out),
            PeerMessage::HandoverRefused { epoch, reason } => {
                self.handover_refused(now, epoch, &reason, out);
            }
            PeerMessage::Handover { reign, end, revision } => {
                self.handed_to_me(reign, end, revision, out);
            }
        }
    }

    /// The peer says how it stands: the first thing in a connection, and after every change.
    fn greeted(&mut self, now: Monotonic, greeting: Greeting, out: &mut Vec<Output>) {
        let Some(peer) = &mut self.peer else { return };
        if !self.state.is_empty()
            && greeting.pair_id != tandem_types::PairId::NONE
            && greeting.pair_id != self.state.pair_id
        {
            let theirs = greeting.pair_id;
            out.push(Output::Event(Event::ForeignPeer { theirs }));
            let reason = format!(
                "the peer's data belongs to pair {theirs}, ours to {}; neither is touched",
                self.state.pair_id
            );
            out.push(Output::CloseLink { reason });
            self.peer_down(now, out);
            return;
        }
        let first = peer.greeting.is_none();
        peer.greeting = Some(greeting);
        peer.declined = false;
        if first {
            // Whether it took that, its greeting says.
            self.weaker = None;
        }
        if self.has_lost_records(&greeting, out) {
            return;
        }
        self.settle_split(&greeting, out);
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
            Phase::Joining | Phase::Claiming { .. } if !self.was_primary() => heard(),
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
    fn has_lost_records(&mut self, greeting: &Greeting, out: &mut Vec<Output>) -> bool {
        let idle =
            matches!(self.phase, Phase::Joining | Phase::Claiming { .. } | Phase::Following { .. });
        // Where silence is enough to take over, both may have been primary. Who was alone in the set may then know only
        // of its own writes, and the peer that never had them has lost nothing.
        let may_split = self.settings.automatic.unaided.on_silence == OnSilence::TakeOver;
        let shared = greeting.in_sync.is_some_and(|set| set.is_both());
        let free = idle && (shared || !may_split) && !self.copying && !self.lacking;
        let (me, end) = (self.state.member(self.settings.node), self.own.appended_end);
        let lost = lost_records(me, &self.state, end, greeting).filter(|_| free);
        let Some(acknowledged) = lost else { return false };
        self.phase = Phase::Joining;
        self.lacking = true;
        out.push(Output::RecordsLost { end, acknowledged });
        true
    }

    /// R8: a later epoch exists. Stop first, write it down, answer after that.
    fn saw_epoch(&mut self, epoch: Epoch, out: &mut Vec<Output>) {
        if epoch <= self.state.epoch_seen {
            return;
        }
        match self.phase {
            Phase::Primary { .. } | Phase::Starting { .. } => {
                self.demote(DemoteCause::HigherEpoch, out);
            }
            Phase::Following { reign } if reign.epoch < epoch => {
                out.push(Output::Unfollow);
                self.phase = Phase::Joining;
            }
            Phase::Claiming { .. } => self.phase = Phase::Joining,
            Phase::Following { .. } | Phase::Joining | Phase::Giving { .. } | Phase::Failed => {}
        }
        self.state.epoch_seen = epoch;
        self.write(persist::Then::Nothing, out);
    }

    fn demote(&mut self, cause: DemoteCause, out: &mut Vec<Output>) {
        let (Phase::Primary { reign, .. } | Phase::Starting { reign, .. }) = self.phase else {
            return;
        };
        self.reigned_end = self.own.commit_end;
        out.push(Output::Demote { epoch: reign.epoch, cause });
        out.push(Output::Event(Event::Demoted { epoch: reign.epoch, cause }));
        self.phase = Phase::Joining;
        self.deposed = true;
    }

    fn log_failed(&mut self, out: &mut Vec<Output>) {
        self.demote(DemoteCause::LogFailed, out);
        if let Phase::Following { .. } = self.phase {
            out.push(Output::Unfollow);
        }
        self.phase = Phase::Failed;
    }

    fn ask(&mut self, now: Monotonic, ticket: Ticket, request: Request, out: &mut Vec<Output>) {
        match request {
            Request::Promote { accept_loss, force } => {
                self.promote(now, ticket, promote::Accepted { accept_loss, force }, out);
            }
            Request::Switch { to } => self.switch(now, ticket, to, out),
            Request::Solo { force } => self.solo(ticket, force, out),
            Request::Stop => self.stop(now, ticket, out),
            Request::Confirm | Request::Reject | Request::Pause | Request::Resume => {
                Self::nothing_automatic(ticket, out);
            }
        }
    }

    /// Says how we stand, if that changed and nothing of it is still being written.
    fn greet(&mut self, out: &mut Vec<Output>) {
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
            unwell: self.piloted.unwell,
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
            out.push(Output::Send(PeerMessage::Greeting(greeting)));
        }
    }

    const fn spoken_role(&self) -> Role {
        match self.phase {
            Phase::Primary { .. } => Role::Primary,
            Phase::Following { .. } => Role::Standby,
            Phase::Joining
            | Phase::Claiming { .. }
            | Phase::Starting { .. }
            | Phase::Giving { .. }
            | Phase::Failed => Role::Joining,
        }
    }

    fn greeting(&self) -> Option<&Greeting> {
        self.peer.as_ref()?.greeting.as_ref()
    }

    /// The epoch after all that either node has seen.
    fn next_epoch(&self) -> Epoch {
        let peer = self.greeting().map_or(Epoch::ZERO, |greeting| greeting.epoch_seen);
        self.state.epoch_seen.max(self.state.refused_epoch).max(peer).next()
    }

    /// The revision after all that either node has written.
    fn next_revision(&self) -> u64 {
        let own = self.state.in_sync.map_or(0, |set| set.revision);
        let peer = self.greeting().and_then(|it| it.in_sync).map_or(0, |set| set.revision);
        own.max(peer).saturating_add(1)
    }
}
