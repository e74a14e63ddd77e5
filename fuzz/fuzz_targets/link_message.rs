//! Hostile bytes as messages over the link, and a hostile peer against the brains of stream and switch.
//!
//! Nothing may panic; what is accepted is written back as the same bytes; nothing decoded is larger than
//! what came in.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use tandem_replication::message::SlotPieces;
use tandem_replication::{Message, Settings, follower, leader};
use tandem_switch::{
    Acknowledge, FollowerEnds, InSyncSet, Input, Manual, NodeState, Output, OwnEnds, PeerMessage,
    Automatic, Reign, Request, Ticket,
};
use tandem_types::{
    Chain, Epoch, EpochHistory, EpochStart, ForkId, Incarnation, Lsn, Monotonic, NodeId, Pair,
    PairId, Stamp,
};

fuzz_target!(|messages: Vec<&[u8]>| {
    let mut lead = leader();
    let mut tail = follower();
    let mut empty = Switch::new(NodeState::new(Incarnation::new(3)));
    let mut member = Switch::new(member());
    for (at, bytes) in messages.iter().enumerate() {
        let now = Monotonic::from_millis(at as u64);
        switch_bytes(bytes);
        empty.hear(now, bytes);
        member.hear(now, bytes);
        let Ok(message) = Message::decode(bytes) else { continue };
        if bytes.first() == Some(&tandem_replication::message::VERSION) {
            assert_eq!(message.to_bytes(), *bytes, "{message:?}");
        }
        hear(&mut lead, now, &message);
        follow(&mut tail, now, message);
    }
});

fn switch_bytes(bytes: &[u8]) {
    // What an earlier version wrote is understood, and written anew in this one's form.
    let current = bytes.first() == Some(&3);
    if let (true, Ok(message)) = (current, PeerMessage::decode(bytes)) {
        assert_eq!(message.to_bytes(), bytes, "{message:?}");
    }
    if let (true, Ok((state, rest))) = (current, NodeState::decode(bytes)) {
        let mut again = Vec::new();
        state.encode(&mut again);
        again.extend_from_slice(rest);
        assert_eq!(again, bytes);
    }
}

/// A switch with surroundings that answer at once.
struct Switch {
    brain: Manual,
    end: Lsn,
}

impl Switch {
    fn new(state: NodeState) -> Self {
        let settings = tandem_switch::Settings {
            node: NodeId::A,
            names: Pair { a: "a".to_owned(), b: "b".to_owned() },
            initial_primary: NodeId::A,
            acknowledge: Acknowledge::Durable,
            failure_timeout: Duration::from_millis(3),
            hold: Duration::from_millis(3),
            automatic: Automatic::default(),
        };
        let brain = Manual::new(settings, state, 7, Monotonic::ZERO);
        let mut switch = Self { brain, end: Lsn::new(20) };
        switch.step(Monotonic::ZERO, Input::PeerUp);
        switch
    }

    /// The first byte also says what else happens: the link breaks, a person asks, the peer catches up.
    fn hear(&mut self, now: Monotonic, bytes: &[u8]) {
        if let Ok(message) = PeerMessage::decode(bytes) {
            self.step(now, Input::PeerSaid(message));
        }
        let ask = |request| Input::Ask { ticket: Ticket(1), request };
        let ends = FollowerEnds {
            received_end: self.end,
            durable_end: self.end,
            applied_end: self.end,
            caught_up: true,
        };
        let input = match bytes {
            [2, 1] => Input::PeerDown { silent: Duration::from_millis(3) },
            [2, 2] => Input::PeerUp,
            [2, 3] => ask(Request::Promote { accept_loss: 0, force: true }),
            [2, 4] => ask(Request::Promote { accept_loss: 0, force: false }),
            [2, 5] => ask(Request::Switch { to: None }),
            [2, 6] => ask(Request::Solo),
            [2, 7] => Input::Follower(ends),
            [2, 8] => ask(Request::Stop),
            _ => Input::Tick,
        };
        self.step(now, input);
    }

    fn step(&mut self, now: Monotonic, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let end = self.end;
            let own =
                OwnEnds { appended_end: end, durable_end: end, applied_end: end, commit_end: end };
            let mut out = Vec::new();
            self.brain.step(now, own, input, &mut out);
            for output in out {
                match output {
                    Output::Persist { version, .. } => {
                        inputs.insert(0, Input::Persisted { version })
                    }
                    Output::BeginReign { reign, .. } => {
                        self.end = self.end.next();
                        let (epoch, end) = (reign.epoch, self.end);
                        inputs.insert(0, Input::ReignBegun { epoch, end });
                    }
                    Output::Send(message) => {
                        assert_eq!(PeerMessage::decode(&message.to_bytes()), Ok(message));
                    }
                    _ => {}
                }
            }
        }
        let _words = self.brain.why(now);
    }
}

