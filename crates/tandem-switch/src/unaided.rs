//! Settings of a pair that switches by itself without a third party.

/// What the two nodes go by, and how far they may go.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Unaided {
    /// How the peer is watched.
    pub seen: Seen,
    /// Channels besides the link.
    pub channels: u8,
    /// There is a command that makes sure that the peer is off.
    pub fence: bool,
    /// What a standby without a fence does about a silent primary.
    pub on_silence: OnSilence,
    /// A primary whose peer is gone goes on (`without_peer = "serve"`).
    pub goes_alone: bool,
    /// There are addresses that a node must reach to trust its own network.
    pub pings: bool,
    /// This many failed probes in a row mean that the primary is gone.
    pub probe_failures: u32,
    /// Who goes on when both served.
    pub split_brain: SplitBrain,
}

/// How the peer is watched.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Seen {
    /// By health reports over every channel.
    #[default]
    Directly,
    /// By the standby as a client of the primary.
    AsClient,
    /// By where keepalived has the virtual address.
    ByAddress,
}

/// What a standby without a fence does about a silent primary.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum OnSilence {
    /// Waits for proof or a person.
    #[default]
    Wait,
    /// Takes over: available, and both may serve.
    TakeOver,
}

/// Who goes on when both served.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum SplitBrain {
    /// The later reign.
    #[default]
    Newest,
    /// The longer log.
    MostWrites,
    /// `initial_primary`.
    Prefer,
    /// Nobody, until a person promotes one of them.
    Manual,
}
