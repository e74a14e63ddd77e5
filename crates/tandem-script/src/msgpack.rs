//! `cmsgpack`: `MessagePack` for scripts. Source: <https://github.com/msgpack/msgpack/blob/master/spec.md>.

use mlua::{Lua, LuaString, MultiValue, Table, Value, Variadic};
use rmp::Marker;
use rmp::encode::{self, ValueWriteError};
use rmpv::Value as Packed;

use crate::bounded::Bounded;
use crate::failure::{in_library, said};

/// Tables within tables: deeper ones become nil, as in Redis.
const DEPTH_MAX: usize = 16;

/// The library.
pub(crate) fn library(lua: &Lua, bounded: &Bounded) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let bounded = bounded.clone();
    table.raw_set("_NAME", "cmsgpack")?;
    table.raw_set(
        "pack",
        lua.create_function(move |lua, values: Variadic<Value>| {
            if values.is_empty() {
                return Err(in_library(lua, "MessagePack pack needs input."));
            }
            let mut out = bounded.clone();
            values
                .iter()
                .try_for_each(|value| pack(value, &mut out, 0))
                .map_err(|why| in_library(lua, &said(&why)))?;
            lua.create_string(out.into_bytes())
        })?,
    )?;
    table.raw_set(
        "unpack",
        lua.create_function(|lua, text: LuaString| {
            Ok(unpacked(lua, &text.as_bytes(), 0, usize::MAX)?.0)
        })?,
    )?;
    table.raw_set(
        "unpack_one",
        lua.create_function(|lua, (text, offset): (LuaString, Option<usize>)| {
            limited(lua, &text, 1, offset)
        })?,
    )?;
    table.raw_set(
        "unpack_limit",
        lua.create_function(|lua, (text, limit, offset): (LuaString, usize, Option<usize>)| {
            limited(lua, &text, limit, offset)
        })?,
    )?;
    Ok(table)
}

/// The place of what is left (-1: nothing is), and the values.
fn limited(
    lua: &Lua,
    text: &LuaString,
    limit: usize,
    offset: Option<usize>,
) -> mlua::Result<MultiValue> {
    let text = text.as_bytes();
    if offset.is_some_and(|offset| offset > text.len()) {
        let told = format!(
            "Start offset {} greater than input length {}.",
            offset.unwrap_or(0),
            text.len()
        );
        return Err(in_library(lua, &told));
    }
    let (mut values, end) = unpacked(lua, &text, offset.unwrap_or(0), limit)?;
    let next = if end >= text.len() { -1 } else { i64::try_from(end).unwrap_or(-1) };
    values.push_front(Value::Integer(next));
    Ok(values)
}

fn unpacked(
    lua: &Lua,
    text: &[u8],
    offset: usize,
    limit: usize,
) -> mlua::Result<(MultiValue, usize)> {
    let mut rest = text.get(offset..).unwrap_or_default();
    let mut values = MultiValue::new();
    while !rest.is_empty() && values.len() < limit {
        let value = rmpv::decode::read_value(&mut rest).map_err(|error| {
            let cut = error.kind() == std::io::ErrorKind::UnexpectedEof;
            let text = if cut { "Missing bytes in input." } else { "Bad data format in input." };
            in_library(lua, text)
        })?;
        values.push_back(lua_value(lua, &value)?);
    }
    Ok((values, text.len() - rest.len()))
}

fn pack(value: &Value, out: &mut Bounded, depth: usize) -> mlua::Result<()> {
    let full = |error: ValueWriteError| match error {
        ValueWriteError::InvalidMarkerWrite(why) | ValueWriteError::InvalidDataWrite(why) => {
            mlua::Error::runtime(why.to_string())
        }
    };
    match value {
        Value::Boolean(truth) => {
            let byte = if *truth { Marker::True } else { Marker::False };
            out.add(&[byte.to_u8()])
        }
        Value::Integer(number) => encode::write_sint(out, *number).map(|_| ()).map_err(full),
        Value::Number(number) => pack_double(*number, out).map_err(full),
        Value::String(text) => {
            let text = text.as_bytes();
            encode::write_str_len(out, length(text.len())?).map_err(full)?;
            out.add(&text)
        }
        Value::Table(table) if depth < DEPTH_MAX => {
            let pairs = table.pairs::<Value, Value>().collect::<mlua::Result<Vec<_>>>()?;
            let count = length(pairs.len())?;
            let is_array = pairs.iter().all(
                |(key, _)| matches!(key, Value::Integer(key) if (1..=i64::from(count)).contains(key)),
            );
            if is_array {
                encode::write_array_len(out, count).map_err(full)?;
                return (1..=count)
                    .try_for_each(|index| pack(&table.raw_get(index)?, out, depth + 1));
            }
            encode::write_map_len(out, count).map_err(full)?;
            pairs.iter().try_for_each(|(key, value)| {
                pack(key, out, depth + 1)?;
                pack(value, out, depth + 1)
            })
        }
        _ => out.add(&[Marker::Null.to_u8()]),
    }
}

/// In four bytes if nothing is lost by that.
fn pack_double(number: f64, out: &mut Bounded) -> Result<(), ValueWriteError> {
    #[expect(clippy::cast_possible_truncation, reason = "looked at")]
    let short = number as f32;
    if f64::from(short).to_bits() == number.to_bits() {
        encode::write_f32(out, short)
    } else {
        encode::write_f64(out, number)
    }
}

fn length(length: usize) -> mlua::Result<u32> {
    u32::try_from(length).map_err(|_| mlua::Error::runtime("MessagePack holds 32-bit lengths only"))
}

fn lua_value(lua: &Lua, packed: &Packed) -> mlua::Result<Value> {
    Ok(match packed {
        Packed::Nil => Value::Nil,
        Packed::Ext(..) => return Err(in_library(lua, "Bad data format in input.")),
        Packed::Boolean(truth) => Value::Boolean(*truth),
        Packed::Integer(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        Packed::F32(number) => Value::Number(f64::from(*number)),
        Packed::F64(number) => Value::Number(*number),
        Packed::String(text) => Value::String(lua.create_string(text.as_bytes())?),
        Packed::Binary(bytes) => Value::String(lua.create_string(bytes)?),
        Packed::Array(parts) => {
            let table = lua.create_table_with_capacity(parts.len(), 0)?;
            for (index, part) in parts.iter().enumerate() {
                table.raw_set(index + 1, lua_value(lua, part)?)?;
            }
            Value::Table(table)
        }
        Packed::Map(pairs) => {
            let table = lua.create_table_with_capacity(0, pairs.len())?;
            for (key, value) in pairs {
                let key = lua_value(lua, key)?;
                if !key.is_nil() {
                    table.raw_set(key, lua_value(lua, value)?)?;
                }
            }
            Value::Table(table)
        }
    })
}
