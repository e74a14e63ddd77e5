//! Frees what is large, so that the data thread need not.

use std::sync::mpsc::Receiver;

/// Something to free.
#[expect(dead_code, reason = "what is in it is only dropped")]
pub(crate) enum Garbage {
    /// Values of the store.
    Values(tandem_store::Garbage),
    /// A whole key space.
    Store(Box<tandem_store::Store>),
}

/// Frees until there is nobody left to give.
pub(crate) fn run(orders: &Receiver<Garbage>) {
    for garbage in orders {
        drop(garbage);
    }
}
