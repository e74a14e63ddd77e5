//! What clients did and when, and whether a store that is one and the same for all explains it.
//!
//! Two checkers for the histories of tests, simulated or real:
//! - [`zones`]: registers with unique values, in O(n log n); names the pair of values at odds;
//! - [`wgl`]: any small model, by search; gives up rather than guess.
//!
//! **Not here:** clients, clocks, and where a history comes from (`tandem-sim`, `tandem-e2e`).
#![forbid(unsafe_code)]

pub mod history;
mod marks;
pub mod wgl;
pub mod zones;

pub use history::{Nanos, Operation, Outcome, RegisterAction};
