//! Why a command was refused, in Redis' words: clients match on them.

use std::borrow::Cow;

/// An error reply; nothing was changed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The key holds another type.
    #[error("WRONGTYPE Operation against a key holding the wrong kind of value")]
    WrongType,
    /// Not a 64-bit integer in its canonical form.
    #[error("ERR value is not an integer or out of range")]
    NotInteger,
    /// Not a floating point number.
    #[error("ERR value is not a valid float")]
    NotFloat,
    /// Options that do not fit together, or are unknown.
    #[error("ERR syntax error")]
    Syntax,
    /// An integer would leave 64 bits.
    #[error("ERR increment or decrement would overflow")]
    Overflow,
    /// A float would become NaN or infinite.
    #[error("ERR increment would produce NaN or Infinity")]
    NotFinite,
    /// The key has to exist.
    #[error("ERR no such key")]
    NoSuchKey,
    /// An index that has to be inside is not.
    #[error("ERR index out of range")]
    IndexOutOfRange,
    /// A string would become longer than `proto-max-bulk-len`.
    #[error("ERR string exceeds maximum allowed size (proto-max-bulk-len)")]
    StringTooLong,
    /// `maxmemory` is reached.
    #[error("OOM command not allowed when used memory > 'maxmemory'.")]
    OutOfMemory,
    /// Any other fixed text, with its code word.
    #[error("{0}")]
    Text(&'static str),
    /// Any other text, with its code word.
    #[error("{0}")]
    Owned(String),
}

impl Failure {
    /// `wrong number of arguments`, as Redis says it for `command` (lower case; `config|get` for a
    /// subcommand).
    pub fn arity(command: &str) -> Self {
        Self::Owned(format!("ERR wrong number of arguments for '{command}' command"))
    }

    /// The whole line, code word first.
    pub fn text(&self) -> Cow<'static, str> {
        match self {
            Self::Text(text) => Cow::Borrowed(text),
            other => Cow::Owned(other.to_string()),
        }
    }
}
