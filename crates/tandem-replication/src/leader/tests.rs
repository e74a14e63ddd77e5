//! What a follower may not say, and what the leader never does.

use super::*;
use crate::message::NoticeCode;
use tandem_types::{EpochHistory, EpochStart, ForkId, Incarnation, NodeId, PairId, SlotId, Stamp};

const PAIR: PairId = PairId::new(7);
const ME: Incarnation = Incarnation::new(3);
const NOW: Monotonic = Monotonic::from_millis(5);

fn history() -> EpochHistory {
    let start = |epoch, first| EpochStart {
        epoch: Epoch::new(epoch),
        fork: ForkId::new(epoch),
        first: Lsn::new(first),
    };
    EpochHistory::from_starts(vec![start(1, 0), start(3, 10)]).unwrap()
}

/// Reign 3 with 20 records, all committed; those before `oldest` are gone.
fn leader(oldest: u64) -> Leader {
    let settings = Settings { window_bytes: 300, records_bytes_max: 100, ..Settings::default() };
    let reign = Reign {
        epoch: Epoch::new(3),
        node: NodeId::A,
        pair_id: PAIR,
        history: history(),
        oldest: Lsn::new(oldest),
        end: Lsn::new(20),
        chain: Chain::new(20),
        stamp: Stamp::ZERO,
        commit_end: Lsn::new(20),
    };
    Leader::new(settings, reign, 0)
}

fn follow(end: u64) -> Follow {
    Follow {
        epoch: Epoch::new(3),
        node: NodeId::B,
        pair_id: PAIR,
        incarnation: ME,
        history: history(),
        oldest: Lsn::ZERO,
        end: Lsn::new(end),
        chain: Chain::new(end),
        damaged: false,
    }
}

fn ack(received: u64, durable: u64, applied: u64) -> Ack {
    Ack {
        epoch: Epoch::new(3),
        incarnation: ME,
        received_end: Lsn::new(received),
        received_chain: Chain::new(received),
        durable_end: Lsn::new(durable),
        applied_end: Lsn::new(applied),
        copied_bytes: 0,
    }
}

/// Carries out everything the leader asks for: the checksum at n is n, a record has 10 bytes.
fn play(leader: &mut Leader, input: Input) -> Vec<Output> {
    let mut seen = Vec::new();
    let mut inputs = vec![input];
    while let Some(input) = inputs.pop() {
        let mut out = Vec::new();
        leader.step(NOW, input, &mut out);
        for output in out {
            match output {
                Output::LookUpChain { lsn } => {
                    inputs.push(Input::ChainAt { lsn, chain: Some(Chain::new(lsn.get())) });
                }
                Output::ReadRecords { from, until, .. } => {
                    let end = until.min(from.plus(5));
                    let chain = Chain::new(end.get());
                    inputs.push(Input::RecordsRead { from, end, chain, bytes: vec![0; 50] });
                }
                Output::TakeChunk { first, .. } => {
                    let last = SlotId { db: tandem_types::DbIndex::new(15).unwrap(), slot: 4095 };
                    let lsn = Lsn::new(20);
                    inputs.push(Input::ChunkTaken { lsn, first, last, bytes: vec![7; 40] });
                }
                other => seen.push(other),
            }
        }
    }
    seen
}

fn fault(outputs: &[Output]) -> Option<&LinkFault> {
    outputs.iter().find_map(|output| match output {
        Output::Close(fault) => Some(fault),
        _ => None,
    })
}

fn names(outputs: &[Output]) -> Vec<&'static str> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send(message) => Some(message.name()),
            _ => None,
        })
        .collect()
}

#[test]
fn the_window_stops_the_stream_until_what_came_is_acknowledged() {
    let mut leader = leader(0);
    let out = play(&mut leader, Input::Follow(follow(2)));
    // 5 records of 10 bytes and the cost of a message, 114 each: the third one fills the window.
    assert_eq!(names(&out), ["resume", "commit", "records", "records", "records"]);
    assert_eq!(leader.progress().in_flight_bytes, 3 * 114);
    let out = play(&mut leader, Input::Ack(ack(12, 12, 12)));
    assert_eq!(names(&out), ["records"]);
    assert_eq!(leader.progress().durable_end, Lsn::new(12));
}

