//! Topology `primary-primary`: both nodes serve, so there is nothing to decide between them.
//!
//! ```text
//!            state on disk     reign in the log       whole, or had data and waited for the peer
//!  Starting -------------> Beginning -------------> Waiting -------------------------------> Serving
//!                                                      ^                                        |
//!                                                      '---- given up by the peer (for good) <--'
//! ```
//! Each node's reign is over its own log alone and lasts as long as its incarnation. An empty directory waits
//! until its peer has said whether there is something to copy; one with data lets its peer's writes in first,
//! if the peer can be reached. A node stops only when its disk fails, or when its peer has a newer partner.
//!
//! **Not here:** what is exchanged, and how it is merged (`tandem-merge`).

use std::time::Duration;

use tandem_types::{Epoch, Lsn, Monotonic, NodeId, PairId, Role};

use crate::random::Random;
use crate::{
    Acknowledge, DemoteCause, Event, Exchange, Gap, Input, NodeState, Output, OwnEnds,
    PromoteCause, Refusal, RefusalKind, Reign, Request, Settings, Ticket, Why,
};

/// A node with data that reaches its peer takes in what it has missed for this long before it serves anyway.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);

/// The brain of one boot of one node.
#[derive(Clone, Debug)]
pub struct Both {
    settings: Settings,
    random: Random,
    state: NodeState,
    version: u64,
    phase: Phase,
    /// The directory held data when this boot began.
    had_data: bool,
    booted: Monotonic,
    /// When the peer was lost, or this boot began; `None`: it is there.
    alone_since: Option<Monotonic>,
    in_sync: bool,
    /// A person said to begin without the peer.
    forced: bool,
    /// The data came from a backup: it does not serve beside a peer that may have newer data.
    restored: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Nothing was done yet.
    New,
    /// The reign is being written to the state file.
    Starting,
    /// And to the log.
    Beginning,
    /// For the peer.
    Waiting,
    Serving,
    /// The peer has another partner.
    GivenUp,
    /// The disk failed.
    Failed,
}

/// The epoch of every reign here: it never changes hands.
const EPOCH: Epoch = Epoch::new(1);

impl Both {
    /// The brain of a boot that found `state` on disk. `seed` comes from the system's randomness.
    pub const fn new(settings: Settings, state: NodeState, seed: u64, now: Monotonic) -> Self {
        Self {
            settings,
            random: Random::new(seed),
            state,
            version: 0,
            phase: Phase::New,
            had_data: false,
            booted: now,
            alone_since: Some(now),
            in_sync: false,
            forced: false,
            restored: false,
        }
    }

    /// The directory's data came from a backup: only an empty peer, or a person, makes it the pair's.
    pub const fn hold_restored(&mut self) {
        self.restored = true;
    }

    /// Advances by one input, appending what must be done to `out` in order.
    #[expect(clippy::needless_pass_by_value, reason = "as every brain takes it")]
    pub fn step(&mut self, now: Monotonic, own: OwnEnds, input: Input, out: &mut Vec<Output>) {
        if self.phase == Phase::Failed {
            return;
        }
        match input {
            Input::PeerUp => self.alone_since = None,
            Input::PeerDown { silent: _ } => {
                self.alone_since.get_or_insert(now);
                self.in_sync = false;
            }
            Input::Persisted { version } if version == self.version => self.persisted(out),
            Input::ReignBegun { .. } if self.phase == Phase::Beginning => {
                self.phase = Phase::Waiting;
            }
            Input::Exchange(exchange) => self.exchanged(exchange, out),
            Input::Ask { ticket, request } => self.ask(ticket, request, out),
            Input::LogFailed => self.stop_serving(DemoteCause::LogFailed, Phase::Failed, out),
            Input::Persisted { .. }
            | Input::ReignBegun { .. }
            | Input::PeerSaid(_)
            | Input::PeerStatus(_)
            | Input::Follower(_)
            | Input::FellBehind
            | Input::Copying(_)
            | Input::Lacking(_)
            | Input::HigherEpoch(_)
            | Input::Mediator(_)
            | Input::PeerDied(_)
            | Input::Testified(_)
            | Input::ChannelHeard { .. }
            | Input::Fenced(_)
            | Input::Pinged { .. }
            | Input::Probed { .. }
            | Input::Address(_)
            | Input::Confirmed { .. }
            | Input::Trouble(_)
            | Input::Tick => {}
        }
        if self.phase == Phase::New {
            self.begin(own, out);
        }
        if self.serve_at().is_some_and(|at| now >= at) {
            let cause = if self.forced { PromoteCause::Forced } else { PromoteCause::Returned };
            self.serve(cause, out);
        }
    }

