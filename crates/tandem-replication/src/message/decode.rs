//! Bytes to messages. Nothing here panics, and nothing is allocated before its length is checked.

use std::borrow::Cow;

use tandem_types::{
    Chain, DbIndex, Epoch, EpochHistory, EpochStart, ForkId, Incarnation, Lsn, Monotonic, NodeId,
    PairId, Role, SLOT_COUNT, SlotId, Stamp, WallMillis,
};

use super::encode::tag;
use super::{
    Ack, Beat, CONFIGURATION_BYTES_MAX, CopyStart, Echo, Follow, Formats, Grant,
    HISTORY_ENTRIES_MAX, Heartbeat, Hello, Keep, LACKS_UNKNOWN, Message, Notice, NoticeCode,
    Records, SnapshotChunk, Status, TEXT_BYTES_MAX, VERSION, VERSION_1, VERSION_2,
};

/// Epochs rise by one; a number beyond this is damage or malice, and would leave no room for later ones.
const EPOCH_MAX: u64 = 1 << 62;

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DecodeError {
    /// They end too early.
    #[error("the message ends too early")]
    Short,
    /// Bytes are left over.
    #[error("{extra} bytes too many")]
    Long {
        /// How many.
        extra: usize,
    },
    /// Another version of the messages: one of the nodes must be upgraded.
    #[error("message version {found}, this node speaks {VERSION}")]
    Version {
        /// The peer's.
        found: u8,
    },
    /// No such message.
    #[error("unknown message {tag}")]
    Tag {
        /// Its second byte.
        tag: u8,
    },
    /// A field holds what it cannot.
    #[error("bad value in {field}")]
    Value {
        /// The field.
        field: &'static str,
    },
}

/// Reads fields one after another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(DecodeError::Short)?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.rest.split_first_chunk().ok_or(DecodeError::Short)?;
        self.rest = tail;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn u128(&mut self) -> Result<u128, DecodeError> {
        Ok(u128::from_le_bytes(self.array()?))
    }

    fn flag(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Value { field }),
        }
    }

    fn lsn(&mut self) -> Result<Lsn, DecodeError> {
        self.u64().map(Lsn::new)
    }

    fn epoch(&mut self) -> Result<Epoch, DecodeError> {
        let number = self.u64()?;
        if number > EPOCH_MAX {
            return Err(DecodeError::Value { field: "epoch" });
        }
        Ok(Epoch::new(number))
    }

    fn chain(&mut self) -> Result<Chain, DecodeError> {
        self.u64().map(Chain::new)
    }

    fn incarnation(&mut self) -> Result<Incarnation, DecodeError> {
        self.u64().map(Incarnation::new)
    }

    fn pair_id(&mut self) -> Result<PairId, DecodeError> {
        self.u128().map(PairId::new)
    }

    fn node(&mut self) -> Result<NodeId, DecodeError> {
        NodeId::from_byte(self.u8()?).ok_or(DecodeError::Value { field: "node" })
    }

    pub(super) fn db(&mut self) -> Result<DbIndex, DecodeError> {
        DbIndex::new(self.u8()?).ok_or(DecodeError::Value { field: "db" })
    }

    pub(super) fn slot(&mut self, db: DbIndex) -> Result<SlotId, DecodeError> {
        let slot = self.u16()?;
        if slot < SLOT_COUNT {
            Ok(SlotId { db, slot })
        } else {
            Err(DecodeError::Value { field: "slot" })
        }
    }

    /// Bytes with their length (u32) before them.
    fn bytes(&mut self) -> Result<Cow<'a, [u8]>, DecodeError> {
        let length = self.u32()?;
        let length = usize::try_from(length).map_err(|_| DecodeError::Short)?;
        self.take(length).map(Cow::Borrowed)
    }

    /// The bytes up to the end of the message.
    fn tail(&mut self) -> Cow<'a, [u8]> {
        Cow::Borrowed(std::mem::take(&mut self.rest))
    }

    fn text(&mut self) -> Result<String, DecodeError> {
        self.text_up_to(TEXT_BYTES_MAX, "text")
    }

    fn text_up_to(&mut self, most: usize, field: &'static str) -> Result<String, DecodeError> {
        let bytes = self.bytes()?;
        if bytes.len() > most {
            return Err(DecodeError::Value { field });
        }
        String::from_utf8(bytes.into_owned()).map_err(|_| DecodeError::Value { field })
    }

    fn history(&mut self) -> Result<EpochHistory, DecodeError> {
        const ENTRY_BYTES: usize = 24;
        let count = usize::try_from(self.u32()?).map_err(|_| DecodeError::Short)?;
        if count > HISTORY_ENTRIES_MAX {
            return Err(DecodeError::Value { field: "history" });
        }
        if self.rest.len() < count * ENTRY_BYTES {
            return Err(DecodeError::Short);
        }
        let mut starts = Vec::with_capacity(count);
        for _ in 0..count {
            let epoch = self.epoch()?;
            let fork = ForkId::new(self.u64()?);
            starts.push(EpochStart { epoch, fork, first: self.lsn()? });
        }
        EpochHistory::from_starts(starts).map_err(|_| DecodeError::Value { field: "history" })
    }

    fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Long { extra: self.rest.len() })
        }
    }
}

