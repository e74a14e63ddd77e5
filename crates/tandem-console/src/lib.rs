//! HTTP on the admin port: status page, JSON API, metrics, health, operator requests.
//!
//! Everything is asked of an [`AdminPort`], so that the same code runs over a real node and over a
//! pretended one in tests. Nothing here decides anything.
//!
//! Against hostile input: headers at most [`HEADER_BYTES_MAX`], bodies at most [`BODY_BYTES_MAX`], a
//! bound on connections in all (256) and from one address beyond this machine (32), where who says nothing
//! makes room for who comes next, and on the time of a request; requests that change something are POSTs with a
//! bearer token (no cookies, so no cross-site forgery), and `Host` must be a name of this node (no DNS
//! rebinding); every value is escaped, and the page loads nothing from elsewhere.
//!
//! **Not here:** what a status means (`tandem-admin`), TLS settings (`tandem-server`).
#![forbid(unsafe_code)]

mod answer;
mod api;
mod channel_stream;
mod events;
mod guard;
mod html;
mod page;
mod places;
mod port;
mod router;
mod serve;

pub use port::{AdminPort, BackupStart, Gone};
pub use router::ROUTES;
pub use serve::{ConsoleSettings, serve};

/// Longest request line and headers together; also the size of a connection's buffer.
pub const HEADER_BYTES_MAX: usize = 8 << 10;

/// Longest request body.
pub const BODY_BYTES_MAX: usize = 64 << 10;
