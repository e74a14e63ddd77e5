//! Every message survives the wire; nothing else does.

use super::*;
use tandem_types::{
    EpochStart, ForkId, Incarnation, Monotonic, NodeId, PairId, Role, SlotId, Stamp, WallMillis,
};

fn history() -> EpochHistory {
    let start = |epoch, first| EpochStart {
        epoch: Epoch::new(epoch),
        fork: ForkId::new(epoch + 100),
        first: Lsn::new(first),
    };
    EpochHistory::from_starts(vec![start(1, 0), start(4, 7)]).unwrap()
}

#[expect(clippy::too_many_lines, reason = "one flat list of all messages")]
fn one_of_each() -> Vec<Message<'static>> {
    let (epoch, chain, incarnation) = (Epoch::new(4), Chain::new(9), Incarnation::new(3));
    let pair_id = PairId::new(1 << 100);
    let [from, end, commit_end] = [7, 8, 6].map(Lsn::new);
    let last = SlotId { db: DbIndex::new(15).unwrap(), slot: 4095 };
    let echo = Some(Echo { seq: 3, sent: Monotonic::from_millis(5) });
    let status = Status {
        role: Role::Primary,
        epoch,
        appended_end: end,
        durable_end: from,
        applied_end: from,
        commit_end,
        wall: WallMillis::new(77),
        applied_stamp: Stamp::new(5),
        sync_age_ms: 12,
        config_digest: 99,
        commit_known: true,
        lacks: Some(123),
    };
    let beat = |seq, echo| Beat { seq, sent: Monotonic::from_millis(9), echo };
    let start = |keep| CopyStart {
        epoch,
        pair_id,
        start: from,
        chain,
        stamp: Stamp::new(4),
        history: history(),
        keep,
    };
    vec![
        Message::Hello(Hello {
            node: NodeId::B,
            pair_id,
            incarnation,
            boot: 5,
            session: 6,
            formats: Formats { log: 1, snapshot: 2 },
            config_digest: 8,
            epoch_seen: epoch,
            version: "0.1.0".to_owned(),
            configuration: "pair.name = \"main\"\n".to_owned(),
            starts: vec![3, 5],
        }),
        Message::Follow(Follow {
            epoch,
            node: NodeId::B,
            pair_id,
            incarnation,
            history: history(),
            oldest: Lsn::new(2),
            end,
            chain,
            damaged: true,
        }),
        Message::Resume { epoch, from, chain },
        Message::CutBack { epoch, to: from, chain, history: history() },
        Message::SnapshotBegin(start(Keep::Nothing)),
        Message::SnapshotBegin(start(Keep::Since(commit_end))),
        Message::SnapshotBegin(start(Keep::Everything)),
        Message::SnapshotChunk(SnapshotChunk {
            epoch,
            lsn: from,
            first: SlotId::FIRST,
            last,
            offset: 3,
            total: 9,
            bytes: (&b"abcdef"[..]).into(),
        }),
        Message::SnapshotEnd { epoch, end },
        Message::Records(Records { epoch, from, end, commit_end, bytes: (&b"raw"[..]).into() }),
        Message::Commit { epoch, end },
        Message::Ack(Ack {
            epoch,
            incarnation,
            received_end: end,
            received_chain: chain,
            durable_end: from,
            applied_end: commit_end,
            copied_bytes: 12,
        }),
        Message::Heartbeat(Heartbeat { beat: beat(1, None), status, grant: None }),
        Message::Heartbeat(Heartbeat {
            beat: beat(0, echo),
            status,
            grant: Some(Grant { epoch, lease_ms: 500 }),
        }),
        Message::Switch((&b"opaque"[..]).into()),
        Message::Exchange((&b"opaque too"[..]).into()),
        Message::Conflict((&b"saved"[..]).into()),
        Message::Compare((&b"digests"[..]).into()),
        Message::Script((&b"return 1"[..]).into()),
        Message::Publish { channel: (&b"news"[..]).into(), payload: (&b""[..]).into() },
        Message::Forward {
            token: 1,
            db: DbIndex::ZERO,
            proto: 3,
            command: (&b"*1\r\n$4\r\nPING\r\n"[..]).into(),
        },
        Message::ForwardReply { token: 1, reply: (&b"+PONG\r\n"[..]).into() },
        Message::Bye(Notice::new(NoticeCode::Stopping, "good night")),
        Message::Reject(Notice::new(NoticeCode::ForeignPair, "not mine")),
    ]
}

#[test]
fn every_message_survives_the_wire() {
    let mut names = std::collections::BTreeSet::new();
    for message in one_of_each() {
        assert_eq!(Message::decode(&message.to_bytes()), Ok(message.clone()));
        names.insert(message.name());
    }
    assert_eq!(names.len(), 21, "a kind is missing here: {names:?}");
}

