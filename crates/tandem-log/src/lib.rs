//! The replication log: append, sync, recover, read back, cut.
#![forbid(unsafe_code)]
