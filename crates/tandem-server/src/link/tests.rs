//! Two links over loopback sockets, each with a brain that keeps what it hears.

use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::Instant;

use mio::{Events, Poll};
use tandem_node::ConnId;
use tandem_types::PairId;

use super::*;
use crate::brain::Identity;
use crate::clock;
use crate::inbox::Inbox;

/// Keeps what the link says.
#[derive(Default)]
struct Ear {
    heard: Vec<String>,
    troubles: Vec<String>,
    life: u64,
}

impl Brain for Ear {
    fn step(&mut self, _now: Now, input: Input<'_>, _out: &mut Vec<Output>) {
        self.heard.push(match input {
            Input::LinkUp { .. } => "up".to_owned(),
            Input::LinkDown { .. } => "down".to_owned(),
            Input::LinkMessage { bytes } if bytes.len() > 100 => format!("{} bytes", bytes.len()),
            Input::LinkMessage { bytes } => String::from_utf8_lossy(bytes).into_owned(),
            Input::LinkBacklog { .. } => return,
            Input::LinkTrouble { reason } => return self.troubles.push(reason),
            other => panic!("{other:?}"),
        });
    }

    fn deadline(&self) -> Option<Monotonic> {
        None
    }

    fn take_dirty(&mut self, _dirty: &mut Vec<ConnId>) {}

    fn writable(&mut self, _conn: ConnId) -> &[u8] {
        &[]
    }

    fn written(&mut self, _conn: ConnId, _count: usize) {}

    fn owes(&self, _conn: ConnId) -> bool {
        false
    }

    fn clients_max(&self) -> usize {
        0
    }

    fn take_unread(&mut self, _conn: ConnId) -> Vec<u8> {
        Vec::new()
    }

    fn identity(&self) -> Identity {
        Identity { incarnation: Incarnation::new(self.life), pair_id: PairId::NONE, boots: 1 }
    }
}

/// One end: a link, its poll and its brain.
struct End {
    poll: Poll,
    events: Events,
    link: Link,
    ear: Ear,
    address: Option<SocketAddr>,
    _inbox: Inbox,
}

impl End {
    fn listening(secret: Option<&str>) -> Self {
        Self::new(NodeId::A, 0, secret)
    }

    fn dialing(port: u16, secret: Option<&str>) -> Self {
        Self::new(NodeId::B, port, secret)
    }

    fn new(node: NodeId, peer_port: u16, secret: Option<&str>) -> Self {
        let poll = Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let (inbox, outbox) = Inbox::new(&registry, crate::event_loop::mail_token()).unwrap();
        let listener =
            (node == NodeId::A).then(|| Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        let address = listener.as_ref().map(Listener::address);
        let settings = LinkSettings {
            node,
            pair_name: "main".to_owned(),
            software: "test".to_owned(),
            peer_host: "127.0.0.1".to_owned(),
            peer_port,
            secret: secret.map(|secret| Arc::from(secret.as_bytes())),
            certificates_prove: false,
        };
        let mut link = Link::new(settings, registry, listener, outbox).unwrap();
        link.start(clock::monotonic());
        let ear = Ear { life: u64::from(node.as_byte()) + 1, ..Ear::default() };
        Self { poll, events: Events::with_capacity(64), link, ear, address, _inbox: inbox }
    }

    fn turn(&mut self) {
        let timeout = u64::from(!self.link.is_busy());
        self.poll.poll(&mut self.events, Some(Duration::from_millis(timeout))).unwrap();
        for event in &self.events {
            let token = event.token().0.wrapping_sub(link_token(0).0) as u64;
            self.link.event(token, event);
        }
        self.link.turn(clock::now(), &mut self.ear, &mut Vec::new(), None);
        self.link.write();
    }

    fn port(&self) -> u16 {
        self.address.unwrap().port()
    }
}

/// Turns all ends until `done` or 20 seconds have passed.
fn turn_until(ends: &mut [&mut End], what: &str, mut done: impl FnMut(&[&mut End]) -> bool) {
    let start = Instant::now();
    while !done(ends) {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:?}", ends[0].ear.heard);
        for end in ends.iter_mut() {
            end.turn();
        }
    }
}

fn heard(ends: &[&mut End], end: usize, want: &str) -> bool {
    ends[end].ear.heard.iter().any(|heard| heard == want)
}

#[test]
fn messages_go_both_ways_in_order_and_large_ones_whole() {
    for secret in [None, Some("a secret that both know")] {
        let mut a = End::listening(secret);
        let mut b = End::dialing(a.port(), secret);
        turn_until(&mut [&mut a, &mut b], "up", |ends| {
            heard(ends, 0, "up") && heard(ends, 1, "up")
        });
        a.link.send(b"from a");
        b.link.send(b"one");
        b.link.send(&vec![7; 5 << 20]);
        b.link.send(b"two");
        turn_until(&mut [&mut a, &mut b], "messages", |ends| {
            heard(ends, 0, "two") && heard(ends, 1, "from a")
        });
        assert_eq!(a.ear.heard, ["up", "one", "5242880 bytes", "two"]);
    }
}

#[test]
fn a_lost_connection_is_made_again() {
    let mut a = End::listening(None);
    let mut b = End::dialing(a.port(), None);
    turn_until(&mut [&mut a, &mut b], "up", |ends| heard(ends, 0, "up") && heard(ends, 1, "up"));
    a.link.hang_up("test", clock::now());
    a.ear.heard.clear();
    b.ear.heard.clear();
    turn_until(&mut [&mut a, &mut b], "again", |ends| heard(ends, 0, "up") && heard(ends, 1, "up"));
    assert_eq!(b.ear.heard, ["down", "up"]);
}

