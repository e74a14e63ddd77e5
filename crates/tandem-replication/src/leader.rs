//! The leading end of the stream.
mod port;
pub use port::{CopyReason, Event, Input, Output, Reign};
