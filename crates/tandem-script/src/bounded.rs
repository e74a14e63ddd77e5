//! Bytes that a library writes: a table can be in another one many times, and that one in a third.

use crate::clock::Clock;

/// Pieces that are written between two looks at the clock.
const LOOK_EVERY: u32 = 256;

/// Bytes, up to a bound, and as long as there is time.
#[derive(Clone, Debug)]
pub(crate) struct Bounded {
    bytes: Vec<u8>,
    max: usize,
    clock: Clock,
    pieces: u32,
}

impl Bounded {
    pub(crate) fn new(max: usize, clock: &Clock) -> Self {
        Self { bytes: Vec::new(), max, clock: clock.clone(), pieces: 0 }
    }

    /// Appends these.
    ///
    /// # Errors
    /// There is no room for them, or no time.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> mlua::Result<()> {
        self.pieces = self.pieces.wrapping_add(1);
        if self.pieces.is_multiple_of(LOOK_EVERY) {
            self.clock.look()?;
        }
        if bytes.len() > self.max - self.bytes.len() {
            return Err(mlua::Error::runtime(format!(
                "the result is longer than {} bytes",
                self.max
            )));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.add(bytes).map_err(|why| std::io::Error::other(crate::failure::said(&why)))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
