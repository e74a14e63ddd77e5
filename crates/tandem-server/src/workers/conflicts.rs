//! Files of saved writes: written, read and decided on beside the data thread.

use std::sync::mpsc::Receiver;

use tandem_disk::Disk;
use tandem_node::{ConflictOrder, Desk, Input};

use super::Reporter;

/// Works until nobody is left to ask.
pub(crate) fn run<D: Disk>(orders: &Receiver<ConflictOrder>, desk: &Desk<D>, reporter: &Reporter) {
    for order in orders {
        reporter.tell(Input::Conflicts(desk.carry_out(order)));
    }
}
