//! A digest of the configuration, so that the nodes notice when their files differ.

use std::fmt;

use crate::Config;
use crate::key::{Kind, lookup};

/// Digest of everything that must be the same on both machines.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Digest(u64);

impl Digest {
    /// A digest that the peer sent.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The plain value.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Config {
    /// Every value that must be the same on both machines, one `key = value` per line.
    ///
    /// Effective values, so that a default written out is no difference. Secrets are not in the
    /// configuration, and where their files lie may differ, as may where data lies and what is bound.
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        for entry in self.entries().filter(|entry| !may_differ(&entry.path)) {
            text.push_str(&entry.path);
            text.push_str(" = ");
            text.push_str(&entry.value.to_string());
            text.push('\n');
        }
        text
    }

    /// Digest of [`Self::canonical`]. It finds mistakes, not forgeries.
    pub fn digest(&self) -> Digest {
        Digest(fnv1a(self.canonical().as_bytes()))
    }
}

fn may_differ(path: &str) -> bool {
    let local = ["bind", "admin_bind", "data_dir"];
    let leaf = path.rsplit('.').next().unwrap_or(path);
    (path.starts_with("nodes.") && local.contains(&leaf))
        || lookup(path).is_some_and(|info| matches!(info.kind, Kind::Secret))
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): the reference parameters.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
