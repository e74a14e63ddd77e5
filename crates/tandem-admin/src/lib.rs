//! The operator's words: status, requests and replies as JSON.
#![forbid(unsafe_code)]
