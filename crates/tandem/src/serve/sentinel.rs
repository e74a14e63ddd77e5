//! The Sentinel port of a node: told from the node's own status.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tandem_admin::{AdminReply, AdminRequest, RoleName, StatusView, SwitchRequest};
use tandem_config::{Config, NodeConfig, Topology};
use tandem_sentinel::{Addr, MasterView, ReplicaView, SentinelSettings, SentinelView};
use tandem_server::AdminHandle;
use tandem_types::NodeId;
use tokio::net::TcpSocket;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::serve::{addresses, secrets, tls};

/// How soon clients hear of what makes no event; of the rest they hear at once.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A node that has just started and does not know who is primary refuses connections for so long: its
/// clients ask another Sentinel at once, instead of being told that the pair is down.
const SILENT_FOR: Duration = Duration::from_secs(2);

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Opens the port and serves it on `runtime`, if there is one. `witness`: where the third Sentinel port
/// is; `news`: something happened to this node.
pub(crate) fn start(
    runtime: &Handle,
    config: &Config,
    node: NodeId,
    admin: &AdminHandle,
    witness: watch::Receiver<Option<(String, u16)>>,
    news: Arc<Notify>,
) -> anyhow::Result<()> {
    let own = &config.nodes[node];
    let Some(port) = own.sentinel_port else { return Ok(()) };
    let address = addresses::listen(&own.bind, port)?;
    let port = bind(address).with_context(|| format!("bind the Sentinel port {address}"))?;
    let password = config.auth.password_file.as_deref().map(secrets::read).transpose();
    let switching = admin.clone();
    let settings = SentinelSettings {
        password: password.context("read the secret of `auth.password_file`")?.map(Arc::from),
        tls: config.tls.as_ref().map(tls::server_config).transpose()?,
        failover: Arc::new(move |_| Box::pin(fail_over(switching.clone()))),
    };
    let teller = Teller::new(config, node);
    let third = move || witness.borrow().as_ref().map(|(host, port)| Addr::of(host, *port));
    let (show, mut shown) = watch::channel(teller.view(&StatusView::default(), None));
    let admin = admin.clone();
    runtime.spawn(async move {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = looks.tick() => {}
                () = news.notified() => {}
            }
            match admin.ask(AdminRequest::Status).await {
                Ok(AdminReply::Status(status)) => {
                    let view = teller.view(&status, third());
                    show.send_if_modified(|known| {
                        let news = *known != view;
                        *known = view;
                        news
                    });
                }
                Ok(_) => {}
                Err(_) => return,
            }
        }
    });
    runtime.spawn(async move {
        let known = shown.wait_for(|view| view.masters.iter().any(|master| !master.down));
        // What is known after that time is as much as will be.
        let _known = timeout(SILENT_FOR, known).await.is_ok();
        match port.listen(BACKLOG) {
            Ok(listener) => {
                tracing::info!("Sentinel clients are answered on {address}");
                tandem_sentinel::serve(listener, shown, settings, std::future::pending()).await;
            }
            Err(error) => tracing::error!("listen for Sentinel clients on {address}: {error}"),
        }
    });
    Ok(())
}

