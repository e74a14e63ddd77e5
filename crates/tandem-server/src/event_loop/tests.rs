//! The loop over real sockets, with a brain that sends every byte back.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tandem_node::Port;
use tandem_types::NodeId;

use super::*;
use crate::boot::Started;
use crate::brain::Identity;
use crate::link::LinkSettings;
use crate::net::listener::Listener;

/// Sends back what it gets; a line `quit` ends the connection.
#[derive(Default)]
struct Echo {
    output: BTreeMap<ConnId, Vec<u8>>,
    dirty: Vec<ConnId>,
    clients_max: usize,
}

impl Brain for Echo {
    fn step(&mut self, _now: Now, input: Input<'_>, out: &mut Vec<Output>) {
        match input {
            Input::Accepted { conn, .. } => {
                self.output.insert(conn, Vec::new());
            }
            Input::Received { conn, bytes } => {
                if bytes.ends_with(b"quit\r\n") {
                    out.push(Output::Close { conn });
                }
                self.output.get_mut(&conn).unwrap().extend_from_slice(bytes);
                self.dirty.push(conn);
            }
            Input::Closed { conn } => {
                assert!(self.output.remove(&conn).is_some(), "closed twice: {conn:?}");
            }
            Input::Shutdown => out.push(Output::Exit { status: 0, reason: "asked".to_owned() }),
            Input::Admin { id, .. } => {
                let clients = self.output.len().to_string();
                out.push(Output::AdminReply { id, reply: AdminReply::done(clients) });
            }
            _ => {}
        }
    }

    fn deadline(&self) -> Option<Monotonic> {
        None
    }

    fn take_dirty(&mut self, dirty: &mut Vec<ConnId>) {
        dirty.append(&mut self.dirty);
    }

    fn writable(&mut self, conn: ConnId) -> &[u8] {
        self.output.get(&conn).map_or(&[], |bytes| bytes)
    }

    fn written(&mut self, conn: ConnId, count: usize) {
        self.output.get_mut(&conn).unwrap().drain(..count);
    }

    fn owes(&self, conn: ConnId) -> bool {
        self.output.get(&conn).is_some_and(|bytes| !bytes.is_empty())
    }

    fn clients_max(&self) -> usize {
        self.clients_max
    }

    fn take_unread(&mut self, _conn: ConnId) -> Vec<u8> {
        Vec::new()
    }

    fn identity(&self) -> Identity {
        Identity::default()
    }
}

/// Boots when told to.
struct EchoBoot {
    go: std::sync::Mutex<mpsc::Receiver<()>>,
    clients_max: usize,
}

impl Boot for EchoBoot {
    fn boot(&self, _: u32, _: AfterStop, _: &Outbox) -> Result<Started, RunError> {
        self.go.lock().unwrap().recv().unwrap();
        let brain = Echo { clients_max: self.clients_max, ..Echo::default() };
        Ok((Box::new(brain), Workers::none()))
    }
}

struct Server {
    address: SocketAddr,
    admin: crate::AdminHandle,
    go: mpsc::Sender<()>,
    thread: Option<JoinHandle<Result<Exit, RunError>>>,
}

impl Server {
    fn loading(clients_max: usize) -> Self {
        let poll = Poll::new().unwrap();
        let registry = || poll.registry().try_clone().unwrap();
        let (inbox, outbox) = Inbox::new(poll.registry(), mail_token()).unwrap();
        let mut clients = Clients::new(registry(), 1000);
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.address();
        clients.listen(listener, Port::Client, entrance_token(0)).unwrap();
        let settings = LinkSettings {
            node: NodeId::A,
            pair_name: "main".to_owned(),
            software: "tandem".to_owned(),
            peer_host: "127.0.0.1".to_owned(),
            peer_port: 1,
            secret: None,
            certificates_prove: false,
        };
        let link = Link::new(settings, registry(), None, outbox.clone()).unwrap();
        let (go, wait) = mpsc::channel();
        let boot = Arc::new(EchoBoot { go: std::sync::Mutex::new(wait), clients_max });
        let turns = TurnClock::default();
        let admin = crate::AdminHandle::new(outbox.clone(), turns.clone());
        let parts =
            Parts { poll, inbox, outbox, clients, link, tls: None, boot, turns, password: None };
        let thread = thread::spawn(move || EventLoop::new(parts).run());
        Self { address, admin, go, thread: Some(thread) }
    }

    fn start() -> Self {
        let server = Self::loading(100);
        server.go.send(()).unwrap();
        server.wait_until_ready();
        server
    }

