//! The leading end of the stream: one brain per reign, one follower at a time.
//!
//! ```text
//!           Follow                 chain agrees            all slots sent, follower whole
//!  (none) ---------> Deciding ----------------> Streaming <------------------------------ Copying
//!                       |   chain differs / trimmed / empty                                  ^
//!                       |---------------> CopyPaused --------------------------------------->|
//!                       '--> Cutting (the follower reboots in place and asks again)
//! ```
//! Live and catch-up are one path: whatever lies between what was sent and the end of the log is asked
//! for with [`Output::ReadRecords`], from memory or disk alike, as long as the window has room.
//!
//! A full copy shares that one ordered stream. A chunk is taken at the end of the log (LSN c), held until
//! every record before c was sent, then sent before any other record. So each chunk costs the records
//! that came meanwhile and one chunk, and the copy gets on however fast clients write.

mod copy_pause;
mod decide;
mod lag;
mod port;
mod session;
#[cfg(test)]
mod tests;

use tandem_types::{Chain, Epoch, Lsn, Monotonic};

use self::copy_pause::CopyPause;
use self::decide::Plan;
pub use self::lag::Lag;
pub use self::port::{CopyReason, Event, Input, Output, Reign};
use self::session::{Copy, OwnEnd, PendingChunk, Session, Stage};
use crate::Settings;
use crate::fault::LinkFault;
use crate::message::{Ack, CopyStart, Follow, Keep, Message, Records, SnapshotChunk};

/// The brain of a primary's outgoing stream.
#[derive(Clone, Debug)]
pub struct Leader {
    settings: Settings,
    reign: Reign,
    session: Option<Session>,
    /// Counts sessions, so that an answer to an earlier one is known as such.
    sessions: u64,
    /// The read that is under way, and for which session.
    reading: Option<Reading>,
    log_bytes: u64,
    pause: CopyPause,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    session: u64,
    from: Lsn,
    until: Lsn,
}

/// What the follower is known to have, in this reign and connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Progress {
    /// In its memory.
    pub received_end: Lsn,
    /// On its disk; zero while it is being copied anew.
    pub durable_end: Lsn,
    /// In its key space.
    pub applied_end: Lsn,
    /// It keeps up: the last round of catching up took less than `failure_timeout`.
    pub caught_up: bool,
    /// A full copy is running.
    pub copying: bool,
    /// Bytes sent and not yet acknowledged.
    pub in_flight_bytes: u64,
}

impl Leader {
    /// The brain of a reign whose first record is in the log. `log_bytes` as in [`Input::Appended`].
    pub fn new(settings: Settings, reign: Reign, log_bytes: u64) -> Self {
        assert!(reign.commit_end <= reign.end, "commits {} of {}", reign.commit_end, reign.end);
        assert!(
            reign.history.last_epoch() == reign.epoch,
            "reign {} is not the last of its table ({})",
            reign.epoch,
            reign.history.last_epoch()
        );
        Self {
            settings,
            reign,
            session: None,
            sessions: 0,
            reading: None,
            log_bytes,
            pause: CopyPause::new(settings.copy_pause, settings.copy_pause_max, settings.seed),
        }
    }

