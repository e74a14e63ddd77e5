//! The store from outside: commands in, replies and effects out.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failed test should say where")]

mod blocking;
mod bounded_counters;
mod collection_replay;
mod command_table;
mod conflict_log;
mod expiry;
mod harness;
mod hashes;
mod interest;
mod keys;
mod lists;
mod memory;
mod policies;
mod replay;
mod scan;
mod sets;
mod snapshot;
mod streams;
mod strings;
mod two_writers;
mod unique_ids;
mod writers;
mod zsets;
