//! The one brain that a node has, whichever way decides.

use tandem_types::{Epoch, Monotonic, NodeId, Role};

use crate::{
    Acknowledge, AddressHint, Both, ChannelState, Direct, Gap, Grant, InSyncSet, Input, Load,
    Manual, Mediated, MediatorStatus, NodeState, Output, OwnEnds, ProbeState, Proposal, ReadRight,
    Record, Reign, Settings, Vitals, Why,
};

/// Who decides about a change of primary.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum By {
    /// A person.
    #[default]
    Manual,
    /// The nodes, by the record at a mediator.
    Mediator,
    /// The nodes, by what they see of one another.
    Direct,
    /// Nobody: both nodes serve.
    Both,
}

/// What only the surroundings know about this start.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct BootFacts {
    /// Starts of this node within `restart_window`, this one counted (R11).
    pub starts_in_window: u32,
}

/// The brain of one boot of one node.
#[derive(Clone, Debug)]
pub enum Brain {
    /// A person decides.
    Manual(Box<Manual>),
    /// The record decides.
    Mediated(Box<Mediated>),
    /// Proof decides.
    Direct(Box<Direct>),
    /// There is nothing to decide.
    Both(Box<Both>),
}

/// The same call on whichever it is.
macro_rules! either {
    ($self:expr, $brain:ident => $call:expr) => {
        match $self {
            Self::Manual($brain) => $call,
            Self::Mediated($brain) => $call,
            Self::Direct($brain) => $call,
            Self::Both($brain) => $call,
        }
    };
}

impl Brain {
    /// The brain of a boot that found `state` on disk. `seed` comes from the system's randomness.
    pub fn new(
        by: By,
        settings: Settings,
        state: NodeState,
        facts: BootFacts,
        seed: u64,
        now: Monotonic,
    ) -> Self {
        match by {
            By::Manual => Self::Manual(Box::new(Manual::new(settings, state, seed, now))),
            By::Mediator => {
                Self::Mediated(Box::new(Mediated::new(settings, state, facts, seed, now)))
            }
            By::Direct => Self::Direct(Box::new(Direct::new(settings, state, facts, seed, now))),
            By::Both => Self::Both(Box::new(Both::new(settings, state, seed, now))),
        }
    }

    /// With two primaries: the data came from a backup ([`Both::hold_restored`]).
    pub const fn hold_restored(&mut self) {
        if let Self::Both(both) = self {
            both.hold_restored();
        }
    }

    /// Advances by one input, appending what must be done to `out` in order. `own` must be as of now:
    /// what counts as acknowledged is taken from it.
    pub fn step(&mut self, now: Monotonic, own: OwnEnds, input: Input, out: &mut Vec<Output>) {
        either!(self, it => it.step(now, own, input, out));
    }

    /// When a tick is due.
    pub fn deadline(&self) -> Option<Monotonic> {
        either!(self, it => it.deadline())
    }

    /// What people see. `Standby` is eligible, `Joining` is not yet.
    pub fn role(&self) -> Role {
        either!(self, it => it.role())
    }

    /// The reign this node serves or follows; else the latest it knows.
    pub fn reign(&self) -> Option<Reign> {
        either!(self, it => it.reign())
    }

    /// The highest epoch this node has heard of.
    pub fn epoch_seen(&self) -> Epoch {
        either!(self, it => it.epoch_seen())
    }

    /// Who serves, as far as this node knows right now.
    pub fn primary(&self) -> Option<NodeId> {
        either!(self, it => it.primary())
    }

    /// Whether clients may be served now.
    pub fn is_serving(&self) -> bool {
        either!(self, it => it.is_serving())
    }

    /// Whether clients will be served in a moment, if nothing comes between.
    pub fn is_starting(&self) -> bool {
        either!(self, it => it.is_starting())
    }

    /// Whether the peer's word is needed before a write is acknowledged (R2). Ask it anew for every
    /// decision: it changes within a step.
    pub fn needs_peer(&self) -> bool {
        match self {
            Self::Manual(it) => it.needs_peer(),
            Self::Mediated(it) => it.needs_peer(),
            Self::Direct(it) => it.needs_peer(),
            Self::Both(it) => it.is_in_sync(),
        }
    }

    /// When a write is answered while the peer is waited for: as configured, or by more as long as the standby
    /// may rely on more. Ask it anew for every decision: it changes within a step.
    pub fn acknowledge(&self) -> Acknowledge {
        match self {
            Self::Manual(it) => it.acknowledge(),
            Self::Mediated(it) => it.acknowledge(),
            Self::Direct(it) => it.acknowledge(),
            Self::Both(it) => it.acknowledge(),
        }
    }

    /// The in-sync set as this node has it, or as its primary told it.
    pub fn in_sync_set(&self) -> Option<InSyncSet> {
        match self {
            Self::Manual(it) => it.in_sync_set(),
            Self::Mediated(it) => it.in_sync_set(),
            Self::Direct(it) => it.in_sync_set(),
            Self::Both(_) => None,
        }
    }

    /// Either node may be lost without losing an acknowledged write.
    pub fn is_in_sync(&self) -> bool {
        either!(self, it => it.is_in_sync())
    }

