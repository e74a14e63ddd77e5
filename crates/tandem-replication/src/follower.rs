//! The following end of the stream: one brain per reign that is followed.
//!
//! ```text
//!  Idle --Begin--> Asked --Resume--> Streaming <--CopyInstalled-- Copying
//!                    |  |--SnapshotBegin------------------------------^  |
//!                    '--CutBack--> Finished <---- link lost while copying'
//! ```
//! Records go to the log when they come, to the key space when they are committed: what was applied
//! never has to be undone, and a reader sees only what was acknowledged. `Finished` means that the
//! node boots anew from its disk (after a cut, or after a copy that broke off).
//!
//! While a full copy is not whole, nothing of it counts as durable: a restart would find the old data.

mod copying;
mod freshness;
mod port;
#[cfg(test)]
mod tests;

use tandem_types::{Chain, Epoch, Incarnation, Lsn, Monotonic};

use self::copying::Copying;
use self::freshness::Freshness;
pub use self::port::{Event, Input, Output};
use crate::Settings;
use crate::fault::LinkFault;
use crate::message::{Ack, CopyStart, Follow, Message, Records, SnapshotChunk};

/// The brain of a standby's incoming stream.
#[derive(Clone, Debug)]
pub struct Follower {
    settings: Settings,
    /// The reign that is followed; messages of others are refused.
    epoch: Epoch,
    incarnation: Incarnation,
    stage: Stage,
    /// End of the log, and the checksum there.
    end: Lsn,
    chain: Chain,
    durable_end: Lsn,
    applied_end: Lsn,
    commit_end: Lsn,
    apply_told: Lsn,
    /// The end that the records just handed out must lead to.
    appending: Option<Records<'static>>,
    freshness: Freshness,
    report: Report,
    /// Bytes of chunks taken since the stream began.
    copied_bytes: u64,
    /// The connection went while a copy that is all here was being installed.
    link_lost: bool,
}

#[derive(Clone, Debug)]
enum Stage {
    Idle,
    Asked,
    Streaming,
    Copying(Copying),
    Finished,
}

/// When the next acknowledgement is due, and what the last one said.
#[derive(Clone, Copy, Debug, Default)]
struct Report {
    due: Option<Monotonic>,
    /// Bytes taken since the last one.
    unreported_bytes: u64,
}

/// Where a node's log stands when it begins to follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Position {
    /// End of the log in memory.
    pub end: Lsn,
    /// End of the log on disk.
    pub durable_end: Lsn,
    /// End of what is in the key space.
    pub applied_end: Lsn,
}

impl Follower {
    /// A brain that does nothing until [`Input::Begin`].
    pub fn new(settings: Settings, at: Position) -> Self {
        assert!(at.durable_end <= at.end, "durable {} of {}", at.durable_end, at.end);
        assert!(at.applied_end <= at.end, "applied {} of {}", at.applied_end, at.end);
        Self {
            settings,
            epoch: Epoch::ZERO,
            incarnation: Incarnation::default(),
            stage: Stage::Idle,
            end: at.end,
            chain: Chain::EMPTY,
            durable_end: at.durable_end,
            applied_end: at.applied_end,
            // What is in the key space after a restart is in the log, but nobody has said yet that it is
            // acknowledged: the first commit position is passed on although it applies nothing.
            commit_end: Lsn::ZERO,
            apply_told: Lsn::ZERO,
            appending: None,
            freshness: Freshness::default(),
            report: Report::default(),
            copied_bytes: 0,
            link_lost: false,
        }
    }

