//! What the event loop drives: a node, or its stand-in while the data is being loaded.

use std::time::Duration;

use tandem_log::Batch;
use tandem_node::{CertificateEnd, ConnId, Foyer, Input, Output};
use tandem_switch::BootId;
use tandem_types::{Incarnation, Monotonic, Now, PairId};

/// Who this node is, as the link tells the peer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Identity {
    /// Life of the data directory.
    pub incarnation: Incarnation,
    /// The pair its data belongs to.
    pub pair_id: PairId,
    /// The number of this boot of the directory ([`tandem_switch::next_boot`]); 0: it is still being read.
    pub boots: u64,
}

impl Identity {
    /// This boot of the data directory; `None` while it is being read.
    pub(crate) fn boot_id(self) -> Option<BootId> {
        (self.boots > 0).then_some(BootId { incarnation: self.incarnation, boot: self.boots })
    }
}

/// Takes inputs, gives outputs, and holds the bytes that may leave to each client.
///
/// A trait and not the node itself, because the listeners are open (and answer `-LOADING`) before there
/// is a node, and stay open while one is replaced.
pub(crate) trait Brain: Send {
    /// One thing happened.
    fn step(&mut self, now: Now, input: Input<'_>, out: &mut Vec<Output>);

    /// When [`Input::Tick`] is due at the latest.
    fn deadline(&self) -> Option<Monotonic>;

    /// Whether another [`Input::EndOfTurn`] has work to do at once.
    fn wants_turn(&self) -> bool {
        false
    }

    /// These bytes will come as [`Input::Received`] next: time to fetch what they need. Changes nothing.
    fn foresee(&self, _received: &mut dyn Iterator<Item = (ConnId, &[u8])>) {}

    /// Appends the connections that got bytes that may leave since the last call to `dirty`.
    fn take_dirty(&mut self, dirty: &mut Vec<ConnId>);

    /// The bytes that may leave to a client now.
    fn writable(&mut self, conn: ConnId) -> &[u8];

    /// The first `count` of [`Self::writable`] left.
    fn written(&mut self, conn: ConnId, count: usize);

    /// Whether a client that sends no more waits for replies.
    fn owes(&self, conn: ConnId) -> bool;

    /// Connections there may be at once.
    fn clients_max(&self) -> usize;

    /// What a client has settled with a stand-in.
    fn take_foyer(&mut self, _conn: ConnId) -> Option<Foyer> {
        None
    }

    /// What a client that was accepted just now has settled before.
    fn take_over(&mut self, _conn: ConnId, _foyer: Foyer) {}

    /// Input that a stand-in kept of a client's unfinished request.
    fn take_unread(&mut self, conn: ConnId) -> Vec<u8>;

    /// Gives back a batch that was written, so that its buffer is used again.
    fn recycle(&mut self, batch: Batch) {
        drop(batch);
    }

    /// Looks at what the process uses; about once per second. `slowest_turn`: the longest that a request
    /// had to wait for its turn since the last look; `waited`: what every request had to wait.
    fn refresh_facts(&mut self, _slowest_turn: Duration, _waited: Duration) {}

    /// The certificate is read, first or again.
    fn set_certificate(&mut self, _certificate: Option<CertificateEnd>) {}

    /// What this node says of itself on every channel; `None`: nobody listens.
    fn vitals(&self) -> Option<tandem_switch::Vitals> {
        None
    }
    /// Who this node is.
    fn identity(&self) -> Identity;
}
