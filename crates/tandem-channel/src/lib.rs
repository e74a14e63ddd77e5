//! Health reports between the two nodes, over every path there is besides the link.
//!
//! ```text
//!  the loop that serves writes --Vitals--> Conversation (one per channel) --frame--> TCP | serial line
//!  the node <---- heard, asked when, round trip ----'          <--------------------'
//! ```
//! A frame is small enough for a serial line, carries a keyed checksum, a number that only rises, and the
//! number of the frame that it answers. The peer counts as alive as of when *that* frame was sent, so
//! whatever is recorded and repeated proves nothing new, and a path that works in one direction only is
//! silent. Bytes: `docs/formats/channel.md`.
//!
//! Invariants: nothing is sent that the serving loop did not cause; no bytes make anything here panic;
//! memory is bounded by one frame per direction and connection.
//!
//! **Not here:** what silence means (`tandem-switch`), the link itself (`tandem-link`).
#![forbid(unsafe_code)]

mod conversation;
mod endpoint;
mod fence;
mod frame;
mod ping;
mod places;
mod serial;
mod tcp;

pub use conversation::{Conversation, Heard, Received};
pub use endpoint::{Endpoint, EndpointError};
pub use fence::fence;
pub use frame::{FRAME_BYTES, Key};
pub use ping::reach_any;

use std::sync::{Arc, Mutex, PoisonError};

use tandem_switch::Vitals;
use tandem_types::{Monotonic, NodeId};
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

/// Reports that may wait for a slow path: the newest are what counts.
const REPORTS_WAITING_MAX: usize = 2;

/// What one channel is told.
#[derive(Clone, Debug)]
pub struct ChannelSettings {
    /// Its number, from 0 in the order of the configuration.
    pub index: u8,
    /// This node.
    pub node: NodeId,
    /// The pair's name: frames of another one are not heard.
    pub pair: String,
    /// What both nodes know.
    pub key: Key,
    /// This node's end.
    pub own: Endpoint,
    /// The other end.
    pub peer: Endpoint,
    /// Random, of this process.
    pub nonce: u64,
    /// This machine's clock.
    pub now: fn() -> Monotonic,
}

/// What connections of one channel share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) settings: Arc<ChannelSettings>,
    conversation: Arc<Mutex<Conversation>>,
    reports: broadcast::Sender<Vitals>,
    tell: Arc<dyn Fn(Heard) + Send + Sync>,
}

impl Shared {
    pub(crate) fn reports(&self) -> broadcast::Receiver<Vitals> {
        self.reports.subscribe()
    }

    pub(crate) fn frame(&self, vitals: Vitals) -> [u8; FRAME_BYTES] {
        let now = (self.settings.now)();
        self.conversation().report(now, vitals)
    }

    /// Takes bytes of one connection; `rest` is what that connection has not understood yet.
    ///
    /// Gives whether a new frame of the peer was among them.
    pub(crate) fn received(&self, rest: &mut Vec<u8>) -> bool {
        let now = (self.settings.now)();
        let Received { heard, is_peer } = self.conversation().receive(now, rest);
        for heard in heard {
            (self.tell)(heard);
        }
        is_peer
    }

    fn conversation(&self) -> std::sync::MutexGuard<'_, Conversation> {
        // Nothing is left half done by a panic in there.
        self.conversation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running channel: takes this node's reports.
pub struct Channel {
    reports: broadcast::Sender<Vitals>,
}

impl Channel {
    /// Starts it on `runtime`; `tell` gets what is heard, and must not block.
    pub fn start(
        runtime: &Handle,
        settings: ChannelSettings,
        tell: impl Fn(Heard) + Send + Sync + 'static,
    ) -> (Self, JoinHandle<()>) {
        let (reports, _) = broadcast::channel(REPORTS_WAITING_MAX);
        let conversation = Conversation::new(&settings);
        let shared = Shared {
            settings: Arc::new(settings),
            conversation: Arc::new(Mutex::new(conversation)),
            reports: reports.clone(),
            tell: Arc::new(tell),
        };
        let task = match (&shared.settings.own, &shared.settings.peer) {
            (Endpoint::Serial { .. }, _) => runtime.spawn(serial::run(shared)),
            (Endpoint::Tcp(_), _) => runtime.spawn(tcp::run(shared)),
        };
        (Self { reports }, task)
    }

    /// Says this on the channel, if anybody is there.
    pub fn report(&self, vitals: Vitals) {
        // Without a connection nobody listens.
        self.reports.send(vitals).ok();
    }
}
