//! What sessions and the exchange do to the key space and the log of one of two writers.

use tandem_log::RecordKind;
use tandem_merge::{Chunk, Merged, Op, Record};
use tandem_store::{Command, EffectBuf, WriterFacts};
use tandem_types::{Lsn, Pair};

use super::{CopyFault, Ends, PeerNote, Writer};
use crate::{Core, Output, Settings};

/// Own writes wait for the peer beyond what is kept for it.
const DIVERGED_TEXT: &str = "PPDIVERGED unreplicated log is full; restore the link, raise \
    replication.log_retention, or give the peer up with TANDEM PP FORGET";

/// Memory kept for the next own record.
const PAYLOAD_BYTES_KEPT: usize = 64 << 10;

impl Core {
    /// Makes one own record of what commands did; returns the position after it.
    pub(crate) fn commit_operations(&mut self) -> Lsn {
        let done = std::mem::replace(&mut self.effects, EffectBuf::merging()).into_operations();
        let lsn_end = self.positions.appended_end.next();
        let wall = self.now.wall;
        let Some(writer) = self.writer.as_mut().filter(|_| !done.ops.is_empty()) else {
            return self.positions.appended_end;
        };
        self.store.settle_own(writer.site.side(), &done, lsn_end);
        let record = Record { origin: writer.site.begin(wall), ops: done.ops };
        writer.site.note(&record);
        self.append_own(record)
    }

    /// Why two writers do not run a command, if they do not: the text of an error. What the key's policy says is
    /// the store's matter.
    pub(crate) fn two_writers_refuse(&self, command: &Command) -> Option<String> {
        let text = self.two_writers_are_full()?;
        command.is_write().then(|| text.to_owned())
    }

    /// What writes get while more waits for the peer than is kept for it.
    pub(crate) fn two_writers_are_full(&self) -> Option<&'static str> {
        let writer = self.writer.as_ref()?;
        let full = writer.places.unconfirmed_bytes() > self.settings.log_retention_bytes;
        full.then_some(DIVERGED_TEXT)
    }

    /// Tells the store how much of the own records the peer has.
    pub(crate) fn peer_confirmed(&mut self) {
        let Some(writer) = &self.writer else { return };
        let end = writer.places.confirmed_end().unwrap_or(self.positions.appended_end);
        self.store.peer_has(end);
    }

    fn append_own(&mut self, record: Record) -> Lsn {
        let (own, written) = (record.origin.lsn, record.origin.stamp.wall());
        let place = self.positions.appended_end;
        let Some(writer) = &mut self.writer else { return place };
        let mut payload = std::mem::take(&mut writer.payload);
        payload.clear();
        Chunk::of(record).encode(&mut payload);
        writer.places.own_appended(own, place, payload.len(), written);
        if writer.has_no_partner() {
            writer.site.nobody_lacks();
            writer.places.confirmed(own.next());
        }
        let end = self.append_pair(RecordKind::Own, &payload);
        if let Some(writer) = &mut self.writer
            && payload.capacity() <= PAYLOAD_BYTES_KEPT
        {
            writer.payload = payload;
        }
        end
    }

    /// Merges a chunk of the peer, which the site has admitted, and appends it with what it makes this side
    /// write again.
    pub(crate) fn merge(&mut self, chunk: Chunk, payload: &[u8]) {
        let lsn_end = self.positions.appended_end.next();
        let wall = self.now.wall;
        let Some(writer) = &mut self.writer else { return };
        let merged = writer.merge(chunk, wall, &mut self.store, lsn_end);
        self.append_pair(RecordKind::Merged, payload);
        self.say_again(&merged);
    }

    /// Writes again what a merge asks for, directly behind it.
    pub(crate) fn say_again(&mut self, merged: &Merged) {
        let lsn_end = self.positions.appended_end.next();
        let wall = self.now.wall;
        let Some(writer) = &mut self.writer else { return };
        let mut space = self.store.merge_space(lsn_end);
        if let Some(record) = writer.site.again(merged, wall, &mut space) {
            self.append_own(record);
        }
    }

    /// Writes of a forgotten peer's writes what is written again, directly behind the note of it.
    pub(crate) fn write_salvaged(&mut self, ops: Vec<Op>) {
        let lsn_end = self.positions.appended_end.next();
        let wall = self.now.wall;
        let Some(writer) = self.writer.as_mut().filter(|_| !ops.is_empty()) else { return };
        let record = writer.site.write(ops, wall, &mut self.store.merge_space(lsn_end));
        self.append_own(record);
    }

    /// Does and appends what is to be known of the peer.
    ///
    /// # Errors
    /// A piece of a copy that fits nothing; nothing was appended.
    pub(crate) fn heed(&mut self, note: &PeerNote<'_>) -> Result<Lsn, CopyFault> {
        let lsn_end = self.positions.appended_end.next();
        let Some(writer) = &mut self.writer else { return Ok(self.positions.appended_end) };
        writer.heed(note, &mut self.store, lsn_end)?;
        Ok(self.append_pair(RecordKind::Peer, &note.to_bytes()))
    }

    /// Appends a record whose work is done.
    fn append_pair(&mut self, kind: RecordKind, payload: &[u8]) -> Lsn {
        let seen = self.writer.as_ref().map_or(Lsn::ZERO, |writer| writer.site.seen_end());
        let mut meta = self.meta();
        meta.seen = seen.get();
        match self.log.append(kind, payload, meta) {
            Ok(lsn) => {
                let end = lsn.next();
                self.appended_bytes += u64::try_from(payload.len()).unwrap_or(u64::MAX);
                self.positions.appended_end = end;
                self.positions.applied_end = end;
                if let Some(writer) = &mut self.writer {
                    let own = writer.site.own_end();
                    writer.places.appended(end, Ends { own, seen });
                }
                end
            }
            Err(error) => {
                let reason = format!("{error}: the data is read anew from disk, without it");
                self.out.push(Output::Reboot { reason });
                Lsn::MAX
            }
        }
    }

    /// How many records of a and of b are in the data here.
    pub(crate) fn vector(&self) -> Pair<Lsn> {
        let Some(site) = self.writer.as_ref().map(|writer| &writer.site) else {
            return Pair::default();
        };
        let mut ends = Pair::default();
        ends[site.side()] = site.own_end();
        ends[site.side().peer()] = site.seen_end();
        ends
    }

    /// Whether a read here sees that much of what a and b wrote.
    pub(crate) fn has_seen(&self, wanted: Pair<Lsn>) -> bool {
        let ends = self.vector();
        ends.a >= wanted.a && ends.b >= wanted.b
    }

    /// This node as one of two writers; `None`: there is one.
    pub const fn writer(&self) -> Option<&Writer> {
        match &self.writer {
            Some(writer) => Some(writer),
            None => None,
        }
    }
}

/// What the store is told of the two writers.
pub(crate) fn writer_facts(settings: &Settings) -> WriterFacts {
    WriterFacts {
        side: settings.node,
        names: settings.names.clone(),
        addresses: settings.client_addresses.clone(),
    }
}

impl Writer {
    /// Its side of the merge: clock, index, positions.
    pub const fn site(&self) -> &tandem_merge::Site {
        &self.site
    }
}
