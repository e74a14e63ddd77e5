//! How other threads reach the data thread: a queue and a wake-up.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::Duration;

use mio::{Registry, Token, Waker};
use tandem_admin::{AdminReply, AdminRequest};
use tandem_log::Batch;
use tandem_node::Input;
use tandem_switch::MediatorEvent;
use tokio::sync::oneshot;

use crate::boot::Booted;

/// One message to the data thread.
pub(crate) enum Mail {
    /// A worker got on. `life` is the boot it worked for: what an earlier boot's workers say is moot.
    Worker {
        /// Number of the boot.
        life: u32,
        /// What it says.
        input: Input<'static>,
    },
    /// The log thread has written these batches.
    Written {
        /// Number of the boot.
        life: u32,
        /// For their buffers.
        batches: Vec<Batch>,
        /// How far the log is.
        progress: Input<'static>,
    },
    /// The peer's name was looked up.
    PeerFound(Result<Vec<SocketAddr>, String>),
    /// Recovery is over.
    Booted(Box<Booted>),
    /// An operator asks.
    Admin {
        /// What.
        request: AdminRequest,
        /// Where the answer goes.
        reply: oneshot::Sender<AdminReply>,
    },
    /// The mediator answers or tells something.
    Mediator(MediatorEvent),
    /// Something was seen of the peer besides the link, or the fence command has ended.
    Unaided(tandem_switch::Input),
    /// The virtual address was taken or given up, or could not be.
    VirtualAddress {
        /// It is bound on this machine.
        held: bool,
        /// What the system said.
        trouble: Option<String>,
    },
    /// Have no link for a while (a drill).
    Isolate(Duration),
    /// End in an orderly way.
    Shutdown,
    /// Read the certificates again.
    ReloadCertificates,
}

/// The sending end; cheap to clone.
#[derive(Clone)]
pub(crate) struct Outbox {
    mail: Sender<Mail>,
    bell: Arc<Bell>,
}

/// The data thread is gone.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the node is shutting down")]
pub struct Gone;

struct Bell {
    waker: Waker,
    /// Rung and not yet heard: no second system call is needed.
    rung: AtomicBool,
}

impl Outbox {
    /// Sends `mail` and wakes the data thread.
    pub(crate) fn send(&self, mail: Mail) -> Result<(), Gone> {
        self.mail.send(mail).map_err(|_| Gone)?;
        // Release: whoever hears the bell sees the mail.
        if !self.bell.rung.swap(true, Ordering::AcqRel) {
            self.bell.waker.wake().map_err(|_| Gone)?;
        }
        Ok(())
    }
}

/// The receiving end.
pub(crate) struct Inbox {
    mail: Receiver<Mail>,
    bell: Arc<Bell>,
}

impl Inbox {
    /// A queue that wakes the poll of `registry` with `token`.
    pub(crate) fn new(registry: &Registry, token: Token) -> io::Result<(Self, Outbox)> {
        let (sender, mail) = mpsc::channel();
        let bell =
            Arc::new(Bell { waker: Waker::new(registry, token)?, rung: AtomicBool::new(false) });
        Ok((Self { mail, bell: Arc::clone(&bell) }, Outbox { mail: sender, bell }))
    }

    /// Before taking mail: whatever is sent from now on rings again.
    pub(crate) fn hear(&self) {
        // A read-modify-write and not a store: a sender that saw `true` comes before it, and so its mail
        // is seen by what follows.
        self.bell.rung.swap(false, Ordering::AcqRel);
    }

    /// The next message, if there is one.
    pub(crate) fn take(&self) -> Option<Mail> {
        self.mail.try_recv().ok()
    }
}