    fn wait_until_ready(&self) {
        while matches!(
            self.admin.ask_blocking(tandem_admin::AdminRequest::Status).unwrap(),
            AdminReply::Refused(_)
        ) {
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn client(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client
    }

    /// Clients that the brain knows.
    fn clients(&self) -> usize {
        match self.admin.ask_blocking(tandem_admin::AdminRequest::Status).unwrap() {
            AdminReply::Done(done) => done.message.parse().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn wait_for_clients(&self, count: usize) {
        let start = Instant::now();
        while self.clients() != count {
            assert!(start.elapsed() < Duration::from_secs(20), "{} clients", self.clients());
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.admin.shut_down().unwrap();
        let end = self.thread.take().unwrap().join().unwrap();
        assert_eq!(end.unwrap().reason, "asked");
    }
}

fn echo(client: &mut TcpStream, bytes: &[u8]) {
    client.write_all(bytes).unwrap();
    let mut got = vec![0; bytes.len()];
    client.read_exact(&mut got).unwrap();
    assert_eq!(got, bytes);
}

#[test]
fn bytes_come_back_whole_however_they_are_cut() {
    let server = Server::start();
    let mut client = server.client();
    client.set_nodelay(true).unwrap();
    let text = b"one two three four five";
    for cut in 0..text.len() {
        let (head, tail) = text.split_at(cut);
        client.write_all(head).unwrap();
        echo_tail(&mut client, text, tail);
    }
}

fn echo_tail(client: &mut TcpStream, whole: &[u8], tail: &[u8]) {
    client.write_all(tail).unwrap();
    let mut got = vec![0; whole.len()];
    client.read_exact(&mut got).unwrap();
    assert_eq!(got, whole);
}

#[test]
fn a_large_request_that_fills_every_buffer_comes_back_whole() {
    let server = Server::start();
    let mut client = server.client();
    let bytes: Vec<u8> = (0..8_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let mut writer = client.try_clone().unwrap();
    let sent = bytes.clone();
    let writing = thread::spawn(move || writer.write_all(&sent).unwrap());
    let mut got = vec![0; bytes.len()];
    client.read_exact(&mut got).unwrap();
    assert!(got == bytes);
    writing.join().unwrap();
}

#[test]
fn a_client_that_reads_nothing_does_not_stop_the_others() {
    let server = Server::start();
    let mut slow = server.client();
    slow.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        if slow.write_all(&chunk).is_err() {
            break;
        }
    }
    let mut other = server.client();
    for _ in 0..100 {
        echo(&mut other, b"hello\r\n");
    }
}

#[test]
fn every_way_to_leave_is_noticed_once() {
    let server = Server::start();
    // Orderly.
    drop(server.client());
    // With half the connection open, after an answer.
    let mut half = server.client();
    echo(&mut half, b"hello\r\n");
    half.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(half.read(&mut [0]).unwrap(), 0);
    // With an answer still on its way.
    let mut asker = server.client();
    asker.write_all(b"hello\r\n").unwrap();
    asker.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    asker.read_to_end(&mut answer).unwrap();
    assert_eq!(answer, b"hello\r\n");
    // By reset: a close with unread bytes.
    let mut reset = server.client();
    reset.write_all(b"hello\r\n").unwrap();
    server.wait_for_clients(1);
    reset.set_nonblocking(false).unwrap();
    socket2::SockRef::from(&reset).set_linger(Some(Duration::ZERO)).unwrap();
    drop(reset);
    // Sent away, with the last bytes.
    let mut quitter = server.client();
    echo(&mut quitter, b"quit\r\n");
    assert_eq!(quitter.read(&mut [0]).unwrap(), 0);
    server.wait_for_clients(0);
}

#[test]
fn a_storm_of_connections_is_survived_and_places_are_reused() {
    let server = Server::start();
    for _ in 0..20 {
        let clients: Vec<_> = (0..50).map(|_| server.client()).collect();
        for mut client in clients {
            echo(&mut client, b"hi\r\n");
        }
    }
    server.wait_for_clients(0);
}

#[test]
fn one_client_too_many_is_told_so() {
    let server = Server::loading(2);
    server.go.send(()).unwrap();
    server.wait_until_ready();
    let mut clients = [server.client(), server.client()];
    for client in &mut clients {
        echo(client, b"hi\r\n");
    }
    let mut third = server.client();
    let mut told = String::new();
    third.read_to_string(&mut told).unwrap();
    assert_eq!(told, "-ERR max number of clients reached\r\n");
    drop(clients);
    server.wait_for_clients(0);
    echo(&mut server.client(), b"hi\r\n");
}

#[test]
fn while_the_data_is_loaded_clients_are_told_so_and_then_served_on_the_same_connection() {
    let server = Server::loading(100);
    let mut client = server.client();
    client.write_all(b"PING\r\nPIN").unwrap();
    let want = b"-LOADING Tandem is loading the dataset in memory\r\n";
    let mut got = vec![0; want.len()];
    client.read_exact(&mut got).unwrap();
    assert_eq!(got, want);
    server.go.send(()).unwrap();
    server.wait_until_ready();
    let mut rest = [0; 3];
    client.read_exact(&mut rest).unwrap();
    assert_eq!(&rest, b"PIN", "the unfinished request went over to the node");
    echo(&mut client, b"hi\r\n");
}

#[test]
fn a_tls_client_on_a_plain_port_is_closed_without_an_answer() {
    let server = Server::start();
    let mut client = server.client();
    client.write_all(&[0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
    server.wait_for_clients(0);
}
