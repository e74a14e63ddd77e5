//! What the switch is told by the configuration.

use std::time::Duration;

use tandem_types::{NodeId, Pair};

/// When a write is answered, as far as the switch cares: how much the peer's word is worth.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Acknowledge {
    /// On this node's disk: the peer may lack what was acknowledged.
    Local,
    /// On this node's disk and in the peer's memory: its word dies with its process.
    Received,
    /// On both disks.
    #[default]
    Durable,
}

impl Acknowledge {
    /// How it is written to disk and to the peer.
    pub const fn as_byte(self) -> u8 {
        match self {
            Self::Local => 0,
            Self::Received => 1,
            Self::Durable => 2,
        }
    }

    /// The mode that [`Self::as_byte`] wrote; `None` for any other byte.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Local),
            1 => Some(Self::Received),
            2 => Some(Self::Durable),
            _ => None,
        }
    }
}

/// Settings of the switch; the same on both nodes but for `node`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which node this is.
    pub node: NodeId,
    /// The nodes' names, for texts.
    pub names: Pair<String>,
    /// The node that begins when both directories are empty.
    pub initial_primary: NodeId,
    /// When a write is answered.
    pub acknowledge: Acknowledge,
    /// How long a silent peer is waited for, where a rule allows to go on without it.
    pub failure_timeout: Duration,
    /// Longest pause of writes in a planned change of primary.
    pub hold: Duration,
}

impl Settings {
    /// This node's name.
    pub fn name(&self) -> &str {
        &self.names[self.node]
    }

    /// The peer's name.
    pub fn peer_name(&self) -> &str {
        &self.names[self.node.peer()]
    }
}
