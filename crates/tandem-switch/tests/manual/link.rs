//! One connection at a time: ordered in each direction, slow, and cut without warning.

use std::collections::VecDeque;

use tandem_types::{Epoch, ForkId, NodeId, Pair};

/// One record of the toy log.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Rec {
    pub(crate) epoch: Epoch,
    pub(crate) fork: ForkId,
    /// 0: the start of a reign.
    pub(crate) id: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Msg {
    Switch(Vec<u8>),
    Follow {
        epoch: Epoch,
        log: Vec<Rec>,
    },
    CutBack {
        epoch: Epoch,
        to: usize,
    },
    Records {
        epoch: Epoch,
        from: usize,
        records: Vec<Rec>,
        commit: usize,
    },
    Ack {
        epoch: Epoch,
        received: usize,
        durable: usize,
        applied: usize,
    },
    Status {
        epoch: Epoch,
        appended: usize,
    },
    /// A sign of life is wanted, and given.
    Ask {
        epoch: Epoch,
        asked: u64,
    },
    Answer {
        epoch: Epoch,
        asked: u64,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Link {
    pub(crate) up: bool,
    /// The network lets connections be made.
    pub(crate) healed: bool,
    pub(crate) queues: Pair<VecDeque<(u64, Msg)>>,
}

impl Link {
    pub(crate) fn send(&mut self, from: NodeId, at: u64, msg: Msg) {
        if self.up {
            let queue = &mut self.queues[from.peer()];
            let at = queue.back().map_or(at, |&(last, _)| at.max(last));
            queue.push_back((at, msg));
        }
    }

    pub(crate) fn receive(&mut self, to: NodeId, now: u64) -> Option<Msg> {
        let queue = &mut self.queues[to];
        if queue.front().is_some_and(|&(at, _)| at <= now) {
            queue.pop_front().map(|(_, msg)| msg)
        } else {
            None
        }
    }

    pub(crate) fn cut(&mut self) {
        self.up = false;
        self.queues = Pair::default();
    }
}
