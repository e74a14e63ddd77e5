//! `SUBSCRIBE`, `PUBLISH` and their like.

use tandem_resp::Args;

use super::{Visit, help};
use crate::Operation;

pub(super) const SUBCOMMANDS: &[&str] = &[
    "pubsub|channels",
    "pubsub|help",
    "pubsub|numpat",
    "pubsub|numsub",
    "pubsub|shardchannels",
    "pubsub|shardnumsub",
];

pub(super) fn subscribe(visit: &mut Visit<'_>, args: &Args<'_>) {
    for channel in args.iter().skip(1) {
        if visit.session.subscriptions.channels.insert(channel.into()) {
            visit.clients.pubsub.subscribe(visit.session.conn, channel);
        }
        confirm(visit, b"subscribe", Some(channel));
    }
}

pub(super) fn psubscribe(visit: &mut Visit<'_>, args: &Args<'_>) {
    for pattern in args.iter().skip(1) {
        if visit.session.subscriptions.patterns.insert(pattern.into()) {
            visit.clients.pubsub.subscribe_pattern(visit.session.conn, pattern);
        }
        confirm(visit, b"psubscribe", Some(pattern));
    }
}

pub(super) fn unsubscribe(visit: &mut Visit<'_>, args: &Args<'_>) {
    let channels: Vec<Box<[u8]>> = if args.len() > 1 {
        args.iter().skip(1).map(Box::from).collect()
    } else {
        visit.session.subscriptions.channels.iter().cloned().collect()
    };
    if channels.is_empty() {
        confirm(visit, b"unsubscribe", None);
    }
    for channel in channels {
        if visit.session.subscriptions.channels.remove(&channel) {
            visit.clients.pubsub.unsubscribe(visit.session.conn, &channel);
        }
        confirm(visit, b"unsubscribe", Some(&channel));
    }
}

pub(super) fn punsubscribe(visit: &mut Visit<'_>, args: &Args<'_>) {
    let patterns: Vec<Box<[u8]>> = if args.len() > 1 {
        args.iter().skip(1).map(Box::from).collect()
    } else {
        visit.session.subscriptions.patterns.iter().cloned().collect()
    };
    if patterns.is_empty() {
        confirm(visit, b"punsubscribe", None);
    }
    for pattern in patterns {
        if visit.session.subscriptions.patterns.remove(&pattern) {
            visit.clients.pubsub.unsubscribe_pattern(visit.session.conn, &pattern);
        }
        confirm(visit, b"punsubscribe", Some(&pattern));
    }
}

fn confirm(visit: &mut Visit<'_>, kind: &[u8], name: Option<&[u8]>) {
    let count = visit.session.subscriptions.count();
    let mut reply = visit.reply();
    reply.push(3);
    reply.bulk(kind);
    match name {
        Some(name) => reply.bulk(name),
        None => reply.null(),
    }
    reply.count(count);
}

pub(super) fn publish(visit: &mut Visit<'_>, args: &Args<'_>) {
    let (channel, payload) = (args.get(1), args.get(2));
    let count = visit.clients.publish_beside(visit.core, Some(visit.session), channel, payload);
    // The other node's listeners get it too, if the link is up. Nobody waits for that.
    if visit.core.view.peer_connected {
        visit
            .core
            .operations
            .push_back(Operation::Publish { channel: channel.to_vec(), payload: payload.to_vec() });
    }
    visit.reply().count(count);
}

pub(super) fn pubsub(visit: &mut Visit<'_>, args: &Args<'_>) {
    match (&*args.get(1).to_ascii_lowercase(), args.len()) {
        (b"channels", 2 | 3) => {
            let names: Vec<Vec<u8>> =
                visit.clients.pubsub.channels(args.opt(2)).map(<[u8]>::to_vec).collect();
            let mut reply = visit.reply();
            reply.array(names.len());
            for name in names {
                reply.bulk(&name);
            }
        }
        (b"numsub", _) => {
            let names = args.tail(2);
            let counts: Vec<usize> =
                names.iter().map(|name| visit.clients.pubsub.listeners(name)).collect();
            let mut reply = visit.reply();
            reply.array(counts.len() * 2);
            for (name, count) in names.iter().zip(counts) {
                reply.bulk(name);
                reply.count(count);
            }
        }
        (b"numpat", 2) => {
            let count = visit.clients.pubsub.pattern_count();
            visit.reply().count(count);
        }
        // Sharded channels belong to a cluster: there are none.
        (b"shardchannels", 2 | 3) => visit.reply().array(0),
        (b"shardnumsub", _) => {
            let names = args.tail(2);
            let mut reply = visit.reply();
            reply.array(names.len() * 2);
            for name in names.iter() {
                reply.bulk(name);
                reply.int(0);
            }
        }
        (b"help", 2) => help::write(visit, "PUBSUB", HELP),
        (b"channels" | b"numpat" | b"shardchannels" | b"help", _) => {
            let name = String::from_utf8_lossy(args.get(1)).to_ascii_lowercase();
            visit.wrong_arity(&format!("pubsub|{name}"));
        }
        _ => visit.unknown_subcommand(args),
    }
}

const HELP: &[&str] = &[
    "CHANNELS [<pattern>]",
    "    Return the currently active channels matching a <pattern> (default: '*').",
    "NUMPAT",
    "    Return number of subscriptions to patterns.",
    "NUMSUB [<channel> ...]",
    "    Return the number of subscribers for the specified channels, excluding",
    "    pattern subscriptions(default: no channels).",
];
