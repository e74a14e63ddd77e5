//! Conflict entries as bytes: they stand in snapshots.

use tandem_types::{Lsn, Stamp};

use super::ledger::{put_key, read_key, read_side};
use super::{Bytes, CodecError, put_bytes, put_uint};
use crate::conflict::{Conflict, Item, Kind, Party};
use crate::item::Key;

impl Conflict {
    /// Appends the bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.kind.as_byte());
        put_key(out, &self.key);
        put_item(out, &self.item);
        for party in [&self.winner, &self.loser] {
            out.push(party.side.as_byte());
            put_uint(out, party.lsn.get());
            put_uint(out, party.stamp.get());
            out.push(u8::from(party.value.is_some()));
            if let Some(value) = &party.value {
                put_bytes(out, value);
            }
        }
    }

    /// Reads one from the front of `bytes`; what follows it stays there.
    ///
    /// # Errors
    /// As [`CodecError`] says.
    pub fn decode(bytes: &mut &[u8]) -> Result<Self, CodecError> {
        let mut reading = Bytes(bytes);
        let kind = reading.byte()?;
        let kind = Kind::of_byte(kind)
            .ok_or(CodecError::Value { what: "kind of conflict", value: kind.into() })?;
        let key: Key = read_key(&mut reading)?;
        let item = read_item(&mut reading)?;
        let mut party = || {
            Ok::<_, CodecError>(Party {
                side: read_side(&mut reading)?,
                lsn: Lsn::new(reading.uint()?),
                stamp: Stamp::new(reading.uint()?),
                value: if reading.byte()? == 0 { None } else { Some(reading.bytes()?) },
            })
        };
        let (winner, loser) = (party()?, party()?);
        *bytes = reading.0;
        Ok(Self { kind, key, item, winner, loser })
    }
}

pub(super) fn put_item(out: &mut Vec<u8>, item: &Item) {
    let (number, part): (u8, Option<&[u8]>) = match item {
        Item::Key => (0, None),
        Item::String => (1, None),
        Item::Field(field) => (2, Some(field)),
        Item::Member(member) => (3, Some(member)),
        Item::Score(member) => (4, Some(member)),
        Item::List => (5, None),
        Item::Deadline => (6, None),
    };
    out.push(number);
    if let Some(part) = part {
        put_bytes(out, part);
    }
}

pub(super) fn read_item(bytes: &mut Bytes<'_>) -> Result<Item, CodecError> {
    Ok(match bytes.byte()? {
        0 => Item::Key,
        1 => Item::String,
        2 => Item::Field(bytes.bytes()?),
        3 => Item::Member(bytes.bytes()?),
        4 => Item::Score(bytes.bytes()?),
        5 => Item::List,
        6 => Item::Deadline,
        item => return Err(CodecError::Value { what: "item", value: item.into() }),
    })
}

#[cfg(test)]
mod tests {
    use tandem_types::{DbIndex, NodeId};

    use super::*;

    #[test]
    fn entries_come_back() {
        let party = |side, value: Option<&[u8]>| Party {
            side,
            lsn: Lsn::new(7),
            stamp: Stamp::new(1 << 40),
            value: value.map(Into::into),
        };
        let part = || b"part".as_slice().into();
        let items = [
            Item::Key,
            Item::String,
            Item::Field(part()),
            Item::Member(part()),
            Item::Score(part()),
            Item::List,
            Item::Deadline,
        ];
        let mut bytes = Vec::new();
        let mut entries = Vec::new();
        for (kind, item) in Kind::ALL.into_iter().zip(items.into_iter().cycle()) {
            let key = Key { db: DbIndex::ZERO, name: b"k".as_slice().into() };
            let winner = party(NodeId::B, Some(b"value"));
            entries.push(Conflict { kind, key, item, winner, loser: party(NodeId::A, None) });
        }
        for entry in &entries {
            entry.encode(&mut bytes);
        }
        let mut rest = bytes.as_slice();
        for entry in entries {
            assert_eq!(Conflict::decode(&mut rest), Ok(entry));
        }
        assert!(rest.is_empty());
        assert!(Conflict::decode(&mut [77_u8].as_slice()).is_err());
    }
}
