//! What the peer secret proves, and the keys of one session that follow from it.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Bytes of a proof and of a key.
pub(crate) const KEY_BYTES: usize = 32;

/// The secret both nodes share; never shown, not even by `Debug`.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps the content of `peer_secret_file`. It is used as a key directly, so it must be random:
    /// 32 bytes or more from a generator, not a word somebody chose.
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A keyed checksum.
pub(crate) type Mac256 = Hmac<Sha256>;

/// The checksum function under `key`.
pub(crate) fn keyed(key: &[u8]) -> Mac256 {
    // HMAC takes keys of every length (RFC 2104), so this cannot fail.
    <Mac256 as KeyInit>::new_from_slice(key).expect("HMAC accepts every key length")
}

/// What a session's secrets are derived from: everything both sides said so far.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    secret: Secret,
    said: Vec<u8>,
}

impl Transcript {
    /// `dialer` and `listener` are the two hellos as they were sent; `binding` ties the session to
    /// the TLS connection around it (empty without TLS).
    pub(crate) fn new(secret: Secret, dialer: &[u8], listener: &[u8], binding: &[u8]) -> Self {
        let mut said = Vec::with_capacity(dialer.len() + listener.len() + binding.len() + 24);
        for part in [dialer, listener, binding] {
            // The length first, so that no two different conversations give the same bytes.
            said.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            said.extend_from_slice(part);
        }
        Self { secret, said }
    }

    /// The value under `label`: a proof that its maker knows the secret and heard the same, or a key.
    /// Each label is used for one purpose and one direction, so nothing said can be sent back.
    pub(crate) fn derive(&self, label: &[u8]) -> [u8; KEY_BYTES] {
        let mut mac = keyed(&self.secret.0);
        mac.update(b"tandem-link-1 ");
        mac.update(label);
        mac.update(&[0]);
        mac.update(&self.said);
        mac.finalize().into_bytes().into()
    }

    /// Whether `proof` is what [`Self::derive`] gives; the time does not depend on where they differ.
    pub(crate) fn proves(&self, label: &[u8], proof: &[u8]) -> bool {
        bool::from(self.derive(label).as_slice().ct_eq(proof))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_depends_on_secret_label_and_everything_said() {
        let secret = |text: &str| Secret::new(text.as_bytes().to_vec());
        let base = Transcript::new(secret("s"), b"dial", b"listen", b"");
        let proof = base.derive(b"dialer proof");
        assert!(base.proves(b"dialer proof", &proof));
        assert!(!base.proves(b"listener proof", &proof));
        assert!(!base.proves(b"dialer proof", &proof[..31]));
        for other in [
            Transcript::new(secret("t"), b"dial", b"listen", b""),
            Transcript::new(secret("s"), b"dialx", b"listen", b""),
            Transcript::new(secret("s"), b"dia", b"llisten", b""),
            Transcript::new(secret("s"), b"dial", b"listen", b"tls"),
        ] {
            assert!(!other.proves(b"dialer proof", &proof));
        }
        assert_eq!(format!("{:?}", secret("s")), "Secret(..)");
    }
}
