//! What one connection listens to.

use std::collections::BTreeSet;

use tandem_resp::{Args, Proto, Reply, glob_matches};

use crate::changes::Message;

/// Channels and patterns of one connection together.
const SUBSCRIPTIONS_MAX: usize = 1024;

/// Longest name of a channel or pattern: matching takes time by it.
const NAME_BYTES_MAX: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    channels: BTreeSet<Vec<u8>>,
    patterns: BTreeSet<Vec<u8>>,
}

impl Subscriptions {
    pub(crate) fn count(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }

    pub(crate) fn subscribe(&mut self, names: Args<'_>, by_pattern: bool, reply: &mut Reply<'_>) {
        for name in names.iter() {
            if name.len() > NAME_BYTES_MAX || self.count() >= SUBSCRIPTIONS_MAX {
                reply.error("ERR too many or too long subscriptions for this port");
                return;
            }
            let names = if by_pattern { &mut self.patterns } else { &mut self.channels };
            names.insert(name.to_vec());
            let kind: &[u8] = if by_pattern { b"psubscribe" } else { b"subscribe" };
            self.confirm(kind, Some(name), reply);
        }
    }

    pub(crate) fn unsubscribe(&mut self, names: Args<'_>, by_pattern: bool, reply: &mut Reply<'_>) {
        let kind: &[u8] = if by_pattern { b"punsubscribe" } else { b"unsubscribe" };
        let own = if by_pattern { &self.patterns } else { &self.channels };
        let all: Vec<Vec<u8>> = if names.is_empty() {
            own.iter().cloned().collect()
        } else {
            names.iter().map(<[u8]>::to_vec).collect()
        };
        if all.is_empty() {
            self.confirm(kind, None, reply);
        }
        for name in all {
            if by_pattern {
                self.patterns.remove(&name)
            } else {
                self.channels.remove(&name)
            };
            self.confirm(kind, Some(&name), reply);
        }
    }

    fn confirm(&self, kind: &[u8], name: Option<&[u8]>, reply: &mut Reply<'_>) {
        reply.push(3);
        reply.bulk(kind);
        match name {
            Some(name) => reply.bulk(name),
            None => reply.null(),
        }
        reply.count(self.count());
    }

    /// Writes a message once for the channel and once for each pattern, as Redis does.
    pub(crate) fn deliver(&self, message: &Message, proto: Proto, out: &mut Vec<u8>) {
        let channel = message.channel.as_bytes();
        let mut reply = Reply::new(out, proto);
        if self.channels.contains(channel) {
            reply.push(3);
            reply.bulk(b"message");
            reply.bulk(channel);
            reply.bulk(message.text.as_bytes());
        }
        for pattern in &self.patterns {
            if glob_matches(pattern, channel, false) {
                reply.push(4);
                reply.bulk(b"pmessage");
                reply.bulk(pattern);
                reply.bulk(channel);
                reply.bulk(message.text.as_bytes());
            }
        }
    }
}
