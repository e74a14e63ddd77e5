//! Why a node closes the link or refuses the peer.

use std::fmt;

/// A reason with words for people.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Notice {
    /// What the program acts on.
    pub code: NoticeCode,
    /// What people read; cut to [`super::TEXT_BYTES_MAX`] when sent.
    pub text: String,
}

impl Notice {
    /// A reason with words.
    pub fn new(code: NoticeCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.word(), self.text)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $byte:literal, $word:literal;)*) => {
        /// What the receiver of a notice acts on.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum NoticeCode { $($(#[$doc])* $name,)* }

        impl NoticeCode {
            /// How it is written to the peer.
            pub const fn as_byte(self) -> u8 {
                match self { $(Self::$name => $byte,)* }
            }
            /// The code that [`Self::as_byte`] wrote; `None` for any other byte.
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte { $($byte => Some(Self::$name),)* _ => None }
            }
            /// A word for logs and metrics.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

codes! {
    /// The node stops.
    Stopping = 1, "stopping";
    /// The sender reboots in place (after a cut or a full copy) and comes back at once.
    Rebooting = 2, "rebooting";
    /// A newer connection of the same peer took over.
    Replaced = 3, "replaced";
    /// The peer's data belongs to another pair; nothing of it is touched.
    ForeignPair = 4, "foreign-pair";
    /// Both ends say they are the same node.
    SameNode = 5, "same-node";
    /// A format version the sender cannot read.
    Format = 6, "format";
    /// The same pair id, but not one common reign.
    NoCommonHistory = 7, "no-common-history";
    /// A message of a reign that is over.
    OldEpoch = 8, "old-epoch";
    /// The peer broke the protocol.
    Violation = 9, "violation";
    /// Not now (a full copy failed a moment ago): come back later.
    Busy = 10, "busy";
    /// The sender does not lead.
    NotLeading = 11, "not-leading";
    /// Two new nodes with different configurations: no pair begins by two different rules.
    Configuration = 12, "configuration";
}