    /// A primary that may acknowledge nothing, because what it needs is not there.
    pub fn is_stalled(&self) -> bool {
        match self {
            Self::Manual(it) => it.is_stalled(),
            Self::Mediated(it) => it.is_stalled(),
            Self::Direct(it) => it.is_stalled(),
            Self::Both(_) => false,
        }
    }

    /// What is on disk once all writes are done.
    pub fn state(&self) -> &NodeState {
        either!(self, it => it.state())
    }

    /// Acknowledged writes that a promotion of this node could lose now.
    pub fn gap(&self, now: Monotonic) -> Gap {
        match self {
            Self::Manual(it) => it.gap(now),
            Self::Mediated(it) => it.gap(now),
            Self::Direct(it) => it.gap(now),
            Self::Both(it) => it.gap(),
        }
    }

    /// What this node is waiting for, as of `now`.
    pub fn why(&self, now: Monotonic) -> Why {
        match self {
            Self::Manual(it) => it.why(now),
            Self::Mediated(it) => it.why(now),
            Self::Direct(it) => it.why(now),
            Self::Both(it) => it.why(),
        }
    }

    /// One line for status pages; `None`: nothing is waited for.
    pub fn waiting_for(&self, now: Monotonic) -> Option<String> {
        match self {
            Self::Manual(it) => it.waiting_for(now),
            Self::Mediated(it) => it.waiting_for(now),
            Self::Direct(it) => it.waiting_for(now),
            Self::Both(it) => it.why().waiting_for,
        }
    }

    /// Which reads may be answered at this moment: ask when a reply is released, not when the command ran.
    pub fn read_right(&self, now: Monotonic) -> ReadRight {
        match self {
            Self::Manual(it) if it.is_serving() => ReadRight::Free,
            Self::Direct(it) if it.is_serving() => ReadRight::Free,
            // Nobody promises that it is the newest of both nodes.
            Self::Both(it) if it.is_serving() => ReadRight::Free,
            Self::Manual(_) | Self::Direct(_) | Self::Both(_) => ReadRight::None,
            Self::Mediated(it) => it.read_right(now),
        }
    }

    /// The read lease that an answer to the primary's heartbeat may carry now. Asking for it *gives* it:
    /// send it, or do not ask.
    pub fn grant_lease(&mut self, now: Monotonic) -> Option<Grant> {
        match self {
            Self::Manual(_) | Self::Direct(_) | Self::Both(_) => None,
            Self::Mediated(it) => it.grant_lease(now),
        }
    }

    /// What waits for a person's word (R12).
    pub fn pending(&self) -> Option<Proposal> {
        match self {
            Self::Manual(_) | Self::Both(_) => None,
            Self::Mediated(it) => it.pending(),
            Self::Direct(it) => it.pending(),
        }
    }

    /// Whether automatic decisions are suspended.
    pub fn paused(&self) -> bool {
        match self {
            Self::Manual(_) | Self::Both(_) => false,
            Self::Mediated(it) => it.paused(),
            Self::Direct(it) => it.paused(),
        }
    }

    /// How the mediator is; `None` where there is none.
    pub fn mediator_status(&self) -> Option<MediatorStatus> {
        match self {
            Self::Manual(_) | Self::Direct(_) | Self::Both(_) => None,
            Self::Mediated(it) => Some(it.mediator_status()),
        }
    }

    /// The record as last seen.
    pub fn record(&self) -> Option<Record> {
        match self {
            Self::Manual(_) | Self::Direct(_) | Self::Both(_) => None,
            Self::Mediated(it) => it.record(),
        }
    }

    /// What this node says of itself on every channel; `None`: nobody listens.
    pub fn vitals(&self, load: Load) -> Option<Vitals> {
        match self {
            Self::Manual(_) | Self::Mediated(_) | Self::Both(_) => None,
            Self::Direct(it) => Some(it.vitals(load)),
        }
    }

    /// The channels besides the link, in the order of the configuration.
    pub fn channels(&self) -> &[ChannelState] {
        match self {
            Self::Manual(_) | Self::Mediated(_) | Self::Both(_) => &[],
            Self::Direct(it) => it.channels(),
        }
    }

    /// What keepalived last said of the virtual address, and whether it may be here now; `None`: this pair
    /// does not go by it.
    pub fn address(&self, now: Monotonic) -> Option<(Option<AddressHint>, bool)> {
        match self {
            Self::Manual(_) | Self::Mediated(_) | Self::Both(_) => None,
            Self::Direct(it) => it.is_hinted().then(|| (it.address(), it.may_hold_address(now))),
        }
    }

    /// What came of trying the primary as a client; `None`: this pair does not.
    pub fn probe(&self) -> Option<ProbeState> {
        match self {
            Self::Manual(_) | Self::Mediated(_) | Self::Both(_) => None,
            Self::Direct(it) => it.is_probing().then(|| it.probe()),
        }
    }

    /// What the peer last said of itself on a channel besides the link.
    pub fn peer_vitals(&self) -> Option<Vitals> {
        match self {
            Self::Manual(_) | Self::Mediated(_) | Self::Both(_) => None,
            Self::Direct(it) => it.peer_vitals(),
        }
    }
}
