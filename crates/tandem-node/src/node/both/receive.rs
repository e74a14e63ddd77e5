//! The receiving end: the peer's records are merged and appended; a full copy is taken in.

use tandem_merge::{Admission, Chunk};
use tandem_replication::message::NoticeCode;
use tandem_types::Lsn;

use super::message::{Said, Seen};
use super::{Node, Phase};
use crate::Severity;
use crate::planted::{NodeRule, holds};
use crate::writer::PeerNote;

impl Node {
    /// The other writer says something.
    pub(in crate::node) fn exchange_said(&mut self, bytes: &[u8]) {
        if !self.is_one_of_two() || self.exchange.leaving {
            return;
        }
        let said = match Said::decode(bytes) {
            Ok(said) => said,
            Err(error) => return self.violated(&error.to_string()),
        };
        if let Said::Greeting(greeting) = said {
            return self.greeted(greeting);
        }
        if self.exchange.phase == Phase::Greeting {
            // Only one that has heard us goes on.
            return self.violated("it did not say how it stands");
        }
        if self.exchange.phase != Phase::Streaming {
            return self.said_apart(&said, bytes.len());
        }
        match said {
            Said::Greeting(_) | Said::GivenUp { .. } => {}
            Said::Chunks(payloads) => {
                if payloads.iter().all(|payload| self.merge_chunk(payload)) {
                    self.look_if_whole();
                    self.took(bytes.len());
                }
            }
            Said::Seen(seen) => self.heard_seen(seen),
            Said::CopyBegin { start } => self.copy_begins(start),
            Said::CopyPiece(piece) => {
                self.take_in(&PeerNote::CopyPiece(piece), bytes.len());
            }
            Said::CopyEnd => self.copy_ends(),
            Said::VerifyAsk { token, first, vector } => self.asked_to_verify(token, first, vector),
            Said::VerifyAnswer { token, digests } => self.verify_answered(token, &digests),
        }
    }

    pub(super) fn violated(&mut self, what: &str) {
        let reason = format!("the peer broke the rules of the exchange: {what}");
        self.event(Severity::Error, reason.clone());
        self.drop_link(NoticeCode::Violation, &reason);
    }

    /// False: the link was closed.
    fn merge_chunk(&mut self, payload: &[u8]) -> bool {
        let chunk = match Chunk::decode(payload) {
            Ok(chunk) => chunk,
            Err(error) => {
                self.violated(&error.to_string());
                return false;
            }
        };
        let Some(writer) = &self.core.writer else { return false };
        let peer = self.core.settings.node.peer();
        if chunk.records.iter().any(|record| record.origin.side != peer) {
            self.violated("it sent records that are not its own");
            return false;
        }
        let own_end = writer.site.own_end();
        if chunk.records.iter().any(|record| record.origin.seen > own_end) {
            self.violated("it has seen more of this node than there is");
            return false;
        }
        match writer.site.admit(&chunk) {
            Admission::Known => {}
            Admission::Next => self.core.merge(chunk, payload),
            Admission::Elsewhere { from } => {
                let reason = format!("the stream does not fit: records from {from} on are wanted");
                self.drop_link(NoticeCode::Busy, &reason);
                return false;
            }
        }
        true
    }

    /// Something of the stream is in memory and in the log: it counts once it is on disk.
    fn took(&mut self, bytes: usize) {
        let exchange = &mut self.exchange;
        exchange.received += u64::try_from(bytes).unwrap_or(u64::MAX);
        exchange.taking.push_back((self.core.positions.appended_end, exchange.received));
        if self.core.positions.durable_end >= self.core.positions.appended_end {
            exchange.taken = exchange.received;
            exchange.taking.clear();
            self.say_seen();
        }
    }

    fn copy_begins(&mut self, start: Lsn) {
        let (Some(theirs), Some(writer)) = (self.exchange.theirs, self.core.writer.as_ref()) else {
            return;
        };
        if writer.has_data(&self.core.store) || writer.copying.is_some() {
            return self.violated("it sends a copy to a node that has data");
        }
        self.core.streams.copies_received += 1;
        let peer = self.core.settings.peer_name();
        self.event(Severity::Note, format!("a full copy begins, as of record {start} of {peer}"));
        self.begin_snapshot_again();
        let note = PeerNote::CopyBegin { incarnation: theirs.incarnation, start };
        self.take_in(&note, 0);
        self.exchange.settled_end = self.core.positions.appended_end;
        self.refresh_view();
    }

    fn copy_ends(&mut self) {
        if self.core.writer.as_ref().is_none_or(|writer| writer.copying.is_none()) {
            return self.violated("it ended a copy that was not begun");
        }
        self.take_in(&PeerNote::CopyEnd, 0);
        self.exchange.awaits_copy = false;
        self.exchange.settled_end = self.core.positions.appended_end;
        self.exchange.whole_at = Some((Lsn::ZERO, self.core.positions.appended_end));
        self.event(Severity::Note, "the full copy is whole".into());
        self.look_if_whole();
        self.look_if_in_sync();
        self.refresh_view();
    }

    fn take_in(&mut self, note: &PeerNote<'_>, bytes: usize) {
        if let Err(fault) = self.core.heed(note) {
            self.event(Severity::Error, fault.to_string());
            return self.begin_anew(&fault.to_string(), false);
        }
        self.took(bytes);
    }

    /// Says how far this node is, if that has changed.
    pub(super) fn say_seen(&mut self) {
        let Some(writer) = &self.core.writer else { return };
        if self.exchange.phase != Phase::Streaming
            || self.core.positions.durable_end < self.exchange.settled_end
        {
            return;
        }
        let ends = writer.places.durable_ends();
        let whole = !self.exchange.awaits_copy;
        let own_end = writer.site.own_end();
        let on_disk = holds(NodeRule::SeenFromDisk);
        let seen = if on_disk { ends.seen } else { writer.site.seen_end() };
        let has = if whole { seen } else { Lsn::ZERO };
        let now = Seen { has, said_at: own_end, taken: self.exchange.taken, whole };
        let said = self.exchange.said;
        let news = (now.has, now.taken, whole) != (said.has, said.taken, said.whole);
        let at_rest = ends.own == own_end && now.said_at != said.said_at;
        let all_sent = self.exchange.sending.is_behind(own_end);
        if news || at_rest || (self.exchange.said_early && all_sent) {
            self.exchange.said = now;
            self.exchange.said_early = !all_sent;
            self.say_to_writer(&Said::Seen(now));
        }
    }
}
