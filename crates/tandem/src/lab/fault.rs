//! The faults: what is done to a pair, and what ends it.

use rustix::process::Signal;

use crate::cli::LabFault;
use crate::lab::load::Load;
use crate::lab::pair::Pair;

/// For the report.
pub(crate) const fn says(fault: LabFault) -> &'static str {
    match fault {
        LabFault::Kill => "kill -9 of the primary's process; its supervisor lives",
        LabFault::Machine => "the primary's whole machine is gone, and comes back",
        LabFault::Freeze => "the primary's machine stands still, then goes on",
        LabFault::Link => "the line between the nodes is cut, then mended; clients reach both",
        LabFault::Sites => {
            "the line between two sites is cut, then mended; half of the clients reach only one node, half only the other"
        }
        LabFault::Switch => "planned change of primary (tandem switch)",
        LabFault::Stop => "the primary is stopped in good order (SIGTERM), and started again",
        LabFault::Mediator => "kill -9 of the third party, which comes back",
    }
}

/// Whether it lasts, so that something has to be mended.
pub(crate) const fn lasts(fault: LabFault) -> bool {
    match fault {
        LabFault::Kill | LabFault::Switch => false,
        LabFault::Machine
        | LabFault::Freeze
        | LabFault::Link
        | LabFault::Sites
        | LabFault::Stop
        | LabFault::Mediator => true,
    }
}

/// Does it to the node of this place (0 or 1), and to the clients.
pub(crate) fn strike(
    fault: LabFault,
    pair: &mut Pair,
    load: &Load,
    victim: usize,
) -> anyhow::Result<()> {
    load.part(fault == LabFault::Sites);
    match fault {
        LabFault::Kill => pair.signal_process(victim, Signal::KILL),
        LabFault::Machine => pair.lose_machine(victim),
        LabFault::Freeze => {
            // The supervisor first: it must not see its child stand still and act on it.
            pair.signal_supervisor(victim, Signal::STOP);
            pair.signal_process(victim, Signal::STOP);
        }
        LabFault::Link | LabFault::Sites => pair.line.cut(),
        LabFault::Switch => pair.switch(victim)?,
        LabFault::Stop => pair.signal_supervisor(victim, Signal::TERM),
        LabFault::Mediator => pair.kill_witness(),
    }
    Ok(())
}

/// Ends it: the line is whole, what stood still goes on, what is gone is started again.
pub(crate) fn mend(
    fault: LabFault,
    pair: &mut Pair,
    load: &Load,
    victim: usize,
) -> anyhow::Result<()> {
    load.part(false);
    if fault == LabFault::Freeze {
        pair.signal_process(victim, Signal::CONT);
        pair.signal_supervisor(victim, Signal::CONT);
    }
    pair.line.mend();
    pair.start_what_is_down((fault == LabFault::Stop).then_some(victim))
}
