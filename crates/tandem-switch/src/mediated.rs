//! `by = "mediator"`: the record at a mediator says who may be primary; this brain does the rest.
//!
//! ```text
//!            the record names this node (Return), there is none (Create), the primary is gone (TakeOver)
//!  Joining ------------------> Bidding --won--> Starting --reign on disk, leases over--> Primary
//!   ^  ^  |                      ^   |             ^                                      |   |
//!   |  |  '-peer is primary-> Following <-lost-'   '--Handover message (Following)        | hold, drained
//!   |  |                         |                                                        v
//!   |  '------ later epoch ------'<-------------- isolated, mediator lost, later epoch -- | -> Giving
//!   '---------------------------------------------------------------------------------------------'
//! ```
//! Three facts decide, and silence is none of them:
//! - the *record* `{epoch, fork, primary, primary_boot, members}`, changed by compare-and-set only. One
//!   change is under way at a time; while its outcome is not known, this node acts as if it could still
//!   take effect;
//! - the *set* on this node's disk. The primary writes {both} before it asks the record for it, and {self}
//!   after: so it acknowledges alone only while nobody else can be in the record;
//! - the *own word* on the standby's disk: it is eligible only if it was told so by its primary, has not
//!   resigned, and the record names its data directory.
//!
//! Presence at the mediator, the link and death certificates say when it is worth trying; a change that
//! rests on a wrong guess fails on the record's revision.

mod asked;
mod bid;
mod decide;
mod explain;
mod explain_primary;
mod handover;
mod health;
mod joining;
mod lease;
mod link;
mod mediator;
mod persist;
mod primary;
mod requests;
mod standby;
mod takeover;
#[cfg(test)]
mod tests;
mod view;

use std::collections::VecDeque;

use tandem_types::{Epoch, Lsn, Monotonic, Role};

use self::asked::Asked;
use self::bid::Bid;
use self::handover::Hold;
use self::lease::Lease;
use self::link::{Heard, Peer};
use self::mediator::Mediator;
use self::persist::Write;
use crate::lost::Vouched;
use crate::message::Greeting;
use crate::pausing::Pausing;
use crate::planted::{Rule, holds};
use crate::policy::Decisions;
use crate::random::Random;
use crate::{
    BootFacts, BootId, DemoteCause, Event, InSyncSet, Input, Member, NodeState, Output, OwnEnds,
    PromoteCause, Record, Reign, Settings, Testimony, Trouble,
};

/// The brain of one boot of one node.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Mediated {
    settings: Settings,
    /// When the last input came.
    stepped: Monotonic,
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
    sessions: u64,
    /// When the peer was lost, or this boot began.
    alone_since: Monotonic,
    /// The peer's boot as last met.
    met: Option<BootId>,
    /// The boot of the peer that its supervisor says has ended.
    died: Option<BootId>,
    /// What the primary last said about its log, and when.
    heard: Option<Heard>,
    /// The reign that was followed in this boot.
    followed: Option<Reign>,
    mediator: Mediator,
    /// The change of the record that is under way.
    bid: Option<Bid>,
    numbers: u64,
    /// The latest epoch that was asked for in this boot, whatever came of it.
    tried: Epoch,
    lease: Lease,
    /// It goes on alone by a person's word: the record is made to agree when it can be.
    by_force: bool,
    trouble: Option<Trouble>,
    starts: u32,
    started: Monotonic,
    decisions: Decisions,
    pausing: Pausing,
    asked: Option<Asked>,
    /// The node is about to stop: it takes on nothing new.
    stopping: bool,
    /// Why it stopped being primary in this boot, while it has not found its new place.
    deposed: Option<DemoteCause>,
}

#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
enum Phase {
    /// No role.
    Joining,
    /// Wants to be primary: the bid tells of it.
    Bidding,
    /// The record names this node; its reign is being written to disk, and leases run out.
    Starting { reign: Reign, cause: PromoteCause, serve_at: Monotonic, begun: Option<Lsn> },
    /// Serves.
    Primary { reign: Reign, hold: Option<Hold> },
    /// Stopped serving, and gives the role to the peer: the bid tells of it.
    Giving { old: Reign, end: Lsn },
    /// Obeys the peer.
    Following { reign: Reign },
    /// The disk failed.
    Failed,
}