    /// Advances by one input, appending what must be done to `out` in order.
    pub fn step(&mut self, now: Monotonic, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Follow(follow) => self.follow(now, follow, out),
            Input::Ack(ack) => self.ack(now, ack, out),
            Input::LinkDown => self.end_session(now, out),
            Input::Appended { end, chain, stamp, log_bytes } => {
                assert!(
                    end >= self.reign.end,
                    "the log went back to {end} from {}",
                    self.reign.end
                );
                self.reign.end = end;
                self.reign.chain = chain;
                self.reign.stamp = stamp;
                self.log_bytes = log_bytes;
                let own = self.own_end();
                if let Some(session) = &mut self.session {
                    session.appended(now, own, &self.settings);
                }
            }
            Input::Committed { end } => {
                assert!(end >= self.reign.commit_end, "commit went back to {end}");
                assert!(end <= self.reign.end, "commits {end} of {}", self.reign.end);
                self.reign.commit_end = end;
            }
            Input::Trimmed { oldest } => self.reign.oldest = self.reign.oldest.max(oldest),
            Input::ChainAt { lsn, chain } => self.chain_at(now, lsn, chain, out),
            Input::RecordsRead { from, end, chain, bytes } => {
                self.records_read(from, Batch { end, chain, bytes }, out);
            }
            Input::RecordsGone { from } => self.records_gone(now, from, out),
            Input::ChunkTaken { lsn, first, last, bytes } => {
                self.chunk_taken(PendingChunk::new(lsn, first, last, bytes));
            }
            Input::Tick => {
                // Who acknowledges nothing must not be taken for caught up for ever.
                if let Some(session) = &mut self.session {
                    session.watch_round(now, self.reign.end, &self.settings);
                }
            }
        }
        self.pump(now, out);
    }

    const fn own_end(&self) -> OwnEnd {
        OwnEnd { end: self.reign.end, log_bytes: self.log_bytes }
    }

    fn follow(&mut self, now: Monotonic, follow: Follow, out: &mut Vec<Output>) {
        self.end_session(now, out);
        if follow.epoch > self.reign.epoch {
            out.push(Output::HigherEpoch(follow.epoch));
            return;
        }
        if follow.epoch < self.reign.epoch {
            return; // It will hear of this reign and ask again.
        }
        let plan = decide::plan(&self.reign, &follow);
        self.sessions += 1;
        self.session = Some(Session::new(self.sessions, follow));
        match plan {
            Plan::Refuse(fault) => self.close(now, fault, out),
            Plan::Copy { why, keep } => self.pause_copy(why, keep),
            Plan::Compare { common } => {
                if let Some(session) = &mut self.session {
                    session.stage = Stage::Deciding { common };
                }
                if common == self.reign.end {
                    self.chain_at(now, common, Some(self.reign.chain), out);
                } else if common == Lsn::ZERO {
                    self.chain_at(now, common, Some(Chain::EMPTY), out);
                } else {
                    out.push(Output::LookUpChain { lsn: common });
                }
            }
        }
    }

    fn chain_at(&mut self, now: Monotonic, lsn: Lsn, chain: Option<Chain>, out: &mut Vec<Output>) {
        let own = self.own_end();
        let Some(session) = &mut self.session else { return };
        let Stage::Deciding { common } = session.stage else { return };
        if lsn != common {
            return; // Answers a question of an earlier connection.
        }
        let follow = &session.follow;
        let Some(chain) = chain else {
            let keep = decide::keep(follow, common);
            self.pause_copy(CopyReason::LogTrimmed, keep);
            return;
        };
        let epoch = self.reign.epoch;
        if common < follow.end {
            let extra = follow.end.records_since(common).unwrap_or(0);
            out.push(Output::Event(Event::Diverged { to: common, extra }));
            let history = self.reign.history.clone();
            out.push(Output::Send(Message::CutBack { epoch, to: common, chain, history }));
            session.stage = Stage::Cutting;
        } else if chain == follow.chain {
            out.push(Output::Event(Event::Resumed { from: common }));
            out.push(Output::Send(Message::Resume { epoch, from: common, chain }));
            session.stream_from(now, common, own);
        } else {
            self.pause_copy(CopyReason::ChainDiffers, Keep::Everything);
        }
    }

    /// A full copy is due; it begins in `pump` once the pause after a failed one is over.
    fn pause_copy(&mut self, why: CopyReason, keep: Keep) {
        if let Some(session) = &mut self.session {
            session.stage = Stage::CopyPaused { why, keep };
        }
    }

    fn begin_copy(&mut self, now: Monotonic, why: CopyReason, keep: Keep, out: &mut Vec<Output>) {
        let own = self.own_end();
        let Some(session) = &mut self.session else { return };
        let start = self.reign.end;
        out.push(Output::Event(Event::CopyBegun { start, why }));
        out.push(Output::Send(Message::SnapshotBegin(CopyStart {
            epoch: self.reign.epoch,
            pair_id: self.reign.pair_id,
            start,
            chain: self.reign.chain,
            stamp: self.reign.stamp,
            history: self.reign.history.clone(),
            keep,
        })));
        session.stream_from(now, start, own);
        session.stage = Stage::Copying(Copy::new(start));
    }

    fn records_read(&mut self, from: Lsn, batch: Batch, out: &mut Vec<Output>) {
        let Some(reading) = self.reading.take() else { return };
        assert!(reading.from == from, "read {from}, asked for {}", reading.from);
        assert!(
            from < batch.end && batch.end <= reading.until,
            "read {from}..{}, asked for ..{}",
            batch.end,
            reading.until
        );
        let Some(session) = self.session.as_mut().filter(|it| it.number == reading.session) else {
            return; // The connection it was read for is gone.
        };
        assert!(session.sent_end == from, "sent {}, read from {from}", session.sent_end);
        session.sent(batch.end, batch.chain, batch.bytes.len());
        session.commit_told = self.reign.commit_end;
        out.push(Output::Send(Message::Records(Records {
            epoch: self.reign.epoch,
            from,
            end: batch.end,
            commit_end: self.reign.commit_end,
            bytes: batch.bytes.into(),
        })));
    }

    fn records_gone(&mut self, now: Monotonic, from: Lsn, out: &mut Vec<Output>) {
        let Some(reading) = self.reading.take() else { return };
        if self.session.as_ref().is_some_and(|session| session.number == reading.session) {
            self.close(now, LinkFault::TooFarBehind { from }, out);
        }
    }

    fn chunk_taken(&mut self, chunk: PendingChunk) {
        let Some(session) = &mut self.session else { return };
        let Stage::Copying(copy) = &mut session.stage else { return };
        if !copy.taking {
            return;
        }
        assert!(copy.next == Some(chunk.first), "took {:?}, asked {:?}", chunk.first, copy.next);
        assert!(chunk.first <= chunk.last, "took {:?}..={:?}", chunk.first, chunk.last);
        assert!(
            chunk.lsn >= session.sent_end && chunk.lsn == self.reign.end,
            "taken at {}, the log ends at {}, sent up to {}",
            chunk.lsn,
            self.reign.end,
            session.sent_end
        );
        copy.taking = false;
        copy.next = chunk.last.next();
        copy.end = chunk.lsn;
        copy.pending = Some(chunk);
    }

    fn ack(&mut self, now: Monotonic, ack: Ack, out: &mut Vec<Output>) {
        if ack.epoch > self.reign.epoch {
            out.push(Output::HigherEpoch(ack.epoch));
            return;
        }
        let Some(session) = &mut self.session else { return };
        if ack.epoch < self.reign.epoch || !session.is_streaming() {
            return; // Of a reign, or a request to follow, that is over.
        }
        if let Err(fault) = session.acknowledged(&ack) {
            self.close(now, fault, out);
            return;
        }
        if session.finish_copy() {
            self.pause.succeeded();
            out.push(Output::Event(Event::CopyDone));
        }
        session.next_round(now, self.reign.end, &self.settings);
    }

    fn close(&mut self, now: Monotonic, fault: LinkFault, out: &mut Vec<Output>) {
        self.end_session(now, out);
        out.push(Output::Close(fault));
    }

    fn end_session(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        let Some(session) = self.session.take() else { return };
        if let Stage::Copying(_) = session.stage {
            self.pause.failed(now);
            out.push(Output::Event(Event::CopyFailed));
        }
    }

    /// Sends, or asks for, whatever is next and fits the window.
    fn pump(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        if let Some(Session { stage: Stage::CopyPaused { why, keep }, .. }) = self.session
            && now >= self.pause.not_before()
        {
            self.begin_copy(now, why, keep, out);
        }
        self.send_chunks(out);
        self.read_on(out);
        self.tell_commit(out);
    }

    /// Sends the parts of a chunk whose turn has come, asks for the next one, announces the end.
    fn send_chunks(&mut self, out: &mut Vec<Output>) {
        let epoch = self.reign.epoch;
        let Some(session) = &mut self.session else { return };
        let room = |session: &Session| session.in_flight_bytes() < self.settings.window_bytes;
        loop {
            let has_room = room(session);
            let sent_end = session.sent_end;
            let Stage::Copying(copy) = &mut session.stage else { return };
            let Some(chunk) = &mut copy.pending else {
                if let Some(first) = copy.next {
                    if has_room && !copy.taking {
                        copy.taking = true;
                        let bytes_max = self.settings.chunk_bytes_max;
                        out.push(Output::TakeChunk { first, bytes_max });
                    }
                } else if !copy.end_sent {
                    copy.end_sent = true;
                    out.push(Output::Event(Event::CopySent { end: copy.end }));
                    out.push(Output::Send(Message::SnapshotEnd { epoch, end: copy.end }));
                }
                return;
            };
            assert!(sent_end <= chunk.lsn, "sent {sent_end} before the chunk of {}", chunk.lsn);
            if !has_room || sent_end < chunk.lsn {
                return;
            }
            let (part, offset, done) = chunk.take_part(self.settings.chunk_bytes_max);
            copy.sent_bytes += u64::try_from(part.len()).unwrap_or(u64::MAX);
            out.push(Output::Send(Message::SnapshotChunk(SnapshotChunk {
                epoch,
                lsn: chunk.lsn,
                first: chunk.first,
                last: chunk.last,
                offset,
                total: chunk.total,
                bytes: part.into(),
            })));
            if done {
                copy.pending = None;
            }
        }
    }

    fn read_on(&mut self, out: &mut Vec<Output>) {
        let Some(session) = &self.session else { return };
        let until = match &session.stage {
            Stage::Streaming => self.reign.end,
            // Records go up to where the next chunk was taken, and wait while its parts travel.
            Stage::Copying(copy) => copy.pending.as_ref().map_or(self.reign.end, |chunk| chunk.lsn),
            Stage::Deciding { .. } | Stage::Cutting | Stage::CopyPaused { .. } => return,
        };
        let room = session.in_flight_bytes() < self.settings.window_bytes;
        if room && self.reading.is_none() && session.sent_end < until {
            let from = session.sent_end;
            self.reading = Some(Reading { session: session.number, from, until });
            let bytes_max = self.settings.records_bytes_max;
            out.push(Output::ReadRecords { from, until, bytes_max });
        }
    }

    fn tell_commit(&mut self, out: &mut Vec<Output>) {
        let Some(session) = self.session.as_mut().filter(|session| session.is_streaming()) else {
            return;
        };
        // Only what the follower has been sent means anything to it; records carry the rest.
        let end = self.reign.commit_end.min(session.sent_end);
        if end > session.commit_told {
            session.commit_told = end;
            out.push(Output::Send(Message::Commit { epoch: self.reign.epoch, end }));
        }
    }

    /// What the follower is known to have; nothing without a follower.
    pub fn progress(&self) -> Progress {
        let Some(session) = &self.session else { return Progress::default() };
        session.progress()
    }

    /// The follower's distance, as of `now`.
    pub fn lag(&self, now: Monotonic) -> Option<Lag> {
        let session = self.session.as_ref().filter(|session| session.is_streaming())?;
        Some(session.meter.lag(now, self.reign.end, session.progress().applied_end))
    }

    /// Bytes of the log that the follower is not known to have on its disk; `None`: not known.
    pub fn follower_lacks(&self) -> Option<u64> {
        let session = self.session.as_ref().filter(|session| session.is_streaming())?;
        session.meter.bytes_from(session.progress().durable_end)
    }

    /// The log from here on is needed by the follower that is connected.
    pub fn retain_from(&self) -> Option<Lsn> {
        self.session.as_ref().filter(|session| session.is_streaming()).map(|it| it.sent_end)
    }

    /// The reign this brain leads.
    pub const fn epoch(&self) -> Epoch {
        self.reign.epoch
    }

    /// When a [`Input::Tick`] is due.
    pub fn deadline(&self) -> Option<Monotonic> {
        match self.session.as_ref()?.stage {
            Stage::CopyPaused { .. } => Some(self.pause.not_before()),
            _ => self.session.as_ref()?.round_due(&self.settings),
        }
    }
}

/// Records as they were read.
struct Batch {
    end: Lsn,
    chain: Chain,
    bytes: Vec<u8>,
}
