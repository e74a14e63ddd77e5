//! `ZooKeeper` as the mediator: a node's way to an ensemble.
//!
//! ```text
//! node -- vouch, read, change --> client (one task) -- requests --> member of the ensemble
//!      <- renewed, view, outcome --      pair: what znodes mean     connection: frames, one session
//! ```
//! The protocol is spoken by this crate itself, a dozen requests of it: nothing is sent by a hidden
//! background task, so a session lives exactly as long as the node vouches for itself, and nothing is
//! sent twice, so what is not answered is *unknown* and nothing else.
//!
//! Invariants: a change of the record is one multi that names the record's life and version; a view that
//! was asked for is read behind a write, so it is never older than the question; what is no record of
//! this version is never overwritten; memory is bounded whatever the ensemble sends.
//!
//! **Not here:** who may be primary (`tandem-switch`), other mediators. The znodes are in
//! docs/formats/mediator-zookeeper.md.
#![forbid(unsafe_code)]

mod client;
mod connection;
mod error;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod jute;
mod pair;
mod request;
mod session;
mod stream;
mod text;
mod tree;
mod value;
mod view;

pub use client::{Client, ClientSettings};
pub use connection::Login;