    fn begin(&mut self, own: OwnEnds, out: &mut Vec<Output>) {
        self.had_data = own.appended_end > Lsn::new(1);
        if self.state.reign.is_some() {
            return self.begin_reign(own.appended_end, out);
        }
        self.state.pair_id = pair_id(&self.settings);
        self.state.epoch_seen = EPOCH;
        let fork = self.random.fork();
        self.state.reign = Some(Reign { epoch: EPOCH, fork, primary: self.settings.node });
        self.version += 1;
        self.phase = Phase::Starting;
        out.push(Output::Persist { version: self.version, state: self.state });
    }

    fn persisted(&mut self, out: &mut Vec<Output>) {
        if self.phase == Phase::Starting {
            out.push(Output::Event(Event::PairCreated(self.state.pair_id)));
            self.begin_reign(Lsn::ZERO, out);
        }
    }

    /// The first record of the log, unless a boot before this one wrote it.
    fn begin_reign(&mut self, appended_end: Lsn, out: &mut Vec<Output>) {
        let Some(reign) = self.state.reign else { return };
        if appended_end > Lsn::ZERO {
            self.phase = Phase::Waiting;
            return;
        }
        self.phase = Phase::Beginning;
        out.push(Output::BeginReign { reign, pair_id: self.state.pair_id });
    }

    fn exchanged(&mut self, exchange: Exchange, out: &mut Vec<Output>) {
        match exchange {
            Exchange::Whole => {
                let returned =
                    if self.had_data { PromoteCause::Returned } else { PromoteCause::Created };
                self.serve(returned, out);
            }
            Exchange::InSync(in_sync) => self.in_sync = in_sync,
            Exchange::GivenUp => {
                self.stop_serving(DemoteCause::HigherEpoch, Phase::GivenUp, out);
            }
        }
    }

    fn serve(&mut self, cause: PromoteCause, out: &mut Vec<Output>) {
        let (Phase::Waiting, Some(reign)) = (self.phase, self.state.reign) else { return };
        self.phase = Phase::Serving;
        out.push(Output::Serve { epoch: reign.epoch });
        out.push(Output::Event(Event::Promoted { reign, cause }));
    }

    fn stop_serving(&mut self, cause: DemoteCause, next: Phase, out: &mut Vec<Output>) {
        if self.phase == Phase::Serving {
            out.push(Output::Demote { epoch: EPOCH, cause });
            out.push(Output::Event(Event::Demoted { epoch: EPOCH, cause }));
        }
        self.phase = next;
        self.in_sync = false;
    }

    fn ask(&mut self, ticket: Ticket, request: Request, out: &mut Vec<Output>) {
        let refusal = |kind, text: &str| Err(Refusal { kind, text: text.to_owned() });
        let answer = match (request, self.phase) {
            (Request::Stop, _) => Ok("the other node goes on".to_owned()),
            (
                Request::Solo { force: false },
                Phase::New | Phase::Starting | Phase::Beginning | Phase::Waiting,
            ) if self.alone_since.is_none() => refusal(
                RefusalKind::WrongRole,
                "the peer is connected, and this node takes in what it has first: wait for that (`tandem why`); with --force it begins without",
            ),
            (
                Request::Promote { force: true, .. } | Request::Solo { .. },
                Phase::New | Phase::Starting | Phase::Beginning | Phase::Waiting,
            ) => {
                self.forced = true;
                Ok("this node serves; its peer joins it when it comes".to_owned())
            }
            (
                Request::Promote { .. },
                Phase::New | Phase::Starting | Phase::Beginning | Phase::Waiting,
            ) => refusal(
                RefusalKind::NoPeer,
                "this node waits for its peer, which may have data: with --force it begins without",
            ),
            (Request::Promote { .. }, Phase::Serving) => {
                refusal(RefusalKind::AlreadyPrimary, "this node is primary already, as its peer is")
            }
            (_, Phase::GivenUp) => refusal(
                RefusalKind::NoData,
                "the peer goes on with another partner: empty this data directory, then start the node again",
            ),
            _ => refusal(
                RefusalKind::WrongRole,
                "both nodes are primary (pair.topology = \"primary-primary\"): there is nothing to change",
            ),
        };
        out.push(Output::Answer { ticket, answer });
    }

