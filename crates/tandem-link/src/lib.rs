//! The authenticated channel to the peer: handshake and frames.
#![forbid(unsafe_code)]
