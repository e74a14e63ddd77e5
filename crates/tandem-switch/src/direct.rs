//! `by = "direct"` and `by = "probe"`: two nodes and nobody else, and yet no person is needed.
//!
//! ```text
//!  channels, probe, pings --> Watch: is the peer silent, since when, do I trust my own network
//!  certificate, fence     --> Proof                                   |
//!                                '------------> policy <--------------'
//!                                                 | what a person would ask for
//!                                                 v
//!                                       Manual: sets on two disks, epochs, planned changes
//! ```
//! The core is the brain that a person commands ([`Manual`]); this is the autopilot in the person's place.
//! A person's word is replaced by proof, and silence is none:
//! - *take over*: the primary's boot has ended, says its supervisor, and the set on its disk names this
//!   node; or the fence command has made sure that it is off. With `on_silence = "take-over"` silence is
//!   enough, and both may serve.
//! - *go alone*: the standby's boot has ended, or it has resigned, or the fence command has made sure. With
//!   no fence and `without_peer = "serve"` silence is enough: a standby never takes over on silence, and the
//!   set {self} is on disk before anything is acknowledged alone.
//!
//! Both rest on *unbroken contact*: a node believes a proof only about a boot of the peer after which it has
//! met no later one, and only if this process itself has seen that it holds everything. So whatever the
//! peer may have learnt of this node's death cannot have made it go alone meanwhile.
//!
//! **Not here:** how reports travel, how commands are run (`tandem-channel`, the server).

mod address;
mod alone;
mod explain;
mod probe;
mod proof;
mod takeover;
#[cfg(test)]
mod tests;
mod view;
mod watch;
mod wishes;

use tandem_types::Monotonic;

pub use self::probe::ProbeState;
use self::proof::Proofs;
pub use self::watch::ChannelState;
use self::watch::Watch;
use crate::manual::pilot::Piloted;
use crate::pausing::Pausing;
use crate::policy::Decisions;
use crate::{
    BootFacts, DemoteCause, Event, Input, Manual, NodeState, Output, OwnEnds, PromoteCause, Reign,
    Request, Settings, Ticket, Trouble,
};

/// The brain of one boot of one node.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Direct {
    core: Manual,
    /// When the last input came.
    stepped: Monotonic,
    watch: Watch,
    proofs: Proofs,
    decisions: Decisions,
    pausing: Pausing,
    trouble: Option<Trouble>,
    starts: u32,
    started: Monotonic,
    /// The own reign that ended here because this node saw nobody.
    left_alone: Option<Reign>,
    /// The revision of the set that this node has left by its own word in this process.
    resigning: Option<u64>,
    /// When a primary that fails its clients was asked to hand over.
    asked_at: Option<Monotonic>,
    /// While the link is down: the peer serves a later reign than any of this node, says another channel.
    outreigned: bool,
}

impl Direct {
    /// The brain of a boot that found `state` on disk. `seed` comes from the system's randomness.
    pub fn new(
        settings: Settings,
        state: NodeState,
        facts: BootFacts,
        seed: u64,
        now: Monotonic,
    ) -> Self {
        let channels = settings.automatic.unaided.channels;
        Self {
            core: Manual::new(settings, state, seed, now),
            stepped: now,
            watch: Watch::new(channels, now),
            proofs: Proofs::default(),
            decisions: Decisions::default(),
            pausing: Pausing::default(),
            trouble: None,
            starts: facts.starts_in_window,
            started: now,
            left_alone: None,
            resigning: None,
            asked_at: None,
            outreigned: false,
        }
    }

    /// Advances by one input, appending what must be done to `out` in order. `own` must be as of now:
    /// what counts as acknowledged is taken from it.
    pub fn step(&mut self, now: Monotonic, own: OwnEnds, input: Input, out: &mut Vec<Output>) {
        self.stepped = now;
        let first = out.len();
        self.core.pilot(self.piloted(now));
        match input {
            Input::ChannelHeard { channel, asked, round_trip, vitals } => {
                self.watch.heard(channel, asked, round_trip, vitals);
                self.core.step(now, own, Input::Tick, out);
                self.channel_said(vitals, out);
            }
            Input::Testified(testimony) => self.proofs.testimony = Some(testimony),
            Input::PeerDied(boot) => {
                self.proofs.testimony = Some(crate::Testimony { boot, in_sync: None });
            }
            Input::Fenced(ended) => self.fence_ended(now, ended, out),
            Input::Pinged { asked, reached } => self.watch.pinged(now, asked, reached),
            Input::Probed { asked, probed } => self.probed(asked, probed),
            Input::Address(hint) => self.address_moved(now, hint),
            Input::Trouble(trouble) => self.trouble = trouble,
            Input::Ask { ticket, request } => self.ask(now, own, (ticket, request), out),
            heard @ (Input::PeerSaid(_) | Input::PeerStatus(_) | Input::Follower(_)) => {
                self.watch.link_heard(now);
                self.core.step(now, own, heard, out);
            }
            other => self.core.step(now, own, other, out),
        }
        self.core.pilot(self.piloted(now));
        self.core.step(now, own, Input::Tick, out);
        self.look(now, out);
        self.note_changes(now, out, first);
        self.tend(now, out);
        self.note_changes(now, out, first);
        self.decisions.tend(now, self.core.epoch_seen(), out);
        let peer = format!("node {}", self.core.settings().peer_name());
        self.pausing.tend(now, self.core.pause_is_told(), &peer, out);
    }

