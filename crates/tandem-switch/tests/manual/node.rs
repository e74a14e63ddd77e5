//! One node: a brain, a disk with delays, and a toy log and stream.

use std::collections::VecDeque;

use tandem_switch::{
    Acknowledge, BootFacts, Brain, By, FollowerEnds, Input, NodeState, Output, OwnEnds,
    PeerMessage, PeerStatus, Reign, Settings,
};
use tandem_types::{Epoch, Lsn, Monotonic, NodeId};

use crate::link::{Link, Msg, Rec};
use crate::rng::Rng;

#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) state: NodeState,
    pub(crate) log: Vec<Rec>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(crate) disk: Disk,
    pub(crate) run: Option<Run>,
}

/// What a process has in memory.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) brain: Brain,
    /// What this start found in its file.
    pub(crate) file: Acknowledge,
    pub(crate) log: Vec<Rec>,
    pub(crate) durable: usize,
    pub(crate) applied: usize,
    pub(crate) commit: usize,
    pub(crate) serving: Option<Reign>,
    pub(crate) holding: bool,
    pub(crate) following: Option<Reign>,
    begun: Option<(Reign, usize)>,
    persists: VecDeque<(u64, u64, NodeState)>,
    syncing: Option<(u64, usize)>,
    sent: Option<usize>,
    pub(crate) peer: FollowerEnds,
    inbox: VecDeque<Input>,
}

/// What the world must look at.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a test: few of them live at a time")]
pub(crate) enum Seen {
    Output(Output),
    Serves(Reign),
    Reboot,
}

pub(crate) fn lsn(count: usize) -> Lsn {
    Lsn::new(u64::try_from(count).unwrap())
}

fn count(lsn: Lsn) -> usize {
    usize::try_from(lsn.get()).unwrap()
}

impl Node {
    pub(crate) fn start(&mut self, by: By, settings: Settings, now: u64, seed: u64) {
        self.disk.state.boot += 1;
        let log = self.disk.log.clone();
        let durable = log.len();
        let settings = Settings { node: self.id, ..settings };
        self.run = Some(Run {
            file: settings.acknowledge,
            brain: Brain::new(
                by,
                settings,
                self.disk.state,
                BootFacts::default(),
                seed,
                Monotonic::from_millis(now),
            ),
            durable,
            applied: 0,
            commit: 0,
            log,
            serving: None,
            holding: false,
            following: None,
            begun: None,
            persists: VecDeque::new(),
            syncing: None,
            sent: None,
            peer: FollowerEnds::default(),
            inbox: VecDeque::new(),
        });
    }

    /// The process dies: writes under way reach the disk or not, in order.
    pub(crate) fn kill(&mut self, rng: &mut Rng) {
        let Some(run) = self.run.take() else { return };
        let kept = usize::try_from(rng.below(run.persists.len() as u64 + 1)).unwrap();
        if let Some((_, _, state)) = run.persists.iter().take(kept).next_back() {
            self.disk.state = *state;
        }
        let tail = (run.log.len() - run.durable) as u64;
        let kept = run.durable + usize::try_from(rng.below(tail + 1)).unwrap();
        self.disk.log = run.log[..kept].to_vec();
    }
}

impl Run {
    pub(crate) fn own(&self) -> OwnEnds {
        OwnEnds {
            appended_end: lsn(self.log.len()),
            durable_end: lsn(self.durable),
            applied_end: lsn(if self.serving.is_some() { self.log.len() } else { self.applied }),
            commit_end: lsn(self.commit),
        }
    }

    pub(crate) fn give(&mut self, input: Input) {
        self.inbox.push_back(input);
    }

    pub(crate) fn link_down(&mut self) {
        self.sent = None;
        self.peer = FollowerEnds::default();
        self.give(Input::PeerDown { silent: std::time::Duration::ZERO });
    }

