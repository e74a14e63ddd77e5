//! Clients of our own, for the demonstration and for drills: they write, remember what was acknowledged,
//! and so can tell what was lost and for how long nobody accepted writes.

mod load;
mod resp;

pub(crate) use load::{Load, Manner, Receipt, is_redirection};
pub(crate) use resp::{Connection, Reply};
