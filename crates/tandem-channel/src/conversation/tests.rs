//! What counts as heard, and what does not.

use tandem_switch::{BootId, Load};
use tandem_types::{Epoch, Incarnation, Lsn, Role};

use super::*;
use crate::Endpoint;

fn settings(node: NodeId, secret: &[u8]) -> ChannelSettings {
    ChannelSettings {
        index: 1,
        node,
        pair: "main".to_owned(),
        key: Key::new(secret),
        own: Endpoint::Tcp("127.0.0.1:1".to_owned()),
        peer: Endpoint::Tcp("127.0.0.1:2".to_owned()),
        nonce: 7 + u64::from(node.as_byte()),
        now: || Monotonic::ZERO,
    }
}

fn side(node: NodeId) -> Conversation {
    Conversation::new(&settings(node, b"secret"))
}

fn vitals(role: Role) -> Vitals {
    Vitals {
        boot: BootId { incarnation: Incarnation::new(u64::MAX), boot: 3 },
        role,
        epoch_seen: Epoch::new(9),
        appended_end: Lsn::new(100),
        durable_end: Lsn::new(90),
        resigned: Some(4),
        unwell: true,
        load: Load { cpu_percent: 250, io_wait_percent: 7, request_ms: 12, requests: 1_000_000 },
    }
}

fn at(millis: u64) -> Monotonic {
    Monotonic::from_millis(millis)
}

fn give(to: &mut Conversation, now: u64, bytes: &[u8]) -> Vec<Heard> {
    let mut rest = bytes.to_vec();
    let received = to.receive(at(now), &mut rest);
    assert!(rest.len() < FRAME_BYTES);
    received.heard
}

/// Both have heard one another: A's second frame was answered.
fn talk() -> (Conversation, Conversation, Vec<u8>) {
    let (mut a, mut b) = (side(NodeId::A), side(NodeId::B));
    let first = a.report(at(0), vitals(Role::Primary));
    assert_eq!(give(&mut b, 5, &first), [], "it does not answer B yet");
    let answer = b.report(at(100), vitals(Role::Standby));
    (a, b, answer.to_vec())
}

#[test]
fn the_peer_lived_when_the_answered_frame_was_sent() {
    let (mut a, _, answer) = talk();
    let heard = give(&mut a, 130, &answer);
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0].asked, at(0));
    assert_eq!(heard[0].round_trip, Duration::from_millis(35));
    assert_eq!(heard[0].vitals, vitals(Role::Standby));
}

#[test]
fn what_is_repeated_forged_reflected_or_of_another_pair_is_not_heard() {
    let (mut a, mut b, answer) = talk();
    let own = a.report(at(110), vitals(Role::Primary));
    assert_eq!(give(&mut a, 120, &own), [], "its own");
    assert_eq!(give(&mut a, 130, &answer).len(), 1);
    assert_eq!(give(&mut a, 140, &answer), [], "again");

    let mut stranger = Conversation::new(&settings(NodeId::B, b"guess"));
    give(&mut stranger, 120, &own);
    let forged = stranger.report(at(150), vitals(Role::Primary));
    assert_eq!(give(&mut a, 150, &forged), [], "another secret");

    let mut other = settings(NodeId::B, b"secret");
    other.pair = "other".to_owned();
    let mut other = Conversation::new(&other);
    let foreign = other.report(at(150), vitals(Role::Primary));
    assert_eq!(give(&mut a, 150, &foreign), [], "another pair");

    let whole = b.report(at(200), vitals(Role::Standby));
    for bit in 0..whole.len() * 8 {
        let mut damaged = whole;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(give(&mut a, 200, &damaged), [], "bit {bit}");
    }
    assert_eq!(give(&mut a, 200, &whole).len(), 1, "damage uses no number up");
}

#[test]
fn an_answer_to_another_process_proves_nothing_and_the_next_one_does() {
    let (_, mut b, answer) = talk();
    let mut again = settings(NodeId::A, b"secret");
    again.nonce = 99;
    let mut a = Conversation::new(&again);
    assert_eq!(give(&mut a, 300, &answer), [], "said to the process before");
    let hello = a.report(at(310), vitals(Role::Joining));
    give(&mut b, 315, &hello);
    let answer = b.report(at(400), vitals(Role::Standby));
    let heard = give(&mut a, 405, &answer);
    assert_eq!(heard.iter().map(|it| it.asked).collect::<Vec<_>>(), [at(310)]);
}

#[test]
fn frames_are_found_in_noise_and_in_pieces() {
    let (mut a, _, answer) = talk();
    let mut rest = Vec::new();
    let mut heard = Vec::new();
    let stream = [b"TH noise TH\x01t", &answer[..], b"TH"].concat();
    for byte in stream {
        rest.push(byte);
        heard.extend(a.receive(at(130), &mut rest).heard);
    }
    assert_eq!(heard.len(), 1);
    assert!(rest.len() < FRAME_BYTES);
}
