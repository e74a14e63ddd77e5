//! One frame: its bytes and its keyed checksum.
//!
//! ```text
//!  0   "TH"  version  length
//!  4   pair u32 | node u8, channel u8, role u8, flags u8
//! 12   nonce u64 | number u32
//! 24   echoed nonce u64 | echoed number u32 | held us u32
//! 40   incarnation u64 | boot u64 | epoch u64
//! 64   appended u64 | durable u64 | resigned u64
//! 88   cpu u16, io wait u8, 0, request ms u16, 0 u16 | requests u32
//!100   keyed checksum, 16 bytes                                        116
//! ```
//! Little-endian. At 9600 baud a frame takes some 120 ms.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tandem_switch::{BootId, Load, Vitals};
use tandem_types::{Epoch, Incarnation, Lsn, NodeId, Role};

/// Bytes of a frame.
pub const FRAME_BYTES: usize = 116;
const BODY_BYTES: usize = FRAME_BYTES - MAC_BYTES;
const MAC_BYTES: usize = 16;
pub(crate) const MAGIC: [u8; 2] = *b"TH";
const VERSION: u8 = 1;
/// Epochs and numbers of boots rise by one: a larger one is damage or malice.
const COUNT_MAX: u64 = 1 << 62;

const UNWELL: u8 = 1;
const RESIGNED: u8 = 2;

/// What both nodes know; never shown, not even by `Debug`.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// Derived from the content of `peer_secret_file`; an empty one only protects against noise.
    pub fn new(secret: &[u8]) -> Self {
        let mut mac = keyed(secret);
        mac.update(b"tandem-channel-1");
        Self(mac.finalize().into_bytes().to_vec())
    }

    fn seal(&self, body: &[u8]) -> [u8; MAC_BYTES] {
        let mut mac = keyed(&self.0);
        mac.update(body);
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let mut short = [0; MAC_BYTES];
        short.copy_from_slice(&whole[..MAC_BYTES]);
        short
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(..)")
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of every length (RFC 2104), so this cannot fail.
    <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC accepts every key length")
}

/// Which frame of whose process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Mark {
    /// Random, of that process.
    pub(crate) nonce: u64,
    /// Rises with every frame on this channel.
    pub(crate) number: u32,
}

/// Everything in a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Frame {
    pub(crate) pair: u32,
    pub(crate) node: NodeId,
    pub(crate) channel: u8,
    pub(crate) mark: Mark,
    /// The last frame of the other node that was heard here, and how long ago.
    pub(crate) echo: Mark,
    pub(crate) held_us: u32,
    pub(crate) vitals: Vitals,
}

impl Frame {
    pub(crate) fn encode(&self, key: &Key) -> [u8; FRAME_BYTES] {
        let mut bytes = Vec::with_capacity(FRAME_BYTES);
        let it = &self.vitals;
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[VERSION, u8::try_from(FRAME_BYTES).unwrap_or(u8::MAX)]);
        bytes.extend_from_slice(&self.pair.to_le_bytes());
        let flags =
            if it.unwell { UNWELL } else { 0 } | if it.resigned.is_some() { RESIGNED } else { 0 };
        bytes.extend_from_slice(&[self.node.as_byte(), self.channel, it.role.as_byte(), flags]);
        for Mark { nonce, number } in [self.mark, self.echo] {
            bytes.extend_from_slice(&nonce.to_le_bytes());
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.held_us.to_le_bytes());
        for field in [
            it.boot.incarnation.get(),
            it.boot.boot,
            it.epoch_seen.get(),
            it.appended_end.get(),
            it.durable_end.get(),
            it.resigned.unwrap_or(0),
        ] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        bytes.extend_from_slice(&it.load.cpu_percent.to_le_bytes());
        bytes.extend_from_slice(&[it.load.io_wait_percent, 0]);
        bytes.extend_from_slice(&it.load.request_ms.to_le_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(&it.load.requests.to_le_bytes());
        assert!(bytes.len() == BODY_BYTES, "a body of {} bytes", bytes.len());
        let mut frame = [0; FRAME_BYTES];
        frame[..BODY_BYTES].copy_from_slice(&bytes);
        frame[BODY_BYTES..].copy_from_slice(&key.seal(&bytes));
        frame
    }

    /// `None`: not a frame, or not of one who knows the key.
    pub(crate) fn decode(key: &Key, bytes: &[u8; FRAME_BYTES]) -> Option<Self> {
        let (body, seal) = bytes.split_at_checked(BODY_BYTES)?;
        if !bool::from(key.seal(body).as_slice().ct_eq(seal)) {
            return None;
        }
        let mut fields = Fields(body);
        let head: [u8; 4] = fields.take()?;
        let expected = [MAGIC[0], MAGIC[1], VERSION, u8::try_from(FRAME_BYTES).ok()?];
        if head != expected {
            return None;
        }
        let pair = u32::from_le_bytes(fields.take()?);
        let [node, channel, role, flags] = fields.take()?;
        let mark = fields.mark()?;
        let echo = fields.mark()?;
        let held_us = u32::from_le_bytes(fields.take()?);
        let boot = BootId { incarnation: Incarnation::new(fields.u64()?), boot: fields.count()? };
        let epoch_seen = Epoch::new(fields.count()?);
        let (appended_end, durable_end) = (Lsn::new(fields.u64()?), Lsn::new(fields.u64()?));
        let revision = fields.u64()?;
        let cpu_percent = u16::from_le_bytes(fields.take()?);
        let [io_wait_percent, _] = fields.take()?;
        let request_ms = u16::from_le_bytes(fields.take()?);
        let _reserved: [u8; 2] = fields.take()?;
        let requests = u32::from_le_bytes(fields.take()?);
        let vitals = Vitals {
            boot,
            role: Role::from_byte(role)?,
            epoch_seen,
            appended_end,
            durable_end,
            resigned: (flags & RESIGNED != 0).then_some(revision),
            unwell: flags & UNWELL != 0,
            load: Load { cpu_percent, io_wait_percent, request_ms, requests },
        };
        let node = NodeId::from_byte(node)?;
        Some(Self { pair, node, channel, mark, echo, held_us, vitals })
    }
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn count(&mut self) -> Option<u64> {
        self.u64().filter(|&count| count <= COUNT_MAX)
    }

    fn mark(&mut self) -> Option<Mark> {
        Some(Mark { nonce: self.u64()?, number: u32::from_le_bytes(self.take()?) })
    }
}