#[test]
fn an_acknowledgement_that_cannot_be_true_ends_the_link() {
    let good = ack(7, 7, 7);
    let cases = [
        ("more than was sent", ack(21, 7, 7)),
        ("more durable than received", ack(7, 8, 7)),
        ("more applied than received", ack(7, 7, 8)),
        ("received goes back", ack(6, 6, 6)),
        ("durable goes back", ack(7, 6, 7)),
        ("applied goes back", ack(7, 7, 6)),
        ("another incarnation", Ack { incarnation: Incarnation::new(4), ..ack(12, 12, 12) }),
        ("another checksum", Ack { received_chain: Chain::new(1), ..ack(12, 12, 12) }),
    ];
    for (name, wrong) in cases {
        let mut leader = leader(0);
        play(&mut leader, Input::Follow(follow(2)));
        assert_eq!(fault(&play(&mut leader, Input::Ack(good))), None, "{name}");
        let out = play(&mut leader, Input::Ack(wrong));
        assert!(fault(&out).is_some(), "{name}");
        assert_eq!(leader.progress(), Progress::default(), "{name}: nothing of it counts");
    }
}

#[test]
fn only_this_reign_counts() {
    let mut leader = leader(0);
    play(&mut leader, Input::Follow(follow(2)));
    let old = Ack { epoch: Epoch::new(2), ..ack(12, 12, 12) };
    assert!(play(&mut leader, Input::Ack(old)).is_empty());
    assert_eq!(leader.progress().received_end, Lsn::ZERO);
    let later = Ack { epoch: Epoch::new(4), ..ack(12, 12, 12) };
    assert_eq!(play(&mut leader, Input::Ack(later)), [Output::HigherEpoch(Epoch::new(4))]);
    let later = Follow { epoch: Epoch::new(5), ..follow(2) };
    assert_eq!(play(&mut leader, Input::Follow(later)), [Output::HigherEpoch(Epoch::new(5))]);
}

#[test]
fn same_positions_with_another_checksum_are_never_streamed_to() {
    for end in [15, 20] {
        let mut leader = leader(0);
        let damaged = Follow { chain: Chain::new(99), ..follow(end) };
        let out = play(&mut leader, Input::Follow(damaged));
        let start = out.iter().find_map(|output| match output {
            Output::Send(Message::SnapshotBegin(start)) => Some(start),
            _ => None,
        });
        assert_eq!(start.map(|start| start.keep), Some(Keep::Everything), "at {end}");
    }
}

#[test]
fn a_log_that_was_trimmed_meanwhile_ends_the_link_not_the_process() {
    let mut leader = leader(0);
    let mut out = Vec::new();
    leader.step(NOW, Input::Follow(follow(20)), &mut out);
    leader.step(NOW, Input::Follow(follow(2)), &mut out);
    let chain = Some(Chain::new(2));
    leader.step(NOW, Input::ChainAt { lsn: Lsn::new(2), chain }, &mut out);
    leader.step(NOW, Input::RecordsGone { from: Lsn::new(2) }, &mut out);
    assert!(matches!(fault(&out), Some(LinkFault::TooFarBehind { .. })));
    assert_eq!(fault(&out).unwrap().notice().code, NoticeCode::Busy);
}

#[test]
fn an_answer_to_an_earlier_connection_is_dropped() {
    let mut leader = leader(0);
    let mut out = Vec::new();
    leader.step(NOW, Input::Follow(follow(2)), &mut out);
    leader.step(NOW, Input::ChainAt { lsn: Lsn::new(2), chain: Some(Chain::new(2)) }, &mut out);
    let asked = out.iter().filter(|it| matches!(it, Output::ReadRecords { .. })).count();
    assert_eq!(asked, 1);
    leader.step(NOW, Input::LinkDown, &mut out);
    out.clear();
    leader.step(NOW, Input::Follow(follow(20)), &mut out);
    let (from, end, chain) = (Lsn::new(2), Lsn::new(7), Chain::new(7));
    out.clear();
    leader.step(NOW, Input::RecordsRead { from, end, chain, bytes: vec![0; 50] }, &mut out);
    assert_eq!(names(&out), [""; 0]);
}

#[test]
fn a_copy_that_broke_off_waits_before_it_begins_again() {
    let mut leader = leader(5);
    let out = play(&mut leader, Input::Follow(follow(0)));
    assert_eq!(names(&out), ["snapshot-begin", "commit", "snapshot-chunk", "snapshot-end"]);
    assert!(leader.progress().copying);
    play(&mut leader, Input::LinkDown);
    assert!(names(&play(&mut leader, Input::Follow(follow(0)))).is_empty());
    let wait = leader.deadline().unwrap().since(NOW);
    assert!(wait >= Settings::default().copy_pause / 2, "{wait:?}");
    let mut out = Vec::new();
    leader.step(NOW.plus(wait), Input::Tick, &mut out);
    assert_eq!(names(&out), ["snapshot-begin", "commit"]);
}
