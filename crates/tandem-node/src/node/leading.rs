//! The leading end of the stream: what the leader asks of the node.

use tandem_log::{Decoded, decode, encoded_len};
use tandem_replication::leader::{Event, Input, Output as Ask};
use tandem_replication::message::{Ack, push_slot};
use tandem_switch::FollowerEnds;
use tandem_types::{Chain, Lsn, SlotId};

use super::Node;
use crate::walk::SlotWalk;
use crate::{Output, Severity};

impl Node {
    /// Advances the leader, if this node leads.
    pub(super) fn lead(&mut self, input: Input) {
        let Some(leader) = &mut self.leader else { return };
        let mut out = Vec::new();
        leader.step(self.core.now.mono, input, &mut out);
        for output in out {
            self.do_for_leader(output);
        }
    }

    fn do_for_leader(&mut self, output: Ask) {
        match output {
            Ask::Send(message) => self.send(&message),
            Ask::LookUpChain { lsn } => self.look_up_chain(lsn),
            Ask::ReadRecords { from, until, bytes_max } => {
                self.read_records(from, until, bytes_max);
            }
            Ask::TakeChunk { first, bytes_max } => self.take_chunk(first, bytes_max),
            Ask::Close(fault) => {
                self.event(Severity::Error, format!("the link is closed: {fault}"));
                self.drop_link(super::switching::code_of(&fault), &fault.to_string());
            }
            Ask::HigherEpoch(epoch) => {
                self.switch_step(tandem_switch::Input::HigherEpoch(epoch));
            }
            Ask::Event(event) => self.leader_event(&event),
        }
    }

    fn leader_event(&mut self, event: &Event) {
        let peer = self.core.settings.peer_name();
        let (severity, text) = match event {
            Event::Resumed { from } => {
                self.core.streams.partial_sent += 1;
                (Severity::Note, format!("{peer} continues from record {from}"))
            }
            Event::Diverged { to, extra } => (
                Severity::Warn,
                format!(
                    "{peer} has {extra} records past {to} that this history lacks: it saves them and cuts back"
                ),
            ),
            Event::CopyBegun { start, why } => {
                self.core.streams.copies_sent += 1;
                (
                    Severity::Note,
                    format!("{peer} gets a full copy from record {start} on ({why:?})"),
                )
            }
            Event::CopySent { end } => {
                (Severity::Note, format!("all slots were sent to {peer}; whole at record {end}"))
            }
            Event::CopyDone => (Severity::Note, format!("{peer} has made its full copy whole")),
            Event::CopyFailed => (Severity::Warn, format!("the full copy to {peer} broke off")),
        };
        self.event(severity, text);
    }

    /// The follower's positions came.
    pub(super) fn acknowledged(&mut self, ack: Ack) {
        self.lead(Input::Ack(ack));
        let Some(leader) = &self.leader else { return };
        let progress = leader.progress();
        let at = &mut self.core.positions;
        at.peer_received_end = progress.received_end;
        at.peer_durable_end = progress.durable_end;
        at.peer_applied_end = progress.applied_end;
        let ends = FollowerEnds {
            received_end: progress.received_end,
            durable_end: progress.durable_end,
            applied_end: progress.applied_end,
            caught_up: progress.caught_up,
        };
        self.switch_step(tandem_switch::Input::Follower(ends));
        self.update_commit();
        self.clients.committed(&mut self.core);
    }

    /// Time passes, and who acknowledges nothing meanwhile does not keep up.
    pub(super) fn tick_leader(&mut self) {
        let keeps_up = |it: &Self| it.leader.as_ref().is_some_and(|it| it.progress().caught_up);
        let before = keeps_up(self);
        self.lead(Input::Tick);
        if before && !keeps_up(self) {
            self.switch_step(tandem_switch::Input::FellBehind);
        }
    }

    fn look_up_chain(&mut self, lsn: Lsn) {
        let tip = self.core.log.tip();
        if lsn == tip.end {
            return self.lead(Input::ChainAt { lsn, chain: Some(tip.chain) });
        }
        if lsn < self.oldest {
            return self.lead(Input::ChainAt { lsn, chain: None });
        }
        // The record at `lsn` says what the checksum was before it.
        let first = self.tail.read(lsn, 1).map(|piece| decode(piece.bytes));
        match first {
            Some(Decoded::Record(record)) => {
                let chain = Some(record.chain_before);
                self.lead(Input::ChainAt { lsn, chain });
            }
            _ => self.core.out.push(Output::LookUpChain { lsn }),
        }
    }

    fn read_records(&mut self, from: Lsn, until: Lsn, bytes_max: u32) {
        let bytes_max_here = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        match self.tail.read(from, bytes_max_here).and_then(|piece| cut_at(piece.bytes, until)) {
            Some(read) => self.lead(Input::RecordsRead {
                from,
                end: read.end,
                chain: read.chain,
                bytes: read.bytes.to_vec(),
            }),
            None if from < self.oldest => self.lead(Input::RecordsGone { from }),
            None => self.core.out.push(Output::ReadLog { from, until, bytes_max }),
        }
    }

    /// Records came from disk.
    pub(super) fn log_read(&mut self, from: Lsn, bytes: &[u8]) {
        if self.is_one_of_two() {
            return self.own_log_read(from, bytes);
        }
        match cut_at(bytes, Lsn::MAX) {
            Some(read) => self.lead(Input::RecordsRead {
                from,
                end: read.end,
                chain: read.chain,
                bytes: read.bytes.to_vec(),
            }),
            None => self.lead(Input::RecordsGone { from }),
        }
    }

    /// The log on disk does not reach back that far.
    pub(super) fn log_gone(&mut self, from: Lsn) {
        if self.is_one_of_two() {
            return self.own_log_gone(from);
        }
        self.lead(Input::RecordsGone { from });
    }

    fn take_chunk(&mut self, first: SlotId, bytes_max: u32) {
        let mut walk = SlotWalk::from(first);
        let mut bytes = Vec::new();
        let mut last = first;
        while let Some(piece) = walk.take(&self.core.store) {
            last = piece.last;
            if !piece.bytes.is_empty() {
                push_slot(&mut bytes, piece.last, &piece.bytes);
            }
            if bytes.len() >= bytes_max as usize {
                break;
            }
        }
        let lsn = self.core.positions.appended_end;
        self.lead(Input::ChunkTaken { lsn, first, last, bytes });
    }
}

/// Whole records, where they end, and the running checksum there.
struct Read<'a> {
    bytes: &'a [u8],
    end: Lsn,
    chain: Chain,
}

/// The records of `bytes` before `until`; `None` if there is none.
fn cut_at(bytes: &[u8], until: Lsn) -> Option<Read<'_>> {
    let mut offset = 0;
    let mut last = None;
    while let Ok(Some(len)) = encoded_len(bytes.get(offset..)?) {
        let record = bytes.get(offset..offset + len)?;
        if lsn_of(record).is_none_or(|lsn| lsn >= until) {
            break;
        }
        last = Some(offset);
        offset += len;
    }
    let Decoded::Record(record) = decode(bytes.get(last?..)?) else { return None };
    Some(Read { bytes: bytes.get(..offset)?, end: record.lsn.next(), chain: record.chain_after() })
}

/// The position of a raw record (docs/formats/log.md: bytes 8 to 16).
fn lsn_of(record: &[u8]) -> Option<Lsn> {
    record.get(8..)?.first_chunk().map(|lsn| Lsn::new(u64::from_le_bytes(*lsn)))
}
