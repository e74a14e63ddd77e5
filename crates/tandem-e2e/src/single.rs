//! One server that serves alone, for tests of what any Redis-protocol server must bear.
//!
//! With `TANDEM_E2E_DUEL=redis` it is Debian's redis-server, to see whether a test is fair.

use std::net::SocketAddr;

use crate::client::Client;
use crate::pair::{Pair, PairOptions};
use crate::redis_server::RedisServer;

/// The server under test.
#[derive(Debug)]
pub enum Single {
    /// Tandem's node a, going on alone with `acknowledge = "local"`.
    Tandem(Box<Pair>),
    /// redis-server.
    Redis(RedisServer),
}

impl Single {
    /// Starts it with nothing synced: these tests are about the protocol.
    #[track_caller]
    pub fn start() -> Self {
        if std::env::var("TANDEM_E2E_DUEL").as_deref() == Ok("redis") {
            return Self::Redis(RedisServer::start(&[]));
        }
        let options = PairOptions::default()
            .replication("acknowledge = \"local\"")
            .replication("fsync = \"never\"");
        Self::Tandem(Box::new(Pair::start_alone(&options)))
    }

    /// True for redis-server.
    pub fn is_redis(&self) -> bool {
        matches!(self, Self::Redis(_))
    }

    /// Client port.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Tandem(pair) => pair.a.address(),
            Self::Redis(server) => server.address(),
        }
    }

    /// A new connection.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.address()).expect("the server accepts")
    }

    /// Process number of who serves the clients.
    #[track_caller]
    pub fn pid(&mut self) -> u32 {
        match self {
            Self::Tandem(pair) => pair.a.pid(),
            Self::Redis(server) => server.process().pid(),
        }
    }

    /// Panics unless it runs and answers a new client at once.
    #[track_caller]
    pub fn assert_serves(&mut self) {
        match self {
            Self::Tandem(pair) => pair.a.process().assert_running(),
            Self::Redis(server) => server.process().assert_running(),
        }
        let mut client = self.client();
        client.set_reply_timeout(std::time::Duration::from_secs(2)).expect("a socket option");
        assert_eq!(client.ok(&["PING"]).text().as_deref(), Some("PONG"));
    }
}
