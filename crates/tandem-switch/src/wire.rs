//! Fields as bytes, little-endian: for the state file and for messages to the peer.

use tandem_types::{Epoch, ForkId, Incarnation, Lsn, NodeId, Pair, PairId, Role};

use crate::{Acknowledge, BootId, InSyncSet, Record, Reign, Revision};

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WireError {
    /// They end too early.
    #[error("the bytes end too early")]
    Short,
    /// Bytes are left over.
    #[error("{extra} bytes too many")]
    Long {
        /// How many.
        extra: usize,
    },
    /// Another version.
    #[error("version {found} is not known here")]
    Version {
        /// The one found.
        found: u8,
    },
    /// A field holds what it cannot.
    #[error("bad value in {field}")]
    Value {
        /// The field.
        field: &'static str,
    },
}

/// Epochs and revisions rise by one; a number beyond this is damage or malice, and would leave no room
/// for later ones.
const COUNT_MAX: u64 = 1 << 62;

/// Longest text in a message.
const TEXT_BYTES_MAX: usize = 1024;

/// Writes fields one after another.
#[derive(Debug)]
pub(crate) struct Writer<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Writer<'o> {
    pub(crate) const fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }
    pub(crate) fn u8(&mut self, value: u8) {
        self.out.push(value);
    }
    pub(crate) fn u64(&mut self, value: u64) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }
    pub(crate) fn u128(&mut self, value: u128) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }
    pub(crate) fn flag(&mut self, value: bool) {
        self.u8(u8::from(value));
    }
    pub(crate) fn option<T>(&mut self, value: Option<&T>, write: impl FnOnce(&mut Self, &T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }
    pub(crate) fn reign(&mut self, reign: &Reign) {
        self.u64(reign.epoch.get());
        self.u64(reign.fork.get());
        self.u8(reign.primary.as_byte());
    }
    pub(crate) fn in_sync(&mut self, set: &InSyncSet) {
        self.u64(set.epoch.get());
        self.u64(set.revision);
        for member in [set.members.a, set.members.b] {
            self.option(member.as_ref(), |w, id| w.u64(id.get()));
        }
        self.u8(set.strength.as_byte());
    }
    pub(crate) fn record(&mut self, record: &Record) {
        self.u128(record.pair_id.get());
        self.reign(&record.reign());
        self.u64(record.primary_boot.incarnation.get());
        self.u64(record.primary_boot.boot);
        for member in [record.members.a, record.members.b] {
            self.option(member.as_ref(), |w, id| w.u64(id.get()));
        }
        self.u8(record.strength.as_byte());
    }
    pub(crate) fn record_revision(&mut self, revision: &Revision) {
        self.u64(revision.life);
        self.u64(revision.version);
    }
    pub(crate) fn text(&mut self, text: &str) {
        let mut end = text.len().min(TEXT_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let bytes = text.get(..end).unwrap_or_default().as_bytes();
        self.u64(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.out.extend_from_slice(bytes);
    }
}

/// Reads fields one after another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, tail) = self.rest.split_first_chunk().ok_or(WireError::Short)?;
        self.rest = tail;
        Ok(*head)
    }
    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        Ok(u8::from_le_bytes(self.array()?))
    }
    pub(crate) fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }
    pub(crate) fn u128(&mut self) -> Result<u128, WireError> {
        Ok(u128::from_le_bytes(self.array()?))
    }
    pub(crate) fn flag(&mut self) -> Result<bool, WireError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Value { field: "flag" }),
        }
    }
    pub(crate) fn lsn(&mut self) -> Result<Lsn, WireError> {
        self.u64().map(Lsn::new)
    }
    pub(crate) fn epoch(&mut self) -> Result<Epoch, WireError> {
        self.counted("epoch").map(Epoch::new)
    }
    fn counted(&mut self, field: &'static str) -> Result<u64, WireError> {
        let count = self.u64()?;
        if count <= COUNT_MAX { Ok(count) } else { Err(WireError::Value { field }) }
    }
    pub(crate) fn revision(&mut self) -> Result<u64, WireError> {
        self.counted("revision")
    }
    pub(crate) fn node(&mut self) -> Result<NodeId, WireError> {
        NodeId::from_byte(self.u8()?).ok_or(WireError::Value { field: "node" })
    }
    pub(crate) fn role(&mut self) -> Result<Role, WireError> {
        Role::from_byte(self.u8()?).ok_or(WireError::Value { field: "role" })
    }
    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<Option<T>, WireError> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }
    pub(crate) fn reign(&mut self) -> Result<Reign, WireError> {
        Ok(Reign { epoch: self.epoch()?, fork: ForkId::new(self.u64()?), primary: self.node()? })
    }
    pub(crate) fn record(&mut self) -> Result<Record, WireError> {
        let pair_id = PairId::new(self.u128()?);
        let reign = self.reign()?;
        let primary_boot = BootId { incarnation: Incarnation::new(self.u64()?), boot: self.u64()? };
        let a = self.option(|r| r.u64().map(Incarnation::new))?;
        let b = self.option(|r| r.u64().map(Incarnation::new))?;
        let strength =
            Acknowledge::from_byte(self.u8()?).ok_or(WireError::Value { field: "strength" })?;
        Ok(Record {
            pair_id,
            epoch: reign.epoch,
            fork: reign.fork,
            primary: reign.primary,
            primary_boot,
            members: Pair { a, b },
            strength,
        })
    }
    pub(crate) fn record_revision(&mut self) -> Result<Revision, WireError> {
        Ok(Revision { life: self.u64()?, version: self.u64()? })
    }
    pub(crate) fn in_sync(&mut self) -> Result<InSyncSet, WireError> {
        let (epoch, revision) = (self.epoch()?, self.revision()?);
        let a = self.option(|r| r.u64().map(Incarnation::new))?;
        let b = self.option(|r| r.u64().map(Incarnation::new))?;
        let strength =
            Acknowledge::from_byte(self.u8()?).ok_or(WireError::Value { field: "strength" })?;
        Ok(InSyncSet { epoch, revision, members: Pair { a, b }, strength })
    }
    pub(crate) fn text(&mut self) -> Result<String, WireError> {
        let length = usize::try_from(self.u64()?).unwrap_or(usize::MAX);
        if length > TEXT_BYTES_MAX {
            return Err(WireError::Value { field: "text" });
        }
        let (head, tail) = self.rest.split_at_checked(length).ok_or(WireError::Short)?;
        self.rest = tail;
        String::from_utf8(head.to_vec()).map_err(|_| WireError::Value { field: "text" })
    }
    pub(crate) const fn finish(self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(WireError::Long { extra: self.rest.len() }) }
    }
}
