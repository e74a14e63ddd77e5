//! keepalived's configuration, from the pair's.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tandem_config::Config;
use tandem_types::NodeId;

/// A primary has so much more than the other node's base, so that the address is where the role is.
const PRIMARY_MORE: u32 = 50;
const BASE: u32 = 100;

/// The whole file.
pub(crate) fn text(
    config: &Config,
    node: NodeId,
    program: &Path,
    file: &Path,
) -> anyhow::Result<String> {
    let vip = config.vip.as_ref().context("`vip.address` is missing")?;
    let (own, peer) = (&config.nodes[node], &config.nodes[node.peer()]);
    let command = |verb: &str, more: &str| {
        format!(
            "\"{} {verb} --config {} --node {}{more}\"",
            program.display(),
            file.display(),
            own.name
        )
    };
    let priority = if node == NodeId::A { BASE } else { BASE - 1 };
    let mut text = format!(
        "# keepalived of node {name}, made by `tandem keepalived-conf`. The other node has its own.\n\
         global_defs {{\n    script_user root\n    enable_script_security\n    vrrp_version 3\n}}\n\n\
         # Fails where the address may not be: a node that is down, lacks writes, or was refused the role.\n\
         vrrp_script tandem_may_hold {{\n    script {may}\n    interval 1\n    timeout 2\n    fall 1\n    rise 1\n}}\n\n\
         # The address is where the role is.\n\
         vrrp_script tandem_primary {{\n    script {primary}\n    interval 1\n    timeout 2\n    weight {PRIMARY_MORE}\n    fall 1\n    rise 1\n}}\n\n\
         vrrp_instance tandem_{pair} {{\n    state BACKUP\n    interface {interface}\n    virtual_router_id {router}\n    priority {priority}\n    advert_int {advert}\n",
        name = own.name,
        may = command("keepalived-check", ""),
        primary = command("keepalived-check", " --primary"),
        pair = config.pair.name,
        interface = vip.interface,
        router = router_id(&config.pair.name),
        advert = advert(config.switch.failure_timeout),
    );
    // Addresses are needed for unicast; names are left to multicast.
    if let (Ok(from), Ok(to)) = (own.host.parse::<IpAddr>(), peer.host.parse::<IpAddr>()) {
        write!(text, "    unicast_src_ip {from}\n    unicast_peer {{\n        {to}\n    }}\n")?;
    }
    write!(
        text,
        "    virtual_ipaddress {{\n        {address} dev {interface}\n    }}\n\
         \x20   track_script {{\n        tandem_may_hold\n        tandem_primary\n    }}\n\
         \x20   # A hint: the node takes the role only by right (a certificate, the fence, `on_silence`).\n\
         \x20   notify {notify}\n}}\n",
        address = vip.address,
        interface = vip.interface,
        notify = command("keepalived-notify", ""),
    )?;
    Ok(text)
}

/// Five signs of life before silence counts, in hundredths of a second (RFC 5798, 5.2.7).
fn advert(failure_timeout: Duration) -> String {
    let hundredths = (failure_timeout.as_millis() / 50).clamp(10, 4_000);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// From the pair's name, so that pairs of one network rarely meet: 1 to 255.
fn router_id(pair: &str) -> u32 {
    pair.bytes().fold(7, |id: u32, byte| (id * 31 + u32::from(byte)) % 255) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_numbers_are_within_what_vrrp_allows() {
        assert_eq!(advert(Duration::from_secs(1)), "0.20");
        assert_eq!(advert(Duration::from_millis(100)), "0.10");
        assert_eq!(advert(Duration::from_mins(10)), "40.00");
        for name in ["main", "", "shop-eu", "ä"] {
            assert!((1..=255).contains(&router_id(name)), "{name}");
        }
        assert_ne!(router_id("main"), router_id("shop"));
    }
}
