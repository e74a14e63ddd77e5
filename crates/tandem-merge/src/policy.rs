//! Which keys are treated how: by the longest prefix of the key.

use std::collections::BTreeMap;

use tandem_types::NodeId;

use crate::item::Bytes;
use crate::sequence::{Mode, WhenDry};

/// Ids in a block, unless a policy says otherwise.
const LEASE: u64 = 1000;

/// How keys are treated.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Policy {
    /// Both sides write; writes are merged; commands that only one may win are refused.
    #[default]
    Merge,
    /// As `merge`, but such commands are allowed, and reported when both won.
    Lww,
    /// One side writes.
    Owner(NodeId),
    /// A counter that is never oversold.
    Bounded {
        /// It does not go below.
        min: i64,
        /// Per cent of the rights that side A begins with.
        percent_a: u8,
    },
    /// Unique ids.
    Seq(Mode),
    /// Nobody writes.
    Refuse,
}

/// Why a policy was not understood.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "no such policy: say merge, lww, owner=NODE, bounded[:MIN,PERCENT], seq[:MODE,LEASE] or refuse; \
     MODE is strict, available or interleaved"
)]
pub struct PolicyError;

impl Policy {
    /// Unique ids as `seq` alone means it.
    pub const SEQ_DEFAULT: Mode = Mode::Leased { lease: LEASE, when_dry: WhenDry::Available };

    /// Reads a policy as people write it; `node` knows the names of the nodes.
    ///
    /// # Errors
    /// [`PolicyError`] says how to write it.
    pub fn parse(text: &str, node: impl Fn(&str) -> Option<NodeId>) -> Result<Self, PolicyError> {
        let (name, rest) = text.split_once(':').unwrap_or((text, ""));
        let policy = match (name, rest) {
            ("merge", "") => Self::Merge,
            ("lww", "") => Self::Lww,
            ("refuse", "") => Self::Refuse,
            ("bounded", rest) => Self::bounded(rest).ok_or(PolicyError)?,
            ("seq", rest) => Self::Seq(seq(rest).ok_or(PolicyError)?),
            (name, "") => {
                let owner = name.strip_prefix("owner=").and_then(node);
                Self::Owner(owner.ok_or(PolicyError)?)
            }
            _ => return Err(PolicyError),
        };
        Ok(policy)
    }

    fn bounded(rest: &str) -> Option<Self> {
        let (min, percent) = rest.split_once(',').unwrap_or((rest, ""));
        let min = if min.is_empty() { 0 } else { min.parse().ok()? };
        let percent_a = if percent.is_empty() { 50 } else { percent.parse().ok()? };
        (percent_a <= 100).then_some(Self::Bounded { min, percent_a })
    }

    /// As [`Self::parse`] reads it.
    pub fn to_text(self, node: impl Fn(NodeId) -> String) -> String {
        match self {
            Self::Merge => "merge".into(),
            Self::Lww => "lww".into(),
            Self::Owner(owner) => format!("owner={}", node(owner)),
            Self::Bounded { min, percent_a } => format!("bounded:{min},{percent_a}"),
            Self::Seq(Mode::Interleaved) => "seq:interleaved".into(),
            Self::Seq(Mode::Leased { lease, when_dry }) => {
                let mode = match when_dry {
                    WhenDry::Strict => "strict",
                    WhenDry::Available => "available",
                };
                format!("seq:{mode},{lease}")
            }
            Self::Refuse => "refuse".into(),
        }
    }
}

fn seq(rest: &str) -> Option<Mode> {
    let (mode, lease) = rest.split_once(',').unwrap_or((rest, ""));
    let when_dry = match mode {
        "" | "available" => WhenDry::Available,
        "strict" => WhenDry::Strict,
        "interleaved" if lease.is_empty() => return Some(Mode::Interleaved),
        _ => return None,
    };
    let lease = if lease.is_empty() { LEASE } else { lease.parse().ok()? };
    (1..=1 << 30).contains(&lease).then_some(Mode::Leased { lease, when_dry })
}

/// All policies.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Policies {
    by_prefix: BTreeMap<Bytes, Policy>,
    longest: usize,
}

impl Policies {
    /// None: everything is merged.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keys with this prefix are treated so; `None`: as if it had never been said.
    pub fn set(&mut self, prefix: &[u8], policy: Option<Policy>) {
        match policy {
            Some(policy) => drop(self.by_prefix.insert(prefix.into(), policy)),
            None => drop(self.by_prefix.remove(prefix)),
        }
        self.longest = self.by_prefix.keys().map(|prefix| prefix.len()).max().unwrap_or(0);
    }

    /// Nothing was said.
    pub fn is_empty(&self) -> bool {
        self.by_prefix.is_empty()
    }

    /// How a key is treated: as the longest prefix of it says.
    pub fn of(&self, key: &[u8]) -> Policy {
        if self.by_prefix.is_empty() {
            return Policy::Merge;
        }
        let lengths = (0..=self.longest.min(key.len())).rev();
        let mut prefixes = lengths.filter_map(|length| self.by_prefix.get(&key[..length]));
        prefixes.next().copied().unwrap_or_default()
    }

    /// What was said of exactly this prefix.
    pub fn get(&self, prefix: &[u8]) -> Option<Policy> {
        self.by_prefix.get(prefix).copied()
    }

    /// Prefixes and policies, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Policy)> {
        self.by_prefix.iter().map(|(prefix, policy)| (prefix.as_ref(), *policy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Option<NodeId> {
        match name {
            "a" => Some(NodeId::A),
            "b" => Some(NodeId::B),
            _ => None,
        }
    }

    #[test]
    fn the_longest_prefix_counts() {
        let mut policies = Policies::new();
        policies.set(b"user:", Some(Policy::Lww));
        policies.set(b"user:id", Some(Policy::parse("seq", node).unwrap()));
        assert_eq!(policies.of(b"user:7"), Policy::Lww);
        assert!(matches!(policies.of(b"user:id"), Policy::Seq(_)));
        assert_eq!(policies.of(b"use"), Policy::Merge);
        policies.set(b"", Some(Policy::Refuse));
        assert_eq!(policies.of(b"use"), Policy::Refuse);
        policies.set(b"user:id", None);
        assert_eq!(policies.of(b"user:id"), Policy::Lww);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let texts = [
            "merge",
            "lww",
            "refuse",
            "owner=b",
            "bounded:0,50",
            "bounded:-5,100",
            "seq:available,1000",
            "seq:strict,7",
            "seq:interleaved",
        ];
        for text in texts {
            let policy = Policy::parse(text, node).unwrap();
            let name = |id| if id == NodeId::A { "a".into() } else { "b".into() };
            assert_eq!(policy.to_text(name), text);
        }
        for text in ["", "owner=c", "bounded:x", "bounded:0,101", "seq:strict,0", "lww:1"] {
            assert_eq!(Policy::parse(text, node), Err(PolicyError), "{text}");
        }
    }
}
