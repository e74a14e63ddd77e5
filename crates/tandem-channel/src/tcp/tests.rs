//! Real sockets: the peer gets through, whoever else is there.

use std::sync::mpsc;

use tandem_switch::{BootId, Load, Vitals};
use tandem_types::{Epoch, Incarnation, Lsn, Monotonic, Role};

use super::*;
use crate::{Channel, ChannelSettings, Heard, Key};

fn vitals() -> Vitals {
    Vitals {
        boot: BootId { incarnation: Incarnation::new(1), boot: 1 },
        role: Role::Primary,
        epoch_seen: Epoch::new(1),
        appended_end: Lsn::ZERO,
        durable_end: Lsn::ZERO,
        resigned: None,
        unwell: false,
        load: Load { cpu_percent: 0, io_wait_percent: 0, request_ms: 0, requests: 0 },
    }
}

/// Both ends with a free port each, on two addresses, so that strangers have another one.
async fn ends() -> (String, String) {
    let mut ends = ["127.0.0.2:0", "127.0.0.3:0"].map(str::to_owned);
    for end in &mut ends {
        let listener = TcpListener::bind(&*end).await.unwrap();
        *end = listener.local_addr().unwrap().to_string();
    }
    ends.into()
}

fn start(node: NodeId, own: &str, peer: &str) -> (Channel, mpsc::Receiver<Heard>) {
    let settings = ChannelSettings {
        index: 0,
        node,
        pair: "main".to_owned(),
        key: Key::new(b"secret"),
        own: Endpoint::Tcp(own.to_owned()),
        peer: Endpoint::Tcp(peer.to_owned()),
        nonce: 7 + u64::from(node.as_byte()),
        now: || Monotonic::from_millis(1),
    };
    let (tell, heard) = mpsc::channel();
    let told = move |it| {
        tell.send(it).ok();
    };
    let (channel, _task) = Channel::start(&tokio::runtime::Handle::current(), settings, told);
    (channel, heard)
}

/// Reports on both until each has heard the other.
async fn talk(a: &(Channel, mpsc::Receiver<Heard>), b: &(Channel, mpsc::Receiver<Heard>)) -> bool {
    let both = async {
        let (mut of_a, mut of_b) = (false, false);
        while !(of_a && of_b) {
            a.0.report(vitals());
            b.0.report(vitals());
            sleep(Duration::from_millis(10)).await;
            of_a |= a.1.try_recv().is_ok();
            of_b |= b.1.try_recv().is_ok();
        }
    };
    timeout(Duration::from_secs(20), both).await.is_ok()
}

async fn connected(to: &str) -> TcpStream {
    loop {
        match TcpStream::connect(to).await {
            Ok(stream) => return stream,
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Stays, as long as it may, with a byte now and then.
async fn trickle(to: String) {
    let mut stranger = connected(&to).await;
    while stranger.write_all(b"T").await.is_ok() {
        sleep(Duration::from_millis(500)).await;
    }
}

#[tokio::test]
async fn slow_and_noisy_strangers_do_not_keep_the_peer_out() {
    let (own, peer) = ends().await;
    let a = start(NodeId::A, &own, &peer);
    let mut strangers = tokio::task::JoinSet::new();
    for _ in 0..64 {
        strangers.spawn(trickle(own.clone()));
    }
    let to = own.clone();
    let noise = tokio::spawn(async move {
        loop {
            connected(&to).await.write_all(&[b'T', b'H'].repeat(4096)).await.ok();
        }
    });
    let b = start(NodeId::B, &peer, &own);
    assert!(talk(&a, &b).await, "the channel does not come up beside strangers");
    for _ in 0..64 {
        strangers.spawn(trickle(own.clone()));
    }
    while a.1.try_recv().is_ok() || b.1.try_recv().is_ok() {}
    assert!(talk(&a, &b).await, "strangers have ended the peer's connection");
    noise.abort();
}

#[tokio::test]
async fn a_stranger_is_told_nothing_and_sent_away() {
    let (own, peer) = ends().await;
    let (channel, _heard) = start(NodeId::A, &own, &peer);
    let mut stranger = connected(&own).await;
    let noise = async {
        for _ in 0..64 * FRAME_BYTES {
            channel.report(vitals());
            if stranger.write_all(b"T").await.is_err() {
                return;
            }
            sleep(Duration::from_micros(500)).await;
        }
        panic!("still connected after {NOISE_BYTES_MAX} bytes of noise");
    };
    noise.await;
    let mut told = Vec::new();
    // It was sent away in the middle of its noise, so the connection may be reset.
    stranger.read_to_end(&mut told).await.ok();
    assert_eq!(told, [], "a stranger learned of the node's health");
}
