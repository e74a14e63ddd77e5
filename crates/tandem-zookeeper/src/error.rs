//! What goes wrong with an ensemble, and the codes it answers with.

use std::io;
use std::time::Duration;

/// Bytes that are not what the protocol says.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("an answer that is no ZooKeeper message")]
pub(crate) struct Malformed;

/// An error code of an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Code(pub(crate) i32);

impl Code {
    pub(crate) const OK: Self = Self(0);
    pub(crate) const NO_NODE: Self = Self(-101);
    pub(crate) const NO_AUTH: Self = Self(-102);
    pub(crate) const BAD_VERSION: Self = Self(-103);
    pub(crate) const NODE_EXISTS: Self = Self(-110);
    pub(crate) const SESSION_EXPIRED: Self = Self(-112);
    pub(crate) const AUTH_FAILED: Self = Self(-115);

    /// Whether it says for certain that nothing was done, because what is there is not as expected.
    pub(crate) fn is_refusal(self) -> bool {
        [Self::NO_NODE, Self::BAD_VERSION, Self::NODE_EXISTS].contains(&self)
    }
}

/// Why a conversation with an ensemble is over, or never began.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The connection: try again, there or elsewhere.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Silent(Duration),
    /// Not a `ZooKeeper`, or one of a kind unknown to us.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// The session is over, its presence with it: open another one.
    #[error("the session has expired")]
    Expired,
    /// The ensemble would end a presence sooner than the nodes count on.
    #[error(
        "the ensemble grants sessions of at most {granted:?}, and `switch.mediator.session` is \
         {asked:?}: shorten it, or raise maxSessionTimeout there"
    )]
    Short {
        /// What was asked for.
        asked: Duration,
        /// What was given.
        granted: Duration,
    },
    /// The znodes belong to somebody else.
    #[error(
        "{path} may not be used with this login: check `switch.mediator.user` and its password_file, \
         or the znode's ACL"
    )]
    Forbidden {
        /// Which.
        path: String,
    },
    /// An error that leads nowhere.
    #[error("{what}: ZooKeeper's error {code}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// Its code.
        code: i32,
    },
    /// More than a pair can have.
    #[error("{0}")]
    TooMuch(&'static str),
}

impl Broken {
    /// The error for an answer's code that leaves no other choice.
    pub(crate) fn from_code(what: &'static str, path: &str, code: Code) -> Self {
        match code {
            Code::NO_AUTH | Code::AUTH_FAILED => Self::Forbidden { path: path.to_owned() },
            Code::SESSION_EXPIRED => Self::Expired,
            Code(code) => Self::Refused { what, code },
        }
    }
}
