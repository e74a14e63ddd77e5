//! What is wrong with a request that cannot even be cut into words.

use std::fmt;

/// Why the bytes of a client are not a request. The connection is closed after the answer, because
/// nobody knows where the next request begins.
///
/// The texts are those of Redis (`networking.c`), which clients and test suites match on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ProtocolError {
    /// The number after `*` is not one, or above the limit.
    InvalidMultibulkLength,
    /// The number after `$` is not one, negative, or above the limit.
    InvalidBulkLength,
    /// An argument of a `*` request does not start with `$`.
    ExpectedDollar {
        /// What was there instead.
        got: u8,
    },
    /// The bytes after an argument are not CR LF, so its length was wrong.
    MissingCrLf,
    /// A line of an inline request above the limit.
    TooBigInline,
    /// No line end after the number of arguments.
    TooBigMultibulkCount,
    /// No line end after the length of an argument.
    TooBigBulkCount,
    /// Quotes of an inline request do not match.
    UnbalancedQuotes,
    /// More arguments than a client may send before it has authenticated.
    UnauthenticatedMultibulk,
    /// A longer argument than a client may send before it has authenticated.
    UnauthenticatedBulk,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        match *self {
            Self::InvalidMultibulkLength => f.write_str("invalid multibulk length"),
            Self::InvalidBulkLength => f.write_str("invalid bulk length"),
            Self::ExpectedDollar { got } => {
                let shown = if got.is_ascii_graphic() { char::from(got) } else { ' ' };
                write!(f, "expected '$', got '{shown}'")
            }
            Self::MissingCrLf => f.write_str("expected CR LF after an argument"),
            Self::TooBigInline => f.write_str("too big inline request"),
            Self::TooBigMultibulkCount => f.write_str("too big mbulk count string"),
            Self::TooBigBulkCount => f.write_str("too big bulk count string"),
            Self::UnbalancedQuotes => f.write_str("unbalanced quotes in request"),
            Self::UnauthenticatedMultibulk => f.write_str("unauthenticated multibulk length"),
            Self::UnauthenticatedBulk => f.write_str("unauthenticated bulk length"),
        }
    }
}

impl std::error::Error for ProtocolError {}
