//! What the follower says when its questions are answered within the turn, as a node does it.

use super::*;
use std::time::Duration;
use tandem_types::{EpochHistory, EpochStart, ForkId, NodeId, PairId};

use crate::message::Follow;

const EPOCH: Epoch = Epoch::new(1);

fn follower() -> Follower {
    follower_at(Lsn::ZERO)
}

/// One that was started with a log that ends there, all of it in its key space.
fn follower_at(end: Lsn) -> Follower {
    let position = Position { end, durable_end: end, applied_end: end };
    let mut follower = Follower::new(Settings::default(), position);
    let start = EpochStart { epoch: EPOCH, fork: ForkId::new(1), first: Lsn::ZERO };
    let follow = Follow {
        epoch: EPOCH,
        node: NodeId::B,
        pair_id: PairId::new(7),
        incarnation: Incarnation::new(3),
        history: EpochHistory::from_starts(vec![start]).unwrap(),
        oldest: Lsn::ZERO,
        end,
        chain: Chain::EMPTY,
        damaged: false,
    };
    let now = Monotonic::ZERO;
    play(&mut follower, now, Input::Begin(follow));
    let resume = Message::Resume { epoch: EPOCH, from: end, chain: Chain::EMPTY };
    play(&mut follower, now, Input::Message(resume));
    follower
}

/// Carries out what the follower asks for, each thing before the next, and tells what was acknowledged.
fn play(follower: &mut Follower, now: Monotonic, input: Input<'_>) -> Vec<Ack> {
    let mut acks = Vec::new();
    let mut out = Vec::new();
    follower.step(now, input, &mut out);
    for output in out {
        match output {
            Output::Send(Message::Ack(ack)) => acks.push(ack),
            Output::AppendRecords { end, .. } => {
                let appended = Input::Appended { end, chain: Chain::new(end.get()) };
                acks.extend(play(follower, now, appended));
            }
            Output::ApplyTo { end } => acks.extend(play(follower, now, Input::Applied { end })),
            _ => {}
        }
    }
    acks
}

fn records(from: u64, end: u64, commit: u64) -> Input<'static> {
    Input::Message(Message::Records(Records {
        epoch: EPOCH,
        from: Lsn::new(from),
        end: Lsn::new(end),
        commit_end: Lsn::new(commit),
        bytes: vec![0; 10].into(),
    }))
}

fn commit(end: u64) -> Input<'static> {
    Input::Message(Message::Commit { epoch: EPOCH, end: Lsn::new(end) })
}

#[test]
fn a_report_that_is_due_waits_for_what_this_very_step_applies() {
    let mut follower = follower();
    let early = Monotonic::from_millis(1);
    play(&mut follower, early, records(0, 6, 0));
    play(&mut follower, early, Input::Durable { end: Lsn::new(6) });
    // Not all of it: the report can wait, and is due when the rest comes.
    assert_eq!(play(&mut follower, early, commit(3)), []);
    let late = Monotonic::from_millis(1_000);
    let acks = play(&mut follower, late, commit(6));
    let ends: Vec<Lsn> = acks.iter().map(|ack| ack.applied_end).collect();
    assert_eq!(ends, [Lsn::new(6)], "one report, of the newest position");
}

#[test]
fn what_was_replayed_after_a_restart_counts_as_committed_only_when_the_leader_says_so() {
    let mut follower = follower_at(Lsn::new(9));
    let now = Monotonic::from_millis(1);
    let mut told = Vec::new();
    for message in [commit(4), records(9, 11, 6), commit(9), commit(11)] {
        let mut out = Vec::new();
        follower.step(now, message, &mut out);
        if out.iter().any(|it| matches!(it, Output::AppendRecords { .. })) {
            let appended = Input::Appended { end: Lsn::new(11), chain: Chain::new(11) };
            follower.step(now, appended, &mut out);
        }
        told.extend(out.iter().filter_map(|it| match it {
            Output::ApplyTo { end } => Some(end.get()),
            _ => None,
        }));
    }
    assert_eq!(told, [4, 6, 9, 11]);
}

#[test]
fn positions_never_go_back_whatever_comes_when_a_report_is_due() {
    let mut follower = follower();
    let mut told = Vec::new();
    for round in 0..40_u64 {
        // The times at which a report is due and those of the inputs drift through one another.
        let now = Monotonic::from_millis(round * 20);
        let (from, end) = (round * 2, round * 2 + 2);
        told.extend(play(&mut follower, now, records(from, end, from)));
        let later = Monotonic::from_millis(round * 20 + 5);
        told.extend(play(&mut follower, later, Input::Durable { end: Lsn::new(end) }));
        told.extend(play(&mut follower, later, commit(end - 1)));
        told.extend(play(&mut follower, later.plus(Duration::from_millis(6)), commit(end)));
    }
    assert!(told.len() > 10, "it reports");
    let back = told.windows(2).find(|pair| pair[1].applied_end < pair[0].applied_end);
    assert_eq!(back, None);
}
