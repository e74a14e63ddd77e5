//! The death certificate: a supervisor's word that a boot of its node is over.

use tandem_types::Incarnation;

/// The kind of the message that carries it, and of the empty answer.
pub const CERTIFICATE_KIND: u8 = 0x11;

/// That boot of that data directory has ended: its process is gone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// The data directory's life.
    pub incarnation: Incarnation,
    /// How often it had been started.
    pub boot: u64,
    /// The in-sync set that was found on its disk, in the switch's own encoding; empty: not known.
    pub in_sync: Vec<u8>,
}

impl Certificate {
    /// `| incarnation u64 | boot u64 | in-sync set ... |`, little-endian.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(&self.incarnation.get().to_le_bytes());
        bytes.extend_from_slice(&self.boot.to_le_bytes());
        bytes.extend_from_slice(&self.in_sync);
        bytes
    }

    /// As [`Self::encode`] wrote it; earlier versions told no set.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (incarnation, rest) = bytes.split_first_chunk()?;
        let (boot, in_sync) = rest.split_first_chunk()?;
        Some(Self {
            incarnation: Incarnation::new(u64::from_le_bytes(*incarnation)),
            boot: u64::from_le_bytes(*boot),
            in_sync: in_sync.to_vec(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_read_as_written_and_a_short_one_is_none() {
        let certificate =
            Certificate { incarnation: Incarnation::new(7), boot: u64::MAX, in_sync: vec![1, 2] };
        let bytes = certificate.encode();
        assert_eq!(Certificate::decode(&bytes), Some(certificate.clone()));
        let short = Certificate { in_sync: Vec::new(), ..certificate };
        assert_eq!(Certificate::decode(&bytes[..16]), Some(short));
        assert_eq!(Certificate::decode(&bytes[..15]), None);
        assert_eq!(Certificate::decode(&[]), None);
    }
}
