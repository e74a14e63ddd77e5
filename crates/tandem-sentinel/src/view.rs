//! What the port knows of the pairs it speaks for.

use std::fmt::Write as _;

/// Where something listens, and which run of it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Addr {
    /// Address or host name that clients can reach.
    pub ip: String,
    /// Port.
    pub port: u16,
    /// 40 hexadecimal digits, as Redis' run id.
    pub runid: String,
}

impl Addr {
    /// The run id names the place: a restart is no news to a client, and all ports of a pair say the same.
    pub fn of(host: &str, port: u16) -> Self {
        let mut runid = String::new();
        for round in 0_u32..5 {
            let text = format!("{round} {host} {port}");
            // Writing to a String cannot fail.
            let _written = write!(runid, "{:08x}", crc32c::crc32c(text.as_bytes()));
        }
        Self { ip: host.to_owned(), port, runid }
    }

    /// The same place, whichever run of it.
    pub fn is_at(&self, other: &Self) -> bool {
        self.ip == other.ip && self.port == other.port
    }
}

/// A follower, or the read port of the node that is left.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReplicaView {
    /// Where it serves reads.
    pub addr: Addr,
    /// It does not answer.
    pub down: bool,
    /// It follows the primary.
    pub linked: bool,
}

/// One pair.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct MasterView {
    /// The pair's name.
    pub name: String,
    /// Further names it answers to. A port that speaks for one pair only always adds `mymaster`.
    pub aliases: Vec<String>,
    /// The primary, once it accepts writes; `None`: there is none, and the last one is shown as down.
    pub primary: Option<Addr>,
    /// The primary does not accept writes now.
    pub down: bool,
    /// Where reads are served besides.
    pub replicas: Vec<ReplicaView>,
    /// The other Sentinel ports of this pair, without this one.
    pub sentinels: Vec<Addr>,
    /// The reign.
    pub epoch: u64,
}

impl MasterView {
    /// All names it answers to.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name.as_str()).chain(self.aliases.iter().map(String::as_str))
    }
}

/// All pairs this port speaks for.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SentinelView {
    /// The pairs.
    pub masters: Vec<MasterView>,
    /// This port.
    pub me: Addr,
}

impl SentinelView {
    /// The pair of that name, which like in Redis is told apart by case.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&MasterView> {
        self.masters.iter().find(|master| master.names().any(|own| own.as_bytes() == name))
    }

    /// Each name with its pair.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&str, &MasterView)> {
        self.masters.iter().flat_map(|master| master.names().map(move |name| (name, master)))
    }
}
