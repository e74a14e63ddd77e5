//! What a script says besides its commands: by functions that are made once, not for each run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mlua::{Lua, LuaString, Table};
use tandem_resp::Proto;

/// Lines that one run may write to the log, and their length.
const LINES_MAX: usize = 16;
const LINE_CHARS_MAX: usize = 1_024;

/// Of the running script.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aside(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// It asked for RESP3.
    resp3: AtomicBool,
    /// Lines for the server's log, each with its level.
    lines: Mutex<Vec<(i64, String)>>,
}

impl Aside {
    /// A run begins.
    pub(crate) fn start(&self) {
        self.0.resp3.store(false, Ordering::Relaxed);
    }

    /// The protocol that the script asked for.
    pub(crate) fn proto(&self) -> Proto {
        if self.0.resp3.load(Ordering::Relaxed) { Proto::Resp3 } else { Proto::Resp2 }
    }

    /// What it wrote to the log.
    pub(crate) fn take_lines(&self) -> Vec<(i64, String)> {
        std::mem::take(&mut *self.0.lines.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// `setresp` and `log`.
    pub(crate) fn functions(&self, lua: &Lua, into: &Table) -> mlua::Result<()> {
        let shared = Arc::clone(&self.0);
        let setresp = lua.create_function(move |_, version: i64| {
            shared.resp3.store(version == 3, Ordering::Relaxed);
            Ok(())
        })?;
        into.raw_set("setresp", setresp)?;
        let shared = Arc::clone(&self.0);
        let log = lua.create_function(move |_, (level, text): (i64, LuaString)| {
            let mut lines = shared.lines.lock().unwrap_or_else(PoisonError::into_inner);
            if lines.len() < LINES_MAX {
                let text = text.to_string_lossy();
                let line = text.lines().next().unwrap_or_default();
                lines.push((level, line.chars().take(LINE_CHARS_MAX).collect()));
            }
            Ok(())
        })?;
        into.raw_set("log", log)
    }
}
