//! The following end of the stream.
mod port;
pub use port::{Event, Input, Output};
