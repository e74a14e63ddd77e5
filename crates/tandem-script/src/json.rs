//! `cjson`: JSON for scripts. Source: <https://www.kyne.com.au/~mark/software/lua-cjson-manual.html>.

use std::fmt::Write as _;

use mlua::{Lua, LuaString, Table, Value};

use crate::bounded::Bounded;
use crate::failure::{in_library, said};

/// Tables within tables.
const DEPTH_MAX: usize = 1_000;
/// A table with numbers for keys is an array, unless it is longer than so many and more than half of its places are empty.
const SPARSE_SAFE: usize = 10;
const SPARSE_RATIO: usize = 2;

/// The library.
pub(crate) fn library(lua: &Lua, bounded: &Bounded) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    let bounded = bounded.clone();
    table.raw_set("null", Value::NULL)?;
    table.raw_set("_NAME", "cjson")?;
    table.raw_set("_VERSION", "2.1.0")?;
    table.raw_set(
        "encode",
        lua.create_function(move |lua, value: Value| {
            let mut out = bounded.clone();
            encode(&value, &mut out, 0).map_err(|why| in_library(lua, &said(&why)))?;
            lua.create_string(out.into_bytes())
        })?,
    )?;
    table.raw_set(
        "decode",
        lua.create_function(|lua, text: LuaString| {
            let text = text.as_bytes();
            let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| {
                in_library(lua, &format!("Expected value but found invalid token: {error}"))
            })?;
            decode(lua, &value)
        })?,
    )?;
    // What these set in Redis cannot be changed here, where all scripts share it.
    let settings = [
        "encode_keep_buffer",
        "encode_max_depth",
        "decode_max_depth",
        "encode_number_precision",
        "encode_sparse_array",
        "encode_invalid_numbers",
        "decode_invalid_numbers",
        "decode_array_with_array_mt",
    ];
    for name in settings {
        table.raw_set(name, lua.create_function(|_, ()| Ok(()))?)?;
    }
    Ok(table)
}

fn encode(value: &Value, out: &mut Bounded, depth: usize) -> mlua::Result<()> {
    if depth > DEPTH_MAX {
        return Err(mlua::Error::runtime("Cannot serialise, excessive depth"));
    }
    match value {
        Value::Nil => out.add(b"null"),
        null if *null == Value::NULL => out.add(b"null"),
        Value::Boolean(truth) => out.add(if *truth { b"true" } else { b"false" }),
        Value::Integer(number) => out.add(significant(as_double(*number)).as_bytes()),
        Value::Number(number) if number.is_finite() => out.add(significant(*number).as_bytes()),
        Value::Number(_) => {
            Err(mlua::Error::runtime("Cannot serialise number: must not be NaN or Inf"))
        }
        Value::String(text) => quote(&text.as_bytes(), out),
        Value::Table(table) => encode_table(table, out, depth),
        other => {
            let text = format!("Cannot serialise {}: type not supported", other.type_name());
            Err(mlua::Error::runtime(text))
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "it was a double")]
const fn as_double(number: i64) -> f64 {
    number as f64
}

fn encode_table(table: &Table, out: &mut Bounded, depth: usize) -> mlua::Result<()> {
    if let Some(length) = array_length(table)? {
        out.add(b"[")?;
        for index in 1..=length {
            if index > 1 {
                out.add(b",")?;
            }
            encode(&table.raw_get(index)?, out, depth + 1)?;
        }
        return out.add(b"]");
    }
    out.add(b"{")?;
    let mut first = true;
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair?;
        if !std::mem::take(&mut first) {
            out.add(b",")?;
        }
        match &key {
            Value::String(text) => quote(&text.as_bytes(), out)?,
            Value::Integer(number) => quote(significant(as_double(*number)).as_bytes(), out)?,
            Value::Number(number) => quote(significant(*number).as_bytes(), out)?,
            _ => {
                return Err(mlua::Error::runtime(
                    "Cannot serialise table: table key must be a number or string",
                ));
            }
        }
        out.add(b":")?;
        encode(&value, out, depth + 1)?;
    }
    out.add(b"}")
}

/// How long it is if it is an array: all keys are whole numbers from one on.
fn array_length(table: &Table) -> mlua::Result<Option<usize>> {
    let (mut count, mut last) = (0, 0);
    for pair in table.pairs::<Value, Value>() {
        let Value::Integer(key) = pair?.0 else { return Ok(None) };
        let Some(key) = usize::try_from(key).ok().filter(|key| *key > 0) else { return Ok(None) };
        count += 1;
        last = last.max(key);
    }
    if last > SPARSE_SAFE && last > count * SPARSE_RATIO {
        return Err(mlua::Error::runtime("Cannot serialise table: excessively sparse array"));
    }
    Ok((count > 0).then_some(last))
}

fn quote(text: &[u8], out: &mut Bounded) -> mlua::Result<()> {
    out.add(b"\"")?;
    for byte in text {
        match byte {
            b'"' => out.add(b"\\\""),
            b'\\' => out.add(b"\\\\"),
            b'/' => out.add(b"\\/"),
            8 => out.add(b"\\b"),
            12 => out.add(b"\\f"),
            b'\n' => out.add(b"\\n"),
            b'\r' => out.add(b"\\r"),
            b'\t' => out.add(b"\\t"),
            0..=31 | 127 => out.add(format!("\\u{byte:04x}").as_bytes()),
            _ => out.add(&[*byte]),
        }?;
    }
    out.add(b"\"")
}

/// Fourteen significant digits (C's `%.14g`).
fn significant(number: f64) -> String {
    let scientific = format!("{number:.13e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        let behind = if text.contains('.') { text.trim_end_matches('0') } else { text };
        behind.trim_end_matches('.').to_owned()
    };
    if !(-5..14).contains(&exponent) {
        let mut text = trim(digits);
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(text, "e{sign}{:02}", exponent.unsigned_abs()).unwrap_or_default();
        return text;
    }
    let behind = usize::try_from(13 - exponent).unwrap_or(0);
    trim(&format!("{number:.behind$}"))
}

fn decode(lua: &Lua, value: &serde_json::Value) -> mlua::Result<Value> {
    use serde_json::Value as Json;
    Ok(match value {
        Json::Null => Value::NULL,
        Json::Bool(truth) => Value::Boolean(*truth),
        Json::Number(number) => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Value::String(lua.create_string(text)?),
        Json::Array(parts) => {
            let table = lua.create_table_with_capacity(parts.len(), 0)?;
            for (index, part) in parts.iter().enumerate() {
                table.raw_set(index + 1, decode(lua, part)?)?;
            }
            Value::Table(table)
        }
        Json::Object(fields) => {
            let table = lua.create_table_with_capacity(0, fields.len())?;
            for (name, field) in fields {
                table.raw_set(name.as_str(), decode(lua, field)?)?;
            }
            Value::Table(table)
        }
    })
}
