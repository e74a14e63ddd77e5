//! The names of a pair's keys.

use tandem_switch::BootId;
use tandem_types::{Incarnation, NodeId};

/// The keys of one pair.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    root: String,
}

impl Keys {
    pub(crate) fn new(pair: &str) -> Self {
        Self { root: format!("/tandem/{pair}/") }
    }

    /// Everything of the pair.
    pub(crate) fn all(&self) -> Range {
        Range::under(self.root.clone())
    }

    pub(crate) fn record(&self) -> String {
        format!("{}record", self.root)
    }

    /// Every presence of both nodes.
    pub(crate) fn presences(&self) -> Range {
        Range::under(format!("{}presence/", self.root))
    }

    /// One key per boot: whether this very boot is present is whether its key exists.
    pub(crate) fn presence(&self, node: NodeId, boot: BootId) -> String {
        let incarnation = boot.incarnation;
        format!("{}presence/{}/{incarnation}/{:016x}", self.root, word(node), boot.boot)
    }

    /// The boots of the same data directory before this one: they are over, as the directory is locked
    /// by its process. `None`: there are none.
    pub(crate) fn earlier_boots(&self, node: NodeId, boot: BootId) -> Option<Range> {
        let first = BootId { boot: 0, ..boot };
        (boot.boot > 0)
            .then(|| Range { from: self.presence(node, first), end: self.presence(node, boot) })
    }

    /// Whose presence a key is; `None`: no such key.
    pub(crate) fn whose(&self, key: &[u8]) -> Option<(NodeId, BootId)> {
        let rest = std::str::from_utf8(key).ok()?.strip_prefix(&self.root)?;
        let mut parts = rest.strip_prefix("presence/")?.split('/');
        let node = node(parts.next()?)?;
        let (incarnation, boot) = (hex64(parts.next()?)?, hex64(parts.next()?)?);
        let boot = BootId { incarnation: Incarnation::new(incarnation), boot };
        parts.next().is_none().then_some((node, boot))
    }
}

/// Keys from `from` on, `end` not among them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Range {
    pub(crate) from: String,
    pub(crate) end: String,
}

impl Range {
    /// All keys that begin with `folder`, which ends with a slash: the end has the character after it.
    fn under(folder: String) -> Self {
        let end = format!("{}0", folder.trim_end_matches('/'));
        Self { from: folder, end }
    }
}

pub(crate) const fn word(node: NodeId) -> &'static str {
    match node {
        NodeId::A => "a",
        NodeId::B => "b",
    }
}

pub(crate) fn node(word: &str) -> Option<NodeId> {
    match word {
        "a" => Some(NodeId::A),
        "b" => Some(NodeId::B),
        _ => None,
    }
}

/// Exactly 16 lower-case digits: one number has one form.
pub(crate) fn hex64(text: &str) -> Option<u64> {
    is_hex(text, 16).then(|| u64::from_str_radix(text, 16).ok()).flatten()
}

/// As [`hex64`], with 32.
pub(crate) fn hex128(text: &str) -> Option<u128> {
    is_hex(text, 32).then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_presence_key_names_node_and_boot_and_sorts_by_boot() {
        let keys = Keys::new("main");
        let boot = BootId { incarnation: Incarnation::new(0xab), boot: 16 };
        let key = keys.presence(NodeId::B, boot);
        assert_eq!(key, "/tandem/main/presence/b/00000000000000ab/0000000000000010");
        assert_eq!(keys.whose(key.as_bytes()), Some((NodeId::B, boot)));
        let earlier = keys.earlier_boots(NodeId::B, boot).unwrap();
        let before = keys.presence(NodeId::B, BootId { boot: 15, ..boot });
        assert!(earlier.from < before && before < earlier.end && earlier.end == key);
        assert_eq!(keys.earlier_boots(NodeId::B, BootId { boot: 0, ..boot }), None);
        for bad in [
            "/tandem/main/record",
            "/tandem/main/presence/c/00000000000000ab/0000000000000010",
            "/tandem/main/presence/b/00000000000000AB/0000000000000010",
            "/tandem/main/presence/b/00000000000000ab/+000000000000010",
            "/tandem/main/presence/b/00000000000000ab/0000000000000010/x",
            "/tandem/other/presence/b/00000000000000ab/0000000000000010",
        ] {
            assert_eq!(keys.whose(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(keys.whose(b"\xff"), None);
    }

    #[test]
    fn a_pair_has_nothing_of_a_pair_with_a_longer_name() {
        let all = Keys::new("main").all();
        let inside = |key: &str| key >= all.from.as_str() && key < all.end.as_str();
        assert!(inside("/tandem/main/record") && inside("/tandem/main/presence/a/0/0"));
        assert!(!inside("/tandem/main2/record") && !inside("/tandem/main-b/record"));
    }
}
