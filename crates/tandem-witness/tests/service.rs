//! A real witness and real connections.
#![expect(clippy::unwrap_used, reason = "the helpers of a test may fail it")]

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tandem_switch::{
    Acknowledge, BootId, Change, MediatorEvent, MediatorRequest, MediatorView, Outcome, Presence,
    Record, RecordState, Revision,
};
use tandem_types::{Epoch, ForkId, Incarnation, Monotonic, NodeId, Pair, PairId, Role};
use tandem_witness::{
    Client, ClientSettings, PairSeen, Place, Places, Secret, Seen, Server, ServerSettings,
};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

const SESSION: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(10);

struct Node {
    client: Client,
    events: mpsc::UnboundedReceiver<MediatorEvent>,
    which: NodeId,
    sentinel: watch::Receiver<Option<(String, u16)>>,
}

fn places() -> Places {
    let place = |host: &str| Place {
        host: host.to_owned(),
        client_port: 6379,
        read_port: Some(6380),
        sentinel_port: Some(26379),
    };
    Places { nodes: Pair { a: place("10.0.0.1"), b: place("10.0.0.2") }, replicas_serve: true }
}

fn presence(node: NodeId, pair_id: PairId) -> Presence {
    let incarnation = Incarnation::new(u64::from(node.as_byte()) + 10);
    let boot = BootId { incarnation, boot: 1 };
    Presence { boot, pair_id, epoch_seen: Epoch::new(1), role: Role::Standby }
}

fn record(epoch: u64, primary: NodeId) -> Record {
    Record {
        pair_id: PairId::new(5),
        epoch: Epoch::new(epoch),
        fork: ForkId::new(epoch),
        primary,
        primary_boot: presence(primary, PairId::NONE).boot,
        members: Pair { a: Some(Incarnation::new(10)), b: Some(Incarnation::new(11)) },
        strength: Acknowledge::Durable,
    }
}

impl Node {
    fn start(node: NodeId, address: SocketAddr, secret: &str) -> Self {
        let (sender, events) = mpsc::unbounded_channel();
        let (told, sentinel) = watch::channel(None);
        let settings = ClientSettings {
            endpoints: vec![address.to_string()],
            pair: "main".to_owned(),
            node,
            session: SESSION,
            secret: Secret::new(secret.as_bytes().to_vec()),
            tls: None,
            now: || Monotonic::ZERO,
            places: places(),
            sentinel: told,
        };
        let tell = move |event| {
            let _sent = sender.send(event);
        };
        let (client, _task) = Client::start(&tokio::runtime::Handle::current(), settings, tell);
        Self { client, events, which: node, sentinel }
    }

    async fn next<T>(&mut self, wanted: impl Fn(MediatorEvent) -> Option<T>) -> T {
        tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(it) = wanted(self.events.recv().await.unwrap()) {
                    return it;
                }
            }
        })
        .await
        .unwrap()
    }

    async fn up(&mut self) {
        self.next(|event| matches!(event, MediatorEvent::Up { .. }).then_some(())).await;
    }

    fn vouch(&self, pair_id: PairId) {
        self.client.ask(MediatorRequest::Vouch(presence(self.which, pair_id)));
    }

    async fn view(&mut self) -> MediatorView {
        self.client.ask(MediatorRequest::Read);
        self.next(|event| match event {
            MediatorEvent::View(view) if view.asked.is_some() => Some(view),
            _ => None,
        })
        .await
    }

    async fn change(&mut self, change: Change) -> Outcome {
        self.client.ask(MediatorRequest::Change { number: 7, change });
        self.next(|event| match event {
            MediatorEvent::Outcome { number: 7, outcome } => Some(outcome),
            _ => None,
        })
        .await
    }
}

async fn witness(folder: &Path, address: &str) -> (SocketAddr, JoinHandle<()>) {
    let (address, _, task) = seeing_witness(folder, address).await;
    (address, task)
}

async fn seeing_witness(
    folder: &Path,
    address: &str,
) -> (SocketAddr, watch::Receiver<Seen>, JoinHandle<()>) {
    let settings = ServerSettings {
        listen: address.parse().unwrap(),
        data_dir: folder.to_owned(),
        secret: Secret::new(b"secret".to_vec()),
        tls: None,
        sentinel_port: Some(26380),
    };
    let server = Server::open(settings).await.unwrap();
    let address = server.address().unwrap();
    (address, server.seen(), tokio::spawn(server.run()))
}

