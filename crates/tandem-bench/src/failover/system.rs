//! What is measured: a pair of servers with somebody who switches them.

use std::net::SocketAddr;
use std::time::Duration;

/// Longest time for a pair to be whole again after anything that is done to it here.
pub(super) const WHOLE_TIME_MAX: Duration = Duration::from_secs(90);

/// How the primary is lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// kill -9 of the process that holds the data, and of nothing else.
    KillNode,
    /// kill -9 of everything on that machine at once. Here the kernel lives on and closes the sockets,
    /// which a machine without power does not.
    KillMachine,
    /// Everything on that machine stands still, sockets open and silent; it is killed later. To everybody
    /// else this is a machine that has vanished.
    Vanish,
}

/// A pair under test. Ends its processes with the value.
pub(super) trait System {
    /// What the table calls it.
    fn name(&self) -> String;
    /// Where clients ask for the primary.
    fn sentinels(&self) -> Vec<SocketAddr>;
    /// Waits until both servers hold everything and everybody agrees; returns where the primary is.
    fn wait_whole(&mut self) -> anyhow::Result<SocketAddr>;
    /// Takes the current primary away; calls `at_last` when only that is left to do.
    fn strike(&mut self, fault: Fault, at_last: &mut dyn FnMut()) -> anyhow::Result<()>;
    /// Brings what was taken away back, as an empty-handed person with a power switch would.
    fn bring_back(&mut self) -> anyhow::Result<()>;
    /// Asks for a planned change of primary.
    fn switch(&mut self) -> anyhow::Result<()>;
    /// Kills who switches: the mediator, or all Sentinels.
    fn kill_mediator(&mut self) -> anyhow::Result<()>;
    /// Starts it again.
    fn start_mediator(&mut self) -> anyhow::Result<()>;
}
