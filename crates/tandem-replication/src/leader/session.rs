//! One follower's connection, from its request to the end of the link.

use std::collections::VecDeque;
use std::time::Duration;

use tandem_types::{Chain, Lsn, Monotonic, SlotId};

use super::Progress;
use super::lag::LagMeter;
use super::port::CopyReason;
use crate::Settings;
use crate::fault::LinkFault;
use crate::message::{Ack, Follow, Keep};

/// What one message costs beside its bytes: keeps floods of tiny records inside the window too.
const MESSAGE_COST_BYTES: u64 = 64;

#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) number: u64,
    pub(super) follow: Follow,
    pub(super) stage: Stage,
    /// Records before this were sent.
    pub(super) sent_end: Lsn,
    /// The commit end the follower was told.
    pub(super) commit_told: Lsn,
    pub(super) meter: LagMeter,
    in_flight: VecDeque<Flight>,
    in_flight_bytes: u64,
    acked: Acked,
    round: Round,
    caught_up: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// Waits for our own checksum at the common end.
    Deciding {
        /// Up to where the tables agree.
        common: Lsn,
    },
    /// The follower was told to cut; it comes back with a new request.
    Cutting,
    /// A full copy waits for the pause after a failed one.
    CopyPaused {
        /// Why everything.
        why: CopyReason,
        /// What becomes of the old data.
        keep: Keep,
    },
    /// Records and chunks.
    Copying(Copy),
    /// Records.
    Streaming,
}

/// A full copy under way.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    /// The next slot to take; `None`: all were taken.
    pub(super) next: Option<SlotId>,
    /// A chunk was asked for.
    pub(super) taking: bool,
    /// A chunk that waits for its turn.
    pub(super) pending: Option<PendingChunk>,
    /// The latest LSN a chunk was taken at.
    pub(super) end: Lsn,
    pub(super) end_sent: bool,
    pub(super) sent_bytes: u64,
    acked_bytes: u64,
}

impl Copy {
    pub(super) const fn new(start: Lsn) -> Self {
        Self {
            next: Some(SlotId::FIRST),
            taking: false,
            pending: None,
            end: start,
            end_sent: false,
            sent_bytes: 0,
            acked_bytes: 0,
        }
    }
}

/// A chunk that waits until every record before it was sent.
#[derive(Clone, Debug)]
pub(super) struct PendingChunk {
    pub(super) lsn: Lsn,
    pub(super) first: SlotId,
    pub(super) last: SlotId,
    pub(super) total: u64,
    /// What is left of it.
    rest: Vec<u8>,
    offset: u64,
}

impl PendingChunk {
    pub(super) fn new(lsn: Lsn, first: SlotId, last: SlotId, bytes: Vec<u8>) -> Self {
        let total = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        Self { lsn, first, last, total, rest: bytes, offset: 0 }
    }

    /// The next part, where it begins, and whether it is the last one.
    pub(super) fn take_part(&mut self, bytes_max: u32) -> (Vec<u8>, u64, bool) {
        let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX).max(1);
        let offset = self.offset;
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        let left = self.rest.len().saturating_sub(begin);
        let part = if left <= bytes_max && begin == 0 {
            std::mem::take(&mut self.rest)
        } else {
            let end = begin.saturating_add(left.min(bytes_max));
            self.rest.get(begin..end).unwrap_or_default().to_vec()
        };
        self.offset = offset.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        (part, offset, self.offset == self.total)
    }
}

/// Records sent and not yet acknowledged.
#[derive(Clone, Copy, Debug)]
struct Flight {
    end: Lsn,
    chain: Chain,
    bytes: u64,
}

/// Where our own log ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnEnd {
    pub(super) end: Lsn,
    pub(super) log_bytes: u64,
}

/// The follower's latest positions.
#[expect(clippy::struct_field_names, reason = "ends are called ends")]
#[derive(Clone, Copy, Debug, Default)]
struct Acked {
    received_end: Lsn,
    durable_end: Lsn,
    applied_end: Lsn,
}

/// A round is judged only after its time, not at it.
const JUST_AFTER: Duration = Duration::from_millis(1);

/// One round of catching up, as in Raft's membership change: a follower that needs less than
/// `failure_timeout` for what was missing when the round began can be waited for.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    target: Lsn,
    began: Monotonic,
}

impl Session {
    pub(super) fn new(number: u64, follow: Follow) -> Self {
        Self {
            number,
            follow,
            stage: Stage::Cutting,
            sent_end: Lsn::ZERO,
            commit_told: Lsn::ZERO,
            meter: LagMeter::default(),
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            acked: Acked::default(),
            round: Round::default(),
            caught_up: false,
        }
    }

    /// Begins the stream of records at `from`.
    pub(super) fn stream_from(&mut self, now: Monotonic, from: Lsn, own: OwnEnd) {
        self.stage = Stage::Streaming;
        self.sent_end = from;
        self.round = Round { target: own.end, began: now };
        self.meter.appended(now, own.end, own.log_bytes);
    }

    pub(super) const fn is_streaming(&self) -> bool {
        matches!(self.stage, Stage::Streaming | Stage::Copying(_))
    }

    pub(super) fn appended(&mut self, now: Monotonic, own: OwnEnd, settings: &Settings) {
        if self.is_streaming() {
            self.meter.appended(now, own.end, own.log_bytes);
            if self.held_end(settings) >= self.round.target {
                self.round = Round { target: own.end, began: now };
            }
        }
    }

