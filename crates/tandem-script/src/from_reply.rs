//! Replies of commands, as Lua values.

use mlua::{Lua, Table, Value};
use tandem_resp::{Proto, Value as Reply};

/// As Redis converts it; maps, sets and the like come only after `redis.setresp(3)`.
///
/// # Errors
/// No memory is left.
pub(crate) fn lua_value(lua: &Lua, reply: &Reply, proto: Proto) -> mlua::Result<Value> {
    Ok(match reply {
        Reply::Null if proto == Proto::Resp3 => Value::Nil,
        Reply::Null => Value::Boolean(false),
        Reply::Simple(text) => field(lua, "ok", string(lua, text)?)?,
        Reply::Error(text) => field(lua, "err", string(lua, text)?)?,
        Reply::Int(number) => integer(*number),
        Reply::Bulk(bytes) => string(lua, bytes)?,
        Reply::Array(parts) | Reply::Push(parts) => {
            let table = lua.create_table_with_capacity(parts.len(), 0)?;
            for (index, part) in parts.iter().enumerate() {
                table.raw_set(index + 1, lua_value(lua, part, proto)?)?;
            }
            Value::Table(table)
        }
        Reply::Map(pairs) => {
            let map = lua.create_table_with_capacity(0, pairs.len())?;
            for (key, value) in pairs {
                map.raw_set(lua_value(lua, key, proto)?, lua_value(lua, value, proto)?)?;
            }
            field(lua, "map", Value::Table(map))?
        }
        Reply::Set(members) => {
            let set = lua.create_table_with_capacity(0, members.len())?;
            for member in members {
                set.raw_set(lua_value(lua, member, proto)?, true)?;
            }
            field(lua, "set", Value::Table(set))?
        }
        Reply::Double(number) => field(lua, "double", Value::Number(*number))?,
        Reply::Bool(value) => Value::Boolean(*value),
        Reply::BigNumber(digits) => field(lua, "big_number", string(lua, digits)?)?,
        Reply::Verbatim { format, text } => {
            let parts: Table = lua.create_table_with_capacity(0, 2)?;
            parts.raw_set("format", string(lua, format)?)?;
            parts.raw_set("string", string(lua, text)?)?;
            field(lua, "verbatim_string", Value::Table(parts))?
        }
    })
}

/// A Lua number: all of them are doubles.
#[expect(clippy::cast_precision_loss, reason = "as in Redis: beyond 2^53 the last digits are lost")]
pub(crate) const fn integer(number: i64) -> Value {
    Value::Number(number as f64)
}

fn string(lua: &Lua, bytes: &[u8]) -> mlua::Result<Value> {
    lua.create_string(bytes).map(Value::String)
}

fn field(lua: &Lua, name: &str, value: Value) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 1)?;
    table.raw_set(name, value)?;
    Ok(Value::Table(table))
}
