//! Sessions fed with bytes, without a node around them.

mod blocking;
mod gate;
mod messages;
mod probes;
mod protocol;
mod roles;
mod scripts;
mod transactions;

use std::net::SocketAddr;
use std::time::Duration;

use tandem_log::Tip;
use tandem_resp::write_request;
use tandem_store::Store;
use tandem_types::{Lsn, Monotonic, Now, Role, WallMillis};

use crate::testing::settings;
use crate::{Clients, ConnId, ConnInfo, Core, Facts, Output, Port, Secret, Settings, stopped};

/// A primary without a log thread: what is appended is safe at once, unless `commits` is off.
struct World {
    core: Core,
    clients: Clients,
    commits: bool,
    next_place: u32,
    millis: u64,
}

impl World {
    fn new() -> Self {
        Self::with(settings())
    }

    fn with(settings: Settings) -> Self {
        let mut core = Core::new(settings, Store::new(1), Tip::EMPTY, None);
        core.view.role = Role::Primary;
        let facts = Facts { version: "0.1.0".to_owned(), ..Facts::default() };
        let clients = Clients::new(facts, Some(stopped));
        let mut world = Self { core, clients, commits: true, next_place: 0, millis: 0 };
        world.core.begin_reign(tandem_types::Epoch::new(1), tandem_types::ForkId::new(1));
        world.core.view.epoch = tandem_types::Epoch::new(1);
        world.at(1_000_000);
        world
    }

    fn with_password() -> Self {
        let password = Some(Secret::new(b"secret".to_vec()));
        Self::with(Settings { password, ..settings() })
    }

    /// Moves both clocks to `millis` and lets time do its work.
    fn at(&mut self, millis: u64) {
        self.millis = millis;
        self.core.now = Now { mono: Monotonic::from_millis(millis), wall: WallMillis::new(millis) };
        self.clients.tick(&mut self.core);
        self.commit();
    }

    fn later(&mut self, millis: u64) {
        self.at(self.millis + millis);
    }

    fn connect(&mut self) -> ConnId {
        self.connect_to(Port::Client, "127.0.0.1:5555")
    }

    fn connect_to(&mut self, port: Port, peer: &str) -> ConnId {
        let conn = ConnId::new(self.next_place, 0);
        self.next_place += 1;
        let peer: SocketAddr = peer.parse().unwrap();
        let local = "127.0.0.1:6379".parse().unwrap();
        self.clients.accepted(&mut self.core, conn, ConnInfo { peer, local, port, tls: false });
        conn
    }

    /// Everything appended becomes safe.
    fn commit(&mut self) {
        if self.commits {
            self.commit_to(self.core.positions.appended_end);
        }
    }

    fn commit_to(&mut self, end: Lsn) {
        self.core.positions.durable_end = end;
        self.core.positions.commit_end = end;
        self.clients.committed(&mut self.core);
    }

    fn send_bytes(&mut self, conn: ConnId, bytes: &[u8]) {
        self.clients.received(&mut self.core, conn, bytes);
        self.clients.end_of_turn(&mut self.core);
        self.commit();
    }

    fn send(&mut self, conn: ConnId, line: &str) {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let mut bytes = Vec::new();
        write_request(&mut bytes, &words);
        self.send_bytes(conn, &bytes);
    }

    /// What may leave to a client, as text.
    fn take(&mut self, conn: ConnId) -> String {
        let mut dirty = Vec::new();
        self.clients.take_dirty(&mut dirty);
        let bytes = self.clients.writable(conn).to_vec();
        self.clients.written(conn, bytes.len());
        // Others keep what they have: they are taken by later calls.
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends one command and takes what comes back at once.
    fn ask(&mut self, conn: ConnId, line: &str) -> String {
        self.send(conn, line);
        self.take(conn)
    }

    /// Whether the node asked for this connection to end.
    fn is_closed(&self, conn: ConnId) -> bool {
        self.core
            .out
            .iter()
            .any(|out| matches!(out, Output::Close { conn: closed } if *closed == conn))
    }
}
