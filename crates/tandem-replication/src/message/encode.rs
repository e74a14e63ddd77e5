//! Messages to bytes.

use tandem_types::{EpochHistory, Monotonic, SlotId};

use super::{
    Ack, CopyStart, Echo, Follow, Heartbeat, Hello, Keep, LACKS_UNKNOWN, Message, Notice, Records,
    STARTS_MAX, SnapshotChunk, TEXT_BYTES_MAX, VERSION,
};

/// Second byte of a message.
pub(super) mod tag {
    pub(crate) const HELLO: u8 = 1;
    pub(crate) const FOLLOW: u8 = 2;
    pub(crate) const RESUME: u8 = 3;
    pub(crate) const CUT_BACK: u8 = 4;
    pub(crate) const SNAPSHOT_BEGIN: u8 = 5;
    pub(crate) const SNAPSHOT_CHUNK: u8 = 6;
    pub(crate) const SNAPSHOT_END: u8 = 7;
    pub(crate) const RECORDS: u8 = 8;
    pub(crate) const COMMIT: u8 = 9;
    pub(crate) const ACK: u8 = 10;
    pub(crate) const HEARTBEAT: u8 = 11;
    pub(crate) const SWITCH: u8 = 12;
    pub(crate) const PUBLISH: u8 = 13;
    pub(crate) const FORWARD: u8 = 14;
    pub(crate) const FORWARD_REPLY: u8 = 15;
    pub(crate) const BYE: u8 = 16;
    pub(crate) const REJECT: u8 = 17;
    pub(crate) const EXCHANGE: u8 = 18;
    pub(crate) const COMPARE: u8 = 19;
    pub(crate) const CONFLICT: u8 = 20;
    pub(crate) const SCRIPT: u8 = 21;
}

impl Message<'_> {
    /// Appends the message's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Fields { out };
        w.u8(VERSION);
        body(self, &mut w);
    }

    /// The message's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// Writes fields one after another, little-endian.
struct Fields<'o> {
    out: &'o mut Vec<u8>,
}

impl Fields<'_> {
    fn u8(&mut self, value: u8) {
        self.out.push(value);
    }
    fn u16(&mut self, value: u16) {
        self.tail(&value.to_le_bytes());
    }
    fn u32(&mut self, value: u32) {
        self.tail(&value.to_le_bytes());
    }
    fn u64(&mut self, value: u64) {
        self.tail(&value.to_le_bytes());
    }
    fn u128(&mut self, value: u128) {
        self.tail(&value.to_le_bytes());
    }
    fn tail(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
    }
    fn slot(&mut self, slot: SlotId) {
        self.u8(slot.db.get());
        self.u16(slot.slot);
    }
    fn bytes(&mut self, bytes: &[u8]) {
        // A channel name and a text are far below 4 GiB: requests are limited to 512 MiB.
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.u32(length);
        self.tail(bytes);
    }
    fn text(&mut self, text: &str) {
        let mut end = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        self.bytes(text.get(..end).unwrap_or_default().as_bytes());
    }
    fn history(&mut self, history: &EpochHistory) {
        self.u32(u32::try_from(history.starts().len()).unwrap_or(u32::MAX));
        for start in history.starts() {
            self.u64(start.epoch.get());
            self.u64(start.fork.get());
            self.u64(start.first.get());
        }
    }
}

fn body(message: &Message<'_>, w: &mut Fields<'_>) {
    match message {
        Message::Hello(it) => hello(it, w),
        Message::Follow(it) => follow(it, w),
        Message::Resume { epoch, from, chain } => {
            w.u8(tag::RESUME);
            w.u64(epoch.get());
            w.u64(from.get());
            w.u64(chain.get());
        }
        Message::CutBack { epoch, to, chain, history } => {
            w.u8(tag::CUT_BACK);
            w.u64(epoch.get());
            w.u64(to.get());
            w.u64(chain.get());
            w.history(history);
        }
        Message::SnapshotBegin(it) => copy_start(it, w),
        Message::SnapshotChunk(it) => chunk(it, w),
        Message::SnapshotEnd { epoch, end } => {
            w.u8(tag::SNAPSHOT_END);
            w.u64(epoch.get());
            w.u64(end.get());
        }
        Message::Records(it) => records(it, w),
        Message::Commit { epoch, end } => {
            w.u8(tag::COMMIT);
            w.u64(epoch.get());
            w.u64(end.get());
        }
        Message::Ack(it) => ack(it, w),
        Message::Heartbeat(it) => heartbeat(it, w),
        Message::Switch(bytes) => {
            w.u8(tag::SWITCH);
            w.tail(bytes);
        }
        Message::Exchange(bytes) => {
            w.u8(tag::EXCHANGE);
            w.tail(bytes);
        }
        Message::Conflict(bytes) => {
            w.u8(tag::CONFLICT);
            w.tail(bytes);
        }
        Message::Publish { channel, payload } => {
            w.u8(tag::PUBLISH);
            w.bytes(channel);
            w.tail(payload);
        }
        Message::Script(text) => {
            w.u8(tag::SCRIPT);
            w.tail(text);
        }
        Message::Forward { token, db, proto, command } => {
            w.u8(tag::FORWARD);
            w.u64(*token);
            w.u8(db.get());
            w.u8(*proto);
            w.tail(command);
        }
        Message::ForwardReply { token, reply } => {
            w.u8(tag::FORWARD_REPLY);
            w.u64(*token);
            w.tail(reply);
        }
        Message::Compare(bytes) => {
            w.u8(tag::COMPARE);
            w.tail(bytes);
        }
        Message::Bye(it) => notice(tag::BYE, it, w),
        Message::Reject(it) => notice(tag::REJECT, it, w),
    }
}

