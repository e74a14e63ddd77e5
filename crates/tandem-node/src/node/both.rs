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
mod receive;
mod send;
mod verify;

use std::collections::VecDeque;

use tandem_merge::handshake::Greeting;
use tandem_types::{Lsn, WallMillis};

use self::forget::Salvaged;
use self::message::Seen;
use self::send::{Giving, Sending};
use self::verify::Verifying;
use super::Node;
use crate::writer::Unsaid;

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
    /// This node is about to begin a new incarnation.
    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving
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
    leaving: bool,
    /// What a peer that was given up wrote, and nobody has dealt with.
    salvaged: Salvaged,
}

impl Node {
    /// Whether both nodes of this pair accept writes.
    pub(super) const fn is_one_of_two(&self) -> bool {
        self.core.writer.is_some()
    }

    /// After a boot: writes again what the log ends before, and does not keep half a copy.
    pub(super) fn go_on_as_writer(&mut self, unsaid: Unsaid) {
        let Some(writer) = &self.core.writer else { return };
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

    /// The peer's place is taken anew: a snapshot must not span that.
    fn begin_snapshot_again(&mut self) {
        if self.snapshot.is_walking() {
            self.snapshot.abort(&mut self.core.out);
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
        let leaving = self.exchange.leaving;
        let settled_end = self.core.positions.appended_end;
        self.exchange =
            Exchange { phase: Phase::Greeting, settled_end, leaving, ..Exchange::default() };
        self.greet();
    }

    /// The link is gone.
    pub(super) fn exchange_down(&mut self) {
        if !self.is_one_of_two() {
            return;
        }
        let leaving = self.exchange.leaving;
        let verifying = self.exchange.verifying.take();
        self.exchange = Exchange { verifying, leaving, ..Exchange::default() };
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
        self.say_seen();
        self.send_records();
    }

    /// The end of a turn: what it made may be sent once it is on disk; what was merged may make this whole.
    pub(super) fn tend_exchange(&mut self) {
        self.send_records();
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