impl Mediated {
    /// The brain of a boot that found `state` on disk. `seed` comes from the system's randomness.
    pub fn new(
        settings: Settings,
        state: NodeState,
        facts: BootFacts,
        seed: u64,
        now: Monotonic,
    ) -> Self {
        let bid = state.attempt.map(Bid::from_disk);
        let bid_epoch = state.attempt.map_or(Epoch::ZERO, |it| it.record.epoch);
        Self {
            settings,
            stepped: now,
            random: Random::new(seed),
            state,
            durable: state,
            version: 0,
            writes: VecDeque::new(),
            phase: if bid.is_some() { Phase::Bidding } else { Phase::Joining },
            own: OwnEnds::default(),
            reign_end: Lsn::ZERO,
            copying: false,
            lacking: false,
            vouched: Vouched::default(),
            reigned_end: Lsn::ZERO,
            peer: None,
            sessions: 0,
            alone_since: now,
            met: None,
            died: None,
            heard: None,
            followed: None,
            mediator: Mediator::new(now),
            bid,
            numbers: 0,
            tried: bid_epoch,
            lease: Lease::default(),
            by_force: false,
            trouble: None,
            starts: facts.starts_in_window,
            started: now,
            decisions: Decisions::default(),
            pausing: Pausing::default(),
            asked: None,
            stopping: false,
            deposed: None,
        }
    }

    /// Advances by one input, appending what must be done to `out` in order. `own` must be as of now:
    /// what counts as acknowledged is taken from it.
    pub fn step(&mut self, now: Monotonic, own: OwnEnds, input: Input, out: &mut Vec<Output>) {
        if self.phase == Phase::Failed {
            return;
        }
        self.own = own;
        self.stepped = now;
        match input {
            Input::PeerUp => self.peer_up(now, out),
            Input::PeerDown { silent } => self.peer_down(now, silent, out),
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
            Input::Persisted { version } => self.persisted(now, version, out),
            Input::ReignBegun { epoch, end } => self.reign_begun(epoch, end),
            Input::Ask { ticket, request } => self.ask(now, ticket, request, out),
            Input::LogFailed => self.log_failed(out),
            Input::HigherEpoch(epoch) => self.saw_epoch(epoch, out),
            Input::Mediator(event) => self.mediator_said(now, event, out),
            Input::PeerDied(boot) | Input::Testified(Testimony { boot, .. }) => {
                self.died = Some(boot);
            }
            Input::Confirmed { epoch, asked, lease } => self.lease_confirmed(epoch, asked, lease),
            Input::Trouble(trouble) => self.trouble = trouble,
            Input::Tick
            | Input::ChannelHeard { .. }
            | Input::Fenced(_)
            | Input::Pinged { .. }
            | Input::Probed { .. }
            | Input::Exchange(_)
            | Input::Address(_) => {}
        }
        self.tend(now, out);
        self.check();
    }

    /// Does what has become possible, whatever input made it so.
    fn tend(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        self.tend_own_right(now, out);
        match self.phase {
            Phase::Joining => self.settle(now, out),
            Phase::Starting { .. } => self.serve_when_due(now, out),
            Phase::Primary { hold: Some(_), .. } => self.tend_hold(now, out),
            Phase::Primary { hold: None, .. } => self.tend_primary(now, out),
            Phase::Following { .. } => self.tend_following(now, out),
            Phase::Bidding | Phase::Giving { .. } | Phase::Failed => {}
        }
        self.tend_bid(now, out);
        self.tend_decisions(now, out);
        self.tend_asked(now, out);
        self.greet(out);
        self.tend_pause(now, out);
        self.tend_mediator(now, out);
    }

    fn check(&self) {
        if let Phase::Primary { reign, .. } = self.phase {
            assert!(reign.primary == self.settings.node, "serves the reign of {:?}", reign.primary);
            let (seen, refused) = (self.state.epoch_seen, self.state.refused_epoch);
            let fenced = holds(Rule::FenceByEpoch);
            assert!(!fenced || reign.epoch == seen, "serves {} after seeing {seen}", reign.epoch);
            assert!(reign.epoch > refused, "serves {} after refusing {refused}", reign.epoch);
        }
        if let Phase::Following { reign } = self.phase {
            assert!(reign.primary != self.settings.node, "follows itself");
        }
    }

