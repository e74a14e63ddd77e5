//! RESP2 and RESP3: parse requests in place, write replies, parse replies.
//!
//! Server side: [`Parser`] finds the commands in a buffer and shows each as [`Args`], slices of that
//! buffer; [`Reply`] writes answers for either protocol version. Client side (tools, probe, tests):
//! [`write_request`], [`ReplyParser`] and [`Value`].
//!
//! Invariant: no bytes, however cut or malformed, make anything here panic, recurse, or allocate
//! more than a small multiple of the bytes received.
//!
//! **Not here:** what a command means (`tandem-store`), who may send it (`tandem-node`).
#![forbid(unsafe_code)]

mod args;
mod double;
mod glob;
mod number;
mod protocol_error;
mod reply;
mod reply_parser;
mod request;
mod request_writer;
mod value;

pub use args::{Args, OwnedArgs, Span};
pub use double::{write_double, write_plain_double};
pub use glob::glob_matches;
pub use number::{parse_f64, parse_i64, parse_u64};
pub use protocol_error::ProtocolError;
pub use reply::{Mark, Proto, Reply};
pub use reply_parser::{ReplyError, ReplyLimits, ReplyParser};
pub use request::{Ahead, Limits, Parsed, Parser, first_arguments};
pub use request_writer::write_request;
pub use value::Value;
