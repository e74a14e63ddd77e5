//! What the switch is told by the configuration.

use std::time::Duration;

use tandem_types::{Monotonic, NodeId, Pair};

/// When a write is answered, as far as the switch cares: how much the peer's word is worth. In order: a later
/// one promises whatever an earlier one does.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
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
    /// As it is written in the configuration.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Received => "received",
            Self::Durable => "durable",
        }
    }

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
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Settings {
    /// Which node this is.
    pub node: NodeId,
    /// The nodes' names, for texts.
    pub names: Pair<String>,
    /// The node that begins when both directories are empty.
    pub initial_primary: NodeId,
    /// When a write is answered, says the configuration. What counts is what the brain says
    /// ([`crate::Brain::acknowledge`]): a standby may still rely on more.
    pub acknowledge: Acknowledge,
    /// How long a silent peer is waited for, where a rule allows to go on without it.
    pub failure_timeout: Duration,
    /// Longest pause of writes in a planned change of primary.
    pub hold: Duration,
    /// What only an automatic switch needs.
    pub automatic: Automatic,
}

/// Who decides what the rules allow.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Automation {
    /// The node.
    #[default]
    Auto,
    /// A person, within `confirm_timeout`.
    Confirm,
    /// Nobody: it only says what it would do.
    Observe,
}

/// What a node does without the mediator.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum WhenLost {
    /// A pair that is in sync and connected, or a primary that is alone in the set, goes on (R7).
    #[default]
    Partner,
    /// It demotes itself.
    StepDown,
}

/// Settings of automatic switching; the same on both nodes.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Automatic {
    /// Who decides.
    pub automation: Automation,
    /// How long a proposal waits for a person.
    pub confirm_timeout: Duration,
    /// The primary tries to go on without a silent peer after this.
    pub solo_after: Duration,
    /// Work slower than this counts as trouble; zero: never.
    pub slow_after: Duration,
    /// This many starts of the primary within `restart_window` count as trouble; zero: never.
    pub max_restarts: u32,
    /// See `max_restarts`.
    pub restart_window: Duration,
    /// No second automatic change of primary sooner.
    pub min_interval: Duration,
    /// The node the role returns to once in sync for `failback_after`; `None`: stays.
    pub failback: Option<NodeId>,
    /// See `failback`.
    pub failback_after: Duration,
    /// `acknowledge = "local"`: bytes of missing log at which a switch is still allowed.
    pub max_lag_bytes: u64,
    /// The mediator ends a presence this long after the last sign of life.
    pub session: Duration,
    /// Without the mediator.
    pub when_lost: WhenLost,
    /// How long one read lease lasts on the clock of the node that grants it.
    pub read_lease: Duration,
    /// A read is answered only when the peer has confirmed the reign after it was executed.
    pub barrier_reads: bool,
    /// What only a pair without a third party needs.
    pub unaided: crate::Unaided,
}

impl Default for Automatic {
    /// As the contract's defaults.
    fn default() -> Self {
        Self {
            automation: Automation::Auto,
            confirm_timeout: Duration::from_mins(10),
            solo_after: Duration::from_secs(2),
            slow_after: Duration::from_secs(3),
            max_restarts: 3,
            restart_window: Duration::from_mins(3),
            min_interval: Duration::from_secs(30),
            failback: None,
            failback_after: Duration::from_mins(1),
            max_lag_bytes: 0,
            session: Duration::from_secs(1),
            when_lost: WhenLost::Partner,
            read_lease: Duration::from_millis(500),
            barrier_reads: false,
            unaided: crate::Unaided::default(),
        }
    }
}

impl Automatic {
    /// Whether that many starts of a primary, the last one at `started`, are too many (R11).
    pub(crate) fn restarts_too_often(
        &self,
        starts: u32,
        started: Monotonic,
        now: Monotonic,
    ) -> bool {
        self.max_restarts > 0
            && starts >= self.max_restarts
            && now < started.plus(self.restart_window)
    }
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
