//! Hostile bytes on the link, before and after the handshake: nobody gets in, nothing panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem_link::{LinkConfig, LinkEvent, LinkSession, NONCE_BYTES, Secret};
use tandem_types::{Incarnation, NodeId, PairId};

fuzz_target!(|input: (&[u8], u8, u8)| {
    let (bytes, stage, piece) = input;
    let (mut dialer, mut listener) = (session(NodeId::B), session(NodeId::A));
    let mut said_hello = false;
    // Stage 0: a stranger; 1: after the dialer's hello; 2: after the handshake; 3: a stranger answers.
    if stage % 4 == 3 {
        assert!(!feed(&mut dialer, bytes, piece), "a stranger came up");
        return;
    }
    if stage % 4 >= 1 {
        let hello = dialer.take_output();
        feed(&mut listener, &hello, 255);
        said_hello = true;
    }
    let mut up = false;
    if stage % 4 == 2 {
        for _ in 0..3 {
            feed(&mut dialer, &listener.take_output(), 255);
            up |= feed(&mut listener, &dialer.take_output(), 255);
        }
        assert!(up && listener.is_up() && dialer.is_up());
    }
    let came_up = feed(&mut listener, bytes, piece);
    assert!(!came_up, "the secret was guessed, hello said: {said_hello}");
});

fn session(node: NodeId) -> LinkSession {
    let config = LinkConfig {
        node,
        incarnation: Incarnation::new(1),
        pair_id: PairId::new(2),
        pair_name: "main".to_owned(),
        software: "fuzz".to_owned(),
        session: 3,
        nonce: [node.as_byte(); NONCE_BYTES],
        secret: Some(Secret::new(b"secret".to_vec())),
        tls: false,
        tls_binding: Vec::new(),
        loopback: true,
        message_bytes_max: 1 << 20,
    };
    match node {
        NodeId::A => LinkSession::listener(config),
        NodeId::B => LinkSession::dialer(config),
    }
}

/// Feeds bytes in pieces; whether the peer proved itself meanwhile.
fn feed(session: &mut LinkSession, bytes: &[u8], piece: u8) -> bool {
    let mut up = false;
    for piece in bytes.chunks(usize::from(piece).max(1)) {
        session.receive(piece);
        loop {
            match session.poll() {
                Ok(Some(LinkEvent::Up(_))) => up = true,
                Ok(Some(LinkEvent::Message { .. })) => panic!("a forged message was accepted"),
                Ok(None) => break,
                Err(_) => return up,
            }
        }
    }
    up
}