    /// Advances by one input, appending what must be done to `out` in order.
    pub fn step<'a>(&mut self, now: Monotonic, input: Input<'a>, out: &mut Vec<Output<'a>>) {
        if matches!(self.stage, Stage::Finished) {
            return;
        }
        let asked = out.len();
        match input {
            Input::Begin(follow) => self.begin(follow, out),
            Input::Message(message) => self.message(now, message, out),
            Input::Appended { end, chain } => self.appended(now, end, chain, out),
            Input::Refused { reason } => {
                let from = self.appending.take().map_or(self.end, |records| records.from);
                self.close(LinkFault::BadRecords { from, reason }, out);
            }
            Input::Durable { end } => self.durable(now, end),
            Input::Applied { end } => self.applied(now, end),
            Input::CopyInstalled => self.copy_installed(now, out),
            Input::Answered { asked, status } => {
                if status.epoch == self.epoch && matches!(self.stage, Stage::Streaming) {
                    self.freshness.answered(asked, &status, self.applied_end);
                }
            }
            Input::LinkDown => self.link_down(out),
            Input::Tick => {}
        }
        self.complete_copy(out);
        // The answers to these move our positions and may report them, before what this step would add here
        // is sent: an older report behind a newer one. It stays due, and comes with the answer.
        let moves = |output: &Output<'_>| {
            matches!(output, Output::ApplyTo { .. } | Output::CopyComplete { .. })
        };
        if !out[asked..].iter().any(moves) {
            self.send_report(now, out);
        }
    }

    fn begin(&mut self, follow: Follow, out: &mut Vec<Output<'_>>) {
        if let Stage::Copying(_) = self.stage {
            // Only a copy that is being installed survives the link; the surroundings ask again after it.
            self.link_down(out);
            return;
        }
        self.link_lost = false;
        self.copied_bytes = 0;
        assert!(follow.epoch >= self.epoch, "follows {} after {}", follow.epoch, self.epoch);
        assert!(follow.end == self.end, "the log ends at {}, not {}", follow.end, self.end);
        self.epoch = follow.epoch;
        self.incarnation = follow.incarnation;
        self.chain = follow.chain;
        self.stage = Stage::Asked;
        self.report = Report::default();
        out.push(Output::Send(Message::Follow(follow)));
    }

    fn message<'a>(&mut self, now: Monotonic, message: Message<'a>, out: &mut Vec<Output<'a>>) {
        if let Some(epoch) = message.epoch() {
            if epoch > self.epoch {
                out.push(Output::HigherEpoch(epoch));
                return;
            }
            if epoch < self.epoch {
                out.push(Output::Event(Event::OldEpochRefused { epoch }));
                return;
            }
        }
        let name = message.name();
        match (&self.stage, message) {
            // What was on its way when the last connection, or the last request, ended.
            (Stage::Idle | Stage::Finished, _)
            | (Stage::Asked, Message::Records(_) | Message::Commit { .. }) => {}
            (Stage::Asked, Message::Resume { from, chain, .. }) => {
                self.resume(now, from, chain, out);
            }
            (Stage::Asked, Message::CutBack { to, chain, history, .. }) if to < self.end => {
                let extra = self.end.records_since(to).unwrap_or(0);
                out.push(Output::Event(Event::Diverged { to, extra }));
                out.push(Output::SaveAndCut { to, chain, history });
                self.stage = Stage::Finished;
            }
            (Stage::Asked, Message::SnapshotBegin(start)) => self.copy_begun(now, start, out),
            (Stage::Streaming | Stage::Copying(_), Message::Records(records)) => {
                self.records(records, out);
            }
            (Stage::Streaming | Stage::Copying(_), Message::Commit { end, .. }) => {
                self.committed(end, out);
            }
            (Stage::Copying(_), Message::SnapshotChunk(chunk)) => self.chunk(now, chunk, out),
            (Stage::Copying(_), Message::SnapshotEnd { end, .. }) => self.copy_sent(end, out),
            _ => self.close(LinkFault::Unexpected { message: name }, out),
        }
    }

    fn resume(&mut self, now: Monotonic, from: Lsn, chain: Chain, out: &mut Vec<Output<'_>>) {
        if from != self.end {
            self.close(LinkFault::Gap { expected: self.end, got: from }, out);
        } else if chain != self.chain {
            self.close(LinkFault::ChainDiffers { at: from }, out);
        } else {
            self.stage = Stage::Streaming;
            out.push(Output::Event(Event::Resumed { from }));
            self.report.due = Some(now);
        }
    }

    fn copy_begun(&mut self, now: Monotonic, start: CopyStart, out: &mut Vec<Output<'_>>) {
        self.stage = Stage::Copying(Copying::new());
        self.end = start.start;
        self.chain = start.chain;
        self.durable_end = start.start;
        self.applied_end = start.start;
        self.commit_end = start.start;
        self.apply_told = start.start;
        self.freshness = Freshness::default();
        self.report.due = Some(now);
        out.push(Output::Event(Event::CopyBegun { start: start.start }));
        out.push(Output::StartGeneration(start));
    }

    fn records<'a>(&mut self, records: Records<'a>, out: &mut Vec<Output<'a>>) {
        if records.from != self.end {
            self.close(LinkFault::Gap { expected: self.end, got: records.from }, out);
            return;
        }
        if let Stage::Copying(copying) = &self.stage
            && copying.is_within_a_chunk()
        {
            self.close(LinkFault::BadChunk { reason: "records within a chunk" }, out);
            return;
        }
        assert!(self.appending.is_none(), "records while others wait for their answer");
        let Records { epoch, from, end, commit_end, bytes } = records;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.report.unreported_bytes = self.report.unreported_bytes.saturating_add(length);
        let bytes_kept = std::borrow::Cow::Borrowed(&[][..]);
        self.appending = Some(Records { epoch, from, end, commit_end, bytes: bytes_kept });
        out.push(Output::AppendRecords { from, end, bytes });
    }

    fn appended(&mut self, now: Monotonic, end: Lsn, chain: Chain, out: &mut Vec<Output<'_>>) {
        let Some(records) = self.appending.take() else { return };
        assert!(end == records.end, "appended up to {end}, not {}", records.end);
        self.end = end;
        self.chain = chain;
        self.committed(records.commit_end, out);
        let every = self.settings.ack_every;
        let soon = self.settings.report_received || self.takes_much_of_the_window();
        self.report_by(if soon { now } else { now.plus(every) });
    }

    /// An eighth of the window: acknowledged in time for the leader never to wait for a timer.
    const fn takes_much_of_the_window(&self) -> bool {
        self.report.unreported_bytes >= self.settings.window_bytes / 8
    }

    fn committed(&mut self, end: Lsn, out: &mut Vec<Output<'_>>) {
        self.commit_end = self.commit_end.max(end);
        let end = self.commit_end.min(self.end);
        if end > self.apply_told {
            self.apply_told = end;
            out.push(Output::ApplyTo { end });
        }
    }

    fn durable(&mut self, now: Monotonic, end: Lsn) {
        assert!(end <= self.end, "durable {end} of {}", self.end);
        if end > self.durable_end {
            self.durable_end = end;
            // Replies wait for this one.
            self.report_by(now);
        }
    }

    fn applied(&mut self, now: Monotonic, end: Lsn) {
        assert!(end <= self.end, "applied {end} of {}", self.end);
        if end > self.applied_end {
            self.applied_end = end;
            self.freshness.applied(end);
            // The last of it, and nothing else is coming: a leader that waits to hand over waits for this.
            let last = end == self.end && end == self.durable_end;
            self.report_by(if last { now } else { now.plus(self.settings.ack_every) });
        }
    }

    fn chunk<'a>(&mut self, now: Monotonic, chunk: SnapshotChunk<'a>, out: &mut Vec<Output<'a>>) {
        let at = self.end;
        let Stage::Copying(copying) = &mut self.stage else { return };
        let length = u64::try_from(chunk.bytes.len()).unwrap_or(u64::MAX);
        match copying.take(chunk, at) {
            Err(fault) => self.close(fault, out),
            Ok(whole) => {
                self.report.unreported_bytes = self.report.unreported_bytes.saturating_add(length);
                self.copied_bytes = self.copied_bytes.saturating_add(length);
                if let Some(whole) = whole {
                    let copying::Whole { lsn, first, last, bytes } = whole;
                    out.push(Output::LoadChunk { lsn, first, last, bytes });
                }
                let soon = self.takes_much_of_the_window();
                let by = if soon { now } else { now.plus(self.settings.ack_every) };
                self.report_by(by);
            }
        }
    }

    fn copy_sent(&mut self, end: Lsn, out: &mut Vec<Output<'_>>) {
        let at = self.end;
        let Stage::Copying(copying) = &mut self.stage else { return };
        if let Err(fault) = copying.sent(end, at) {
            self.close(fault, out);
        }
    }

    /// Asks for the copy to be installed once all of it is here, committed and on disk.
    fn complete_copy(&mut self, out: &mut Vec<Output<'_>>) {
        let held = self.durable_end.min(self.applied_end).min(self.commit_end);
        if let Stage::Copying(copying) = &mut self.stage
            && let Some(end) = copying.complete(held)
        {
            out.push(Output::CopyComplete { end });
        }
    }

    fn copy_installed(&mut self, now: Monotonic, out: &mut Vec<Output<'_>>) {
        let Stage::Copying(copying) = &self.stage else { return };
        assert!(copying.is_complete(), "installed a copy that is not whole");
        self.stage = if self.link_lost { Stage::Idle } else { Stage::Streaming };
        out.push(Output::Event(Event::CopyDone));
        self.report_by(now);
    }

    fn link_down(&mut self, out: &mut Vec<Output<'_>>) {
        match &self.stage {
            // All of it is here: the leader is not needed to install it.
            Stage::Copying(copying) if copying.is_complete() => self.link_lost = true,
            Stage::Copying(_) => {
                out.push(Output::DropGeneration);
                self.stage = Stage::Finished;
            }
            Stage::Idle | Stage::Asked | Stage::Streaming | Stage::Finished => {
                self.stage = Stage::Idle;
            }
        }
        self.report.due = None;
    }

    fn close(&mut self, fault: LinkFault, out: &mut Vec<Output<'_>>) {
        out.push(Output::Close(fault));
        self.link_down(out);
    }

    fn report_by(&mut self, by: Monotonic) {
        if self.is_streaming() {
            self.report.due = Some(self.report.due.map_or(by, |due| due.min(by)));
        }
    }

    fn send_report(&mut self, now: Monotonic, out: &mut Vec<Output<'_>>) {
        // While records wait for their answer our end is about to change: the report comes with it.
        if self.report.due.is_none_or(|due| due > now) || self.appending.is_some() {
            return;
        }
        self.report = Report::default();
        let durable_end = match &self.stage {
            Stage::Copying(_) => Lsn::ZERO,
            Stage::Streaming => self.durable_end,
            Stage::Idle | Stage::Asked | Stage::Finished => return,
        };
        out.push(Output::Send(Message::Ack(Ack {
            epoch: self.epoch,
            incarnation: self.incarnation,
            received_end: self.end,
            received_chain: self.chain,
            durable_end,
            applied_end: self.applied_end,
            copied_bytes: self.copied_bytes,
        })));
    }

    const fn is_streaming(&self) -> bool {
        matches!(self.stage, Stage::Streaming | Stage::Copying(_))
    }

    /// The stream runs and the data is whole.
    pub const fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Streaming)
    }

    /// A full copy is under way: the key space is not whole.
    pub const fn is_copying(&self) -> bool {
        matches!(self.stage, Stage::Copying(_))
    }

    /// Everything acknowledged before this reading of *our own* clock is in the key space; `None` while
    /// nothing is known. What `max_staleness` compares with.
    pub const fn fresh_as_of(&self) -> Option<Monotonic> {
        self.freshness.fresh_as_of()
    }

    /// The primary's end of acknowledged records, as far as it is known here.
    pub const fn commit_end(&self) -> Lsn {
        self.commit_end
    }

    /// When a [`Input::Tick`] is due.
    pub const fn deadline(&self) -> Option<Monotonic> {
        self.report.due
    }
}
