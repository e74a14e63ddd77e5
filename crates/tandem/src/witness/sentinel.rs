//! The witness' Sentinel port: told from the records and from what the nodes say of themselves.
//!
//! A pair is known once one of its nodes has called since the start of the witness, and its primary is
//! shown as up only while the node that the record names says that it serves. Until then the address
//! that the record names is shown as down: a client that is told "nobody" gives up.

use std::net::SocketAddr;

use anyhow::Context as _;
use tandem_sentinel::{Addr, MasterView, ReplicaView, SentinelSettings, SentinelView};
use tandem_types::{NodeId, Role};
use tandem_witness::{PairSeen, Place, Seen};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Opens the port.
pub(super) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let bound = TcpListener::bind(address).await;
    bound.with_context(|| format!("listen for Sentinel clients on {address}"))
}

/// Serves the port for ever.
pub(super) fn start(
    port: TcpListener,
    mut seen: watch::Receiver<Seen>,
    guard: SentinelSettings,
) -> anyhow::Result<()> {
    let at = port.local_addr()?;
    let me = Addr::of(&at.ip().to_string(), at.port());
    let (show, shown) = watch::channel(view(&seen.borrow_and_update(), &me));
    tokio::spawn(async move {
        while seen.changed().await.is_ok() {
            let view = view(&seen.borrow_and_update(), &me);
            show.send_replace(view);
        }
    });
    tokio::spawn(tandem_sentinel::serve(port, shown, guard, std::future::pending()));
    Ok(())
}

/// The witness decides nothing, so it cannot begin a change of primary either.
pub(super) fn no_failover(pair: &str) -> String {
    format!("NOGOODSLAVE the witness begins no change of primary; ask a node of the pair {pair}")
}

fn view(seen: &Seen, me: &Addr) -> SentinelView {
    let masters = seen.iter().map(|(name, pair)| master(name, pair)).collect();
    SentinelView { masters, me: me.clone() }
}

fn master(name: &str, pair: &PairSeen) -> MasterView {
    let sentinels = [NodeId::A, NodeId::B].into_iter();
    let sentinels = sentinels.filter_map(|node| at(pair, node, |place| place.sentinel_port));
    MasterView {
        name: name.to_owned(),
        primary: pair.primary.map(|node| client(pair, node)),
        down: !pair.serves,
        replicas: replicas(pair).into_iter().collect(),
        sentinels: sentinels.collect(),
        epoch: pair.epoch.get(),
        ..MasterView::default()
    }
}

/// As a node's own Sentinel port says it: the follower's client port if it serves reads; otherwise the
/// read port of whoever is left.
fn replicas(pair: &PairSeen) -> Option<ReplicaView> {
    let primary = pair.primary?;
    let follower = primary.peer();
    let follows = pair.roles[follower] == Some(Role::Standby);
    let addr = if pair.places.replicas_serve && follows {
        client(pair, follower)
    } else {
        let alone = pair.roles[primary].is_none() && follows;
        let left = if alone { follower } else { primary };
        at(pair, left, |place| place.read_port)?
    };
    Some(ReplicaView { addr, down: false, linked: true })
}

fn client(pair: &PairSeen, node: NodeId) -> Addr {
    let place = &pair.places.nodes[node];
    Addr::of(&place.host, place.client_port)
}

fn at(pair: &PairSeen, node: NodeId, port: impl Fn(&Place) -> Option<u16>) -> Option<Addr> {
    let place = &pair.places.nodes[node];
    port(place).map(|port| Addr::of(&place.host, port))
}

#[cfg(test)]
mod tests {
    use tandem_types::{Epoch, Pair};
    use tandem_witness::Places;

    use super::*;

    fn pair(primary: Option<NodeId>, serves: bool, roles: [Option<Role>; 2]) -> PairSeen {
        let place = |host: &str| Place {
            host: host.to_owned(),
            client_port: 6379,
            read_port: Some(6380),
            sentinel_port: Some(26379),
        };
        let nodes = Pair { a: place("10.0.0.1"), b: place("10.0.0.2") };
        let [a, b] = roles;
        PairSeen {
            places: Places { nodes, replicas_serve: true },
            primary,
            serves,
            roles: Pair { a, b },
            epoch: Epoch::new(3),
        }
    }

    #[test]
    fn the_primary_is_whom_the_record_names_and_down_until_it_serves() {
        let roles = [Some(Role::Standby), Some(Role::Joining)];
        let early = master("shop", &pair(Some(NodeId::B), false, roles));
        assert_eq!(early.primary, Some(Addr::of("10.0.0.2", 6379)));
        assert!(early.down);
        let late = master("shop", &pair(Some(NodeId::B), true, roles));
        assert!(!late.down);
        assert_eq!(late.sentinels, [Addr::of("10.0.0.1", 26379), Addr::of("10.0.0.2", 26379)]);
        assert_eq!(master("shop", &pair(None, false, [None, None])).primary, None);
    }

    #[test]
    fn readers_are_sent_to_whoever_is_left() {
        let to = |roles| {
            let master = master("shop", &pair(Some(NodeId::A), true, roles));
            (master.replicas[0].addr.ip.clone(), master.replicas[0].addr.port)
        };
        let both = [Some(Role::Primary), Some(Role::Standby)];
        assert_eq!(to(both), ("10.0.0.2".to_owned(), 6379));
        assert_eq!(to([Some(Role::Primary), None]), ("10.0.0.1".to_owned(), 6380));
        assert_eq!(to([None, Some(Role::Standby)]), ("10.0.0.2".to_owned(), 6379));
    }
}
