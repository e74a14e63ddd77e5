//! The bridge by which the console and the command line reach the node.

use std::time::Duration;

use tandem_admin::{AdminReply, AdminRequest};
use tandem_switch::MediatorEvent;
use tokio::sync::oneshot;

use crate::TurnClock;
use crate::inbox::{Gone, Mail, Outbox};

/// Sends operator requests to the data thread, from any thread.
#[derive(Clone)]
pub struct AdminHandle {
    outbox: Outbox,
    turns: TurnClock,
}

impl AdminHandle {
    pub(crate) const fn new(outbox: Outbox, turns: TurnClock) -> Self {
        Self { outbox, turns }
    }

    /// Whether the data thread is busy, and since when.
    pub fn turns(&self) -> TurnClock {
        self.turns.clone()
    }

    /// Asks and waits for the answer without blocking the thread.
    ///
    /// # Errors
    /// [`Gone`] when the data thread ended before it answered.
    pub async fn ask(&self, request: AdminRequest) -> Result<AdminReply, Gone> {
        self.send(request)?.await.map_err(|_| Gone)
    }

    /// Asks and blocks until the answer is there; not for async tasks.
    ///
    /// # Errors
    /// [`Gone`] when the data thread ended before it answered.
    pub fn ask_blocking(&self, request: AdminRequest) -> Result<AdminReply, Gone> {
        self.send(request)?.blocking_recv().map_err(|_| Gone)
    }

    /// Asks for an orderly end; returns at once.
    ///
    /// # Errors
    /// [`Gone`] when the data thread has ended already.
    pub fn shut_down(&self) -> Result<(), Gone> {
        self.outbox.send(Mail::Shutdown)
    }

    /// Asks to read the certificates again (SIGHUP); returns at once.
    ///
    /// # Errors
    /// [`Gone`] when the data thread has ended.
    pub fn reload_certificates(&self) -> Result<(), Gone> {
        self.outbox.send(Mail::ReloadCertificates)
    }

    /// Tells the node what the mediator said; returns at once.
    ///
    /// # Errors
    /// [`Gone`] when the data thread has ended.
    pub fn mediator_said(&self, event: MediatorEvent) -> Result<(), Gone> {
        self.outbox.send(Mail::Mediator(event))
    }

    /// Tells the node what was seen of the peer besides the link, or how the fence command ended; returns at
    /// once.
    ///
    /// # Errors
    /// [`Gone`] when the data thread has ended.
    pub fn seen(&self, seen: tandem_switch::Input) -> Result<(), Gone> {
        self.outbox.send(Mail::Unaided(seen))
    }

    /// Tells the node whether this machine holds the virtual address; returns at once.
    ///
    /// # Errors
    /// [`Gone`] when the data thread has ended.
    pub fn virtual_address(&self, held: bool, trouble: Option<String>) -> Result<(), Gone> {
        self.outbox.send(Mail::VirtualAddress { held, trouble })
    }

    /// Cuts the link to the peer for this long, for a drill; returns at once.
    ///
    /// # Errors
    /// [`Gone`] when the data thread has ended.
    pub fn isolate(&self, time: Duration) -> Result<(), Gone> {
        self.outbox.send(Mail::Isolate(time))
    }

    fn send(&self, request: AdminRequest) -> Result<oneshot::Receiver<AdminReply>, Gone> {
        let (reply, answer) = oneshot::channel();
        self.outbox.send(Mail::Admin { request, reply })?;
        Ok(answer)
    }
}
