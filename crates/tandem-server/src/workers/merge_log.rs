//! Files of what merging decided: written and read beside the data thread.

use std::sync::mpsc::Receiver;

use tandem_disk::Disk;
use tandem_node::{Input, MergeLog, MergeLogOrder};

use super::Reporter;

/// Works until nobody is left to ask.
pub(crate) fn run<D: Disk>(
    orders: &Receiver<MergeLogOrder>,
    mut log: MergeLog<D>,
    reporter: &Reporter,
) {
    for order in orders {
        reporter.tell(Input::MergeLog(log.carry_out(order)));
    }
}
