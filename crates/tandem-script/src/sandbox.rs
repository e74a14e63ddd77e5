//! What scripts see: made once, by Lua itself, before the first script.

use mlua::{Function, Lua, LuaOptions, StdLib, Table};

use crate::aside::Aside;
use crate::bounded::Bounded;
use crate::clock::Clock;
use crate::{bits, call, failure, json, msgpack};

/// Redis' number of the interface: 7.2.4.
const REDIS_VERSION: &str = "7.2.4";
const REDIS_VERSION_NUM: u32 = 0x0007_0204;

/// An interpreter with its sandbox.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub(crate) lua: Lua,
    /// The globals of every script.
    pub(crate) globals: Table,
    /// Where the running script's way to the host is.
    pub(crate) port: Table,
    /// `guarded(script)`: whether it came to its end, and its value or its error.
    pub(crate) guarded: Function,
}

impl Sandbox {
    pub(crate) fn new(memory_bytes_max: usize, clock: &Clock, aside: &Aside) -> mlua::Result<Self> {
        let libraries = StdLib::TABLE | StdLib::STRING | StdLib::MATH | StdLib::OS;
        let lua = Lua::new_with(libraries, LuaOptions::new())?;
        lua.set_memory_limit(memory_bytes_max)?;
        let port = lua.create_table()?;
        aside.functions(&lua, &port)?;
        let native = lua.create_table()?;
        let bounded = Bounded::new(memory_bytes_max, clock);
        native.raw_set("port", &port)?;
        native.raw_set("bit", bits::library(&lua)?)?;
        native.raw_set("cjson", json::library(&lua, &bounded)?)?;
        native.raw_set("cmsgpack", msgpack::library(&lua, &bounded)?)?;
        native.raw_set("sha1hex", call::sha1hex(&lua)?)?;
        native.raw_set("plain", failure::plain(&lua)?)?;
        native.raw_set("version", REDIS_VERSION)?;
        native.raw_set("version_num", REDIS_VERSION_NUM)?;
        let prelude = lua.load(include_str!("sandbox.lua")).set_name("=sandbox");
        let (globals, guarded): (Table, Function) = prelude.call(native)?;
        Ok(Self { lua, globals, port, guarded })
    }
}
