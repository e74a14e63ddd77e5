//! Frames: how messages are cut, checked and put together again.
//!
//! ```text
//! | payload length u32 | kind u8 | payload | check |      little-endian
//!                        ^ bit 7: the message goes on in the next frame
//! ```
//! The check is the first 16 bytes of HMAC-SHA256 over (frame number u64, length, kind, payload) under the
//! key of the direction, or, where TLS or the kernel of one machine protects the bytes, their CRC32C.
//! The frame number is never sent: a frame repeated, left out or moved fails its check.

use hmac::Mac;

use crate::LinkError;
use crate::keys::{KEY_BYTES, Mac256, keyed};

/// Longest payload of one frame; longer messages are cut, so that no side must trust a large length.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 4 << 20;

/// Length and kind.
pub(crate) const HEADER_BYTES: usize = 5;

/// Bit of the kind: more of this message follows.
const MORE: u8 = 0x80;

/// Bytes of a truncated HMAC: a forger's chance is 2^-128 per try.
const MAC_BYTES: usize = 16;

const CRC_BYTES: usize = 4;

/// What protects the frames of one direction.
#[derive(Clone, Debug)]
pub(crate) enum Guard {
    /// Nothing: the handshake, whose proofs cover what was said.
    None,
    /// CRC32C: TLS or the machine itself keeps forgers out.
    Crc,
    /// HMAC under a session key.
    Mac(Box<Mac256>),
}

impl Guard {
    pub(crate) fn mac(key: &[u8; KEY_BYTES]) -> Self {
        Self::Mac(Box::new(keyed(key)))
    }

    const fn check_bytes(&self) -> usize {
        match self {
            Self::None => 0,
            Self::Crc => CRC_BYTES,
            Self::Mac(_) => MAC_BYTES,
        }
    }

    /// Whether `check` belongs to frame `number` made of `header` and `payload`.
    fn verify(&self, number: u64, header_and_payload: &[u8], check: &[u8]) -> bool {
        match self {
            Self::None => true,
            Self::Crc => crc(number, header_and_payload).to_le_bytes() == check,
            Self::Mac(key) => {
                let mut mac = Mac256::clone(key);
                mac.update(&number.to_le_bytes());
                mac.update(header_and_payload);
                mac.verify_truncated_left(check).is_ok()
            }
        }
    }

    fn append_check(&self, number: u64, header_and_payload_at: usize, out: &mut Vec<u8>) {
        let covered = out.get(header_and_payload_at..).unwrap_or_default();
        match self {
            Self::None => {}
            Self::Crc => {
                let check = crc(number, covered).to_le_bytes();
                out.extend_from_slice(&check);
            }
            Self::Mac(key) => {
                let mut mac = Mac256::clone(key);
                mac.update(&number.to_le_bytes());
                mac.update(covered);
                let whole = mac.finalize().into_bytes();
                out.extend(whole.iter().take(MAC_BYTES));
            }
        }
    }
}

fn crc(number: u64, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), bytes)
}

/// Writes the frames of one direction.
#[derive(Debug)]
pub(crate) struct FrameWriter {
    guard: Guard,
    number: u64,
}

impl FrameWriter {
    pub(crate) const fn new(guard: Guard) -> Self {
        Self { guard, number: 0 }
    }

    /// Appends `message` in as many frames as it needs. `kind` is below 128.
    pub(crate) fn write(&mut self, kind: u8, message: &[u8], out: &mut Vec<u8>) {
        debug_assert!(kind < MORE, "kind {kind} does not fit in 7 bits");
        let frames = message.len() / FRAME_PAYLOAD_BYTES_MAX + 1;
        out.reserve(message.len() + frames * (HEADER_BYTES + self.guard.check_bytes()));
        let mut rest = message;
        loop {
            let (payload, after) = rest.split_at(rest.len().min(FRAME_PAYLOAD_BYTES_MAX));
            let flag = if after.is_empty() { 0 } else { MORE };
            self.write_frame((kind & !MORE) | flag, payload, out);
            if after.is_empty() {
                return;
            }
            rest = after;
        }
    }