#[test]
fn a_peer_that_does_not_know_the_secret_never_comes_up() {
    let mut a = End::listening(Some("right"));
    let mut b = End::dialing(a.port(), Some("wrong"));
    // Each node is told why, once: there are several attempts.
    turn_until(&mut [&mut a, &mut b], "told", |ends| {
        ends.iter().all(|end| end.ear.troubles.iter().any(|it| it.contains("secret")))
    });
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(500) {
        a.turn();
        b.turn();
    }
    assert!(a.ear.heard.is_empty() && b.ear.heard.is_empty());
    for end in [&a, &b] {
        let words = |it: &String| it.contains("right") || it.contains("wrong");
        assert!(!end.ear.troubles.iter().any(words), "{:?}", end.ear.troubles);
    }
    assert_eq!(b.ear.troubles.len(), 1, "{:?}", b.ear.troubles);
}

#[test]
fn a_link_that_is_refused_as_soon_as_it_is_up_is_told_once() {
    let mut b = End::dialing(1, None);
    let (now, later) = (Monotonic::from_millis(10_000), Monotonic::from_millis(20_000));
    let up = Some(Monotonic::from_millis(9_999));
    assert!(b.link.is_news(up, Some("another pair"), now));
    assert!(!b.link.is_news(up, Some("another pair"), now), "the next attempt");
    assert!(b.link.is_news(up, Some("another version"), now), "it changed");
    assert!(!b.link.is_news(up, Some("another pair"), now), "two of them in turn");
    assert!(b.link.is_news(up, Some("another version"), later), "it had lasted");
    assert!(b.link.is_news(up, Some("another version"), now), "that was not the same");
    assert!(!b.link.is_news(up, None, now), "it broke off, and why is known");
    assert!(b.link.is_news(up, None, later), "it had lasted");
    assert!(b.link.is_news(up, None, now), "and is lost at once now");
    assert!(!b.link.is_news(up, None, now), "as before");
    assert!(b.link.is_news(up, Some("another pair"), now), "now it is known why");
}

#[test]
fn strangers_on_the_link_port_do_not_keep_the_peer_out() {
    let mut a = End::listening(None);
    let mut strangers: Vec<_> =
        (0..6).map(|_| std::net::TcpStream::connect(a.address.unwrap()).unwrap()).collect();
    strangers[0].write_all(b"*1\r\n$4\r\nPING\r\n").unwrap();
    strangers[1].write_all(&[0; 100]).unwrap();
    strangers[2].write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut b = End::dialing(a.port(), None);
    turn_until(&mut [&mut a, &mut b], "up", |ends| heard(ends, 0, "up") && heard(ends, 1, "up"));
    strangers[0].set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (sender, closed) = mpsc::channel();
    let mut stranger = strangers.swap_remove(0);
    std::thread::spawn(move || sender.send(stranger.read(&mut [0; 64])));
    turn_until(&mut [&mut a, &mut b], "closed", |_| {
        closed.try_recv().is_ok_and(|read| read.unwrap_or(0) == 0)
    });
    assert_eq!(a.ear.heard, ["up"]);
}

#[test]
fn however_many_silent_strangers_come_the_peer_gets_through() {
    let mut a = End::listening(None);
    let address = a.address.unwrap();
    let mut strangers: Vec<_> =
        (0..20).map(|_| std::net::TcpStream::connect(address).unwrap()).collect();
    a.turn();
    assert!(a.link.lines.len() <= LINES_MAX, "{}", a.link.lines.len());
    let mut b = End::dialing(a.port(), None);
    turn_until(&mut [&mut a, &mut b], "up", |ends| heard(ends, 0, "up") && heard(ends, 1, "up"));
    // They come again and again, and the connection that is up stays.
    strangers.extend((0..20).map(|_| std::net::TcpStream::connect(address).unwrap()));
    b.link.send(b"hello");
    turn_until(&mut [&mut a, &mut b], "heard", |ends| heard(ends, 0, "hello"));
    turn_until(&mut [&mut a, &mut b], "all came", |ends| ends[0].link.lines_made > 40);
    assert!(a.link.strangers.said_of("crowd"), "it is told");
    assert!(a.link.last_trouble.is_empty(), "and not of the peer");
    assert_eq!(a.ear.heard, ["up", "hello"]);
}

#[test]
fn a_connection_is_heard_however_many_there_have_been() {
    let mut a = End::listening(None);
    for made in [(1 << 16) - 300, (1 << 16) + 300, LINK_TOKENS - 1, LINK_TOKENS + 300] {
        a.link.lines_made = made;
        let mut b = End::dialing(a.port(), None);
        turn_until(&mut [&mut a, &mut b], "up", |ends| heard(ends, 1, "up"));
    }
}

#[test]
fn a_newer_connection_of_the_same_peer_takes_the_place_of_the_old() {
    let mut a = End::listening(None);
    let mut old = End::dialing(a.port(), None);
    turn_until(&mut [&mut a, &mut old], "up", |ends| heard(ends, 0, "up") && heard(ends, 1, "up"));
    // The same node comes again (its machine was cut off and it dials anew); the old one is half-open.
    let mut new = End::dialing(a.port(), None);
    new.link.lines_made = 10;
    turn_until(&mut [&mut a, &mut new], "replaced", |ends| heard(ends, 1, "up"));
    new.link.send(b"hello");
    turn_until(&mut [&mut a, &mut new], "heard", |ends| heard(ends, 0, "hello"));
    assert_eq!(a.ear.heard, ["up", "down", "up", "hello"]);
}