fn hello(it: &Hello, w: &mut Fields<'_>) {
    w.u8(tag::HELLO);
    w.u8(it.node.as_byte());
    w.u128(it.pair_id.get());
    w.u64(it.incarnation.get());
    w.u64(it.boot);
    w.u64(it.session);
    w.u16(it.formats.log);
    w.u16(it.formats.snapshot);
    w.u64(it.config_digest);
    w.u64(it.epoch_seen.get());
    w.text(&it.version);
    w.bytes(it.configuration.as_bytes());
    let starts = it.starts.get(it.starts.len().saturating_sub(STARTS_MAX)..).unwrap_or_default();
    w.u8(u8::try_from(starts.len()).unwrap_or(u8::MAX));
    for boot in starts {
        w.u64(*boot);
    }
}

fn follow(it: &Follow, w: &mut Fields<'_>) {
    w.u8(tag::FOLLOW);
    w.u64(it.epoch.get());
    w.u8(it.node.as_byte());
    w.u128(it.pair_id.get());
    w.u64(it.incarnation.get());
    w.u64(it.oldest.get());
    w.u64(it.end.get());
    w.u64(it.chain.get());
    w.u8(u8::from(it.damaged));
    w.history(&it.history);
}

fn copy_start(it: &CopyStart, w: &mut Fields<'_>) {
    w.u8(tag::SNAPSHOT_BEGIN);
    w.u64(it.epoch.get());
    w.u128(it.pair_id.get());
    w.u64(it.start.get());
    w.u64(it.chain.get());
    w.u64(it.stamp.get());
    let (keep, since) = match it.keep {
        Keep::Nothing => (0, 0),
        Keep::Since(lsn) => (1, lsn.get()),
        Keep::Everything => (2, 0),
    };
    w.u8(keep);
    w.u64(since);
    w.history(&it.history);
}

fn chunk(it: &SnapshotChunk<'_>, w: &mut Fields<'_>) {
    w.u8(tag::SNAPSHOT_CHUNK);
    w.u64(it.epoch.get());
    w.u64(it.lsn.get());
    w.slot(it.first);
    w.slot(it.last);
    w.u64(it.offset);
    w.u64(it.total);
    w.tail(&it.bytes);
}

fn records(it: &Records<'_>, w: &mut Fields<'_>) {
    w.u8(tag::RECORDS);
    w.u64(it.epoch.get());
    w.u64(it.from.get());
    w.u64(it.end.get());
    w.u64(it.commit_end.get());
    w.tail(&it.bytes);
}

fn ack(it: &Ack, w: &mut Fields<'_>) {
    w.u8(tag::ACK);
    w.u64(it.epoch.get());
    w.u64(it.incarnation.get());
    w.u64(it.received_end.get());
    w.u64(it.received_chain.get());
    w.u64(it.durable_end.get());
    w.u64(it.applied_end.get());
    w.u64(it.copied_bytes);
}

fn heartbeat(it: &Heartbeat, w: &mut Fields<'_>) {
    w.u8(tag::HEARTBEAT);
    w.u64(it.beat.seq);
    w.u64(it.beat.sent.as_nanos());
    w.u8(u8::from(it.beat.echo.is_some()));
    let echo = it.beat.echo.unwrap_or(Echo { seq: 0, sent: Monotonic::ZERO });
    w.u64(echo.seq);
    w.u64(echo.sent.as_nanos());
    let status = &it.status;
    w.u8(status.role.as_byte());
    w.u64(status.epoch.get());
    w.u64(status.appended_end.get());
    w.u64(status.durable_end.get());
    w.u64(status.applied_end.get());
    w.u64(status.commit_end.get());
    w.u64(status.wall.get());
    w.u64(status.applied_stamp.get());
    w.u32(status.sync_age_ms);
    w.u64(status.config_digest);
    w.u8(u8::from(status.commit_known));
    w.u64(status.lacks.unwrap_or(LACKS_UNKNOWN));
    w.u8(u8::from(it.grant.is_some()));
    w.u64(it.grant.map_or(0, |grant| grant.epoch.get()));
    w.u32(it.grant.map_or(0, |grant| grant.lease_ms));
}

fn notice(tag: u8, it: &Notice, w: &mut Fields<'_>) {
    w.u8(tag);
    w.u8(it.code.as_byte());
    w.text(&it.text);
}
