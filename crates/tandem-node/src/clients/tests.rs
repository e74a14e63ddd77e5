//! Sessions fed with bytes, without a node around them.
