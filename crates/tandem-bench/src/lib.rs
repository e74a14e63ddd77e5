//! Load and comparisons against other servers.
