//! Sockets: listeners, the table of connections, plain and encrypted streams.

pub(crate) mod connections;
pub(crate) mod file_limit;
pub(crate) mod listener;
pub(crate) mod tls;
pub(crate) mod transport;
