//! The event loop: sockets, threads, clocks.