/// Takes the port; who connects before somebody listens is refused.
fn bind(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A port whose last connections are still closing is free, as for every listener.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// `SENTINEL FAILOVER` is a planned change of primary.
async fn fail_over(admin: AdminHandle) -> Result<(), String> {
    match admin.ask(AdminRequest::Switch(SwitchRequest::default())).await {
        Ok(AdminReply::Done(_)) => Ok(()),
        Ok(AdminReply::Refused(refused)) => Err(format!("NOGOODSLAVE {}", refused.line())),
        Ok(_) | Err(_) => Err("NOGOODSLAVE the node is shutting down".to_owned()),
    }
}

/// Turns a status into what clients are told.
struct Teller {
    own: NodeConfig,
    peer: NodeConfig,
    pair: String,
    replicas_serve: bool,
}

impl Teller {
    fn new(config: &Config, node: NodeId) -> Self {
        Self {
            own: config.nodes[node].clone(),
            peer: config.nodes[node.peer()].clone(),
            pair: config.pair.name.clone(),
            replicas_serve: config.pair.topology == Topology::PrimaryReplica,
        }
    }

    /// `witness`: where the third Sentinel port is.
    fn view(&self, status: &StatusView, witness: Option<Addr>) -> SentinelView {
        let here = status.role == RoleName::Primary;
        let there = status.peer.connected && status.peer.role == Some(RoleName::Primary);
        // A later reign here than the peer speaks of: what it says is old.
        let there = there && !here && status.peer.epoch >= status.epoch;
        let primary = match (here, there) {
            (true, _) => Some(&self.own),
            (false, true) => Some(&self.peer),
            (false, false) => None,
        };
        let master = MasterView {
            name: self.pair.clone(),
            // Who is told "nobody" gives up; an address that is flagged as down is tried again.
            primary: Some(client(primary.unwrap_or(&self.peer))),
            down: primary.is_none() || (here && status.stalled),
            replicas: self.replicas(status, here),
            sentinels: self
                .peer
                .sentinel_port
                .map(|port| place(&self.peer, port))
                .into_iter()
                .chain(witness)
                .collect(),
            epoch: status.epoch.max(status.peer.epoch),
            ..MasterView::default()
        };
        let me = place(&self.own, self.own.sentinel_port.unwrap_or(0));
        SentinelView { masters: vec![master], me }
    }

    /// The follower's client port if it serves reads and lives; otherwise the read port of whoever is left.
    fn replicas(&self, status: &StatusView, here: bool) -> Vec<ReplicaView> {
        let follower = if here { &self.peer } else { &self.own };
        let alive = !here || status.peer.connected;
        let follows = if here {
            matches!(status.peer.role, Some(RoleName::Replica | RoleName::Standby))
        } else {
            matches!(status.role, RoleName::Replica | RoleName::Standby)
        };
        if self.replicas_serve && alive && follows {
            return vec![ReplicaView { addr: client(follower), down: false, linked: true }];
        }
        let left = if here || status.role == RoleName::Replica { &self.own } else { &self.peer };
        left.read_port
            .map(|port| ReplicaView { addr: place(left, port), down: false, linked: true })
            .into_iter()
            .collect()
    }
}

fn client(node: &NodeConfig) -> Addr {
    place(node, node.client_port)
}

fn place(node: &NodeConfig, port: u16) -> Addr {
    Addr::of(&node.host, port)
}

#[cfg(test)]
mod tests {
    use tandem_admin::PeerView;

    use super::*;

    fn teller(topology: &str) -> Teller {
        let text = format!(
            "[pair]\nname = \"shop\"\ntopology = \"{topology}\"\n[nodes.a]\nhost = \"127.0.0.1\"\n\
             [nodes.b]\nhost = \"127.0.0.2\"\n"
        );
        Teller::new(&tandem_config::load(&text, []).unwrap(), NodeId::A)
    }

    fn status(role: RoleName, peer: RoleName, connected: bool) -> StatusView {
        let peer = PeerView { role: Some(peer), connected, ..PeerView::default() };
        StatusView { role, peer, ..StatusView::default() }
    }

    #[test]
    fn the_primary_is_whoever_serves_and_nobody_when_nobody_does() {
        let teller = teller("primary-replica");
        let ip = |status: &StatusView| {
            let master = teller.view(status, None).masters.remove(0);
            master.primary.filter(|_| !master.down).map(|primary| primary.ip)
        };
        let a = Some("127.0.0.1".to_owned());
        let b = Some("127.0.0.2".to_owned());
        assert_eq!(ip(&status(RoleName::Primary, RoleName::Replica, true)), a);
        assert_eq!(ip(&status(RoleName::Primary, RoleName::Primary, true)), a);
        assert_eq!(ip(&status(RoleName::Replica, RoleName::Primary, true)), b);
        assert_eq!(ip(&status(RoleName::Replica, RoleName::Primary, false)), None);
        assert_eq!(ip(&status(RoleName::Isolated, RoleName::Replica, true)), None);
        let mut old = status(RoleName::Replica, RoleName::Primary, true);
        old.epoch = 3;
        assert_eq!(ip(&old), None, "the peer speaks of an older reign");
    }

    #[test]
    fn readers_are_sent_to_whoever_is_left() {
        let place = |topology: &str, status: &StatusView| {
            let view = teller(topology).view(status, None);
            let replica = &view.masters[0].replicas[0].addr;
            assert_eq!(replica.runid.len(), 40);
            (replica.ip.clone(), replica.port)
        };
        let both = status(RoleName::Primary, RoleName::Replica, true);
        assert_eq!(place("primary-replica", &both), ("127.0.0.2".to_owned(), 6379));
        let alone = status(RoleName::Primary, RoleName::Replica, false);
        assert_eq!(place("primary-replica", &alone), ("127.0.0.1".to_owned(), 6380));
        let standby = status(RoleName::Primary, RoleName::Standby, true);
        assert_eq!(place("primary-standby", &standby), ("127.0.0.1".to_owned(), 6380));
    }
}
