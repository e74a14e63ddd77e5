//! Jute, `ZooKeeper`'s encoding: big-endian numbers, byte strings with a length in front.

use crate::error::Malformed;

type Read<T> = Result<T, Malformed>;

/// A message that grows.
#[derive(Debug, Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn bool(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    pub(crate) fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn buffer(&mut self, bytes: &[u8]) {
        // Everything this crate writes is short: names, one record, a password of at most 4 KiB.
        self.i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.buffer(text.as_bytes());
    }
}

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Malformed)?;
        self.0 = rest;
        Ok(*field)
    }

    pub(crate) fn bool(&mut self) -> Read<bool> {
        let [byte] = self.take()?;
        Ok(byte != 0)
    }

    pub(crate) fn i32(&mut self) -> Read<i32> {
        Ok(i32::from_be_bytes(self.take()?))
    }

    pub(crate) fn i64(&mut self) -> Read<i64> {
        Ok(i64::from_be_bytes(self.take()?))
    }

    /// A length of -1 is a null, which is as good as empty here.
    pub(crate) fn buffer(&mut self) -> Read<&'a [u8]> {
        let length = self.i32()?;
        if length == -1 {
            return Ok(&[]);
        }
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Every element takes at least its length's four bytes, so a wrong count ends soon.
    pub(crate) fn texts(&mut self) -> Read<Vec<&'a str>> {
        let count = self.i32()?;
        let mut texts = Vec::new();
        for _ in 0..count.max(0) {
            texts.push(str::from_utf8(self.buffer()?).map_err(|_| Malformed)?);
        }
        Ok(texts)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_every_cut_is_an_error() {
        let mut out = Writer::default();
        out.bool(true);
        out.i32(-5);
        out.i64(i64::MIN);
        out.buffer(b"abc");
        out.i32(2);
        out.text("x");
        out.text("");
        let read = |bytes| -> Read<bool> {
            let mut input = Reader(bytes);
            assert!(input.bool()?);
            assert_eq!(input.i32()?, -5);
            assert_eq!(input.i64()?, i64::MIN);
            assert_eq!(input.buffer()?, b"abc");
            assert_eq!(input.texts()?, ["x", ""]);
            Ok(input.is_empty())
        };
        assert_eq!(read(&out.0), Ok(true));
        for end in 0..out.0.len() {
            assert_eq!(read(&out.0[..end]), Err(Malformed), "{end}");
        }
    }

    #[test]
    fn a_wrong_length_takes_no_memory() {
        for length in [i32::MAX, i32::MIN, -2, 1] {
            assert_eq!(Reader(&length.to_be_bytes()).buffer(), Err(Malformed));
        }
        assert_eq!(Reader(&i32::MAX.to_be_bytes()).texts(), Err(Malformed));
        assert_eq!(Reader(&(-1_i32).to_be_bytes()).texts(), Ok(vec![]));
    }
}
