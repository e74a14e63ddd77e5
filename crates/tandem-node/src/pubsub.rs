//! Who listens to which channels and patterns.

use std::collections::{BTreeMap, BTreeSet};

use tandem_resp::glob_matches;

use crate::ConnId;

/// All subscriptions of this node.
#[derive(Debug, Default)]
pub(crate) struct PubSub {
    channels: BTreeMap<Box<[u8]>, BTreeSet<ConnId>>,
    patterns: BTreeMap<Box<[u8]>, BTreeSet<ConnId>>,
}

/// One delivery of a message.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Delivery<'a> {
    pub(crate) conn: ConnId,
    /// The pattern that matched; `None`: the client listens to the channel itself.
    pub(crate) pattern: Option<&'a [u8]>,
}

impl PubSub {
    pub(crate) fn subscribe(&mut self, conn: ConnId, channel: &[u8]) {
        add(&mut self.channels, conn, channel);
    }

    pub(crate) fn unsubscribe(&mut self, conn: ConnId, channel: &[u8]) {
        remove(&mut self.channels, conn, channel);
    }

    pub(crate) fn subscribe_pattern(&mut self, conn: ConnId, pattern: &[u8]) {
        add(&mut self.patterns, conn, pattern);
    }

    pub(crate) fn unsubscribe_pattern(&mut self, conn: ConnId, pattern: &[u8]) {
        remove(&mut self.patterns, conn, pattern);
    }

    /// Whom a message on `channel` goes to, in order: listeners to the channel, then to patterns.
    pub(crate) fn deliveries<'a>(
        &'a self,
        channel: &'a [u8],
    ) -> impl Iterator<Item = Delivery<'a>> {
        let direct = self.channels.get(channel).into_iter().flatten();
        let direct = direct.map(|&conn| Delivery { conn, pattern: None });
        let matching = self.patterns.iter().filter(|(pattern, _)| {
            // Compared byte for byte, as channels are.
            glob_matches(pattern, channel, false)
        });
        direct.chain(matching.flat_map(|(pattern, conns)| {
            conns.iter().map(move |&conn| Delivery { conn, pattern: Some(&**pattern) })
        }))
    }

    /// Channels somebody listens to that match `pattern` (all without one).
    pub(crate) fn channels<'a>(
        &'a self,
        pattern: Option<&'a [u8]>,
    ) -> impl Iterator<Item = &'a [u8]> {
        let names = self.channels.keys().map(|name| &**name);
        names.filter(move |name| pattern.is_none_or(|glob| glob_matches(glob, name, false)))
    }

    /// How many listen to `channel` itself.
    pub(crate) fn listeners(&self, channel: &[u8]) -> usize {
        self.channels.get(channel).map_or(0, BTreeSet::len)
    }

    pub(crate) fn channel_count(&self) -> usize {
        self.channels.len()
    }

    pub(crate) fn pattern_count(&self) -> usize {
        self.patterns.len()
    }
}

fn add(map: &mut BTreeMap<Box<[u8]>, BTreeSet<ConnId>>, conn: ConnId, name: &[u8]) {
    if let Some(conns) = map.get_mut(name) {
        conns.insert(conn);
    } else {
        map.insert(name.into(), BTreeSet::from([conn]));
    }
}

fn remove(map: &mut BTreeMap<Box<[u8]>, BTreeSet<ConnId>>, conn: ConnId, name: &[u8]) {
    if let Some(conns) = map.get_mut(name) {
        conns.remove(&conn);
        if conns.is_empty() {
            map.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_goes_to_channel_listeners_and_to_each_matching_pattern() {
        let mut pubsub = PubSub::default();
        let (one, two) = (ConnId::new(1, 0), ConnId::new(2, 0));
        pubsub.subscribe(one, b"news.art");
        pubsub.subscribe_pattern(one, b"news.*");
        pubsub.subscribe_pattern(two, b"*");
        let got: Vec<_> = pubsub.deliveries(b"news.art").map(|d| (d.conn, d.pattern)).collect();
        assert_eq!(got, [(one, None), (two, Some(&b"*"[..])), (one, Some(&b"news.*"[..]))]);
        pubsub.unsubscribe(one, b"news.art");
        pubsub.unsubscribe_pattern(two, b"*");
        assert_eq!(pubsub.deliveries(b"news.art").count(), 1);
        assert_eq!((pubsub.channel_count(), pubsub.pattern_count()), (0, 1));
    }
}
