//! Runs one script: its words in, its reply out.

use std::time::Duration;

use mlua::{Function, HookTriggers, MultiValue, Value, VmState};
use tandem_resp::{Args, Proto, Reply};

use crate::aside::Aside;
use crate::call::Calls;
use crate::clock::{Clock, time_is_up};
use crate::failure::{Place, said};
use crate::sandbox::Sandbox;
use crate::{ScriptError, to_reply};

/// Instructions between two looks at the clock: some ten microseconds, but one instruction can take long.
const LOOK_EVERY: u32 = 1_000;

/// Who carries out what a script asks for.
pub trait Host {
    /// Carries out one command and writes its reply, an error included, in `proto`.
    fn call(&mut self, words: &Args<'_>, proto: Proto, reply: &mut Vec<u8>);

    /// The script wants this in the server's log; `level` is 0 (debug) to 3 (warning).
    fn log(&mut self, level: i64, text: &str);
}

/// What scripts may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Memory of the interpreter, all scripts and their values together.
    pub memory_bytes_max: usize,
    /// Time of one run.
    pub time: Duration,
    /// Nanoseconds since some instant; `None`: nothing measures, and no run ends because of its time.
    pub stopwatch: Option<fn() -> u64>,
}

/// With what a script is run.
#[derive(Debug)]
pub struct Invocation<'a> {
    /// `KEYS`.
    pub keys: Args<'a>,
    /// `ARGV`.
    pub arguments: Args<'a>,
    /// The protocol of the client, in which the reply is written.
    pub proto: Proto,
    /// How long it may run, if that is less than [`Limits::time`].
    pub time: Duration,
}

/// The interpreter.
#[derive(Debug)]
pub(crate) struct Engine {
    sandbox: Sandbox,
    limits: Limits,
    clock: Clock,
    aside: Aside,
}

impl Engine {
    pub(crate) fn new(limits: Limits) -> Result<Self, ScriptError> {
        let broken = |error: mlua::Error| ScriptError::Interpreter(error.to_string());
        let clock = Clock::new(limits.stopwatch);
        let aside = Aside::default();
        let sandbox = Sandbox::new(limits.memory_bytes_max, &clock, &aside).map_err(broken)?;
        let engine = Self { sandbox, limits, clock, aside };
        engine.watch().map_err(broken)?;
        Ok(engine)
    }

    /// What Lua has taken.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.sandbox.lua.used_memory()
    }

    /// Text to something that can be run.
    pub(crate) fn compile(&self, text: &[u8]) -> Result<Function, ScriptError> {
        let chunk = self.sandbox.lua.load(text).set_name("@user_script");
        let chunk = chunk.set_mode(mlua::chunk::ChunkMode::Text);
        chunk.set_environment(self.sandbox.globals.clone()).into_function().map_err(|error| {
            match error {
                mlua::Error::SyntaxError { message, .. } => ScriptError::Compile(message),
                other => ScriptError::Interpreter(other.to_string()),
            }
        })
    }

    /// Runs a script. An error of any kind is the reply.
    pub(crate) fn run(
        &self,
        place: Place,
        script: &Function,
        invocation: &Invocation<'_>,
        host: &mut dyn Host,
        out: &mut Vec<u8>,
    ) {
        self.begin(invocation.time);
        let mark = out.len();
        let ran = self.run_within(place, script, invocation, &mut *host, out);
        let expired = self.end();
        for (level, line) in self.aside.take_lines() {
            host.log(level, &line);
        }
        if expired {
            out.truncate(mark);
            let text = format!(
                "ERR the script ran for longer than {} ms and was stopped: what it had written stays",
                self.limits.time.as_millis()
            );
            Reply::new(out, invocation.proto).error(&place.of(&text, None));
        } else if let Err(error) = ran {
            out.truncate(mark);
            Reply::new(out, invocation.proto).error(&place.raised(&said(&error)));
        }
    }

    fn run_within(
        &self,
        place: Place,
        script: &Function,
        invocation: &Invocation<'_>,
        host: &mut dyn Host,
        out: &mut Vec<u8>,
    ) -> mlua::Result<()> {
        let Sandbox { lua, globals, port, guarded } = &self.sandbox;
        let words = |args: &Args<'_>| {
            let table = lua.create_table_with_capacity(args.len(), 0)?;
            for (index, word) in args.iter().enumerate() {
                table.raw_set(index + 1, lua.create_string(word)?)?;
            }
            mlua::Result::Ok(table)
        };
        globals.raw_set("KEYS", words(&invocation.keys)?)?;
        globals.raw_set("ARGV", words(&invocation.arguments)?)?;
        let calls = Calls::new(host, &self.clock, &self.aside);
        lua.scope(|scope| {
            let call = scope.create_function(|lua, words: MultiValue| calls.call(lua, &words))?;
            port.raw_set("call", call)?;
            let (done, value): (bool, Value) = guarded.call(script)?;
            let mut reply = Reply::new(out, invocation.proto);
            if done {
                let bounds = (self.limits.memory_bytes_max, &self.clock);
                return to_reply::write(&value, self.aside.proto(), bounds, &mut reply);
            }
            fail(&value, place, &mut reply)
        })
    }

    fn begin(&self, time: Duration) {
        self.aside.start();
        self.clock.start(self.limits.time.min(time));
    }

    /// Whether the time was up before the end.
    fn end(&self) -> bool {
        let expired = self.clock.has_expired();
        if expired {
            // As before: seldom.
            self.watch().ok();
        }
        // What a script leaves is collected bit by bit by those after it, unless it left them no room for that.
        let lua = &self.sandbox.lua;
        if lua.used_memory() > self.limits.memory_bytes_max / 2 {
            lua.gc_collect().ok();
        }
        expired
    }

    /// Looks at the clock every [`LOOK_EVERY`] instructions. Once the time is up, every instruction fails, so that no `pcall`
    /// keeps the script running.
    fn watch(&self) -> mlua::Result<()> {
        if self.limits.stopwatch.is_none() {
            return Ok(());
        }
        let clock = self.clock.clone();
        let triggers = HookTriggers::new().every_nth_instruction(LOOK_EVERY);
        self.sandbox.lua.set_hook(triggers, move |lua, _| {
            let up = clock.look();
            if up.is_err() {
                let every_one = HookTriggers::new().every_nth_instruction(1);
                lua.set_hook(every_one, |_, _| Err(time_is_up()))?;
            }
            up.map(|()| VmState::Continue)
        })
    }
}

/// The error that ended a script.
fn fail(value: &Value, place: Place, reply: &mut Reply<'_>) -> mlua::Result<()> {
    let text = match value {
        // A command's, or one that the script made.
        Value::Table(table) => {
            let text = match table.raw_get("err")? {
                Value::String(text) => text.to_string_lossy(),
                _ => "ERR unknown error".to_owned(),
            };
            let line = match table.raw_get("line")? {
                Value::Integer(line) => usize::try_from(line).ok(),
                _ => None,
            };
            place.of(&text, line)
        }
        Value::String(text) => place.raised(&text.to_string_lossy()),
        Value::Error(error) => place.raised(&said(error)),
        other => place.of(&format!("ERR {}", other.to_string()?), None),
    };
    reply.error(&text);
    Ok(())
}
