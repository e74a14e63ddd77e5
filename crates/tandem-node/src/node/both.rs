//! The exchange between two nodes that both accept writes.
//!
//! ```text
//!  link up --> greet (what is on disk) --> plan --> Streaming: own records on disk --> chunks -->
//!                                            |      <-- chunks: merge, append     <-- Seen (on disk)
//!                                            |--> an empty peer gets pieces of a copy among the records
//!                                            '--> Apart: strangers, or one of the two begins anew
//! ```
//! - Sent is only what is on this disk, so a position is never used for two records.
//! - `Seen` names only what is on this disk. It moves replies at once; what it means for the index is
//!   `Site::heard`'s to say.
//! - Memory is bounded: chunks and pieces that the peer does not have on its disk are at most a window.
//!
//! **Not here:** what merging comes to (`tandem-merge`), what the log holds (`writer`).

mod forget;
mod greet;
mod message;
mod pace;
mod receive;
mod send;
mod verify;

use std::collections::VecDeque;

use tandem_merge::handshake::Greeting;
use tandem_switch::BootId;
use tandem_types::{Lsn, WallMillis};

use self::forget::Salvaged;
use self::message::Seen;
use self::send::{Giving, Sending};
use self::verify::Verifying;
use super::{Node, SavedFor};
use crate::acquaintance::went_back;
#[cfg(feature = "planted")]
use crate::planted::{NodeRule, holds};
use crate::writer::{NOBODY, PeerNote, Unsaid};

/// How the exchange stands.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    /// There is no link.
    #[default]
    Down,
    /// What is said first was not said, or not heard.
    Greeting,
    /// Records go both ways.
    Streaming,
    /// This node was given up: it hands over what the other one does not have.
    HandingOver,
    /// The two do not work together now; the link stays, so that each sees that the other lives.
    Apart,
}

/// How far the two are apart.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Apart {
    /// Own records that the peer may lack.
    pub(super) ahead: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    /// When the oldest of them was written.
    pub(super) since: Option<WallMillis>,
    /// Records of the peer that this node knows to lack.
    pub(super) behind: u64,
}

impl Exchange {
    /// Of a node that had met this process of its peer before it was started.
    pub(super) fn of_one_who_met(peer: Option<BootId>) -> Self {
        Self { met: Met { peer, durable: peer, went_back: false }, ..Self::default() }
    }

    /// Which process of the peer was met last.
    pub(super) const fn peer_met(&self) -> Option<BootId> {
        self.met.peer
    }

    /// This node is about to begin a new incarnation.
    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// Whether the next turn has something to send at once.
    pub(super) const fn wants_turn(&self) -> bool {
        self.sending.has_more()
    }
}

/// The exchange of one node.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    phase: Phase,
    ours: Option<Greeting>,
    theirs: Option<Greeting>,
    /// What is said to the peer holds only once the log is on disk up to here.
    settled_end: Lsn,
    sending: Sending,
    giving: Option<Giving>,
    /// What was said last.
    said: Seen,
    /// It was said before all own records up to [`Seen::said_at`] were sent: it counts at the peer only if it is
    /// said again behind them.
    said_early: bool,
    /// The log's end after each chunk or piece of this connection, and the bytes of them up to there.
    taking: VecDeque<(Lsn, u64)>,
    received: u64,
    taken: u64,
    /// This node is whole once it has the peer's records before this, and the log is on disk to there.
    whole_at: Option<(Lsn, Lsn)>,
    /// Everything is to come from the peer.
    awaits_copy: bool,
    /// A comparison of both nodes' data, and the number of the last question.
    verifying: Option<Verifying>,
    verify_token: u64,
    /// Why the two are apart, for people.
    apart: Option<String>,
    /// This node is about to begin a new incarnation.
    pub(super) leaving: bool,
    /// What a peer that was given up wrote, and nobody has dealt with.
    salvaged: Salvaged,
    met: Met,
}

/// Which process of the peer was met; outlives connections.
#[derive(Clone, Copy, Debug, Default)]
struct Met {
    /// The last one.
    peer: Option<BootId>,
    /// That is on disk.
    durable: Option<BootId>,
    /// The one that is connected is of an older copy of that one's directory.
    went_back: bool,
}

impl Node {
    /// Whether both nodes of this pair accept writes.
    pub(super) const fn is_one_of_two(&self) -> bool {
        self.core.writer.is_some()
    }

    /// After a boot: writes again what the log ends before, and does not keep half a copy.
    pub(super) fn go_on_as_writer(&mut self, unsaid: Unsaid) {
        let Some(writer) = &mut self.core.writer else { return };
        #[cfg(feature = "planted")]
        if !holds(NodeRule::ClockFromLog) {
            writer.site.forget_clock();
        }
        if writer.copying.is_some() {
            return self.begin_anew("the full copy that this directory holds broke off", false);
        }
        if writer.given_up.is_some() {
            self.stop_as_given_up();
        }
        if let Some(merged) = unsaid.merged {
            self.core.say_again(&merged);
        }
        self.core.write_salvaged(unsaid.salvaged);
    }

