//! Why etcd did not do what it was asked, or may not have.

use std::io;

/// The longest text of etcd's that is passed on.
const TEXT_CHARS_MAX: usize = 200;

/// `grpc/codes`: the numbers that etcd's gateway answers with.
const NOT_FOUND: u64 = 5;
const UNAUTHENTICATED: u64 = 16;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error("cannot connect: {0}")]
    Unreachable(#[source] io::Error),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("no answer in time")]
    Late,
    #[error("an answer of more than {limit} bytes: is this etcd?")]
    Long { limit: usize },
    /// etcd, or whoever answers there, says no.
    #[error("it answers {status}: {text}")]
    Refused { status: u16, code: u64, text: String },
    #[error("its answer cannot be understood ({0}): is this etcd 3.4 or later?")]
    Malformed(String),
    #[error("log in as {user}: {source}")]
    Login { user: String, source: Box<Self> },
    #[error("it grants a lease of {granted} s only, and `switch.mediator.session` is longer")]
    ShortLease { granted: u64 },
    #[error("this system gives no random numbers: {0}")]
    Random(#[source] io::Error),
}

impl Trouble {
    /// Says no, in words that are cut and made printable.
    pub(crate) fn refused(status: u16, code: u64, text: &str) -> Self {
        let text = text.chars().map(|it| if it.is_control() { ' ' } else { it });
        Self::Refused { status, code, text: text.take(TEXT_CHARS_MAX).collect() }
    }

    /// The token is over or unknown to this member: logging in again may help.
    pub(crate) fn is_stale_login(&self) -> bool {
        match self {
            Self::Refused { code, text, .. } => {
                *code == UNAUTHENTICATED
                    || text.contains("invalid auth token")
                    || text.contains("auth store is old")
            }
            _ => false,
        }
    }

    /// The lease has ended.
    pub(crate) fn is_lease_gone(&self) -> bool {
        match self {
            Self::Refused { code, text, .. } => {
                *code == NOT_FOUND && text.contains("lease not found")
            }
            _ => false,
        }
    }
}

impl From<hyper::Error> for Trouble {
    fn from(error: hyper::Error) -> Self {
        Self::Broken(error.to_string())
    }
}