/// A standby that is in sync.
fn member() -> NodeState {
    let mut state = NodeState::new(Incarnation::new(3));
    let members = Pair { a: Some(state.incarnation), b: Some(Incarnation::new(4)) };
    let epoch = Epoch::new(2);
    state.pair_id = PairId::new(7);
    state.epoch_seen = epoch;
    state.reign = Some(Reign { epoch, fork: ForkId::new(2), primary: NodeId::B });
    let strength = Acknowledge::Durable;
    state.in_sync = Some(InSyncSet { epoch, revision: 3, members, strength });
    state
}

/// A leader may refuse or close, whatever the follower says; its surroundings answer honestly.
fn hear(lead: &mut leader::Leader, now: Monotonic, message: &Message<'_>) {
    let input = match message {
        Message::Follow(follow) => leader::Input::Follow(follow.clone()),
        Message::Ack(ack) => leader::Input::Ack(*ack),
        _ => return,
    };
    let mut inputs = vec![input];
    while let Some(input) = inputs.pop() {
        let mut out = Vec::new();
        lead.step(now, input, &mut out);
        for output in out {
            match output {
                leader::Output::LookUpChain { lsn } => {
                    inputs.push(leader::Input::ChainAt { lsn, chain: Some(Chain::new(1)) });
                }
                leader::Output::ReadRecords { from, until, .. } => {
                    let (end, bytes) = (until, vec![0; 16]);
                    let chain = Chain::new(2);
                    inputs.push(leader::Input::RecordsRead { from, end, chain, bytes });
                }
                _ => {}
            }
        }
    }
}

/// A follower too; its log takes or refuses records by their first byte.
fn follow(tail: &mut follower::Follower, now: Monotonic, message: Message<'_>) {
    let mut out = Vec::new();
    tail.step(now, follower::Input::Message(message), &mut out);
    let mut answers = Vec::new();
    for output in &out {
        match output {
            follower::Output::AppendRecords { end, bytes, .. } => {
                answers.push(if bytes.first().is_some_and(|byte| byte % 2 == 0) {
                    follower::Input::Appended { end: *end, chain: Chain::new(end.get()) }
                } else {
                    follower::Input::Refused { reason: "odd".to_owned() }
                });
            }
            follower::Output::LoadChunk { bytes, .. } => {
                let slots = SlotPieces::new(bytes).filter_map(Result::ok);
                assert!(slots.map(|(_, slot)| slot.len()).sum::<usize>() <= bytes.len());
            }
            follower::Output::CopyComplete { .. } => answers.push(follower::Input::CopyInstalled),
            _ => {}
        }
    }
    for answer in answers {
        let mut out = Vec::new();
        tail.step(now, answer, &mut out);
    }
}

fn history() -> EpochHistory {
    let start = |epoch, first| EpochStart {
        epoch: Epoch::new(epoch),
        fork: ForkId::new(epoch),
        first: Lsn::new(first),
    };
    EpochHistory::from_starts(vec![start(1, 0), start(2, 10)]).expect("they rise")
}

fn leader() -> leader::Leader {
    let reign = leader::Reign {
        epoch: Epoch::new(2),
        node: NodeId::A,
        pair_id: PairId::new(7),
        history: history(),
        oldest: Lsn::new(5),
        end: Lsn::new(20),
        chain: Chain::new(1),
        stamp: Stamp::ZERO,
        commit_end: Lsn::new(15),
    };
    leader::Leader::new(Settings::default(), reign, 0)
}

fn follower() -> follower::Follower {
    let end = Lsn::new(12);
    let at = follower::Position { end, durable_end: end, applied_end: Lsn::new(11) };
    let mut tail = follower::Follower::new(Settings::default(), at);
    let follow = tandem_replication::message::Follow {
        epoch: Epoch::new(2),
        node: NodeId::B,
        pair_id: PairId::new(7),
        incarnation: Incarnation::new(3),
        history: history(),
        oldest: Lsn::ZERO,
        end,
        chain: Chain::new(1),
        damaged: false,
    };
    tail.step(Monotonic::ZERO, follower::Input::Begin(follow), &mut Vec::new());
    tail
}
