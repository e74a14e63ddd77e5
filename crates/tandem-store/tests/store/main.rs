//! The store from outside: commands in, replies and effects out.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failed test should say where")]

mod blocking;
mod collection_replay;
mod command_table;
mod expiry;
mod harness;
mod hashes;
mod interest;
mod keys;
mod lists;
mod memory;
mod replay;
mod scan;
mod sets;
mod snapshot;
mod strings;
mod two_writers;
mod zsets;
