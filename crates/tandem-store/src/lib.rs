//! The key space: data types, commands, effects; deterministic, no I/O, no clock.
//!
//! A [`Store`] runs commands ([`Store::execute`]) and turns what they change into effects, which the
//! log keeps and a follower applies ([`Store::apply`]): two stores that applied the same effects are
//! equal. Slots go to snapshots as bytes ([`Store::serialize_slot`]).
//!
//! Invariant: the key space changes only in the mutators (`write.rs`, `edit.rs`), which write the
//! effect in the same breath. **Not here:** sessions, transactions, who may write, the log.
#![forbid(unsafe_code)]

mod again;
mod apply;
mod call;
mod command;
mod commands;
mod database;
mod deadline;
mod decimal;
mod edit;
mod effect;
mod entry;
mod expiry;
mod failure;
mod garbage;
mod glimpse;
mod interest;
mod key;
mod keys;
mod merge;
mod random;
mod settings;
mod slots;
mod store;
mod two_writers;
mod value;
mod warm;
mod write;

pub use again::{Again, AgainAt};
pub use apply::{ApplyError, SlotLsns};
pub use call::{BlockRequest, Call, Need, Outcome, TimeoutReply};
pub use command::{
    Categories, Command, DataHandler, FindKeys, Flags, Group, Handler, KeyRange, KeySpec,
};
pub use commands::{command, commands};
pub use effect::{
    DecodeError, Description, EFFECTS_VERSION, Effect, EffectBuf, EffectMark, Effects, Located,
    Operations, StreamIds, describe,
};
pub use failure::Failure;
pub use garbage::Garbage;
pub use glimpse::Glimpse;
pub use interest::Touched;
pub use key::slot_of;
pub use merge::{Course, MergeRefusal, MergeSpace, Rules, course};
pub use settings::{Limits, Settings};
pub use slots::LoadSlotError;
pub use store::{DatabaseCounts, Store, StoreStats};
pub use two_writers::{
    ConflictEntry, ConflictFilter, ConflictId, Numbering, TwoWritersCounts, WriterFacts,
    show_conflicts,
};
pub use value::stream::id::StreamId;
