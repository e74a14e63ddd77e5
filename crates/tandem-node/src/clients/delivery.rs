//! Messages to clients that did not ask at this moment: publications, the monitor.

use tandem_resp::{Args, Proto, Reply};

use super::Clients;
use crate::session::Session;
use crate::{ConnId, Core};

impl Clients {
    /// A publication that came from the peer.
    pub fn publish(&mut self, core: &mut Core, channel: &[u8], payload: &[u8]) -> usize {
        self.publish_beside(core, None, channel, payload)
    }

    /// Delivers a message; `current` is the session that acts, which gets its copy after its reply.
    pub(crate) fn publish_beside(
        &mut self,
        core: &mut Core,
        mut current: Option<&mut Session>,
        channel: &[u8],
        payload: &[u8],
    ) -> usize {
        let gate = core.gate();
        let Self { pubsub, sessions, dirty, gated, .. } = self;
        let mut count = 0;
        let mut too_much = Vec::new();
        for delivery in pubsub.deliveries(channel) {
            count += 1;
            let own = current.as_deref_mut().filter(|session| session.conn == delivery.conn);
            if let Some(session) = own {
                let proto = session.proto;
                message(&mut session.deferred, proto, delivery.pattern, channel, payload);
                continue;
            }
            let Some(session) = sessions.get_mut(delivery.conn) else { continue };
            if session.closing {
                continue;
            }
            let proto = session.proto;
            message(session.outbox.bytes_mut(), proto, delivery.pattern, channel, payload);
            if session.outbox.seal(gate) && !session.dirty {
                session.dirty = true;
                dirty.push(session.conn);
            }
            if session.outbox.is_holding() && !session.gated {
                session.gated = true;
                gated.push(session.conn);
            }
            if session.outbox.unsent_bytes() > core.settings.limits.output_pubsub_bytes_max {
                too_much.push(session.conn);
            }
        }
        self.close_all_of(core, too_much);
        count
    }

    /// Shows a command to the clients that run `MONITOR`.
    pub(super) fn feed_monitors(
        &mut self,
        core: &mut Core,
        session: &mut Session,
        args: &Args<'_>,
    ) {
        let wall = core.now.wall.get();
        let mut line = format!(
            "+{}.{:06} [{} {}]",
            wall / 1000,
            wall % 1000 * 1000,
            session.db.get(),
            session.info.peer
        )
        .into_bytes();
        let secret = is_secret(args.name());
        for (index, word) in args.iter().enumerate() {
            line.push(b' ');
            if secret && index > 0 {
                line.extend_from_slice(b"\"(redacted)\"");
            } else {
                quote(&mut line, word);
            }
        }
        line.extend_from_slice(b"\r\n");
        if session.monitor {
            // Its own command, after the reply.
            session.deferred.extend_from_slice(&line);
        }
        let mut too_much = Vec::new();
        for &conn in &self.monitors {
            let Some(monitor) = self.sessions.get_mut(conn) else { continue };
            monitor.outbox.bytes_mut().extend_from_slice(&line);
            if monitor.outbox.seal(core.gate()) && !monitor.dirty {
                monitor.dirty = true;
                self.dirty.push(conn);
            }
            if monitor.outbox.unsent_bytes() > core.settings.limits.output_pubsub_bytes_max {
                too_much.push(conn);
            }
        }
        self.close_all_of(core, too_much);
    }

    fn close_all_of(&mut self, core: &mut Core, conns: Vec<ConnId>) {
        for conn in conns {
            if let Some(session) = self.sessions.take(conn) {
                self.settle(core, session);
            }
        }
    }
}

/// Commands whose words are never shown.
pub(crate) fn is_secret(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"auth") || name.eq_ignore_ascii_case(b"hello")
}

fn message(
    out: &mut Vec<u8>,
    proto: Proto,
    pattern: Option<&[u8]>,
    channel: &[u8],
    payload: &[u8],
) {
    let mut reply = Reply::new(out, proto);
    if let Some(pattern) = pattern {
        reply.push(4);
        reply.bulk(b"pmessage");
        reply.bulk(pattern);
    } else {
        reply.push(3);
        reply.bulk(b"message");
    }
    reply.bulk(channel);
    reply.bulk(payload);
}

/// A word in quotes, with escapes for what does not print (Redis' `sdscatrepr`).
pub(crate) fn quote(out: &mut Vec<u8>, word: &[u8]) {
    out.push(b'"');
    for &byte in word {
        match byte {
            b'\\' | b'"' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x07 => out.extend_from_slice(b"\\a"),
            0x08 => out.extend_from_slice(b"\\b"),
            b' '..=b'~' => out.push(byte),
            other => out.extend_from_slice(format!("\\x{other:02x}").as_bytes()),
        }
    }
    out.push(b'"');
}