    /// Disk writes that are done by now.
    pub(crate) fn finish_disk(&mut self, disk: &mut Disk, now: u64) {
        while let Some(&(at, version, state)) = self.persists.front() {
            if at > now {
                break;
            }
            self.persists.pop_front();
            disk.state = state;
            self.give(Input::Persisted { version });
        }
        if let Some((at, end)) = self.syncing
            && at <= now
        {
            self.syncing = None;
            self.durable = self.durable.max(end);
            disk.log.extend_from_slice(&self.log[disk.log.len()..self.durable]);
            if let Some((reign, end)) = self.begun
                && self.durable >= end
            {
                self.begun = None;
                self.give(Input::ReignBegun { epoch: reign.epoch, end: lsn(end) });
            }
        }
    }

    pub(crate) fn begin_sync(&mut self, now: u64, rng: &mut Rng) {
        if self.syncing.is_none() && self.durable < self.log.len() {
            self.syncing = Some((now + 1 + rng.below(10), self.log.len()));
        }
    }

    /// Lets the brain take everything that has come.
    pub(crate) fn think(
        &mut self,
        id: NodeId,
        now: u64,
        link: &mut Link,
        rng: &mut Rng,
        seen: &mut Vec<Seen>,
    ) {
        self.give(Input::Tick);
        while let Some(input) = self.inbox.pop_front() {
            let mut out = Vec::new();
            self.brain.step(Monotonic::from_millis(now), self.own(), input, &mut out);
            for output in out {
                self.act(id, now, &output, link, rng, seen);
                seen.push(Seen::Output(output));
            }
        }
    }

    fn act(
        &mut self,
        id: NodeId,
        now: u64,
        output: &Output,
        link: &mut Link,
        rng: &mut Rng,
        seen: &mut Vec<Seen>,
    ) {
        match output {
            Output::Persist { version, state } => {
                let last = self.persists.back().map_or(now, |&(at, _, _)| at);
                self.persists.push_back((last + 1 + rng.below(15), *version, *state));
            }
            Output::Send(message) => {
                let bytes = message.to_bytes();
                assert_eq!(PeerMessage::decode(&bytes).as_ref(), Ok(message));
                link.send(id, now + 1 + rng.below(20), Msg::Switch(bytes));
            }
            Output::BeginReign { reign, .. } => {
                self.following = None;
                self.log.push(Rec { epoch: reign.epoch, fork: reign.fork, id: 0 });
                self.applied = self.log.len();
                self.begun = Some((*reign, self.log.len()));
            }
            Output::Serve { epoch } => {
                let reign = self.brain.reign().expect("serves a reign");
                assert_eq!(reign.epoch, *epoch);
                self.serving = Some(reign);
                self.holding = false;
                self.sent = None;
                self.peer = FollowerEnds::default();
                seen.push(Seen::Serves(reign));
            }
            Output::Demote { .. } => {
                self.serving = None;
                self.begun = None;
                self.sent = None;
            }
            Output::Follow { reign, .. } => {
                assert!(self.serving.is_none(), "follows while serving");
                self.following = Some(*reign);
                let log = self.log.clone();
                let msg = Msg::Follow { epoch: reign.epoch, log };
                link.send(id, now + 1 + rng.below(20), msg);
            }
            Output::Unfollow => self.following = None,
            Output::HoldWrites => {
                self.holding = true;
                let epoch = self.epoch().expect("it serves");
                link.send(id, now + 1 + rng.below(20), Msg::Ask { epoch, asked: now });
            }
            Output::ReleaseWrites => self.holding = false,
            Output::CloseLink { .. } => link.cut(),
            Output::RecordsLost { .. } => unreachable!("no disk here goes back: {output:?}"),
            Output::Answer { .. } | Output::Event(_) | Output::Mediator(_) | Output::Fence => {}
        }
    }

