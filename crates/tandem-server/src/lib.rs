//! The event loop: sockets, threads, clocks.
//!
//! One thread, the data thread, owns the node and every socket; it never blocks but in its wait for
//! events. The log, snapshots, catch-up reads and large frees have a thread each and are reached by
//! queues; other threads (console, signals) reach the data thread by its inbox.
//!
//! ```text
//!  clients, peer <--> event loop (data thread: node, store) --> log thread --> disk
//!                         ^   inbox + bell                  --> snapshot thread, log reader, reaper
//!                         +---- Durable{end}, chunks written, log read, operators' requests
//! ```
//!
//! **Not here:** what bytes mean (`tandem-node` and below), HTTP (`tandem-console`), the command line.
#![forbid(unsafe_code)]

mod admin;
mod boot;
mod brain;
mod certificate;
mod clients;
pub mod clock;
mod edges;
mod event_loop;
mod inbox;
mod link;
mod loading;
mod net;
mod process_facts;
mod process_load;
mod rounds;
mod run;
mod settings;
mod signals;
mod turn_clock;
mod workers;

pub use admin::AdminHandle;
pub use certificate::{CertificateError, Supervised};
pub use edges::{Edges, Report};
pub use inbox::Gone;
pub use net::tls::{TlsError, TlsFiles, certificate_end};
pub use run::{Addresses, Exit, RunError, Server, run};
pub use settings::ServerSettings;
pub use turn_clock::TurnClock;
