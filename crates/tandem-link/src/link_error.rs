//! Why a connection to the peer cannot be used.

use tandem_types::NodeId;

/// What ends a session; the connection is closed, and each variant asks for something else.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LinkError {
    /// Something else than a Tandem node is on the other side. Check the address and port.
    #[error("the other side does not speak the link protocol")]
    NotALink,
    /// Upgrade the older node.
    #[error("the peer speaks link protocol version {theirs}, this node speaks {ours}")]
    Version {
        /// This node's.
        ours: u16,
        /// The peer's.
        theirs: u16,
    },
    /// Two pairs were mixed up: check `nodes.*.host` and `pair.name`.
    #[error("the other side belongs to pair \"{theirs}\", this node to \"{ours}\"")]
    WrongPair {
        /// This node's.
        ours: String,
        /// The peer's.
        theirs: String,
    },
    /// A node reached itself, or both nodes run under one name: check `nodes.*.host` and `--node`.
    #[error("the other side says it is node {node:?}, which is this node")]
    OwnNode {
        /// Both claim to be this one.
        node: NodeId,
    },
    /// The two `peer_secret_file`s differ, or somebody is guessing.
    #[error("the other side does not know the peer secret")]
    WrongSecret,
    /// One node has a peer secret (or TLS) and the other has not.
    #[error(
        "link protection differs: this node wants {ours}, the peer {theirs}; \
         peer_secret_file and [tls] must be the same on both"
    )]
    Protection {
        /// This node's, in words.
        ours: &'static str,
        /// The peer's, in words.
        theirs: &'static str,
    },
    /// Without a secret only this machine may be the peer.
    #[error(
        "no peer secret is configured and the peer is not on this machine: set auth.peer_secret_file"
    )]
    Unsecured,
    /// The peer closed the handshake; its log says the same.
    #[error("the peer refused the link: {0}")]
    Refused(Refusal),
    /// A frame above its limit: an attack, or another version.
    #[error("the peer announced a frame of {bytes} bytes, more than {bytes_max}")]
    FrameTooLong {
        /// Announced.
        bytes: u64,
        /// Allowed.
        bytes_max: u64,
    },
    /// A frame was damaged, forged, repeated or left out on the way.
    #[error("frame {number} fails its check: damaged or forged on the way")]
    Damaged {
        /// Frames received before it.
        number: u64,
    },
    /// The peer broke the order of the handshake.
    #[error("the peer sent a malformed handshake")]
    Malformed,
}

/// Why a node refuses a link, as it tells the other side.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Another protocol version.
    Version,
    /// Another pair.
    WrongPair,
    /// The same node.
    OwnNode,
    /// The proof was wrong.
    WrongSecret,
    /// One side has a secret or TLS, the other has not.
    Protection,
    /// No secret, and not on the same machine.
    Unsecured,
    /// Anything else.
    Malformed,
}

impl Refusal {
    const ALL: [Self; 7] = [
        Self::Version,
        Self::WrongPair,
        Self::OwnNode,
        Self::WrongSecret,
        Self::Protection,
        Self::Unsecured,
        Self::Malformed,
    ];

    pub(crate) const fn as_byte(self) -> u8 {
        match self {
            Self::Version => 1,
            Self::WrongPair => 2,
            Self::OwnNode => 3,
            Self::WrongSecret => 4,
            Self::Protection => 5,
            Self::Unsecured => 6,
            Self::Malformed => 7,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Self {
        Self::ALL.into_iter().find(|refusal| refusal.as_byte() == byte).unwrap_or(Self::Malformed)
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Version => "it speaks another protocol version",
            Self::WrongPair => "it belongs to another pair",
            Self::OwnNode => "it has the same node name as this one",
            Self::WrongSecret => "the peer secrets differ",
            Self::Protection => "only one of the two has a peer secret or TLS",
            Self::Unsecured => "it has no peer secret and this node is on another machine",
            Self::Malformed => "it did not understand the handshake",
        })
    }
}

impl LinkError {
    /// What the other side is told; nothing when the connection is beyond words.
    pub(crate) const fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Version { .. } => Some(Refusal::Version),
            Self::WrongPair { .. } => Some(Refusal::WrongPair),
            Self::OwnNode { .. } => Some(Refusal::OwnNode),
            Self::WrongSecret => Some(Refusal::WrongSecret),
            Self::Protection { .. } => Some(Refusal::Protection),
            Self::Unsecured => Some(Refusal::Unsecured),
            Self::Malformed => Some(Refusal::Malformed),
            Self::NotALink
            | Self::Refused(_)
            | Self::FrameTooLong { .. }
            | Self::Damaged { .. } => None,
        }
    }
}