    fn write_frame(&mut self, kind: u8, payload: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        // At most FRAME_PAYLOAD_BYTES_MAX, which fits.
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&length.to_le_bytes());
        out.push(kind);
        out.extend_from_slice(payload);
        self.guard.append_check(self.number, start, out);
        self.number = self.number.wrapping_add(1);
    }
}

/// One frame found in the input.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Without [`MORE`].
    pub(crate) kind: u8,
    /// The message goes on.
    pub(crate) more: bool,
    /// Where the payload lies, counted from the start of the frame.
    pub(crate) payload: std::ops::Range<usize>,
    /// Bytes of the whole frame.
    pub(crate) bytes: usize,
}

/// Reads the frames of one direction.
#[derive(Debug)]
pub(crate) struct FrameReader {
    guard: Guard,
    number: u64,
    payload_bytes_max: usize,
}

impl FrameReader {
    pub(crate) const fn new(guard: Guard, payload_bytes_max: usize) -> Self {
        Self { guard, number: 0, payload_bytes_max }
    }

    /// The frame at the start of `buf`, checked; `None` until it is whole.
    pub(crate) fn next(&mut self, buf: &[u8]) -> Result<Option<Frame>, LinkError> {
        let [a, b, c, d, kind, ..] = *buf else { return Ok(None) };
        let announced = u32::from_le_bytes([a, b, c, d]);
        let length = usize::try_from(announced).unwrap_or(usize::MAX);
        if length > self.payload_bytes_max {
            return Err(LinkError::FrameTooLong {
                bytes: u64::from(announced),
                bytes_max: u64::try_from(self.payload_bytes_max).unwrap_or(u64::MAX),
            });
        }
        let payload_end = HEADER_BYTES + length;
        let bytes = payload_end + self.guard.check_bytes();
        let (Some(covered), Some(check)) = (buf.get(..payload_end), buf.get(payload_end..bytes))
        else {
            return Ok(None);
        };
        if !self.guard.verify(self.number, covered, check) {
            return Err(LinkError::Damaged { number: self.number });
        }
        self.number = self.number.wrapping_add(1);
        let (kind, more) = (kind & !MORE, kind & MORE != 0);
        Ok(Some(Frame { kind, more, payload: HEADER_BYTES..payload_end, bytes }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_repeated_moved_or_touched_fails_its_check() {
        for guard in [Guard::Crc, Guard::mac(&[7; 32])] {
            let mut writer = FrameWriter::new(guard.clone());
            let (mut first, mut second) = (Vec::new(), Vec::new());
            writer.write(3, b"one", &mut first);
            writer.write(3, b"two", &mut second);
            let reader = || FrameReader::new(guard.clone(), 100);

            let mut good = reader();
            let frame = good.next(&first).unwrap().unwrap();
            assert_eq!((frame.kind, frame.more, frame.bytes), (3, false, first.len()));
            assert_eq!(&first[frame.payload], b"one");
            assert_eq!(good.next(&first).unwrap_err(), LinkError::Damaged { number: 1 });
            assert!(matches!(reader().next(&second), Err(LinkError::Damaged { number: 0 })));
            for at in 4..first.len() {
                let mut touched = first.clone();
                touched[at] ^= 0x10;
                assert!(matches!(reader().next(&touched), Err(LinkError::Damaged { .. })), "{at}");
                assert!(reader().next(&first[..at]).unwrap().is_none());
            }
        }
        let other = Guard::mac(&[8; 32]);
        let mut out = Vec::new();
        FrameWriter::new(Guard::mac(&[7; 32])).write(0, b"x", &mut out);
        assert!(FrameReader::new(other, 100).next(&out).is_err());
    }

    #[test]
    fn a_long_length_is_refused_before_anything_is_kept() {
        let mut reader = FrameReader::new(Guard::None, 1024);
        assert_eq!(
            reader.next(&[0xff, 0xff, 0xff, 0xff, 0]).unwrap_err(),
            LinkError::FrameTooLong { bytes: u64::from(u32::MAX), bytes_max: 1024 }
        );
    }
}
