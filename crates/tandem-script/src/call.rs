//! `redis.call` and its like: from Lua values to a command, and back.

use std::cell::RefCell;
use std::io::Write;

use mlua::{Function, Lua, LuaString, MultiValue, Value};
use tandem_resp::{OwnedArgs, Proto, ReplyLimits, ReplyParser, write_double, write_plain_double};

use crate::Sha;
use crate::aside::Aside;
use crate::clock::Clock;
use crate::engine::Host;
use crate::failure::line_at;
use crate::from_reply::{integer, lua_value};

/// `redis.sha1hex`.
pub(crate) fn sha1hex(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, text: LuaString| Ok(Sha::of(&text.as_bytes()).to_string()))
}

/// The commands of one run.
pub(crate) struct Calls<'h> {
    running: RefCell<Running<'h>>,
    aside: &'h Aside,
    clock: &'h Clock,
}

struct Running<'h> {
    host: &'h mut dyn Host,
    /// The words of the last command, and its reply.
    words: OwnedArgs,
    reply: Vec<u8>,
}

impl<'h> Calls<'h> {
    pub(crate) fn new(host: &'h mut dyn Host, clock: &'h Clock, aside: &'h Aside) -> Self {
        let running = Running { host, words: OwnedArgs::new(), reply: Vec::new() };
        Self { running: RefCell::new(running), aside, clock }
    }

    /// One command: whether it failed, and its reply or its error.
    pub(crate) fn call(&self, lua: &Lua, words: &MultiValue) -> mlua::Result<(bool, Value)> {
        // Commands can take long, and few instructions carry out many.
        self.clock.look()?;
        let failure = |text: &str| Ok((true, error_table(lua, text.as_bytes())?));
        if words.is_empty() {
            return failure("ERR Please specify at least one argument for this redis.call() call");
        }
        let Ok(mut running) = self.running.try_borrow_mut() else {
            return failure("ERR a command is running already");
        };
        let Running { host, words: spelt, reply } = &mut *running;
        spelt.clear();
        reply.clear();
        if !words.iter().all(|word| spell(word, spelt)) {
            return failure("ERR Lua redis lib command arguments must be strings or integers");
        }
        let proto = self.aside.proto();
        host.call(&spelt.args(), proto, reply);
        read(lua, reply, proto)
    }
}

/// The reply as a Lua value, and whether it is an error.
fn read(lua: &Lua, reply: &[u8], proto: Proto) -> mlua::Result<(bool, Value)> {
    // Most replies are short: these need no parser.
    match reply {
        [b'+', text @ .., b'\r', b'\n'] if !text.contains(&b'\n') => {
            let table = lua.create_table_with_capacity(0, 1)?;
            table.raw_set("ok", lua.create_string(text)?)?;
            return Ok((false, Value::Table(table)));
        }
        [b'-', text @ .., b'\r', b'\n'] if !text.contains(&b'\n') => {
            return Ok((true, error_table(lua, text)?));
        }
        [b':', digits @ .., b'\r', b'\n'] => {
            if let Some(number) = tandem_resp::parse_i64(digits) {
                return Ok((false, integer(number)));
            }
        }
        _ => {}
    }
    // It is ours: as long as it is.
    let limits = ReplyLimits {
        bulk_bytes_max: reply.len(),
        parts_max: reply.len(),
        ..ReplyLimits::default()
    };
    let mut parser = ReplyParser::with_limits(limits);
    parser.feed(reply);
    match parser.next_reply() {
        Ok(Some(value)) => Ok((false, lua_value(lua, &value, proto)?)),
        Ok(None) | Err(_) => {
            Ok((true, error_table(lua, b"ERR the reply of this command cannot be read")?))
        }
    }
}

/// `{err = text}` with the script's line.
fn error_table(lua: &Lua, text: &[u8]) -> mlua::Result<Value> {
    let table = lua.create_table_with_capacity(0, 3)?;
    table.raw_set("err", lua.create_string(text)?)?;
    table.raw_set("source", "@user_script")?;
    // Above the script are this function and `redis.call`.
    if let Some(line) = line_at(lua, 2) {
        table.raw_set("line", line)?;
    }
    Ok(Value::Table(table))
}

/// Writes a word of a command; `false`: it is none.
fn spell(word: &Value, words: &mut OwnedArgs) -> bool {
    let mut digits = Vec::new();
    match word {
        Value::String(text) => words.push(&text.as_bytes()),
        Value::Integer(number) => {
            write!(digits, "{number}").unwrap_or_default();
            words.push(&digits);
        }
        Value::Number(number) => {
            if number.abs() < 1e17 {
                write_plain_double(&mut digits, *number);
            } else {
                write_double(&mut digits, *number);
            }
            words.push(&digits);
        }
        _ => return false,
    }
    true
}
