//! Every message there and back.

use super::*;

pub(crate) fn boot(number: u64) -> BootId {
    BootId { incarnation: Incarnation::new(number), boot: number + 1 }
}

pub(crate) fn presence(number: u64) -> Presence {
    Presence {
        boot: boot(number),
        pair_id: PairId::new(u128::from(number)),
        epoch_seen: Epoch::new(number),
        role: Role::Isolated,
    }
}

pub(crate) fn record(epoch: u64, primary: NodeId) -> Record {
    Record {
        pair_id: PairId::new(u128::MAX),
        epoch: Epoch::new(epoch),
        fork: ForkId::new(epoch * 7),
        primary,
        primary_boot: boot(3),
        members: Pair { a: Some(Incarnation::new(1)), b: None },
        strength: Acknowledge::Durable,
    }
}

fn places() -> Places {
    let a = Place {
        host: "10.0.0.1".to_owned(),
        client_port: 6379,
        read_port: Some(6380),
        sentinel_port: None,
    };
    let b = Place { host: "b.example".to_owned(), sentinel_port: Some(26379), ..a };
    Places { nodes: Pair { a, b }, replicas_serve: true }
}

#[test]
fn messages_are_read_as_written_and_every_cut_is_an_error() {
    let change = Change {
        expect: Some(Revision { life: 5, version: 6 }),
        record: record(7, NodeId::B),
        unless_present: Some((NodeId::A, boot(9))),
    };
    let first = Change { expect: None, unless_present: None, ..change };
    let requests = [
        Request::Vouch(presence(4)),
        Request::Leave,
        Request::Read,
        Request::Change(change),
        Request::Change(first),
        Request::Tell(places()),
    ];
    for request in requests {
        let bytes = encode_request(8, &request);
        assert_eq!(decode_request(&bytes), Ok((8, request)));
        for end in 0..bytes.len() {
            assert!(decode_request(&bytes[..end]).is_err());
        }
    }
    let revision = Revision { life: 1, version: 2 };
    let view = |state| MediatorView {
        asked: None,
        record: state,
        present: Pair { a: Some(presence(1)), b: None },
    };
    let present = RecordState::Present { revision, record: record(7, NodeId::A) };
    let answers = [
        Answer::Renewed,
        Answer::Told { sentinel_port: None },
        Answer::Told { sentinel_port: Some(26379) },
        Answer::View(view(RecordState::Absent)),
        Answer::View(view(RecordState::Unreadable { reason: "é".to_owned() })),
        Answer::Won(revision),
        Answer::Lost(view(present)),
        Answer::Refused { reason: String::new() },
    ];
    for answer in answers {
        let bytes = encode_answer(9, &answer);
        assert_eq!(decode_answer(&bytes), Ok((9, answer)));
        for end in 0..bytes.len() {
            assert!(decode_answer(&bytes[..end]).is_err());
        }
    }
}