#[test]
fn a_message_that_was_cut_is_refused_or_is_shorter_bulk() {
    for message in one_of_each() {
        let bytes = message.to_bytes();
        for length in 0..bytes.len() {
            if let Ok(shorter) = Message::decode(&bytes[..length]) {
                // Bulk bytes at the end have no length of their own: the frame has.
                assert_eq!(shorter.name(), message.name());
                assert_eq!(shorter.to_bytes(), &bytes[..length]);
            }
        }
    }
}

#[test]
fn a_flipped_bit_never_decodes_to_other_bytes() {
    for message in one_of_each() {
        let bytes = message.to_bytes();
        for at in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[at / 8] ^= 1 << (at % 8);
            // With another version it is a whole message of that one.
            if let Ok(other) = Message::decode(&flipped)
                && flipped[0] == VERSION
            {
                assert_eq!(other.to_bytes(), flipped, "bit {at} of {message:?}");
            }
        }
    }
}

#[test]
fn lengths_are_checked_before_anything_is_allocated() {
    let mut huge_history = vec![VERSION, 4];
    huge_history.extend_from_slice(&[0; 24]);
    huge_history.extend_from_slice(&u32::MAX.to_le_bytes());
    let mut huge_text = vec![VERSION, 16, 1];
    huge_text.extend_from_slice(&u32::MAX.to_le_bytes());
    let cases: [(&str, &[u8]); 6] = [
        ("nothing", &[]),
        ("only a version", &[VERSION]),
        ("other version", &[VERSION + 1, 1]),
        ("no such kind", &[VERSION, 200]),
        ("huge history", &huge_history),
        ("huge text", &huge_text),
    ];
    for (name, bytes) in cases {
        assert!(Message::decode(bytes).is_err(), "{name}");
    }
}

#[test]
fn an_epoch_leaves_room_for_later_ones() {
    for (number, fits) in [(1 << 62, true), ((1 << 62) + 1, false), (u64::MAX, false)] {
        let message = Message::Commit { epoch: Epoch::new(number), end: Lsn::ZERO };
        assert_eq!(Message::decode(&message.to_bytes()).is_ok(), fits, "{number}");
    }
}

#[test]
fn slots_of_a_chunk_come_back_and_end_at_the_first_error() {
    let mut chunk = Vec::new();
    let second = SlotId { db: DbIndex::new(3).unwrap(), slot: 17 };
    push_slot(&mut chunk, SlotId::FIRST, b"one");
    push_slot(&mut chunk, second, b"");
    let slots: Vec<_> = SlotPieces::new(&chunk).map(Result::unwrap).collect();
    assert_eq!(slots, [(SlotId::FIRST, &b"one"[..]), (second, &b""[..])]);
    chunk.push(99);
    let read: Vec<_> = SlotPieces::new(&chunk).collect();
    assert_eq!(read.len(), 3);
    assert!(read[2].is_err());
}

#[test]
fn long_texts_are_cut_between_characters() {
    let text = "\u{e9}".repeat(TEXT_BYTES_MAX);
    let message = Message::Bye(Notice::new(NoticeCode::Stopping, text));
    let Message::Bye(notice) = Message::decode(&message.to_bytes()).unwrap() else {
        panic!("another message");
    };
    assert_eq!(notice.text.len(), TEXT_BYTES_MAX);
}

#[test]
fn a_heartbeat_of_version_1_does_not_say_how_much_its_receiver_lacks() {
    let beat = one_of_each().into_iter().find_map(|message| match message {
        Message::Heartbeat(it) => Some(it),
        _ => None,
    });
    let mut beat = beat.unwrap();
    let mut bytes = Message::Heartbeat(beat).to_bytes();
    // It stands before the grant: a flag, an epoch, a lease.
    let at = bytes.len() - (1 + 8 + 4) - 8;
    bytes.drain(at..at + 8);
    bytes[0] = VERSION_1;
    beat.status.lacks = None;
    assert_eq!(Message::decode(&bytes), Ok(Message::Heartbeat(beat)));
}

#[test]
fn a_hello_of_version_2_says_only_the_digest_of_its_configuration_and_no_starts() {
    let hello = one_of_each().into_iter().find_map(|message| match message {
        Message::Hello(it) => Some(it),
        _ => None,
    });
    let mut hello = hello.unwrap();
    let mut bytes = Message::Hello(hello.clone()).to_bytes();
    bytes.truncate(bytes.len() - 1 - 8 * hello.starts.len() - 4 - hello.configuration.len());
    bytes[0] = VERSION_2;
    hello.configuration.clear();
    hello.starts.clear();
    assert_eq!(Message::decode(&bytes), Ok(Message::Hello(hello)));
}