    /// R8: a later epoch exists. Stop first, write it down, answer after that.
    fn saw_epoch(&mut self, epoch: Epoch, out: &mut Vec<Output>) {
        if epoch <= self.state.epoch_seen || !holds(Rule::FenceByEpoch) {
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
            // A bid and a gift are settled by the record.
            Phase::Following { .. }
            | Phase::Joining
            | Phase::Bidding
            | Phase::Giving { .. }
            | Phase::Failed => {}
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
        self.deposed = Some(cause);
        if cause == DemoteCause::HandedOver {
            // That is what its restarts can lead to; they are no reason to give the role away a second time.
            self.starts = 0;
        }
        self.by_force = false;
        self.lease.confirmed = None;
        self.decisions.in_sync_since = None;
    }

    fn log_failed(&mut self, out: &mut Vec<Output>) {
        self.demote(DemoteCause::LogFailed, out);
        if let Phase::Following { .. } = self.phase {
            out.push(Output::Unfollow);
        }
        self.phase = Phase::Failed;
        // Whoever waits for the presence to end need not wait.
        out.push(Output::Mediator(crate::MediatorRequest::Leave));
    }

    const fn me(&self) -> Member {
        self.state.member(self.settings.node)
    }

    const fn my_boot(&self) -> BootId {
        BootId { incarnation: self.state.incarnation, boot: self.state.boot }
    }

    fn greeting(&self) -> Option<&Greeting> {
        self.peer.as_ref()?.greeting.as_ref()
    }

    fn peer_serves(&self) -> bool {
        self.greeting().is_some_and(|greeting| greeting.role == Role::Primary)
    }

    /// The own reign, while it is served or about to be.
    const fn own_reign(&self) -> Option<Reign> {
        match self.phase {
            Phase::Primary { reign, .. } | Phase::Starting { reign, .. } => Some(reign),
            _ => None,
        }
    }

    /// The epoch up to which nothing is acknowledged any more.
    fn refused(&self) -> Epoch {
        let bid = self.bid.as_ref().map_or(Epoch::ZERO, |bid| bid.refuses);
        let bid = if holds(Rule::RefuseFirst) { bid } else { Epoch::ZERO };
        self.state.refused_epoch.max(bid)
    }

    /// The epoch after all that either node has seen, and after the record's.
    fn next_epoch(&self) -> Epoch {
        let peer = self.greeting().map_or(Epoch::ZERO, |greeting| greeting.epoch_seen);
        let record = self.mediator.known().map_or(Epoch::ZERO, |(_, record)| record.epoch);
        self.state.epoch_seen.max(self.refused()).max(self.tried).max(peer).max(record).next()
    }

    /// The revision after all that either node has written.
    fn next_revision(&self) -> u64 {
        let own = self.state.in_sync.map_or(0, |set| set.revision);
        let peer = self.greeting().and_then(|it| it.in_sync).map_or(0, |set| set.revision);
        own.max(peer).saturating_add(1)
    }

    fn alone_set(&self, epoch: Epoch) -> InSyncSet {
        InSyncSet::alone(self.me(), epoch, self.next_revision(), self.settings.acknowledge)
    }

    /// What the record says while this node is the primary of `reign`.
    fn record_of(&self, reign: Reign) -> Record {
        let set = self.state.in_sync.unwrap_or_else(|| self.alone_set(reign.epoch));
        Record {
            pair_id: self.state.pair_id,
            epoch: reign.epoch,
            fork: reign.fork,
            primary: reign.primary,
            primary_boot: self.my_boot(),
            members: set.members,
            strength: self.settings.acknowledge,
        }
    }

    fn peer_words(&self) -> String {
        format!("node {}", self.settings.peer_name())
    }
}

/// For model checking: what does not change what happens next is made equal.
#[cfg(feature = "planted")]
impl Mediated {
    /// `quiet`: no question or answer of the mediator is under way, so numbers may begin anew.
    pub fn normalise(&mut self, quiet: bool) {
        if self.writes.is_empty() {
            self.version = 0;
        }
        if quiet && self.bid.is_none() {
            self.numbers = 0;
        }
        self.stepped = Monotonic::ZERO;
        self.own = OwnEnds::default();
        self.vouched = Vouched::default();
        self.reigned_end = Lsn::ZERO;
        self.mediator.forget_timing();
        if let Some(peer) = &mut self.peer {
            peer.session = 1;
        }
        if self.writes.is_empty() {
            self.sessions = 1;
        }
    }
}