    /// The toy stream: what `tandem-replication` does for real.
    pub(crate) fn receive(
        &mut self,
        id: NodeId,
        now: u64,
        msg: Msg,
        link: &mut Link,
    ) -> Option<Seen> {
        match msg {
            Msg::Switch(bytes) => {
                let message = PeerMessage::decode(&bytes).expect("our own bytes");
                self.give(Input::PeerSaid(message));
            }
            Msg::Follow { epoch, log } => {
                if self.serving.is_some_and(|reign| reign.epoch == epoch) {
                    let to = self.log.iter().zip(&log).take_while(|(a, b)| a == b).count();
                    self.peer = FollowerEnds::default();
                    if to < log.len() {
                        link.send(id, now + 2, Msg::CutBack { epoch, to });
                    } else {
                        self.sent = Some(to);
                    }
                }
            }
            Msg::CutBack { epoch, to } => {
                if self.following.is_some_and(|reign| reign.epoch == epoch) {
                    self.log.truncate(to);
                    self.durable = self.durable.min(to);
                    return Some(Seen::Reboot);
                }
            }
            Msg::Records { epoch, from, records, commit } => {
                if self.following.is_some_and(|reign| reign.epoch == epoch)
                    && from == self.log.len()
                {
                    self.log.extend(records);
                    self.applied = self.applied.max(commit.min(self.log.len()));
                }
            }
            Msg::Ack { epoch, received, durable, applied } => {
                if self.serving.is_some_and(|reign| reign.epoch == epoch) && self.sent.is_some() {
                    self.peer = FollowerEnds {
                        received_end: lsn(received),
                        durable_end: lsn(durable),
                        applied_end: lsn(applied),
                        // Only a hint: safety must not rest on it.
                        caught_up: durable + 100 >= self.log.len(),
                    };
                    self.give(Input::Follower(self.peer));
                }
            }
            Msg::Ask { epoch, asked } => {
                if self.following.is_some_and(|reign| reign.epoch == epoch) {
                    link.send(id, now + 2, Msg::Answer { epoch, asked });
                }
            }
            Msg::Answer { epoch, asked } => {
                let (asked, lease) = (Monotonic::from_millis(asked), std::time::Duration::ZERO);
                self.give(Input::Confirmed { epoch, asked, lease });
            }
            Msg::Status { epoch, appended } => {
                self.give(Input::PeerStatus(PeerStatus {
                    epoch,
                    appended_end: lsn(appended),
                    lacks: None,
                }));
            }
        }
        None
    }

    pub(crate) fn stream(&mut self, id: NodeId, now: u64, link: &mut Link, rng: &mut Rng) {
        if let (Some(reign), Some(sent)) = (self.serving, self.sent) {
            let records = self.log[sent..].to_vec();
            self.sent = Some(self.log.len());
            let (epoch, commit) = (reign.epoch, self.commit);
            // At times a whole batch is slow, and what the switch says with it.
            let slow = if rng.chance(30) { 200 } else { 20 };
            let at = now + 1 + rng.below(slow);
            link.send(id, at, Msg::Records { epoch, from: sent, records, commit });
            link.send(id, at, Msg::Status { epoch, appended: self.log.len() });
        }
        if let Some(reign) = self.following {
            let (received, durable) = (self.log.len(), self.durable);
            let msg = Msg::Ack { epoch: reign.epoch, received, durable, applied: self.applied };
            link.send(id, now + 1 + rng.below(20), msg);
        }
    }

    /// What may be acknowledged now, as the node computes it.
    pub(crate) fn committed(&mut self) -> std::ops::Range<usize> {
        let before = self.commit;
        if self.serving.is_some() {
            let peer = match self.brain.acknowledge() {
                Acknowledge::Local => usize::MAX,
                Acknowledge::Received => count(self.peer.received_end),
                Acknowledge::Durable => count(self.peer.durable_end),
            };
            let needed = if self.brain.needs_peer() { peer } else { usize::MAX };
            self.commit = before.max(self.durable.min(needed));
        }
        before..self.commit
    }

    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.serving.map(|reign| reign.epoch)
    }
}