    /// When a node with data serves although it has not heard everything of its peer.
    fn serve_at(&self) -> Option<Monotonic> {
        if self.phase == Phase::Waiting && self.forced {
            return Some(self.booted);
        }
        if self.phase != Phase::Waiting || !self.had_data || self.restored {
            return None;
        }
        let reached = self.booted.plus(CATCH_UP_MAX);
        let alone = self.alone_since.map(|at| at.plus(self.settings.failure_timeout));
        Some(alone.map_or(reached, |alone| alone.min(reached)))
    }

    /// When a tick is due.
    pub fn deadline(&self) -> Option<Monotonic> {
        self.serve_at()
    }

    /// What people see.
    pub const fn role(&self) -> Role {
        match self.phase {
            Phase::Serving => Role::Primary,
            Phase::GivenUp | Phase::Failed => Role::Isolated,
            Phase::New | Phase::Starting | Phase::Beginning | Phase::Waiting => Role::Joining,
        }
    }

    /// The reign of this node over its own log.
    pub const fn reign(&self) -> Option<Reign> {
        self.state.reign
    }

    /// The highest epoch this node has heard of.
    pub const fn epoch_seen(&self) -> Epoch {
        self.state.epoch_seen
    }

    /// This node, if it serves.
    pub fn primary(&self) -> Option<NodeId> {
        self.is_serving().then_some(self.settings.node)
    }

    /// Whether clients may be served now.
    pub const fn is_serving(&self) -> bool {
        matches!(self.phase, Phase::Serving)
    }

    /// Never in a moment: whoever waits here waits for what the peer has.
    pub const fn is_starting(&self) -> bool {
        false
    }

    /// Whether the peer is there and has what was acknowledged.
    pub const fn is_in_sync(&self) -> bool {
        self.in_sync
    }

    /// What is on disk once all writes are done.
    pub const fn state(&self) -> &NodeState {
        &self.state
    }

    /// When a write is answered.
    pub const fn acknowledge(&self) -> Acknowledge {
        self.settings.acknowledge
    }

    /// Nobody is promoted here.
    pub const fn gap(&self) -> Gap {
        Gap::Zero
    }

    /// What this node is waiting for.
    pub fn why(&self) -> Why {
        let peer = self.settings.peer_name();
        match self.phase {
            Phase::Serving if self.in_sync => {
                Why::now("serves, as its peer does; each has what the other acknowledged")
            }
            Phase::Serving => Why::now("serves; the peer does not have everything yet, or is away"),
            Phase::New | Phase::Starting | Phase::Beginning => Why::now("begins"),
            Phase::Waiting if self.restored => Why {
                forcing: Some(format!(
                    "`tandem promote --force` makes what was restored the pair's data: what {peer} has besides cannot be joined to it any more"
                )),
                ..Why::waits(
                    "does not serve: its data was restored from a backup",
                    &format!(
                        "nobody has said that it is the data to go on with; {peer} may have newer data"
                    ),
                    &format!(
                        "{peer}: an empty one takes a copy, from one with data this node takes a copy and sets what was restored aside; or a person"
                    ),
                )
            },
            Phase::Waiting => Why {
                forcing: Some(format!(
                    "if {peer} has data, the two cannot be joined any more: one of them has to be emptied"
                )),
                ..Why::waits(
                    "waits for its peer",
                    &format!("{peer} has not said yet what there is to copy or to catch up with"),
                    &format!("{peer}, once the link is up"),
                )
            },
            Phase::GivenUp => Why::waits(
                "does not serve: the peer goes on with another partner",
                "this data directory is not the pair's any more",
                "a person: empty it, then start the node again",
            ),
            Phase::Failed => Why::now("its disk failed"),
        }
    }
}

/// The pair of these two nodes: both come to the same without having met.
fn pair_id(settings: &Settings) -> PairId {
    let mut id = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58du128;
    let names = [settings.names.a.as_bytes(), b"/", settings.names.b.as_bytes()];
    for byte in names.into_iter().flatten() {
        // FNV-1a: a mark, not a secret. Who is whose peer is decided by incarnations.
        id = (id ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    PairId::new(id.max(1))
}

#[cfg(test)]
mod tests;
