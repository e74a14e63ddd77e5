//! Leader and follower of the log stream, and their messages.
#![forbid(unsafe_code)]
