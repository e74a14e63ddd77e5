//! The client against real etcd servers (Debian's `etcd-server`), and against servers that are none.

mod cases;
mod cluster;
mod hostile;
mod login;
mod server;
mod side;
mod single;
mod stored;
mod tls;

use server::{Options, Server};
use side::{Mediator, Tell};
use tandem_switch::MediatorRequest;
use tandem_types::NodeId;
use tokio::runtime::Runtime;

/// A way for tests to be two nodes of a pair at the same etcd.
pub(crate) struct Etcd {
    runtime: Runtime,
    pub(crate) server: Server,
    login: Option<tandem_etcd::Login>,
    tls: Option<std::sync::Arc<rustls::ClientConfig>>,
}

impl Etcd {
    pub(crate) fn start() -> Self {
        Self::of(Server::start(Options::default()))
    }

    pub(crate) fn of(server: Server) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        Self { runtime, server, login: None, tls: None }
    }

    pub(crate) fn with_login(mut self, user: &str, password: &str) -> Self {
        self.login = Some(tandem_etcd::Login::new(user.to_owned(), password.to_owned()));
        self
    }

    pub(crate) fn with_tls(mut self, tls: rustls::ClientConfig) -> Self {
        self.tls = Some(std::sync::Arc::new(tls));
        self
    }
}

impl Mediator for Etcd {
    fn connect(&self, node: NodeId, tell: Tell) -> Box<dyn FnMut(MediatorRequest)> {
        self.connect_to(self.server.endpoints(), node, tell)
    }

    fn pause(&mut self) {
        self.server.pause();
    }

    fn resume(&mut self) {
        self.server.resume();
    }

    fn kill(&mut self) {
        self.server.kill();
    }

    fn restart(&mut self) {
        self.server.run();
    }

    fn wipe(&mut self) {
        self.server.wipe();
    }
}

impl Etcd {
    pub(crate) fn connect_to(
        &self,
        endpoints: Vec<String>,
        node: NodeId,
        tell: Tell,
    ) -> Box<dyn FnMut(MediatorRequest)> {
        let settings = tandem_etcd::ClientSettings {
            endpoints,
            pair: "main".to_owned(),
            node,
            session: side::SESSION,
            login: self.login.clone(),
            tls: self.tls.clone(),
            now: side::now,
        };
        let (client, _task) = tandem_etcd::Client::start(self.runtime.handle(), settings, tell);
        Box::new(move |request| client.ask(request))
    }
}
