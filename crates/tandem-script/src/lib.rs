//! Lua scripts as Redis runs them.
//!
//! ```text
//! EVAL text --> sha1 --> compiled once --> run, in a sandbox --> reply
//!                                           |  ^
//!                              redis.call   v  |  the reply, as Lua values
//!                                          Host::call (the node: one group of effects)
//! ```
//! A script sees Lua 5.1's own tables (none of them can be changed), `redis`, `cjson`, `cmsgpack` and `bit`, and nothing of
//! the machine: no files, no processes, no bytecode. Memory is bounded, and so is time, because nobody else is served
//! meanwhile: a script beyond either ends with an error, and what it had written stays, as after any other error.
//!
//! Source: <https://redis.io/docs/latest/develop/interact/programmability/lua-api/>.
//!
//! **Not here:** which commands a script may use, and who may run one (`tandem-node`).
#![forbid(unsafe_code)]

mod aside;
mod bits;
mod bounded;
mod call;
mod clock;
mod engine;
mod failure;
mod from_reply;
mod json;
mod msgpack;
mod sandbox;
mod scripts;
mod sha;
mod to_reply;

pub use engine::{Host, Invocation, Limits};
pub use failure::ScriptError;
pub use scripts::Scripts;
pub use sha::Sha;
