//! The real disk behind tandem-disk.
#![forbid(unsafe_code)]
