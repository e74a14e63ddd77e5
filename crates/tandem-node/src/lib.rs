//! One node of the pair as a value: `step(now, input, out)`.
//!
//! Everything that reaches a node is an [`Input`] with the time it came; everything it wants done is an
//! [`Output`]. No clock, thread, socket or file is touched here, so the server and the simulator run the
//! same node, and a list of `(now, input)` replays any run.
//!
//! **Not here:** how bytes travel (`tandem-server`), what a command does (`tandem-store`), who may be
//! primary (`tandem-switch`), how a copy is kept (`tandem-replication`): this crate composes them.
#![forbid(unsafe_code)]

mod acquaintance;
mod apply_queue;
mod blocked;
mod certificate_end;
mod clients;
mod command_stats;
mod compare;
mod config_table;
mod configuration;
mod conflicts;
mod core;
mod facts;
mod foyer;
mod generation;
mod input;
mod latency;
mod merge_log;
mod node;
mod operator;
mod output;
mod planted;
mod positions;
mod pubsub;
mod repair;
mod role_view;
mod runnable;
mod saves;
mod scripting;
mod scrub;
mod session;
mod session_commands;
mod sessions;
mod settings;
mod slow_log;
mod snapshot_job;
mod snapshots;
#[cfg(test)]
mod testing;
mod walk;
mod writer;

pub use crate::core::{Caller, Core, Executed, StreamCounts};
pub use certificate_end::CertificateEnd;
pub use clients::{ClientStats, Clients};
pub use command_stats::CommandCount;
pub use compare::{Compare, How, NoCompare};
pub use conflicts::{
    Acked, Authors, ConflictNews, ConflictOrder, Decision, Desk, Entry, Fork, Held, Image,
    KeyImages, LogPlace, SaveError, Saved, SavedFile, SavedRecord, catalogue, cut_fork, save_fork,
    save_records,
};
pub use facts::{Facts, Stopwatch, stopped};
pub use foyer::{Foyer, Stays};
pub use generation::{
    damaged_file_name, damaged_name, generation_name, is_kept, keep_generation,
    parse_generation_name,
};
pub use input::{AdminId, ConnId, ConnInfo, Input, LogFault, Port};
pub use merge_log::{Life, MergeLog, MergeLogBounds, MergeLogNews, MergeLogOrder};
pub use node::{Boot, BootError, BootReport, Node, SaveTrouble, Seeds, boot};
pub use operator::{Operation, Wish};
pub use output::{Event, LogCommand, Output, Severity, SnapshotCommand};
#[cfg(feature = "planted")]
pub use planted::{NodeRule, remove_rule};
pub use positions::{CommitRule, Positions};
pub use repair::{Cause, RepairNote, remove_note, set_aside};
pub use role_view::{Refusal, RoleView};
pub use scrub::{Finding, FoundIn, ScrubReport, SnapshotCheck, check_snapshots, scrub};
pub use settings::{
    Acknowledge, Fsync, Limits, SavePolicy, Secret, Settings, SwitchBy, Topology, WithoutPeer,
};
pub use writer::{Writer, restored_note, side_of_snapshot};
