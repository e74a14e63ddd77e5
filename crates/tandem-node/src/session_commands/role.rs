//! `ROLE`, and the commands that would change it behind the pair's back.

use tandem_resp::Args;
use tandem_types::Role;

use super::Visit;
use crate::Port;

/// Redis' shapes: `["master", offset, [[ip, port, offset]...]]` and
/// `["slave", ip, port, state, offset]`. The read port says "slave" whatever the role.
pub(super) fn role(visit: &mut Visit<'_>, _args: &Args<'_>) {
    let at = visit.core.positions;
    let offset = |lsn: tandem_types::Lsn| i64::try_from(lsn.get()).unwrap_or(i64::MAX);
    let core = &*visit.core;
    if core.view.role == Role::Primary && visit.session.info.port == Port::Client {
        let peer = core.view.peer_connected.then(|| {
            let address = &core.settings.client_addresses[core.settings.node.peer()];
            let (host, port) = split(address);
            (host.to_owned(), port.to_owned(), at.peer_received_end.get().to_string())
        });
        let mut reply = visit.reply();
        reply.array(3);
        reply.bulk(b"master");
        reply.int(offset(at.appended_end));
        reply.array(usize::from(peer.is_some()));
        if let Some((host, port, offset)) = peer {
            reply.array(3);
            reply.bulk(host.as_bytes());
            reply.bulk(port.as_bytes());
            reply.bulk(offset.as_bytes());
        }
        return;
    }
    let (host, port) = primary_of(visit);
    let state = link_state(visit);
    let mut reply = visit.reply();
    reply.array(5);
    reply.bulk(b"slave");
    reply.bulk(host.as_bytes());
    reply.int(port);
    reply.bulk(state.as_bytes());
    reply.int(offset(at.applied_end));
}

/// Redis' words for the link to the primary.
fn link_state(visit: &Visit<'_>) -> &'static str {
    let view = &visit.core.view;
    if view.role == Role::Primary || view.peer_connected { "connected" } else { "connect" }
}

/// Host and port of the primary as far as it is known.
pub(super) fn primary_of(visit: &Visit<'_>) -> (String, i64) {
    let core = &*visit.core;
    let address = if core.view.role == Role::Primary {
        // Asked on the read port of the primary itself.
        Some(&core.settings.client_addresses[core.settings.node])
    } else {
        core.view.primary_address.as_ref()
    };
    let (host, port) = address.map_or(("", "0"), |address| split(address));
    (host.to_owned(), port.parse().unwrap_or(0))
}

/// `host:port` in two; an IPv6 address may stand in brackets.
pub(super) fn split(address: &str) -> (&str, &str) {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "0"));
    (host.trim_start_matches('[').trim_end_matches(']'), port)
}

pub(super) fn replicaof(visit: &mut Visit<'_>, _args: &Args<'_>) {
    visit.reply().error(
        "ERR REPLICAOF is not allowed: the pair decides who is primary; use TANDEM PROMOTE or tandem \
         switch",
    );
}

pub(super) fn failover(visit: &mut Visit<'_>, _args: &Args<'_>) {
    visit
        .reply()
        .error("ERR FAILOVER is not offered by this version: use tandem promote on the standby");
}
