//! Who is primary: roles, epochs, the in-sync set.
//!
//! One brain per way of deciding; all of them are sans-IO (`step(now, input, out)` cannot fail) and keep
//! the same rules (R1 to R13). `manual` is the one where a person decides, `mediated` the one where a
//! record at a third party does, `direct` the one where two nodes must do with what they see of one another,
//! `both` the one where both nodes serve.
//!
//! Invariants, kept by assertions and by the tests under `tests/`:
//! - what a reply or a message relies on is on disk before it leaves ([`Output::Persist`] first);
//! - a primary acknowledges alone only while its set on disk holds nobody else;
//! - a node that has heard of a later epoch serves nothing of an earlier one;
//! - an empty directory never becomes primary by itself.
//!
//! **Not here:** how records travel (`tandem-replication`), sockets, files, what a client sees.
#![forbid(unsafe_code)]

mod boot_number;
mod both;
mod brain;
mod direct;
mod in_sync;
mod lost;
mod manual;
mod mediated;
mod mediator;
mod message;
mod pausing;
mod planted;
mod policy;
mod port;
mod proposal;
mod random;
mod settings;
mod state;
mod unaided;
mod vitals;
mod why;
mod wire;

pub use boot_number::{boot_count, next_boot};
pub use both::Both;
pub use brain::{BootFacts, Brain, By};
pub use direct::{ChannelState, Direct, ProbeState};
pub use in_sync::{InSyncSet, Member};
pub use manual::Manual;
pub use mediated::Mediated;
pub use mediator::{
    BootId, Change, MediatorEvent, MediatorRequest, MediatorView, Outcome, Presence, Record,
    RecordState, Revision,
};
pub use message::{Greeting, PeerMessage};
#[cfg(feature = "planted")]
pub use planted::{Rule, remove};
pub use port::{
    DemoteCause, Event, Exchange, FollowerEnds, Grant, Input, Output, OwnEnds, PeerStatus,
    PromoteCause, ReadRight, Refusal, RefusalKind, Request, ShrinkCause, Ticket, Trouble,
};
pub use proposal::{MediatorStatus, Proposal, Proposed};
pub use settings::{Acknowledge, Automatic, Automation, Settings, WhenLost};
pub use state::{Attempt, NodeState, Reign};
pub use unaided::{OnSilence, Seen, SplitBrain, Unaided};
pub use vitals::{AddressHint, Load, OwnTrouble, Probed, Testimony, Vitals};
pub use why::{Gap, Timer, Why};
pub use wire::WireError;