impl<'a> Message<'a> {
    /// Reads one whole message.
    ///
    /// # Errors
    /// The bytes are not exactly one message of [`VERSION`] or of one of those before it.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(bytes);
        let version = fields.u8()?;
        if !(VERSION_1..=VERSION).contains(&version) {
            return Err(DecodeError::Version { found: version });
        }
        let message = body(version, &mut fields)?;
        fields.finish()?;
        Ok(message)
    }
}

fn body<'a>(version: u8, f: &mut Fields<'a>) -> Result<Message<'a>, DecodeError> {
    Ok(match f.u8()? {
        tag::HELLO => Message::Hello(hello(version, f)?),
        tag::FOLLOW => Message::Follow(follow(f)?),
        tag::RESUME => Message::Resume { epoch: f.epoch()?, from: f.lsn()?, chain: f.chain()? },
        tag::CUT_BACK => Message::CutBack {
            epoch: f.epoch()?,
            to: f.lsn()?,
            chain: f.chain()?,
            history: f.history()?,
        },
        tag::SNAPSHOT_BEGIN => Message::SnapshotBegin(copy_start(f)?),
        tag::SNAPSHOT_CHUNK => Message::SnapshotChunk(chunk(f)?),
        tag::SNAPSHOT_END => Message::SnapshotEnd { epoch: f.epoch()?, end: f.lsn()? },
        tag::RECORDS => Message::Records(records(f)?),
        tag::COMMIT => Message::Commit { epoch: f.epoch()?, end: f.lsn()? },
        tag::ACK => Message::Ack(ack(f)?),
        tag::HEARTBEAT => Message::Heartbeat(heartbeat(version, f)?),
        tag::SWITCH => Message::Switch(f.tail()),
        tag::EXCHANGE => Message::Exchange(f.tail()),
        tag::CONFLICT => Message::Conflict(f.tail()),
        tag::PUBLISH => Message::Publish { channel: f.bytes()?, payload: f.tail() },
        tag::SCRIPT => Message::Script(f.tail()),
        tag::FORWARD => {
            let token = f.u64()?;
            let db = f.db()?;
            let proto = f.u8()?;
            if !(2..=3).contains(&proto) {
                return Err(DecodeError::Value { field: "proto" });
            }
            Message::Forward { token, db, proto, command: f.tail() }
        }
        tag::FORWARD_REPLY => Message::ForwardReply { token: f.u64()?, reply: f.tail() },
        tag::COMPARE => Message::Compare(f.tail()),
        tag::BYE => Message::Bye(notice(f)?),
        tag::REJECT => Message::Reject(notice(f)?),
        tag => return Err(DecodeError::Tag { tag }),
    })
}

fn hello(version: u8, f: &mut Fields<'_>) -> Result<Hello, DecodeError> {
    Ok(Hello {
        node: f.node()?,
        pair_id: f.pair_id()?,
        incarnation: f.incarnation()?,
        boot: f.u64()?,
        session: f.u64()?,
        formats: Formats { log: f.u16()?, snapshot: f.u16()? },
        config_digest: f.u64()?,
        epoch_seen: f.epoch()?,
        version: f.text()?,
        configuration: if version <= VERSION_2 {
            String::new()
        } else {
            f.text_up_to(CONFIGURATION_BYTES_MAX, "configuration")?
        },
        starts: if version <= VERSION_2 {
            Vec::new()
        } else {
            let count = f.u8()?;
            (0..count).map(|_| f.u64()).collect::<Result<_, _>>()?
        },
    })
}

