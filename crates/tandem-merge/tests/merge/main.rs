//! The merge against the declarative rule: random histories, small ones exhaustively, algebra.
//!
//! `TANDEM_SCHEDULES=N` runs N random histories instead of 20,000 (`cargo xtask merge --schedules N`);
//! `TANDEM_SEED=S` runs one, and prints what happened in it.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::too_many_lines,
    clippy::pedantic,
    clippy::manual_is_multiple_of,
    clippy::disallowed_methods,
    unreachable_pub,
    dead_code,
    missing_docs,
    reason = "a test: it may panic, prints what it counted, and nobody imports it"
)]

mod algebra;
mod escrow;
mod exhaustive;
mod generate;
mod histories;
mod keyspace;
mod oracle;
mod rng;
mod sequences;
mod snapshot;
mod spans;
mod twins;
mod world;
