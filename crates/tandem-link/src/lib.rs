//! The authenticated channel to the peer: handshake and frames, sans-IO.
//!
//! A [`LinkSession`] is one connection between the two nodes. The owner of the socket gives it the bytes
//! that came ([`LinkSession::receive`]), takes what it understood ([`LinkSession::poll`]) and writes what
//! it wants sent ([`LinkSession::output`]). First both sides prove that they know the peer secret and agree
//! on who is who; then opaque messages flow, each checked. The bytes are drawn in `docs/formats/link.md`.
//!
//! Invariants: no message is handed out before the peer has proven itself; memory stays below one
//! message plus one frame, whatever is received; no bytes make anything here panic.
//!
//! **Not here:** what a message means (`tandem-replication`), who dials when, time-outs, TLS (`tandem-server`).
#![forbid(unsafe_code)]

mod certificate;
mod frame;
mod hello;
mod keys;
mod link_error;
mod session;

pub use certificate::{CERTIFICATE_KIND, Certificate};
pub use frame::FRAME_PAYLOAD_BYTES_MAX;
pub use hello::{NONCE_BYTES, PROTOCOL_VERSION, PeerHello};
pub use keys::Secret;
pub use link_error::{LinkError, Refusal};
pub use session::{LinkConfig, LinkEvent, LinkSession, NotUp, Transport};
