//! The Sentinel port of a node: told from the node's own status.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tandem_admin::{AdminReply, AdminRequest, RoleName, StatusView, SwitchRequest};
use tandem_config::{Config, NodeConfig, Topology};
use tandem_sentinel::{Addr, MasterView, ReplicaView, SentinelSettings, SentinelView};
use tandem_server::AdminHandle;
use tandem_types::NodeId;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::serve::{addresses, secrets, tls};

/// How soon clients hear of a change.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Opens the port and serves it on `runtime`, if there is one.
pub(crate) fn start(
    runtime: &Handle,
    config: &Config,
    node: NodeId,
    admin: &AdminHandle,
) -> anyhow::Result<()> {
    let own = &config.nodes[node];
    let Some(port) = own.sentinel_port else { return Ok(()) };
    let address = addresses::listen(&own.bind, port)?;
    let listener = runtime
        .block_on(TcpListener::bind(address))
        .with_context(|| format!("listen for Sentinel clients on {address}"))?;
    let password = config.auth.password_file.as_deref().map(secrets::read).transpose();
    let switching = admin.clone();
    let settings = SentinelSettings {
        password: password.context("read the secret of `auth.password_file`")?.map(Arc::from),
        tls: config.tls.as_ref().map(tls::server_config).transpose()?,
        failover: Arc::new(move |_| Box::pin(fail_over(switching.clone()))),
    };
    let teller = Teller::new(config, node);
    let (show, shown) = watch::channel(teller.view(&StatusView::default()));
    let admin = admin.clone();
    runtime.spawn(async move {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            match admin.ask(AdminRequest::Status).await {
                Ok(AdminReply::Status(status)) => {
                    let view = teller.view(&status);
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
    runtime.spawn(tandem_sentinel::serve(listener, shown, settings, std::future::pending()));
    tracing::info!("Sentinel clients are answered on {address}");
    Ok(())
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

    fn view(&self, status: &StatusView) -> SentinelView {
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
            primary: primary.map(client),
            down: primary.is_none() || (here && status.stalled),
            replicas: self.replicas(status, here),
            sentinels: self
                .peer
                .sentinel_port
                .map(|port| place(&self.peer, port))
                .into_iter()
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

/// The run id names the place: a restart is no news to a client.
fn place(node: &NodeConfig, port: u16) -> Addr {
    let mut digits = String::new();
    for round in 0_u32..5 {
        let text = format!("{round} {} {} {port}", node.name, node.host);
        digits.push_str(&hex(crc32c::crc32c(text.as_bytes())));
    }
    Addr { ip: node.host.clone(), port, runid: digits }
}

fn hex(word: u32) -> String {
    format!("{word:08x}")
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
            teller.view(status).masters[0].primary.clone().map(|primary| primary.ip)
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
            let view = teller(topology).view(status);
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
