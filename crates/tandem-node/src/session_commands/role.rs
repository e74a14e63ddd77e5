//! `ROLE`, and the commands that would change it behind the pair's back.

use tandem_resp::Args;
use tandem_types::Role;

use super::{Visit, is};
use crate::{Port, Wish};

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

/// `FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT ms]`: a planned change of primary, as in Redis. The
/// reply comes when it is done; how long writes may be held is `switch.hold`, so `TIMEOUT` only has to be
/// a number.
pub(super) fn failover(visit: &mut Visit<'_>, args: &Args<'_>) {
    let mut target = None;
    let mut at = 1;
    while let Some(word) = args.opt(at) {
        if is(word, "to") && args.len() > at + 2 {
            target = Some((args.get(at + 1), args.get(at + 2)));
            at += 3;
        } else if is(word, "timeout") && args.len() > at + 1 {
            match tandem_resp::parse_i64(args.get(at + 1)) {
                Some(1..) => at += 2,
                Some(_) => {
                    return visit.reply().error("ERR FAILOVER timeout must be greater than 0");
                }
                None => return visit.not_an_integer(),
            }
        } else if is(word, "abort") && args.len() == 2 {
            let text = "ERR No failover in progress that could be aborted: it ends by itself";
            return visit.reply().error(text);
        } else if is(word, "force") {
            let text =
                "ERR FAILOVER FORCE may lose writes: say TANDEM PROMOTE FORCE to the standby";
            return visit.reply().error(text);
        } else {
            return visit.syntax_error();
        }
    }
    let core = &*visit.core;
    let peer = &core.settings.client_addresses[core.settings.node.peer()];
    let (host, port) = split(peer);
    let elsewhere = target.is_some_and(|to| to != (host.as_bytes(), port.as_bytes()));
    let refusal = if core.view.role != Role::Primary {
        "ERR FAILOVER is not valid when server is a replica."
    } else if !core.view.peer_connected {
        "ERR FAILOVER requires connected replicas."
    } else if elsewhere {
        "ERR FAILOVER target HOST and PORT is not a replica."
    } else if core.view.hold_writes {
        "ERR FAILOVER already in progress."
    } else {
        let to = Some(core.settings.node.peer());
        return super::tandem::wish(visit, Wish::Switch { to });
    };
    visit.reply().error(refusal);
}
