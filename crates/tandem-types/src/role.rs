//! The part a node plays in its pair.

use std::fmt;

/// What a node is right now. Every node starts as [`Role::Joining`], whatever it was before.
///
/// A replica is a standby that serves reads: a setting, not a role of its own.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Role {
    /// Has no place yet: it looks for its peer, or is not yet told to follow.
    #[default]
    Joining,
    /// The only role that may acknowledge writes.
    Primary,
    /// Follows the primary's log.
    Standby,
    /// Was primary and has lost its right to serve; found no new place yet.
    Isolated,
}

impl Role {
    /// The word people and scripts see.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::Isolated => "isolated",
        }
    }

    /// How it is written to the peer.
    pub const fn as_byte(self) -> u8 {
        match self {
            Self::Joining => 0,
            Self::Primary => 1,
            Self::Standby => 2,
            Self::Isolated => 3,
        }
    }

    /// The role that [`Self::as_byte`] wrote; `None` for any other byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Joining),
            1 => Some(Self::Primary),
            2 => Some(Self::Standby),
            3 => Some(Self::Isolated),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_survives_the_wire() {
        for byte in 0..=u8::MAX {
            if let Some(role) = Role::from_byte(byte) {
                assert_eq!(role.as_byte(), byte);
            }
        }
    }
}
