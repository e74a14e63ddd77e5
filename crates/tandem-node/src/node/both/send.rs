//! The sending end: own records that are on disk, in order, and a full copy among them.

use std::borrow::Cow;

use tandem_log::{Decoded, RecordKind, decode, encoded_len};
use tandem_merge::Chunk;
use tandem_replication::message::push_slot;
use tandem_types::{Lsn, Pair, SlotId};

use super::message::{Said, Seen};
use super::pace::Pace;
use super::{Node, Phase};
use crate::planted::{NodeRule, holds};
use crate::walk::SlotWalk;
use crate::writer::CopyPiece;
use crate::{Output, Severity};

/// Bytes of chunks and pieces that the peer may not have on its disk yet.
const WINDOW_BYTES: u64 = 8 << 20;
/// Bytes of messages that may wait for the link.
const BACKLOG_BYTES_MAX: usize = 4 << 20;
/// Bytes of the log looked at in one go while the peer keeps up.
const LIVE_BYTES: usize = 256 << 10;
/// Operations of a compacted chunk, about: it is merged in one go.
const CHUNK_OPS: usize = 1_024;
/// Bytes of slots in one piece of a copy, about.
const PIECE_BYTES: usize = 256 << 10;

/// Where the sending end is.
#[derive(Debug, Default)]
pub(super) struct Sending {
    /// The own record to send next.
    next: Lsn,
    /// The place in the log to look at next, and the own position there.
    at: Lsn,
    at_own: Lsn,
    /// Own records before this were written before the peer came back: they are compacted.
    compact_until: Lsn,
    /// The log is being read from disk.
    reading: bool,
    /// There is more to compact, which waits for the end of a turn only.
    more: bool,
    /// How much is compacted in a turn.
    pace: Pace,
    /// Bytes of chunks and pieces sent in this connection.
    sent: u64,
    /// What the peer said last.
    pub(super) heard: Seen,
    /// The peer had everything at least once in this connection.
    in_sync: bool,
}

impl Sending {
    /// Bytes of chunks and pieces sent in this connection.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// Whether the next turn has something to send at once.
    pub(super) const fn has_more(&self) -> bool {
        self.more
    }

    const fn compacts(&self) -> bool {
        self.next.get() < self.compact_until.get()
    }

    /// All own records before `own_end` were sent.
    pub(super) fn is_behind(&self, own_end: Lsn) -> bool {
        self.next >= own_end
    }

    /// From the own record `next` on, which stands in the log at or behind `place` (own position, place).
    pub(super) fn from(next: Lsn, place: (Lsn, Lsn), compact_until: Lsn) -> Self {
        Self { next, at_own: place.0, at: place.1, compact_until, ..Self::default() }
    }
}

/// A full copy being given.
#[derive(Debug)]
pub(super) struct Giving {
    begun: bool,
    walk: SlotWalk,
    /// The ledger was sent.
    ledger: bool,
    /// A piece, and the own end at which it was taken: it goes between the records there.
    piece: Option<(Lsn, CopyPiece<'static>)>,
}

impl Giving {
    pub(super) const fn new() -> Self {
        Self { begun: false, walk: SlotWalk::new(), ledger: false, piece: None }
    }
}

impl Node {
    /// Sends what may be sent now; what is to be compacted, at the end of the turn.
    pub(super) fn send_records(&mut self) {
        if !self.exchange.sending.compacts() || self.exchange.giving.is_some() {
            self.send_stretches();
        }
    }

    /// The end of a turn. After a cut, one stretch of the tail is compacted in each: what came of this link is heard
    /// first, which may be that it is gone.
    pub(super) fn send_at_end(&mut self) {
        if self.exchange.sending.compacts() {
            let (now, timeout) = (self.core.now.mono, self.core.settings.failure_timeout);
            self.exchange.sending.pace.turn(now, timeout);
        }
        self.send_stretches();
        if !self.exchange.sending.more {
            self.exchange.sending.pace.pause();
        }
    }

    fn send_stretches(&mut self) {
        self.exchange.sending.more = false;
        let sends = matches!(self.exchange.phase, Phase::Streaming | Phase::HandingOver);
        if !sends || self.core.positions.durable_end < self.exchange.settled_end {
            return;
        }
        self.pass_over();
        while self.has_room() {
            let Some(limit) = self.give_piece() else { continue };
            let compacts = self.exchange.sending.compacts();
            if self.exchange.sending.next >= limit || !self.send_some(limit) {
                return;
            }
            if compacts {
                self.exchange.sending.more = true;
                return;
            }
        }
    }

    /// With nothing to send, the log as far as it is on disk need not be looked at, nor kept for that.
    fn pass_over(&mut self) {
        let Some(writer) = &self.core.writer else { return };
        let (own, place) = writer.places.durable_place();
        let sending = &mut self.exchange.sending;
        if sending.next == own && place > sending.at && !sending.reading {
            (sending.at, sending.at_own) = (place, own);
        }
    }

    /// Only what is on this disk is sent: a position is never used for two records.
    fn log_end_to_send(&self) -> Lsn {
        let at = &self.core.positions;
        if holds(NodeRule::SendFromDisk) { at.durable_end } else { at.appended_end }
    }

