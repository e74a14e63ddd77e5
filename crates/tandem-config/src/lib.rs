//! The configuration file: parse, check, explain, examples.
#![forbid(unsafe_code)]
