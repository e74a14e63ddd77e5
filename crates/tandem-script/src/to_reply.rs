//! What a script returns, as a reply.

use mlua::{Table, Value};
use tandem_resp::{Mark, Proto, Reply};

use crate::clock::Clock;

/// Tables within tables: more would be a table within itself.
const DEPTH_MAX: usize = 128;

/// How a value is written.
#[derive(Clone, Copy, Debug)]
struct Writing<'a> {
    /// The protocol that the script asked for by `redis.setresp`.
    proto: Proto,
    /// Where the reply begins, and how long it may be: a table can be in it many times.
    start: Mark,
    bytes_max: usize,
    clock: &'a Clock,
}

/// Writes what a script returned, within so many bytes and this time. `proto` is what the script asked for by `redis.setresp`.
pub(crate) fn write(
    value: &Value,
    proto: Proto,
    (bytes_max, clock): (usize, &Clock),
    reply: &mut Reply<'_>,
) -> mlua::Result<()> {
    let writing = Writing { proto, start: reply.mark(), bytes_max, clock };
    write_within(value, writing, reply, 0)
}

fn write_within(
    value: &Value,
    writing: Writing<'_>,
    reply: &mut Reply<'_>,
    depth: usize,
) -> mlua::Result<()> {
    if depth > DEPTH_MAX {
        reply.error("ERR reached lua stack limit");
        return Ok(());
    }
    if reply.since(writing.start).len() > writing.bytes_max {
        let text = format!("the reply is longer than {} bytes", writing.bytes_max);
        return Err(mlua::Error::runtime(text));
    }
    match value {
        Value::String(text) => reply.bulk(&text.as_bytes()),
        Value::Integer(number) => reply.int(*number),
        Value::Number(number) => reply.int(truncated(*number)),
        Value::Boolean(truth) if writing.proto == Proto::Resp3 => reply.bool(*truth),
        Value::Boolean(true) => reply.int(1),
        Value::Table(table) => return write_table(table, writing, reply, depth),
        _ => reply.null(),
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "as in Redis: the part behind the point is dropped"
)]
const fn truncated(number: f64) -> i64 {
    number as i64
}

fn write_table(
    table: &Table,
    writing: Writing<'_>,
    reply: &mut Reply<'_>,
    depth: usize,
) -> mlua::Result<()> {
    writing.clock.look()?;
    if let Value::String(text) = table.raw_get("err")? {
        reply.error_bytes(&text.as_bytes());
        return Ok(());
    }
    if let Value::String(text) = table.raw_get("ok")? {
        reply.simple(&one_line(&text.as_bytes()));
        return Ok(());
    }
    match table.raw_get("double")? {
        Value::Number(number) => {
            reply.double(number);
            return Ok(());
        }
        #[expect(clippy::cast_precision_loss, reason = "it was a double")]
        Value::Integer(number) => {
            reply.double(number as f64);
            return Ok(());
        }
        _ => {}
    }
    if let Value::Table(map) = table.raw_get("map")? {
        let pairs = map.pairs::<Value, Value>().collect::<mlua::Result<Vec<_>>>()?;
        reply.map(pairs.len());
        for (key, value) in &pairs {
            write_within(key, writing, reply, depth + 1)?;
            write_within(value, writing, reply, depth + 1)?;
        }
        return Ok(());
    }
    if let Value::Table(set) = table.raw_get("set")? {
        let members = set.pairs::<Value, Value>().collect::<mlua::Result<Vec<_>>>()?;
        reply.set(members.len());
        for (member, _) in &members {
            write_within(member, writing, reply, depth + 1)?;
        }
        return Ok(());
    }
    if let Value::String(digits) = table.raw_get("big_number")? {
        reply.big_number(&one_line(&digits.as_bytes()));
        return Ok(());
    }
    if let Value::Table(verbatim) = table.raw_get("verbatim_string")?
        && let Value::String(format) = verbatim.raw_get("format")?
        && let Value::String(text) = verbatim.raw_get("string")?
        && let Ok(format) = <[u8; 3]>::try_from(&*format.as_bytes())
    {
        reply.verbatim(format, &text.as_bytes());
        return Ok(());
    }
    // Up to the first nil.
    let mark = reply.mark();
    let mut count = 0;
    loop {
        let part: Value = table.raw_get(count + 1)?;
        if part.is_nil() {
            break;
        }
        write_within(&part, writing, reply, depth + 1)?;
        count += 1;
    }
    reply.insert_array(mark, count);
    Ok(())
}

/// Line ends in it would end the reply.
fn one_line(text: &[u8]) -> String {
    String::from_utf8_lossy(text).replace(['\r', '\n'], " ")
}
