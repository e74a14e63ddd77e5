//! Who is primary: roles, epochs, the in-sync set.
#![forbid(unsafe_code)]
