//! The store from outside: commands in, replies and effects out.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a failed test should say where")]

mod command_table;
mod expiry;
mod harness;
mod interest;
mod keys;
mod memory;
mod replay;
mod scan;
mod snapshot;
mod strings;
