//! What an unaided pair goes by besides its link: a second channel, supervisors, a fence.

use std::time::Duration;

use tandem_switch::{BootId, Input, NodeState, Testimony, Vitals};
use tandem_types::{Monotonic, NodeId};

use crate::rng::Rng;

#[derive(Debug)]
pub(crate) struct Outside {
    /// The second channel carries what is said.
    pub(crate) channel_up: bool,
    /// At its slowest, always.
    slow: bool,
    mail: Vec<(u64, NodeId, Input)>,
    shots: Vec<(u64, NodeId)>,
    /// When each node heard its peer on the second channel, and as of when it lived then, in this process.
    pub(crate) heard: tandem_types::Pair<Vec<(u64, u64)>>,
}

impl Outside {
    pub(crate) fn new(slow: bool) -> Self {
        Self {
            channel_up: true,
            slow,
            mail: Vec::new(),
            shots: Vec::new(),
            heard: tandem_types::Pair::default(),
        }
    }

    /// The supervisor of `id` tells the peer; at times much later than it should.
    pub(crate) fn testify(&mut self, id: NodeId, state: &NodeState, now: u64, rng: &mut Rng) {
        let late = if rng.chance(200) { 900 } else { 20 };
        let boot = BootId { incarnation: state.incarnation, boot: state.boot };
        let testimony = Testimony { boot, in_sync: state.in_sync };
        self.mail.push((now + 1 + rng.below(late), id.peer(), Input::Testified(testimony)));
    }

    /// A health report of `id`.
    pub(crate) fn report(&mut self, id: NodeId, vitals: Vitals, now: u64, rng: &mut Rng) {
        if !self.channel_up {
            return;
        }
        // A serial line at its worst.
        let late = if self.slow || rng.chance(100) { 400 } else { 30 };
        let heard = Input::ChannelHeard {
            channel: 0,
            asked: Monotonic::from_millis(now.saturating_sub(rng.below(20))),
            round_trip: Duration::from_millis(5),
            vitals,
        };
        self.mail.push((now + 1 + rng.below(late), id.peer(), heard));
    }

    /// The fence command of `id`: most times it succeeds, and then the peer is off before it says so.
    pub(crate) fn fence(&mut self, id: NodeId, now: u64, rng: &mut Rng) {
        let done = now + 2 + rng.below(150);
        if rng.chance(750) {
            self.shots.push((done - 1, id.peer()));
            self.mail.push((done, id, Input::Fenced(Ok(()))));
        } else {
            self.mail.push((done, id, Input::Fenced(Err("no answer".to_owned()))));
        }
    }

    /// What arrives now.
    pub(crate) fn due(&mut self, now: u64) -> Vec<(NodeId, Input)> {
        let (due, later) = std::mem::take(&mut self.mail).into_iter().partition(|it| it.0 <= now);
        self.mail = later;
        let due: Vec<(u64, NodeId, Input)> = due;
        due.into_iter().map(|(_, id, input)| (id, input)).collect()
    }

    /// Whose machine is switched off now.
    pub(crate) fn shots(&mut self, now: u64) -> Vec<NodeId> {
        let (due, later) = std::mem::take(&mut self.shots).into_iter().partition(|it| it.0 <= now);
        self.shots = later;
        let due: Vec<(u64, NodeId)> = due;
        due.into_iter().map(|(_, id)| id).collect()
    }
}