fn follow(f: &mut Fields<'_>) -> Result<Follow, DecodeError> {
    Ok(Follow {
        epoch: f.epoch()?,
        node: f.node()?,
        pair_id: f.pair_id()?,
        incarnation: f.incarnation()?,
        oldest: f.lsn()?,
        end: f.lsn()?,
        chain: f.chain()?,
        damaged: f.flag("damaged")?,
        history: f.history()?,
    })
}

fn copy_start(f: &mut Fields<'_>) -> Result<CopyStart, DecodeError> {
    Ok(CopyStart {
        epoch: f.epoch()?,
        pair_id: f.pair_id()?,
        start: f.lsn()?,
        chain: f.chain()?,
        stamp: Stamp::new(f.u64()?),
        keep: match (f.u8()?, f.lsn()?) {
            (0, Lsn::ZERO) => Keep::Nothing,
            (1, since) => Keep::Since(since),
            (2, Lsn::ZERO) => Keep::Everything,
            _ => return Err(DecodeError::Value { field: "keep" }),
        },
        history: f.history()?,
    })
}

fn chunk<'a>(f: &mut Fields<'a>) -> Result<SnapshotChunk<'a>, DecodeError> {
    let (epoch, lsn) = (f.epoch()?, f.lsn()?);
    let db = f.db()?;
    let first = f.slot(db)?;
    let db = f.db()?;
    let last = f.slot(db)?;
    let (offset, total) = (f.u64()?, f.u64()?);
    let bytes = f.tail();
    let length = u64::try_from(bytes.len()).map_err(|_| DecodeError::Short)?;
    if last < first {
        return Err(DecodeError::Value { field: "last" });
    }
    if offset.checked_add(length).is_none_or(|end| end > total) {
        return Err(DecodeError::Value { field: "offset" });
    }
    Ok(SnapshotChunk { epoch, lsn, first, last, offset, total, bytes })
}

fn records<'a>(f: &mut Fields<'a>) -> Result<Records<'a>, DecodeError> {
    let (epoch, from, end) = (f.epoch()?, f.lsn()?, f.lsn()?);
    if end <= from {
        return Err(DecodeError::Value { field: "end" });
    }
    Ok(Records { epoch, from, end, commit_end: f.lsn()?, bytes: f.tail() })
}

fn ack(f: &mut Fields<'_>) -> Result<Ack, DecodeError> {
    Ok(Ack {
        epoch: f.epoch()?,
        incarnation: f.incarnation()?,
        received_end: f.lsn()?,
        received_chain: f.chain()?,
        durable_end: f.lsn()?,
        applied_end: f.lsn()?,
        copied_bytes: f.u64()?,
    })
}

fn heartbeat(version: u8, f: &mut Fields<'_>) -> Result<Heartbeat, DecodeError> {
    let seq = f.u64()?;
    let sent = Monotonic::from_nanos(f.u64()?);
    let answers = f.flag("echo")?;
    let echo = Echo { seq: f.u64()?, sent: Monotonic::from_nanos(f.u64()?) };
    if !answers && echo != (Echo { seq: 0, sent: Monotonic::ZERO }) {
        return Err(DecodeError::Value { field: "echo" });
    }
    let beat = Beat { seq, sent, echo: answers.then_some(echo) };
    let status = Status {
        role: Role::from_byte(f.u8()?).ok_or(DecodeError::Value { field: "role" })?,
        epoch: f.epoch()?,
        appended_end: f.lsn()?,
        durable_end: f.lsn()?,
        applied_end: f.lsn()?,
        commit_end: f.lsn()?,
        wall: WallMillis::new(f.u64()?),
        applied_stamp: Stamp::new(f.u64()?),
        sync_age_ms: f.u32()?,
        config_digest: f.u64()?,
        commit_known: f.flag("commit_known")?,
        lacks: if version == VERSION_1 {
            None
        } else {
            Some(f.u64()?).filter(|&it| it != LACKS_UNKNOWN)
        },
    };
    let grants = f.flag("grant")?;
    let grant = Grant { epoch: f.epoch()?, lease_ms: f.u32()? };
    if !grants && grant != (Grant { epoch: Epoch::ZERO, lease_ms: 0 }) {
        return Err(DecodeError::Value { field: "grant" });
    }
    Ok(Heartbeat { beat, status, grant: grants.then_some(grant) })
}

fn notice(f: &mut Fields<'_>) -> Result<Notice, DecodeError> {
    let code = NoticeCode::from_byte(f.u8()?).ok_or(DecodeError::Value { field: "code" })?;
    Ok(Notice { code, text: f.text()? })
}
