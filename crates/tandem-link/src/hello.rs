//! The first frame of each side: who it is.
//!
//! ```text
//! | "TNDMLINK" | version u16 | protection u8 | node u8 | incarnation u64 | pair id u128 | session u64
//! | nonce 32 B | pair name: length u8, bytes | software: length u8, bytes | who u8 |     little-endian
//! ```
//! Bytes after these are ignored (they are covered by the proofs), so later versions may add fields.

use tandem_types::{Incarnation, NodeId, PairId};

use crate::{LinkError, Transport};

/// Version of this protocol: raised when an older node could not understand.
pub const PROTOCOL_VERSION: u16 = 1;

/// Bytes of the random number that makes each handshake different.
pub const NONCE_BYTES: usize = 32;

/// Longest pair name or software name that is sent.
const NAME_BYTES_MAX: usize = 255;

const MAGIC: &[u8; 8] = b"TNDMLINK";

/// What the peer said about itself; true once the session is up, because the proofs cover it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerHello {
    /// Which node it is.
    pub node: NodeId,
    /// Its data directory's life.
    pub incarnation: Incarnation,
    /// The pair its data belongs to; [`PairId::NONE`] for an empty one.
    pub pair_id: PairId,
    /// Number of this connection, chosen by the dialer; a later one replaces an earlier one.
    pub session: u64,
    /// Its software, for people.
    pub software: String,
    /// It is not the node itself but its supervisor, which has only to say which boot is over.
    pub supervisor: bool,
}

/// A whole hello.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Hello {
    pub(crate) about: PeerHello,
    pub(crate) pair_name: String,
    pub(crate) transport: Transport,
    pub(crate) nonce: [u8; NONCE_BYTES],
}

impl Hello {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&PROTOCOL_VERSION.to_le_bytes());
        out.push(self.transport.as_byte());
        out.push(self.about.node.as_byte());
        out.extend_from_slice(&self.about.incarnation.get().to_le_bytes());
        out.extend_from_slice(&self.about.pair_id.get().to_le_bytes());
        out.extend_from_slice(&self.about.session.to_le_bytes());
        out.extend_from_slice(&self.nonce);
        push_name(&mut out, &self.pair_name);
        push_name(&mut out, &self.about.software);
        out.push(u8::from(self.about.supervisor));
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, LinkError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(LinkError::NotALink)?;
        let mut fields = Fields(rest);
        let version = u16::from_le_bytes(fields.take()?);
        if version != PROTOCOL_VERSION {
            return Err(LinkError::Version { ours: PROTOCOL_VERSION, theirs: version });
        }
        let [transport, node] = fields.take()?;
        let transport = Transport::from_byte(transport).ok_or(LinkError::Malformed)?;
        let node = NodeId::from_byte(node).ok_or(LinkError::Malformed)?;
        let incarnation = Incarnation::new(u64::from_le_bytes(fields.take()?));
        let pair_id = PairId::new(u128::from_le_bytes(fields.take()?));
        let session = u64::from_le_bytes(fields.take()?);
        let nonce = fields.take()?;
        let pair_name = fields.name()?;
        let software = fields.name()?;
        // Earlier software does not say; it has no supervisor.
        let supervisor = fields.0.first() == Some(&1);
        let about = PeerHello { node, incarnation, pair_id, session, software, supervisor };
        Ok(Self { about, pair_name, transport, nonce })
    }
}

/// Appends a name; one that is too long loses its end (the configuration allows none).
fn push_name(out: &mut Vec<u8>, name: &str) {
    let bytes = name.as_bytes();
    let bytes = bytes.get(..NAME_BYTES_MAX).unwrap_or(bytes);
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(bytes);
}

/// What is left of a hello being read.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], LinkError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(LinkError::Malformed)?;
        self.0 = rest;
        Ok(*field)
    }

    /// A name, which goes to logs and pages: control characters are replaced.
    fn name(&mut self) -> Result<String, LinkError> {
        let [length] = self.take()?;
        let length = usize::from(length);
        let name = self.0.get(..length).ok_or(LinkError::Malformed)?;
        let name = String::from_utf8_lossy(name).chars().map(printable).collect();
        self.0 = self.0.get(length..).unwrap_or_default();
        Ok(name)
    }
}

const fn printable(letter: char) -> char {
    if letter.is_ascii_control() { '?' } else { letter }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            about: PeerHello {
                node: NodeId::B,
                incarnation: Incarnation::new(7),
                pair_id: PairId::new(u128::MAX),
                session: 9,
                software: "tandem 0.1.0".to_owned(),
                supervisor: true,
            },
            pair_name: "main".to_owned(),
            transport: Transport::Plain,
            nonce: [5; NONCE_BYTES],
        }
    }

    #[test]
    fn a_hello_reads_back_the_same_and_every_cut_is_an_error() {
        let bytes = hello().encode();
        assert_eq!(Hello::decode(&bytes), Ok(hello()));
        // The last byte is newer than the rest: software that does not send it has no supervisor.
        let last = bytes.len() - 1;
        for end in 0..last {
            assert!(Hello::decode(&bytes[..end]).is_err(), "{end}");
        }
        assert!(!Hello::decode(&bytes[..last]).unwrap().about.supervisor);
        let mut later = bytes;
        later.extend_from_slice(b"a new field");
        assert_eq!(Hello::decode(&later), Ok(hello()));
    }

    #[test]
    fn other_versions_and_other_protocols_are_told_apart() {
        let mut bytes = hello().encode();
        bytes[8] = 2;
        assert_eq!(Hello::decode(&bytes), Err(LinkError::Version { ours: 1, theirs: 2 }));
        assert_eq!(Hello::decode(b"*1\r\n$4\r\nPING\r\n"), Err(LinkError::NotALink));
    }
}
