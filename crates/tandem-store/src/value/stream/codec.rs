//! Streams as bytes, for snapshots and full copies. docs/formats/effects.md draws them.

use tandem_types::WallMillis;

use super::fields::Fields;
use super::id::StreamId;
use super::{Head, Stream};
use crate::effect::DecodeError;
use crate::effect::varint::{Reader, put_bytes, put_len, put_u64};
use crate::settings::Limits;

pub(crate) fn put_id(out: &mut Vec<u8>, id: StreamId) {
    put_u64(out, id.ms);
    put_u64(out, id.seq);
}

pub(crate) fn read_id(reader: &mut Reader<'_>) -> Result<StreamId, DecodeError> {
    Ok(StreamId { ms: reader.u64()?, seq: reader.u64()? })
}

/// A number that may not be there: 0, or one more than it is.
pub(crate) fn put_option(out: &mut Vec<u8>, number: Option<u64>) {
    put_u64(out, number.map_or(0, |number| number.saturating_add(1)));
}

pub(crate) fn read_option(reader: &mut Reader<'_>) -> Result<Option<u64>, DecodeError> {
    Ok(reader.u64()?.checked_sub(1))
}

/// Appends a stream.
pub(crate) fn serialise(stream: &Stream, out: &mut Vec<u8>) {
    let head = stream.head();
    put_id(out, head.last_id);
    put_id(out, head.max_deleted);
    put_u64(out, head.entries_added);
    put_len(out, stream.len());
    let mut before = 0;
    for (id, fields) in stream.entries().iter() {
        // Ids only grow.
        put_u64(out, id.ms - before);
        put_u64(out, id.seq);
        put_bytes(out, fields.packed());
        before = id.ms;
    }
    put_len(out, stream.groups().len());
    for (name, group) in stream.groups() {
        put_bytes(out, name);
        put_id(out, group.last_delivered);
        put_option(out, group.entries_read);
        put_len(out, group.consumers().len());
        for (name, consumer) in group.consumers() {
            put_bytes(out, name);
            put_u64(out, consumer.seen.get());
            put_len(out, consumer.pending().len());
            for id in consumer.pending() {
                let pending = group.pending().get(id);
                put_id(out, *id);
                put_u64(out, pending.map_or(0, |pending| pending.delivered.get()));
                put_u64(out, pending.map_or(0, |pending| pending.deliveries));
            }
        }
    }
}

/// Reads a stream from the front of what `reader` has.
pub(crate) fn read(reader: &mut Reader<'_>, limits: &Limits) -> Result<Stream, DecodeError> {
    let mut stream = Stream::default();
    let head = Head {
        last_id: read_id(reader)?,
        max_deleted: read_id(reader)?,
        entries_added: reader.u64()?,
    };
    let mut before = 0u64;
    for _ in 0..reader.len()? {
        let ms = before.checked_add(reader.u64()?).ok_or(DecodeError::Value)?;
        let id = StreamId { ms, seq: reader.u64()? };
        let fields = Fields::parse(reader.bytes()?).ok_or(DecodeError::Value)?;
        right(stream.add(id, fields, limits))?;
        before = ms;
    }
    right(stream.set_head(head))?;
    for _ in 0..reader.len()? {
        let name = reader.bytes()?;
        right(stream.group(name).is_none())?;
        stream.set_group(name, read_id(reader)?, read_option(reader)?);
        read_consumers(reader, &mut stream, name)?;
    }
    Ok(stream)
}

fn read_consumers(
    reader: &mut Reader<'_>,
    stream: &mut Stream,
    group: &[u8],
) -> Result<(), DecodeError> {
    for _ in 0..reader.len()? {
        let consumer = reader.bytes()?;
        right(stream.see(group, consumer, WallMillis::new(reader.u64()?)) == Some(true))?;
        for _ in 0..reader.len()? {
            let id = read_id(reader)?;
            let delivered = WallMillis::new(reader.u64()?);
            let deliveries = reader.u64()?;
            let had = stream.group(group).is_some_and(|group| group.pending().contains_key(&id));
            right(!had && stream.give(group, consumer, id, delivered, deliveries))?;
        }
    }
    Ok(())
}

const fn right(right: bool) -> Result<(), DecodeError> {
    if right { Ok(()) } else { Err(DecodeError::Value) }
}