    fn own_end_to_send(&self) -> Option<Lsn> {
        let writer = self.core.writer.as_ref()?;
        let on_disk = holds(NodeRule::SendFromDisk);
        Some(if on_disk { writer.places.durable_ends().own } else { writer.site.own_end() })
    }

    fn has_room(&self) -> bool {
        let sending = &self.exchange.sending;
        let on_the_way = sending.sent.saturating_sub(sending.heard.taken);
        !sending.reading
            && on_the_way < WINDOW_BYTES
            && self.link.backlog_bytes < BACKLOG_BYTES_MAX
            && self.link.is_up()
    }

    /// Sends the next piece of a copy if its place has come (`None`: look again); else up to where records
    /// may be sent.
    fn give_piece(&mut self) -> Option<Lsn> {
        let durable = self.own_end_to_send()?;
        let next = self.exchange.sending.next;
        let Some(mut giving) = self.exchange.giving.take() else { return Some(durable) };
        if !giving.begun {
            giving.begun = true;
            self.exchange.giving = Some(giving);
            self.say_to_writer(&Said::CopyBegin { start: next });
            return None;
        }
        if giving.piece.is_none() {
            giving.piece = self.take_piece(&mut giving.walk, &mut giving.ledger);
        }
        match giving.piece.take() {
            Some((at, piece)) if at == next => {
                self.exchange.giving = Some(giving);
                self.say_counted(&Said::CopyPiece(piece));
                None
            }
            Some((at, piece)) => {
                giving.piece = Some((at, piece));
                self.exchange.giving = Some(giving);
                Some(durable.min(at))
            }
            None => {
                self.say_to_writer(&Said::CopyEnd);
                let peer = self.core.settings.peer_name();
                self.event(Severity::Note, format!("all slots were sent to {peer}"));
                None
            }
        }
    }

    fn take_piece(
        &mut self,
        walk: &mut SlotWalk,
        ledger: &mut bool,
    ) -> Option<(Lsn, CopyPiece<'static>)> {
        let site = &self.core.writer.as_ref()?.site;
        let at = site.own_end();
        if !std::mem::replace(ledger, true) {
            let beside = crate::writer::ledger_bytes(&self.core.store);
            return Some((at, piece(Some(SlotId::FIRST), Vec::new(), beside)));
        }
        let mut bytes = Vec::new();
        let mut span: Option<(SlotId, SlotId)> = None;
        while bytes.len() < PIECE_BYTES
            && let Some(taken) = walk.take(&self.core.store)
        {
            span = Some((span.map_or(taken.first, |(first, _)| first), taken.last));
            if !taken.bytes.is_empty() {
                push_slot(&mut bytes, taken.last, &taken.bytes);
            }
        }
        let (first, last) = span?;
        let beside = crate::writer::beside_bytes(&mut self.core.store, first, last);
        Some((at, piece(last.next(), bytes, beside)))
    }

    /// Sends own records before `limit` from the next stretch of the log; `false`: there is nothing to send
    /// now.
    fn send_some(&mut self, limit: Lsn) -> bool {
        let sending = &self.exchange.sending;
        let bytes_max = if sending.compacts() { sending.pace.bytes() } else { LIVE_BYTES };
        let (from, until) = (sending.at, self.log_end_to_send());
        if from >= until {
            return false;
        }
        let Some(bytes) = self.tail.read(from, bytes_max).map(|piece| piece.bytes.to_vec()) else {
            self.exchange.sending.reading = true;
            let bytes_max = u32::try_from(bytes_max).unwrap_or(u32::MAX);
            self.core.out.push(Output::ReadLog { from, until, bytes_max });
            return false;
        };
        self.send_stretch(&bytes, limit)
    }

    /// A stretch of the log came from disk.
    pub(in crate::node) fn own_log_read(&mut self, from: Lsn, bytes: &[u8]) {
        if !std::mem::take(&mut self.exchange.sending.reading) || from != self.exchange.sending.at {
            // Asked for in a connection that is gone.
            return self.send_records();
        }
        let compacts = self.exchange.sending.compacts();
        if let Some(limit) = self.give_piece() {
            self.send_stretch(bytes, limit);
        }
        if compacts {
            self.exchange.sending.more = true;
        } else {
            self.send_records();
        }
    }

    /// It does not hold what the peer lacks.
    pub(in crate::node) fn own_log_gone(&mut self, from: Lsn) {
        if std::mem::take(&mut self.exchange.sending.reading) {
            self.stay_apart(format!("record {from} of the log on disk cannot be read"));
        }
    }

