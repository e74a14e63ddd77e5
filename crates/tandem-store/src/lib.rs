//! The key space: data types, commands, effects; deterministic, no I/O, no clock.
#![forbid(unsafe_code)]