fn create() -> Change {
    Change { expect: None, record: record(1, NodeId::A), unless_present: None }
}

#[test]
fn one_of_two_changes_wins_and_presence_ends_with_its_session() {
    Runtime::new().unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (address, _running) = witness(folder.path(), "127.0.0.1:0").await;
        let (mut a, mut b) =
            (Node::start(NodeId::A, address, "secret"), Node::start(NodeId::B, address, "secret"));
        a.up().await;
        b.up().await;
        a.vouch(PairId::NONE);
        b.vouch(PairId::NONE);
        b.next(|event| matches!(event, MediatorEvent::Renewed { .. }).then_some(())).await;
        assert_eq!(a.view().await.record, RecordState::Absent);
        let Outcome::Won { revision } = a.change(create()).await else { unreachable!("it is new") };
        assert!(matches!(b.change(create()).await, Outcome::Lost(_)), "only one is the first");

        // b may not take over while a lives; a stops vouching, and then b may.
        let boot = presence(NodeId::A, PairId::NONE).boot;
        let take = Change {
            expect: Some(revision),
            record: record(2, NodeId::B),
            unless_present: Some((NodeId::A, boot)),
        };
        assert!(matches!(b.change(take).await, Outcome::Lost(_)), "a is present");
        b.next(|event| match event {
            MediatorEvent::View(view) => view.present.a.is_none().then_some(()),
            _ => None,
        })
        .await;
        let Outcome::Won { revision: second } = b.change(take).await else {
            unreachable!("a is gone")
        };
        assert_eq!(second, Revision { version: revision.version + 1, ..revision });
        // a hears of it without asking.
        a.next(|event| match event {
            MediatorEvent::View(MediatorView {
                asked: None,
                record: RecordState::Present { record, .. },
                ..
            }) => (record.primary == NodeId::B).then_some(()),
            _ => None,
        })
        .await;
    });
}

#[test]
fn the_record_survives_a_restart_and_nobody_is_absent_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = Runtime::new().unwrap();
    let (address, revision) = first.block_on(async {
        let (address, _running) = witness(folder.path(), "127.0.0.1:0").await;
        let mut a = Node::start(NodeId::A, address, "secret");
        a.up().await;
        a.vouch(PairId::NONE);
        let Outcome::Won { revision } = a.change(create()).await else { unreachable!("new") };
        (address, revision)
    });
    // As kill -9: nothing is told to anybody.
    first.shutdown_background();
    let second = Runtime::new().unwrap();
    second.block_on(async {
        // The lock goes with the task that held it, a moment later.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let (address, _running) = witness(folder.path(), &address.to_string()).await;
        let mut b = Node::start(NodeId::B, address, "secret");
        b.up().await;
        b.vouch(PairId::new(5));
        let begun = std::time::Instant::now();
        let view = b.view().await;
        assert!(begun.elapsed() >= SESSION * 9 / 10, "a had no chance to be heard");
        assert!(view.present.a.is_none());
        let want = RecordState::Present { revision, record: record(1, NodeId::A) };
        assert_eq!(view.record, want);
    });
}

#[test]
fn a_node_with_another_secret_is_not_heard() {
    Runtime::new().unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (address, _running) = witness(folder.path(), "127.0.0.1:0").await;
        let mut stranger = Node::start(NodeId::A, address, "guess");
        let reason = stranger
            .next(|event| match event {
                MediatorEvent::Down { reason } => Some(reason),
                _ => None,
            })
            .await;
        assert!(reason.contains("secret"), "{reason}");
        stranger.client.ask(MediatorRequest::Change { number: 7, change: create() });
        stranger
            .next(|event| match event {
                MediatorEvent::Outcome { outcome: Outcome::Unknown { .. }, .. } => Some(()),
                _ => None,
            })
            .await;
    });
}

