//! Real processes under test: nodes, peers, clients, load, and the judges of what they did.
//!
//! ```text
//!  Pair ── Node ── Process (own group, ends with the test, output kept for failures)
//!    │       └─ status over HTTP, commands over RESP, verbs over the CLI
//!  Apart ── Network, two Nodes
//!  MediatedPair ── Network (a machine each, cables that can be cut), Mediator, two Nodes
//!  Load ── N clients, each write recorded as acknowledged / refused / unknown ──▶ Audit, zones, wgl
//! ```
//! The crate knows nothing of Tandem's insides: it has its own RESP reader, so that a bug in the
//! product's cannot hide itself, and it only sees what people and scripts see (ports, files, exit codes).
//!
//! **Which binary:** `TANDEM_BIN` if set, else `<target>/e2e/tandem`, as `cargo xtask e2e` builds it
//! (`cargo build --profile e2e -p tandem`). A missing binary fails the test; it is never skipped.
//! **Budget:** `TANDEM_E2E_BUDGET` multiplies the length of the randomised tests (1 in CI, more in
//! `cargo xtask soak`). `TANDEM_E2E_SEED` replays one of them. `TANDEM_E2E_KEEP=1` keeps the directories.
//! `TANDEM_E2E_MEDIATOR` names the kind of mediator that a [`mediated`] pair is given.
#![forbid(unsafe_code)]

pub mod apart;
pub mod audit;
pub mod client;
pub mod clocks;
pub mod differential;
pub mod family;
pub mod hosts;
pub mod load;
pub mod loop_disk;
pub mod machine;
pub mod mediated;
pub mod mediator;
pub mod net;
pub mod node;
pub mod pair;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod redis_server;
pub mod rng;
pub mod rot;
pub mod single;
pub mod skip;
pub mod status;
pub mod trouble;
pub mod two_writers;
pub mod value;
pub mod wait;
pub mod zookeeper;

pub use tandem_history::{history, wgl, zones};
