//! One effective value and where it came from.

use std::fmt;

use crate::Value;

/// Where a value came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// The file is silent.
    Default,
    /// The file, at this line (from 1).
    File {
        /// The line.
        line: usize,
    },
    /// An environment variable of this name.
    Environment {
        /// The variable.
        name: String,
    },
    /// Another key's value is used.
    From {
        /// That key.
        key: String,
    },
}

impl Origin {
    pub(crate) fn line(&self) -> Option<usize> {
        match self {
            Self::File { line } => Some(*line),
            Self::Default | Self::Environment { .. } | Self::From { .. } => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { line } => write!(f, "file, line {line}"),
            Self::Environment { name } => write!(f, "environment, {name}"),
            Self::From { key } => write!(f, "same as {key}"),
        }
    }
}

/// One effective value: a line of `config show --all`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its path, with the node's real name.
    pub path: String,
    /// Its value.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}