#[test]
fn who_tells_clients_hears_where_the_pair_is_and_who_serves() {
    let folder = tempfile::tempdir().unwrap();
    Runtime::new().unwrap().block_on(async {
        let (address, mut seen, _task) = seeing_witness(folder.path(), "127.0.0.1:0").await;
        let mut a = Node::start(NodeId::A, address, "secret");
        a.up().await;
        let port = a.sentinel.wait_for(Option::is_some).await.unwrap().clone();
        assert_eq!(port, Some(("127.0.0.1".to_owned(), 26380)));
        let mut known = async |wanted: fn(&PairSeen) -> bool| {
            let wait = seen.wait_for(|seen| seen.get("main").is_some_and(wanted));
            tokio::time::timeout(PATIENCE, wait).await.unwrap().unwrap()["main"].clone()
        };
        let first = known(|_| true).await;
        assert_eq!((first.places, first.primary), (places(), None));
        a.vouch(PairId::NONE);
        assert!(matches!(a.change(create()).await, Outcome::Won { .. }));
        assert!(!known(|seen| seen.primary == Some(NodeId::A)).await.serves, "not by the record");
        let serves = Presence { role: Role::Primary, ..presence(NodeId::A, PairId::NONE) };
        a.client.ask(MediatorRequest::Vouch(serves));
        known(|seen| seen.serves).await;
        known(|seen| !seen.serves && seen.roles.a.is_none()).await;
    });
}

#[test]
fn what_was_asked_before_the_witness_was_reached_is_not_carried_out_later() {
    Runtime::new().unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (address, _running) = witness(folder.path(), "127.0.0.1:0").await;
        // The way there takes the connection, and for a while no more.
        let way = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut a = Node::start(NodeId::A, way.local_addr().unwrap(), "secret");
        let (mut near, _) = way.accept().await.unwrap();
        a.vouch(PairId::NONE);
        a.client.ask(MediatorRequest::Change { number: 7, change: create() });
        let mut far = tokio::net::TcpStream::connect(address).await.unwrap();
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        a.next(|event| match event {
            MediatorEvent::Outcome { number: 7, outcome: Outcome::Unknown { .. } } => Some(()),
            _ => None,
        })
        .await;
        a.up().await;
        let view = a.view().await;
        assert_eq!(view.present.a, None, "that was a sign of life when it was asked for");
        assert_eq!(view.record, RecordState::Absent);
    });
}

#[test]
fn a_full_disk_refuses_one_change_and_everything_else_goes_on() {
    Runtime::new().unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (address, running) = witness(folder.path(), "127.0.0.1:0").await;
        let mut a = Node::start(NodeId::A, address, "secret");
        a.up().await;
        a.vouch(PairId::NONE);
        let Outcome::Won { revision } = a.change(create()).await else { unreachable!("it is new") };
        let next =
            Change { expect: Some(revision), record: record(2, NodeId::A), unless_present: None };
        // Whatever is written to the new file finds no space.
        std::os::unix::fs::symlink("/dev/full", folder.path().join("main.new")).unwrap();
        let Outcome::Refused { reason } = a.change(next).await else { unreachable!("no space") };
        assert!(reason.contains("disk is full"), "{reason}");
        a.vouch(PairId::new(5));
        a.next(|event| matches!(event, MediatorEvent::Renewed { .. }).then_some(())).await;
        let view = a.view().await;
        let old = RecordState::Present { revision, record: record(1, NodeId::A) };
        assert_eq!(view.record, old, "what was acknowledged is what is kept");
        assert!(view.present.a.is_some() && !running.is_finished());
        // The same change again, once there is room.
        let Outcome::Won { revision: second } = a.change(next).await else {
            unreachable!("there is room")
        };
        assert_eq!(second, Revision { version: revision.version + 1, ..revision });
    });
}

#[test]
fn a_damaged_record_is_named_and_moving_its_file_away_is_enough() {
    Runtime::new().unwrap().block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("main.record");
        std::fs::write(&file, b"TNDMWIT1 and then something else").unwrap();
        let (address, _running) = witness(folder.path(), "127.0.0.1:0").await;
        let mut a = Node::start(NodeId::A, address, "secret");
        a.up().await;
        a.vouch(PairId::NONE);
        let RecordState::Unreadable { reason } = a.view().await.record else {
            unreachable!("it is damaged")
        };
        assert!(reason.contains("main.record") && reason.contains("move it away"), "{reason}");
        assert!(matches!(a.change(create()).await, Outcome::Lost(_)), "it is never overwritten");
        std::fs::rename(&file, folder.path().join("main.damaged")).unwrap();
        assert_eq!(a.view().await.record, RecordState::Absent);
        assert!(matches!(a.change(create()).await, Outcome::Won { .. }));
    });
}