    pub(super) fn sent(&mut self, end: Lsn, chain: Chain, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX).saturating_add(MESSAGE_COST_BYTES);
        self.in_flight.push_back(Flight { end, chain, bytes });
        self.in_flight_bytes += bytes;
        self.sent_end = end;
    }

    /// Bytes sent and not acknowledged, chunks included.
    pub(super) const fn in_flight_bytes(&self) -> u64 {
        match &self.stage {
            Stage::Copying(copy) => self.in_flight_bytes + copy.sent_bytes - copy.acked_bytes,
            _ => self.in_flight_bytes,
        }
    }

    /// Takes over the follower's positions, unless they cannot be true.
    pub(super) fn acknowledged(&mut self, ack: &Ack) -> Result<(), LinkFault> {
        self.check(ack)?;
        while let Some(flight) = self.in_flight.front().copied() {
            if flight.end > ack.received_end {
                break;
            }
            if flight.end == ack.received_end && flight.chain != ack.received_chain {
                return Err(LinkFault::ChainDiffers { at: flight.end });
            }
            self.in_flight.pop_front();
            self.in_flight_bytes -= flight.bytes;
        }
        if let Stage::Copying(copy) = &mut self.stage {
            copy.acked_bytes = ack.copied_bytes;
        }
        self.acked = Acked {
            received_end: ack.received_end,
            durable_end: ack.durable_end,
            applied_end: ack.applied_end,
        };
        self.meter.passed(ack.applied_end.min(ack.durable_end));
        Ok(())
    }

    fn check(&self, ack: &Ack) -> Result<(), LinkFault> {
        if ack.incarnation != self.follow.incarnation {
            return Err(LinkFault::IncarnationChanged);
        }
        let sent = self.sent_end;
        if ack.received_end > sent {
            return Err(LinkFault::AckBeyondSent { acked: ack.received_end, sent });
        }
        let pairs = [
            ("durable", ack.received_end, ack.durable_end, ack.durable_end > ack.received_end),
            ("applied", ack.received_end, ack.applied_end, ack.applied_end > ack.received_end),
            (
                "received",
                self.acked.received_end,
                ack.received_end,
                ack.received_end < self.acked.received_end,
            ),
            (
                "durable",
                self.acked.durable_end,
                ack.durable_end,
                ack.durable_end < self.acked.durable_end,
            ),
            (
                "applied",
                self.acked.applied_end,
                ack.applied_end,
                ack.applied_end < self.acked.applied_end,
            ),
        ];
        for (field, before, now, wrong) in pairs {
            if wrong {
                return Err(LinkFault::AckContradiction { field, before, now });
            }
        }
        match &self.stage {
            Stage::Copying(copy)
                if ack.copied_bytes > copy.sent_bytes || ack.copied_bytes < copy.acked_bytes =>
            {
                Err(LinkFault::BadChunk { reason: "acknowledged bytes that were not sent" })
            }
            _ => Ok(()),
        }
    }

    /// Judges the round that was under way and begins the next one.
    pub(super) fn next_round(&mut self, now: Monotonic, end: Lsn, settings: &Settings) {
        if !matches!(self.stage, Stage::Streaming) {
            return; // What a copy has received is not yet held.
        }
        let took = now.since(self.round.began);
        if self.held_end(settings) >= self.round.target {
            // Who holds all there is has caught up, however long it took; nobody may write to tell more.
            self.caught_up = took <= settings.failure_timeout || self.held_end(settings) >= end;
            self.round = Round { target: end, began: now };
        } else if took > settings.failure_timeout {
            self.caught_up = false;
        }
    }

    /// Judges a round in which nothing is acknowledged.
    pub(super) fn watch_round(&mut self, now: Monotonic, end: Lsn, settings: &Settings) {
        if !matches!(self.stage, Stage::Streaming) {
            return;
        }
        if self.held_end(settings) >= self.round.target {
            // The time in which there was nothing to acknowledge does not count.
            self.round = Round { target: end, began: now };
        } else if now.since(self.round.began) > settings.failure_timeout {
            self.caught_up = false;
        }
    }

    /// When a follower that has not come further by then has not caught up.
    pub(super) fn round_due(&self, settings: &Settings) -> Option<Monotonic> {
        let waits = self.caught_up && self.held_end(settings) < self.round.target;
        let due = self.round.began.plus(settings.failure_timeout + JUST_AFTER);
        (waits && matches!(self.stage, Stage::Streaming)).then_some(due)
    }

    const fn held_end(&self, settings: &Settings) -> Lsn {
        if settings.report_received { self.acked.received_end } else { self.acked.durable_end }
    }

    /// Whether this acknowledgement made a full copy whole.
    pub(super) fn finish_copy(&mut self) -> bool {
        let Stage::Copying(copy) = &self.stage else { return false };
        let whole = copy.end_sent && copy.pending.is_none() && self.acked.durable_end >= copy.end;
        // Durable stays zero until the copy is installed; an empty log has no end to reach.
        let whole = whole && (self.acked.durable_end > Lsn::ZERO);
        if whole {
            self.stage = Stage::Streaming;
        }
        whole
    }

    pub(super) const fn progress(&self) -> Progress {
        let copying = matches!(self.stage, Stage::Copying(_));
        Progress {
            // Records on top of a copy that is not whole are not held.
            received_end: if copying { Lsn::ZERO } else { self.acked.received_end },
            durable_end: self.acked.durable_end,
            applied_end: self.acked.applied_end,
            caught_up: self.caught_up,
            copying,
            in_flight_bytes: self.in_flight_bytes(),
        }
    }
}
