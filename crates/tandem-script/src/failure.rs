//! Why a script cannot be run, or ended.

use mlua::{Function, Lua, Value};

use crate::Sha;

/// Why there is nothing to run.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum ScriptError {
    /// It was never loaded here, or has been forgotten.
    #[error("NOSCRIPT No matching script. Please use EVAL.")]
    Unknown,
    /// It is no Lua.
    #[error("ERR Error compiling script (new function): {0}")]
    Compile(String),
    /// Its first line asks for what is not there.
    #[error("ERR {0}")]
    Header(String),
    /// The interpreter could not be made, or has no memory left.
    #[error("ERR scripts cannot be run: {0}")]
    Interpreter(String),
}

/// Where an error may come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) sha: Sha,
    /// The line, unless the error names another. A command that is returned at once (`return redis.call(...)`) has taken
    /// the place of its line in the interpreter.
    pub(crate) line: Option<usize>,
}

impl Place {
    /// An error of the interpreter or of a script that is a text, which names its line.
    pub(crate) fn raised(self, text: &str) -> String {
        self.of(&format!("ERR {text}"), line_of(text))
    }

    /// An error with where it came from, in Redis' words.
    pub(crate) fn of(self, text: &str, line: Option<usize>) -> String {
        let sha = self.sha;
        match line.or(self.line) {
            Some(line) => format!("{text} script: {sha}, on @user_script:{line}."),
            None => format!("{text} script: {sha}, on @user_script."),
        }
    }
}

/// The line in `user_script:7: what went wrong`.
fn line_of(text: &str) -> Option<usize> {
    let (_, after) = text.split_once("user_script:")?;
    after.split(':').next()?.parse().ok()
}

/// The line at which a caller stands, so many below the function of Rust that runs.
#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "the method alone is not general enough over lifetimes"
)]
pub(crate) fn line_at(lua: &Lua, level: usize) -> Option<usize> {
    lua.inspect_stack(level, |caller| caller.current_line()).flatten()
}

/// What is said to be the error of a library, with the script's line: below is this function.
pub(crate) fn in_library(lua: &Lua, text: &str) -> mlua::Error {
    mlua::Error::runtime(match line_at(lua, 1) {
        Some(line) => format!("user_script:{line}: {text}"),
        None => text.to_owned(),
    })
}

/// An error of the interpreter in one line.
pub(crate) fn said(error: &mlua::Error) -> String {
    match error {
        mlua::Error::CallbackError { cause, .. } => said(cause),
        mlua::Error::RuntimeError(text) => text.lines().next().unwrap_or_default().to_owned(),
        mlua::Error::MemoryError(_) => "not enough memory for scripts".to_owned(),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

/// The text of an error that Rust raised, for scripts that catch it.
pub(crate) fn plain(lua: &Lua) -> mlua::Result<Function> {
    lua.create_function(|_, error: Value| {
        Ok(match &error {
            Value::Error(error) => said(error),
            other => other.type_name().to_owned(),
        })
    })
}
