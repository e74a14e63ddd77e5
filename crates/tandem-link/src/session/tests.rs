//! Two sessions talk to one another; strangers, liars and line noise talk to one.

use super::*;

fn config(node: NodeId, secret: Option<&str>) -> LinkConfig {
    LinkConfig {
        node,
        incarnation: Incarnation::new(u64::from(node.as_byte()) + 100),
        pair_id: PairId::new(5),
        pair_name: "main".to_owned(),
        software: "tandem test".to_owned(),
        supervisor: false,
        session: 3,
        nonce: [node.as_byte() + 1; NONCE_BYTES],
        secret: secret.map(|text| Secret::new(text.as_bytes().to_vec())),
        tls: false,
        tls_binding: Vec::new(),
        loopback: true,
        message_bytes_max: 64 << 20,
    }
}

/// An event without a borrow.
#[derive(Debug, Eq, PartialEq)]
enum Seen {
    Up(NodeId),
    Message(u8, Vec<u8>),
    Error(LinkError),
}

/// Gives `bytes` to `session`, `step` at a time; what it understood.
fn give(session: &mut LinkSession, bytes: &[u8], step: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    for piece in bytes.chunks(step.max(1)) {
        session.receive(piece);
        loop {
            match session.poll() {
                Ok(None) => break,
                Ok(Some(LinkEvent::Up(peer))) => seen.push(Seen::Up(peer.node)),
                Ok(Some(LinkEvent::Message { kind, bytes })) => {
                    seen.push(Seen::Message(kind, bytes.to_vec()));
                }
                Err(error) => {
                    seen.push(Seen::Error(error));
                    return seen;
                }
            }
        }
    }
    seen
}

/// Carries bytes both ways until both are silent; what dialer and listener understood.
fn talk(a: &mut LinkSession, b: &mut LinkSession, step: usize) -> (Vec<Seen>, Vec<Seen>) {
    let (mut at_a, mut at_b) = (Vec::new(), Vec::new());
    loop {
        let (to_b, to_a) = (a.take_output(), b.take_output());
        if to_a.is_empty() && to_b.is_empty() {
            return (at_a, at_b);
        }
        at_b.extend(give(b, &to_b, step));
        at_a.extend(give(a, &to_a, step));
    }
}

fn pair(secret: Option<&str>) -> (LinkSession, LinkSession) {
    (
        LinkSession::dialer(config(NodeId::B, secret)),
        LinkSession::listener(config(NodeId::A, secret)),
    )
}

#[test]
fn both_come_up_and_messages_flow_however_the_bytes_are_cut() {
    for secret in [Some("shared"), None] {
        for step in [1, 2, 7, 1 << 20] {
            let (mut dialer, mut listener) = pair(secret);
            assert_eq!(dialer.send(1, b"early"), Err(NotUp));
            let (at_dialer, at_listener) = talk(&mut dialer, &mut listener, step);
            assert_eq!(at_dialer, [Seen::Up(NodeId::A)]);
            assert_eq!(at_listener, [Seen::Up(NodeId::B)]);
            dialer.send(1, b"ping").unwrap();
            dialer.send(127, b"").unwrap();
            listener.send(2, &[9; 1000]).unwrap();
            let (at_dialer, at_listener) = talk(&mut dialer, &mut listener, step);
            assert_eq!(at_dialer, [Seen::Message(2, vec![9; 1000])]);
            assert_eq!(
                at_listener,
                [Seen::Message(1, b"ping".to_vec()), Seen::Message(127, Vec::new())]
            );
        }
    }
}

#[test]
fn a_message_longer_than_a_frame_arrives_whole_or_is_refused() {
    let (mut dialer, mut listener) = pair(Some("s"));
    talk(&mut dialer, &mut listener, 4096);
    for length in [FRAME_PAYLOAD_BYTES_MAX, FRAME_PAYLOAD_BYTES_MAX + 1, 10 << 20] {
        let message: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
        dialer.send(5, &message).unwrap();
        dialer.send(6, b"next").unwrap();
        let (_, seen) = talk(&mut dialer, &mut listener, 1 << 20);
        assert_eq!(seen, [Seen::Message(5, message), Seen::Message(6, b"next".to_vec())]);
    }
    listener.config.message_bytes_max = 5 << 20;
    dialer.send(5, &vec![0; 10 << 20]).unwrap();
    let (_, seen) = talk(&mut dialer, &mut listener, 1 << 20);
    assert!(matches!(seen[..], [Seen::Error(LinkError::FrameTooLong { .. })]));
}