    /// This node serves with what was restored: whoever comes with data is a stranger from now on.
    pub(super) fn take_restored_up(&mut self) {
        if self.core.writer.as_ref().is_some_and(|writer| writer.is_restored()) {
            self.begin_snapshot_again();
            if let Err(fault) = self.core.heed(&PeerNote::Met { incarnation: NOBODY }) {
                self.reboot(fault.to_string());
            }
        }
    }

    /// The peer's place is taken anew: a snapshot must not span that.
    fn begin_snapshot_again(&mut self) {
        if self.snapshot.is_walking() {
            self.snapshot.abort(&mut self.core.out);
            drop(self.core.saves.given_up(true));
            self.snapshot_wanted = true;
        }
    }

    /// Whether a snapshot may begin: not while everything comes from the peer.
    pub(super) fn may_save_as_writer(&self) -> bool {
        let copying = self.core.writer.as_ref().is_some_and(|writer| writer.copying.is_some());
        !copying && !self.exchange.leaving
    }

    /// There may be a link, but the two do not work together.
    pub(super) const fn is_apart(&self) -> bool {
        matches!(self.exchange.phase, Phase::Apart | Phase::HandingOver)
    }

    /// Lets segments go that waited only for the peer.
    pub(super) fn retain_if_it_waits(&mut self) {
        let waits = self.core.writer.as_ref().is_some_and(|writer| writer.waits);
        if waits && self.peer_needs_log_from() >= self.snapshot_start {
            self.retain_log();
        }
    }

    /// The peer has said who it is.
    pub(super) fn exchange_up(&mut self) {
        if !self.is_one_of_two() {
            return;
        }
        let Exchange { leaving, met, .. } = self.exchange;
        let settled_end = self.core.positions.appended_end;
        let phase = Phase::Greeting;
        self.exchange = Exchange { phase, settled_end, leaving, met, ..Exchange::default() };
        self.meet_process();
        self.greet();
    }

    /// Nothing is exchanged with a process before it is on disk that it was met.
    fn meet_process(&mut self) {
        let Some(hello) = &self.link.hello else { return };
        let boot = BootId { incarnation: hello.incarnation, boot: hello.boot };
        let met = &mut self.exchange.met;
        met.went_back = went_back(met.peer, boot, &hello.starts);
        if !met.went_back && met.peer != Some(boot) {
            met.peer = Some(boot);
            self.save(SavedFor::Met(boot));
        }
    }

    /// That this process was met is on disk.
    pub(super) fn met_peer(&mut self, boot: BootId) {
        self.exchange.met.durable = Some(boot);
        self.greet();
    }

    /// The link is gone.
    pub(super) fn exchange_down(&mut self) {
        if !self.is_one_of_two() {
            return;
        }
        let verifying = self.exchange.verifying.take();
        let Exchange { leaving, met, .. } = self.exchange;
        self.exchange = Exchange { verifying, leaving, met, ..Exchange::default() };
        self.tend_verify();
        if self.core.writer.as_ref().is_some_and(|writer| writer.copying.is_some()) {
            self.begin_anew("the full copy broke off", false);
        }
    }

    /// The log is on disk up to there.
    pub(super) fn exchange_durable(&mut self, end: Lsn) {
        let Some(writer) = &mut self.core.writer else { return };
        writer.places.durable(end);
        while let Some((log_end, bytes)) = self.exchange.taking.front()
            && *log_end <= end
        {
            self.exchange.taken = *bytes;
            self.exchange.taking.pop_front();
        }
        self.greet();
        self.look_if_whole();
        // In this order, what is said to be seen comes behind the own records that it has to wait for.
        self.send_records();
        self.say_seen();
    }

    /// The end of a turn: what it made may be sent once it is on disk; what was merged may make this whole.
    pub(super) fn tend_exchange(&mut self) {
        self.send_at_end();
        if self.exchange.said_early {
            self.say_seen();
        }
        self.tend_verify();
    }

    /// How far the two are apart.
    pub(super) fn exchange_lag(&self) -> Apart {
        let Some(writer) = &self.core.writer else { return Apart::default() };
        let places = &writer.places;
        let said = self.exchange.sending.heard.said_at;
        let greeted = self.exchange.theirs.map_or(Lsn::ZERO, |greeting| greeting.own_end);
        Apart {
            ahead: places.unconfirmed_count(),
            bytes: places.unconfirmed_bytes(),
            since: places.unconfirmed_since(),
            behind: said.max(greeted).records_since(writer.site.seen_end()).unwrap_or(0),
        }
    }

    /// Brings what the peer has on its disk into the positions of the log; `false`: there is one writer.
    pub(super) fn note_confirmed(&mut self) -> bool {
        let Some(writer) = &self.core.writer else { return false };
        let at = &mut self.core.positions;
        let end = writer.places.confirmed_end().unwrap_or(at.appended_end);
        // What the peer has heard of it has on its disk.
        at.peer_received_end = end;
        at.peer_durable_end = end;
        at.peer_applied_end = end;
        true
    }

    /// Why the two do not work together, for people.
    pub(super) fn exchange_trouble(&self) -> Option<&str> {
        self.exchange.apart.as_deref()
    }
}
