//! Names to addresses, and which of them are this machine's.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _, UdpSocket};

use anyhow::{Context as _, ensure};
use tandem_config::{Config, Locals};
use tandem_types::{NodeId, Pair};

/// The one address to listen on.
pub(crate) fn listen(host: &str, port: u16) -> anyhow::Result<SocketAddr> {
    let addresses: Vec<SocketAddr> =
        (host, port).to_socket_addrs().with_context(|| format!("look up {host}"))?.collect();
    // `localhost` often has both; the first IPv4 address is what clients try.
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    ensure!(first.is_some(), "{host} has no address");
    Ok(first.copied().unwrap_or(SocketAddr::from(([127, 0, 0, 1], port))))
}

/// What each node's host resolves to, and which of these addresses this machine has.
pub(crate) fn locals(config: &Config) -> Locals {
    let resolve = |node: NodeId| -> Vec<IpAddr> {
        // A name that cannot be looked up is no address of ours; `--node` is the way out.
        (config.nodes[node].host.as_str(), 0)
            .to_socket_addrs()
            .map(|addresses| addresses.map(|address| address.ip()).collect())
            .unwrap_or_default()
    };
    let hosts = Pair { a: resolve(NodeId::A), b: resolve(NodeId::B) };
    let addresses =
        hosts.a.iter().chain(&hosts.b).copied().filter(|&address| is_own(address)).collect();
    Locals { addresses, hosts }
}

/// Only an address of this machine can be bound to.
fn is_own(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_told_from_others() {
        assert!(is_own([127, 0, 0, 1].into()));
        // TEST-NET-1 of RFC 5737 is nobody's.
        assert!(!is_own([192, 0, 2, 1].into()));
        assert_eq!(listen("localhost", 5).unwrap().port(), 5);
    }
}