#[test]
fn wrong_partners_are_told_apart_by_name_on_both_sides() {
    let dialer = || config(NodeId::B, Some("secret"));
    let cases = [
        (
            "wrong secret",
            config(NodeId::B, Some("other")),
            LinkError::WrongSecret,
            Refusal::WrongSecret,
        ),
        (
            "no secret",
            config(NodeId::B, None),
            LinkError::Protection {
                ours: Transport::Plain.words(),
                theirs: Transport::Loopback.words(),
            },
            Refusal::Protection,
        ),
        (
            "wrong pair",
            LinkConfig { pair_name: "other".to_owned(), ..dialer() },
            LinkError::WrongPair { ours: "main".to_owned(), theirs: "other".to_owned() },
            Refusal::WrongPair,
        ),
        (
            "own node",
            config(NodeId::A, Some("secret")),
            LinkError::OwnNode { node: NodeId::A },
            Refusal::OwnNode,
        ),
    ];
    for (name, dialer, at_listener, at_dialer) in cases {
        let mut dialer = LinkSession::dialer(dialer);
        let mut listener = LinkSession::listener(config(NodeId::A, Some("secret")));
        let (from_a, from_b) = talk(&mut dialer, &mut listener, 3);
        assert_eq!(from_b, [Seen::Error(at_listener)], "{name}");
        assert_eq!(from_a, [Seen::Error(LinkError::Refused(at_dialer))], "{name}");
        assert!(!dialer.is_up() && !listener.is_up());
    }
}

#[test]
fn without_a_secret_another_machine_is_refused() {
    let far = LinkConfig { loopback: false, ..config(NodeId::A, None) };
    let mut dialer = LinkSession::dialer(far.clone());
    assert_eq!(dialer.poll(), Err(LinkError::Unsecured));
    assert_eq!(LinkSession::listener(far).poll(), Err(LinkError::Unsecured));
}

#[test]
fn strangers_get_no_answer_and_a_name() {
    for bytes in [&b"*1\r\n$4\r\nPING\r\n"[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 64], &[0xff; 64]] {
        let mut listener = LinkSession::listener(config(NodeId::A, Some("secret")));
        let seen = give(&mut listener, bytes, 5);
        assert_eq!(seen, [Seen::Error(LinkError::NotALink)], "{bytes:?}");
        assert!(listener.output().is_empty());
    }
}

#[test]
fn a_recorded_conversation_proves_nothing_to_a_new_session() {
    let (mut dialer, mut listener) = pair(Some("secret"));
    let hello = dialer.take_output();
    give(&mut listener, &hello, 99);
    give(&mut dialer, &listener.take_output(), 99);
    let proof = dialer.take_output();
    assert_eq!(give(&mut listener, &proof, 99), [Seen::Up(NodeId::B)]);

    let other_nonce = LinkConfig { nonce: [77; NONCE_BYTES], ..config(NodeId::A, Some("secret")) };
    let mut later = LinkSession::listener(other_nonce);
    give(&mut later, &hello, 99);
    assert_eq!(give(&mut later, &proof, 99), [Seen::Error(LinkError::WrongSecret)]);

    // The listener's own words, sent back to it, do not prove a dialer either.
    let mut mirror = LinkSession::listener(config(NodeId::A, Some("secret")));
    let seen = give(&mut mirror, &listener.take_output(), 99);
    assert!(matches!(seen[..], [Seen::Error(_)]));
}

#[test]
fn one_flipped_bit_anywhere_ends_the_session() {
    let (mut dialer, mut listener) = pair(Some("secret"));
    talk(&mut dialer, &mut listener, 99);
    dialer.send(4, b"record").unwrap();
    let bytes = dialer.take_output();
    let mut touched = bytes;
    touched[7] ^= 1;
    assert_eq!(give(&mut listener, &touched, 99), [Seen::Error(LinkError::Damaged { number: 0 })]);
    assert_eq!(listener.poll(), Err(LinkError::Damaged { number: 0 }));
    assert_eq!(listener.send(1, b"x"), Err(NotUp));
}

#[test]
fn random_bytes_never_panic() {
    let mut state = 1_u64;
    for round in 0..3000 {
        let (mut dialer, mut listener) = pair(Some("secret"));
        if round % 2 == 0 {
            talk(&mut dialer, &mut listener, 99);
        } else {
            give(&mut listener, &dialer.take_output(), 99);
        }
        let mut bytes = Vec::new();
        for _ in 0..40 {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            bytes.push(if round % 3 == 0 { (state >> 60) as u8 } else { (state >> 56) as u8 });
        }
        give(&mut listener, &bytes, 9);
    }
}

#[test]
fn what_was_written_is_not_offered_again() {
    let (mut dialer, mut listener) = pair(None);
    talk(&mut dialer, &mut listener, 99);
    dialer.send(1, &[1; 100]).unwrap();
    let all = dialer.output().to_vec();
    dialer.sent(40);
    assert_eq!(dialer.output(), &all[40..]);
    dialer.sent(1000);
    assert!(dialer.output().is_empty());
}
