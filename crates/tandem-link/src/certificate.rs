//! The death certificate: a supervisor's word that a boot of its node is over.

use tandem_types::Incarnation;

/// The kind of the message that carries it, and of the empty answer.
pub const CERTIFICATE_KIND: u8 = 0x11;

/// That boot of that data directory has ended: its process is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Certificate {
    /// The data directory's life.
    pub incarnation: Incarnation,
    /// How often it had been started.
    pub boot: u64,
}

impl Certificate {
    /// `| incarnation u64 | boot u64 |`, little-endian.
    pub fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.incarnation.get().to_le_bytes());
        bytes[8..].copy_from_slice(&self.boot.to_le_bytes());
        bytes
    }

    /// As [`Self::encode`] wrote it; later versions may append to it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (incarnation, rest) = bytes.split_first_chunk()?;
        let (boot, _) = rest.split_first_chunk()?;
        Some(Self {
            incarnation: Incarnation::new(u64::from_le_bytes(*incarnation)),
            boot: u64::from_le_bytes(*boot),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_read_as_written_and_a_short_one_is_none() {
        let certificate = Certificate { incarnation: Incarnation::new(7), boot: u64::MAX };
        let bytes = certificate.encode();
        assert_eq!(Certificate::decode(&bytes), Some(certificate));
        assert_eq!(Certificate::decode(&[&bytes[..], b"more"].concat()), Some(certificate));
        assert_eq!(Certificate::decode(&bytes[..15]), None);
        assert_eq!(Certificate::decode(&[]), None);
    }
}
