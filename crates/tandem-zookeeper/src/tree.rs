//! Which znodes a pair has, and what they are called.

use tandem_switch::BootId;
use tandem_types::{Incarnation, NodeId};

use crate::value::{hex, node_word};

/// All pairs of an ensemble.
pub(crate) const ROOT: &str = "/tandem";

/// The znodes of one pair.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) pair: String,
    pub(crate) record: String,
    pub(crate) present: String,
}

impl Tree {
    /// `pair` is a name as the configuration allows it, without a slash.
    pub(crate) fn of(pair: &str) -> Self {
        let pair = format!("{ROOT}/{pair}");
        Self { record: format!("{pair}/record"), present: format!("{pair}/present"), pair }
    }

    /// Below the record, so that it cannot outlive it.
    pub(crate) fn life(&self, life: u64) -> String {
        format!("{}/life-{}", self.record, hex(life))
    }

    pub(crate) fn presence(&self, name: &str) -> String {
        format!("{}/{name}", self.present)
    }
}

/// One boot of a node, as the name of its presence.
pub(crate) fn presence_name(node: NodeId, boot: BootId) -> String {
    format!("{}-{}-{}", node_word(node), hex(boot.incarnation.get()), boot.boot)
}

/// Whose presence it is; `None`: not one of ours.
pub(crate) fn presence_of(name: &str) -> Option<(NodeId, BootId)> {
    let mut parts = name.split('-');
    let node = match parts.next()? {
        "a" => NodeId::A,
        "b" => NodeId::B,
        _ => return None,
    };
    let incarnation = Incarnation::new(u64::from_str_radix(parts.next()?, 16).ok()?);
    let boot = BootId { incarnation, boot: parts.next()?.parse().ok()? };
    Some((node, boot)).filter(|&(node, boot)| presence_name(node, boot) == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_whose_presence_it_is() {
        let boot = BootId { incarnation: Incarnation::new(0xa1), boot: 3 };
        let name = presence_name(NodeId::B, boot);
        assert_eq!(name, "b-00000000000000a1-3");
        assert_eq!(presence_of(&name), Some((NodeId::B, boot)));
        for wrong in [
            "",
            "b",
            "b-a1-3",
            "c-00000000000000a1-3",
            "b-00000000000000a1-03",
            "b-00000000000000a1-3-",
        ] {
            assert_eq!(presence_of(wrong), None, "{wrong}");
        }
    }
}