    fn send_stretch(&mut self, bytes: &[u8], limit: Lsn) -> bool {
        let read = self.own_payloads(bytes, limit);
        let Some(read) = read else {
            let reason = "the log on disk is not what this node wrote".to_owned();
            self.stay_apart(reason);
            return false;
        };
        let sending = &self.exchange.sending;
        let (first, compacting) = (sending.next, sending.compacts());
        self.exchange.sending.at = read.at;
        self.exchange.sending.at_own = read.at_own;
        let Some(end) = read.payloads.last().map(|_| read.at_own) else { return read.moved };
        self.exchange.sending.next = end;
        if compacting {
            let decoded: Result<Vec<Chunk>, _> =
                read.payloads.iter().map(|bytes| Chunk::decode(bytes)).collect();
            let Ok(decoded) = decoded else {
                self.stay_apart("an own record cannot be read back".to_owned());
                return false;
            };
            let records = decoded.into_iter().flat_map(|chunk| chunk.records).collect();
            let Some(writer) = &self.core.writer else { return false };
            let durable = writer.places.durable_ends().own;
            for chunk in writer.site.compact(first, records, CHUNK_OPS, durable) {
                let mut bytes = Vec::new();
                chunk.encode(&mut bytes);
                self.say_counted(&Said::Chunks(vec![Cow::Owned(bytes)]));
            }
        } else {
            let payloads = read.payloads.into_iter().map(Cow::Borrowed).collect();
            self.say_counted(&Said::Chunks(payloads));
        }
        true
    }

    /// The payloads of own records from `next` on and before `limit` in a stretch of the log; `None`: these
    /// are no records.
    fn own_payloads<'b>(&self, bytes: &'b [u8], limit: Lsn) -> Option<Stretch<'b>> {
        let sending = &self.exchange.sending;
        let durable_end = self.log_end_to_send();
        let mut stretch =
            Stretch { at: sending.at, at_own: sending.at_own, moved: false, payloads: Vec::new() };
        let mut rest = bytes;
        while let Ok(Some(len)) = encoded_len(rest)
            && len <= rest.len()
            && stretch.at < durable_end
            && stretch.at_own < limit
        {
            let (raw, after) = rest.split_at(len);
            let Decoded::Record(record) = decode(raw) else { return None };
            if record.lsn != stretch.at {
                return None;
            }
            if record.kind == RecordKind::Own {
                if stretch.at_own >= sending.next {
                    stretch.payloads.push(record.payload);
                }
                stretch.at_own = stretch.at_own.next();
            }
            stretch.at = record.lsn.next();
            stretch.moved = true;
            rest = after;
        }
        Some(stretch)
    }

    fn say_counted(&mut self, said: &Said<'_>) {
        let bytes = said.to_bytes();
        self.exchange.sending.sent += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.send(&tandem_replication::Message::Exchange(Cow::Owned(bytes)));
    }

    /// The peer says how far it is.
    pub(super) fn heard_seen(&mut self, seen: Seen) {
        let own_end = self.own_end_to_send().unwrap_or_default();
        let Some(writer) = &mut self.core.writer else { return };
        if seen.has > own_end || seen.taken > self.exchange.sending.sent {
            return self.violated("it says that it has more than was ever sent to it");
        }
        self.exchange.sending.heard = seen;
        writer.places.confirmed(seen.has);
        writer.site.heard(seen.has, seen.said_at);
        self.core.peer_confirmed();
        let Some(writer) = &mut self.core.writer else { return };
        let seen_end = writer.site.seen_end();
        let note = writer.due_note(seen_end);
        if let Some(note) = note
            && let Err(fault) = self.core.heed(&note)
        {
            return self.reboot(fault.to_string());
        }
        self.look_if_in_sync();
        self.update_commit();
        self.clients.committed(&mut self.core);
        self.send_records();
        self.retain_if_it_waits();
    }

    /// The log before this is of no use to the peer.
    pub(in crate::node) fn peer_needs_log_from(&self) -> Lsn {
        let Some(writer) = &self.core.writer else { return Lsn::MAX };
        let sends_from = match self.exchange.phase {
            Phase::Streaming | Phase::HandingOver => self.exchange.sending.at,
            _ => Lsn::MAX,
        };
        writer.places.needed_from().unwrap_or(Lsn::MAX).min(sends_from)
    }

    /// From the moment on that the peer has what was here when it came, replies wait for it.
    pub(super) fn look_if_in_sync(&mut self) {
        let exchange = &mut self.exchange;
        let heard = exchange.sending.heard;
        let whole = heard.whole && !exchange.awaits_copy;
        if exchange.sending.in_sync || !whole || heard.has < exchange.sending.compact_until {
            return;
        }
        exchange.sending.in_sync = true;
        let peer = self.core.settings.peer_name();
        let text = format!("{peer} is in sync: it holds every acknowledged write");
        self.event(Severity::Note, text);
        let in_sync = tandem_switch::Exchange::InSync(true);
        self.switch_step(tandem_switch::Input::Exchange(in_sync));
        self.refresh_view();
    }
}

/// Part of the log.
struct Stretch<'b> {
    /// Where it ends, and the own position there.
    at: Lsn,
    at_own: Lsn,
    /// It is not empty.
    moved: bool,
    payloads: Vec<&'b [u8]>,
}

fn piece(next: Option<SlotId>, slots: Vec<u8>, beside: Pair<Vec<u8>>) -> CopyPiece<'static> {
    CopyPiece {
        next,
        slots: Cow::Owned(slots),
        beside_a: Cow::Owned(beside.a),
        beside_b: Cow::Owned(beside.b),
    }
}