    fn pause(&mut self, now: Monotonic, ticket: Ticket, on: bool, out: &mut Vec<Output>) {
        let already = self.core.pause(on, out);
        self.pausing.ask(now, ticket, on, already);
    }

    fn ask(
        &mut self,
        now: Monotonic,
        own: OwnEnds,
        (ticket, request): (Ticket, Request),
        out: &mut Vec<Output>,
    ) {
        match request {
            Request::Confirm => self.decisions.confirm(ticket, out),
            Request::Reject => self.decisions.reject(ticket, self.core.epoch_seen(), out),
            Request::Pause => self.pause(now, ticket, true, out),
            Request::Resume => self.pause(now, ticket, false, out),
            Request::Promote { .. }
            | Request::Switch { .. }
            | Request::Solo { .. }
            | Request::Stop => {
                self.core.step(now, own, Input::Ask { ticket, request }, out);
            }
        }
    }

    /// What the core must know of what only the autopilot sees.
    fn piloted(&self, now: Monotonic) -> Piloted {
        Piloted {
            decides: true,
            fences: self.unaided().fence,
            doubt: self.doubts(),
            held_back: self.outreigned
                || (self.watch.is_cut_off(self.unaided()) && self.is_silent(now)),
            unwell: self.trouble.is_some(),
        }
    }

    /// Learns from where the core stands now.
    fn look(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        self.watch.note_link(now, self.core.is_linked());
        if let Some(greeting) = self.core.peer_greeting() {
            self.outreigned = false;
            self.core.adopt_pause(greeting.pauses, out);
        }
        if let Some(boot) = self.core.peer_boot() {
            self.watch.linked_with(boot);
            // One that fails its clients may be fenced although it speaks: the command is run once.
            if self.probe_verdict().is_none() {
                self.forget_fence();
            }
        }
        self.look_for_proofs();
        if self.core.follows_in_word() {
            self.left_alone = None;
            self.resigning = self.resigning.filter(|_| self.core.resigned());
        }
        let whole = self.core.serves().is_some() && self.core.peer_is_ready();
        self.decisions.in_sync_since = match self.decisions.in_sync_since {
            since @ Some(_) if whole => since,
            _ => whole.then_some(now),
        };
    }

    /// A change of primary, whoever made it, begins the time in which none is made by itself.
    fn note_changes(&mut self, now: Monotonic, out: &[Output], first: usize) {
        for output in out.iter().skip(first) {
            let Output::Event(event) = output else { continue };
            let changed = match event {
                Event::Promoted { cause, .. } => {
                    !matches!(cause, PromoteCause::Created | PromoteCause::Returned)
                }
                Event::Following(reign) => self.watch.note_reign(*reign),
                Event::Demoted { cause: DemoteCause::HandedOver, .. } => {
                    // That is what its restarts can lead to, and no reason to give the role away again.
                    self.starts = 0;
                    false
                }
                _ => false,
            };
            if changed {
                self.decisions.switched_at = Some(now);
                self.watch.forget_probes();
            }
            if let Event::Promoted { reign, .. } = event {
                self.watch.note_reign(*reign);
            }
        }
    }

    /// Does what has become possible, whatever input made it so.
    fn tend(&mut self, now: Monotonic, out: &mut Vec<Output>) {
        if self.core.serves().is_some() {
            self.tend_own_right(now, out);
            self.tend_alone(now, out);
            self.tend_wishes(now, out);
        } else if self.core.is_free() {
            self.tend_takeover(now, out);
            self.tend_resignation(now, out);
            self.tend_return(now, out);
        }
    }

    const fn unaided(&self) -> &crate::Unaided {
        &self.core.settings().automatic.unaided
    }

    /// Nothing has been heard of the peer, in any way, for `failure_timeout`.
    fn is_silent(&self, now: Monotonic) -> bool {
        self.silent_since()
            .is_some_and(|since| now >= since.plus(self.core.settings().failure_timeout))
    }

    /// Since when nothing is heard; `None`: the link is up.
    fn silent_since(&self) -> Option<Monotonic> {
        (!self.core.is_linked()).then(|| self.watch.last_heard())
    }

    fn peer_words(&self) -> String {
        format!("node {}", self.core.settings().peer_name())
    }
}
